/**
 * Locking: what the tasks of each kind may lock, as the search knows it.
 *
 * A list in `writes` or `reads` is exactly that. A function depends on data, and data never decides
 * here: what a task locks is free choice,
 *
 *   - among what the function gives for the sample inputs, where there are any (`inputs`);
 *   - otherwise among all sets of at most two names: the names that the topology lists, and unnamed
 *     ones that every such function may give. More names add no new way to wait: a start takes all of its
 *     locks at once, and nobody who holds one waits for another.
 *
 * A task has chosen before it waits, and does not choose again. Readers share: a resource has as many
 * places as runs may read it at once, a reader takes one of them, a writer all.
 */
import { describe } from '../../../actors/kernel/errors.ts';
import type { KindPlan, Topology } from '../../topology/fleet.ts';
import type { Bound } from './check.ts';
import { SkeletonError } from './errors.ts';

/** Sample inputs, as runs get them, by kind. */
export type SampleInputs = Readonly<Record<string, readonly unknown[]>>;

/** What one task locks, in the order in which its kind names it. */
export type LockSet = ReadonlyMap<string, 'read' | 'write'>;

export interface Locking {
  /** Places of each lock, by its name. */
  readonly places: ReadonlyMap<string, number>;
  readonly bounds: Readonly<Record<string, Bound>>;
  /** What a task of this kind may lock: one of these. Not empty. */
  setsOf(kind: string): readonly LockSet[];
  /** What it locks after it has widened: everything that anybody may lock. Undefined: its kind declares no writes. */
  widenedOf(kind: string): LockSet | undefined;
}

export interface LockingOptions {
  readonly inputs?: SampleInputs | undefined;
  /** Names that a function may give without a sample, at least. */
  readonly locks: number;
  /** Whether the order in which locks are named matters: they are taken one by one. */
  readonly inOrder: boolean;
  /** Of each kind, as they are searched. */
  readonly workers: (kind: string) => number;
}

/** Names from lists that a function may give too; more of them only say the same again. */
const MOST_LISTED = 4;
const MOST_CHOSEN = 2;

const NOTHING: LockSet = new Map();

/** Whether what tasks of this kind lock depends on their input. */
export function locksByInput({ agent }: KindPlan): boolean {
  const { writes, reads } = declared(agent.spec);
  return typeof writes === 'function' || typeof reads === 'function';
}

/**
 * What every kind may lock.
 *
 * @throws SkeletonError when a sample names a kind that is not there, or `writes` or `reads` gives no names for it.
 */
export function lockingOf(topology: Topology, { inputs = {}, locks, inOrder, workers }: LockingOptions): Locking {
  const plans = Object.values(topology.kinds);
  for (const kind of Object.keys(inputs)) {
    if (Object.hasOwn(topology.kinds, kind)) continue;
    const expected = `the name of a kind: ${Object.keys(topology.kinds).join(', ')}`;
    throw new SkeletonError({ path: ['options', 'inputs', kind], value: kind, expected });
  }
  const exact = new Map(
    plans.filter((plan) => !isFree(plan, inputs)).map((plan) => [plan.kind, distinct(exactSets(plan, inputs[plan.kind]), inOrder)]),
  );
  const known = new Set([...exact.values()].flat().flatMap((set) => [...set.keys()]));
  for (const { agent } of plans) for (const names of Object.values(declared(agent.spec))) for (const name of listed(names)) known.add(name);
  const free = plans.filter((plan) => isFree(plan, inputs));
  const nameable = [...known].slice(0, MOST_LISTED);
  while (free.length > 0 && nameable.length < Math.max(locks, 1)) nameable.push(`lock ${nameable.length + 1}`);
  const sets = new Map([
    ...exact,
    ...free.map(
      (plan) =>
        [
          plan.kind,
          distinct(
            [...freeSets(declared(plan.agent.spec), nameable), ...freeSets(declared(plan.agent.spec), nameable.toReversed())],
            inOrder,
          ),
        ] as const,
    ),
  ]);
  const names = new Set([...sets.values()].flat().flatMap((set) => [...set.keys()]));
  const all: LockSet = new Map([...names].map((name) => [name, 'write']));
  const places = new Map([...names].map((name) => [name, placesOf(name, sets, workers)]));
  return {
    places,
    bounds: boundsOf(plans, inputs, nameable.length),
    setsOf: (kind) => sets.get(kind)!,
    widenedOf: (kind) => (declared(topology.kinds[kind]!.agent.spec).writes === undefined || names.size === 0 ? undefined : all),
  };
}

interface Declared {
  readonly writes?: Names;
  readonly reads?: Names;
}

type Names = readonly string[] | ((input: unknown) => readonly string[]);

function declared({ writes, reads }: KindPlan['agent']['spec']): Declared {
  return { ...(writes === undefined ? {} : { writes }), ...(reads === undefined ? {} : { reads }) };
}

/** Whether its sets are a free choice: they depend on data, and there is no sample of it. */
function isFree(plan: KindPlan, inputs: SampleInputs): boolean {
  return locksByInput(plan) && (inputs[plan.kind] ?? []).length === 0;
}

function listed(names: Names = []): readonly string[] {
  return typeof names === 'function' ? [] : names;
}

function exactSets(plan: KindPlan, samples: readonly unknown[] = []): readonly LockSet[] {
  const { writes, reads } = declared(plan.agent.spec);
  if (!locksByInput(plan)) return [lockSet(listed(reads), listed(writes))];
  return samples.map((input, at) => {
    const named = (field: 'writes' | 'reads', names: Names = []): readonly string[] => {
      if (typeof names !== 'function') return names;
      const path = ['options', 'inputs', plan.kind, String(at)];
      const expected = `an input for which ${field} of ${plan.kind} gives names`;
      let given: unknown;
      try {
        given = names(input);
      } catch (cause) {
        throw new SkeletonError({ path, value: input, expected: `${expected}; it throws ${describe(cause)}` }, { cause });
      }
      if (!Array.isArray(given) || given.some((name) => typeof name !== 'string'))
        throw new SkeletonError({ path, value: input, expected: `${expected}, not ${describe(given)}` });
      return given as string[];
    };
    return lockSet(named('reads', reads), named('writes', writes));
  });
}

/** A name in both is written. */
function lockSet(reads: readonly string[], writes: readonly string[]): LockSet {
  const set = new Map<string, 'read' | 'write'>(writes.map((name) => [name, 'write']));
  for (const name of reads) if (!set.has(name)) set.set(name, 'read');
  return set;
}

/** Every set of at most so many names, each written or read as the kind may, beside what it lists. */
function freeSets({ writes, reads }: Declared, names: readonly string[]): readonly LockSet[] {
  const modes = [
    ...(typeof writes === 'function' ? (['write'] as const) : []),
    ...(typeof reads === 'function' ? (['read'] as const) : []),
  ];
  const always = lockSet(listed(reads), listed(writes));
  const chosen: LockSet[] = [NOTHING];
  for (const name of names) {
    const more = chosen.flatMap((set) => (set.size === MOST_CHOSEN ? [] : modes.map((mode): LockSet => new Map([...set, [name, mode]]))));
    chosen.push(...more);
  }
  return chosen.map((set) => new Map([...set, ...always].map(([name]) => [name, strongest(set.get(name), always.get(name))])));
}

function strongest(...modes: readonly ('read' | 'write' | undefined)[]): 'read' | 'write' {
  return modes.includes('write') ? 'write' : 'read';
}

/** Sets of the same names and modes are one, the first; in another order too, where that does not matter. */
function distinct(sets: readonly LockSet[], inOrder: boolean): readonly LockSet[] {
  const first = new Map<string, LockSet>();
  for (const set of sets) {
    const key = JSON.stringify(inOrder ? [...set] : [...set].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    if (!first.has(key)) first.set(key, set);
  }
  return [...first.values()];
}

/** As many as runs may read it at once: whoever only writes needs no more than one. */
function placesOf(name: string, sets: ReadonlyMap<string, readonly LockSet[]>, workers: (kind: string) => number): number {
  const readers = [...sets].filter(([, ofKind]) => ofKind.some((set) => set.get(name) === 'read'));
  return Math.max(
    1,
    readers.reduce((sum, [kind]) => sum + workers(kind), 0),
  );
}

function boundsOf(plans: readonly KindPlan[], inputs: SampleInputs, nameable: number): Record<string, Bound> {
  const bounds: Record<string, Bound> = {};
  for (const plan of plans.filter(locksByInput)) {
    const samples = (inputs[plan.kind] ?? []).length;
    if (samples > 0) bounds[`inputs of ${plan.kind}`] = { searched: samples, declared: 'unbounded' };
    else bounds['names that a function locks'] = { searched: nameable, declared: 'unbounded' };
  }
  return bounds;
}
