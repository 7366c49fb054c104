/**
 * Port: plain tasks through the port of the SQLite store, beside the floor.
 *
 *     npx node bench/store-port.ts [tasks] [folder]
 *
 * prints both in the same shape: 100 tasks a command, several such batches on their way. Rounds of both
 * alternate, because disks and neighbours change; believe the ratio, not the numbers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NewTask, Store } from '../actors/ports/store.ts';
import { sqlite } from '../src/stores/sqlite.ts';
import { median } from './report.ts';
import { floorRate } from './store-floor.ts';
import type { FloorRate } from './store-floor.ts';

const BATCH = 100;
const NOW_MS = 1_763_751_234_567.25;
const KIND = 'triage';

/**
 * The same tasks through the port: `lanes` batches on their way at once, each submitted, claimed,
 * started and completed in turn, so that what they send meets in one commit.
 */
async function throughPort(store: Store, { tasks, lanes }: { readonly tasks: number; readonly lanes: number }): Promise<number> {
  await store.open({ nowMs: NOW_MS, maxUnfinished: Infinity });
  const made = Array.from({ length: tasks }, (_, at): NewTask => ({
    id: `task-${at}`,
    kind: KIND,
    version: '1',
    input: `{"mailId":"${at}"}`,
    priority: 0,
    maxAttempts: 3,
    maxLosses: 3,
    depth: 0,
  }));
  let next = 0;
  let completed = 0;
  const lane = async (): Promise<void> => {
    while (next < tasks) {
      const mine = made.slice(next, (next += BATCH));
      await store.submit(mine, NOW_MS);
      const claimed = await store.claim({ wants: [{ kind: KIND, limit: BATCH }], leaseUntilMs: NOW_MS + 30_000, nowMs: NOW_MS });
      await store.start(claimed, NOW_MS);
      const { outcomes } = await store.settle(
        claimed.map(({ id, fence }) => ({ id, fence, outcome: { at: 'completed', result: 'null', sends: [] } })),
        NOW_MS,
      );
      completed += outcomes.filter(({ at }) => at === 'settled').length;
    }
  };
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  const tasksPerSecond = (tasks * 1_000) / (performance.now() - beganMs);
  if (completed !== tasks) throw new RangeError(`the store completed ${completed} of ${tasks} tasks: it measures nothing`);
  await store.close();
  return tasksPerSecond;
}

const middleOf = (values: readonly number[]): number => median(values.toSorted((a, b) => a - b));

async function main(tasks: number, folder: string): Promise<void> {
  const ROUNDS = 5;
  const LANES = [4, 8, 16, 24];
  const inAdapter = async (synchronous: 'full' | 'normal', lanes: number): Promise<number> => {
    const home = mkdtempSync(join(folder, 'drover-port-'));
    try {
      return await throughPort(sqlite(join(home, 'port.db'), { synchronous }), { tasks, lanes });
    } finally {
      rmSync(home, { recursive: true });
    }
  };
  for (const synchronous of ['full', 'normal'] as const) {
    const floors: FloorRate[] = [];
    const ports = new Map(LANES.map((lanes) => [lanes, [] as number[]]));
    const ratios = new Map(LANES.map((lanes) => [lanes, [] as number[]]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [lanes, rates] of ports) {
        const before = floorRate('plain', { tasks, synchronous, batch: BATCH, folder });
        const rate = await inAdapter(synchronous, lanes);
        const after = floorRate('plain', { tasks, synchronous, batch: BATCH, folder });
        floors.push(before, after);
        rates.push(rate);
        ratios.get(lanes)!.push((2 * rate) / (before.tasksPerSecond + after.tasksPerSecond));
      }
    }
    const [{ commits }] = floors as [FloorRate];
    const floor = middleOf(floors.map(({ tasksPerSecond }) => tasksPerSecond));
    console.log(`${synchronous}: floor ${Math.round(floor)} tasks/s (${commits} commits for ${tasks} tasks)`);
    for (const [lanes, rates] of ports) {
      console.log(
        `  through the port, ${lanes} batches of ${BATCH} on their way: ${Math.round(middleOf(rates))} tasks/s, ${middleOf(ratios.get(lanes)!).toFixed(2)} of the floor`,
      );
    }
  }
}

if (import.meta.main) await main(Number(process.argv[2] ?? 50_000), process.argv[3] ?? tmpdir());
