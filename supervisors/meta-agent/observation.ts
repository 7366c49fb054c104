/**
 * Observation: what the meta-agent hears of a fleet, as data. Observers fill a bounded buffer, which
 * the meta-agent empties once a pulse: a flood costs it old news, never its life.
 */
import type { ActorId, Message } from '../../actors/kernel/effects.ts';
import { invariant } from '../../actors/kernel/errors.ts';

interface OfWorker {
  /** Time of the fleet's clock. */
  readonly atMs: number;
  readonly worker: ActorId;
  readonly kind: string;
}

export type Observation = OfWorker &
  (
    | {
        /** A new incarnation takes work: started, restarted or resumed. Its record is clean, its history stays. */
        readonly type: 'worker.started';
      }
    | { readonly type: 'worker.suspended' }
    /** It is gone for good: scaled away. Everything about it is forgotten. */
    | { readonly type: 'worker.removed' }
    | { readonly type: 'run.started'; readonly task: string }
    | {
        readonly type: 'run.ended';
        readonly task: string;
        /** Time on the worker, without what it was parked. */
        readonly ms: number;
        /** `lost`: the incarnation ended under it. A parked run says nothing about the worker. */
        readonly outcome: 'completed' | 'rejected' | 'lost' | 'parked';
        /** It began over what an earlier run of the task had remembered: it is short for that, and its length says nothing. */
        readonly replayed?: true;
        /** From 0, garbage, to 1; absent when nobody scores this kind. */
        readonly score?: number;
        /** Dollars that no `call.ended` has told: each is reported once. */
        readonly usd: number;
        /** Tokens that no `call.ended` has told. */
        readonly tokens: number;
      }
    | {
        readonly type: 'call.ended';
        readonly task: string;
        readonly dependency: string;
        /** Time from admission to answer: waiting for a permit is not the dependency's slowness. */
        readonly ms: number;
        readonly failed: boolean;
        readonly usd: number;
        readonly tokens: number;
        /** Hash of the request; absent, the call counts as an operation without progress. */
        readonly request?: string;
      }
    | {
        /** Any other operation on `ctx` that was really made: a replay over what is remembered is none. */
        readonly type: 'operation';
        readonly task: string;
        /** It remembered a new place, or told progress. */
        readonly progressed: boolean;
      }
    | {
        /** It held the event loop that long. */
        readonly type: 'loop.blocked';
        readonly ms: number;
      }
  );

/** The answer to `meta.collect`: what was observed since the last one, oldest first. */
export interface Observed extends Message {
  readonly type: 'observed';
  readonly observations: readonly Observation[];
  /** How many older ones were dropped because the buffer was full. */
  readonly dropped: number;
}

/** Keeps the newest `capacity` observations, and counts those it had to drop. Adding costs the same, full or empty. */
export class ObservationBuffer {
  readonly #capacity: number;
  #kept: Observation[] = [];
  /** Where the oldest is, once the buffer has been full. */
  #oldest = 0;
  #dropped = 0;

  /** Default 10,000. */
  constructor(capacity = 10_000) {
    invariant(Number.isInteger(capacity) && capacity >= 1, 'a buffer holds at least one observation');
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#kept.length;
  }

  add(observation: Observation): void {
    if (this.#kept.length < this.#capacity) {
      this.#kept.push(observation);
      return;
    }
    this.#kept[this.#oldest] = observation;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
    this.#dropped += 1;
  }

  /** Everything in it, as the message that the meta-agent waits for. It is empty afterwards. */
  drain(): Observed {
    const observations = [...this.#kept.slice(this.#oldest), ...this.#kept.slice(0, this.#oldest)];
    const dropped = this.#dropped;
    this.#kept = [];
    this.#oldest = 0;
    this.#dropped = 0;
    return { type: 'observed', observations, dropped };
  }
}
