/** Fleets over the SQLite store, from submit to result: plain tasks, tasks with all that a task can have, and tasks that ask. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agent, defineFleet, startFleet } from 'drover';
import type { Fleet } from 'drover';
import { SqliteStore } from '../src/stores/sqlite.ts';
import { CHILDREN, fullInput, ROWS } from './store-tasks.ts';
import type { FullInput, Mix } from './store-tasks.ts';

const WORKERS = 300;
/** Submitted, and not at their end: tenants, order keys and rows then rarely meet. */
export const MOST_OPEN = 1_000;

const mailbox = { capacity: 16 };
const plain = agent({ replicas: WORKERS, mailbox, run: async (_input: number) => null });
const full = agent({
  replicas: WORKERS,
  mailbox,
  tenant: ({ tenant }: FullInput) => tenant,
  affinity: ({ affinity }: FullInput) => affinity,
  orderKey: ({ order }: FullInput) => order,
  writes: ({ row }: FullInput) => [row],
  deadlineMs: 3_600_000,
  run: async ({ row }: FullInput, ctx) => {
    const looked = await ctx.step('look', () => 1);
    await ctx.state.update<number>(row, (count = 0) => count + looked);
    return null;
  },
});
const child = agent({ replicas: WORKERS, mailbox, run: async (_input: number) => null });
const asking = agent({
  replicas: WORKERS,
  mailbox,
  asks: { child },
  // The run parks at once, as one does whose children take their time.
  lingerMs: 0,
  run: async (input: number, ctx) => {
    await Promise.all(Array.from({ length: CHILDREN }, (_, at) => ctx.ask('child', input + at)));
    return null;
  },
});
const topology = defineFleet({ name: 'bench', agents: { plain, full, child, asking }, staggerMs: 0 });

type BenchFleet = Fleet<typeof topology.agents>;

const FILE = 'tasks.db';

export interface FleetRate {
  readonly tasksPerSecond: number;
  /** Of the whole process, both threads. */
  readonly cpuUsATask: number;
  readonly commits: number;
}

/** A fleet on a file of its own, which is measured window by window: the first ones warm its threads up. */
export class MeasuredFleet {
  readonly #mix: Mix;
  readonly #folder: string;
  readonly #store: SqliteStore;
  readonly #fleet: BenchFleet;
  #done = 0;

  private constructor(mix: Mix, folder: string, store: SqliteStore, fleet: BenchFleet) {
    this.#mix = mix;
    this.#folder = folder;
    this.#store = store;
    this.#fleet = fleet;
  }

  static async start(mix: Mix): Promise<MeasuredFleet> {
    const folder = mkdtempSync(join(tmpdir(), 'drover-bench-'));
    const store = new SqliteStore(join(folder, FILE));
    return new MeasuredFleet(mix, folder, store, await startFleet(topology, { store }));
  }

  /** Children count as tasks. */
  async window(tasks: number): Promise<FleetRate> {
    const submitted = this.#mix === 'asks' ? tasks / (CHILDREN + 1) : tasks;
    const commits = this.#store.commits;
    globalThis.gc?.();
    const cpu = process.cpuUsage();
    const beganMs = performance.now();
    await keepingOpen(submitted, (at) => one(this.#fleet, this.#mix, at));
    const ms = performance.now() - beganMs;
    const { user, system } = process.cpuUsage(cpu);
    this.#done += tasks;
    return { tasksPerSecond: (tasks * 1_000) / ms, cpuUsATask: (user + system) / tasks, commits: this.#store.commits - commits };
  }

  /** Bytes of the file a task. */
  async close(): Promise<number> {
    await this.#fleet.close();
    const { size } = statSync(join(this.#folder, FILE));
    rmSync(this.#folder, { recursive: true });
    return size / this.#done;
  }
}

async function one(fleet: BenchFleet, mix: Mix, at: number): Promise<void> {
  const handle =
    mix === 'plain'
      ? await fleet.submit('plain', at)
      : mix === 'full'
        ? await fleet.submit('full', fullInput(at), { priority: at % 3 })
        : await fleet.submit('asking', at);
  await handle.result();
}

/** Each that has ended makes room for the next. */
async function keepingOpen(count: number, run: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(MOST_OPEN, count, ROWS) }, lane));
}
