/**
 * core: what one task costs on the whole path (submit, mailbox, lease, limiter, supervised agent,
 * complete), beside what a user would take instead, and what the embedded store costs beside a raw
 * loop on the same database.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agent, defineFleet, dependency, startFleet } from 'drover';
import type { Fleet, Store } from 'drover';
import { memoryStore } from 'drover/stores/memory';
import fastq from 'fastq';
import PQueue from 'p-queue';
import { SqliteStore } from '../src/stores/sqlite.ts';
import { atLeast, atMost, ratio, report, row } from './report.ts';
import type { Report } from './report.ts';
import { floorRate } from './store-floor.ts';

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
  const bulk = { pQueue: [] as number[], drover: [] as number[] };
  const steady = { pQueue: [] as number[], drover: [] as number[] };
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`memory, round ${round} of ${ROUNDS}${round === 0 ? ' (warm-up, not counted)' : ''}`);
    const measured = {
      pool: await burstOf(handWrittenPool(CONCURRENCY)),
      fastq: await burstOf(fastqOf()),
      pQueue: await burstOf(pQueueOf()),
      drover: await withFleet((fleet) => burstOf((task) => fleet.submit('called', task).then((handle) => handle.result()))),
      bulkPQueue: await bulkOf(() =>
        new PQueue({ concurrency: CONCURRENCY }).addAll(Array.from({ length: TASKS }, () => async () => null)),
      ),
      bulkDrover: await withFleet((fleet) => bulkOf(() => submitAll(fleet))),
      steadyPQueue: await steadyOf(pQueueOf()),
      steadyDrover: await withFleet((fleet) => steadyOf((task) => fleet.submit('called', task).then((handle) => handle.result()))),
    };
    if (round === 0) continue;
    burst.pool.push(measured.pool);
    burst.fastq.push(measured.fastq);
    burst.pQueue.push(measured.pQueue);
    burst.drover.push(measured.drover);
    bulk.pQueue.push(measured.bulkPQueue);
    bulk.drover.push(measured.bulkDrover);
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
    row('in bulk: p-queue, addAll', bulk.pQueue, 'us a task'),
    row('in bulk: drover, submitMany, every part on', bulk.drover, 'us a task'),
    row('100 submitters: p-queue', steady.pQueue, 'us a task'),
    row('100 submitters: drover, every part on', steady.drover, 'us a task'),
    ...full.rows,
    ...normal.rows,
  ];
  return report('core', rows, [
    atMost('memory: drover / p-queue, one by one', ratio(burst.drover, burst.pQueue), 1),
    atMost('memory: drover / p-queue, in bulk', ratio(bulk.drover, bulk.pQueue), 1),
    atMost('memory: drover / p-queue, in bulk (stretch)', ratio(bulk.drover, bulk.pQueue), 0.75),
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

/** As one array, through what each has for that. */
async function bulkOf(run: () => Promise<unknown>): Promise<number> {
  return timed(TASKS, run);
}

async function submitAll(fleet: Fleet<typeof memoryTopology.agents>): Promise<unknown> {
  const handles = await fleet.submitMany(
    'called',
    Array.from({ length: TASKS }, (_, input) => ({ input })),
  );
  return Promise.all(handles.map((handle) => handle.result()));
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

async function withFleet(measure: (fleet: Fleet<typeof memoryTopology.agents>) => Promise<number>): Promise<number> {
  await using fleet = await startFleet(memoryTopology, { store: memoryStore() });
  return await measure(fleet);
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
  const traffic: Traffic[] = [];
  let floorCommits = 0;
  for (let round = 0; round <= STORED_ROUNDS; round += 1) {
    say(`sqlite ${synchronous}, round ${round} of ${STORED_ROUNDS}${round === 0 ? ' (warm-up, not counted)' : ''}`);
    const floor = floorRate('plain', { tasks: STORED_TASKS, synchronous, batch: 100 });
    const { rate, ...counted } = await storedRate(synchronous);
    if (round === 0) continue;
    floors.push(floor.tasksPerSecond);
    floorCommits = floor.commits;
    ours.push(rate);
    traffic.push(counted);
  }
  const mode = synchronous.toUpperCase();
  return {
    share: ratio(ours, floors),
    rows: [
      row(`sqlite ${mode}: raw floor, 100 a batch`, floors, 'tasks/s'),
      row(`sqlite ${mode}: drover, ${SUBMITTERS} submitters`, ours, 'tasks/s'),
      row(`sqlite ${mode}: raw floor`, [floorCommits], 'commits'),
      row(
        `sqlite ${mode}: drover`,
        traffic.map(({ commits }) => commits),
        'commits',
      ),
      row(
        `sqlite ${mode}: drover`,
        traffic.map(({ batches }) => batches),
        'batches (submits, claims, starts, settles)',
      ),
    ],
  };
}

interface Traffic {
  readonly commits: number;
  /** Commands that carried tasks. */
  readonly batches: number;
}

async function storedRate(synchronous: 'full' | 'normal'): Promise<Traffic & { readonly rate: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-bench-'));
  try {
    const store = new SqliteStore(join(folder, 'tasks.db'), { synchronous });
    const counted = counting(store);
    await using fleet = await startFleet(storedTopology, { store: counted.store });
    const results: Promise<unknown>[] = [];
    // A submitter goes on when the store has its task; the results come as they come.
    const submit: Runner = async (task) => results.push((await fleet.submit('plain', task)).result());
    const usATask = await timed(STORED_TASKS, async () => {
      await steadily(submit, STORED_TASKS);
      await Promise.all(results);
    });
    return { rate: 1e6 / usATask, commits: store.commits, batches: counted.batches() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The commands whose batches are counted: those that pass with every task. */
const BATCHED: ReadonlySet<string | symbol> = new Set(['submit', 'claim', 'start', 'remember', 'settle', 'takeBudget', 'returnBudget']);

/** The same store, with its batches counted. */
function counting(store: Store): { readonly store: Store; batches(): number } {
  let batches = 0;
  const counted = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        if (BATCHED.has(name)) batches += 1;
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { batches: () => batches, store: counted };
}
