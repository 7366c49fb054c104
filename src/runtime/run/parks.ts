/** Parks: when a run that only waits is abandoned, to go on in another one. */
import type { SettledOutcome } from '../../../actors/ports/store.ts';
import type { Run } from '../run.ts';
import { waitingOf } from './operation.ts';
import type { RunOperation, Waiting } from './operation.ts';
import { parkedFor, parkedForChildren } from './parking.ts';
import { EventWait } from './waits.ts';

/** A run that only waits for admission holds its worker for so long, then it parks. */
const ADMISSION_LINGER_MS = 30_000;
/** A run that parked for admission comes back after 5 to 10 s, or so long after the time that it waits for, spread out so that no herd wakes. */
const ADMISSION_PARK_MS = 5_000;
/** Who is known to wait for longer does not linger. */
const LONG_WAIT_MS = 2_000;

export class RunParks {
  readonly #run: Run;
  readonly #open: readonly RunOperation[];
  #cancelLinger: (() => void) | undefined;
  /** Set once the run is to park at its next safe point; cancels the deadline of that. */
  #cancelYield: (() => void) | undefined;
  /** Of a look at whether it only waits. */
  #cancelQuiet: (() => void) | undefined;
  /** What to do then, in place of parking. */
  #letGo: (() => void) | undefined;
  /** It is in the midst of something: what is open now is not all that it will wait for. */
  #held = 0;

  constructor(run: Run, open: readonly RunOperation[]) {
    this.#run = run;
    this.#open = open;
  }

  /** It is to park, and nothing is in flight: every operation that is open only waits. */
  get isDue(): boolean {
    return this.#cancelYield !== undefined && this.#isSafe();
  }

  /** No safe point until `release`, whatever ends meanwhile. */
  hold(): void {
    this.#held += 1;
  }

  release(): void {
    this.#held -= 1;
    if (this.#run.over === undefined && this.isDue) this.now();
  }

  cancel(): void {
    this.#cancelLinger?.();
    this.#cancelYield?.();
    this.#cancelQuiet?.();
  }

  /** Where nothing is in flight it parks when what has ended just now has been taken further. */
  yieldWithin(withinMs: number): void {
    this.yieldAfterNext(withinMs);
    const { engine } = this.#run;
    this.#cancelQuiet ??= engine.alarm(0, () => {
      this.#cancelQuiet = undefined;
      if (this.#run.over === undefined && this.#isSafe()) this.#forWorker(this.#run.works?.() !== true);
    });
  }

  letGoWithin(withinMs: number, letGo: () => void): void {
    this.#letGo = letGo;
    this.yieldAfterNext(withinMs);
    this.nowIfSafe();
  }

  nowIfSafe(): void {
    if (this.#run.over === undefined && this.#isSafe()) this.now();
  }

  yieldAfterNext(withinMs: number): void {
    if (this.#run.over === undefined) this.#cancelYield ??= this.#run.engine.alarm(Math.max(0, withinMs), () => this.now());
  }

  /** For its worker is suspended, or the task is wanted, whatever is in flight. */
  now(): void {
    this.#forWorker(false);
  }

  /**
   * `isQuiet`: it does nothing but wait for what is open. Otherwise another worker of the kind goes on at once: what has ended
   * last may have left something to do, though all that is open waits, for a day perhaps.
   */
  #forWorker(isQuiet: boolean): void {
    if (this.#letGo !== undefined) return this.#letGo();
    // Who is to be undone does not park for that: he would let go of his locks.
    if (this.#run.undoing !== undefined) return this.#over({ at: 'released' });
    const nowMs = this.#run.engine.nowMs();
    const waiting = waitingOf(this.#open, nowMs);
    const isKnown = waiting !== undefined && waiting.admittedMs === undefined && waiting.locks === undefined;
    this.#park('suspended', waiting, isQuiet && isKnown ? waiting.untilMs : nowMs);
  }

  /** For what the store knows of once that has lingered, for admission after a while. */
  ifOnlyWaiting(nowMs: number, lingered: boolean): boolean {
    if (this.#run.over !== undefined || !this.#run.engine.parking || this.#run.works?.() === true) return false;
    const waiting = waitingOf(this.#open, nowMs);
    const wakeAtMs = waiting === undefined ? undefined : this.#wakeAtMs(waiting, nowMs, lingered);
    if (wakeAtMs === undefined) return false;
    this.#park(waiting!.reason, waiting, wakeAtMs);
    return true;
  }

  /** For these to have ended, all of them. */
  untilEnded(children: readonly string[]): void {
    this.#over(parkedForChildren(children));
  }

  /** The task has been told of an event of that name: who waits for it takes it. */
  told(name: string): void {
    let isMissing = false;
    for (const operation of [...this.#open]) {
      if (!(operation instanceof EventWait) || operation.event?.name !== name) continue;
      operation.told();
      isMissing ||= operation.isTold;
    }
    if (isMissing) this.ifOnlyWaiting(this.#run.engine.nowMs(), false);
  }

  /** Looks again whether to park, once the youngest wait is old enough. */
  linger(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    if (!this.#open.some(({ waitsFor }) => waitsFor !== undefined && waitsFor !== 'admission')) return;
    const { engine, plan } = this.#run;
    this.#cancelLinger = engine.alarm(plan.lingerMs, () => {
      this.#cancelLinger = undefined;
      this.ifOnlyWaiting(engine.nowMs(), true);
    });
  }

  /** When the parked task is to be woken at the latest; undefined: it does not park yet. */
  #wakeAtMs({ admittedMs, untilMs, locks }: Waiting, nowMs: number, lingered: boolean): number | undefined {
    if (locks !== undefined) return nowMs;
    if (this.#open.some((operation) => operation instanceof EventWait && operation.isTold)) return untilMs;
    if (admittedMs === undefined) {
      // What is over so soon need not be parked for.
      const isShort = untilMs > nowMs && untilMs - nowMs <= this.#run.plan.lingerMs;
      return lingered && !isShort ? untilMs : undefined;
    }
    if (admittedMs - nowMs <= LONG_WAIT_MS && nowMs - this.#run.lastSignMs < ADMISSION_LINGER_MS) return undefined;
    const fromMs = Math.max(nowMs + ADMISSION_PARK_MS, admittedMs);
    return Math.min(untilMs, fromMs + ADMISSION_PARK_MS * this.#run.engine.random.next());
  }

  #park(reason: string, waiting: Waiting | undefined, wakeAtMs: number): void {
    this.#over(parkedFor(reason, waiting, wakeAtMs === Infinity ? null : wakeAtMs));
  }

  #over(outcome: SettledOutcome): void {
    if (this.#run.abandon('parked')) this.#run.engine.ended(this.#run, outcome);
  }

  #isSafe(): boolean {
    return this.#held === 0 && this.#open.every(({ waitsFor }) => waitsFor !== undefined);
  }
}
