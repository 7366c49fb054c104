/** Checks of options that the arbitraries have in common. */
import { TopologyError } from '../../topology/topology-error.ts';
import { ArbitraryOptionError } from './errors.ts';

/** @throws ArbitraryOptionError */
export function demand(option: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds) throw new ArbitraryOptionError(option, expected, value);
}

/** @throws ArbitraryOptionError when there is an option of another name */
export function onlyKnown(of: string, options: unknown, known: readonly string[]): void {
  demand(of, options, typeof options === 'object' && options !== null, `an object with some of ${known.join(', ')}`);
  for (const [name, value] of Object.entries(options as object))
    demand(`${of}.${name}`, value, known.includes(name), `no such option; there are ${known.join(', ')}`);
}

/** @throws ArbitraryOptionError unless it is a whole number in this range, bounds included */
export function demandCount(option: string, value: unknown, from: number, to: number): void {
  demand(
    option,
    value,
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to,
    `a whole number from ${from} to ${to}`,
  );
}

/** @throws TopologyError */
export function demandTopology(of: string, topology: unknown): void {
  if ((topology as { readonly is?: unknown } | null | undefined)?.is !== 'topology')
    throw new TopologyError({ path: [of, 'topology'], value: topology, expected: 'a topology, made by defineFleet(...)' });
}
