/**
 * Workloads for mailboxes: what comes when, how long it takes, and what it costs where its prefix is not.
 * The homogeneous one has no affinity; the skewed one has one that is worth nothing, as of an agent that says more than it should.
 * The sticky ones replay the conversations that Mooncake published (`--data DIR`), or a stand-in drawn
 * with the same lengths and conversations.
 *
 * Trace: kvcache-ai/Mooncake, FAST25-release, synthetic trace (Apache-2.0; Qin et al., "Mooncake", FAST 2025).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { seededRandom } from '../actors/kernel/random.ts';
import type { Random } from '../actors/kernel/random.ts';

/** One task. */
export interface Job {
  readonly atMs: number;
  /** How long it takes where its prefix is. */
  readonly warmMs: number;
  /** How much longer where it is not. */
  readonly coldMs: number;
  /** Whose prefix it continues; the first of them has none. Null: any worker will do. */
  readonly affinity: string | null;
}

export interface Work {
  readonly name: 'homogeneous' | 'skewed' | 'sticky' | 'skewed sticky';
  readonly jobs: readonly Job[];
}

const FILE = 'mooncake_synthetic.csv.gz';
/** A block of the trace, in tokens. */
const BLOCK = 512;
/** What a server reads and writes, a request at a time. */
const READ_PER_MS = 8;
const WRITTEN_MS = 20;
const EVEN_TASKS = 4_000;
const EVEN_MS = 1_000;
const SKEWED_KEYS = 100;
/** Of Zipf's law: the first of 100 has a fifth of all. */
const SKEW = 1.1;

/** A row of the trace: `prefix` blocks of input, of which `shared` have been seen; `parent` is the row that it continues, or -1. */
interface Row {
  readonly atMs: number;
  readonly input: number;
  readonly output: number;
  readonly shared: number;
  readonly parent: number;
}

export interface Works {
  readonly trace: string;
  /** One for each seed; what is recorded is the same in all of them, but for who is hot. */
  of(seed: number): readonly Work[];
}

export function worksIn(folder: string | undefined): Works {
  const rows = folder === undefined ? standIn() : rowsIn(join(folder, FILE));
  return {
    trace: folder === undefined ? 'a stand-in with the lengths of the Mooncake conversations' : 'the Mooncake conversations',
    of: (seed) => {
      const random = seededRandom(`work ${seed}`);
      return [
        { name: 'homogeneous', jobs: even(random.fork('even'), () => null) },
        { name: 'skewed', jobs: even(random.fork('skewed'), keyed(zipf(SKEWED_KEYS, SKEW))) },
        { name: 'sticky', jobs: conversations(rows) },
        { name: 'skewed sticky', jobs: hot(rows, random.fork('hot')) },
      ];
    },
  };
}

/** Tasks of about a second that arrive as one process and cost the same everywhere. */
function even(random: Random, affinityOf: (random: Random) => string | null): Job[] {
  let atMs = 0;
  return Array.from({ length: EVEN_TASKS }, () => {
    atMs += -Math.log(1 - random.next());
    return { atMs, warmMs: EVEN_MS * (0.8 + 0.4 * random.next()), coldMs: 0, affinity: affinityOf(random) };
  });
}

const keyed =
  (keyOf: (random: Random) => number) =>
  (random: Random): string =>
    `key ${keyOf(random)}`;

function zipf(keys: number, skew: number): (random: Random) => number {
  const sums: number[] = [];
  for (let rank = 1; rank <= keys; rank += 1) sums.push((sums.at(-1) ?? 0) + rank ** -skew);
  return (random) => {
    const drawn = random.next() * sums.at(-1)!;
    return sums.findIndex((sum) => drawn < sum);
  };
}

/** A conversation is a chain of rows; its prefix is where it went on last. */
function conversations(rows: readonly Row[]): Job[] {
  const roots: number[] = [];
  return rows.map((row, at) => {
    roots.push(row.parent < 0 ? at : roots[row.parent]!);
    return jobOf(row, `conversation ${roots[at]!}`);
  });
}

/** The same requests, but those that continue something continue one of a few: documents that everybody asks about. */
function hot(rows: readonly Row[], random: Random): Job[] {
  const documentOf = zipf(SKEWED_KEYS, SKEW);
  return rows.map((row, at) => jobOf(row, row.parent < 0 ? `conversation ${at}` : `document ${documentOf(random)}`));
}

function jobOf({ atMs, input, output, shared }: Row, affinity: string): Job {
  const kept = Math.min(input, shared * BLOCK);
  return { atMs, warmMs: (input - kept) / READ_PER_MS + output * WRITTEN_MS, coldMs: kept / READ_PER_MS, affinity };
}

/** @throws Error when there is no such file. */
function rowsIn(file: string): Row[] {
  if (!existsSync(file)) throw new Error(`--data: there is no ${file}`);
  const lines = gunzipSync(readFileSync(file)).toString().trim().split('\n').slice(1);
  return lines.map((line) => {
    const [atMs = 0, input = 0, output = 0, , shared = 0, parent = -1] = line.split(',').map(Number);
    return { atMs, input, output, shared, parent };
  });
}

const ROWS = 3_993;
const MEAN_GAP_MS = 256;
/** How many of the rows continue another one, and how soon: the median of those gaps is a minute. */
const CONTINUING = 0.44;
const TURN_GAP_ROWS = 350;
/** Blocks that a turn adds; what it continues is all that came before. */
const NEW_TOKENS = 5_500;
const FIRST_TOKENS = 11_000;
const OUTPUT = 149;

/** Conversations of several turns: a row starts one, or continues one that started lately. */
function standIn(): Row[] {
  const random = seededRandom('mooncake');
  const exponential = (mean: number): number => Math.max(1, Math.round(-mean * Math.log(1 - random.next())));
  let atMs = 0;
  const rows: Row[] = [];
  /** The latest turns of conversations that go on. */
  const open: number[] = [];
  for (let at = 0; at < ROWS; at += 1) {
    atMs += exponential(MEAN_GAP_MS);
    while (open.length > 0 && open[0]! < at - TURN_GAP_ROWS * 4) open.shift();
    const goesOn = open.length > 0 && random.next() < CONTINUING;
    const parent = goesOn ? open.splice(random.int(open.length), 1)[0]! : -1;
    const before = goesOn ? rows[parent]!.input : 0;
    const input = before + exponential(goesOn ? NEW_TOKENS : FIRST_TOKENS);
    rows.push({ atMs, input, output: exponential(OUTPUT), shared: Math.floor(before / BLOCK), parent });
    // A sixth of those that begin have more turns, some nine of them.
    if (goesOn ? random.next() < 0.87 : random.next() < 0.17) open.push(at);
  }
  return rows;
}
