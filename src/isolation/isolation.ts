/**
 * Isolation: the threads and processes of a fleet's workers.
 *
 *   1. The first run of an incarnation starts a child for it; later runs of that incarnation reuse it.
 *   2. A child that hangs or dies fails its worker (`worker.fail`), and so is its supervisor's business.
 *   3. An incarnation that ends, for whatever reason, takes its child along: asked first when it ended
 *      in order, killed otherwise. Its successor gets a child of its own, when the old one is gone.
 *   4. `close` returns when no child is left.
 */
import type { Host } from '../../actors/host/host.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import type { ActorId, Exited, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { HEARTBEAT_MS, IsolatedWorker } from './isolated-worker.ts';
import { openProcess } from './process.ts';
import type { IsolatedRun } from './remote-run.ts';
import { openThread } from './thread.ts';

export type { IsolatedRun } from './remote-run.ts';

export interface IsolationOptions {
  readonly topology: Topology;
  readonly host: Host;
  /** A promise was rejected in a child and nobody looked at it. */
  readonly onStray: (worker: ActorId, error: unknown) => void;
}

interface Child {
  readonly incarnation: number;
  readonly isolated: IsolatedWorker;
}

/** A tick that comes later than this finds that the process has stood still. */
const LATE_MS = 2 * HEARTBEAT_MS;

export class Isolation {
  readonly #options: IsolationOptions;
  readonly #watcher: ActorId;
  readonly #children = new Map<ActorId, Child>();
  /** Children that are to go, and are not yet gone. */
  readonly #leaving = new Map<IsolatedWorker, ActorId>();
  #cancelTick: (() => void) | undefined;
  #tickedMs = 0;
  #closed = false;

  /** Undefined where no kind of the topology is isolated. */
  static of(options: IsolationOptions): Isolation | undefined {
    const isolated = Object.values(options.topology.kinds).some(({ isolation }) => isolation !== 'inline');
    return isolated ? new Isolation(options) : undefined;
  }

  private constructor(options: IsolationOptions) {
    this.#options = options;
    const { host, topology } = options;
    this.#watcher = `${topology.name}~isolation`;
    host.spawn({ id: this.#watcher, logic: watcherLogic(host), perform: (effect) => this.#exited((effect as WorkerExited).exited) });
  }

  /** Executes a run in the child of its worker's present incarnation. */
  execute(plan: KindPlan, worker: ActorId, run: IsolatedRun): void {
    const incarnation = this.#options.host.incarnationOf(worker);
    // The worker has just ended: its queue hears of it, and gives the task to another.
    if (incarnation === undefined || this.#closed) return;
    let child = this.#children.get(worker);
    if (child?.incarnation !== incarnation || !child.isolated.isLive) {
      // The news of that incarnation's end is still on its way, or it went on in place without its child.
      if (child !== undefined) this.#exit(worker, child, true);
      child = this.#start(plan, worker, incarnation);
    }
    child.isolated.execute(run);
  }

  /** Kills every child that is still there and was not asked to end. Resolves when none is left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [worker, { isolated }] of this.#children) {
      this.#leave(worker, isolated);
      isolated.kill();
    }
    await Promise.all([...this.#leaving.keys()].map(({ gone }) => gone));
    this.#cancelTick?.();
  }

  #start(plan: KindPlan, worker: ActorId, incarnation: number): Child {
    const { host, topology, onStray } = this.#options;
    const former = [...this.#leaving].filter(([, of]) => of === worker).map(([{ gone }]) => gone);
    const isolated = new IsolatedWorker({
      worker,
      plan,
      open: plan.isolation === 'process' ? openProcess : openThread,
      purpose: { fleet: topology.name, module: topology.module!, kind: plan.kind },
      nowMs: () => host.clock.nowMs(),
      after: (ms, fire) => host.alarm(host.clock.nowMs() + ms, fire),
      former: former.length === 0 ? undefined : Promise.all(former),
      failed: (error) => {
        // For this incarnation alone: it never reaches a successor.
        if (host.incarnationOf(worker) === incarnation) host.tell(worker, { type: 'worker.fail', error } as Message, 'control');
      },
      stray: (error) => onStray(worker, error),
    });
    const child: Child = { incarnation, isolated };
    this.#children.set(worker, child);
    host.monitor(this.#watcher, worker);
    if (this.#cancelTick === undefined) this.#tick();
    return child;
  }

  #exited({ id, incarnation, reason }: Exited): void {
    const child = this.#children.get(id);
    if (child?.incarnation === incarnation) this.#exit(id, child, reason.at === 'error' || reason.at === 'killed');
  }

  #exit(worker: ActorId, { isolated }: Child, atOnce: boolean): void {
    this.#leave(worker, isolated);
    if (atOnce) isolated.kill();
    else isolated.end();
  }

  #leave(worker: ActorId, isolated: IsolatedWorker): void {
    this.#children.delete(worker);
    this.#leaving.set(isolated, worker);
    void isolated.gone.then(() => this.#leaving.delete(isolated));
  }

  #tick(): void {
    const { host } = this.#options;
    if (this.#children.size === 0) {
      this.#cancelTick = undefined;
      return;
    }
    const nowMs = host.clock.nowMs();
    const sinceMs = nowMs - (this.#cancelTick === undefined ? nowMs : this.#tickedMs);
    this.#tickedMs = nowMs;
    for (const { isolated } of this.#children.values()) isolated.beat(sinceMs > LATE_MS ? sinceMs - HEARTBEAT_MS : 0);
    this.#cancelTick = host.alarm(nowMs + HEARTBEAT_MS, () => this.#tick());
  }
}

/** Hears of the ends of workers that have a child. */
interface WorkerExited extends OwnEffect {
  readonly type: 'isolation.exited';
  readonly exited: Exited;
}

const watcherLogic = ({ clock }: Host) =>
  fromDecider<null, Message | Exited, undefined, WorkerExited>(
    {
      initial: () => [null, NOTHING],
      decide: (state, message) =>
        message.type === 'exited' ? [state, [{ type: 'isolation.exited', exited: message as Exited }]] : [state, NOTHING],
    },
    clock,
  );
