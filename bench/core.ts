/**
 * core: what one task costs on the whole path (submit, mailbox, lease, limiter, supervised agent,
 * complete), beside what a user would take instead, and what the embedded store costs beside a raw
 * loop on the same database.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agent, defineFleet, dependency, startFleet } from 'drover';
import type { Store } from 'drover';
import { memoryStore } from 'drover/stores/memory';
import { sqlite } from 'drover/stores/sqlite';
import fastq from 'fastq';
import PQueue from 'p-queue';
import { rawFloor } from './floor.ts';
import { atLeast, atMost, ratio, report, row } from './report.ts';
import type { Report } from './report.ts';

const TASKS = 100_000;
const CONCURRENCY = 20;
const SUBMITTERS = 100;
const ROUNDS = 5;
const STORED_TASKS = 50_000;
const STORED_WORKERS = 100;
const STORED_ROUNDS = 3;

/** A call of nothing, through a limiter that has all three dimensions to keep. */
const nothing = dependency({
  limits: { requestsPerMinute: 1e12, tokensPerMinute: 1e12, concurrency: CONCURRENCY },
  estimate: () => 1,
  usage: () => ({ inputTokens: 1, outputTokens: 0 }),
  perform: async (_request: null) => null,
});

const called = agent({
  uses: { nothing },
  replicas: CONCURRENCY,
  mailbox: { capacity: 64 },
  run: async (_input: number, ctx) => ctx.call('nothing', null),
});
const memoryTopology = defineFleet({ name: 'bench', agents: { called }, staggerMs: 0 });

const plain = agent({ replicas: STORED_WORKERS, mailbox: { capacity: 16 }, run: async (_input: number) => null });
const storedTopology = defineFleet({ name: 'bench', agents: { plain }, staggerMs: 0 });

export async function core(say: (text: string) => void): Promise<Report> {
  const burst = { pool: [] as number[], fastq: [] as number[], pQueue: [] as number[], drover: [] as number[] };
  const steady = { pQueue: [] as number[], drover: [] as number[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`memory, round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up, not counted)' : ''}`);
    const measured = {
      pool: await burstOf(handWrittenPool(CONCURRENCY)),
      fastq: await burstOf(fastqOf()),
      pQueue: await burstOf(pQueueOf()),
      drover: await withFleet(memoryStore(), burstOf),
      steadyPQueue: await steadyOf(pQueueOf()),
      steadyDrover: await withFleet(memoryStore(), steadyOf),
    };
    if (round === 0) continue;
    burst.pool.push(measured.pool);
    burst.fastq.push(measured.fastq);
    burst.pQueue.push(measured.pQueue);
    burst.drover.push(measured.drover);
    steady.pQueue.push(measured.steadyPQueue);
    steady.drover.push(measured.steadyDrover);
  }
  const full = await stored('full', say);
  const normal = await stored('normal', say);
  const rows = [
    row('burst: hand-written pool', burst.pool, 'us a task'),
    row('burst: fastq', burst.fastq, 'us a task'),
    row('burst: p-queue', burst.pQueue, 'us a task'),
    row('burst: drover, every part on', burst.drover, 'us a task'),
    row('100 submitters: p-queue', steady.pQueue, 'us a task'),
    row('100 submitters: drover, every part on', steady.drover, 'us a task'),
    ...full.rows,
    ...normal.rows,
  ];
  return report('core', rows, [
    atMost('memory: drover / p-queue, burst', ratio(burst.drover, burst.pQueue), 1),
    atMost('memory: drover / p-queue, burst (stretch)', ratio(burst.drover, burst.pQueue), 0.75),
    atLeast('sqlite FULL: drover / raw floor', full.share, 0.7),
    atLeast('sqlite NORMAL: drover / raw floor', normal.share, 0.7),
  ]);
}

/** Does one task and says when it is done. */
type Runner = (task: number) => Promise<unknown>;

/** All at once, as a script that has read its input would. Microseconds a task. */
async function burstOf(run: Runner): Promise<number> {
  return timed(TASKS, () => Promise.all(Array.from({ length: TASKS }, (_, task) => run(task))));
}

/** Each of a hundred submitters hands in the next task when its last one is done. */
async function steadyOf(run: Runner): Promise<number> {
  return timed(TASKS, () => steadily(run, TASKS));
}

async function steadily(run: Runner, tasks: number): Promise<void> {
  const each = tasks / SUBMITTERS;
  const submitter = async (_: unknown, at: number): Promise<void> => {
    for (let task = 0; task < each; task += 1) await run(at * each + task);
  };
  await Promise.all(Array.from({ length: SUBMITTERS }, submitter));
}

async function timed(tasks: number, act: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.();
  const beganMs = performance.now();
  await act();
  return ((performance.now() - beganMs) * 1_000) / tasks;
}

async function withFleet(store: Store, measure: (run: Runner) => Promise<number>): Promise<number> {
  await using fleet = await startFleet(memoryTopology, { store });
  return await measure((task) => fleet.submit('called', task).then((handle) => handle.result()));
}

function pQueueOf(): Runner {
  const queue = new PQueue({ concurrency: CONCURRENCY });
  return () => queue.add(async () => null);
}

function fastqOf(): Runner {
  const queue = fastq.promise(async () => null, CONCURRENCY);
  return (task) => queue.push(task);
}

/** What a careful person writes in ten lines. */
function handWrittenPool(concurrency: number): Runner {
  const waiting: (() => void)[] = [];
  let head = 0;
  let running = 0;
  const next = (): void => {
    running -= 1;
    if (head < waiting.length) waiting[head++]!();
  };
  return () =>
    new Promise((resolve) => {
      const begin = (): void => {
        running += 1;
        void (async () => null)().then((value) => {
          resolve(value);
          next();
        });
      };
      if (running < concurrency) begin();
      else waiting.push(begin);
    });
}

/** The embedded store beside the raw floor, turn by turn. */
async function stored(synchronous: 'full' | 'normal', say: (text: string) => void) {
  const floors: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round <= STORED_ROUNDS; round += 1) {
    say(`sqlite ${synchronous}, round ${round} of ${STORED_ROUNDS}${round === 0 ? ' (warm-up, not counted)' : ''}`);
    const floor = rawFloor({ tasks: STORED_TASKS, synchronous, batch: 100 });
    const rate = await storedRate(synchronous);
    if (round === 0) continue;
    floors.push(floor.tasksPerSecond);
    ours.push(rate);
  }
  const mode = synchronous.toUpperCase();
  return {
    share: ratio(ours, floors),
    rows: [
      row(`sqlite ${mode}: raw floor, 100 a batch`, floors, 'tasks/s'),
      row(`sqlite ${mode}: drover, ${SUBMITTERS} submitters`, ours, 'tasks/s'),
    ],
  };
}

async function storedRate(synchronous: 'full' | 'normal'): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-bench-'));
  try {
    await using fleet = await startFleet(storedTopology, { store: sqlite(join(folder, 'tasks.db'), { synchronous }) });
    const results: Promise<unknown>[] = [];
    // A submitter goes on when the store has its task; the results come as they come.
    const submit: Runner = async (task) => results.push((await fleet.submit('plain', task)).result());
    const usATask = await timed(STORED_TASKS, async () => {
      await steadily(submit, STORED_TASKS);
      await Promise.all(results);
    });
    return 1e6 / usATask;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
