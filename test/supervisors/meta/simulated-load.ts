/** A kind under load, for an autoscaler: tasks arrive, wait, and are run; replicas come and go as commanded. */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import { decide, initial } from '../../../supervisors/autoscaler.ts';
import type { AutoscalerMessage, AutoscalerState, KindObserved } from '../../../supervisors/autoscaler.ts';
import { defineAutoscale } from '../../../supervisors/autoscale-policy.ts';
import type { AutoscaleSpec } from '../../../supervisors/autoscale-policy.ts';

export interface Load {
  /** Tasks a second, at a time in seconds. */
  readonly perSecond: (atS: number) => number;
  /** Mean seconds a task, exponentially distributed. Default 4. */
  readonly taskS?: number;
  /** Runs that get a permit at once; the others wait with their worker. Default unlimited. */
  readonly permits?: number;
}

export interface Sample {
  readonly atS: number;
  readonly replicas: number;
  readonly queued: number;
}

export class SimulatedLoad {
  readonly commands: { readonly atMs: number; readonly replicas: number; readonly why: string }[] = [];
  readonly samples: Sample[] = [];
  replicas: number;
  readonly #random: Random;
  readonly #load: Load;
  #state: AutoscalerState;
  #nowMs = 0;
  #timer: { readonly atMs: number; readonly message: AutoscalerMessage } | undefined;
  /** When each waiting task came, oldest first. */
  readonly #queue: number[] = [];
  /** Work left of each running task, in seconds. */
  #running: number[] = [];

  constructor(seed: number, spec: AutoscaleSpec, load: Load, replicas = spec.min) {
    this.#random = seededRandom(seed);
    this.#load = load;
    this.replicas = replicas;
    [this.#state] = initial({ policies: { k: defineAutoscale(spec) } });
  }

  /** Lets seconds pass. */
  run(seconds: number): void {
    for (let at = 0; at < seconds; at += 1) {
      this.#nowMs += 1_000;
      this.#second();
      this.#timers();
      this.#tell(this.seen());
      this.samples.push({ atS: this.#nowMs / 1_000, replicas: this.replicas, queued: this.#queue.length });
    }
  }

  seen(): KindObserved {
    const waitingForAdmission = Math.max(0, this.#running.length - this.#permits);
    return {
      type: 'kind.observed',
      kind: 'k',
      queued: this.#queue.length,
      oldestAgeMs: this.#queue.length === 0 ? 0 : this.#nowMs - this.#queue[0]!,
      running: this.#running.length,
      waitingForAdmission,
      permitsFree: Math.max(0, this.#permits - this.#running.length),
      parked: 0,
      replicas: this.replicas,
      suspended: 0,
    };
  }

  get #permits(): number {
    return this.#load.permits ?? 1_000_000;
  }

  #second(): void {
    const arrivals = poisson(this.#random, this.#load.perSecond(this.#nowMs / 1_000));
    for (let at = 0; at < arrivals; at += 1) this.#queue.push(this.#nowMs);
    this.#running = this.#running.map((left, at) => (at < this.#permits ? left - 1 : left)).filter((left) => left > 0);
    while (this.#queue.length > 0 && this.#running.length < this.replicas) {
      this.#queue.shift();
      this.#running.push(-Math.log(1 - this.#random.next()) * (this.#load.taskS ?? 4));
    }
  }

  #timers(): void {
    while (this.#timer !== undefined && this.#timer.atMs <= this.#nowMs) {
      const { message } = this.#timer;
      const { atMs } = this.#timer;
      this.#timer = undefined;
      this.#tell(message, atMs);
    }
  }

  #tell(message: AutoscalerMessage, atMs = this.#nowMs): void {
    const [state, effects] = decide(this.#state, message, atMs);
    this.#state = state;
    for (const effect of effects) {
      if (effect.type === 'operator.scale') {
        this.commands.push({ atMs, replicas: effect.replicas, why: effect.why });
        this.replicas = effect.replicas;
      } else if (effect.type === 'timer.set') this.#timer = { atMs: effect.atMs, message: effect.message as AutoscalerMessage };
      else if (effect.type === 'timer.cancel') this.#timer = undefined;
    }
  }
}

/** How often the number of replicas turned from growing to shrinking or back. */
export function turns(commands: readonly { readonly replicas: number }[], from: number): number {
  let count = 0;
  let direction = 0;
  let last = from;
  for (const { replicas } of commands) {
    const next = Math.sign(replicas - last);
    if (direction !== 0 && next !== 0 && next !== direction) count += 1;
    if (next !== 0) direction = next;
    last = replicas;
  }
  return count;
}

/** @see Knuth, "The Art of Computer Programming", volume 2, 3.4.1 */
function poisson(random: Random, mean: number): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}
