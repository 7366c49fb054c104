/**
 * SqliteOrder: of the tasks with one order key only one is queued or held at a time. Commands move
 * tasks as if there were no keys and tell of each that has one; before they end, `arrange` puts the
 * lines right:
 *
 *   - Whoever is held has the turn; else the oldest unfinished one that is not parked for a child, an
 *     event or an approval.
 *   - If that one is parked for `order`, it is queued.
 *   - Everybody else who is queued is parked for `order`.
 */
import type { Known } from './sqlite-known.ts';
import { toFree } from './sqlite-rows.ts';
import type { FreeRow, FreeTask } from './sqlite-rows.ts';
import { STATUS } from './task-status.ts';

/** Whoever is parked for one of these lets the next one by. */
const LETS_BY: ReadonlySet<string> = new Set(['child', 'event', 'approval']);

/** Of one command. */
export class SqliteOrder {
  readonly #known: Known;
  readonly #nowMs: number;
  readonly #ready: Set<string>;
  readonly #raise: (seq: number, priority: number) => void;
  /** Lines that have changed, and the highest priority that has come into each. */
  readonly #touched = new Map<string, number>();
  /** Those that were queued by this command. */
  readonly #queued = new Set<number>();
  /** Those that were parked for their turn, and may stand in line for locks. */
  readonly #outOfTurn: number[] = [];

  /** `ready` gets the kinds that have got something to claim; `raise` hears who is in the way of whom. */
  constructor(known: Known, nowMs: number, ready: Set<string>, raise: (seq: number, priority: number) => void) {
    this.#known = known;
    this.#nowMs = nowMs;
    this.#ready = ready;
    this.#raise = raise;
  }

  /** Something about this line has changed. */
  touch(orderKey: string): void {
    if (!this.#touched.has(orderKey)) this.#touched.set(orderKey, -Infinity);
  }

  /** Nobody has this key any more: there is no line to put right. */
  emptied(orderKey: string): void {
    this.#touched.delete(orderKey);
  }

  /** Somebody new is parked for his turn. */
  arrived(orderKey: string, priority: number): void {
    this.#touched.set(orderKey, Math.max(priority, this.#touched.get(orderKey) ?? -Infinity));
  }

  /** This one has been queued, and may have to go back. */
  queued(orderKey: string, seq: number): void {
    this.touch(orderKey);
    this.#queued.add(seq);
  }

  /** Who has been parked for his turn and may stand in line for locks: there he would be in the way of others. */
  arrange(): readonly number[] {
    if (this.#touched.size > 0) this.#known.claims.write();
    for (const [key, highest] of this.#touched) this.#arrange(key, highest);
    this.#touched.clear();
    this.#queued.clear();
    return this.#outOfTurn.splice(0);
  }

  /** Those of these keys that somebody has who has not ended. */
  keysInUse(orderKeys: readonly (string | null)[]): Set<string> {
    const { held, sql } = this.#known;
    const inUse = new Set<string>();
    const others: string[] = [];
    for (const key of orderKeys) {
      if (key === null) continue;
      if (held.ofKey(key) === undefined) others.push(key);
      else inUse.add(key);
    }
    for (const [key] of sql.keysInUse.all(others) as [string][]) inUse.add(key);
    return inUse;
  }

  /** Whether nobody has this key who has not ended. */
  #isFree(orderKey: string): boolean {
    const { held, sql } = this.#known;
    return held.ofKey(orderKey) === undefined && (sql.anyOfKey.get(orderKey) as unknown as [number])[0] === 0;
  }

  #arrange(orderKey: string, arrived: number): void {
    if (this.#isFree(orderKey)) return;
    const rows = this.#rows(orderKey);
    const held = this.#known.held.ofKey(orderKey);
    const turn = held === undefined ? headOf(this.#known, orderKey, rows[0]) : undefined;
    let highest = arrived;
    for (const task of rows) {
      if (task.status !== STATUS.queued) continue;
      if (task.seq === turn?.seq) {
        if (this.#queued.has(task.seq)) this.#ready.add(task.kind);
      } else {
        this.#known.sql.move.run(STATUS.parked, task.resumed, null, 'order', task.seq);
        this.#known.tally.moved(task.kind, STATUS.queued, STATUS.parked);
        this.#known.turns.gone(task.kind, task.tenant, task.resumed);
        highest = Math.max(highest, task.priority);
        if (task.options?.locks !== undefined) this.#outOfTurn.push(task.seq);
      }
    }
    const ahead = held?.seq ?? turn?.seq;
    if (ahead !== undefined && highest > -Infinity) this.#raise(ahead, highest);
    if (turn?.parkedFor === 'order') {
      this.#known.sql.move.run(STATUS.queued, turn.resumed, this.#nowMs, null, turn.seq);
      this.#known.tally.moved(turn.kind, STATUS.parked, STATUS.queued);
      this.#known.turns.queued(turn.kind, turn.tenant, turn.resumed);
      this.#ready.add(turn.kind);
    }
  }

  /** Those that are not parked. */
  #rows(orderKey: string): FreeTask[] {
    return (this.#known.sql.ofKey.all(orderKey) as unknown as FreeRow[]).map(toFree);
  }
}

/** Whose turn it is, if nobody of this key is held; `first`: the oldest that is not parked. */
export function headOf({ sql }: Known, orderKey: string, first: FreeTask | undefined): FreeTask | undefined {
  let head = first;
  // There are as many reasons as words for them, and each has a part of the index.
  for (let reason = ''; ;) {
    const next = sql.nextReason.get(orderKey, reason) as unknown as [string] | undefined;
    if (next === undefined) return head;
    [reason] = next;
    if (LETS_BY.has(reason)) continue;
    const oldest = toFree(sql.oldestParked.get(orderKey, reason) as unknown as FreeRow);
    if (head === undefined || oldest.seq < head.seq) head = oldest;
  }
}
