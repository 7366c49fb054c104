/** Simulate workload: where the tasks of a simulation come from, and everything else that `simulate` takes. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Random } from '../../actors/kernel/random.ts';
import type { SimulateOptions, WorkItem, Workload } from '../testing/index.ts';
import { placeOf } from '../testing/place.ts';
import { checkOptions } from '../testing/simulate/options.ts';
import type { Topology } from '../topology/fleet.ts';
import { TasksFileError } from './errors.ts';
import { LineSplitter } from './lines.ts';
import { loadTopology } from './load-topology.ts';
import type { SimulatePlan } from './simulate-plan.ts';
import { parseTaskLine } from './task-line.ts';
import type { TaskLine } from './task-line.ts';
import { NoWorkloadError, SimulationExportError, WorkloadFileError } from './testing/errors.ts';

/** All of `simulate`'s options but the seed. */
export type SimulationOptions = Omit<SimulateOptions, 'seed'> & { readonly durationMs: number };

export interface LoadedSimulation {
  readonly topology: Topology;
  readonly options: SimulationOptions;
}

const DEFAULT_MS = 60_000;
const LONGEST_LINE = 16 * 1_024 * 1_024;
/** Tasks of a file come in this share of the time, so that the last has time to run under faults, too. */
const COMING = 0.8;

type Module = Readonly<Record<string, unknown>>;

/**
 * Loads a topology with what its simulation needs. The command line goes before the module.
 *
 * @throws what loading a topology throws; NoWorkloadError, SimulationExportError,
 * WorkloadFileError, TasksFileError; SimulationOptionError
 */
export async function loadSimulation(plan: SimulatePlan): Promise<LoadedSimulation> {
  const { cwd, workload, tasks, faults, sampler, nondeterminism } = plan;
  const topology = await loadTopology(plan.topology, cwd);
  const own = exported(await importModule(plan.topology, cwd), plan.topology);
  const from = workload === undefined ? own : { ...own, ...workloadModule(await importWorkload(workload, cwd), workload) };
  const durationMs = plan.durationMs ?? from.durationMs ?? DEFAULT_MS;
  const given = tasks === undefined ? from.workload : fromFile(await readTasks(tasks, cwd), durationMs);
  if (given === undefined) throw new NoWorkloadError(plan.topology, Object.keys(topology.kinds)[0]!);
  demandAgain(given, workload ?? plan.topology);
  const choices = { faults, sampler, nondeterminism };
  const chosen = Object.fromEntries(Object.entries(choices).filter(([, value]) => value !== undefined));
  const options = { ...from, ...chosen, workload: given, durationMs };
  checkOptions(topology, options);
  return { topology, options };
}

/** Once more where it is loaded already: the module is the same one. */
async function importModule(file: string, cwd: string): Promise<Module> {
  return (await import(pathToFileURL(resolve(cwd, file)).href)) as Module;
}

async function importWorkload(file: string, cwd: string): Promise<Module> {
  const found = await stat(resolve(cwd, file)).catch((cause: unknown) => {
    throw new WorkloadFileError(file, 'there is no such file', { cause });
  });
  if (!found.isFile()) throw new WorkloadFileError(file, 'this is no file', {});
  return importModule(file, cwd).catch((cause: unknown) => {
    const place = placeOf(cause);
    throw new WorkloadFileError(file, `loading it failed${place === undefined ? '' : ` at ${place}`}`, { cause });
  });
}

/** `export const simulation = { workload, provider, ... }`. */
function exported(module: Module, file: string): Partial<SimulateOptions> {
  const inner = (module['default'] as Module | null | undefined)?.['simulation'];
  const simulation = module['simulation'] ?? inner ?? {};
  if (typeof simulation !== 'object' || Array.isArray(simulation)) {
    throw new SimulationExportError(file, 'export simulation', 'an object, such as { workload, provider, durationMs }', simulation);
  }
  const { seed: _seed, ...rest } = simulation as Partial<SimulateOptions>;
  return rest;
}

/** A module for `--workload`: an export `simulation`, or the workload itself as `workload` or by default. */
function workloadModule(module: Module, file: string): Partial<SimulateOptions> {
  if (module['simulation'] !== undefined) return exported(module, file);
  const workload = module['workload'] ?? module['default'];
  if (workload === undefined) {
    throw new SimulationExportError(file, 'exports', '`simulation`, `workload`, or a default export of tasks', Object.keys(module));
  }
  return { workload: workload as Workload };
}

/** A generator that runs already has tasks for one seed only. */
function demandAgain(workload: unknown, file: string): void {
  if (typeof (workload as { readonly next?: unknown } | null)?.next !== 'function') return;
  throw new SimulationExportError(file, 'workload', 'an array, or the generator function itself: each seed takes the tasks anew', workload);
}

async function readTasks(file: string, cwd: string): Promise<readonly TaskLine[]> {
  const bytes = await readFile(resolve(cwd, file)).catch((cause: unknown) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new TasksFileError(file, missing ? 'there is no such file; expected JSON lines' : 'cannot be read', { cause });
  });
  const splitter = new LineSplitter(LONGEST_LINE);
  return [...splitter.push(bytes), ...splitter.end()].map((line) => {
    if ('problem' in line) throw new TasksFileError(file, `line ${line.number}: ${line.problem}`);
    try {
      return parseTaskLine(line.text);
    } catch (cause) {
      throw new TasksFileError(file, `line ${line.number} is no task`, { cause });
    }
  });
}

/** Each seed draws when each task comes, and so their order. */
function fromFile(tasks: readonly TaskLine[], durationMs: number): Workload {
  return (random: Random) =>
    tasks
      .map(({ kind, input, id, priority }) => ({
        kind,
        input,
        atMs: random.next() * durationMs * COMING,
        ...(id === undefined ? {} : { id }),
        ...(priority === undefined ? {} : { priority }),
      }))
      .toSorted((a, b) => a.atMs - b.atMs) as WorkItem[];
}
