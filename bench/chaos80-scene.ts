/**
 * Scene: eighty agents, three thousand tasks, one limited provider, and what goes wrong when. The same for
 * every fleet that plays it: what a task takes and costs belongs to the task, not to whoever runs it.
 */
import { seededRandom } from '../actors/kernel/random.ts';
import type { Random } from '../actors/kernel/random.ts';

/** What stands between a fleet and its troubles. */
export const LAYERS = ['leases', 'registry', 'breaker', 'budget', 'supervision', 'limiter'] as const;
export type Layer = (typeof LAYERS)[number];
export type Layers = Readonly<Record<Layer, boolean>>;

export const layersBut = (...off: readonly Layer[]): Layers =>
  Object.fromEntries(LAYERS.map((layer) => [layer, !off.includes(layer)])) as Record<Layer, boolean>;

/** `naive`: no layer and no runtime either, as people write it. */
export interface Play {
  readonly seed: number;
  readonly fleet: Layers | 'naive';
  /** `chaos`: all of it. `spared`: the same without the bad agent. `healthy`: nothing goes wrong. */
  readonly troubles: 'chaos' | 'spared' | 'healthy';
  /** How its outage shows: calls break off, or are answered with 503. */
  readonly outage: 'broken' | 'overloaded';
  /** Not longer than this. */
  readonly untilMs: number;
}

export const KINDS = ['reads', 'writes', 'checks', 'files'] as const;
export const REPLICAS = 20;
export const WORKERS = KINDS.length * REPLICAS;
/** Processes of a fleet without leases, which poll the same list. */
export const NODES = 4;
const TASKS = 3_000;

// ── Time ───────────────────────────────────────────────────────────────────────────────────────

export const START_MS = 1_750_000_000_000;
export const LONGEST_MS = 600_000;
/** One agent is bad from then on. */
export const BAD_FROM_MS = 60_000;
/** So long is looked at what that costs. */
export const BAD_WINDOW_MS = 90_000;
export const DOWN = { fromMs: 160_000, untilMs: 200_000 } as const;
/** The provider really gives so much less for a while. */
export const LOWERED = { fromMs: 215_000, untilMs: 240_000, share: 0.6 } as const;
export const RESTARTS_MS = [25_000, 180_000] as const;
export const RESTART_TAKES_MS = 2_000;
const CRASHES = { fromMs: 10_000, untilMs: 240_000, everyMs: 4_000 } as const;

// ── Work ───────────────────────────────────────────────────────────────────────────────────────

const MEDIAN_MS = 5_000;
const SIGMA = 0.5;
/** A few records that many tasks write. */
const HOT = { records: 8, share: 0.032 } as const;
const RECORDS = 8_000;
const FLAKY = 0.01;

/** What a task asks for at most in output. */
export const MOST_OUTPUT = 700;
export const USD_PER_TOKEN = 2e-6;

/** The bad agent: so many loops at once, each so many short calls of a dear model one after the other, whatever comes of them; and then it has nothing to show for it. */
export const BAD = { loops: 40, calls: 10, input: 500, output: 100, ms: 1_500, usdPerToken: 100e-6 } as const;

/** The provider's limits: about 1.3 times what the fleet needs. */
export const LIMITS = { requestsPerMinute: 1_100, tokensPerMinute: 1_550_000, concurrency: 110 } as const;

/** The owner allows twice what the work costs, and each worker ten times its usual minute. */
export const BUDGET_SLACK = 2;
export const WORKER_BUDGET = { usd: 0.3, perMs: 60_000 } as const;

export interface Item {
  readonly at: number;
  readonly kind: (typeof KINDS)[number];
  readonly record: string;
  /** What its call takes and uses. */
  readonly ms: number;
  readonly input: number;
  readonly output: number;
  /** Its first call breaks off. */
  readonly flaky: boolean;
}

export interface Crash {
  readonly atMs: number;
  /** 0 to 79. */
  readonly worker: number;
}

export interface Scene {
  readonly items: readonly Item[];
  readonly crashes: readonly Crash[];
  readonly badWorker: number;
  readonly budgetUsd: number;
}

export function sceneOf(seed: number): Scene {
  const random = seededRandom(`chaos80 ${seed}`);
  const items = Array.from({ length: TASKS }, (_, at): Item => itemOf(at, random));
  const badWorker = random.int(WORKERS);
  const crashes: Crash[] = [];
  for (let atMs: number = CRASHES.fromMs; atMs < CRASHES.untilMs; atMs += CRASHES.everyMs) {
    // The bad one lives on: without anybody who starts it again, a crash would be what ends it.
    const worker = (badWorker + 1 + random.int(WORKERS - 1)) % WORKERS;
    crashes.push({ atMs: atMs + random.int(CRASHES.everyMs), worker });
  }
  const tokens = items.reduce((sum, { input, output }) => sum + input + output, 0);
  return { items, crashes, badWorker, budgetUsd: BUDGET_SLACK * tokens * USD_PER_TOKEN };
}

function itemOf(at: number, random: Random): Item {
  const hot = random.next() < HOT.share;
  const record = hot ? `hot-${random.int(HOT.records)}` : `record-${random.int(RECORDS)}`;
  return {
    at,
    kind: KINDS[at % KINDS.length]!,
    record,
    ms: Math.round(MEDIAN_MS * Math.exp(SIGMA * normal(random))),
    input: 600 + random.int(800),
    output: 200 + random.int(400),
    flaky: random.next() < FLAKY,
  };
}

/** @see Box & Muller, "A note on the generation of random normal deviates", 1958 */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
