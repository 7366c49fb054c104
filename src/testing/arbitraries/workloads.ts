/** Workloads: tasks for a user's own topology, in order of their coming. They shrink to few, early and small ones. */
import * as fc from 'fast-check';
import type { InputOf } from '../../topology/contract.ts';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import type { WorkItem } from '../simulate/options.ts';
import { demand, demandCount, demandTopology, onlyKnown } from './check-options.ts';
import { list } from './list.ts';
import { few, record } from './record.ts';

/** What may be given to a kind, by its name. Kinds that are left out get no tasks of their own. */
export type Inputs<K extends AgentMap> = { readonly [N in keyof K & string]?: fc.Arbitrary<InputOf<K[N]>> };

export interface WorkloadOptions {
  /** Default 1. */
  readonly minTasks?: number;
  /** Default 20. */
  readonly maxTasks?: number;
  /** Tasks come within so many virtual milliseconds from the start. Default 10,000; 0: all at once. */
  readonly withinMs?: number;
  /** The largest priority. Default 0: all alike. */
  readonly maxPriority?: number;
}

export const WORKLOAD_OPTIONS = ['minTasks', 'maxTasks', 'withinMs', 'maxPriority'];

/**
 * Workloads for `simulate`.
 *
 * @throws TopologyError, ArbitraryOptionError
 * @example
 * workloads(topology, { triage: fc.record({ mailId: fc.string() }) }, { maxTasks: 50 })
 */
export function workloads<K extends AgentMap>(
  topology: Topology<K>,
  inputs: Inputs<K>,
  options: WorkloadOptions = {},
): fc.Arbitrary<readonly WorkItem<K>[]> {
  demandTopology('workloads', topology);
  onlyKnown('workloads.inputs', inputs, Object.keys(topology.kinds));
  const given = Object.entries(inputs) as [string, fc.Arbitrary<unknown> | undefined][];
  const kinds = given.flatMap(([kind, input]) => (input === undefined ? [] : [[kind, input] as const]));
  demand('workloads.inputs', inputs, kinds.length > 0, 'an arbitrary of inputs for one kind at least');
  for (const [kind, input] of kinds) demand(`workloads.inputs.${kind}`, input, input instanceof fc.Arbitrary, 'an arbitrary of fast-check');
  const item = fc.oneof(...kinds.map(([kind, input]) => record({ kind: fc.constant(kind), input })));
  return inTime(item, options) as unknown as fc.Arbitrary<readonly WorkItem<K>[]>;
}

/** Gives items their times and priorities, and puts them in order. */
export function inTime<T extends object>(
  item: fc.Arbitrary<T>,
  options: WorkloadOptions,
): fc.Arbitrary<readonly (T & { readonly atMs: number })[]> {
  onlyKnown('workloads.options', options, WORKLOAD_OPTIONS);
  const { minTasks = 1, maxTasks = 20, withinMs = 10_000, maxPriority = 0 } = options;
  demandCount('workloads.maxTasks', maxTasks, 0, 100_000);
  demandCount('workloads.minTasks', minTasks, 0, maxTasks);
  demandCount('workloads.withinMs', withinMs, 0, 1_000_000_000);
  demandCount('workloads.maxPriority', maxPriority, 0, 1_000_000);
  const priority = maxPriority === 0 ? {} : { priority: fc.nat({ max: maxPriority }) };
  const timed = fc.tuple(item, record({ atMs: few(withinMs), ...priority }));
  return list(timed, { minLength: minTasks, maxLength: maxTasks }).map((items) =>
    items.map(([what, when]) => ({ ...what, ...when })).toSorted((a, b) => a.atMs - b.atMs),
  );
}
