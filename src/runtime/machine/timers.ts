/**
 * Timers: the delays of a machine. XState keeps them as timeouts that begin anew, or not at all, when a
 * snapshot is restored. Here each has an absolute time, which is remembered with the snapshot, and is
 * something that the run waits for: it parks over it like over `ctx.sleep`.
 */
import type { AnyActorRef } from 'xstate';
import type { Run } from '../run.ts';
import { PayloadInvalidError } from '../errors.ts';
import { Pending } from '../run/operation.ts';
import { LONGEST_SLEEP_MS } from '../run/waits.ts';
import { actorAt, pathOf } from './actors.ts';
import type { KeptTimer } from './record.ts';

interface Timer extends Pick<KeptTimer, 'id' | 'event' | 'dueMs'> {
  readonly source: AnyActorRef;
  readonly target: AnyActorRef;
  readonly wait: Pending;
  /** Its alarm has gone off. */
  isOver: boolean;
}

/** What XState calls its scheduler. */
interface Scheduler {
  schedule: (source: AnyActorRef, target: AnyActorRef, event: { readonly type: string }, delay: number, id?: string) => void;
  cancel: (source: AnyActorRef, id: string) => void;
  cancelAll: (source: AnyActorRef) => void;
}

export interface TimersOptions {
  readonly run: Run;
  /** Gives a delayed event to whom it is for. */
  readonly fire: (target: AnyActorRef, event: { readonly type: string }) => void;
  /** Those that are over wait for `fireFirst`. */
  readonly isHeld: () => boolean;
}

export class MachineTimers {
  readonly #run: Run;
  readonly #options: TimersOptions;
  /** In the order in which they were set. */
  readonly #timers = new Set<Timer>();
  #unnamed = 0;
  #refused: PayloadInvalidError | undefined;

  constructor(options: TimersOptions) {
    this.#run = options.run;
    this.#options = options;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** Why the machine cannot go on: a delay that is none. */
  get refused(): PayloadInvalidError | undefined {
    return this.#refused;
  }

  /** Takes the place of the scheduler of a system. */
  takeOver({ scheduler }: { readonly scheduler: Scheduler }): void {
    scheduler.schedule = (source, target, event, delay, id) => {
      // Thrown here it would be an error of the actor alone, which it may catch.
      this.#refused ??= refusalOf(delay, event.type);
      if (this.#refused !== undefined) return;
      const name = id ?? this.#freeName();
      this.#cancel((timer) => timer.source === source && timer.id === name);
      this.#set({ source, target, event, id: name, dueMs: this.#run.engine.nowMs() + Math.max(0, delay) });
    };
    scheduler.cancel = (source, id) => this.#cancel((timer) => timer.source === source && timer.id === id);
    scheduler.cancelAll = (source) => this.#cancel((timer) => timer.source === source);
  }

  /** When the first of those that are over was due; undefined: none is. */
  get firstDueMs(): number | undefined {
    return this.#firstOver()?.dueMs;
  }

  /** Of those that are over. */
  fireFirst(): void {
    const first = this.#firstOver();
    if (first !== undefined) this.#fire(first);
  }

  /** Sets those that were kept. What is overdue comes at once, in the order in which it was due. */
  restore(root: AnyActorRef, kept: readonly KeptTimer[]): void {
    for (const { source, target, ...timer } of kept.toSorted((a, b) => a.dueMs - b.dueMs)) {
      const from = actorAt(root, source);
      const to = actorAt(root, target);
      if (from !== undefined && to !== undefined) this.#set({ ...timer, source: from, target: to });
    }
  }

  kept(): readonly KeptTimer[] {
    return [...this.#timers].map(({ source, target, id, event, dueMs }) => ({
      source: pathOf(source),
      target: pathOf(target),
      id,
      event,
      dueMs,
    }));
  }

  #set(timer: Omit<Timer, 'wait' | 'isOver'>): void {
    // A run that has parked meanwhile opens nothing that nobody would close.
    if (this.#run.over !== undefined) return;
    const { engine } = this.#run;
    const wait = this.#run.opened(new Pending());
    const set: Timer = { ...timer, wait, isOver: false };
    this.#timers.add(set);
    wait.waitsFor = 'sleep';
    wait.untilMs = timer.dueMs;
    wait.stop = engine.alarm(Math.max(0, timer.dueMs - engine.nowMs()), () => {
      set.isOver = true;
      if (!this.#options.isHeld()) this.#fire(set);
    });
    this.#run.parks.linger();
  }

  #fire(timer: Timer): void {
    // Parked meanwhile it is still remembered, and comes in the next run.
    timer.wait.cancel();
    if (!this.#run.done(timer.wait)) return;
    this.#timers.delete(timer);
    this.#options.fire(timer.target, timer.event);
  }

  #firstOver(): Timer | undefined {
    const nowMs = this.#run.engine.nowMs();
    let first: Timer | undefined;
    for (const timer of this.#timers)
      if ((timer.isOver || timer.dueMs <= nowMs) && (first === undefined || timer.dueMs < first.dueMs)) first = timer;
    return first;
  }

  #cancel(which: (timer: Timer) => boolean): void {
    for (const timer of this.#timers) {
      if (!which(timer)) continue;
      this.#timers.delete(timer);
      timer.wait.cancel();
      this.#run.done(timer.wait);
    }
  }

  /** Of one that nobody can cancel. */
  #freeName(): string {
    let name: string;
    do name = `delay-${(this.#unnamed += 1)}`;
    while ([...this.#timers].some(({ id }) => id === name));
    return name;
  }
}

/** A delay that is over already comes at once, as XState has it. */
function refusalOf(delay: number, event: string): PayloadInvalidError | undefined {
  if (delay <= LONGEST_SLEEP_MS) return undefined;
  const message = 'expected milliseconds of at most a hundred years; to wait for ever, wait for an event';
  return new PayloadInvalidError(`delay of ${event}`, [{ path: '', message }], delay, false);
}
