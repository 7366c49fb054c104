/** Shrink: fewer processes, smaller capacities and budgets, as long as the same goes wrong. */
import { needsOf } from './skeleton.ts';
import type { ProcessClass, Skeleton } from './skeleton.ts';

/**
 * Tries every smaller skeleton, one change at a time, and goes on from the first in which `fails`
 * still finds something. Ends with one of which no part can be made smaller.
 */
export function shrink<V>(
  skeleton: Skeleton,
  fails: (candidate: Skeleton) => V | undefined,
): { readonly verdict: V; readonly steps: readonly string[] } | undefined {
  let smallest: { readonly skeleton: Skeleton; readonly verdict: V } | undefined;
  const before = sizesOf(skeleton);
  for (let again = true; again;) {
    again = false;
    for (const candidate of smallerOnes(smallest?.skeleton ?? skeleton)) {
      const verdict = fails(candidate);
      if (verdict === undefined) continue;
      smallest = { skeleton: candidate, verdict };
      again = true;
      break;
    }
  }
  if (smallest === undefined) return undefined;
  const after = sizesOf(smallest.skeleton);
  const steps = [...before].flatMap(([name, count]) =>
    after.get(name) === count ? [] : [`${name}: ${after.get(name)} instead of ${count}`],
  );
  return { verdict: smallest.verdict, steps };
}

function sizesOf({ processes, resources = {}, mailboxes = {}, budgets = {}, faults = 0 }: Skeleton): ReadonlyMap<string, number> {
  return new Map([
    ...processes.map(({ name, count = 1 }) => [name, count] as const),
    ...Object.entries(resources),
    ...Object.entries(mailboxes),
    ...Object.entries(budgets),
    ['faults', faults],
  ]);
}

function* smallerOnes(skeleton: Skeleton): Generator<Skeleton> {
  const { processes, resources = {}, mailboxes = {}, budgets = {}, faults = 0 } = skeleton;
  if (faults > 0) yield* lower(faults, 0).map((count) => ({ ...skeleton, faults: count }));
  for (const [at, process] of processes.entries()) {
    for (const count of lower(process.count ?? 1, isWork(process) ? 0 : 1))
      yield { ...skeleton, processes: processes.with(at, { ...process, count }) };
  }
  for (const [name, capacity] of Object.entries(resources)) {
    for (const count of lower(capacity, Math.min(capacity, totalNeed(skeleton, name))))
      yield { ...skeleton, resources: { ...resources, [name]: count } };
  }
  for (const [name, capacity] of Object.entries(mailboxes)) {
    for (const count of lower(capacity, 1)) yield { ...skeleton, mailboxes: { ...mailboxes, [name]: count } };
  }
  for (const [name, budget] of Object.entries(budgets)) {
    for (const count of lower(budget, 0)) yield { ...skeleton, budgets: { ...budgets, [name]: count } };
  }
}

/** Work comes and goes, and may be left out; the parts of a system stay, or what they are for would look stuck. */
function isWork({ states }: ProcessClass): boolean {
  return Object.values(states).some((moves) => moves.some(({ does }) => does === 'end'));
}

/** A resource stays as large as what one process may ask of it in all: one that stands in its own way would be another fault. */
function totalNeed({ processes }: Skeleton, resource: string): number {
  const needs = processes.map(({ states }) =>
    Object.values(states)
      .flat()
      .reduce((sum, move) => sum + (move.does === 'acquire' || move.does === 'attempt' ? (needsOf(move.needs)[resource] ?? 0) : 0), 0),
  );
  return Math.max(1, ...needs);
}

/** The least first, then half, then one less. */
function lower(count: number, least: number): readonly number[] {
  return [...new Set([least, Math.floor((count + least) / 2), count - 1])].filter((one) => one >= least && one < count);
}
