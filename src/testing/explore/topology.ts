/**
 * From a topology to a skeleton: what any run of its kinds may do, whatever the data.
 *
 * A task is a process, a worker and a permit are resources. A running task holds a worker of its kind
 * and may, in any order: call a dependency that it uses (takes a permit, gives it back), ask a kind
 * that it asks (several at once), end, be rejected and start again, or lose its worker to a crash.
 *
 *     queued ── worker ──▶ runs ⇄ calls
 *        ▲                  │  └── end
 *        └── woken ◀─ child ended ─ parked
 *
 * With parking, a run that waits for a child gives its worker back and queues for one again when a
 * child has ended. So it does with its locks (`locking.ts`): a start takes its worker and all of them in
 * one move, or waits and holds nothing, and whatever ends or parks the run gives them back. A run that
 * widens what it writes parks too, and starts again for more. No priority is modelled: claimed tasks may stand in a mailbox before one that comes
 * back, so every order is searched, and what holds in every order holds in the real one.
 *
 * A circle of asks is cut at the depth that is searched: a task there asks nobody. The ranks of a skeleton
 * (`ranks.ts`) do not depend on any of its sizes but this, and each more of depth adds classes that wait
 * for deeper ones only.
 *
 * Left out, and why that changes nothing for waits: mailboxes (a claimed task waits there holding
 * nothing but its lease, and work that does not fit stays in the store), rates (time refills them, so
 * nobody waits for another), retries of calls (a try holds what the call holds), several calls of one
 * run at once (each waits for its permit alone and needs nothing more once it has it), asks that are
 * not awaited (a task of its own), order keys (the head of a key waits for a worker, locks and permits
 * only, and lets the next one by while it waits for a child or for the outside; who stands behind it
 * holds nothing), sleeps, events and approvals of kinds that lock nothing (time or somebody outside
 * brings them, and the run holds nothing meanwhile), who may pass whom at a lock (every order is searched).
 */
import type { Topology } from '../../topology/fleet.ts';
import type { Bound, Bounds } from './check.ts';
import { SkeletonError } from './errors.ts';
import { lockingOf } from './locking.ts';
import type { SampleInputs } from './locking.ts';
import type { Skeleton } from './skeleton.ts';
import { lockOf, permitOf, taskClass, workerOf } from './task-class.ts';
import type { TaskClass } from './task-class.ts';

/**
 * What can be switched off, to see what it is for. `parking`: a run that waits for a child keeps what it has.
 * `all-or-nothing`: a start takes its locks one by one, in the order in which they are declared. `letting-go`: a run
 * that parks keeps its locks.
 */
export type Construction = 'parking' | 'all-or-nothing' | 'letting-go';

export const CONSTRUCTIONS: readonly Construction[] = ['parking', 'all-or-nothing', 'letting-go'];

/** The numbers of one search. Declared sizes that are larger are scaled down to these. */
export interface Sizes {
  /** Workers of a kind at most. Default 2. */
  readonly workers?: number;
  /** Permits of a dependency at most. Default 2. */
  readonly permits?: number;
  /**
   * Tasks submitted, of each kind that no other kind asks (of a circle of kinds: of the first of them).
   * Default one more than it has workers.
   */
  readonly tasks?: number;
  /** Asks inside asks. Default 3, and never more than the topology's bound. */
  readonly depth?: number;
  /** Calls and asks of one run. Default 2. */
  readonly operations?: number;
  /** Asks of one run that are open at once. Default 2. */
  readonly asks?: number;
  /** Crashes of workers in all. Default 1. */
  readonly faults?: number;
  /** Rejected runs in all. Default 1. */
  readonly rejections?: number;
  /** Names that a function in `writes` or `reads` may give where there is no sample input, at least. Default 2. */
  readonly locks?: number;
}

export interface SkeletonOptions extends Sizes {
  /** Constructions of the runtime to switch off. Default: none. */
  readonly without?: readonly Construction[];
  /** Sample inputs, as runs get them, by kind: what functions in `writes` and `reads` give. Default: any set of names. */
  readonly inputs?: SampleInputs;
}

export interface TopologySkeleton {
  readonly skeleton: Skeleton;
  /** What is searched, and what is declared. */
  readonly bounds: Bounds;
}

/**
 * Builds the skeleton of a topology.
 *
 * @throws SkeletonError when a size is out of range, or a sample input is no input.
 */
export function skeletonOf(topology: Topology, options: SkeletonOptions = {}): TopologySkeleton {
  const sizes = sizesOf(topology, options);
  const entries = entriesOf(topology);
  const bounds: Record<string, Bound> = {
    'depth of asks': { searched: sizes.depth, declared: topology.bounds.depth },
    'operations of a run': { searched: sizes.operations, declared: topology.bounds.operations },
    'open asks of a run': { searched: sizes.asks, declared: topology.bounds.fanOut },
    crashes: { searched: sizes.faults, declared: 'unbounded' },
    'rejected runs': { searched: sizes.rejections, declared: 'unbounded' },
  };
  const resources: Record<string, number> = {};
  for (const { kind, replicas } of Object.values(topology.kinds)) {
    const searched = Math.min(replicas, sizes.workers);
    bounds[`workers of ${kind}`] = { searched, declared: replicas };
    resources[workerOf(kind)] = searched;
  }
  for (const [name, { spec }] of Object.entries(topology.dependencies)) {
    const declared = spec.limits?.concurrency;
    if (declared === undefined) continue;
    const searched = Math.min(declared, sizes.permits);
    bounds[`permits of ${name}`] = { searched, declared };
    resources[permitOf(name)] = searched;
  }
  const locking = lockingOf(topology, {
    inputs: options.inputs,
    locks: sizes.locks,
    inOrder: (options.without ?? []).includes('all-or-nothing'),
    workers: (kind) => resources[workerOf(kind)]!,
  });
  for (const [name, places] of locking.places) resources[lockOf(name)] = places;
  Object.assign(bounds, locking.bounds);
  const processes = classesOf(topology, entries, sizes.depth).map(({ kind, depth }) => {
    const count = depth === 0 ? (sizes.tasks ?? resources[workerOf(kind)]! + 1) : 0;
    if (depth === 0) bounds[`tasks of ${kind}`] = { searched: count, declared: topology.bounds.unfinished };
    return taskClass({ topology, kind, depth, count, sizes, locking, without: options.without ?? [] });
  });
  const skeleton = { name: topology.name, resources, processes, budgets: { rejections: sizes.rejections }, faults: sizes.faults };
  return { skeleton, bounds };
}

export type AllSizes = Required<Omit<Sizes, 'tasks'>> & Pick<Sizes, 'tasks'>;

function sizesOf(topology: Topology, options: SkeletonOptions): AllSizes {
  const { workers = 2, permits = 2, tasks, operations = 2, asks = 2, faults = 1, rejections = 1, locks = 2 } = options;
  const depth = Math.min(options.depth ?? 3, topology.bounds.depth);
  const least = { workers: 1, permits: 1, tasks: 0, depth: 0, operations: 0, asks: 1, faults: 0, rejections: 0, locks: 1 };
  const sizes = { workers, permits, ...(tasks === undefined ? {} : { tasks }), depth, operations, asks, faults, rejections, locks };
  for (const [name, value] of Object.entries(sizes)) {
    const from = least[name as keyof typeof least];
    if (Number.isInteger(value) && value >= from && value <= 255) continue;
    throw new SkeletonError({ path: ['options', name], value, expected: `a whole number from ${from} to 255` });
  }
  return sizes;
}

/**
 * Kinds whose tasks come from outside: those that no other kind asks, and one of each circle of kinds
 * that nobody outside of it asks.
 */
function entriesOf({ kinds }: Topology): readonly string[] {
  const reachable = (from: string): ReadonlySet<string> => {
    const seen = new Set([from]);
    for (const kind of seen) for (const asked of kinds[kind]!.asks) seen.add(asked);
    return seen;
  };
  const reaches = new Map(Object.keys(kinds).map((kind) => [kind, reachable(kind)]));
  const isEntry = (kind: string, at: number) =>
    [...reaches].every(([other, reached], otherAt) => !reached.has(kind) || (reaches.get(kind)!.has(other) && at <= otherAt));
  return Object.keys(kinds).filter(isEntry);
}

/** Each kind at each depth at which it can be asked. A circle of asks is cut where the depth ends. */
function classesOf({ kinds }: Topology, entries: readonly string[], depth: number): readonly TaskClass[] {
  const classes: TaskClass[] = entries.map((kind) => ({ kind, depth: 0 }));
  for (const one of classes) {
    if (one.depth === depth) continue;
    for (const kind of kinds[one.kind]!.asks) {
      const child = { kind, depth: one.depth + 1 };
      if (!classes.some((known) => known.kind === child.kind && known.depth === child.depth)) classes.push(child);
    }
  }
  return classes;
}
