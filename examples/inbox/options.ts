/** The command line of `main.ts`. */
import { parseArgs } from 'node:util';
import { DEFAULT_AGENTS, DEFAULT_MAILS, DEFAULT_SEED } from './job.ts';

export interface Options {
  readonly agents: number;
  readonly mails: number;
  readonly seed: number;
  /** A path, `memory`, or undefined for a fresh file. */
  readonly store: string | undefined;
  readonly provider: 'local' | 'openai';
  readonly providerUrl: string | undefined;
  readonly uncontrolled: boolean;
  readonly json: boolean;
  readonly out: string;
  readonly help: boolean;
}

/** The command line is wrong: what was expected, what came, what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Half of the corpus: the other half is there to learn from. */
const MOST_MAILS = 2_800;
const MOST_AGENTS = 10_000;
const MOST_SEED = 999_999_999;

export const HELP = `Triages an inbox of real mails with a supervised fleet, and writes a digest of it.

  npm start -- [options]

  --agents N           workers of all kinds together, 3 to ${MOST_AGENTS} (default ${DEFAULT_AGENTS})
  --mails N            mails of the run, 2 to ${MOST_MAILS} (default ${DEFAULT_MAILS})
  --seed N             which mails are drawn (default ${DEFAULT_SEED})
  --store PATH         SQLite file; one that is there already is gone on with. "memory": none
                       (default: a new file under ./out)
  --out PATH           where the digest goes (default out/inbox-digest.md)
  --provider NAME      local: a small provider on this machine, no language model (default)
                       openai: the real one; needs OPENAI_API_KEY, costs money
  --provider-url URL   a local provider that runs already (examples/inbox/provider.ts --detach)
  --uncontrolled       the same fleet without a limiter, to see what the provider does to it
  --json               the report as one JSON object on standard output
  --help               this

Ctrl-C drains; a second one stops at once. Either way the same command with the same --store goes on.
Exit status: 0 every mail is done; 1 some are not, or something failed; 2 wrong options; 130 interrupted.
`;

/** @throws UsageError */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const values = parse(args);
  const options: Options = {
    agents: wholeNumber('agents', values.agents, DEFAULT_AGENTS, 3, MOST_AGENTS),
    mails: wholeNumber('mails', values.mails, DEFAULT_MAILS, 2, MOST_MAILS),
    seed: wholeNumber('seed', values.seed, DEFAULT_SEED, 0, MOST_SEED),
    store: filled('store', values.store),
    provider: providerOf(values.provider),
    providerUrl: urlOf(values['provider-url']),
    uncontrolled: values.uncontrolled ?? false,
    json: values.json ?? false,
    out: filled('out', values.out) ?? 'out/inbox-digest.md',
    help: values.help ?? false,
  };
  if (options.provider === 'openai' && options.providerUrl !== undefined) {
    throw new UsageError('--provider-url: names a local provider, but --provider is openai; leave one of them out');
  }
  if (options.provider === 'openai' && options.uncontrolled) {
    throw new UsageError('--uncontrolled: is for the local provider; it would be a nuisance to a real one');
  }
  if (options.provider === 'openai' && !options.help && (env['OPENAI_API_KEY'] ?? '') === '') {
    throw new UsageError(
      '--provider openai: expected a key in OPENAI_API_KEY, found none; set it, or leave --provider out for the local one',
    );
  }
  return options;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        agents: { type: 'string' },
        mails: { type: 'string' },
        seed: { type: 'string' },
        store: { type: 'string' },
        out: { type: 'string' },
        provider: { type: 'string' },
        'provider-url': { type: 'string' },
        uncontrolled: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wholeNumber(name: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  if (text === undefined) return otherwise;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`--${name}: expected a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`);
}

function filled(name: string, text: string | undefined): string | undefined {
  if (text === '') throw new UsageError(`--${name}: expected a path, got nothing`);
  return text;
}

function providerOf(text = 'local'): Options['provider'] {
  if (text === 'local' || text === 'openai') return text;
  throw new UsageError(`--provider: expected local or openai, got ${JSON.stringify(text)}`);
}

function urlOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url.origin;
  throw new UsageError(`--provider-url: expected an address like http://127.0.0.1:4010, got ${JSON.stringify(text)}`);
}
