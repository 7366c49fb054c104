/** What a run of a task may meet: on `ctx`, at its start, at its commit, while it is undone. Codes are listed in the README. */
import { describe, DroverError } from '../../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../../actors/kernel/errors.ts';

/** A run took another way than the run before it, so what is remembered does not fit. The task is kept as it stands. */
export class ReplayDivergedError extends DroverError {
  readonly code = 'DROVER_REPLAY_DIVERGED';
  readonly retryable = false;
  /** `remembered` and `came`: what stood there before and what was asked for now, shortened. `version`: of the code that brought the former. */
  override readonly detail: {
    readonly id: string;
    readonly place: string;
    readonly remembered: string;
    readonly came: string;
    readonly version?: string;
  };
  constructor(detail: ReplayDivergedError['detail']) {
    const { id, place, remembered, came, version } = detail;
    const under = version === undefined ? '' : ` (version ${version})`;
    super(
      `task ${id}: at ${place} an earlier run${under} ${remembered}; now came ${came}; what a run does must follow from its input and from ctx alone (no clock, random or outside state), operations side by side that may begin in another order need a { key }, and changed code needs another version of its kind`,
    );
    this.detail = detail;
  }
}

/** Also of one that comes from a thread or a process, which is no instance of its class. */
export function isDivergence(error: unknown): error is ReplayDivergedError {
  try {
    return (error as { readonly code?: unknown } | null | undefined)?.code === 'DROVER_REPLAY_DIVERGED';
  } catch {
    // What was thrown may be anything.
    return false;
  }
}

/** A run has returned while operations that it does not await were under way: an `await` is missing. It does not complete. */
export class OperationsOpenError extends DroverError {
  readonly code = 'DROVER_OPERATIONS_OPEN';
  readonly retryable = false;
  /** `open`: each by what it does, e.g. `state.set "stock"`. */
  override readonly detail: { readonly id: string; readonly open: readonly string[] };
  constructor(detail: OperationsOpenError['detail']) {
    const { id, open } = detail;
    super(
      `task ${id}: the run returned while nobody awaited ${open.join(', ')}; await each operation; one that you give up on purpose is raced: Promise.race([it, other])`,
    );
    this.detail = detail;
  }
}

/**
 * The id that a child is to have is that of a task which this one has not asked: somebody has submitted it under that id.
 * Children are called `parent/kind#n`, or `parent/kind[key]`.
 */
export class ChildIdTakenError extends DroverError {
  readonly code = 'DROVER_CHILD_ID_TAKEN';
  readonly retryable = false;
  /** `kind`: of the child that was to be asked. `taken`: of whoever has its id. */
  override readonly detail: {
    readonly id: string;
    readonly child: string;
    readonly kind: string;
    readonly taken: { readonly kind: string };
  };
  constructor(detail: ChildIdTakenError['detail']) {
    const { id, child, kind, taken } = detail;
    super(
      `task ${id}: its child of kind ${kind} would be ${describe(child)}, and that is the id of a task of kind ${taken.kind} which it has not asked; submit under ids that do not begin with that of a task and a slash`,
    );
    this.detail = detail;
  }
}

/** One run used a key twice: `{ key }` is where the operation is remembered. */
export class DuplicateKeyError extends DroverError {
  readonly code = 'DROVER_DUPLICATE_KEY';
  readonly retryable = false;
  /** `operation`: as places name it, e.g. `call:model`. */
  override readonly detail: { readonly id: string; readonly operation: string; readonly key: string };
  constructor(detail: DuplicateKeyError['detail']) {
    const { id, operation, key } = detail;
    super(`task ${id}: ${operation} has key ${describe(key)} twice in one run; it is remembered by its key, give each its own`);
    this.detail = detail;
  }
}

/** One run used a name twice that it may use once: of a step, an approval, a compensation. */
export class DuplicateStepError extends DroverError {
  readonly code = 'DROVER_DUPLICATE_STEP';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly step: string; readonly what: 'step' | 'approval' | 'compensation' };
  constructor(detail: DuplicateStepError['detail']) {
    const { id, step, what } = detail;
    super(`task ${id}: ${what} ${describe(step)} is used twice in one run; it is remembered by its name, give each its own`);
    this.detail = detail;
  }
}

/** A bound of the topology was reached. */
export class BoundReachedError extends DroverError {
  readonly code = 'DROVER_BOUND_REACHED';
  /** True where others may make room by ending: `family`, unless what the run itself sends is too much for it. */
  readonly retryable: boolean;
  override readonly detail: { readonly id: string; readonly bound: string; readonly limit: number };
  constructor(detail: BoundReachedError['detail'], retryable = detail.bound === 'family') {
    // How many locks a task may hold is no setting.
    const limit =
      detail.bound === 'locks' ? `holds at most ${detail.limit} locks` : `bounds.${detail.bound} is ${detail.limit}; raise it, or`;
    super(`task ${detail.id}: ${limit}${detail.bound === 'locks' ? ';' : ''} split the task`);
    this.detail = detail;
    this.retryable = retryable;
  }
}

/** What it waited for has not come in time: an event, an approval. Waiting again at the same place finds the same end. */
export class WaitTimeoutError extends DroverError {
  readonly code = 'DROVER_WAIT_TIMEOUT';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly place: string; readonly untilMs: number };
  constructor(detail: WaitTimeoutError['detail']) {
    super(`task ${detail.id}: ${detail.place} has not come by ${new Date(detail.untilMs).toISOString()} (withinMs)`);
    this.detail = detail;
  }
}

/** A person has said no. */
export class ApprovalRejectedError extends DroverError {
  readonly code = 'DROVER_APPROVAL_REJECTED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly name: string; readonly by: string; readonly note: string | null };
  constructor(detail: ApprovalRejectedError['detail']) {
    const { id, name, by, note } = detail;
    super(`task ${id}: ${by} rejected ${describe(name)}${note === null ? '' : `: ${note}`}`);
    this.detail = detail;
  }
}

/** A run writes a row that its kind does not declare: nobody is kept from writing it at the same time. */
export class UndeclaredWriteError extends DroverError {
  readonly code = 'DROVER_UNDECLARED_WRITE';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly kind: string; readonly key: string };
  /** `isDeclaredNow`: its kind declares it, but did not when the task was submitted. */
  constructor(detail: UndeclaredWriteError['detail'], declared: readonly string[], isDeclaredNow = false) {
    const { kind, key } = detail;
    super(
      `${kind}: ${describe(key)} is not in what this task writes (${declared.join(', ') || 'nothing'}); ${
        isDeclaredNow
          ? 'its kind declares it by now, but what a task writes is fixed when it is submitted: submit a new task, or widen'
          : 'declare it in writes, or widen'
      }`,
    );
    this.detail = detail;
  }
}

/** Somebody else has written the row since it was read: `set` and `delete` say so, and the completion. Uncaught, the task is tried again and reads anew. */
export class VersionConflictError extends DroverError {
  readonly code = 'DROVER_VERSION_CONFLICT';
  readonly retryable = true;
  /** null: no row. */
  override readonly detail: { readonly id: string; readonly key: string; readonly expected: number | null; readonly found: number | null };
  constructor(detail: VersionConflictError['detail']) {
    const { id, key, expected, found } = detail;
    super(`task ${id}: row ${describe(key)}: expected ${inWords(expected)}, there is ${inWords(found)}`);
    this.detail = detail;
  }
}

/** Rows are read and written outside of steps: a later run that remembers the step would not come by it. */
export class StateInStepError extends DroverError {
  readonly code = 'DROVER_STATE_IN_STEP';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly step: string; readonly operation: string };
  constructor(detail: StateInStepError['detail']) {
    const { id, step, operation } = detail;
    super(
      `task ${id}: ${operation} inside step ${describe(step)}: a later run remembers the step and does not come by it; do it before the step, or after`,
    );
    this.detail = detail;
  }
}

/** Asked, waited, widened or sent inside a step: a run cannot park there, and a later one that remembers the step would not come by it. */
export class OperationInStepError extends DroverError {
  readonly code = 'DROVER_OPERATION_IN_STEP';
  readonly retryable = false;
  /** `operation`: e.g. `ask "review"`. */
  override readonly detail: { readonly id: string; readonly step: string; readonly operation: string };
  constructor(detail: OperationInStepError['detail']) {
    const { id, step, operation } = detail;
    super(
      `task ${id}: ctx.${operation} inside step ${describe(step)}: a run cannot park inside a step, and a later run that remembers the step does not come by it; move it out, before the step or after`,
    );
    this.detail = detail;
  }
}

/** A step's undoing is registered before that step, and outside of any: a later run that remembers the step would not come by it. */
export class CompensateInStepError extends DroverError {
  readonly code = 'DROVER_COMPENSATE_IN_STEP';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly step: string; readonly compensation: string };
  constructor(detail: CompensateInStepError['detail']) {
    const { id, step, compensation } = detail;
    super(`task ${id}: compensation ${describe(compensation)} is registered inside step ${describe(step)}; register it before that step`);
    this.detail = detail;
  }
}

/**
 * The task was begun under another version of its kind, and the present one does not go on with those (`onVersionChange:
 * 'refuse'`). It is kept as it stands, nothing of it undone: put it back (`requeue`) when that version runs, and it goes on; or
 * cancel it, and the code that runs then undoes it.
 */
export class VersionRefusedError extends DroverError {
  readonly code = 'DROVER_VERSION_REFUSED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly kind: string; readonly begun: string; readonly version: string };
  constructor(detail: VersionRefusedError['detail']) {
    const { id, kind, begun, version } = detail;
    super(
      `task ${id}: was begun under version ${begun} of ${kind}, which is now ${version} and refuses those (onVersionChange); it is kept as it stands: put it back when ${begun} runs, or cancel it to have it undone by the code there is`,
    );
    this.detail = detail;
  }
}

/** Another task has what this one writes or reads, and its kind does not wait (`onConflict: 'reject'`). */
export class WriteConflictError extends DroverError {
  readonly code = 'DROVER_WRITE_CONFLICT';
  readonly retryable = true;
  /** `holder`: the id of the task that has it. */
  override readonly detail: { readonly id: string; readonly resource: string; readonly holder: string };
  constructor(detail: WriteConflictError['detail']) {
    const { id, resource, holder } = detail;
    super(
      `task ${id}: task ${holder} has ${describe(resource)}; submit another task when that has ended, or let the kind wait (onConflict)`,
    );
    this.detail = detail;
  }
}

/** The task had not ended by its deadline. */
export class DeadlinePassedError extends DroverError {
  readonly code = 'DROVER_DEADLINE_PASSED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly deadlineMs: number };
  constructor(detail: DeadlinePassedError['detail']) {
    super(`task ${detail.id}: had not ended by its deadline, ${new Date(detail.deadlineMs).toISOString()}`);
    this.detail = detail;
  }
}

/** What undoes has its `StepContext`, and no operation of the run: it calls clients itself, with the idempotency key that it is given. */
export class OperationInUndoError extends DroverError {
  readonly code = 'DROVER_OPERATION_IN_UNDO';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly operation: string; readonly compensation: string };
  constructor(detail: OperationInUndoError['detail']) {
    const { id, operation, compensation } = detail;
    super(
      `task ${id}: ctx.${operation} in what undoes ${describe(compensation)}; there, call the client itself, with the idempotencyKey given`,
    );
    this.detail = detail;
  }
}

/**
 * What an operation has failed with is not known any more: an attempt has ended with that and was retried, and then the
 * task was to be undone. Only a run that undoes sees it, where an earlier one has registered something after the failure.
 */
export class FailureForgottenError extends DroverError {
  readonly code = 'DROVER_FAILURE_FORGOTTEN';
  readonly retryable = false;
  override readonly detail: { readonly id: string };
  constructor(detail: FailureForgottenError['detail']) {
    super(`task ${detail.id}: this has failed in an earlier attempt; with what has been forgotten`);
    this.detail = detail;
  }
}

/**
 * Some of what a task has done could not be undone, though all of it was tried; or the run does not come by some of it any
 * more, and nothing before that was undone. It is tried again; when its attempts are used up, the task is dead. Put the cause right, and
 * `requeue` it: what is left is undone then, and nothing else is run.
 */
export class CompensationFailedError extends DroverError {
  readonly code = 'DROVER_COMPENSATION_FAILED';
  readonly retryable = true;
  /**
   * `failed`: those that were tried in vain, and why; or those that the run does not come by any more, with what is in the way
   * and which code may undo them: then those before them have not been tried. `left`: all that has not been undone.
   */
  override readonly detail: {
    readonly id: string;
    readonly failed: readonly { readonly name: string; readonly why: string }[];
    readonly left: readonly string[];
  };
  constructor(
    detail: CompensationFailedError['detail'],
    ends: { readonly status: string; readonly error: ErrorRecord | null },
    options?: ErrorOptions,
  ) {
    const { id, failed, left } = detail;
    const why = failed.map((one) => `${describe(one.name)} (${one.why})`).join(', ');
    const what = failed.length === 0 ? 'was not undone' : `could not undo ${why}`;
    const ended = `${ends.status}${ends.error === null ? '' : ` (${ends.error.message})`}`;
    super(`task ${id}: ${what}; left: ${left.join(', ')}; the task was to end ${ended}`, options);
    this.detail = detail;
  }
}

function inWords(version: number | null): string {
  return version === null ? 'no row' : `version ${version}`;
}
