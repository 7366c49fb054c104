/** Ledger: what came of the tasks and the records, whoever did it. It sees only what happened, not which layers there were. */
import { BAD_FROM_MS, BAD_WINDOW_MS, START_MS, WORKERS } from './chaos80-scene.ts';
import type { Item, Scene } from './chaos80-scene.ts';
import type { Provider } from './chaos80-provider.ts';

/** A record holds the tasks that have written it, in order. */
export type Contents = readonly number[];

const EMPTY: Contents = [];

export interface Outcome {
  /** Tasks executed to their effect more than once, % of all. */
  readonly duplicated: number;
  /** Effects that are not in their record at the end. */
  readonly lostUpdates: number;
  /** Writes over what somebody else has written since it was read, a minute. */
  readonly conflictsAMinute: number;
  /** Runs that were made to wait for a record, or refused a stale write, a minute. */
  readonly preventedAMinute: number;
  /** Tasks that never had their effect, % of all. */
  readonly tasksLost: number;
  /** First completions in the time after one agent turned bad. */
  readonly inWindow: number;
  /** Spent above the budget, % of it. */
  readonly overspent: number;
  /** 429s, % of tries. */
  readonly refused: number;
  /** Calls into a provider that is down. */
  readonly whileDown: number;
  /** Time in which workers were not there, % of all workers' time; without restarts of the whole process. */
  readonly away: number;
  readonly makespanS: number;
  /** Tasks done a minute, each once. */
  readonly perMinute: number;
}

/** A plain table: no versions, whoever writes last is right. */
export class PlainTable {
  readonly #rows = new Map<string, Contents>();
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  read(record: string): Contents {
    return this.#rows.get(record) ?? EMPTY;
  }

  write({ at, record }: Item, seen: Contents): void {
    if (this.read(record) !== seen) this.#ledger.conflicts += 1;
    this.#rows.set(record, [...seen, at]);
    this.#ledger.effect(at);
  }

  get rows(): ReadonlyMap<string, Contents> {
    return this.#rows;
  }
}

export class Ledger {
  conflicts = 0;
  prevented = 0;
  readonly #scene: Scene;
  readonly #nowMs: () => number;
  /** By task: how often it had its effect. */
  readonly #effects = new Map<number, number>();
  /** Completed or given up. */
  readonly #ended = new Set<number>();
  readonly #completed = new Set<number>();
  #inWindow = 0;
  #lastMs = 0;
  readonly #away = new Map<number, number>();
  #awayMs = 0;

  constructor(scene: Scene, nowMs: () => number) {
    this.#scene = scene;
    this.#nowMs = nowMs;
  }

  get isOver(): boolean {
    return this.#ended.size === this.#scene.items.length;
  }

  /** Virtual time since the start. */
  get sinceMs(): number {
    return this.#nowMs() - START_MS;
  }

  hasEnded(item: number): boolean {
    return this.#ended.has(item);
  }

  effect(item: number): void {
    this.#effects.set(item, (this.#effects.get(item) ?? 0) + 1);
  }

  completed(item: number): void {
    this.#ended.add(item);
    if (this.#completed.has(item)) return;
    this.#completed.add(item);
    this.#lastMs = this.sinceMs;
    if (this.#lastMs >= BAD_FROM_MS && this.#lastMs < BAD_FROM_MS + BAD_WINDOW_MS) this.#inWindow += 1;
  }

  givenUp(item: number): void {
    this.#ended.add(item);
  }

  left(worker: number): void {
    if (!this.isOver && !this.#away.has(worker)) this.#away.set(worker, this.sinceMs);
  }

  came(worker: number): void {
    const fromMs = this.#away.get(worker);
    if (fromMs === undefined) return;
    this.#away.delete(worker);
    this.#awayMs += Math.max(0, this.sinceMs - fromMs);
  }

  /**
   * @param records what is in them at the end
   * @param isVersioned a record is written by the transaction that completes the task: what is in it is the effect
   */
  close(records: ReadonlyMap<string, Contents>, isVersioned: boolean, provider: Provider): Outcome {
    if (isVersioned) for (const contents of records.values()) for (const item of contents) this.effect(item);
    for (const worker of this.#away.keys()) this.came(worker);
    const { items, budgetUsd } = this.#scene;
    const minutes = Math.max(this.#lastMs, 1) / 60_000;
    const written = new Set([...this.#effects.keys(), ...this.#completed]);
    const lost = [...written].filter((item) => !(records.get(items[item]!.record) ?? []).includes(item));
    const twice = [...this.#effects.values()].filter((times) => times > 1);
    return {
      duplicated: (100 * twice.length) / items.length,
      lostUpdates: lost.length,
      conflictsAMinute: this.conflicts / minutes,
      preventedAMinute: this.prevented / minutes,
      tasksLost: (100 * (items.length - written.size)) / items.length,
      inWindow: this.#inWindow,
      overspent: (100 * Math.max(0, provider.usd - budgetUsd)) / budgetUsd,
      refused: (100 * provider.refused) / Math.max(1, provider.tries),
      whileDown: provider.whileDown,
      away: (100 * this.#awayMs) / (WORKERS * minutes * 60_000),
      makespanS: minutes * 60,
      perMinute: this.#completed.size / minutes,
    };
  }
}
