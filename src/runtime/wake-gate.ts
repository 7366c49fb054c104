/**
 * Wake gate: agents that wake together do not go together. The first run of each incarnation registers
 * its intent in a table of the store; so many proceed, the others wait in order of registration. Who
 * has got through its first operation, or is over, leaves, and the next one comes.
 *
 *     register ─┬─ proceed ──▶ first operation is done, or 30 s ──▶ leave
 *               └─ waiting ──▶ asks again, jittered; an intent that nobody renews is forgotten
 *
 * Waiting counts as waiting for admission: it uses no attempt, and after a while the run parks.
 */
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Intent, IntentOutcome, Store } from '../../actors/ports/store.ts';
import { Batcher } from './batcher.ts';
import type { BatcherOptions, Requester } from './batcher.ts';

export interface WakeGateOptions extends BatcherOptions {
  readonly store: Store;
  /** Of the fleet. */
  readonly gate: string;
  /** Who may proceed at a time. */
  readonly most: number;
}

/** An intent counts for so long without being renewed. */
const HOLD_MS = 30_000;
/** Who waits asks again after half of this to all of it. */
const RETRY_MS = 500;

export class WakeGate {
  readonly #options: WakeGateOptions;
  readonly #intents: Batcher<Intent, IntentOutcome>;
  /** The incarnation of each worker that has run already. */
  readonly #awake = new Map<ActorId, number>();

  constructor(options: WakeGateOptions) {
    this.#options = options;
    this.#intents = new Batcher((items) => options.store.registerIntents(items, options.host.clock.nowMs()), options);
  }

  /** Whether this is the first run of that incarnation. */
  wakes(worker: ActorId, incarnation: number): boolean {
    if (this.#awake.get(worker) === incarnation) return false;
    this.#awake.set(worker, incarnation);
    return true;
  }

  /** Calls `proceed` when it is its turn, not from within this call. Returns what leaves, whether it has proceeded or not. */
  enter(holder: string, proceed: () => void): () => void {
    const visit = new Visit(this.#options, this.#intents, holder, proceed);
    visit.ask();
    return () => visit.leave();
  }

  close(): void {
    this.#intents.close();
  }
}

/** One run at the gate. */
class Visit implements Requester<IntentOutcome> {
  readonly #options: WakeGateOptions;
  readonly #intents: Batcher<Intent, IntentOutcome>;
  readonly #holder: string;
  readonly #proceed: () => void;
  #isOver = false;
  #cancelRetry: (() => void) | undefined;

  constructor(options: WakeGateOptions, intents: Batcher<Intent, IntentOutcome>, holder: string, proceed: () => void) {
    this.#options = options;
    this.#intents = intents;
    this.#holder = holder;
    this.#proceed = proceed;
  }

  ask(): void {
    const { gate, most, host } = this.#options;
    this.#intents.add({ gate, holder: this.#holder, most, untilMs: host.clock.nowMs() + HOLD_MS }, this);
  }

  replied(outcome: IntentOutcome): void {
    // It left while it was asking, and the table has it now.
    if (this.#isOver) return this.#withdraw();
    if (outcome.at === 'proceed') return this.#proceed();
    const { host, random } = this.#options;
    this.#cancelRetry = host.alarm(host.clock.nowMs() + RETRY_MS * (0.5 + random.next() / 2), () => this.ask());
  }

  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelRetry?.();
    this.#withdraw();
  }

  #withdraw(): void {
    const { store, gate } = this.#options;
    // A hint for the next one: an intent that cannot be withdrawn is forgotten when its time is over.
    store.withdrawIntents([{ gate, holder: this.#holder }]).catch(() => {});
  }
}
