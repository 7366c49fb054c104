/** What a task whose agent is a statechart may meet beside what every run may. */
import { describe, DroverError } from '../../../actors/kernel/errors.ts';

/**
 * What is remembered of the machine does not fit the machine that there is now. The task is kept as it stands, nothing is
 * undone: put it back when the former version runs, or cancel it.
 */
export class MachineChangedError extends DroverError {
  readonly code = 'DROVER_MACHINE_CHANGED';
  readonly retryable = false;
  /** `missing`: what the snapshot names and the machine does not have. `version`: of the code that the snapshot is from. */
  override readonly detail: { readonly id: string; readonly machine: string; readonly missing: string; readonly version: string };
  constructor(detail: MachineChangedError['detail']) {
    const { id, machine, missing, version } = detail;
    super(
      `task ${id}: machine ${machine} has no ${missing} any more, where the task is (version ${version}); give the new machine a version and say onVersionChange`,
    );
    this.detail = detail;
  }
}

/**
 * Something that is remembered of the machine is not JSON: it would not be the same after a restart. `path`: `context.at`; of a
 * machine within it `children.kid.context.at`; of what an operation is given `children.fetch.input.at`; of an event that is
 * raised later `delayed.remind.at`.
 */
export class MachineContextError extends DroverError {
  readonly code = 'DROVER_MACHINE_CONTEXT';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly machine: string; readonly path: string };
  /** `found`: what is there, in words. */
  constructor(detail: MachineContextError['detail'], found: string) {
    const { id, machine, path } = detail;
    super(`task ${id}: machine ${machine}: ${path} is remembered and must be JSON; it is ${found}`);
    this.detail = detail;
  }
}

/** Nothing that could still happen would move the machine. */
export class MachineStuckError extends DroverError {
  readonly code = 'DROVER_MACHINE_STUCK';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly machine: string; readonly state: string };
  constructor(detail: MachineStuckError['detail']) {
    const { id, machine, state } = detail;
    super(
      `task ${id}: machine ${machine} stands in ${state}, which is not final, invokes nothing, and waits for no time and no declared event`,
    );
    this.detail = detail;
  }
}

/** A machine has made an actor that is none of an agent's: it could not be remembered. */
export class MachineActorError extends DroverError {
  readonly code = 'DROVER_MACHINE_ACTOR';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly machine: string; readonly actor: string };
  constructor(detail: MachineActorError['detail']) {
    const { id, machine, actor } = detail;
    super(
      `task ${id}: machine ${machine}: actor ${describe(actor)} is spawned inline; give its logic a name in setup({ actors }), and spawn that`,
    );
    this.detail = detail;
  }
}

/** An operation writes rows: what it has written would be forgotten when the run starts again. */
export class MachineStateError extends DroverError {
  readonly code = 'DROVER_MACHINE_STATE';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly operation: string };
  constructor(detail: MachineStateError['detail']) {
    super(`task ${detail.id}: ${detail.operation} in an operation of a machine; ask a kind that writes the row (ctx.ask)`);
    this.detail = detail;
  }
}
