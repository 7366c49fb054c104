/**
 * What a task costs beside 1,000 to 1,000,000 that are stored: half of them have ended, a quarter waits in
 * the same queue behind it, and a quarter waits for a time to come. All stores are open at once and take
 * turns, window by window, so that what drifts in the machine hits all of them alike.
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { NewTask } from '../actors/ports/store.ts';
import { migrate } from '../src/stores/sqlite-schema.ts';
import { SqliteStore } from '../src/stores/sqlite.ts';

const NOW_MS = 1_790_000_000_000;
const KIND = 'plain';
const INSERTED = 10_000;
const BATCH = 100;
/** Batches on their way at once. */
const LANES = 4;
const WINDOW = 2_000;
const WINDOWS = 31;

export interface StoredCost {
  readonly stored: number;
  /** A task from submit to settled, by window. */
  readonly wallUs: readonly number[];
  /** Of the whole process. */
  readonly cpuUs: readonly number[];
  /** A stored task. */
  readonly bytes: number;
}

/** The windows after a warm-up of one each. */
export async function storedCosts(sizes: readonly number[], say: (text: string) => void): Promise<readonly StoredCost[]> {
  const folder = mkdtempSync(join(tmpdir(), 'drover-stored-'));
  const stores = sizes.map((stored) => {
    say(`storing ${stored.toLocaleString('en')} tasks`);
    const file = join(folder, `${stored}.db`);
    fill(file, stored);
    return { stored, bytes: statSync(file).size / stored, store: new SqliteStore(file), wallUs: [] as number[], cpuUs: [] as number[] };
  });
  try {
    for (const { store } of stores) await store.open({ nowMs: NOW_MS, maxUnfinished: Infinity });
    for (let window = 0; window <= WINDOWS; window += 1) {
      // The order turns too: nobody is always first.
      for (let at = 0; at < stores.length; at += 1) {
        const { store, wallUs, cpuUs } = stores[(at + window) % stores.length]!;
        const cpu = process.cpuUsage();
        const beganMs = performance.now();
        await throughStore(store, window);
        if (window === 0) continue;
        wallUs.push(((performance.now() - beganMs) * 1_000) / WINDOW);
        const { user, system } = process.cpuUsage(cpu);
        cpuUs.push((user + system) / WINDOW);
      }
    }
  } finally {
    await Promise.all(stores.map(({ store }) => store.close()));
    rmSync(folder, { recursive: true });
  }
  return stores;
}

async function throughStore(store: SqliteStore, window: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < WINDOW) {
      const from = next;
      next += BATCH;
      await store.submit(
        Array.from({ length: BATCH }, (_, at) => taskOf(`window-${window}-${from + at}`)),
        NOW_MS,
      );
      const claimed = await store.claim({ wants: [{ kind: KIND, limit: BATCH }], leaseUntilMs: NOW_MS + 60_000, nowMs: NOW_MS });
      await store.start(
        claimed.map(({ id, fence }, at) => ({ id, fence, worker: `worker-${at}` })),
        NOW_MS,
      );
      const { outcomes } = await store.settle(
        claimed.map(({ id, fence }) => ({ id, fence, outcome: { at: 'completed', result: 'null', sends: [] } })),
        NOW_MS,
      );
      if (!claimed.every(({ id }, at) => id.startsWith('window') && outcomes[at]!.at === 'settled'))
        throw new RangeError('what was stored before was claimed, or nothing was settled: this measures nothing');
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** More urgent than all that is stored. */
function taskOf(id: string): NewTask {
  return { id, kind: KIND, version: '1', input: '7', priority: 1_000, maxAttempts: 5, maxLosses: 10, depth: 0 };
}

/** As a store would have written them, in large batches. */
function fill(file: string, stored: number): void {
  const db = new DatabaseSync(file);
  migrate(db);
  db.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -200000');
  const insert = db.prepare(`
    insert into task (seq, id, kind, version, status, priority, rank, fence, attempt, max_attempts, max_losses, depth,
      submitted_ms, at_ms, claimed_ms, started_ms, parked_for, input, result)
    select value, 'stored-' || value, '${KIND}', '1',
      case value % 4 when 0 then 10 when 1 then 21 else 30 end, 0, ?1, value % 4 > 1, value % 4 > 1, 5, 10, 0,
      ?1, case value % 4 when 1 then ?1 + 1e9 + value else ?1 end, ?1, ?1,
      case value % 4 when 1 then 'sleep' end, '7', case when value % 4 > 1 then 'null' end
    from (with recursive n (value) as (select ?2 union all select value + 1 from n where value < ?3) select value from n)`);
  db.exec('begin');
  for (let from = 1; from <= stored; from += INSERTED) insert.run(NOW_MS, from, Math.min(stored, from + INSERTED - 1));
  db.exec('insert into tally select kind, status, count(*) from task group by kind, status');
  db.exec('commit');
  db.close();
  // On the disk before anything is measured: else the syncs of the first windows wait for it.
  const descriptor = openSync(file, 'r+');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
