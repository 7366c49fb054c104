/**
 * Testbed: fleets in virtual time, on seeded chance, over a memory store that may be slow and fail,
 * with dependencies that answer when the test says. Nothing here waits for real time.
 *
 *     await using bed = new Testbed();
 *     const fleet = await bed.start({ agents: { echo } });
 *     const handle = await bed.drive(fleet.submit('echo', 'hello'));
 *     expect(await bed.drive(handle.result())).toBe('hello');
 *
 * Disposing closes every fleet and then demands that nothing is left: no timer, no message, no
 * question, no permit (L3, L7).
 */
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { expect } from 'vitest';
import { defineFleet, dependency } from 'drover';
import type {
  AgentMap,
  CloseOptions,
  Dependency,
  DependencySpec,
  Fleet,
  FleetEvents,
  FleetOptions,
  FleetSpec,
  InputOf,
  PerformContext,
  SubmitOptions,
} from 'drover';
import type { CancelWake } from '../../actors/kernel/clock.ts';
import type { ActorId, Message } from '../../actors/kernel/effects.ts';
import { countingIds } from '../../actors/kernel/ids.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Host } from '../../actors/host/host.ts';
import { fifoTransport, seededTransport } from '../../actors/host/transport.ts';
import type { Store } from '../../actors/ports/store.ts';
import { startFleetWith } from '../../src/runtime/fleet.ts';
import { limiterOf, queueOf } from '../../src/runtime/tree.ts';
import { MemoryDisk, memoryStore } from '../../src/stores/memory.ts';
import { faultyStore } from '../../src/testing/simulate/faulty-store.ts';
import type { StoreFaults } from '../../src/testing/simulate/faulty-store.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

export { faultyStore };
export type { Command } from '../../src/testing/simulate/faulty-store.ts';

const START_MS = 1_750_000_000_000;
const HOUR_MS = 3_600_000;

// ── Dependencies ───────────────────────────────────────────────────────────────────────────────

/** How a service takes one call. */
export interface Answer {
  /** Virtual ms before it answers. Default 10. */
  readonly afterMs?: number;
  readonly reply?: unknown;
  readonly error?: Error;
  /** Answers as if the signal had said nothing. */
  readonly deaf?: boolean;
  /** Never answers, whatever the signal says. */
  readonly never?: boolean;
}

export interface ServiceCall {
  readonly request: unknown;
  readonly key: string;
  readonly attempt: number;
  readonly atMs: number;
  aborted: unknown;
  endedAtMs: number | undefined;
}

/** A dependency of the test's own: what came, when, and how many at once. */
export interface Service {
  readonly dependency: Dependency;
  readonly calls: ServiceCall[];
  readonly inFlight: number;
  readonly peak: number;
  /** Every connection breaks off, and nobody is told: its callers' process is gone. */
  disconnect(): void;
  /** How it answers from now on. */
  respond: (call: ServiceCall) => Answer;
}

// ── Fleets ─────────────────────────────────────────────────────────────────────────────────────

export interface StartOptions {
  readonly store?: Store;
  /** Default: messages are delivered in an order drawn by seed. */
  readonly transport?: 'seeded' | 'fifo';
  readonly logger?: FleetOptions['logger'];
}

export class Testbed implements AsyncDisposable {
  readonly seed: number | string;
  readonly random: Random;
  /** `stall` lets time pass in which nothing fires, as over a busy process. */
  readonly clock = new VirtualClock(START_MS);
  readonly faults: StoreFaults = {};
  /** What the stores of this testbed write to; a second fleet on it is a restart. */
  readonly disk = new MemoryDisk();
  /** Told whenever nothing is under way any more before time passes. */
  settled: (() => void) | undefined;
  readonly fleets: { readonly fleet: Fleet; readonly host: Host }[] = [];
  readonly #sleeps = new Set<CancelWake>();
  #ids = 0;

  constructor(seed: number | string = 1) {
    this.seed = seed;
    this.random = seededRandom(seed);
  }

  get nowMs(): number {
    return this.clock.nowMs();
  }

  /** Starts a fleet called `test`, without stagger unless the spec says otherwise. */
  async start<const K extends AgentMap>(spec: Omit<FleetSpec<K>, 'name'>, options: StartOptions = {}): Promise<Fleet<K>> {
    const random = this.random.fork(`fleet-${(this.#ids += 1)}`);
    const topology = defineFleet<K>({ staggerMs: 0, ...spec, name: 'test' });
    const sleep = (ms: number): Promise<void> => this.sleep(ms);
    let host: Host | undefined;
    const starting = startFleetWith(
      topology,
      {
        store: options.store ?? faultyStore(memoryStore(this.disk), this.faults, sleep),
        clock: this.clock,
        random,
        ids: countingIds(`task-${this.#ids}`),
        transport: options.transport === 'fifo' ? fifoTransport() : seededTransport(random.fork('transport')),
        logger: options.logger ?? pino({ level: 'silent' }),
      },
      { onHost: (made) => (host = made) },
    );
    const fleet = await this.drive(starting);
    this.fleets.push({ fleet: fleet as never, host: host! });
    return fleet;
  }

  /** The host of the fleet that was started last. */
  get host(): Host {
    return this.fleets.at(-1)!.host;
  }

  service(
    spec: Partial<DependencySpec<unknown, unknown>> = {},
    respond: Service['respond'] = ({ request }) => ({ reply: request }),
  ): Service {
    const calls: ServiceCall[] = [];
    const open = new Set<() => void>();
    let inFlight = 0;
    let peak = 0;
    const perform = (request: unknown, { signal, idempotencyKey, attempt }: PerformContext): Promise<unknown> => {
      const call: ServiceCall = { request, key: idempotencyKey, attempt, atMs: this.nowMs, aborted: undefined, endedAtMs: undefined };
      calls.push(call);
      inFlight += 1;
      peak = Math.max(peak, inFlight);
      const ended = (): void => {
        if (call.endedAtMs !== undefined) return;
        call.endedAtMs = this.nowMs;
        inFlight -= 1;
      };
      const { afterMs = 10, reply, error, never = false, deaf = false } = service.respond(call);
      return new Promise((resolve, reject) => {
        const cancel = never
          ? () => {}
          : this.#after(afterMs, () => {
              ended();
              if (error === undefined) resolve(reply);
              else reject(error);
            });
        const hangUp = (): void => {
          cancel();
          ended();
        };
        open.add(hangUp);
        signal.addEventListener('abort', () => {
          call.aborted = signal.reason;
          if (deaf) return;
          hangUp();
          if (!never) reject(signal.reason as Error);
        });
      });
    };
    const service = {
      dependency: dependency<unknown, unknown>({ perform, ...spec }),
      calls,
      respond,
      disconnect() {
        for (const hangUp of open) hangUp();
        open.clear();
      },
      get inFlight() {
        return inFlight;
      },
      get peak() {
        return peak;
      },
    };
    return service;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#after(ms, resolve));
  }

  /** Everything that is under way without time passing. */
  async settle(): Promise<void> {
    do await setImmediate();
    while (this.fleets.some(({ host }) => host.pending.messages > 0));
    this.settled?.();
  }

  /** Lets time pass until the condition holds. Fails after `withinMs` of virtual time. */
  async until(condition: () => boolean, withinMs = HOUR_MS): Promise<void> {
    const limitMs = this.nowMs + withinMs;
    await this.settle();
    while (!condition()) {
      const dueMs = this.clock.nextDueMs;
      if (dueMs === undefined || dueMs > limitMs) throw new Error(`seed ${this.seed}: not within ${withinMs} ms: ${condition.toString()}`);
      this.clock.fireNext();
      await this.settle();
    }
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await this.settle();
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.fireNext();
      await this.settle();
    }
    this.clock.advanceTo(Math.max(untilMs, this.nowMs));
    await this.settle();
  }

  /** Lets time pass until the promise has settled, and gives what it settled with. */
  async drive<T>(promise: Promise<T>, withinMs = HOUR_MS): Promise<T> {
    let settled = false;
    const over = (): void => {
      settled = true;
    };
    promise.then(over, over);
    await this.until(() => settled, withinMs);
    return promise;
  }

  /** What the promise rejects with. */
  async rejection(promise: Promise<unknown>, withinMs = HOUR_MS): Promise<Error & { readonly code?: string; readonly detail?: unknown }> {
    const outcome = await this.drive(
      promise.then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ),
      withinMs,
    );
    if ('value' in outcome) throw new Error(`expected a rejection, got ${JSON.stringify(outcome.value)}`);
    return outcome.error as Error;
  }

  /** Submits, and waits for the result. */
  async run<K extends AgentMap>(
    fleet: Fleet<K>,
    kind: keyof K & string,
    input: InputOf<K[keyof K & string]>,
    options?: SubmitOptions,
  ): Promise<unknown> {
    const handle = await this.drive(fleet.submit(kind, input, options));
    return this.drive(handle.result());
  }

  /** Every event of these names, as they come. */
  record<N extends keyof FleetEvents>(
    fleet: Pick<Fleet, 'events'>,
    ...names: readonly N[]
  ): ({ readonly name: N } & Parameters<FleetEvents[N]>[0])[] {
    const heard: ({ readonly name: N } & Parameters<FleetEvents[N]>[0])[] = [];
    for (const name of names) {
      const listen = (event: Parameters<FleetEvents[N]>[0]): number => heard.push({ name, ...event });
      fleet.events.on(name, listen);
    }
    return heard;
  }

  /** Ends the process of the fleets, as `kill -9` would: nothing is handed back, nobody is told. */
  kill(): void {
    this.disk.crash();
    for (const { host } of this.fleets.splice(0)) host.close();
  }

  send(to: ActorId, message: Message, lane: 'control' | 'work' = 'control'): void {
    this.host.send(to, message, lane);
  }

  /** Throws in the worker's next turn. */
  crashWorker(kind: string, replica = 0): void {
    this.send(`test/agents/${kind}/${replica}`, { type: 'worker.fail', error: new Error('the worker breaks') } as Message);
  }

  crashLimiter(name: string): void {
    const { topology } = this.fleets.at(-1)!.fleet;
    this.send(limiterOf(topology, name), { type: 'limiter.acquire', replyTo: -1, ticket: -1, flow: 'crash', tokens: -1 } as Message);
  }

  crashQueue(kind: string): void {
    const { topology } = this.fleets.at(-1)!.fleet;
    this.send(queueOf(topology, kind), { type: 'queue.claimed', tasks: null, asked: 0 } as Message);
  }

  close(fleet: { close(options?: CloseOptions): Promise<void> }, options?: CloseOptions): Promise<void> {
    return this.drive(fleet.close(options));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.faults.fault = undefined;
    const closing = this.fleets.map(({ fleet }) => fleet.close());
    await this.drive(Promise.allSettled(closing));
    for (const cancel of this.#sleeps) cancel();
    expect(this.clock.pending, 'timers left').toBe(0);
    for (const { host } of this.fleets) {
      expect({ ...host.pending, actors: host.actorCount }).toEqual({ messages: 0, timers: 0, asks: 0, actors: 0 });
    }
  }

  #after(ms: number, fire: () => void): CancelWake {
    const wake = this.clock.wakeAt(this.nowMs + ms, () => {
      this.#sleeps.delete(cancel);
      fire();
    });
    const cancel = (): void => {
      this.#sleeps.delete(cancel);
      wake();
    };
    this.#sleeps.add(cancel);
    return cancel;
  }
}
