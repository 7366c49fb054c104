/**
 * Locks: at most one holder of a name at a time, by lease, over all who share a store, first come, first served. Who opens a
 * SQLite file owns it, so over SQLite that is within one process. A lock
 * proves nothing by itself, for its holder may stand still while its time runs out: its fencing token does, which only
 * grows. Give it to whatever you write to, and let that refuse a smaller one than it has seen.
 *
 * @see Gray & Cheriton, "Leases", SOSP 1989; Kleppmann, "How to do distributed locking", 2016
 */
import type { LeaseOutcome, LeaseRecord, Store } from '../../actors/ports/store.ts';
import { LockTakenError } from './errors.ts';
import { Hold } from './hold.ts';
import {
  checkFunction,
  checkName,
  checkOptions,
  checkSignal,
  checkStore,
  checkTtl,
  checkWait,
  isPassing,
  stillWanted,
  Tools,
  TOOLS_FIELDS,
  WAIT_FIELDS,
} from './tools.ts';
import type { CoordinationOptions, WaitOptions } from './tools.ts';
import { Waiter, wakeNext } from './waiters.ts';

/** What locks and leaders need of a store. */
export type LeaseStore = Pick<Store, 'takeLeases' | 'renewLeases' | 'releaseLeases' | 'readLeases'>;

export const LEASE_COMMANDS: readonly (keyof LeaseStore)[] = ['takeLeases', 'renewLeases', 'releaseLeases', 'readLeases'];

export interface LockOptions extends WaitOptions {
  /** So long after its holder has died somebody else can have it; while it lives it renews it. At least 10, at most 86,400,000 (a day), default 30,000. */
  readonly ttlMs?: number;
}

export const LOCK_TTL_MS = 30_000;

/** A lock that was got. It renews itself until it is released or lost. */
export class Lock implements AsyncDisposable {
  readonly name: string;
  /** Greater than that of every lease before it, of any name, over restarts too; a restored backup counts on from where it was. */
  readonly fence: number;
  readonly #hold: Hold;

  /** Made by `locks(store).lock`. */
  constructor(name: string, fence: number, hold: Hold) {
    this.name = name;
    this.fence = fence;
    this.#hold = hold;
  }

  /** Aborts when it is not held any more: with a `LeaseLostError`, whose `detail.why` is `released` after `release`. */
  get signal(): AbortSignal {
    return this.#hold.signal;
  }

  /** By the clock, so it is right also when this process stood still and no timer has fired yet. */
  get isHeld(): boolean {
    return this.#hold.isHeld;
  }

  /** Before an effect that rests on it. @throws LeaseLostError */
  ensureHeld(): void {
    this.#hold.ensure();
  }

  /** Gives it to the next in line. Never rejects: one that cannot be given back ends with its time. */
  release(): Promise<void> {
    return this.#hold.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

export interface Locks {
  /**
   * Waits for its turn and takes the lock. Not reentrant: who has it and asks again waits for himself.
   *
   * @throws LockTakenError after `waitMs`; the reason of `signal`; CoordinationOptionError
   * @throws what the store fails with: for good, or until `waitMs` was over; StoreFailedError, when it did not answer until then
   */
  lock(name: string, options?: LockOptions): Promise<Lock>;
  /**
   * Does something under the lock, and releases it when that has ended. Gives what `fn` gives, also when the lock was lost
   * meanwhile: `fn` heeds its `signal`, and calls `ensureHeld` before each effect.
   *
   * @throws as `lock`, and what `fn` throws
   */
  withLock<T>(name: string, fn: (lock: Lock) => T | Promise<T>, options?: LockOptions): Promise<T>;
  /** Who has it, under which token, and how many wait. Undefined: nobody. */
  look(name: string): Promise<LeaseRecord | undefined>;
}

/**
 * Locks over a store: an open one, a fleet's too.
 *
 * @throws CoordinationOptionError
 * @example
 * const { withLock } = locks(store);
 * await withLock('report', async ({ fence, signal }) => writeReport({ fence, signal }));
 */
export function locks(store: LeaseStore, options: CoordinationOptions = {}): Locks {
  checkStore(store, LEASE_COMMANDS);
  checkOptions(options, TOOLS_FIELDS);
  const tools = new Tools(options);
  const take = (name: string, lockOptions: LockOptions = {}): Promise<Lock> => {
    checkOptions(lockOptions, ['ttlMs', ...WAIT_FIELDS]);
    const { ttlMs = LOCK_TTL_MS, ...wait } = lockOptions;
    return takeLease(store, tools, `lock:${checkName(name, 'name')}`, name, checkTtl(ttlMs), wait);
  };
  return {
    async lock(name, lockOptions) {
      return stillWanted(await take(name, lockOptions), lockOptions?.signal);
    },
    async withLock(name, fn, lockOptions) {
      checkFunction(fn, 'fn');
      await using held = stillWanted(await take(name, lockOptions), lockOptions?.signal);
      return await fn(held);
    },
    async look(name) {
      const [record] = await store.readLeases([`lock:${checkName(name, 'name')}`], tools.nowMs());
      return record === undefined ? undefined : { ...record, name };
    },
  };
}

export interface TakeOptions extends WaitOptions {
  /** Waits for what it has asked the store also when `signal` aborts: then nothing is left to come. Default false. */
  readonly hearsOut?: boolean;
  /** Sees the answer of each question, of renewals too. Default: nobody does. */
  readonly watch?: <T>(asked: Promise<T>) => Promise<T>;
}

/**
 * Stands in line for a lease, by asking again and again, and at once when it is woken, until it is granted. `key` is its
 * name in the store.
 */
export async function takeLease(
  store: LeaseStore,
  tools: Tools,
  key: string,
  name: string,
  ttlMs: number,
  { waitMs = Infinity, signal, hearsOut = false, watch = (asked) => asked }: TakeOptions,
): Promise<Lock> {
  const beganMs = tools.nowMs();
  const untilMs = beganMs + checkWait(waitMs);
  checkSignal(signal);
  const waits = { beganMs, untilMs, signal: hearsOut ? undefined : signal };
  let holder = tools.ids();
  let retryAfterMs = 0;
  let failure: unknown;
  /** The last question, until it is answered. */
  let asked: Promise<readonly LeaseOutcome[]> | undefined;
  using waiter = new Waiter(store, key);
  const isOver = (): boolean => signal?.aborted === true || tools.nowMs() >= untilMs;
  const giveBack = async (fence: number, by = holder): Promise<void> => {
    await store.releaseLeases([{ name: key, holder: by, fence }], tools.nowMs());
    wakeNext(store, key);
  };
  for (;;) {
    signal?.throwIfAborted();
    const sentMs = tools.nowMs();
    try {
      const placeUntilMs = sentMs + tools.patienceMs(ttlMs);
      const waitUntilMs = waitMs === 0 ? null : placeUntilMs;
      waiter.asks(sentMs, placeUntilMs);
      asked = watch(store.takeLeases([{ name: key, holder, ttlMs, waitUntilMs }], sentMs));
      const [outcome] = await tools.answer(asked, { store, command: 'takeLeases' }, waits);
      asked = undefined;
      failure = undefined;
      if (outcome!.at === 'granted') {
        const granted = { name: key, holder, fence: outcome!.fence };
        const trustMs = Math.min(outcome!.untilMs, sentMs + ttlMs);
        const release = (): Promise<void> => giveBack(granted.fence, granted.holder);
        if (signal?.aborted !== true && tools.nowMs() < trustMs) {
          const renew = async (nowMs: number): Promise<boolean> => (await watch(store.renewLeases([{ ...granted, ttlMs }], nowMs)))[0]!;
          const hold = new Hold({ tools, name, fence: granted.fence, ttlMs, sentMs, untilMs: trustMs, renew, giveBack: release });
          return new Lock(name, granted.fence, hold);
        }
        // The answer came too late to rest anything on: asked again, it would be the same lease.
        void tools.insist(release, outcome!.untilMs, ttlMs);
        holder = tools.ids();
      } else retryAfterMs = Math.max(0, outcome!.heldUntilMs - tools.nowMs());
    } catch (error) {
      // Nobody knows whether it was granted; the same holder asks again, and is told.
      if (!isPassing(error)) throw error;
      failure = error;
    }
    if (!isOver()) await tools.rest(ttlMs, untilMs, signal, waiter);
    if (isOver()) break;
  }
  // Who stood in line may have been next. Who would not wait was in nobody's way.
  const leave = async (): Promise<void> => {
    await store.releaseLeases([{ name: key, holder, fence: 0 }], tools.nowMs());
    if (waitMs > 0) wakeNext(store, key);
  };
  // What is answered now is nobody's any more.
  const decline = async (): Promise<void> => {
    const [outcome] = (await asked?.catch(() => undefined)) ?? [];
    if (outcome?.at !== 'granted') return leave();
    await tools.insist(() => giveBack(outcome.fence), outcome.untilMs, ttlMs);
  };
  decline().catch(() => {});
  signal?.throwIfAborted();
  if (failure !== undefined) throw failure;
  throw new LockTakenError({ name, waitedMs: tools.nowMs() - beganMs, retryAfterMs });
}
