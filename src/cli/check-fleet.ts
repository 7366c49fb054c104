/**
 * Check: whether a topology can get stuck, from the command line.
 *
 *   1. The search goes through in one go: a Ctrl-C ends the process at once.
 *   2. While the real machines are sampled, progress is shown, and a Ctrl-C is said.
 *   3. The verdict, and its trace as a file.
 */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkDeadlockFree } from '../testing/check-deadlock-free.ts';
import type { DeadlockOptions, DeadlockVerdict } from '../testing/check-deadlock-free.ts';
import { checkTrace } from '../testing/replay/index.ts';
import type { Topology } from '../topology/fleet.ts';
import { checkExit, checkJson, checkText } from './check-report.ts';
import type { Cli } from './cli.ts';
import type { CheckCommandOptions } from './commands/check.ts';
import { displayMode, terminalSize } from './display.ts';
import { UsageError } from './errors.ts';
import type { TestExit } from './exit-codes.ts';
import { loadTopology } from './load-topology.ts';
import { startLive } from './testing/live.ts';
import { count, shellWord } from './text.ts';
import { droverVersion } from './testing/version.ts';
import { watchProcess } from './watch-process.ts';
import type { Ending } from './watch-process.ts';

const nowMs = (): number => performance.now();

/**
 * Checks the topology module `file`, and says what came out.
 *
 * @throws what loading a topology throws; UsageError when the trace cannot be written; SkeletonError when a bound is out of range
 */
export async function checkFleet(file: string, options: CheckCommandOptions, cli: Cli): Promise<TestExit> {
  const topology = await loadTopology(file, cli.cwd);
  if (!options.quiet) cli.stderr.write(`${topology.name}: searching ...\n`);
  await cli.stderr.flush();
  const verdict = await judge(topology, file, options, cli);
  if (verdict === 'interrupted' || verdict === 'unread') return verdict;
  if (verdict.at === 'violated' && options.trace !== undefined) await writeTrace(topology, verdict, options.trace, cli.cwd);
  const exit = checkExit(verdict);
  const replay = verdict.at === 'violated' ? replayOf(verdict, file, options) : '';
  cli.stdout.write(
    options.json ? `${JSON.stringify(checkJson(topology.name, verdict, exit, replay))}\n` : checkText(topology.name, verdict, replay),
  );
  return exit;
}

/** The verdict, or what came before it. */
async function judge(
  topology: Topology,
  file: string,
  options: CheckCommandOptions,
  cli: Cli,
): Promise<DeadlockVerdict | 'interrupted' | 'unread'> {
  const broken = Promise.withResolvers<'interrupted' | 'unread'>();
  let runs: number | undefined;
  let release: (() => void) | undefined;
  const display = startLive({
    stderr: cli.stderr,
    mode: displayMode(options),
    parts: () => (runs === undefined ? undefined : [`${topology.name}: sampling`, `${count(runs)} of ${count(options.runs)} runs`]),
    nowMs,
    columns: () => terminalSize().columns,
  });
  const end = (ending: Ending): void => {
    if (ending.at === 'interrupted' || ending.at === 'unread') broken.resolve(ending.at);
    else if (ending.at === 'failed') broken.reject(ending.error);
  };
  const onRun = (so: number): void => {
    runs = so;
    release ??= watchProcess({ cli, display, nowMs, again: '; nothing is kept', end });
  };
  const replay = (seed: number): string => sampleLine(file, options, seed);
  try {
    return await Promise.race([broken.promise, checkDeadlockFree(topology, { ...optionsOf(options), onRun, replay })]);
  } finally {
    display.close();
    release?.();
  }
}

function optionsOf({ without, maxStates, timeMs, faults, runs, seed }: CheckCommandOptions): DeadlockOptions {
  return {
    nowMs,
    runs,
    seed,
    ...(without === undefined ? {} : { without: [without] }),
    ...(maxStates === undefined ? {} : { maxStates }),
    ...(timeMs === undefined ? {} : { withinMs: timeMs }),
    ...(faults === undefined ? {} : { faults }),
  };
}

async function writeTrace(
  topology: Topology,
  verdict: Extract<DeadlockVerdict, { readonly at: 'violated' }>,
  file: string,
  cwd: string,
): Promise<void> {
  const { search } = verdict;
  const trace = checkTrace(topology, droverVersion(), search.at === 'violated' ? search : verdict);
  await writeFile(resolve(cwd, file), `${JSON.stringify(trace)}\n`).catch((cause: unknown) => {
    throw new UsageError(`--trace ${file}: the trace could not be written`, { cause });
  });
}

/** The same search finds the same: what replays a violation is its trace, or the check that writes it. */
function replayOf(
  { by, replay }: Extract<DeadlockVerdict, { readonly at: 'violated' }>,
  file: string,
  options: CheckCommandOptions,
): string {
  const { trace } = options;
  const steps = `drover replay ${shellWord(file)} --trace ${shellWord(trace ?? 'trace.json')}`;
  if (trace !== undefined) return steps;
  return `${by === 'sample' ? replay : checkLine(file, options)} --trace trace.json; ${steps}`;
}

function sampleLine(file: string, options: CheckCommandOptions, seed: number): string {
  return `${checkLine(file, options)} --runs 1 --seed ${seed}`;
}

function checkLine(file: string, { without, maxStates, faults }: CheckCommandOptions): string {
  const given = { without, 'max-states': maxStates, faults };
  const words = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]));
  return ['drover check', shellWord(file), ...words].join(' ');
}
