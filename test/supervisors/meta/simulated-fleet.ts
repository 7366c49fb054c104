/**
 * A fleet of 80, as a meta-agent sees it: four kinds of twenty, each worker one run after the other,
 * lognormal latencies (sigma 0.8), 5 % errors, noisy scores and prices. It knows nothing of rules.
 */
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import { defineMetaAgent } from '../../../supervisors/meta-agent/plan.ts';
import type { MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import type { Decision } from '../../../supervisors/meta-agent/watch.ts';
import { metaAgentMachine } from '../../../supervisors/meta-agent/meta-agent.ts';
import type { MetaAgentEffect } from '../../../supervisors/meta-agent/meta-agent.ts';
import { ObservationBuffer } from '../../../supervisors/meta-agent/observation.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';
import type { OperatorCommand } from '../../../supervisors/meta-agent/operator.ts';
import { SimulatedHost } from '../../host/simulated-host.ts';

export type Badness = 'slow' | 'failing' | 'garbage' | 'spending' | 'looping';
export const BADNESSES: readonly Badness[] = ['slow', 'failing', 'garbage', 'spending', 'looping'];

export interface Trouble {
  /** One worker, from `fromMs` on, in every incarnation. */
  readonly bad?: { readonly worker: string; readonly how: Badness; readonly fromMs?: number };
  /** A whole kind, from `fromMs` on: its dependency answers five times as slowly, or fails four times in five. */
  readonly kind?: { readonly kind: string; readonly how: 'slow' | 'failing'; readonly fromMs: number };
}

const KINDS = 4;
const REPLICAS = 20;
const MEDIAN_MS = 2_000;
const SIGMA = 0.8;
const SLOWER = 5;

interface SimulatedWorker {
  readonly worker: string;
  readonly kind: string;
  readonly random: Random;
  at: 'running' | 'suspended' | 'restarting';
  /** When something happens to it next. */
  nextMs: number;
  tasks: number;
  runMs: number;
}

export const workerOf = (kind: number, replica: number): string => `fleet/k${kind}/${replica}`;

export class SimulatedFleet {
  readonly simulated: SimulatedHost;
  readonly commands: (OperatorCommand & { readonly atMs: number })[] = [];
  readonly decisions: Decision[] = [];
  /** Runs of the bad worker that were bad, while it was bad. */
  badRuns = 0;
  runs = 0;
  readonly #workers: readonly SimulatedWorker[];
  readonly #trouble: Trouble;
  readonly #buffer = new ObservationBuffer(100_000);

  /** Without a meta-agent when `spec` is null. */
  constructor(seed: number, trouble: Trouble, spec: MetaAgentSpec | null = {}) {
    const random = seededRandom(seed);
    this.#trouble = trouble;
    this.simulated = new SimulatedHost(seed);
    this.#workers = Array.from({ length: KINDS * REPLICAS }, (_, at) => {
      const worker = workerOf(Math.floor(at / REPLICAS), at % REPLICAS);
      const own = random.fork(worker);
      return {
        worker,
        kind: `k${Math.floor(at / REPLICAS)}`,
        random: own,
        at: 'running',
        nextMs: own.next() * MEDIAN_MS,
        tasks: 0,
        runMs: 0,
      };
    });
    if (spec === null) return;
    const { host } = this.simulated;
    host.spawn({
      id: 'meta',
      logic: metaAgentMachine(host.clock),
      input: { plan: defineMetaAgent(spec), workers: this.#workers.map(({ worker, kind }) => ({ worker, kind, suspended: false })) },
      perform: (effect) => this.#perform(effect as MetaAgentEffect),
    });
  }

  /** Lets time pass; stops early once `until` is true. */
  run(ms: number, until: () => boolean = () => false): void {
    const endMs = this.simulated.clock.nowMs() + ms;
    while (this.simulated.clock.nowMs() < endMs && !until()) {
      this.simulated.run(1_000);
      this.#live(this.simulated.clock.nowMs());
    }
  }

  count(type: OperatorCommand['type'], which: (command: OperatorCommand) => boolean = () => true): number {
    return this.commands.filter((command) => command.type === type && which(command)).length;
  }

  #perform(effect: MetaAgentEffect): void {
    const { host, clock } = this.simulated;
    if (effect.type === 'meta.decided') this.decisions.push(effect.decision);
    else if (effect.type === 'meta.collect') {
      this.#live(clock.nowMs());
      host.send('meta', this.#buffer.drain(), 'control');
    } else if (effect.type !== 'meta.noted') {
      this.commands.push({ ...effect, atMs: clock.nowMs() });
      this.#obey(effect, clock.nowMs());
      host.alarm(clock.nowMs() + 50, () =>
        host.send('meta', { type: 'operator.answered', id: effect.id, done: true } as Message & OwnEffect, 'control'),
      );
    }
  }

  #obey(command: OperatorCommand, nowMs: number): void {
    if (!('worker' in command)) return;
    const worker = this.#workers.find((one) => one.worker === command.worker)!;
    const about = { atMs: nowMs, worker: worker.worker, kind: worker.kind };
    switch (command.type) {
      case 'operator.restart':
        this.#buffer.add({ type: 'run.ended', ...about, task: this.#taskOf(worker), ms: 0, outcome: 'lost', usd: 0, tokens: 0 });
        Object.assign(worker, { at: 'restarting', nextMs: nowMs + 500 });
        return;
      case 'operator.suspend':
        this.#buffer.add({ type: 'worker.suspended', ...about });
        Object.assign(worker, { at: 'suspended', nextMs: Infinity });
        return;
      case 'operator.resume':
        Object.assign(worker, { at: 'restarting', nextMs: nowMs + 500 });
        return;
      default:
    }
  }

  /** Everything that happens until now. */
  #live(nowMs: number): void {
    const happened: Observation[] = [];
    for (const worker of this.#workers) while (worker.nextMs <= nowMs) this.#happen(worker, happened);
    // As a fleet tells it: in order of time.
    for (const observation of happened.toSorted((a, b) => a.atMs - b.atMs)) this.#buffer.add(observation);
  }

  #happen(one: SimulatedWorker, happened: Observation[]): void {
    const { worker, kind, random } = one;
    const about = { atMs: one.nextMs, worker, kind };
    const { bad, kind: outage } = this.#trouble;
    const how = bad?.worker === worker && one.nextMs >= (bad.fromMs ?? 0) ? bad.how : undefined;
    const out = outage?.kind === kind && one.nextMs >= outage.fromMs ? outage.how : undefined;
    if (one.at === 'restarting') {
      happened.push({ type: 'worker.started', ...about });
      one.at = 'running';
      one.runMs = 0;
      one.nextMs += 100;
      return;
    }
    if (how === 'looping') {
      if (one.runMs === 0) happened.push({ type: 'run.started', ...about, task: this.#taskOf(one) });
      one.runMs = 1;
      this.badRuns += 1;
      const request = `again ${one.tasks} ${random.int(2)}`;
      happened.push({
        type: 'call.ended',
        ...about,
        ...this.#price(random, 1),
        task: this.#taskOf(one),
        dependency: 'model',
        ms: 800,
        failed: false,
        request,
      });
      one.nextMs += 500 + random.next() * 1_000;
      return;
    }
    if (one.runMs > 0) {
      const failed = random.next() < (how === 'failing' ? 1 : out === 'failing' ? 0.8 : 0.05);
      const task = this.#taskOf(one);
      const request = `${task} ${random.next() < 0.95 ? one.tasks : 'again'}`;
      happened.push({
        type: 'call.ended',
        ...about,
        ...this.#price(random, how === 'spending' ? 12 : 1),
        task,
        dependency: 'model',
        ms: one.runMs * 0.9,
        failed: out === 'failing' && failed,
        request,
      });
      happened.push({
        type: 'run.ended',
        ...about,
        task,
        ms: one.runMs,
        outcome: failed ? 'rejected' : random.next() < 0.02 ? 'parked' : 'completed',
        ...(failed ? {} : { score: how === 'garbage' ? 0 : Math.min(1, Math.max(0, 0.75 + 0.15 * normal(random))) }),
        usd: 0,
        tokens: 0,
      });
      this.runs += 1;
      if (how !== undefined) this.badRuns += 1;
      one.tasks += 1;
      one.nextMs += -Math.log(1 - random.next()) * 500;
    }
    happened.push({ type: 'run.started', ...about, atMs: one.nextMs, task: this.#taskOf(one) });
    one.runMs = MEDIAN_MS * Math.exp(SIGMA * normal(random)) * (how === 'slow' || out === 'slow' ? SLOWER : 1);
    one.nextMs += one.runMs;
  }

  #price(random: Random, times: number): { readonly usd: number; readonly tokens: number } {
    const much = Math.exp(0.6 * normal(random)) * times;
    return { usd: 0.002 * much, tokens: 1_000 * much };
  }

  #taskOf(worker: SimulatedWorker): string {
    return `${worker.worker}#${worker.tasks}`;
  }
}

/** @see Box & Muller, "A note on the generation of random normal deviates", 1958 */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
