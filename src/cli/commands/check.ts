/** `drover check`: its arguments and its help. What it does is in `check-fleet.ts`. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { TEST_EXITS, testExitHelp } from '../exit-codes.ts';
import type { Cli } from '../cli.ts';

const HELP = `
Searches everything that any run of the topology's agents may do: every order of the calls and asks
that they declare, with crashes and rejections, whatever the data. Then samples the runtime's real
machines on runs that do what is declared. No run of yours is executed, and nothing is spent. A fleet
is searched in growing sizes; the bounds of the search are said with its verdict.

  proved             every state was searched, and none of them is stuck or can get stuck
  no counterexample  a bound was hit before that; sampling found nothing either
  violated           it can get stuck: how, who waits for whom, who holds what

--without parking shows what the runtime's parking is for: a run that waits for a child keeps its
worker then. --faults N searches one size alone, with N crashes of workers. With --json, standard
output has one JSON object.

${testExitHelp()}

Examples:
  drover check fleet.ts
  drover check fleet.ts --without parking --trace stuck.json; drover replay fleet.ts --trace stuck.json
  drover check fleet.ts --max-states 5000000 --time-ms 60000 --json | jq .verdict
`;

/** What `drover check` was asked to do. */
export interface CheckCommandOptions {
  readonly without?: 'parking';
  readonly maxStates?: number;
  readonly timeMs?: number;
  readonly faults?: number;
  readonly runs: number;
  readonly seed: number;
  readonly trace?: string;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Adds `check` to the program. */
export function addCheck(program: Command, cli: Cli): void {
  program
    .command('check')
    .summary('prove that a fleet cannot deadlock, or show how it does')
    .description('Searches whether the fleet of a topology can ever get stuck.')
    .argument('<TOPOLOGY>', 'module that exports the topology')
    .addOption(new Option('--without <WHAT>', 'a construction of the runtime to switch off').choices(['parking']))
    .option('--max-states <N>', 'states of each search at most; default: 1,000,000', whole(1))
    .option('--time-ms <N>', 'how long the searches may take, and the runs; default: as long as it takes', whole(1))
    .option('--faults <N>', 'crashes of workers, in one search of one size', whole(0))
    .option('--runs <N>', 'runs of the real machines; 0: only the search', whole(0), 200)
    .option('--seed <S>', 'seed of the first run, a whole number', whole(0), 1)
    .option('--trace <FILE>', 'where the trace of a violation goes, for `drover replay`')
    .option('--json', 'the verdict as one JSON object on standard output', false)
    .option('--quiet', 'no progress', false)
    .addHelpText('after', HELP)
    .action(async (topology: string, options: CheckCommandOptions) => {
      const { checkFleet } = await import('../check-fleet.ts');
      cli.exit = TEST_EXITS[await checkFleet(topology, options, cli)].exit;
    });
}

function whole(from: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < from)
      throw new InvalidArgumentError(`expected a whole number from ${from}, got ${JSON.stringify(text)}.`);
    return Number(text);
  };
}
