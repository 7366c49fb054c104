/**
 * SqliteWaits: who is parked for what. A child or an event that somebody waits for is a row, under
 * the fence of the run that parked: so what a later run waits for is not taken for it.
 */
import type { SettledOutcome } from '../../actors/ports/store.ts';
import type { Known } from './sqlite-known.ts';
import type { Cell } from './sqlite-rows-statement.ts';

type ParkedOutcome = Extract<SettledOutcome, { at: 'parked' }>;
type Awaited = NonNullable<ParkedOutcome['events']>[number];

/** How a task stands that is to park: it has to wait, until when at most; or what it waits for is there. */
export type Waiting = { readonly at: 'there' } | { readonly at: 'waits'; readonly untilMs: number | null };

/** A run that has parked under this fence. */
export interface Parked {
  readonly seq: number;
  readonly fence: number;
}

type GatherRow = readonly [seq: number, fence: number, gatherMs: number, missing: number, dueMs: number | null];

/** Of one command. */
export class SqliteWaits {
  readonly #known: Known;
  readonly #nowMs: number;
  /** Those that have begun to gather by this command, and until when. */
  readonly #gathering = new Map<number, number>();
  /** Whether there is a row of that sort at all, once it was looked at: most stores have none. */
  readonly #any: { gather?: boolean; eventWait?: boolean } = {};
  /** Of the children of those that park, who has ended. */
  #ended: ReadonlySet<unknown> = new Set();
  /** Rows that are written together. */
  #waits: Cell[] = [];
  #gathers: Cell[] = [];

  constructor(known: Known, nowMs: number) {
    this.#known = known;
    this.#nowMs = nowMs;
  }

  /** When the next of those comes due that have begun to gather by this command. */
  get nextAtMs(): number | undefined {
    return this.#gathering.size === 0 ? undefined : Math.min(...this.#gathering.values());
  }

  /** Those are going to park: looks up whether their children have ended. */
  expect(outcomes: readonly ParkedOutcome[]): void {
    const children = new Set(outcomes.flatMap((outcome) => outcome.children));
    if (children.size > 0) this.#ended = new Set((this.#known.sql.endedOf.all([...children]) as [string][]).map(([id]) => id));
  }

  /** A run parks: notes what is not there yet. It is expected, and written by `flush`. */
  park(seq: number, fence: number, { children, events = [], wakeAtMs, gatherMs = 0 }: ParkedOutcome): Waiting {
    if (wakeAtMs !== null && wakeAtMs <= this.#nowMs) return { at: 'there' };
    const wanted = new Set(children);
    const named = new Map(events.map((event) => [`${event.n} ${event.name}`, event]));
    const missingChildren = [...wanted].filter((id) => !this.#ended.has(id));
    const missingEvents = [...named.values()].filter((event) => !this.#isTold(seq, event));
    const missing = missingChildren.length + missingEvents.length;
    const several = wanted.size + named.size;
    const some = missing < several;
    if (some && (missing === 0 || !(gatherMs > 0))) return { at: 'there' };
    for (const child of missingChildren) this.#waits.push(child, seq, fence);
    for (const { name, n } of missingEvents) {
      this.#any.eventWait = true;
      this.#known.sql.addEventWait.run(seq, name, n, fence);
    }
    if (!(gatherMs > 0) || several < 2) return { at: 'waits', untilMs: wakeAtMs };
    this.#any.gather = true;
    this.#gathers.push(seq, fence, some ? -1 : gatherMs, missing);
    return { at: 'waits', untilMs: some ? this.#gatherUntil(seq, wakeAtMs, gatherMs) : wakeAtMs };
  }

  /** Writes what was noted of those that have parked. */
  flush(): void {
    const { sql } = this.#known;
    sql.addWaits.run(this.#waits);
    sql.setGather.run(this.#gathers);
    this.#waits = [];
    this.#gathers = [];
  }

  /** Children have ended: those who waited for them, and need not any more. */
  wokenByChildren(ids: readonly string[]): readonly Parked[] {
    const waiting = new Map<string, Parked[]>();
    for (const [child, seq, fence] of this.#known.sql.takeWaits.all(ids) as [string, number, number][]) {
      const before = waiting.get(child);
      if (before === undefined) waiting.set(child, [{ seq, fence }]);
      else before.push({ seq, fence });
    }
    return waiting.size === 0 ? [] : this.#gathered(ids.flatMap((id) => waiting.get(id) ?? []));
  }

  /** A task was told: the fence under which it waited for that, if it need not wait any more. */
  wokenByEvent(seq: number, { name, n }: Awaited): number | undefined {
    const [fence] = (this.#known.sql.takeEventWait.get(seq, name, n) ?? []) as unknown as [number | undefined];
    return fence === undefined ? undefined : this.#gathered([{ seq, fence }])[0]?.fence;
  }

  /** It does not wait any more. */
  forget(seq: number): void {
    this.#gathering.delete(seq);
    if (this.#anyGather()) this.#known.sql.endGather.run(seq);
    this.#any.eventWait ??= (this.#known.sql.anyEventWait.get() as unknown as [number])[0] === 1;
    if (this.#any.eventWait) this.#known.sql.forgetEventWaits.run([seq]);
  }

  #anyGather(): boolean {
    return (this.#any.gather ??= (this.#known.sql.anyGather.get() as unknown as [number])[0] === 1);
  }

  /** For each of these one thing more is there. Those for whom nothing else may still follow. */
  #gathered(parked: readonly Parked[]): readonly Parked[] {
    if (!this.#anyGather()) return parked;
    const { sql } = this.#known;
    const rows = sql.gathersOf.all([...new Set(parked.map(({ seq }) => seq))]) as GatherRow[];
    const gathers = new Map(rows.map(([seq, fence, gatherMs, missing, dueMs]) => [seq, { fence, gatherMs, missing, dueMs }]));
    const changed = new Map<number, number>();
    const woken = parked.filter(({ seq, fence }) => {
      const gather = gathers.get(seq);
      if (gather !== undefined && gather.fence === fence && gather.missing > 1) {
        gather.missing -= 1;
        changed.set(seq, gather.missing);
        return false;
      }
      // It is woken, and what follows finds nobody. Who waits under another fence goes on waiting.
      if (gather?.fence !== fence) return true;
      this.#gathering.delete(seq);
      gathers.delete(seq);
      changed.delete(seq);
      return true;
    });
    const cells: Cell[] = [];
    for (const [seq, missing] of changed) {
      const { fence, gatherMs, dueMs } = gathers.get(seq)!;
      cells.push(seq, fence, -1, missing);
      // Less than nothing: it has begun to gather before.
      if (gatherMs >= 0) sql.setDue.run(this.#gatherUntil(seq, dueMs, gatherMs), seq);
    }
    sql.setGather.run(cells);
    return woken;
  }

  #gatherUntil(seq: number, wakeAtMs: number | null, gatherMs: number): number {
    const untilMs = Math.min(wakeAtMs ?? Infinity, this.#nowMs + gatherMs);
    this.#gathering.set(seq, untilMs);
    return untilMs;
  }

  #isTold(seq: number, { name, n }: Awaited): boolean {
    return (this.#known.sql.hasEvent.get(seq, name, n) as unknown as [number])[0] === 1;
  }
}
