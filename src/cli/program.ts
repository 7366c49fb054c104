/** Program: the commands of `drover`, how they are found, and how they end. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import type { Cli } from './cli.ts';
import { addCheck } from './commands/check.ts';
import { addReplay } from './commands/replay.ts';
import { addRun } from './commands/run.ts';
import { addSimulate } from './commands/simulate.ts';
import { formatError, StuckError, UsageError } from './errors.ts';
import { EXITS, exitHelp } from './exit-codes.ts';
import { Output } from './output.ts';
import { tellParent } from './supervised.ts';

/** One file for each command, in `commands/`. */
const COMMANDS: readonly ((program: Command, cli: Cli) => void)[] = [addRun, addCheck, addSimulate, addReplay];

/**
 * Runs the command line `args` and ends the process. The end is explicit: a module of a user's may
 * have left a timer or a connection behind that would keep it going.
 */
export async function main(args: readonly string[]): Promise<void> {
  const cli: Cli = {
    stdout: new Output(process.stdout, (error) => cli.onUnread?.(error)),
    stderr: new Output(process.stderr, () => {}),
    cwd: process.cwd(),
    debug: (process.env['DROVER_DEBUG'] ?? '') !== '',
    onUnread: undefined,
    exit: 'completed',
  };
  const stuck = (): void => {
    process.stderr.write(
      `drover: ${formatError(new StuckError('nothing is left that could go on: an await at the top of the topology module never settles'), cli.debug)}\n`,
    );
    process.exit(EXITS.refused.code);
  };
  process.once('beforeExit', stuck);
  try {
    await programFor(cli).parseAsync([...args], { from: 'user' });
  } catch (error) {
    const refused = asUsage(error);
    if (refused !== undefined) {
      cli.exit = 'refused';
      cli.stderr.write(`drover: ${formatError(refused, cli.debug)}\n`);
    }
  }
  await Promise.all([cli.stdout.flush(), cli.stderr.flush(), tellParent('concluded')]);
  process.exit(EXITS[cli.exit].code);
}

function programFor(cli: Cli): Command {
  const program = new Command('drover')
    .description('Runs supervised fleets of LLM agents.')
    .version(version(), '-V, --version')
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeOut: (text) => cli.stdout.write(text), writeErr: (text) => cli.stderr.write(text), outputError: () => {} })
    .addHelpText('after', `\n${exitHelp()}\n\nMore: drover help COMMAND`);
  for (const add of COMMANDS) add(program, cli);
  return program;
}

/** What commander throws to end is no error when help or the version was asked for. */
function asUsage(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.exitCode === 0 || error.code === 'commander.help')
    return error.exitCode === 0 ? undefined : new UsageError('expected a command; see the help above');
  return new UsageError(
    `${error.message
      .replace(/^error: /, '')
      .replace(/\.?$/, '')
      .replaceAll('\n', ' ')}; see drover --help, or drover COMMAND --help`,
  );
}

function version(): string {
  return (createRequire(import.meta.url)('drover/package.json') as { version: string }).version;
}
