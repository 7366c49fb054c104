/** `drover replay`: its arguments and its help. What it does is in `replay-fleet.ts`. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Sampler } from '../../testing/transports.ts';
import { TEST_EXITS, testExitHelp } from '../exit-codes.ts';
import type { Cli } from '../cli.ts';

const HELP = `
Does one simulation again, event for event, and steps through it: what was delivered, committed,
called and answered, which faults struck, and who waits for whom. Give the seed with the options that
\`drover simulate\` had (the line that it prints for each violation), or the file that \`--trace\` of
simulate or check wrote. A trace of another version of drover, or of a topology that has been changed
since, is refused; a replay that does something else than what was recorded says where.

On a terminal:
  Enter        the next step
  a number     so many steps
  /text        on to the next step that contains the text
  w            who waits for what now, and who holds it
  q            the end
In a pipe, or with --all, every step is a line. --waits shows after each step who waits.
--from and --to are virtual times in ms. --frames writes JSON lines in the shape of XState's
inspection protocol (@xstate.actor, @xstate.event, @xstate.snapshot), each with its atMs.

${testExitHelp()}

Examples:
  drover replay fleet.ts --seed 17 --duration-ms 36000
  drover replay fleet.ts --trace found.json --from 12000 --to 15000 --waits
  drover replay fleet.ts --seed 17 --frames frames.jsonl >steps.txt
`;

/** What `drover replay` was asked to do. */
export interface ReplayCommandOptions {
  readonly seed?: string;
  readonly trace?: string;
  readonly durationMs?: number;
  readonly workload?: string;
  readonly tasks?: string;
  readonly faults?: 'none' | 'drawn';
  readonly sampler?: Sampler;
  readonly from?: number;
  readonly to?: number;
  readonly waits: boolean;
  readonly all: boolean;
  readonly frames?: string;
  readonly json: boolean;
}

/** Adds `replay` to the program. */
export function addReplay(program: Command, cli: Cli): void {
  program
    .command('replay')
    .summary('step through one simulation, or through what a check has found')
    .description('Steps through one simulation by its seed, or through a trace of a violation.')
    .argument('<TOPOLOGY>', 'module that exports the topology')
    .option('--seed <S>', 'the seed of the simulation')
    .addOption(
      new Option('--trace <FILE>', 'what `--trace` of check or simulate wrote').conflicts([
        'seed',
        'durationMs',
        'workload',
        'tasks',
        'faults',
        'sampler',
      ]),
    )
    .option('--duration-ms <N>', 'virtual time in which work comes and faults strike', milliseconds)
    .addOption(new Option('--workload <MODULE>', 'module that exports the tasks').conflicts('tasks'))
    .option('--tasks <FILE>', 'tasks as JSON lines')
    .addOption(new Option('--faults <WHICH>', 'none, or drawn by seed; default: as the module says, or drawn').choices(['none', 'drawn']))
    .addOption(
      new Option('--sampler <WHICH>', 'who chooses the next delivery; default: drawn by seed').choices(['random', 'pos', 'pct', 'fair']),
    )
    .option('--from <MS>', 'show steps from this virtual time on', milliseconds)
    .option('--to <MS>', 'show steps up to this virtual time', milliseconds)
    .option('--waits', 'show after each step who waits for what', false)
    .option('--all', 'every step as a line, on a terminal too', false)
    .option('--frames <FILE>', "write XState's inspection events as JSON lines")
    .option('--json', 'each step as a JSON line on standard output', false)
    .addHelpText('after', HELP)
    .action(async (topology: string, options: ReplayCommandOptions) => {
      const { replayFleet } = await import('../replay-fleet.ts');
      cli.exit = TEST_EXITS[await replayFleet(topology, options, cli)].exit;
    });
}

function milliseconds(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError(`expected a whole number of milliseconds, got ${JSON.stringify(text)}.`);
  return Number(text);
}
