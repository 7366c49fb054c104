/**
 * Replay: one simulation, or what a check has found, step by step, from the command line.
 *
 *   1. The trace is read and compared with the topology, or the options are put together.
 *   2. A simulation is done again as a whole and recorded, then compared with its trace.
 *   3. Its steps are shown: at a person's word on a terminal, all of them in a pipe.
 */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { finished } from 'node:stream/promises';
import { demandSame, FrameWriter, parseTrace, record, TraceFileError } from '../testing/replay/index.ts';
import type { Recording, SimulationTrace } from '../testing/replay/index.ts';
import type { Topology } from '../topology/fleet.ts';
import type { Cli } from './cli.ts';
import type { ReplayCommandOptions } from './commands/replay.ts';
import { formatError, UsageError } from './errors.ts';
import type { TestExit } from './exit-codes.ts';
import { loadTopology } from './load-topology.ts';
import { PROMPT, Stepper } from './replay-stepper.ts';
import { walkCheck, walkRecording } from './replay-steps.ts';
import type { Walk } from './replay-steps.ts';
import { parseSeed, replayLine } from './simulate-plan.ts';
import type { Seed, SimulatePlan } from './simulate-plan.ts';
import { loadSimulation } from './simulate-workload.ts';
import { printable } from './text.ts';
import { isRefusal } from './testing/errors.ts';
import { droverVersion } from './testing/version.ts';

/**
 * Steps through a simulation of the topology module `file`, or through a trace of it.
 *
 * @throws what keeps it from starting: what `loadSimulation` throws, TraceFileError and its like, UsageError
 */
export async function replayFleet(file: string, options: ReplayCommandOptions, cli: Cli): Promise<TestExit> {
  const topology = await loadTopology(file, cli.cwd);
  const trace = options.trace === undefined ? undefined : await readTrace(options.trace, topology, cli);
  if (trace?.of === 'check') {
    if (options.frames !== undefined) throw new UsageError('--frames: the trace of a check has no actors, and so no frames');
    return (await show(walkCheck(trace), options, cli)) ?? 'violated';
  }
  const { plan, seed } = trace === undefined ? given(file, options, cli.cwd) : recorded(file, options.trace!, trace, cli.cwd);
  if (!options.json) cli.stderr.write(`${topology.name}: simulating seed ${seed} ...\n`);
  let recording: Recording;
  const { options: simulation } = await loadSimulation(plan);
  try {
    recording = await recordFrames(topology, { ...simulation, seed, replay: () => replayLine(plan, seed) }, options, cli.cwd);
    if (trace !== undefined) demandSame(trace, recording.result);
  } catch (error) {
    if (isRefusal(error)) throw error;
    // Nothing is known of the fleet then: this is no violation.
    cli.stderr.write(`drover: not replayed to the end: ${formatError(error, cli.debug)}\n`);
    return 'inconclusive';
  }
  const walk = walkRecording(recording.steps, options.from ?? -Infinity, options.to ?? Infinity, tellEnd(recording));
  const exit: TestExit = recording.result.violations.length > 0 || recording.result.nondeterminism.length > 0 ? 'violated' : 'clean';
  return (await show(walk, options, cli)) ?? exit;
}

function given(topology: string, options: ReplayCommandOptions, cwd: string): { readonly plan: SimulatePlan; readonly seed: Seed } {
  const { seed, durationMs, workload, tasks, faults, sampler } = options;
  if (seed === undefined) throw new UsageError('expected --seed S, or --trace FILE; see drover replay --help');
  const parsed = parseSeed(seed);
  const said = Object.entries({ durationMs, workload, tasks, faults, sampler }).filter(([, value]) => value !== undefined);
  return { plan: { topology, cwd, ...Object.fromEntries(said) }, seed: parsed };
}

/** Paths in a trace are from its own folder. */
function recorded(
  topology: string,
  file: string,
  { simulation }: SimulationTrace,
  cwd: string,
): { readonly plan: SimulatePlan; readonly seed: Seed } {
  const { seed, workload, tasks, ...rest } = simulation;
  const beside = (path: string): string => join(dirname(resolve(cwd, file)), path);
  const plan = {
    topology,
    cwd,
    ...rest,
    ...(workload === undefined ? {} : { workload: beside(workload) }),
    ...(tasks === undefined ? {} : { tasks: beside(tasks) }),
  };
  return { plan, seed };
}

async function readTrace(file: string, topology: Topology, cli: Cli): Promise<ReturnType<typeof parseTrace>> {
  const text = await readFile(resolve(cli.cwd, file), 'utf8').catch((cause: unknown) => {
    throw new TraceFileError(file, (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'it cannot be read', {
      cause,
    });
  });
  return parseTrace(text, file, topology, droverVersion());
}

async function recordFrames(
  topology: Topology,
  simulation: Parameters<typeof record>[1],
  { frames, from, to }: ReplayCommandOptions,
  cwd: string,
): Promise<Recording> {
  if (frames === undefined) return record(topology, simulation);
  const stream = createWriteStream(resolve(cwd, frames));
  const written = finished(stream);
  // Told below; until then nobody looks.
  written.catch(() => {});
  const recording = await record(topology, simulation, new FrameWriter((line) => void stream.write(line), from, to));
  stream.end();
  await written;
  return recording;
}

function tellEnd({ result: { violations, nondeterminism, virtualMs, statistics } }: Recording): readonly string[] {
  const { tasks, completed, failed, dead } = statistics;
  return [
    ...violations.map(({ invariant, message, atMs }) => `violated: ${invariant} at ${Math.round(atMs)} ms: ${printable(message)}`),
    ...nondeterminism.map(({ message }) => `nondeterminism: ${printable(message)}`),
    `the end, after ${Math.round(virtualMs)} ms: ${tasks} tasks, ${completed} completed, ${failed} failed, ${dead} dead, ${violations.length} violations`,
  ];
}

/** How it ended where that says more than what was replayed: the reader has left. */
async function show(walk: Walk, options: ReplayCommandOptions, cli: Cli): Promise<TestExit | undefined> {
  if (options.json) return writeAll(jsonLines(walk, options.waits), cli);
  const stepper = new Stepper(walk, options.waits);
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !options.all;
  if (!isTerminal) return writeAll(stepper.rest(), cli);
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-C and Ctrl-D end it, as q does.
  const left = new AbortController();
  lines.on('SIGINT', () => left.abort()).on('close', () => left.abort());
  try {
    while (!stepper.isOver) {
      const shown = stepper.command(await lines.question(PROMPT, { signal: left.signal }));
      if (shown === undefined) break;
      await writeAll(shown, cli);
    }
  } catch (error) {
    if (!left.signal.aborted) throw error;
    cli.stdout.write('\n');
  } finally {
    lines.close();
  }
  return undefined;
}

function* jsonLines(walk: Walk, waits: boolean): Generator<string> {
  for (let step = walk.next(); step !== undefined; step = walk.next())
    yield JSON.stringify(waits ? { ...step, waits: walk.waits() } : step);
  yield JSON.stringify({ end: walk.end });
}

/** As fast as it is read. */
async function writeAll(lines: Iterable<string>, cli: Cli): Promise<TestExit | undefined> {
  for (const line of lines) {
    cli.stdout.write(`${line}\n`);
    await cli.stdout.backlog();
    if (cli.stdout.closed) return 'unread';
  }
  return undefined;
}
