/** Topology hash: tells whether a trace is of this topology. */
import { hash } from 'node:crypto';
import type { Topology } from '../../topology/fleet.ts';

/**
 * 16 hexadecimal digits over everything that a topology declares: kinds, dependencies with their limits,
 * supervision, bounds. Not over the code of its functions: what those do is seen while replaying.
 */
export function topologyHash({ name, kinds, dependencies, supervision, staggerMs, bounds }: Topology): string {
  const plans = Object.values(kinds).map(({ agent: _code, ...plan }) => plan);
  const specs = Object.entries(dependencies).map(([dependency, { spec }]) => ({ dependency, ...spec }));
  return hash('sha256', JSON.stringify(canonical({ name, plans, specs, supervision, staggerMs, bounds })), 'hex').slice(0, 16);
}

/** Plain data whose order does not matter: fields sorted, a function only known to be there. */
function canonical(value: unknown): unknown {
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  const prototype = Object.getPrototypeOf(value) as unknown;
  // Clients and the like: their insides change as they work.
  if (prototype !== Object.prototype && prototype !== null) return 'an object';
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, canonical(inner)]),
  );
}
