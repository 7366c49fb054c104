/** Commands: each thing that may be done to a fleet in virtual time, on the fleet and on its model. */
import * as fc from 'fast-check';
import { FleetModelError } from './errors.ts';
import type { FleetModel } from './fleet-model.ts';
import type { VirtualFleet } from './virtual-fleet.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- commands are drawn for any topology
type AnyFleet = VirtualFleet<any>;

/** What every command of the kit's does around its own part. */
export abstract class Command implements fc.AsyncCommand<FleetModel, AnyFleet> {
  abstract check(model: Readonly<FleetModel>): boolean;
  abstract toString(): string;
  protected abstract act(model: FleetModel, fleet: AnyFleet): Promise<void>;

  async run(model: FleetModel, fleet: AnyFleet): Promise<void> {
    // It may have given up by itself; whoever looks after processes starts another one.
    if (model.isUp && !fleet.isUp) await fleet.restart();
    await this.act(model, fleet);
    model.compare(fleet, this.toString());
  }

  /** @throws FleetModelError when it is not refused, or for another reason */
  protected async refused(submitting: Promise<unknown>, code: string, task: string | undefined): Promise<void> {
    const outcome: unknown = await submitting.then(
      () => 'nothing: it was accepted',
      (error: unknown) => error,
    );
    if ((outcome as { readonly code?: unknown } | null)?.code !== code)
      throw new FleetModelError({ command: this.toString(), task }, `to be refused with ${code}`, String(outcome));
  }
}

/** A process is there: what most commands need. */
abstract class WhileUp extends Command {
  check({ isUp }: Readonly<FleetModel>): boolean {
    return isUp;
  }
}

/** As `WhileUp`, and a task is there. */
abstract class OfTask extends WhileUp {
  readonly which: number;

  constructor(which: number) {
    super();
    this.which = which;
  }

  override check(model: Readonly<FleetModel>): boolean {
    return model.isUp && model.sure(this.which) !== undefined;
  }
}

export class Submit extends WhileUp {
  readonly kind: string;
  readonly input: unknown;

  constructor(kind: string, input: unknown) {
    super();
    this.kind = kind;
    this.input = input;
  }

  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    const task = model.add(this.kind, this.input);
    try {
      await fleet.submit(this.kind, this.input, { id: task.id });
      task.isSure = true;
    } catch (error) {
      passing(error);
    }
  }

  toString(): string {
    return `submit(${this.kind}, ${fc.stringify(this.input)})`;
  }
}

/** The process dies before the store could answer: the task is there or not, and nobody knows. */
export class SubmitAndKill extends Submit {
  protected override async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    const task = model.add(this.kind, this.input);
    const submitting = fleet.submit(this.kind, this.input, { id: task.id });
    fleet.kill();
    model.isUp = false;
    await this.refused(submitting, 'DROVER_VIRTUAL_FLEET_DOWN', task.id);
  }

  override toString(): string {
    return `submitAndKill(${this.kind}, ${fc.stringify(this.input)})`;
  }
}

export class SubmitAgain extends OfTask {
  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    const { id, kind, input } = model.sure(this.which)!;
    try {
      const handle = await fleet.submit(kind, input, { id });
      if (handle.id !== id) throw new FleetModelError({ command: this.toString(), task: id }, `the handle of ${id}`, handle.id);
    } catch (error) {
      passing(error);
    }
  }

  toString(): string {
    return `submitAgain(${this.which})`;
  }
}

export class SubmitInConflict extends OfTask {
  readonly kind: string;
  readonly input: unknown;

  constructor(which: number, kind: string, input: unknown) {
    super(which);
    this.kind = kind;
    this.input = input;
  }

  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    const { id, kind, input } = model.sure(this.which)!;
    // The same once more is no conflict.
    if (kind === this.kind && JSON.stringify(input) === JSON.stringify(this.input)) return;
    const outcome: unknown = await fleet.submit(this.kind, this.input as never, { id }).then(
      () => 'nothing: it was accepted',
      (error: unknown) => error,
    );
    const { code } = (outcome ?? {}) as { readonly code?: string };
    if (code === 'DROVER_TASK_CONFLICT') return;
    if (typeof outcome === 'string') throw new FleetModelError({ command: this.toString(), task: id }, 'a refusal as a conflict', outcome);
    passing(outcome);
  }

  toString(): string {
    return `submitInConflict(${this.which}, ${this.kind}, ${fc.stringify(this.input)})`;
  }
}

export class Advance extends Command {
  readonly ms: number;

  constructor(ms: number) {
    super();
    this.ms = ms;
  }

  check(): boolean {
    return true;
  }

  protected act(_model: FleetModel, fleet: AnyFleet): Promise<void> {
    return fleet.advance(this.ms);
  }

  toString(): string {
    return `advance(${this.ms})`;
  }
}

export class CrashWorker extends WhileUp {
  readonly kind: string;
  readonly replica: number;

  constructor(kind: string, replica: number) {
    super();
    this.kind = kind;
    this.replica = replica;
  }

  protected async act(_model: FleetModel, fleet: AnyFleet): Promise<void> {
    fleet.crashWorker(this.kind, this.replica);
    await fleet.advance(0);
  }

  toString(): string {
    return `crashWorker(${this.kind}, ${this.replica})`;
  }
}

export class Kill extends WhileUp {
  readonly afterDeliveries: number;

  constructor(afterDeliveries: number) {
    super();
    this.afterDeliveries = afterDeliveries;
  }

  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    fleet.kill({ afterDeliveries: this.afterDeliveries });
    // What is on its way is delivered up to there; should it be less, it dies all the same.
    await fleet.advance(0);
    fleet.kill();
    model.isUp = false;
  }

  toString(): string {
    return `kill(${this.afterDeliveries})`;
  }
}

export class Restart extends Command {
  check(): boolean {
    return true;
  }

  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    await fleet.restart();
    model.isUp = true;
  }

  toString(): string {
    return 'restart';
  }
}

/** Whoever asks the fleet for a task that was accepted is told of that very task. */
export class LookUp extends OfTask {
  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    const { id, kind } = model.sure(this.which)!;
    try {
      const found = await fleet.lookUp(id);
      if (found?.id !== id || found.kind !== kind)
        throw new FleetModelError({ command: this.toString(), task: id }, `${id} of ${kind} to be told`, found);
    } catch (error) {
      passing(error);
    }
  }

  toString(): string {
    return `lookUp(${this.which})`;
  }
}

export class Close extends WhileUp {
  readonly deadlineMs: number;

  constructor(deadlineMs: number) {
    super();
    this.deadlineMs = deadlineMs;
  }

  protected async act(model: FleetModel, fleet: AnyFleet): Promise<void> {
    await fleet.close({ deadlineMs: this.deadlineMs });
    model.isUp = false;
  }

  toString(): string {
    return `close(${this.deadlineMs})`;
  }
}

/** A refusal that faults bring, and that says nothing of the fleet. Anything else is thrown on. */
function passing(error: unknown): void {
  const { code } = (error ?? {}) as { readonly code?: string };
  if (!['DROVER_STORE_FAILED', 'DROVER_FLEET_FULL', 'DROVER_FLEET_CLOSED', 'DROVER_VIRTUAL_FLEET_DOWN'].includes(code ?? '')) throw error;
}
