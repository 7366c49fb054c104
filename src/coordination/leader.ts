/**
 * Leader: one of many who share a store (over SQLite: within the one process that owns the file) is in office. Each term has
 * an epoch, the fencing token of its lease, which only grows (but a restored backup counts on from where it was): whoever
 * takes commands of a leader refuses those of a smaller epoch than it has seen.
 *
 *     candidate ── elected ──▶ leader ── resigned, or lost ──▶ candidate, once `onElected` has ended
 *
 * A leader that died is replaced within two `ttlMs`. One that cannot reach the store steps down by its own clock before
 * anybody else can be elected. It is the term that leads, not the name: one that was replaced by another term of the same
 * candidate has lost its office.
 */
import { LeaseLostError } from './errors.ts';
import type { Lock } from './locks.ts';
import { LEASE_COMMANDS, takeLease } from './locks.ts';
import type { LeaseStore } from './locks.ts';
import { checkFunction, checkName, checkOptions, checkStore, checkTtl, isPassing, Tools, TOOLS_FIELDS, warnOfListener } from './tools.ts';
import type { CoordinationOptions } from './tools.ts';

export interface LeaderOptions extends CoordinationOptions {
  /**
   * Called at each election. The term goes on when it returns, until `signal` aborts; when it rejects, the term is over.
   * The next term of this candidate does not begin before it has ended.
   */
  readonly onElected: (epoch: number, signal: AbortSignal) => unknown;
  /**
   * Told what `onElected` rejected with, and what the store fails with while this stands or leads: once an outage, at its
   * first failure, until the store has answered again (`retryable`), or once for good: then it stands no more. Default: nobody
   * is. What it throws, or rejects with, disturbs nobody: the first time it is a warning of the process
   * (`DROVER_LISTENER_THREW`).
   */
  readonly onError?: (error: unknown) => unknown;
  /** Who has died is replaced within two of it. At least 10, at most 86,400,000 (a day), default 15,000. */
  readonly ttlMs?: number;
}

const LEADER_TTL_MS = 15_000;
/** After a term that failed it lets others go first, for at least half of this share of the time. */
const PENANCE_SHARE = 0.5;

/** A candidate for an office, and its leader at times. */
export class Candidate implements AsyncDisposable {
  readonly name: string;
  readonly #store: LeaseStore;
  readonly #tools: Tools;
  readonly #options: LeaderOptions;
  readonly #ttlMs: number;
  readonly #closing = new AbortController();
  readonly #campaign: Promise<void>;
  #term: Lock | undefined;
  /** The store has failed, and not answered since. */
  #isAway = false;
  /** Of its listener: what throws once throws each time. */
  #hasWarned = false;

  /** Made by `leader`. */
  constructor(store: LeaseStore, name: string, options: LeaderOptions) {
    checkStore(store, LEASE_COMMANDS);
    this.name = checkName(name, 'name');
    checkOptions(options, ['onElected', 'onError', 'ttlMs', ...TOOLS_FIELDS]);
    checkFunction(options.onElected, 'onElected');
    if (options.onError !== undefined) checkFunction(options.onError, 'onError');
    const { ttlMs = LEADER_TTL_MS } = options;
    this.#store = store;
    this.#options = options;
    this.#tools = new Tools(options);
    this.#ttlMs = checkTtl(ttlMs);
    this.#campaign = this.#stand();
  }

  /** Of its present term; undefined when it does not lead. By the clock. */
  get epoch(): number | undefined {
    return this.#term?.isHeld === true ? this.#term.fence : undefined;
  }

  get isLeader(): boolean {
    return this.epoch !== undefined;
  }

  /** Ends its term, and stands again behind those who wait. Without a term: nothing. */
  async resign(): Promise<void> {
    await this.#term?.release();
  }

  /** Ends its term and stands no more. Resolves when `onElected` has ended: within that it is not to be awaited. */
  async close(): Promise<void> {
    this.#closing.abort(new LeaseLostError({ name: this.name, fence: null, why: 'released' }));
    await this.resign();
    await this.#campaign;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stand(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const term = await takeLease(this.#store, this.#tools, `leader:${this.name}`, this.name, this.#ttlMs, {
          signal,
          hearsOut: true,
          watch: (asked) => this.#watch(asked),
        });
        // Closed in the moment of its election, before anybody could see that it leads.
        if (signal.aborted) return await term.release();
        this.#term = term;
        await this.#lead(term);
      } catch (error) {
        if (signal.aborted) return;
        const released = this.#term?.release();
        this.#tell(error);
        // A store that has failed for good elects nobody any more.
        if (this.#term === undefined && !isPassing(error)) return;
        await released;
        await this.#tools.sleep(this.#ttlMs * PENANCE_SHARE * (0.5 + this.#tools.random.next() / 2), signal);
      } finally {
        this.#term = undefined;
      }
    }
  }

  async #watch<T>(asked: Promise<T>): Promise<T> {
    try {
      const answer = await asked;
      this.#isAway = false;
      return answer;
    } catch (error) {
      // What is for good ends the campaign, and is told there.
      if (isPassing(error) && !this.#isAway && !this.#closing.signal.aborted) {
        this.#isAway = true;
        this.#tell(error);
      }
      throw error;
    }
  }

  /** Waits for nothing. */
  #tell(error: unknown): void {
    const { onError } = this.#options;
    if (onError === undefined) return;
    const told = async (): Promise<unknown> => onError(error);
    told().catch((thrown: unknown) => {
      if (!this.#hasWarned) warnOfListener(`onError of leader ${this.name}`, thrown);
      this.#hasWarned = true;
    });
  }

  async #lead(term: Lock): Promise<void> {
    const over = new Promise<void>((resolve) => {
      if (term.signal.aborted) resolve();
      else term.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    try {
      await this.#options.onElected(term.fence, term.signal);
    } catch (error) {
      // What ends because the term is over has ended as it should.
      if (!term.signal.aborted) throw error;
    }
    await over;
  }
}

/**
 * Stands for election, again and again, until it is closed.
 *
 * @throws CoordinationOptionError
 * @example
 * await using candidate = leader(store, 'scheduler', {
 *   onElected: async (epoch, signal) => schedule({ epoch, signal }),
 * });
 */
export function leader(store: LeaseStore, name: string, options: LeaderOptions): Candidate {
  return new Candidate(store, name, options);
}
