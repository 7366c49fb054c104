/**
 * Pump: brings what is on its way to where it is delivered, one envelope after the other, in a microtask after
 * the first, and lets the event loop do its I/O in between. While it runs, the clock is read once for several
 * turns.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Envelope, Transport } from './transport.ts';

/** Turns taken in one go before the event loop gets a chance to do I/O. */
const TURNS_PER_DRAIN = 4_096;

/** Some tens of microseconds: no decision is finer than that. */
const TURNS_PER_READING = 32;

export class Pump<To> {
  /** Within a drain it is read once a few turns, and anew after anything outside has run: reading it costs as much as a turn. */
  readonly clock: Clock;
  readonly #real: Clock;
  readonly #transport: Transport<To>;
  readonly #isManual: boolean;
  readonly #deliver: (envelope: Envelope<To>) => void;
  #pumping = false;
  #drainMs: number | undefined;

  /** `isManual`: nothing is delivered but by `step`. */
  constructor(real: Clock, transport: Transport<To>, isManual: boolean, deliver: (envelope: Envelope<To>) => void) {
    this.#real = real;
    this.#transport = transport;
    this.#isManual = isManual;
    this.#deliver = deliver;
    this.clock = { nowMs: () => this.#drainMs ?? real.nowMs(), wakeAt: (atMs, fire) => real.wakeAt(atMs, fire) };
  }

  /** On their way. */
  get size(): number {
    return this.#transport.size;
  }

  push(envelope: Envelope<To>): void {
    this.#transport.push(envelope);
    if (this.#pumping || this.#isManual) return;
    this.#pumping = true;
    queueMicrotask(this.#drain);
  }

  /** Delivers one. False when there is none. */
  step(): boolean {
    const envelope = this.#transport.next();
    if (envelope === undefined) return false;
    this.#deliver(envelope);
    return true;
  }

  /** Something outside is about to run, and may take its time. */
  goesOutside(): void {
    this.#drainMs = undefined;
  }

  /** Forgets everything. */
  clear(): void {
    while (this.#transport.next() !== undefined);
  }

  readonly #drain = (): void => {
    try {
      for (let turns = 0; turns < TURNS_PER_DRAIN; turns += 1) {
        if (turns % TURNS_PER_READING === 0) this.#drainMs = this.#real.nowMs();
        const envelope = this.#transport.next();
        if (envelope === undefined) {
          this.#pumping = false;
          return;
        }
        this.#deliver(envelope);
      }
    } catch (error) {
      // An observer of the host threw. That is for the process to judge; should it live on, so do the actors.
      setImmediate(this.#drain);
      throw error;
    } finally {
      this.#drainMs = undefined;
    }
    setImmediate(this.#drain);
  };
}
