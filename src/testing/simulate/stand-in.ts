/** Stand-in: answers in the place of a dependency's `perform`, in virtual time, with faults by seed. */
import type { Random } from '../../../actors/kernel/random.ts';
import { costOf } from '../../topology/dependency.ts';
import type { AnyDependency, PerformContext, Usage } from '../../topology/dependency.ts';
import { describe } from '../../../actors/kernel/errors.ts';
import { SimulationCallbackError } from '../errors.ts';
import { placeOf } from '../place.ts';
import { hashOf } from '../trace.ts';
import type { CallFaults } from './fault-plan.ts';
import { isMs } from './options.ts';
import type { StandIn, StandInCall } from './options.ts';
import type { Scene } from './scene.ts';

/** What a stand-in needs of the process that calls it. */
export interface Caller {
  /** After so much time of the world, unless the process is gone by then. */
  after(ms: number, fire: () => void): void;
  /** Under which fence the task is being run; undefined when it is not. */
  fenceOf(task: string): number | undefined;
}

const FROM_MS = 50;
const TO_MS = 1_000;
const SLOW = 10;
/** HTTP statuses of calls that have used no tokens. */
const REFUSED: readonly unknown[] = [429, 503, 529];
const LONGEST_RETRY_AFTER_MS = 5_000;
const GARBAGE: readonly unknown[] = ['<html><body>502 Bad Gateway</body></html>', null, 42, [], { error: 'no' }];

/** A failure that a user's `reply` asked for. */
class Failing {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

// oxlint-disable-next-line typescript/no-explicit-any -- each dependency has its own requests and replies
type AnyStandIn = StandIn<any, any>;

/** One call on its way. */
interface Flight {
  readonly key: string;
  readonly task: string;
  readonly tokens: number;
  over: boolean;
}

/** One dependency of a simulation, over all its processes. */
export class Provider {
  readonly #name: string;
  readonly #dependency: AnyDependency;
  readonly #standIn: AnyStandIn;
  readonly #random: Random;
  readonly #scene: Scene;
  readonly #caller: () => Caller | undefined;
  #faults: CallFaults;
  #calls = 0;
  #inFlight = new Set<Flight>();

  constructor(
    name: string,
    dependency: AnyDependency,
    standIn: AnyStandIn,
    random: Random,
    scene: Scene,
    faults: CallFaults,
    caller: () => Caller | undefined,
  ) {
    this.#name = name;
    this.#dependency = dependency;
    this.#standIn = standIn;
    this.#random = random;
    this.#scene = scene;
    this.#caller = caller;
    this.#faults = standIn.faults === 'none' ? {} : (standIn.faults ?? faults);
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** The same dependency, with this in the place of its `perform`. */
  dependency(): AnyDependency {
    const { spec } = this.#dependency;
    // A bulkhead does nothing by itself: who holds a place does.
    if (spec.rank !== undefined) return this.#dependency;
    const copy = Object.assign(Object.create(Object.getPrototypeOf(spec) as object) as typeof spec, spec, {
      perform: (request: unknown, call: PerformContext) => this.#perform(request, call),
    });
    const usage = this.#usageOf();
    return { is: 'dependency', spec: usage === undefined ? copy : Object.assign(copy, { usage }) };
  }

  heal(): void {
    this.#faults = {};
  }

  /** Every connection breaks off, and nobody is told: the callers' process is gone. */
  disconnect(): void {
    for (const flight of this.#inFlight) flight.over = true;
    this.#inFlight.clear();
  }

  #perform(request: unknown, call: PerformContext): Promise<unknown> {
    const caller = this.#caller();
    // A call of a process that is gone already: nobody hears it.
    if (caller === undefined) return new Promise(() => {});
    const key = call.idempotencyKey;
    const flight: Flight = { key, task: key.slice(0, key.lastIndexOf('/call:')), tokens: this.#estimate(request), over: false };
    this.#inFlight.add(flight);
    this.#scene.statistics.calls += 1;
    this.#scene.note(3, key, call.attempt);
    const { task, tokens } = flight;
    this.#scene.see({
      at: 'call.began',
      dependency: this.#name,
      key,
      task,
      fence: caller.fenceOf(task),
      tokens,
      inFlight: this.#inFlight.size,
    });
    const fault = this.#drawFault();
    if (fault !== undefined) this.#scene.struck(fault);
    return new Promise((resolve, reject) => {
      if (fault !== 'hang' && fault !== 'endless') {
        const ms = this.#latency(request) * (fault === 'slow' ? SLOW : 1);
        caller.after(ms, () => {
          if (flight.over) return;
          try {
            const answer = this.#answer(fault, request, call);
            this.#end(flight, answer, request, fault);
            if (answer instanceof Failing) reject(answer.error);
            else resolve(answer);
          } catch (error) {
            this.#scene.fail(error);
          }
        });
      }
      const { signal } = call;
      signal.addEventListener('abort', () => {
        if (flight.over) return;
        this.#end(flight, undefined, request, 'aborted');
        if (fault !== 'hang') reject(signal.reason as Error);
      });
    });
  }

  #end(flight: Flight, answer: unknown, request: unknown, how: string | undefined): void {
    flight.over = true;
    this.#inFlight.delete(flight);
    const { key, task, tokens } = flight;
    this.#scene.note(4, key);
    const used = this.#used(answer, request, how);
    this.#scene.see({ at: 'call.ended', dependency: this.#name, key, task, tokens, used, aborted: how === 'aborted' });
  }

  /** As the runtime will read it, so that what is given back to the rate is known. */
  #used(answer: unknown, request: unknown, how: string | undefined): number | undefined {
    if (how === 'rateLimited' || how === 'overloaded') return 0;
    if (how !== undefined && how !== 'slow' && how !== 'garbage') return undefined;
    if (answer instanceof Failing) return REFUSED.includes((answer.error as { readonly status?: unknown } | null)?.status) ? 0 : undefined;
    try {
      const read = this.#usageOf() ?? this.#dependency.spec.usage?.bind(this.#dependency.spec);
      const usage = read?.(answer, request);
      return usage === undefined ? undefined : usage.inputTokens + usage.outputTokens;
    } catch {
      return undefined;
    }
  }

  #answer(fault: keyof CallFaults | undefined, request: unknown, call: PerformContext): unknown {
    switch (fault) {
      case 'rateLimited': {
        const headers = this.#random.int(4) === 0 ? {} : { 'retry-after-ms': String(this.#random.int(LONGEST_RETRY_AFTER_MS)) };
        return new Failing(Object.assign(new Error('429 slow down'), { status: 429, headers }));
      }
      case 'overloaded':
        return new Failing(Object.assign(new Error('overloaded'), { status: this.#random.int(2) === 0 ? 503 : 529 }));
      case 'broken':
        return new Failing(Object.assign(new Error('the connection broke off'), { code: 'ECONNRESET' }));
      case 'garbage':
        return GARBAGE[this.#random.int(GARBAGE.length)];
      default:
        return this.#reply(request, call);
    }
  }

  #reply(request: unknown, { idempotencyKey, attempt }: PerformContext): unknown {
    const { reply } = this.#standIn;
    this.#calls += 1;
    if (reply === undefined) return `simulated reply to ${idempotencyKey}`;
    const random = this.#random.fork(String(this.#calls));
    const call: StandInCall = { random, idempotencyKey, attempt, fail: (error) => new Failing(error) as never };
    return this.#ask('reply', () => reply(request as never, call) as unknown);
  }

  #latency(request: unknown): number {
    const { latencyMs = [FROM_MS, TO_MS] } = this.#standIn;
    if (typeof latencyMs === 'number') return latencyMs;
    if (typeof latencyMs !== 'function') return latencyMs[0] + this.#random.next() * (latencyMs[1] - latencyMs[0]);
    try {
      return this.#ask('latencyMs', () => {
        const ms: unknown = latencyMs(request, this.#random);
        if (!isMs(ms)) throw new RangeError(`expected milliseconds from 0, got ${describe(ms)}`);
        return ms as number;
      });
    } catch (error) {
      this.#scene.fail(error);
      return 0;
    }
  }

  #ask<T>(option: string, callback: () => T): T {
    try {
      return callback();
    } catch (cause) {
      throw new SimulationCallbackError({ callback: `provider.${this.#name}.${option}`, place: placeOf(cause) }, { cause });
    }
  }

  #usageOf(): ((reply: unknown, request: unknown) => Usage | undefined) | undefined {
    const { usage, reply } = this.#standIn;
    if (typeof usage === 'function') return (said, request) => usage(said, request);
    if (usage !== undefined) return () => usage;
    // A reply that the user gave is read as the dependency reads it; ours says nothing that it could read.
    if (reply !== undefined || this.#dependency.spec.usage === undefined) return undefined;
    return (said, request) => ({ inputTokens: this.#estimate(request), outputTokens: 10 + ((hashOf(String(said)) >>> 0) % 200) });
  }

  #estimate(request: unknown): number {
    const { input, output } = costOf(this.#dependency.spec.estimate?.(request));
    return input + output;
  }

  #drawFault(): keyof CallFaults | undefined {
    let left = this.#random.next();
    for (const name in this.#faults) {
      left -= this.#faults[name as keyof CallFaults] ?? 0;
      if (left < 0) return name as keyof CallFaults;
    }
    return undefined;
  }
}
