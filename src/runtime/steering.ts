/**
 * Steering: the branch of a fleet that looks after the others: the meta-agent, and the autoscaler.
 *
 *     runs, calls, workers ── observed ──▶ buffer ── once a pulse ──▶ meta-agent ──▶ commands ─┐
 *     queues, permits ── once a second ──▶ autoscaler ──▶ commands ────────────────────────────┤
 *                                                                                 operator ◀───┘
 *
 * Both are actors of their own branch, on the control lane, and wait for nothing that the fleet is
 * short of: no task, no permit, no place in a queue. They have an operator's commands and no more.
 */
import type { Host } from '../../actors/host/host.ts';
import type { ActorId } from '../../actors/kernel/effects.ts';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { LimiterState } from '../../actors/admission/limiter.ts';
import type { Store, TaskRecord } from '../../actors/ports/store.ts';
import type { QueueState } from '../../actors/queue.ts';
import { waitingIn } from '../../actors/queue/line.ts';
import { autoscalerLogic } from '../../supervisors/autoscaler.ts';
import type { KindObserved } from '../../supervisors/autoscaler.ts';
import { metaAgentMachine } from '../../supervisors/meta-agent/meta-agent.ts';
import type { MetaAgentEffect, MetaAgentFact } from '../../supervisors/meta-agent/meta-agent.ts';
import { ObservationBuffer } from '../../supervisors/meta-agent/observation.ts';
import type { Observation } from '../../supervisors/meta-agent/observation.ts';
import type { OperatorAnswered, OperatorCommand } from '../../supervisors/meta-agent/operator.ts';
import type { Decision } from '../../supervisors/meta-agent/watch.ts';
import type { ChildSpec } from '../../supervisors/spec.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import type { Operator } from './operator.ts';
import { limiterOf, queueOf, STEERING } from './tree.ts';

/** Somebody is needed: the meta-agent has nothing left that helps. */
export interface PersonCall {
  readonly kind: string;
  readonly worker: ActorId | undefined;
  /** In words. */
  readonly why: string;
}

export interface SteeringOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly store: Store;
  readonly operator: () => Operator;
  /** Runs of a kind that go on, and how many of those only wait for admission. */
  readonly loadOf: (kind: string) => { readonly running: number; readonly waitingForAdmission: number };
  readonly onDecision: (decision: Decision) => void;
  readonly onFact: (fact: MetaAgentFact) => void;
  readonly onScaling: (kind: string, replicas: number, why: string) => void;
  readonly callPerson: (call: PersonCall) => void;
  readonly openBreaker: (dependency: string) => void;
}

const LOOK_MS = 1_000;

export class Steering {
  readonly #options: SteeringOptions;
  readonly #buffer = new ObservationBuffer();
  readonly #elastic: readonly KindPlan[];
  readonly #suspended = new Map<ActorId, string>();
  /** By kind: since when something has been waiting in the store, at every look. */
  readonly #queuedSince = new Map<string, number>();
  #looking = false;
  #cancelLook: (() => void) | undefined;

  constructor(options: SteeringOptions) {
    this.#options = options;
    this.#elastic = Object.values(options.topology.kinds).filter(({ autoscale }) => autoscale !== undefined);
  }

  /** Children of the branch; none when there is nothing to steer. */
  children(): readonly ChildSpec[] {
    const { host, topology } = this.#options;
    const children: ChildSpec[] = [];
    const { metaAgent } = topology;
    if (metaAgent !== undefined) {
      children.push({
        id: 'meta-agent',
        start: () => ({
          logic: metaAgentMachine(host.clock),
          input: { plan: metaAgent, workers: this.#known() },
          graceful: true,
          perform: (effect, self) => this.#perform(effect as MetaAgentEffect, self),
        }),
      });
    }
    if (this.#elastic.length > 0) {
      children.push({
        id: 'autoscaler',
        start: () => ({
          logic: autoscalerLogic(host.clock),
          input: { policies: Object.fromEntries(this.#elastic.map(({ kind, autoscale }) => [kind, autoscale!])) },
          perform: (effect, self) => {
            const command = effect as Extract<OperatorCommand, { readonly type: 'operator.scale' }>;
            this.#options.onScaling(command.kind, command.replicas, command.why);
            this.#command(command, self);
          },
        }),
      });
    }
    return children;
  }

  /** Undefined: nobody watches, and nothing need be built for it. */
  get observe(): ((observation: Observation) => void) | undefined {
    if (this.#options.topology.metaAgent === undefined) return undefined;
    return (observation) => {
      if (observation.type === 'worker.suspended') this.#suspended.set(observation.worker, observation.kind);
      if (observation.type === 'worker.started' || observation.type === 'worker.removed') this.#suspended.delete(observation.worker);
      this.#buffer.add(observation);
    };
  }

  /** Begins to look at queues. */
  open(): void {
    if (this.#elastic.length > 0) this.#look();
  }

  close(): void {
    this.#cancelLook?.();
    this.#cancelLook = undefined;
  }

  /** Who is there when a meta-agent starts: after a crash of its own it has forgotten. */
  #known() {
    return [...this.#suspended].map(([worker, kind]) => ({ worker, kind, suspended: true }));
  }

  #perform(effect: MetaAgentEffect, self: ActorId): void {
    switch (effect.type) {
      case 'meta.collect':
        return this.#options.host.tell(self, this.#buffer.drain(), 'control');
      case 'meta.decided':
        return this.#options.onDecision(effect.decision);
      case 'meta.noted':
        return this.#options.onFact(effect.fact);
      default:
        return this.#command(effect, self);
    }
  }

  #command(command: OperatorCommand, self: ActorId): void {
    // For this incarnation alone: its successor counts its commands anew.
    const incarnation = this.#options.host.incarnationOf(self);
    const answer = (outcome: { readonly done: true } | { readonly done: false; readonly why: string }): void => {
      if (this.#options.host.incarnationOf(self) !== incarnation) return;
      this.#options.host.tell(self, { type: 'operator.answered', id: command.id, ...outcome } as OperatorAnswered, 'control');
    };
    this.#carryOut(command).then(
      () => answer({ done: true }),
      (error: unknown) => answer({ done: false, why: toErrorRecord(error).message }),
    );
  }

  async #carryOut(command: OperatorCommand): Promise<void> {
    const operator = this.#options.operator();
    switch (command.type) {
      case 'operator.restart':
        return operator.restart(command.worker);
      case 'operator.suspend':
        return operator.suspend(command.worker, command.reason);
      case 'operator.resume':
        return operator.resume(command.worker, command.reason);
      case 'operator.scale':
        return operator.scale(command.kind, command.replicas);
      case 'operator.call-person':
        return this.#options.callPerson({ kind: command.kind, worker: command.worker, why: command.why });
      case 'operator.open-breaker':
        return this.#options.openBreaker(command.dependency);
    }
  }

  #look(): void {
    const { host } = this.#options;
    this.#cancelLook = host.alarm(host.clock.nowMs() + LOOK_MS, () => {
      // A store that is away is no reason to scale, and one that is slow is asked once at a time.
      if (!this.#looking) {
        this.#looking = true;
        const looked = (): void => {
          this.#looking = false;
        };
        this.#observeKinds().then(looked, looked);
      }
      this.#look();
    });
  }

  async #observeKinds(): Promise<void> {
    const { host, store, topology } = this.#options;
    const [counts, workers, oldest] = await Promise.all([
      store.counts(),
      this.#options.operator().workers(),
      Promise.all(this.#elastic.map(({ kind }) => store.list({ kind, status: 'queued', limit: 1 }))),
    ]);
    const nowMs = host.clock.nowMs();
    for (const [at, plan] of this.#elastic.entries()) {
      const { kind, uses } = plan;
      const count = counts[kind];
      const own = workers.filter((worker) => worker.kind === kind);
      const behind = behindThreshold(host, topology, plan);
      const observed: KindObserved = {
        type: 'kind.observed',
        kind,
        queued: (count?.queued ?? 0) + behind.length,
        oldestAgeMs: Math.max(this.#queuedForMs(kind, oldest[at]?.[0], nowMs), ...behind.map((sinceMs) => nowMs - sinceMs)),
        ...this.#options.loadOf(kind),
        ...permitsFree(host, topology, Object.values(uses)),
        parked: count?.parked ?? 0,
        replicas: own.length,
        suspended: own.filter((worker) => worker.at === 'suspended').length,
      };
      host.send(`${topology.name}/${STEERING}/autoscaler`, observed, 'control');
    }
  }

  /** A task that was parked, or is tried again, was submitted long before it was queued: it waits no longer than the queue is there. */
  #queuedForMs(kind: string, oldest: TaskRecord | undefined, nowMs: number): number {
    if (oldest === undefined) this.#queuedSince.delete(kind);
    else if (!this.#queuedSince.has(kind)) this.#queuedSince.set(kind, nowMs - LOOK_MS);
    return oldest === undefined ? 0 : Math.max(0, nowMs - Math.max(oldest.submittedAtMs, this.#queuedSince.get(kind)!));
  }
}

/** When each task was claimed that waits here, and would wait less if there were one more worker. */
function behindThreshold(host: Host, topology: Topology, { kind, leaseMs }: KindPlan): readonly number[] {
  const { state } = (host.snapshotOf(queueOf(topology, kind)) ?? {}) as { readonly state?: QueueState };
  if (state === undefined) return [];
  const waiting = [...waitingIn(state.line), ...state.slots.flatMap(({ mailbox }) => mailbox.slice(state.input.stealAbove))];
  return waiting.map((task) => task.leaseUntilMs - leaseMs);
}

/** At the tightest dependency; nothing when none has a limit on what is in flight. */
function permitsFree(host: Host, topology: Topology, uses: readonly string[]): { readonly permitsFree?: number } {
  const free = uses.flatMap((name) => {
    const { state } = (host.snapshotOf(limiterOf(topology, name)) ?? {}) as { readonly state?: LimiterState };
    const concurrency = topology.dependencies[name]?.spec.limits?.concurrency;
    return state === undefined || concurrency === undefined ? [] : [Math.max(0, concurrency - state.inFlight)];
  });
  return free.length === 0 ? {} : { permitsFree: Math.min(...free) };
}
