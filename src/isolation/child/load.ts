/** Loading a kind: from the module that a fleet names to what an isolated child runs. */
import type { KindPlan, Topology } from '../../topology/fleet.ts';
import { IsolatedModuleError } from '../errors.ts';
import type { ChildPurpose } from '../wire.ts';

export interface Loaded {
  readonly plan: KindPlan;
  readonly bounds: Topology['bounds'];
}

/**
 * Imports the module and finds the topology of that name among its exports, whatever they are called.
 *
 * @throws IsolatedModuleError; what the module itself throws is its cause
 */
export async function loadKind({ module, fleet, kind }: ChildPurpose): Promise<Loaded> {
  let exports: Readonly<Record<string, unknown>>;
  try {
    exports = (await import(module)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new IsolatedModuleError(module, 'loading it for an isolated worker failed', { cause });
  }
  // What a CommonJS module exports arrives as `default`, its own `default` within.
  const inner = (exports['default'] as { readonly default?: unknown } | null | undefined)?.default;
  const topologies = [...Object.values(exports), inner].filter(isTopology);
  const topology = topologies.find(({ name }) => name === fleet);
  if (topology === undefined) {
    const found = topologies.length === 0 ? 'no topology' : `the topologies ${topologies.map(({ name }) => name).join(', ')}`;
    throw new IsolatedModuleError(
      module,
      `expected that it exports the fleet ${fleet}, which names it as its module; it exports ${found} (${Object.keys(exports).join(', ') || 'nothing'})`,
    );
  }
  const plan = Object.hasOwn(topology.kinds, kind) ? topology.kinds[kind] : undefined;
  if (plan === undefined) throw new IsolatedModuleError(module, `its fleet ${fleet} has no kind ${kind}`);
  return { plan, bounds: topology.bounds };
}

function isTopology(value: unknown): value is Topology {
  return (value as { readonly is?: unknown } | null | undefined)?.is === 'topology';
}
