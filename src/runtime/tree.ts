/**
 * Tree: the supervision tree of a fleet.
 *
 *     <fleet>                       root, rest for one: what a branch stands on is before it
 *     ├── dependencies              a limiter for each
 *     ├── work                      a queue for each kind
 *     └── agents
 *         ├── triage                a supervisor for each kind
 *         │   ├── 0                 a worker for each replica
 *         │   └── 1 ...
 *         └── ...
 *     └── steering                  the meta-agent and the autoscaler, where there are any
 *
 * Started in this order, stopped in reverse: workers are gone before the queue that feeds them. A
 * worker beyond its intensity is suspended; a kind gives up when too many of its workers are.
 */
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, OwnEffect } from '../../actors/kernel/effects.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Mailboxes } from '../../actors/queue.ts';
import { spawnRoot } from '../../supervisors/guardian.ts';
import type { Root } from '../../supervisors/guardian.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import type { SupervisorFact } from '../../supervisors/state.ts';
import { Tree } from '../../supervisors/tree.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import type { Parts } from './internals.ts';

/** The branch of those who look after the others. */
export const STEERING = 'steering';

export interface TreeOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly parts: Parts;
  /** Whom thieves choose. */
  readonly random: Random;
  /** Performs what the queue of a kind decides. */
  readonly performQueue: (plan: KindPlan, effect: OwnEffect) => void;
  /** A queue is about to start again after a crash. */
  readonly onQueueRestart: (plan: KindPlan) => void;
  /** One for each dependency. */
  readonly limiters: readonly ChildSpec[];
  /** Who looks after the others; nobody: no branch. */
  readonly steering: readonly ChildSpec[];
  readonly onFact: (supervisor: ActorId, fact: SupervisorFact) => void;
}

export const limiterOf = (topology: Topology, dependency: string): ActorId => `${topology.name}/dependencies/${dependency}`;
export const queueOf = (topology: Topology, kind: string): ActorId => `${topology.name}/work/${kind}`;
export const kindOf = (topology: Topology, kind: string): ActorId => `${topology.name}/agents/${kind}`;
export const workerOf = (topology: Topology, kind: string, replica: number): ActorId => `${kindOf(topology, kind)}/${replica}`;

/** The running tree. `started` settles when every actor runs; `ended` when the root is gone, for whatever reason. */
export class FleetTree implements Root {
  readonly started: Promise<void>;
  readonly ended: Root['ended'];
  readonly #options: TreeOptions;
  /** How many workers each kind has now; replicas are numbered from 0. */
  readonly #replicas: Map<string, number>;
  /** What an operator has changed of a kind's mailboxes: a queue that starts anew has it too. */
  readonly #mailboxes = new Map<string, Partial<Mailboxes>>();
  /** Workers that were there from the start: the herd that is staggered. */
  #herd = 0;

  constructor(options: TreeOptions) {
    const { host, topology, onFact, parts } = options;
    this.#options = options;
    this.#replicas = new Map(Object.values(topology.kinds).map(({ kind, replicas }) => [kind, replicas]));
    const { started, ended } = spawnRoot(host, new Tree({ host, onFact, logic: parts.supervisor }), topology.name, this.#root());
    this.started = started;
    this.ended = ended;
  }

  stop(): void {
    this.#options.host.stop(this.#options.topology.name, Infinity);
  }

  configureMailboxes(kind: string, change: Partial<Mailboxes>): void {
    const { host, topology } = this.#options;
    // What is undefined stays as it is, and is not to stand above what the plan says.
    const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as Partial<Mailboxes>;
    this.#mailboxes.set(kind, { ...this.#mailboxes.get(kind), ...given });
    host.send(queueOf(topology, kind), { type: 'queue.configure', ...given }, 'control');
  }

  replicasOf(kind: string): number {
    return this.#replicas.get(kind) ?? 0;
  }

  /** Notes how many workers a kind is to have when its supervisor starts again. */
  setReplicas(kind: string, replicas: number): void {
    this.#replicas.set(kind, replicas);
  }

  /** A worker that joins a running kind, `staggerMs` from now. */
  workerChild(plan: KindPlan, replica: number, staggerMs: number): ChildSpec {
    const { topology, parts } = this.#options;
    const queue = queueOf(topology, plan.kind);
    return {
      id: String(replica),
      shutdownMs: topology.supervision.shutdownMs,
      start({ supervisor, child, life }) {
        // Only a first start is one of many; a restart has had its backoff.
        const input = { self: `${supervisor}/${child}`, queue, incarnation: life, staggerMs: life > 1 ? 0 : staggerMs };
        return { logic: parts.worker, input, graceful: true, monitors: [queue] };
      },
    };
  }

  #root(): SupervisorSpec {
    const { topology, limiters } = this.#options;
    const { intensity, periodMs, backoff, suspendAboveShare, strategy, children: order } = topology.supervision;
    const policy = { intensity, periodMs, backoff };
    const branch = (id: string, children: readonly ChildSpec[]): ChildSpec => ({ id, supervisor: { ...policy, children } });
    const kinds = Object.values(topology.kinds);
    const agents = order.map((kind): ChildSpec => {
      const plan = topology.kinds[kind]!;
      const supervisor = (): SupervisorSpec => ({ ...policy, exhausted: { suspendAboveShare }, children: this.#workers(plan) });
      return { id: plan.kind, supervisor };
    });
    const queues = kinds.map((plan) => this.#queue(plan));
    const branches = [
      branch('dependencies', limiters),
      branch('work', queues),
      { id: 'agents', supervisor: { ...policy, strategy, children: agents } },
    ];
    // Whoever steers and cannot go on is left out; the fleet goes on without.
    const { steering } = this.#options;
    const own: SupervisorSpec = { ...policy, exhausted: { suspendAboveShare: 1 }, children: steering };
    return {
      ...policy,
      strategy: 'rest_for_one',
      children: steering.length === 0 ? branches : [...branches, { id: STEERING, supervisor: own }],
    };
  }

  #workers(plan: KindPlan): readonly ChildSpec[] {
    const { staggerMs } = this.#options.topology;
    return Array.from({ length: this.replicasOf(plan.kind) }, (_, replica) => this.workerChild(plan, replica, this.#herd++ * staggerMs));
  }

  #queue(plan: KindPlan): ChildSpec {
    const { host, topology, parts, random, performQueue, onQueueRestart } = this.#options;
    return {
      id: plan.kind,
      start: ({ life }) => {
        if (life > 1) onQueueRestart(plan);
        // They joined the former incarnation, and join this one when they are told of it.
        const length = life > 1 ? this.replicasOf(plan.kind) : 0;
        const workers = Array.from({ length }, (_, replica) => workerOf(topology, plan.kind, replica));
        const seed = Math.floor(random.next() * 2 ** 31);
        const { tenant } = plan.agent.spec;
        const tenants = tenant === undefined ? {} : { tenantWeights: plan.tenantWeights };
        const input = { ...plan.mailbox, ...this.#mailboxes.get(plan.kind), agingMs: topology.agingMs, ...tenants, seed, workers };
        return { logic: parts.queue(host.clock), input, perform: (effect) => performQueue(plan, effect) };
      },
    };
  }
}
