/** `drover simulate`: its arguments and its help. What it does is in `simulate-fleet.ts`. */
import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Sampler } from '../../testing/transports.ts';
import { TEST_EXITS, testExitHelp } from '../exit-codes.ts';
import type { Cli } from '../cli.ts';

const HELP = `
Each seed is one simulation in virtual time: the real actors and the real \`run\` functions, over a
store, a network and dependencies that fail. Of a dependency only \`perform\` is replaced. What must
hold is checked over everything that happens; at the end faults stop, and every task has to end.

--hours is virtual time of all seeds together: --seeds 1000 --hours 10 gives each of them 36 seconds
in which work comes and faults strike; healing comes on top. Without it each seed has the
\`durationMs\` of the module, or a minute.

Tasks come from the topology's module,
  export const simulation = { workload: [{ kind: 'triage', input: { mailId: '1' } }] };
which may have all that \`simulate\` takes beside the seed: workload, provider, durationMs, faults, ...
(workload may be a function of a seeded random that yields tasks, without end if you like). Or from
--workload MODULE, which exports \`simulation\` or \`workload\`, or from --tasks FILE, JSON lines as
\`drover run\` takes them: each seed draws when they come, and in which order.

A violation is told with its seed and the line that replays it. With --json, standard output has one
line for each seed with findings, {"seed", "violations", "nondeterminism", "replay"}, then one line
{"report": {...}}. Progress and errors go to standard error. Ctrl-C ends with what was found so far.

${testExitHelp()}

Examples:
  drover simulate fleet.ts --seeds 1000 --hours 10
  drover simulate fleet.ts --tasks mails.jsonl --seeds 200 --trace found.json
  drover simulate fleet.ts --seeds 50 --faults none --json | jq .report.statistics
`;

/** What `drover simulate` was asked to do. */
export interface SimulateCommandOptions {
  readonly seeds: number;
  readonly hours?: number;
  readonly seed: string;
  readonly workload?: string;
  readonly tasks?: string;
  readonly faults?: 'none' | 'drawn';
  readonly sampler?: Sampler;
  readonly nondeterminism?: 'report' | 'allow';
  readonly jobs: number;
  readonly stuckMs: number;
  readonly trace?: string;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Adds `simulate` to the program. */
export function addSimulate(program: Command, cli: Cli): void {
  program
    .command('simulate')
    .summary('simulate a fleet over many seeds, with faults')
    .description('Simulates the fleet of a topology over many seeds in virtual time, with faults, and checks what must hold.')
    .argument('<TOPOLOGY>', 'module that exports the topology')
    .option('--seeds <N>', 'how many seeds', whole(1), 100)
    .option('--hours <H>', 'virtual hours of all seeds together', hours)
    .option('--seed <S>', 'the first seed: a whole number, or a text', '1')
    .addOption(new Option('--workload <MODULE>', 'module that exports the tasks').conflicts('tasks'))
    .option('--tasks <FILE>', 'tasks as JSON lines')
    .addOption(new Option('--faults <WHICH>', 'none, or drawn by seed; default: as the module says, or drawn').choices(['none', 'drawn']))
    .addOption(
      new Option('--sampler <WHICH>', 'who chooses the next delivery; default: drawn by seed').choices(['random', 'pos', 'pct', 'fair']),
    )
    .addOption(new Option('--nondeterminism <WHICH>', 'clocks, chance and I/O in your code').choices(['report', 'allow']))
    .option('--jobs <J>', 'threads', whole(1), availableParallelism())
    .option('--stuck-ms <N>', 'a thread without a sign of life for so long is ended', whole(1), 30_000)
    .option('--trace <FILE>', 'where the trace of a violation goes, for `drover replay`')
    .option('--json', 'findings and report as JSON lines on standard output', false)
    .option('--quiet', 'no progress and no notes', false)
    .addHelpText('after', HELP)
    .action(async (topology: string, options: SimulateCommandOptions) => {
      const { simulateFleet } = await import('../simulate-fleet.ts');
      cli.exit = TEST_EXITS[await simulateFleet(topology, options, cli)].exit;
    });
}

function whole(from: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < from)
      throw new InvalidArgumentError(`expected a whole number from ${from}, got ${JSON.stringify(text)}.`);
    return Number(text);
  };
}

function hours(text: string): number {
  if (!/^\d{1,6}(?:\.\d{1,6})?$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError(`expected hours above 0, such as 0.5, got ${JSON.stringify(text)}.`);
  return Number(text);
}
