/**
 * Effects: the world outside, which knows nothing of the fleet but what comes with each effect. It makes
 * one effect a key, and refuses whoever has been overtaken: a smaller fence of a task, or a smaller
 * token of a lock, than it has seen.
 */
import { seededRandom } from '../../actors/kernel/random.ts';

/** As a run makes it. Times are the wall clock's. */
export interface Effect {
  /** Idempotency key. */
  readonly key: string;
  readonly task: string;
  readonly fence: number;
  /** The same whenever the effect is made again. */
  readonly payload: string;
  /** What the run has locked for it, under which token. */
  readonly lock?: { readonly resource: string; readonly fence: number };
  readonly pid: number;
  /** When the run began that makes it. */
  readonly runAtMs: number;
  /** When its step was begun. */
  readonly begunAtMs: number;
}

/** What became of an effect. */
export type Verdict =
  | 'accepted'
  /** It has been made already: nothing happens. */
  | 'known'
  | 'stale-fence'
  | 'stale-lock'
  /** The key is known with another payload. */
  | 'differs'
  /** Nothing has happened. Some effects fail when they are made for the first time. */
  | 'failed';

/** A line of its log. */
export interface LoggedEffect extends Effect {
  readonly verdict: Verdict;
  readonly atMs: number;
}

const SHARE_THAT_FAILS = 1 / 12;

/** What the world has seen. */
export class Effects {
  readonly #payloads = new Map<string, string>();
  readonly #fences = new Map<string, number>();
  readonly #lockFences = new Map<string, number>();
  readonly #failed = new Set<string>();

  receive({ key, task, fence, lock, payload }: Effect): Verdict {
    if (fence < (this.#fences.get(task) ?? 0)) return 'stale-fence';
    this.#fences.set(task, fence);
    if (lock !== undefined) {
      if (lock.fence < (this.#lockFences.get(lock.resource) ?? 0)) return 'stale-lock';
      this.#lockFences.set(lock.resource, lock.fence);
    }
    const known = this.#payloads.get(key);
    if (known !== undefined) return known === payload ? 'known' : 'differs';
    if (!this.#failed.has(key) && seededRandom(key).next() < SHARE_THAT_FAILS) {
      this.#failed.add(key);
      return 'failed';
    }
    this.#payloads.set(key, payload);
    return 'accepted';
  }
}
