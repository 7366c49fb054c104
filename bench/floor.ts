/**
 * The floor: how fast can these tasks go through this schema at all? A loop by hand on node:sqlite,
 * without thread, without port, without a check: what it leaves out is what a store adds. It writes
 * the same rows as the SQLite store, the tally included.
 *
 *     npx node bench/floor.ts [tasks] [folder]
 *
 * prints the floor and the store through its port, in the same shape: 100 tasks a command, several
 * such batches on their way. Rounds of both alternate, because disks and neighbours change; believe
 * the ratio, not the numbers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { NewTask, Store } from '../actors/ports/store.ts';
import { migrate } from '../src/stores/sqlite-schema.ts';
import { sqlite } from '../src/stores/sqlite.ts';

/**
 * How the steps of a task are grouped into commits. `step`: every step of a batch is a commit.
 * `fused`: one commit submits batch n + 1, claims and starts batch n, and completes batch n - 1,
 * as a busy fleet with group commit does.
 */
export type FloorShape = 'step' | 'fused';

export interface FloorOptions {
  readonly tasks: number;
  readonly synchronous: 'full' | 'normal';
  /** Tasks a batch. Default 100. */
  readonly batch?: number;
  /** Default: each is tried, the best is reported. */
  readonly shape?: FloorShape;
  /** Where the file is made, and removed again. Default: the system's folder for such files. */
  readonly folder?: string;
}

export interface FloorResult {
  readonly shape: FloorShape;
  readonly tasksPerSecond: number;
  readonly commits: number;
}

const NOW_MS = 1_763_751_234_567.25;
const KIND = 'triage';
/** Numbers of workers, as the store gives them. */
const FIRST_WORKER = 1_001;

/** Tasks a second from submit to completed, on an empty database of its own. */
export function rawFloor(options: FloorOptions): FloorResult {
  const shapes: readonly FloorShape[] = options.shape === undefined ? ['fused', 'step'] : [options.shape];
  return shapes
    .map((shape) => runFloor(shape, options))
    .reduce((best, result) => (result.tasksPerSecond > best.tasksPerSecond ? result : best));
}

function runFloor(shape: FloorShape, { tasks, synchronous, batch = 100, folder = tmpdir() }: FloorOptions): FloorResult {
  const home = mkdtempSync(join(folder, 'drover-floor-'));
  const db = new DatabaseSync(join(home, 'floor.db'));
  try {
    migrate(db);
    // The store's settings.
    db.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma wal_autocheckpoint = 4000; pragma cache_size = -16384`);
    const steps = prepareSteps(db, batch);
    const inputs = Array.from({ length: tasks }, (_, at) => input(at));
    let commits = 0;
    const commit = (work: () => void): void => {
      db.exec('begin immediate');
      work();
      db.exec('commit');
      commits += 1;
    };
    const rounds = tasks / batch;
    let running: Rows = [];
    const beganMs = performance.now();
    if (shape === 'step') {
      for (let round = 0; round < rounds; round += 1) {
        commit(() => steps.submit(inputs, round * batch));
        commit(() => (running = steps.claim()));
        commit(() => steps.start(running));
        commit(() => steps.complete(running));
      }
    } else {
      for (let round = 0; round < rounds + 2; round += 1) {
        commit(() => {
          if (running.length > 0) steps.complete(running);
          running = steps.claim();
          steps.start(running);
          if (round < rounds) steps.submit(inputs, round * batch);
        });
      }
    }
    const tasksPerSecond = (tasks * 1_000) / (performance.now() - beganMs);
    const { completed } = db.prepare('select count(*) as completed from task where status = 30').get() as { completed: number };
    if (completed !== tasks) throw new RangeError(`the floor completed ${completed} of ${tasks} tasks: it measures nothing`);
    return { shape, tasksPerSecond, commits };
  } finally {
    db.close();
    rmSync(home, { recursive: true });
  }
}

type Rows = readonly (readonly unknown[])[];

/** The four steps of a batch, each with as few statements as it can be done with. */
function prepareSteps(db: DatabaseSync, batch: number) {
  const places = (row: string): string => Array<string>(batch).fill(row).join(',');
  const insert =
    db.prepare(`insert into task (submitted_ms, at_ms, claimed_ms, started_ms, rank, seq, id, kind, version, status, priority, max_attempts, max_losses, depth, input)
    values ${places('(?1,?1,?1,?1,?1,?,?,?,?,10,?,?,?,?,?)')} on conflict (id) do nothing`);
  const best = db.prepare(`select seq, id, kind, version, input, priority, fence, depth, parent from task indexed by task_ready
    where status = 10 and box is null and kind = ? order by resumed desc, tenant, rank, seq limit ?`);
  best.setReturnArrays(true);
  const lease = db.prepare(`update task set status = 11, fence = fence + 1, at_ms = ?, claimed_ms = ? where seq in (${places('?')})`);
  const start = db.prepare(`update task set status = 12, attempt = attempt + 1, started_ms = ?, worker = new.column2
    from (values ${places('(?,?)')}) as new where seq = new.column1`);
  const complete = db.prepare(`update task set status = 30, result = new.column2, at_ms = ?
    from (values ${places('(?,?)')}) as new where seq = new.column1`);
  const tally = db.prepare('insert into tally values (?, ?, ?) on conflict do update set n = n + excluded.n');
  let seq = 0;
  return {
    submit(inputs: readonly string[], from: number): void {
      const cells: (string | number)[] = [NOW_MS];
      for (let at = from; at < from + batch; at += 1) cells.push((seq += 1), `task-${at}`, KIND, '1', 0, 3, 3, 0, inputs[at]!);
      insert.run(...cells);
    },
    claim(): Rows {
      const rows = best.all(KIND, batch) as unknown as Rows;
      if (rows.length > 0) lease.run(NOW_MS + 30_000, NOW_MS, ...rows.map((row) => row[0] as number));
      return rows;
    },
    start(rows: Rows): void {
      if (rows.length > 0) start.run(NOW_MS, ...rows.flatMap((row, at) => [row[0] as number, FIRST_WORKER + at]));
    },
    complete(rows: Rows): void {
      const cells: (string | number)[] = [];
      for (const row of rows) cells.push(row[0] as number, 'null');
      complete.run(NOW_MS, ...cells);
      tally.run(KIND, 30, rows.length);
    },
  };
}

function input(at: number): string {
  return `{"mailId":"${at}"}`;
}

/**
 * The same tasks through the port: `lanes` batches on their way at once, each submitted, claimed,
 * started and completed in turn, so that what they send meets in one commit.
 */
export async function throughPort(
  store: Store,
  { tasks, batch = 100, lanes }: { tasks: number; batch?: number; lanes: number },
): Promise<number> {
  await store.open({ nowMs: NOW_MS, maxUnfinished: Infinity });
  const made = Array.from({ length: tasks }, (_, at): NewTask => ({
    id: `task-${at}`,
    kind: KIND,
    version: '1',
    input: input(at),
    priority: 0,
    maxAttempts: 3,
    maxLosses: 3,
    depth: 0,
  }));
  let next = 0;
  let completed = 0;
  const lane = async (): Promise<void> => {
    while (next < tasks) {
      const mine = made.slice(next, (next += batch));
      await store.submit(mine, NOW_MS);
      const claimed = await store.claim({ wants: [{ kind: KIND, limit: batch }], leaseUntilMs: NOW_MS + 30_000, nowMs: NOW_MS });
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

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

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
    const floors: FloorResult[] = [];
    const ports = new Map(LANES.map((lanes) => [lanes, [] as number[]]));
    const ratios = new Map(LANES.map((lanes) => [lanes, [] as number[]]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [lanes, rates] of ports) {
        const before = rawFloor({ tasks, synchronous, folder });
        const rate = await inAdapter(synchronous, lanes);
        const after = rawFloor({ tasks, synchronous, folder });
        floors.push(before, after);
        rates.push(rate);
        ratios.get(lanes)!.push((2 * rate) / (before.tasksPerSecond + after.tasksPerSecond));
      }
    }
    const [{ shape, commits }] = floors as [FloorResult];
    const floor = median(floors.map(({ tasksPerSecond }) => tasksPerSecond));
    console.log(`${synchronous}: floor ${Math.round(floor)} tasks/s (${shape}, ${commits} commits for ${tasks} tasks)`);
    for (const [lanes, rates] of ports) {
      console.log(
        `  through the port, ${lanes} batches of 100 on their way: ${Math.round(median(rates))} tasks/s, ${median(ratios.get(lanes)!).toFixed(2)} of the floor`,
      );
    }
  }
}

if (import.meta.main) await main(Number(process.argv[2] ?? 50_000), process.argv[3] ?? tmpdir());
