/** Gates in virtual time: what they call answers when the test says, and what is in flight is counted where the work itself runs. */
import { setImmediate } from 'node:timers/promises';
import { seededRandom } from '../../actors/kernel/random.ts';
import { admission } from '../../src/admission/gate.ts';
import type { Admission, AdmissionEvent, AdmissionSpec } from '../../src/admission/gate.ts';
import type { PerformContext } from '../../src/topology/dependency.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const START_MS = 1_750_000_000_000;
const HOUR_MS = 3_600_000;

/** How a call ended for who made it. */
export type Ending =
  | { readonly at: 'replied'; readonly reply: unknown }
  | { readonly at: 'failed'; readonly error: Error & { code?: string } };

/** Virtual time. */
export class GateTime {
  readonly clock = new VirtualClock(START_MS);

  get nowMs(): number {
    return this.clock.nowMs() - START_MS;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.wakeAt(this.clock.nowMs() + ms, resolve));
  }

  /** Everything that is under way without time passing. */
  async settle(): Promise<void> {
    for (let turns = 0; turns < 3; turns += 1) await setImmediate();
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    await this.settle();
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.advanceTo(Math.max(dueMs, this.clock.nowMs()));
      await this.settle();
    }
    this.clock.advanceTo(untilMs);
    await this.settle();
  }

  /** Lets time pass until the promise has settled. */
  async drive<T>(promise: Promise<T>, withinMs = HOUR_MS): Promise<T> {
    const state = { settled: false };
    const over = (): void => {
      state.settled = true;
    };
    promise.then(over, over);
    const limitMs = this.clock.nowMs() + withinMs;
    await this.settle();
    while (!state.settled) {
      const dueMs = this.clock.nextDueMs;
      if (dueMs === undefined || dueMs > limitMs) throw new Error(`not settled within ${withinMs} ms`);
      this.clock.advanceTo(Math.max(dueMs, this.clock.nowMs()));
      await this.settle();
    }
    return promise;
  }
}

/** A gate as programs have it. */
export class GateWorld extends GateTime {
  readonly events: AdmissionEvent[] = [];
  readonly gate: Admission;
  inFlight = 0;
  peak = 0;
  /** Names of what has been begun, in order. */
  readonly began: unknown[] = [];

  constructor(spec: AdmissionSpec = {}) {
    super();
    this.gate = admission({
      clock: this.clock,
      random: seededRandom(1),
      onEvent: (event) => this.events.push(event),
      ...spec,
    });
  }

  /** Work that takes so long, and then replies, or throws what is an error. */
  work<T>(name: T, ms: number, outcome: unknown = name): (call: PerformContext) => Promise<T> {
    return async ({ signal }) => {
      this.began.push(name);
      this.inFlight += 1;
      this.peak = Math.max(this.peak, this.inFlight);
      try {
        await Promise.race([
          this.sleep(ms),
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
        ]);
      } finally {
        this.inFlight -= 1;
      }
      if (outcome instanceof Error) throw outcome;
      return outcome as T;
    };
  }

  /** How a promise ends, as a value. */
  ending(promise: Promise<unknown>): Promise<Ending> {
    return promise.then(
      (reply): Ending => ({ at: 'replied', reply }),
      (error: Error): Ending => ({ at: 'failed', error }),
    );
  }
}

export const http = (status: number, headers: Readonly<Record<string, string>> = {}): Error =>
  Object.assign(new Error(`status ${status}`), { status, headers });
