/** Client: whoever submits the workload, and wants to know what becomes of it. */
import type { Random } from '../../../actors/kernel/random.ts';
import type { Fleet } from '../../runtime/fleet.ts';
import type { TaskHandle } from '../../runtime/handle.ts';
import { SimulationCallbackError, SimulationOptionError } from '../errors.ts';
import { placeOf } from '../place.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { WorkItem, Workload } from './options.ts';
import type { SimulatedProcess } from './process.ts';
import type { Scene } from './scene.ts';

export interface ClientOptions {
  readonly workload: Workload;
  readonly backlog: number;
  readonly random: Random;
  readonly world: VirtualClock;
  readonly scene: Scene;
  /** No task is taken from the workload that comes later than this. */
  readonly untilMs: number;
  /** The process to submit to; undefined while there is none. */
  readonly process: () => SimulatedProcess | undefined;
}

/** A task on its way into the store. */
interface Pending {
  readonly item: WorkItem;
  readonly id: string;
  /** To which process it was given last. */
  process: SimulatedProcess | undefined;
  /** Not to be submitted before. */
  notBeforeMs: number;
}

/** A refusal that passes: submit again, with the same id. */
const PASSING = ['DROVER_STORE_FAILED', 'DROVER_STORE_CLOSED', 'DROVER_FLEET_CLOSED', 'DROVER_FLEET_FULL'];
const RETRY_MS = 50;

export class Client {
  readonly #options: ClientOptions;
  readonly #startMs: number;
  readonly #pending = new Set<Pending>();
  /** Handles that have not been told how their task ended, and by which process they were given. */
  readonly #untold = new Map<TaskHandle, SimulatedProcess>();
  #items: Iterator<WorkItem> | undefined;
  #next: WorkItem | undefined;
  /** For this one a wake-up is set. */
  #awaited: WorkItem | undefined;
  #count = 0;
  #exhausted = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#startMs = options.world.nowMs();
  }

  /** Nothing more to submit, and everything acknowledged. */
  get isDone(): boolean {
    return this.#exhausted && this.#pending.size === 0;
  }

  /** Whose handles have not been told, of the process that is there. */
  get untold(): string[] {
    const process = this.#options.process();
    return [...this.#untold].filter(([, from]) => from === process).map(([{ id }]) => id);
  }

  /** What the process that is there was given, and has neither taken nor refused. */
  get unanswered(): string[] {
    const process = this.#options.process();
    return [...this.#pending].filter((pending) => process !== undefined && pending.process === process).map(({ id }) => id);
  }

  /** Takes nothing more from the workload. */
  stop(): void {
    this.#exhausted = true;
  }

  /** Submits what has come. True when something was. */
  pump(): boolean {
    const { process, world } = this.#options;
    this.#take();
    const to = process();
    if (to?.fleet === undefined) return false;
    const nowMs = world.nowMs();
    let submitted = false;
    for (const pending of this.#pending) {
      if (pending.process === to || pending.notBeforeMs > nowMs) continue;
      pending.process = to;
      submitted = true;
      this.#submit(pending, to, to.fleet);
    }
    return submitted;
  }

  /** A process is gone: what it had not acknowledged goes to the next. */
  gone(process: SimulatedProcess): void {
    for (const [handle, from] of this.#untold) if (from === process) this.#untold.delete(handle);
  }

  /** Takes from the workload what has come by now. */
  #take(): void {
    const { world, backlog, scene, untilMs } = this.#options;
    const nowMs = world.nowMs();
    if (nowMs > untilMs) this.#exhausted = true;
    while (!this.#exhausted && scene.fatal === undefined) {
      this.#next ??= this.#draw();
      if (this.#next === undefined) return this.stop();
      const { atMs, id } = this.#next;
      if (atMs === undefined ? scene.unfinished.size + this.#pending.size >= backlog : this.#startMs + atMs > nowMs) {
        if (atMs !== undefined) this.#wakeAt(this.#startMs + atMs);
        return;
      }
      this.#count += 1;
      this.#pending.add({ item: this.#next, id: id ?? `task-${this.#count}`, process: undefined, notBeforeMs: nowMs });
      this.#next = undefined;
      this.#awaited = undefined;
    }
  }

  #wakeAt(atMs: number): void {
    if (this.#awaited === this.#next) return;
    this.#awaited = this.#next;
    // Time has to stop there; the rest is done when nothing moves.
    if (atMs <= this.#options.untilMs) this.#options.world.wakeAt(atMs, () => {});
  }

  #draw(): WorkItem | undefined {
    const { workload, random } = this.#options;
    try {
      this.#items ??= (typeof workload === 'function' ? workload(random) : workload)[Symbol.iterator]();
      const { done, value } = this.#items.next();
      if (done === true) return undefined;
      if (typeof (value as unknown) !== 'object' || (value as unknown) === null)
        throw new SimulationOptionError('workload', '{ kind, input }', value);
      if (value.atMs !== undefined && !Number.isFinite(value.atMs))
        throw new SimulationOptionError('workload.atMs', 'milliseconds from the start', value.atMs);
      return value;
    } catch (cause) {
      const bad = cause instanceof SimulationOptionError;
      this.#options.scene.fail(bad ? cause : new SimulationCallbackError({ callback: 'workload', place: placeOf(cause) }, { cause }));
      return undefined;
    }
  }

  #submit(pending: Pending, process: SimulatedProcess, fleet: Fleet): void {
    const { item, id } = pending;
    const { kind, input, priority, notBeforeMs, deadlineMs } = item;
    const options = {
      id,
      ...(priority === undefined ? {} : { priority }),
      ...(notBeforeMs === undefined ? {} : { notBefore: this.#startMs + notBeforeMs }),
      ...(deadlineMs === undefined ? {} : { deadline: this.#startMs + deadlineMs }),
    };
    fleet.submit(kind, input as never, options).then(
      (handle) => process.isAlive && this.#acknowledged(pending, process, handle as TaskHandle),
      (error: unknown) => process.isAlive && this.#refused(pending, error),
    );
  }

  #acknowledged(pending: Pending, process: SimulatedProcess, handle: TaskHandle): void {
    const { scene } = this.#options;
    this.#pending.delete(pending);
    const { id } = pending;
    scene.see({ at: 'client.acknowledged', id, look: process.look });
    this.#untold.set(handle, process);
    handle.result().then(
      (value) => {
        this.#untold.delete(handle);
        scene.see({ at: 'client.told', id, outcome: 'completed', value });
      },
      (error: { readonly code?: unknown } | null) => {
        this.#untold.delete(handle);
        if (error?.code === 'DROVER_TASK_FAILED') scene.see({ at: 'client.told', id, outcome: 'failed', value: error });
        if (error?.code === 'DROVER_TASK_CANCELLED') scene.see({ at: 'client.told', id, outcome: 'cancelled', value: error });
      },
    );
  }

  #refused(pending: Pending, error: unknown): void {
    const { scene, world } = this.#options;
    const code = (error as { readonly code?: string } | null)?.code ?? '';
    if (!PASSING.includes(code)) return scene.fail(error);
    pending.process = undefined;
    pending.notBeforeMs = world.nowMs() + RETRY_MS;
    world.wakeAt(pending.notBeforeMs, () => {});
  }
}
