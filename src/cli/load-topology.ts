/** Loading a topology: from a module's path to what `startFleet` takes. */
import { stat } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Topology } from '../topology/fleet.ts';
import { NoTopologyError, TopologyFileError, TopologyLoadError, TopologyVersionError } from './errors.ts';

const FIELDS = [
  'name',
  'agents',
  'kinds',
  'dependencies',
  'supervision',
  'staggerMs',
  'bounds',
] as const satisfies readonly (keyof Topology)[];

/** All of Drover's sources, or of its compiled code. */
const OWN_FOLDER = `${dirname(import.meta.dirname)}${sep}`;

/**
 * Imports the module `file` (relative to `cwd`) and finds its topology.
 *
 * @throws TopologyFileError, TopologyLoadError, NoTopologyError, TopologyVersionError
 */
export async function loadTopology(file: string, cwd: string): Promise<Topology> {
  const path = resolve(cwd, file);
  const found = await stat(path).catch((cause: unknown) => {
    throw new TopologyFileError(file, (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'it cannot be read', {
      cause,
    });
  });
  if (!found.isFile()) throw new TopologyFileError(file, found.isDirectory() ? 'this is a folder' : 'this is no file');
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new TopologyLoadError(file, placeOf(cause), { cause });
  }
  return topologyIn(module, file);
}

/**
 * The topology among a module's exports. Known by its `is`, never by its class: the module may have
 * got its `drover` from another place than this command.
 *
 * @throws NoTopologyError, TopologyVersionError
 */
export function topologyIn(module: Readonly<Record<string, unknown>>, file: string): Topology {
  // What a CommonJS module exports arrives as `default`, its own `default` within.
  const inner = (module['default'] as { readonly default?: unknown } | null | undefined)?.default;
  const topology = [module['default'], module['topology'], inner].find(isTopology);
  if (topology === undefined) throw new NoTopologyError(file, Object.keys(module));
  const missing = FIELDS.filter((field) => topology[field] === undefined);
  if (missing.length > 0) throw new TopologyVersionError(file, missing);
  return topology;
}

function isTopology(value: unknown): value is Topology {
  return (value as { readonly is?: unknown } | null | undefined)?.is === 'topology';
}

/** The first place outside of Drover that the stack names: a line of the user's, when there is one. */
function placeOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error)) return undefined;
  for (const line of (cause.stack ?? '').split('\n')) {
    const place = /(?:^|file:\/\/|[\s(])(\/[^()\s]+:\d+)(?::\d+)?\)?$/.exec(line)?.[1];
    if (place !== undefined && !place.startsWith(OWN_FOLDER) && !place.includes('/node_modules/')) return place;
  }
  return undefined;
}
