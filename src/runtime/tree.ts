/**
 * Tree: the supervision tree of a fleet.
 *
 *     <fleet>                       root
 *     ├── dependencies              a limiter for each
 *     ├── work                      a queue for each kind
 *     └── agents
 *         ├── triage                a supervisor for each kind
 *         │   ├── 0                 a worker for each replica
 *         │   └── 1 ...
 *         └── ...
 *
 * Started in this order, stopped in reverse: workers are gone before the queue that feeds them.
 */
import type { Host } from '../../actors/host/host.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { exit } from '../../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import { supervisorActor, supervisorChild } from '../../supervisors/tree.ts';
import type { ChildSpec } from '../../supervisors/tree.ts';
import type { SupervisorFact } from '../../supervisors/supervisor.ts';
import type { AnyDependency } from '../topology/dependency.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import type { Parts } from './internals.ts';

export interface TreeOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly parts: Parts;
  /** Performs what the queue of a kind decides. */
  readonly performQueue: (plan: KindPlan, effect: OwnEffect) => void;
  /** A queue is about to start again after a crash. */
  readonly onQueueRestart: (plan: KindPlan) => void;
  /** A limiter starts (`life` 1) or starts again: permits that are out. */
  readonly permitsOut: (dependency: string) => number;
  readonly onLimiterRestart: (dependency: string) => void;
  readonly onFact: (supervisor: ActorId, fact: SupervisorFact) => void;
}

export const limiterOf = (topology: Topology, dependency: string): ActorId => `${topology.name}/dependencies/${dependency}`;
export const queueOf = (topology: Topology, kind: string): ActorId => `${topology.name}/work/${kind}`;
const workerOf = (topology: Topology, { kind }: KindPlan, replica: number): ActorId => `${topology.name}/agents/${kind}/${replica}`;

/** Starts the tree. `started` settles when every actor runs; `ended` when the root is gone, for whatever reason. */
export function startTree(options: TreeOptions): { readonly started: Promise<void>; readonly ended: Promise<ExitReason>; stop(): void } {
  const { host, topology } = options;
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<ExitReason>();
  const guardian = `${topology.name}~guardian`;
  host.spawn({
    id: guardian,
    logic: guardianLogic(host.clock),
    perform: (effect) => {
      const noted = effect as GuardianEffect;
      if (noted.type === 'guardian.started') return started.resolve();
      ended.resolve(noted.reason);
      started.reject(noted.reason.at === 'error' ? noted.reason.error : new Error(`the fleet ended while starting: ${noted.reason.at}`));
    },
  });
  // Whoever stops a fleet that never started waits for `ended` alone.
  started.promise.catch(() => {});
  host.spawn({
    ...supervisorActor(host, topology.name, rootSpec(options), { supervisor: guardian, child: topology.name, life: 1 }),
    id: topology.name,
    monitors: [guardian],
  });
  return { started: started.promise, ended: ended.promise, stop: () => host.stop(topology.name, Infinity) };
}

function rootSpec(options: TreeOptions) {
  const { host, topology, parts, onFact } = options;
  const { intensity, periodMs, backoff } = topology.supervision;
  const spec = (children: readonly ChildSpec[], factor = 1) => ({
    children,
    intensity: { intensity: intensity * factor, periodMs },
    backoff,
    onFact,
    logic: parts.supervisor,
  });
  const branch = (id: string, children: readonly ChildSpec[]) => supervisorChild(host, topology.name, id, spec(children));
  const kinds = Object.values(topology.kinds);
  let place = 0;
  const agents = kinds.map((plan) => {
    const workers = Array.from({ length: plan.replicas }, (_, replica) => workerChild(options, plan, replica, place++));
    // Restarts are counted per kind; a kind of many workers may restart as many times more.
    return supervisorChild(host, `${topology.name}/agents`, plan.kind, spec(workers, plan.replicas));
  });
  return spec([
    branch(
      'dependencies',
      Object.entries(topology.dependencies).map(([name, dependency]) => limiterChild(options, name, dependency)),
    ),
    branch(
      'work',
      kinds.map((plan) => queueChild(options, plan)),
    ),
    branch('agents', agents),
  ]);
}

function limiterChild({ host, parts, permitsOut, onLimiterRestart }: TreeOptions, name: string, { spec }: AnyDependency): ChildSpec {
  const { limits = {}, safetyMargin, burstMs } = spec;
  const own = { ...limits, ...(safetyMargin === undefined ? {} : { safetyMargin }), ...(burstMs === undefined ? {} : { burstMs }) };
  return {
    id: name,
    start({ life }) {
      // Rebuilt from the permits that are known to be out, before the next answer.
      if (life > 1) onLimiterRestart(name);
      return { logic: parts.limiter(host.clock), input: { limits: own, inFlight: permitsOut(name) } };
    },
  };
}

function queueChild({ host, topology, parts, performQueue, onQueueRestart }: TreeOptions, plan: KindPlan): ChildSpec {
  return {
    id: plan.kind,
    start({ life }) {
      if (life > 1) onQueueRestart(plan);
      // They joined the former incarnation, and join this one when they are told of it.
      const workers = life > 1 ? Array.from({ length: plan.replicas }, (_, replica) => workerOf(topology, plan, replica)) : [];
      return { logic: parts.queue(host.clock), input: { ...plan.mailbox, workers }, perform: (effect) => performQueue(plan, effect) };
    },
  };
}

function workerChild({ topology, parts }: TreeOptions, plan: KindPlan, replica: number, place: number): ChildSpec {
  const queue = queueOf(topology, plan.kind);
  return {
    id: String(replica),
    shutdownMs: topology.supervision.shutdownMs,
    start({ supervisor, child, life }) {
      // Only the first start of a fleet is a herd; a restart has had its backoff.
      const staggerMs = life > 1 ? 0 : place * topology.staggerMs;
      const input = { self: `${supervisor}/${child}`, queue, incarnation: life, staggerMs };
      return { logic: parts.worker, input, graceful: true, monitors: [queue] };
    },
  };
}

/** Above the root: says when it has started and when it is gone. */
type GuardianEffect = { readonly type: 'guardian.started' } | { readonly type: 'guardian.ended'; readonly reason: ExitReason };

const guardianLogic = (clock: Clock) =>
  fromDecider<null, Message | Exited, undefined, GuardianEffect | ReturnType<typeof exit>>(
    {
      initial: () => [null, NOTHING],
      decide(state, message) {
        if (message.type === 'child.started') return [state, [{ type: 'guardian.started' }]];
        if (message.type !== 'exited') return [state, NOTHING];
        return [state, [{ type: 'guardian.ended', reason: (message as Exited).reason }, exit({ at: 'normal' })]];
      },
    },
    clock,
  );
