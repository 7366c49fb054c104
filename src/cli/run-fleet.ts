/**
 * Run: a topology works through tasks, from the command line.
 *
 *   1. What can be wrong is looked at before anything starts: topology, input, store.
 *   2. The fleet starts and goes on with what the store holds; the feed gives it lines.
 *   3. The first of these ends the run: all lines over and nothing left in the store; an interrupt;
 *      standard output closed by its reader; a failure of the fleet.
 *   4. The feed stops, the fleet closes (after an interrupt: drains), and just before the store
 *      closes it is asked what is left.
 *   5. The report.
 */
import { startFleet } from '../runtime/fleet.ts';
import type { Fleet } from '../runtime/fleet.ts';
import type { Topology } from '../topology/fleet.ts';
import type { Cli } from './cli.ts';
import type { RunOptions } from './commands/run.ts';
import { displayMode, startDisplay, terminalSize } from './display.ts';
import type { Display } from './display.ts';
import { formatError } from './errors.ts';
import type { Exit } from './exit-codes.ts';
import { Feed } from './feed.ts';
import { loadTopology } from './load-topology.ts';
import { noteLogger } from './log.ts';
import { Monitor, noteEvents, startNote } from './monitor.ts';
import { chooseStore, makeStore, sumUnfinished, withLooks } from './open-store.ts';
import type { StoreChoice, Unfinished } from './open-store.ts';
import { reportOf, reportText } from './report.ts';
import type { Report } from './report.ts';
import { Results } from './results.ts';
import { tellParent } from './supervised.ts';
import { openTasks } from './task-source.ts';
import type { TaskSource } from './task-source.ts';
import { plural } from './text.ts';
import { watchProcess } from './watch-process.ts';
import type { Ending } from './watch-process.ts';

/** Tasks of lines that may be unfinished in this process at once. */
const MOST_OPEN = 10_000;
/** Runs may use all of the drain's time; then the store has so long to write the rest. */
const STORE_GRACE_MS = 10_000;
const LAST_LOOK_MS = 5_000;

const nowMs = (): number => performance.now();

/**
 * Runs the topology module `file` until its tasks are over, and says how that ended.
 *
 * @throws what keeps it from starting: TopologyFileError and its like, TasksFileError, DROVER_STORE_*
 */
export async function runFleet(file: string, options: RunOptions, cli: Cli): Promise<Exit> {
  const topology = await loadTopology(file, cli.cwd);
  const choice = chooseStore(options.store, topology.name, cli.cwd);
  const source = await openTasks(options.tasks, { cwd: cli.cwd, storeFolder: choice.folder, stdin: process.stdin });
  return new FleetRun({ file, options, cli, topology, choice, source }).execute();
}

interface Given {
  readonly file: string;
  readonly options: RunOptions;
  readonly cli: Cli;
  readonly topology: Topology;
  readonly choice: StoreChoice;
  readonly source: TaskSource | undefined;
}

class FleetRun {
  readonly #given: Given;
  readonly #ending = Promise.withResolvers<Ending>();
  #results: Results | undefined;
  #resumed: Unfinished | undefined;
  #left: Unfinished | undefined;
  #brokeOff = false;

  constructor(given: Given) {
    this.#given = given;
  }

  async execute(): Promise<Exit> {
    const { cli, choice, options, source } = this.#given;
    const startedMs = nowMs();
    // Nothing is drawn before the fleet runs.
    let monitor: Monitor | undefined;
    const display = startDisplay({
      stderr: cli.stderr,
      mode: displayMode(options),
      view: () => monitor?.view(),
      nowMs,
      size: terminalSize,
    });
    const again = choice.at === 'memory' ? '' : `; what ran begins again when ${choice.name} is run again`;
    const release = watchProcess({ cli, display, nowMs, again, end: this.#ending.resolve });
    try {
      const fleet = await this.#start(display);
      const feed = this.#feedOf(fleet, display);
      monitor = new Monitor({ fleet, feed, inputBytes: source?.bytes, nowMs });
      if (!options.quiet) monitor.start();
      this.#work(feed, monitor, display).then(
        () => this.#ending.resolve({ at: 'finished' }),
        (error: unknown) => this.#ending.resolve({ at: 'failed', error }),
      );
      const ending = await this.#ending.promise;
      await this.#close(ending, fleet, feed, monitor, display);
      monitor.stop();
      display.close();
      const report = this.#report(ending, fleet, feed, nowMs() - startedMs);
      if (ending.at === 'failed') this.#sayFailed(ending.error, display, report.resume);
      cli.stdout.write(options.json ? `${JSON.stringify({ report })}\n` : reportText(report));
      return report.exit;
    } finally {
      display.close();
      source?.close();
      release();
    }
  }

  async #start(display: Display): Promise<Fleet> {
    const { topology, choice, source } = this.#given;
    const store = await makeStore(choice);
    const look = async (): Promise<Unfinished> => sumUnfinished(await store.counts(), topology.kinds);
    const looked = withLooks(store, {
      first: async () => {
        this.#resumed = await look();
      },
      last: async () => void (await within(LAST_LOOK_MS, this.#lastLook(look))),
    });
    const logger = noteLogger(process.env['DROVER_LOG'], display.note);
    const fleet = await startFleet(topology, { store: looked, logger, watchdog: { onBlocked: this.#given.options.onBlocked ?? 'report' } });
    void tellParent('started');
    fleet.events.on('fleet.failed', ({ error }) => this.#ending.resolve({ at: 'failed', error }));
    if (this.#given.options.json) this.#results = this.#resultsOf((ids) => store.get(ids));
    noteEvents(fleet, display);
    display.note('start', startNote(topology.name, choice.name, this.#resumed!, source?.name));
    return fleet;
  }

  #feedOf(fleet: Fleet, display: Display): Feed {
    const { topology, source, cli } = this.#given;
    const results = this.#results;
    const feed = new Feed({
      fleet,
      limit: Math.min(MOST_OPEN, topology.bounds.unfinished),
      onRefused: (line, error) => display.alert(`${source!.name}:${line}: ${formatError(error, cli.debug)}`),
      onEnded: (task) => results?.add(task),
      backlog: () => cli.stdout.backlog() ?? cli.stderr.backlog(),
      after: (ms, fire) => {
        const timer = setTimeout(fire, ms);
        return () => clearTimeout(timer);
      },
    });
    // Without input there is nothing left to read.
    feed.tally.readAll = source === undefined;
    if (results !== undefined) {
      const ended = ({ id }: { readonly id: string }): void => {
        if (!feed.owns(id)) results.fetch(id);
      };
      fleet.events.on('task.completed', ended);
      fleet.events.on('task.failed', ended);
    }
    return feed;
  }

  /** All lines, then all that is left, then all that is still to be written. */
  async #work(feed: Feed, monitor: Monitor, display: Display): Promise<void> {
    const { source, cli } = this.#given;
    if (source !== undefined) {
      await feed.run(source).catch((error: unknown) => {
        if ((error as { code?: unknown }).code !== 'DROVER_TASKS_FILE') throw error;
        this.#brokeOff = true;
        display.alert(`drover: ${formatError(error, cli.debug)}`);
      });
    }
    await monitor.untilNothingIsLeft();
    await this.#results?.flush();
  }

  async #close(ending: Ending, fleet: Fleet, feed: Feed, monitor: Monitor, display: Display): Promise<void> {
    const { cli, options } = this.#given;
    feed.stop();
    // Whoever has left wants to hear nothing more.
    if (ending.at === 'unread') display.close();
    const deadlineMs = ending.at === 'interrupted' || ending.at === 'unread' ? options.drainMs : 0;
    if (ending.at === 'interrupted') {
      const { running } = fleet.load;
      monitor.drainUntilMs = nowMs() + deadlineMs;
      display.alert(`interrupted: nothing new starts, ${plural(running, 'run')} may end within ${deadlineMs} ms; once more stops at once`);
    }
    try {
      if (!(await within(deadlineMs + STORE_GRACE_MS, fleet.close({ deadlineMs }))))
        display.alert(`drover: the store did not close within ${STORE_GRACE_MS} ms; what it has is safe`);
    } catch (error) {
      display.alert(`drover: closing: ${formatError(error, cli.debug)}`);
    }
  }

  async #lastLook(look: () => Promise<Unfinished>): Promise<void> {
    await this.#results?.flush();
    this.#left = await look();
  }

  #resultsOf(get: ConstructorParameters<typeof Results>[0]['get']): Results {
    const { stdout, debug } = this.#given.cli;
    return new Results({ write: (line) => stdout.write(line), backlog: () => stdout.backlog(), get, debug });
  }

  #sayFailed(error: unknown, display: Display, resume: string | null): void {
    const { debug } = this.#given.cli;
    display.alert(`drover: the fleet could not go on: ${formatError(error, debug)}${resume === null ? '' : `\n  go on with: ${resume}`}`);
  }

  #report(ending: Ending, fleet: Fleet, feed: Feed, wallMs: number): Report {
    const { file, options, topology, choice, source } = this.#given;
    const input = source === undefined ? 'none' : source.origin.identity === '-' ? 'stream' : 'file';
    return reportOf({
      fleet: topology.name,
      store: choice.name,
      tally: feed.tally,
      stats: fleet.stats,
      resumed: this.#resumed?.all ?? 0,
      left: this.#left,
      wallMs,
      ended: ending.at,
      brokeOff: this.#brokeOff,
      invocation: { topology: file, tasks: options.tasks, store: options.store, input },
    });
  }
}

/** Whether `work` was done within so many ms. It is not stopped. */
async function within(ms: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
