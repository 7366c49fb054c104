/** `drover run`: its arguments and its help. What it does is in `run-fleet.ts`. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { exitHelp } from '../exit-codes.ts';
import type { Cli } from '../cli.ts';

const HELP = `
TOPOLOGY is a module (.ts, .js, .mjs) whose default export, or export \`topology\`, is what defineFleet returned.

Tasks are JSON lines, one a task; only "kind" is needed:
  {"kind": "triage", "input": {"mailId": "17"}, "id": "mail-17", "priority": 0}
A line that is no task, or that the fleet refuses, is reported with its number; the others run.
A line without "id" gets one from its file (or standard input), its number and its content. So the
same file run again on the same store goes on where it stopped, and nothing is done twice; a line
that was edited is a new task. Give ids where lines may move within their file, and to run the
same work again.

The store keeps every accepted task. A run ends when all lines and all that the store holds for this
fleet are over. Ctrl-C drains: nothing new starts, what runs may end within --drain-ms; a second
Ctrl-C stops at once. Either way the same command goes on later.

A thread watches the event loop. When a run holds it for a second, a note names the run and its
worker; with --on-blocked exit the process ends instead, with code 75 (by SIGKILL where that cannot be
reached), for whoever started it to start it again. --supervised is such a parent: it runs the fleet in a
process of its own, starts it again when it crashes or is ended so, at most 20 times in ten minutes, and
passes signals on. What ran then is charged with a loss, and begins again. With --json, results of
tasks that had ended before a restart are written again.

With --json, standard output has one line for each task that ends,
  {"id", "kind", "status": "completed" | "failed" | "dead" | "cancelled", "result" | "error"}
(and "parentId" where an agent asked for it), then one line {"report": {...}}, unless it is
stopped at once.
Progress and errors go to standard error.

Environment: DROVER_LOG=debug|info|warn|error|silent (default warn), DROVER_DEBUG=1 for stacks.

${exitHelp()}

Examples:
  drover run fleet.ts --tasks mails.jsonl
  drover run fleet.ts --store memory --json <mails.jsonl | jq -c 'select(.status)'
`;

/** What `drover run` was asked to do. */
export interface RunOptions {
  readonly tasks?: string;
  readonly store?: string;
  readonly drainMs: number;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly onBlocked?: 'report' | 'exit';
  readonly supervised: boolean;
}

/** Adds `run` to the program. */
export function addRun(program: Command, cli: Cli): void {
  program
    .command('run')
    .summary('run a fleet on tasks until all of them are over')
    .description('Runs the fleet of a topology on tasks, until all of them are over.')
    .argument('<TOPOLOGY>', 'module that exports the topology')
    .option('--tasks <FILE|->', 'JSON lines; default: standard input, unless that is a terminal')
    .option('--store <PATH|memory>', 'SQLite file that keeps the tasks; default: <fleet name>.db here')
    .option('--drain-ms <N>', 'how long runs may go on after Ctrl-C', milliseconds, 30_000)
    .option('--json', 'results and report as JSON lines on standard output', false)
    .option('--quiet', 'no progress and no notes', false)
    .addOption(
      new Option('--on-blocked <ACT>', 'when a run blocks the event loop; default: report, with --supervised exit').choices([
        'report',
        'exit',
      ]),
    )
    .option('--supervised', 'in a process of its own, which is started again when it crashes', false)
    .addHelpText('after', HELP)
    .action(async (topology: string, options: RunOptions) => {
      // Loaded when it is wanted: help and wrong usage answer at once.
      if (options.supervised) {
        const { superviseRun } = await import('../supervise-run.ts');
        cli.exit = await superviseRun(topology, options, cli);
        return;
      }
      const { runFleet } = await import('../run-fleet.ts');
      cli.exit = await runFleet(topology, options, cli);
    });
}

function milliseconds(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError(`expected a whole number of milliseconds, got ${JSON.stringify(text)}.`);
  return Number(text);
}
