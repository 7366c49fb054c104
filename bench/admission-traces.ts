/**
 * Traces: what is asked of a provider, and when. Either the hour of production chat requests that Azure
 * published (`--data DIR`), or a stand-in drawn with the same rates and lengths.
 *
 * Trace: AzurePublicDataset, AzureLLMInferenceTrace_conv (CC-BY 4.0; Patel et al., "Splitwise", ISCA 2024).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { seededRandom } from '../actors/kernel/random.ts';

/** One request. */
export interface Job {
  readonly atMs: number;
  /** Whose it is, from 0. */
  readonly agent: number;
  readonly input: number;
  readonly output: number;
  /** What the caller thinks that the answer will have at most. */
  readonly mostOutput: number;
}

export interface Trace {
  readonly name: string;
  readonly jobs: readonly Job[];
  readonly forMs: number;
}

/** How a trace is replayed: from a share of it on, `every` k-th row, `speed` times as fast, tokens divided by `shrink`. */
export interface Replay {
  readonly from: number;
  readonly every: number;
  readonly speed: number;
  readonly shrink: number;
  /** What does not fit into this time is left out. */
  readonly forMs: number;
}

export const AGENTS = 11;
/** Of 13 requests the first agent has three: it wants more than its share. */
const SHARES = 13;
/** A caller's upper bound is up to this much above what comes. */
const BOUND_ABOVE = 0.25;
const FILE = 'azure_llm_2023_conv.csv.gz';

/** The rows as they are: milliseconds, tokens in, tokens out. */
type Row = readonly [atMs: number, input: number, output: number];

export function traceOf(folder: string | undefined, { from, every, speed, shrink, forMs }: Replay): Trace {
  const real = folder === undefined ? undefined : rowsIn(join(folder, FILE));
  const random = seededRandom('bounds');
  const jobs: Job[] = [];
  const rows = real ?? standIn();
  const beganMs = rows[Math.floor(from * rows.length)]![0];
  rows.forEach(([rowMs, input, output], at) => {
    const atMs = (rowMs - beganMs) / speed;
    if (at % every !== 0 || atMs < 0 || atMs >= forMs) return;
    const share = jobs.length % SHARES;
    const size = Math.max(1, Math.round(output / shrink));
    jobs.push({
      atMs,
      agent: share >= AGENTS ? 0 : share,
      input: Math.max(1, Math.round(input / shrink)),
      output: size,
      mostOutput: Math.ceil(size * (1 + BOUND_ABOVE * random.next())),
    });
  });
  const name = real === undefined ? 'a stand-in with the lengths and rates of an hour of chat' : 'an hour of production chat';
  return { name, jobs, forMs: Math.min(forMs, jobs.at(-1)!.atMs) };
}

/** @throws Error when there is no such file. */
function rowsIn(file: string): Row[] {
  if (!existsSync(file)) throw new Error(`--data: there is no ${file}`);
  const lines = gunzipSync(readFileSync(file)).toString().trim().split('\n').slice(1);
  return lines.map((line) => {
    const [atMs = 0, input = 0, output = 0] = line.split(',').map(Number);
    return [atMs, input, output];
  });
}

/** Quantiles of the trace, for tokens in and out. */
const QUANTILES = [0, 0.5, 0.95, 0.99, 1] as const;
const INPUTS = [3, 1_020, 4_083, 4_142, 14_050] as const;
const OUTPUTS = [7, 129, 451, 601, 1_000] as const;
const ROWS = 19_366;
/** Bursty as the trace: gaps of a gamma distribution with this variation would do; a mixture of two exponentials is close. */
const MEAN_GAP_MS = 181;

function standIn(): Row[] {
  const random = seededRandom('azure');
  let atMs = 0;
  return Array.from({ length: ROWS }, () => {
    const busy = random.next() < 0.3 ? 1.6 : 0.74;
    atMs += -MEAN_GAP_MS * busy * Math.log(1 - random.next());
    return [atMs, between(INPUTS, random.next()), between(OUTPUTS, random.next())];
  });
}

function between(values: readonly number[], chance: number): number {
  const at = Math.max(
    1,
    QUANTILES.findIndex((quantile) => chance <= quantile),
  );
  const [from, to] = [QUANTILES[at - 1]!, QUANTILES[at]!];
  return Math.round(values[at - 1]! + ((values[at]! - values[at - 1]!) * (chance - from)) / (to - from));
}
