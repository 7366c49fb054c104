/**
 * SqliteWaits: who is parked for what. A child or an event that somebody waits for is a row, under
 * the fence of the run that parked: so what a later run waits for is not taken for it.
 */
import type { SettledOutcome } from '../../actors/ports/store.ts';
import type { Known } from './sqlite-known.ts';
import { FIRST_TERMINAL } from './task-status.ts';

type ParkedOutcome = Extract<SettledOutcome, { at: 'parked' }>;
type Awaited = NonNullable<ParkedOutcome['events']>[number];

/** How a task stands that is to park: it has to wait, until when at most; or what it waits for is there. */
export type Waiting = { readonly at: 'there' } | { readonly at: 'waits'; readonly untilMs: number | null };

/** Of one command. */
export class SqliteWaits {
  readonly #known: Known;
  readonly #nowMs: number;
  /** Those that have begun to gather by this command, and until when. */
  readonly #gathering = new Map<number, number>();

  constructor(known: Known, nowMs: number) {
    this.#known = known;
    this.#nowMs = nowMs;
  }

  /** When the next of those comes due that have begun to gather by this command. */
  get nextAtMs(): number | undefined {
    return this.#gathering.size === 0 ? undefined : Math.min(...this.#gathering.values());
  }

  /** A run parks: notes what is not there yet. */
  park(seq: number, fence: number, { children, events = [], wakeAtMs, gatherMs = 0 }: ParkedOutcome): Waiting {
    const { sql } = this.#known;
    if (wakeAtMs !== null && wakeAtMs <= this.#nowMs) return { at: 'there' };
    const wanted = new Set(children);
    const named = new Map(events.map((event) => [`${event.n} ${event.name}`, event]));
    const missingChildren = [...wanted].filter((id) => !this.#hasEnded(id));
    const missingEvents = [...named.values()].filter((event) => !this.#isTold(seq, event));
    const missing = missingChildren.length + missingEvents.length;
    const several = wanted.size + named.size;
    const some = missing < several;
    if (some && (missing === 0 || !(gatherMs > 0))) return { at: 'there' };
    for (const child of missingChildren) sql.addWait.run(child, seq, fence);
    for (const { name, n } of missingEvents) sql.addEventWait.run(seq, name, n, fence);
    if (!(gatherMs > 0) || several < 2) return { at: 'waits', untilMs: wakeAtMs };
    sql.setGather.run(seq, fence, some ? -1 : gatherMs, missing);
    return { at: 'waits', untilMs: some ? this.#gatherUntil(seq, wakeAtMs, gatherMs) : wakeAtMs };
  }

  /** A child has ended: those who waited for it, and need not any more. */
  *wokenByChild(id: string): Generator<{ readonly seq: number; readonly fence: number }> {
    for (const [seq, fence] of this.#known.sql.takeWaits.all(id) as unknown as [number, number][]) {
      if (!this.#gathers(seq, fence)) yield { seq, fence };
    }
  }

  /** A task was told: the fence under which it waited for that, if it need not wait any more. */
  wokenByEvent(seq: number, { name, n }: Awaited): number | undefined {
    const [fence] = (this.#known.sql.takeEventWait.get(seq, name, n) ?? []) as unknown as [number | undefined];
    return fence === undefined || this.#gathers(seq, fence) ? undefined : fence;
  }

  /** It does not wait any more. */
  forget(seq: number): void {
    this.#gathering.delete(seq);
    if (this.#any('anyGather')) this.#known.sql.endGather.run(seq);
    if (this.#any('anyEventWait')) this.#known.sql.forgetEventWaits.run([seq]);
  }

  /** Whether there is a row of this sort at all: most stores have none. */
  #any(sort: 'anyGather' | 'anyEventWait'): boolean {
    return (this.#known.sql[sort].get() as unknown as [number])[0] === 1;
  }

  /** One of several is there: whether the others may still follow. */
  #gathers(seq: number, fence: number): boolean {
    const { sql } = this.#known;
    if (!this.#any('anyGather')) return false;
    const row = sql.gatherOf.get(seq, fence) as unknown as [gatherMs: number, missing: number] | undefined;
    const due = sql.dueAt.get(seq, fence) as unknown as [number | null] | undefined;
    if (row === undefined || due === undefined || row[1] <= 1) {
      this.#gathering.delete(seq);
      return false;
    }
    sql.setGather.run(seq, fence, -1, row[1] - 1);
    // Less than nothing: it has begun to gather before.
    if (row[0] >= 0) sql.setDue.run(this.#gatherUntil(seq, due[0], row[0]), seq);
    return true;
  }

  #gatherUntil(seq: number, wakeAtMs: number | null, gatherMs: number): number {
    const untilMs = Math.min(wakeAtMs ?? Infinity, this.#nowMs + gatherMs);
    this.#gathering.set(seq, untilMs);
    return untilMs;
  }

  #hasEnded(id: string): boolean {
    const row = this.#known.sql.seqOf.get(id) as unknown as [seq: number, status: number] | undefined;
    return row !== undefined && row[1] >= FIRST_TERMINAL;
  }

  #isTold(seq: number, { name, n }: Awaited): boolean {
    return (this.#known.sql.hasEvent.get(seq, name, n) as unknown as [number])[0] === 1;
  }
}
