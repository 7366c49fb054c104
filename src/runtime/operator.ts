/**
 * Operator: the commands over the workers of a running fleet, for a person and for the meta-agent,
 * who has no others.
 *
 * Suspending a worker:
 *   1. Its supervisor tells it to stop; it leaves its queue, and what waits in its mailbox goes to others.
 *   2. Its run parks at the next safe point, with what it remembers; its place is kept, its attempt given back.
 *   3. It has no incarnation then, only a set of reasons. When the last one goes it starts anew.
 */
import type { WorkerMessage } from '../../actors/worker.ts';
import { ActorGoneError } from '../../actors/host/host.ts';
import type { Host } from '../../actors/host/host.ts';
import type { ActorId, ReplyTo } from '../../actors/kernel/effects.ts';
import type { ChildInfo, SuspendChildAnswer } from '../../supervisors/administration.ts';
import { planChild } from '../../supervisors/spec.ts';
import type { SupervisorCall } from '../../supervisors/state.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import type { RunEngine } from './engine.ts';
import { FleetClosedError, ReplicasError, UnknownWorkerError } from './errors.ts';
import { kindOf, workerOf } from './tree.ts';
import type { FleetTree } from './tree.ts';

/** Why a worker is suspended. */
export type SuspendReason = 'budget' | 'health' | 'quality' | 'intensity' | 'operator';

/** A worker as a person sees it. */
export interface WorkerInfo {
  /** Its address, as events name it. */
  readonly worker: ActorId;
  readonly kind: string;
  readonly replica: number;
  /** `restarting`: between two incarnations. The others are those of its statechart. */
  readonly at: 'starting' | 'idle' | 'working' | 'draining' | 'restarting' | 'suspended' | 'stopped';
  readonly incarnation: number | undefined;
  readonly reasons: readonly string[];
}

export interface OperatorOptions {
  readonly topology: Topology;
  readonly host: Host;
  readonly engine: RunEngine;
  readonly tree: FleetTree;
  /** A worker was scaled away, and is not coming back. */
  readonly onRemoved: (worker: ActorId, kind: string) => void;
}

/** Of the time that a stopping worker has, the share after which what its run has in flight is aborted. */
const YIELD_SHARE = 0.8;

/** While it is restarted by hand a worker is suspended for this; nobody else sees it for long. */
const RESTARTING = 'restart';

type CallBody = SupervisorCall extends infer C ? (C extends SupervisorCall ? Omit<C, 'replyTo'> : never) : never;

export class Operator {
  readonly #options: OperatorOptions;
  /** One change of the number of workers of a kind at a time. */
  readonly #scaling = new Map<string, Promise<unknown>>();

  constructor(options: OperatorOptions) {
    this.#options = options;
  }

  /** Resolves when the worker has no incarnation any more. */
  async suspend(worker: ActorId, reason: string): Promise<void> {
    const { kind, replica } = this.#find(worker);
    const suspended = this.#call<SuspendChildAnswer>(kind, { type: 'supervisor.suspend-child', child: replica, reason });
    this.#yield(worker);
    this.#known(worker, await suspended);
  }

  /** Resolves when the reason is gone; with the last one the worker starts. */
  async resume(worker: ActorId, reason: string): Promise<void> {
    const { kind, replica } = this.#find(worker);
    this.#known(worker, await this.#call<SuspendChildAnswer>(kind, { type: 'supervisor.resume-child', child: replica, reason }));
  }

  /** Ends this incarnation at a safe point and starts another; no restart is counted. */
  async restart(worker: ActorId): Promise<void> {
    await this.suspend(worker, RESTARTING);
    await this.resume(worker, RESTARTING);
  }

  /** Ends this incarnation as a failure: its run is lost, and its supervisor restarts it as its intensity allows. */
  fail(worker: ActorId, error: unknown): void {
    this.#find(worker);
    const failing: WorkerMessage = { type: 'worker.fail', error };
    this.#options.host.send(worker, failing, 'control');
  }

  /**
   * Gives a kind so many workers. New ones start one after the other, `staggerMs` apart; of those
   * that go the youngest go first, at a safe point.
   *
   * @throws ReplicasError when the number is no whole number from the kind's `min` (1 where its `replicas` is a number) to its most
   */
  async scale(kind: string, replicas: number): Promise<void> {
    const plan = this.#planOf(kind);
    const most = plan.mostReplicas;
    // The autoscaler would make them `min` again at once.
    const least = plan.autoscale?.min ?? 1;
    if (!Number.isInteger(replicas) || replicas < least || replicas > most) throw new ReplicasError({ kind, replicas, least, most });
    const before = this.#scaling.get(kind) ?? Promise.resolve();
    const scaling = before.catch(() => {}).then(() => this.#scale(plan, replicas));
    this.#scaling.set(kind, scaling);
    return scaling;
  }

  /** Every worker of a kind, or of all. */
  async workers(kind?: string): Promise<readonly WorkerInfo[]> {
    const { kinds } = this.#options.topology;
    const names = kind === undefined ? Object.keys(kinds) : [this.#planOf(kind).kind];
    const all = await Promise.all(
      names.map(async (name) => {
        const children = await this.#call<readonly ChildInfo[]>(name, { type: 'supervisor.which-children' });
        return children.map((child) => this.#infoOf(name, child));
      }),
    );
    return all.flat().toSorted((a, b) => (a.kind === b.kind ? a.replica - b.replica : 0));
  }

  async #scale(plan: KindPlan, replicas: number): Promise<void> {
    const { tree, topology, onRemoved } = this.#options;
    const { kind } = plan;
    for (let now = tree.replicasOf(kind), added = 0; now < replicas; now += 1, added += 1) {
      const child = planChild(tree.workerChild(plan, now, added * topology.staggerMs), 'never');
      await this.#call(kind, { type: 'supervisor.start-child', child });
      tree.setReplicas(kind, now + 1);
    }
    for (let now = tree.replicasOf(kind); now > replicas; now -= 1) {
      // First, so that a supervisor that starts again meanwhile does not start it again.
      tree.setReplicas(kind, now - 1);
      const child = String(now - 1);
      const gone = this.#call(kind, { type: 'supervisor.terminate-child', child });
      const worker = workerOf(topology, kind, now - 1);
      this.#yield(worker);
      await gone;
      await this.#call(kind, { type: 'supervisor.delete-child', child });
      onRemoved(worker, kind);
    }
  }

  #yield(worker: ActorId): void {
    const { engine, topology } = this.#options;
    engine.yieldRuns(worker, topology.supervision.shutdownMs * YIELD_SHARE);
  }

  #infoOf(kind: string, { id, child, reasons }: ChildInfo): WorkerInfo {
    const { host, topology } = this.#options;
    const replica = Number(id);
    const worker = workerOf(topology, kind, replica);
    const of = { worker, kind, replica, reasons };
    if (child === 'restarting' || child === 'suspended') return { ...of, at: child, incarnation: undefined };
    if (child === 'none') return { ...of, at: 'stopped', incarnation: undefined };
    const at = (host.snapshotOf(worker) as { readonly value?: WorkerInfo['at'] } | undefined)?.value ?? 'stopped';
    return { ...of, at, incarnation: child.incarnation };
  }

  #find(worker: ActorId): { readonly kind: string; readonly replica: string } {
    const { topology, tree } = this.#options;
    // Callers without types may give anything.
    const [replica, kind] = typeof worker === 'string' ? worker.split('/').toReversed() : [];
    const known = kind !== undefined && Object.hasOwn(topology.kinds, kind) && worker === workerOf(topology, kind, Number(replica));
    if (!known || Number(replica) >= tree.replicasOf(kind)) throw new UnknownWorkerError(worker, kindOf(topology, '<kind>'));
    return { kind, replica: replica! };
  }

  #planOf(kind: string): KindPlan {
    const { kinds, name } = this.#options.topology;
    if (!Object.hasOwn(kinds, kind)) throw new UnknownWorkerError(kind, `${name}/agents/<kind>`);
    return kinds[kind]!;
  }

  #known(worker: ActorId, answer: SuspendChildAnswer): void {
    if (answer !== 'ok') throw new UnknownWorkerError(worker, kindOf(this.#options.topology, '<kind>'));
  }

  async #call<T>(kind: string, call: CallBody): Promise<T> {
    const { host, topology } = this.#options;
    try {
      return await host.ask<T>(kindOf(topology, kind), (replyTo: ReplyTo) => ({ ...call, replyTo }));
    } catch (error) {
      if (error instanceof ActorGoneError) throw new FleetClosedError(topology.name, { cause: error });
      throw error;
    }
  }
}
