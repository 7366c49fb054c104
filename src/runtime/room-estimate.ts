/**
 * Room estimate: when a full store will have room for somebody from outside. It compares how many tasks were unfinished a
 * while ago and are now, and how many from outside came in between: the difference is what has made room, children and
 * their ends included.
 *
 * Each refusal takes a place in a line that nobody keeps: the next one is told to come later by the time that one place
 * takes. So a crowd that was refused does not come back as a crowd. The line is never longer than the backlog takes to end
 * at the present pace: by then there has been room, whoever was promised it. Who is refused beyond that goes round again
 * from its head, since many do not come when they were told to.
 */
import type { TaskCounts } from '../../actors/ports/store.ts';

/** Everything of the store, or one kind. */
const ALL = '*';
const SAMPLE_MS = 1_000;
/** What was longer ago says nothing about now. */
const WINDOW_SAMPLES = 30;
const MOST_GAP_SAMPLES = 5;
/** Before anything is known. */
const UNKNOWN_MS = 1_000;
export const SOONEST_MS = 100;
export const LATEST_MS = 60_000;

interface Sample {
  readonly atMs: number;
  readonly unfinished: ReadonlyMap<string, number>;
  readonly accepted: ReadonlyMap<string, number>;
}

export class RoomEstimate {
  readonly #counts: () => Promise<Readonly<Record<string, TaskCounts>>>;
  /** Tasks from outside that the store has accepted, by kind. */
  readonly #accepted = new Map<string, number>();
  #samples: Sample[] = [];
  /** Of the last time that somebody was refused for a while: better than nothing. */
  #before: Sample[] = [];
  /** Until when places are promised, by what is full. */
  readonly #promisedMs = new Map<string, number>();
  #askedMs = -Infinity;

  constructor(counts: () => Promise<Readonly<Record<string, TaskCounts>>>) {
    this.#counts = counts;
  }

  accepted(kind: string): void {
    this.#accepted.set(kind, (this.#accepted.get(kind) ?? 0) + 1);
  }

  /** For one more that is refused. `kind`: it is full of that kind; undefined: of everything. `tenant`: of that one's tasks. */
  retryAfterMs(nowMs: number, kind: string | undefined, tenant?: { readonly name: string; readonly limit: number }): number {
    this.#look(nowMs);
    const pace = this.#pace(kind ?? ALL, tenant?.limit);
    if (pace === undefined) return UNKNOWN_MS;
    const key = tenant === undefined ? (kind ?? ALL) : JSON.stringify([kind, tenant.name]);
    const { eachMs, allMs } = pace;
    const nextMs = Math.max(nowMs, this.#promisedMs.get(key) ?? 0) + eachMs;
    const promisedMs = Math.min(nextMs > nowMs + allMs ? nowMs + eachMs : nextMs, nowMs + LATEST_MS);
    this.#promisedMs.set(key, promisedMs);
    return Math.ceil(Math.max(SOONEST_MS, promisedMs - nowMs));
  }

  /**
   * How long it has taken lately until there was room for one more, and how long all that is unfinished takes at that.
   * `own`: how much of it is a tenant's, whose tasks are taken to end as fast as the others'.
   */
  #pace(key: string, own?: number): { readonly eachMs: number; readonly allMs: number } | undefined {
    const samples = this.#samples.length > 1 ? this.#samples : this.#before;
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || first === last) return undefined;
    const unfinished = last.unfinished.get(key) ?? 0;
    const grown = unfinished - (first.unfinished.get(key) ?? 0);
    const made = (last.accepted.get(key) ?? 0) - (first.accepted.get(key) ?? 0) - grown;
    if (made <= 0) return { eachMs: Infinity, allMs: Infinity };
    const share = own === undefined ? 1 : Math.min(1, own / Math.max(1, unfinished));
    const eachMs = (last.atMs - first.atMs) / (made * share);
    return { eachMs, allMs: eachMs * Math.max(1, own ?? unfinished) };
  }

  /** Counts, at most once a second, and only while somebody is refused: a fleet that has room pays nothing for this. */
  #look(nowMs: number): void {
    if (nowMs - this.#askedMs < SAMPLE_MS) return;
    this.#askedMs = nowMs;
    const accepted = withAll(this.#accepted);
    this.#counts().then(
      (counts) => {
        const unfinished = withAll(new Map(Object.entries(counts).map(([kind, of]) => [kind, unfinishedOf(of)])));
        // There was room in between, and nobody knows for how long.
        const last = this.#samples.at(-1);
        if (last !== undefined && nowMs - last.atMs > SAMPLE_MS * MOST_GAP_SAMPLES) {
          if (this.#samples.length > 1) this.#before = this.#samples;
          this.#samples = [];
        }
        this.#samples.push({ atMs: nowMs, unfinished, accepted });
        if (this.#samples.length > WINDOW_SAMPLES) this.#samples.shift();
      },
      // A guess that cannot be made better stays as it is.
      () => {},
    );
  }
}

function withAll(byKind: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  let all = 0;
  for (const count of byKind.values()) all += count;
  return new Map([...byKind, [ALL, all]]);
}

function unfinishedOf({ queued, leased, running, retrying, parked }: TaskCounts): number {
  return queued + leased + running + retrying + parked;
}
