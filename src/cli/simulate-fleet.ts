/**
 * Simulate: a topology over many seeds, from the command line.
 *
 *   1. Topology, workload and options are looked at here, before any thread starts.
 *   2. Threads simulate one seed after the other; each violation is told as it is found.
 *   3. The first of these ends it: every seed is done; an interrupt; standard output closed by its
 *      reader; something that keeps a seed from being simulated.
 *   4. The report says what was found so far.
 */
import { writeFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { SimulationTrace } from '../testing/replay/index.ts';
import type { Nondeterminism } from '../testing/index.ts';
import type { Cli } from './cli.ts';
import type { SimulateCommandOptions } from './commands/simulate.ts';
import { displayMode, terminalSize } from './display.ts';
import type { Display } from './display.ts';
import { formatError, UsageError } from './errors.ts';
import type { TestExit } from './exit-codes.ts';
import { Jobs } from './simulate-jobs.ts';
import { parseSeed, seedsFrom } from './simulate-plan.ts';
import type { SimulatePlan } from './simulate-plan.ts';
import { simulateReport, SimulateTally, simulateText } from './simulate-report.ts';
import type { SeedResult } from './simulate-worker.ts';
import { loadSimulation } from './simulate-workload.ts';
import { isRefusal } from './testing/errors.ts';
import { startLive } from './testing/live.ts';
import { count, duration, plural, printable, rate, shellWord } from './text.ts';
import { watchProcess } from './watch-process.ts';
import type { Ending } from './watch-process.ts';

const HOUR_MS = 3_600_000;
/** Violations that are told in full; the others are in the report's numbers. */
const MOST_TOLD = 10;

const nowMs = (): number => performance.now();

/**
 * Simulates the topology module `file`, and says how that ended.
 *
 * @throws what keeps it from starting: what `loadSimulation` throws, UsageError
 */
export async function simulateFleet(file: string, options: SimulateCommandOptions, cli: Cli): Promise<TestExit> {
  const seed = parseSeed(options.seed);
  if (typeof seed === 'number' && !Number.isSafeInteger(seed + options.seeds))
    throw new UsageError('--seed: so many seeds from there are too large');
  const plan = planOf(file, options, cli.cwd);
  const { topology } = await loadSimulation(plan);
  const command = new SimulateCommand(topology.name, plan, options, cli);
  return command.execute(seedsFrom(seed, options.seeds));
}

function planOf(topology: string, options: SimulateCommandOptions, cwd: string): SimulatePlan {
  const { workload, tasks, faults, sampler, nondeterminism, hours, seeds } = options;
  const durationMs = hours === undefined ? undefined : Math.max(1, Math.round((hours * HOUR_MS) / seeds));
  const given = { workload, tasks, faults, sampler, nondeterminism, durationMs };
  return { topology, cwd, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

class SimulateCommand {
  readonly #name: string;
  readonly #plan: SimulatePlan;
  readonly #options: SimulateCommandOptions;
  readonly #cli: Cli;
  readonly #tally = new SimulateTally();
  readonly #startedMs = nowMs();
  readonly #toldPlaces = new Set<string>();
  #traced: Promise<void> | undefined;
  #display!: Display;

  constructor(name: string, plan: SimulatePlan, options: SimulateCommandOptions, cli: Cli) {
    this.#name = name;
    this.#plan = plan;
    this.#options = options;
    this.#cli = cli;
  }

  async execute(seeds: Iterator<number | string>): Promise<TestExit> {
    const { json, jobs, stuckMs, trace } = this.#options;
    const cli = this.#cli;
    const mode = displayMode(this.#options);
    const display = startLive({ stderr: cli.stderr, mode, parts: () => this.#parts(), nowMs, columns: () => terminalSize().columns });
    this.#display = display;
    const pool = new Jobs({
      plan: this.#plan,
      jobs: Math.min(jobs, this.#options.seeds),
      seeds,
      silentMs: stuckMs,
      nowMs,
      wantsTrace: () => trace !== undefined && this.#traced === undefined,
      onResult: (result, found) => this.#simulated(result, found),
      onOutput: (text) => display.note('lines were printed by the code of the topology', text),
    });
    let ending: Ending = { at: 'finished' };
    const end = (why: Ending): void => {
      if (ending.at === 'finished') ending = why;
      pool.stop();
    };
    const release = watchProcess({ cli, display, nowMs, again: '; nothing is kept', end });
    try {
      await pool.run();
    } catch (error) {
      if (ending.at === 'finished') ending = { at: 'failed', error };
    }
    await this.#traced?.catch((error: unknown) =>
      display.alert(`drover: ${trace}: the trace could not be written: ${formatError(error, cli.debug)}`),
    );
    display.close();
    release();
    if (ending.at === 'failed' && isRefusal(ending.error)) throw ending.error;
    if (ending.at === 'failed') display.alert(`drover: not simulated to the end: ${formatError(ending.error, cli.debug)}`);
    const report = simulateReport({
      fleet: this.#name,
      tally: this.#tally,
      wanted: this.#options.seeds,
      ended: ending.at,
      error: ending.at === 'failed' ? recordOf(ending.error) : null,
      wallMs: nowMs() - this.#startedMs,
    });
    cli.stdout.write(json ? `${JSON.stringify({ report })}\n` : simulateText(report));
    return report.exit;
  }

  #simulated(result: SeedResult, trace: SimulationTrace | undefined): void {
    this.#tally.add(result);
    if (trace !== undefined && this.#traced === undefined) this.#traced = this.#writeTrace(trace);
    const { violations, nondeterminism, seed, replay } = result;
    const places = nondeterminism.filter((one) => this.#isNewPlace(one));
    if (violations.length === 0 && places.length === 0) return;
    if (this.#options.json) {
      this.#cli.stdout.write(`${JSON.stringify({ seed, violations, nondeterminism, replay })}\n`);
      return;
    }
    for (const { message } of places) this.#tell(`seed ${seed}: nondeterminism: ${printable(message)}\n  replay: ${replay}`);
    if (violations.length === 0 || this.#tally.violated > MOST_TOLD) return;
    const [first, ...others] = violations;
    const more = others.length === 0 ? '' : `\n  and ${plural(others.length, 'violation')} more`;
    this.#tell(
      `seed ${seed}: ${first!.invariant} at ${Math.round(first!.atMs)} ms: ${printable(first!.message)}${more}\n  replay: ${replay}`,
    );
    if (this.#tally.violated === MOST_TOLD) this.#tell('further violations are counted, not told');
  }

  /** Findings go where the report goes; on a terminal, above what is drawn. */
  #tell(text: string): void {
    if (process.stdout.isTTY && process.stderr.isTTY) this.#display.alert(text);
    else this.#cli.stdout.write(`${text}\n`);
  }

  #isNewPlace({ api, place, task }: Nondeterminism): boolean {
    const key = `${api} ${place ?? task?.kind ?? ''}`;
    if (this.#toldPlaces.has(key)) return false;
    this.#toldPlaces.add(key);
    return true;
  }

  async #writeTrace(trace: SimulationTrace): Promise<void> {
    const path = resolve(this.#plan.cwd, this.#options.trace!);
    // The file may be carried somewhere else together with what it names.
    const beside = (file: string): string => relative(dirname(path), resolve(this.#plan.cwd, file));
    const { workload, tasks, ...recipe } = trace.simulation;
    const simulation = {
      ...recipe,
      ...(workload === undefined ? {} : { workload: beside(workload) }),
      ...(tasks === undefined ? {} : { tasks: beside(tasks) }),
    };
    await writeFile(path, `${JSON.stringify({ ...trace, simulation })}\n`);
    this.#display.note('trace', `trace: drover replay ${shellWord(this.#plan.topology)} --trace ${shellWord(this.#options.trace!)}`);
  }

  #parts(): readonly string[] {
    const { seeds, virtualMs, violated } = this.#tally;
    const wanted = this.#options.seeds;
    const wallMs = nowMs() - this.#startedMs;
    const left = seeds === 0 ? undefined : (wallMs / seeds) * (wanted - seeds);
    return [
      `${this.#name}: ${Math.floor((seeds * 100) / wanted)}%`,
      `${count(seeds)} of ${count(wanted)} seeds`,
      `${(virtualMs / HOUR_MS).toFixed(2)} fleet-hours`,
      rate((seeds * 1_000) / Math.max(1, wallMs)),
      `violations ${count(violated)}`,
      ...(left === undefined ? [] : [`${duration(left)} left`]),
    ];
  }
}

/** What came from a thread is a record already. Stacks are for people, with DROVER_DEBUG. */
function recordOf(error: unknown): ErrorRecord {
  const { stack: _stack, ...record } = error instanceof Error ? toErrorRecord(error) : (error as ErrorRecord);
  return record;
}
