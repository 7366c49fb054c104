/** Tools: the time, chance and names that coordination works with, and how long it waits between two questions. */
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import { risingIds } from '../../actors/kernel/ids.ts';
import type { Ids } from '../../actors/kernel/ids.ts';
import { systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { StoreFailedError } from '../../actors/ports/store-errors.ts';
import type { Store } from '../../actors/ports/store.ts';
import { CoordinationOptionError } from './errors.ts';
import type { Waiter } from './waiters.ts';

/** For tests and simulation; defaults are those of production. */
export interface CoordinationOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Names of holders: another one each time. */
  readonly ids?: Ids;
}

export interface WaitOptions {
  /**
   * How long to wait at most; 0: not at all. Default: as long as it takes. A store that does not answer is waited for no
   * longer either, but for 1,000 ms at least. What it grants after that is given back.
   */
  readonly waitMs?: number;
  /** Aborted: waits no longer, for the store neither, and rejects with its reason. */
  readonly signal?: AbortSignal;
}

const LEAST_TTL_MS = 10;
/** A day. What is held renews itself: it is held for longer, and who has died is in the way no longer than this. */
const MOST_TTL_MS = 86_400_000;
/** What `ttlMs` may be, in words. */
export const TTL = `milliseconds, at least ${LEAST_TTL_MS}, at most ${MOST_TTL_MS} (a day)`;
/** Room for what sets locks, offices and gates of one name apart. */
const LONGEST_NAME = 500;
/** Who waits asks again after such a share of the lease's time, within these bounds. */
const POLL_SHARE = 0.1;
const LEAST_POLL_MS = 5;
const MOST_POLL_MS = 1_000;
/** What would be given back, or renewed, is tried again after such a share of the lease's time. */
export const RETRY_SHARE = 0.1;
/** So long at least a store has for its answers, for who waits less long would hear of nothing that takes a disk. */
const LEAST_ANSWER_MS = 1_000;
/** Who has not asked again for so many polls is passed over: dead, or standing still. */
const PATIENCE = 4;

/** How long somebody waits. */
export interface Waits {
  readonly beganMs: number;
  readonly untilMs: number;
  readonly signal: AbortSignal | undefined;
}

export class Tools {
  readonly random: Random;
  readonly ids: Ids;
  readonly #clock: Clock;

  constructor({ clock = systemClock(), random = systemRandom, ids = risingIds() }: CoordinationOptions) {
    this.#clock = checkClock(clock);
    this.random = checkRandom(random);
    checkFunction(ids, 'ids');
    this.ids = () => checkId(ids());
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  wakeAt(atMs: number, fire: () => void): () => void {
    return this.#clock.wakeAt(atMs, fire);
  }

  /** How long a waiter may be silent before it has lost its place in line. */
  patienceMs(ttlMs: number): number {
    return pollMs(ttlMs) * PATIENCE;
  }

  /**
   * What the store answers. Of whoever began to wait at `beganMs`, and waits until then, or until the signal aborts: its time
   * is over when this is.
   *
   * @throws StoreFailedError when there is no answer until then
   */
  answer<T>(asked: Promise<T>, of: { readonly store: object; readonly command: keyof Store }, waits: Waits): Promise<T> {
    const { beganMs, untilMs, signal } = waits;
    if (untilMs === Infinity && signal === undefined) return asked;
    const byMs = Math.max(untilMs, beganMs + LEAST_ANSWER_MS);
    return new Promise((resolve, reject) => {
      const over = (): void => {
        settled();
        const { name = 'store' } = of.store as Partial<Store>;
        const why = `no answer within ${Math.round(this.nowMs() - beganMs)} ms`;
        reject(new StoreFailedError({ store: name, command: of.command }, undefined, why));
      };
      const cancel = byMs === Infinity ? undefined : this.wakeAt(byMs, over);
      const settled = (): void => {
        cancel?.();
        signal?.removeEventListener('abort', over);
      };
      signal?.addEventListener('abort', over);
      asked.finally(settled).then(resolve, reject);
      if (signal?.aborted === true) over();
    });
  }

  /** Does it, again and again while it fails, as long as it is worth while for a lease of `ttlMs`. Never rejects. */
  async insist(act: () => Promise<unknown>, untilMs: number, ttlMs: number): Promise<void> {
    do {
      try {
        await act();
        return;
      } catch (error) {
        if (!isPassing(error)) return;
        await this.sleep(ttlMs * RETRY_SHARE, undefined);
      }
    } while (this.nowMs() < untilMs);
  }

  /** Waits until it is worth asking again, or it is woken, or until `untilMs`, or until the signal aborts. */
  rest(ttlMs: number, untilMs: number, signal: AbortSignal | undefined, waiter: Waiter): Promise<void> {
    return this.sleep(Math.min(pollMs(ttlMs) * (0.5 + this.random.next() / 2), Math.max(0, untilMs - this.nowMs())), signal, waiter);
  }

  /** Resolves early when the signal aborts, or the waiter is woken. */
  sleep(ms: number, signal: AbortSignal | undefined, waiter?: Waiter): Promise<void> {
    if (signal?.aborted === true || waiter?.isWoken === true) return Promise.resolve();
    return new Promise((resolve) => {
      const over = (): void => {
        cancel();
        signal?.removeEventListener('abort', over);
        if (waiter !== undefined) waiter.onWake = undefined;
        resolve();
      };
      const cancel = this.wakeAt(this.nowMs() + ms, over);
      signal?.addEventListener('abort', over);
      if (waiter !== undefined) waiter.onWake = over;
    });
  }
}

function pollMs(ttlMs: number): number {
  return Math.min(MOST_POLL_MS, Math.max(LEAST_POLL_MS, ttlMs * POLL_SHARE));
}

/** Whether what failed may go well when it is asked again. */
export function isPassing(error: unknown): boolean {
  return (error as { readonly retryable?: unknown } | null)?.retryable === true;
}

/** There is no log here, and whoever listens is no part of what it listens to: Node prints a warning, or tells `process.on('warning')`. */
export function warnOfListener(who: string, thrown: unknown): void {
  const { name, message, stack } = toErrorRecord(thrown);
  const detail = stack === undefined ? {} : { detail: stack };
  process.emitWarning(`${who} threw ${name}: ${message}`, { type: 'DroverWarning', code: 'DROVER_LISTENER_THREW', ...detail });
}

/** What was got, unless the signal has aborted in the moment when it was: then it is given back. @throws the reason of `signal` */
export function stillWanted<T extends AsyncDisposable>(got: T, signal: AbortSignal | undefined): T {
  if (signal?.aborted === true) void got[Symbol.asyncDispose]();
  signal?.throwIfAborted();
  return got;
}

export function checkName(name: unknown, what: string): string {
  if (typeof name === 'string' && name.length >= 1 && name.length <= LONGEST_NAME && name.isWellFormed()) return name;
  throw new CoordinationOptionError(what, `a text of 1 to ${LONGEST_NAME} characters of well-formed Unicode`, name);
}

/** The fields of `WaitOptions` and `CoordinationOptions`. */
export const WAIT_FIELDS = ['waitMs', 'signal'];
export const TOOLS_FIELDS = ['clock', 'random', 'ids'];

/** @throws CoordinationOptionError for the first option that there is not */
export function checkOptions(options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new CoordinationOptionError('options', `an object with ${known.join(', ')}`, options);
  for (const name in options) {
    if (known.includes(name)) continue;
    throw new CoordinationOptionError(name, `no such option; there are ${known.join(', ')}`, (options as Record<string, unknown>)[name]);
  }
}

/** `commands`: what is needed of it. */
export function checkStore(store: unknown, commands: readonly (keyof Store)[]): void {
  const isStore = typeof store === 'object' && store !== null;
  if (isStore && commands.every((command) => typeof (store as Partial<Store>)[command] === 'function')) return;
  throw new CoordinationOptionError('store', 'a store: memoryStore(), sqlite(path), or that of a fleet', store);
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw new CoordinationOptionError(name, 'a function', value);
}

export function checkClock(clock: unknown): Clock {
  const { nowMs, wakeAt } = (clock ?? {}) as Partial<Clock>;
  if (typeof nowMs === 'function' && typeof wakeAt === 'function') return clock as Clock;
  throw new CoordinationOptionError('clock', 'a clock, with nowMs and wakeAt', clock);
}

function checkRandom(random: unknown): Random {
  if (typeof (random as Partial<Random> | null)?.next === 'function') return random as Random;
  throw new CoordinationOptionError('random', 'chance, with next, int and fork', random);
}

function checkId(id: unknown): string {
  if (typeof id === 'string' && id !== '') return id;
  throw new CoordinationOptionError('ids', 'a function that gives names', id);
}

/** Undefined: there is none. By what it can, for a signal may be another realm's. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, throwIfAborted } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof aborted === 'boolean' && typeof addEventListener === 'function' && typeof throwIfAborted === 'function') return;
  throw new CoordinationOptionError('signal', 'an AbortSignal; of an AbortController, its signal', signal);
}

export function isTtl(ttlMs: unknown): ttlMs is number {
  return typeof ttlMs === 'number' && ttlMs >= LEAST_TTL_MS && ttlMs <= MOST_TTL_MS;
}

export function checkTtl(ttlMs: unknown): number {
  if (isTtl(ttlMs)) return ttlMs;
  throw new CoordinationOptionError('ttlMs', TTL, ttlMs);
}

export function checkWait(waitMs: unknown): number {
  if (typeof waitMs === 'number' && waitMs >= 0) return waitMs;
  throw new CoordinationOptionError('waitMs', 'milliseconds, at least 0', waitMs);
}
