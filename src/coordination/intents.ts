/**
 * Intents: a gate that lets so many through at a time. Who wants through registers, first come, first served; so many
 * proceed, the others wait. Who dies is in nobody's way for longer than its time.
 */
import type { IntentOutcome, Store } from '../../actors/ports/store.ts';
import { CoordinationOptionError, GateFullError } from './errors.ts';
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

/** What gates need of a store. */
export type IntentStore = Pick<Store, 'registerIntents' | 'withdrawIntents'>;

export interface EnterOptions extends WaitOptions {
  /** Who may proceed at a time: a whole number, at least 1, the same for all who come to this gate. Default 1. */
  readonly most?: number;
  /** So long after its holder has died a place is free again. At least 10, at most 86,400,000 (a day), default 30,000. */
  readonly ttlMs?: number;
}

const PLACE_TTL_MS = 30_000;

/** A place behind the gate. It renews itself until its holder leaves, or it is lost. */
export class Place implements AsyncDisposable {
  readonly gate: string;
  readonly #hold: Hold;

  /** Made by `intents(store).enter`. */
  constructor(gate: string, hold: Hold) {
    this.gate = gate;
    this.#hold = hold;
  }

  /** Aborts when it is over: with a `LeaseLostError`, whose `detail.why` is `released` after `leave`. */
  get signal(): AbortSignal {
    return this.#hold.signal;
  }

  /** By the clock. */
  get isHeld(): boolean {
    return this.#hold.isHeld;
  }

  /** Lets the next one in. Never rejects. */
  leave(): Promise<void> {
    return this.#hold.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.leave();
  }
}

export interface Intents {
  /**
   * Registers, and waits until it may proceed.
   *
   * @throws GateFullError after `waitMs`; the reason of `signal`; CoordinationOptionError
   * @throws what the store fails with: for good, or until `waitMs` was over; StoreFailedError, when it did not answer until then
   */
  enter(gate: string, options?: EnterOptions): Promise<Place>;
  /** Does something behind the gate, and leaves when that has ended. @throws as `enter`, and what `fn` throws */
  through<T>(gate: string, fn: (place: Place) => T | Promise<T>, options?: EnterOptions): Promise<T>;
}

/**
 * Gates over a store: an open one, a fleet's too.
 *
 * @throws CoordinationOptionError
 * @example
 * await intents(store).through('import', () => importAll(), { most: 3 });
 */
export function intents(store: IntentStore, options: CoordinationOptions = {}): Intents {
  checkStore(store, ['registerIntents', 'withdrawIntents']);
  checkOptions(options, TOOLS_FIELDS);
  const tools = new Tools(options);
  const register = async (gate: string, given: EnterOptions = {}): Promise<Place> =>
    enterGate(store, tools, checkName(gate, 'gate'), given);
  return {
    async enter(gate, given) {
      return stillWanted(await register(gate, given), given?.signal);
    },
    async through(gate, fn, given) {
      checkFunction(fn, 'fn');
      await using place = stillWanted(await register(gate, given), given?.signal);
      return await fn(place);
    },
  };
}

async function enterGate(store: IntentStore, tools: Tools, gate: string, options: EnterOptions): Promise<Place> {
  checkOptions(options, ['most', 'ttlMs', ...WAIT_FIELDS]);
  const { most = 1, ttlMs = PLACE_TTL_MS, waitMs = Infinity, signal } = options;
  checkTtl(ttlMs);
  checkSignal(signal);
  if (!Number.isSafeInteger(most) || most < 1) throw new CoordinationOptionError('most', 'a whole number, at least 1', most);
  const beganMs = tools.nowMs();
  const untilMs = beganMs + checkWait(waitMs);
  const intent = { gate: `gate:${gate}`, holder: tools.ids() };
  using waiter = new Waiter(store, intent.gate);
  const withdraw = (): Promise<unknown> => store.withdrawIntents([intent]);
  const leave = async (): Promise<void> => {
    await withdraw();
    wakeNext(store, intent.gate);
  };
  const isOver = (): boolean => signal?.aborted === true || tools.nowMs() >= untilMs;
  const patienceMs = tools.patienceMs(ttlMs);
  const waits = { beganMs, untilMs, signal };
  let ahead = 0;
  let failure: unknown;
  /** The last question, until it is answered, and until when what it brings is valid. */
  let asked: Promise<readonly IntentOutcome[]> | undefined;
  let validUntilMs = beganMs;
  for (;;) {
    signal?.throwIfAborted();
    const sentMs = tools.nowMs();
    try {
      // Whoever only waits is forgotten soon when it dies; whoever proceeds has the whole time.
      const register = async (validMs: number): Promise<IntentOutcome> => {
        validUntilMs = sentMs + validMs;
        asked = store.registerIntents([{ ...intent, most, untilMs: validUntilMs }], sentMs);
        const [outcome] = await tools.answer(asked, { store, command: 'registerIntents' }, waits);
        asked = undefined;
        return outcome!;
      };
      waiter.asks(sentMs, sentMs + patienceMs);
      let outcome = await register(patienceMs);
      if (outcome.at === 'proceed') outcome = await register(ttlMs);
      failure = undefined;
      if (outcome.at === 'proceed' && signal?.aborted !== true && tools.nowMs() < sentMs + ttlMs) {
        const renew = async (nowMs: number): Promise<boolean> =>
          (await store.registerIntents([{ ...intent, most, untilMs: nowMs + ttlMs }], nowMs))[0]!.at === 'proceed';
        const hold = { tools, name: gate, fence: null, ttlMs, sentMs, untilMs: sentMs + ttlMs, renew, giveBack: leave };
        return new Place(gate, new Hold(hold));
      }
      ahead = outcome.at === 'waiting' ? outcome.ahead : 0;
    } catch (error) {
      if (!isPassing(error)) throw error;
      failure = error;
    }
    if (!isOver()) await tools.rest(ttlMs, untilMs, signal, waiter);
    if (isOver()) break;
  }
  // What is answered now is nobody's any more. Who is refused at once was in nobody's way.
  const decline = async (): Promise<void> => {
    await asked?.catch(() => {});
    await tools.insist(waitMs === 0 && ahead > 0 ? withdraw : leave, validUntilMs, ttlMs);
  };
  void decline();
  signal?.throwIfAborted();
  if (failure !== undefined) throw failure;
  throw new GateFullError({ name: gate, ahead, waitedMs: tools.nowMs() - beganMs });
}
