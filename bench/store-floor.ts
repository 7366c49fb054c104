/**
 * The floor of each mix of tasks: how fast can their rows go through this schema at all? A loop by hand
 * on node:sqlite, without thread, without port, without a check, in as few statements as it can be done
 * with. Each commit submits batch n + 1, claims and starts batch n and completes batch n - 1, as a busy
 * fleet with group commit does. So a task is on the disk between its stages here too; but 100 tasks are
 * always together, at each stage, as no fleet's are whose runs end when they end. What that is worth alone
 * is told by the floor in groups as small as the fleet's, see `batchFor`.
 *
 * Tasks of tenants and priorities are taken here in the order in which they came: neighbours stay neighbours.
 * With `open` they are taken as a fleet takes them, by tenants' turns and priority out of so many that wait,
 * and then those of one commit lie scattered over the pages, as a fleet's do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrate } from '../src/stores/sqlite-schema.ts';
import { COMPLETED, Steps } from './store-floor-steps.ts';
import type { Best } from './store-floor-steps.ts';
import { CHILDREN } from './store-tasks.ts';
import type { Mix } from './store-tasks.ts';

export interface FloorOptions {
  readonly tasks: number;
  readonly synchronous: 'full' | 'normal';
  /** Tasks a batch. */
  readonly batch: number;
  /** So many are submitted and not at their end, and are claimed in the order of a fleet. Only for tasks with everything. Default: none wait. */
  readonly open?: number;
  /** Where the file is made, and removed again. Default: the system's folder for such files. */
  readonly folder?: string;
}

export interface FloorRate {
  readonly tasksPerSecond: number;
  readonly cpuUsATask: number;
  readonly commits: number;
}

/** Tasks a second from submit to completed, on an empty database of its own; children count as tasks. */
export function floorRate(mix: Mix, { tasks, synchronous, batch, open = 0, folder = tmpdir() }: FloorOptions): FloorRate {
  const home = mkdtempSync(join(folder, 'drover-floor-'));
  const db = new DatabaseSync(join(home, 'floor.db'));
  try {
    migrate(db);
    // The store's settings.
    db.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma wal_autocheckpoint = 4000; pragma cache_size = -16384`);
    const stages = STAGES[mix](new Steps(db, batch), Math.max(0, Math.ceil(open / batch) - FULL_STAGES));
    const rounds = tasks / (mix === 'asks' ? batch * (CHILDREN + 1) : batch);
    let commits = 0;
    const cpu = process.cpuUsage();
    const beganMs = performance.now();
    for (let round = 0; round < rounds + stages.length - 1; round += 1) {
      db.exec('begin immediate');
      // What is further on goes first: so a claim finds the batch before, not the one that comes.
      for (let at = stages.length - 1; at >= 0; at -= 1) if (round >= at && round - at < rounds) stages[at]!(round - at);
      db.exec('commit');
      commits += 1;
    }
    const ms = performance.now() - beganMs;
    const { user, system } = process.cpuUsage(cpu);
    const { completed } = db.prepare(`select count(*) as completed from task where status = ${COMPLETED}`).get() as { completed: number };
    if (completed !== tasks) throw new RangeError(`the floor completed ${completed} of ${tasks} tasks: it measures nothing`);
    return { tasksPerSecond: (tasks * 1_000) / ms, cpuUsATask: (user + system) / tasks, commits };
  } finally {
    db.close();
    rmSync(home, { recursive: true });
  }
}

/** The batch with which a floor makes about as many commits of these tasks. */
export function batchFor(mix: Mix, { tasks, commits }: { readonly tasks: number; readonly commits: number }): number {
  const first = mix === 'asks' ? tasks / (CHILDREN + 1) : tasks;
  const fits = BATCHES.filter((batch) => first % batch === 0);
  return fits.reduce((best, batch) => (Math.abs(first / batch - commits) < Math.abs(first / best - commits) ? batch : best));
}

const BATCHES = [5, 10, 20, 25, 40, 50, 80, 100, 200];

/** What is done to each batch, one stage a commit. */
type Stages = readonly ((batch: number) => void)[];

/** Of tasks with everything: submitted, started, remembered. */
const FULL_STAGES = 3;

/** `waiting`: so many batches stand between those that are submitted and those that are claimed. */
const STAGES: Readonly<Record<Mix, (steps: Steps, waiting: number) => Stages>> = {
  plain(steps) {
    let running: readonly Best[] = [];
    return [
      (batch) => steps.submit('plain', batch),
      () => steps.start((running = steps.claim('plain'))),
      () => steps.complete('plain', running),
    ];
  },
  full(steps, waiting) {
    const running = new Map<number, readonly Best[]>();
    return [
      (batch) => steps.submitFull(batch),
      ...Array.from({ length: waiting }, () => () => {}),
      (batch) => {
        const rows = waiting === 0 ? steps.claim('full') : steps.claimInTurn('full', batch);
        running.set(batch, rows);
        steps.start(rows);
        steps.lock(rows);
      },
      (batch) => steps.remember(running.get(batch)!, () => ['step:look#1', '1'], 1),
      (batch) => {
        const rows = running.get(batch)!;
        running.delete(batch);
        steps.completeFull(rows);
        steps.writeState(rows);
        steps.forget(rows);
        steps.unlock(rows);
      },
    ];
  },
  asks(steps) {
    const parents = new Map<number, readonly Best[]>();
    const children = new Map<number, readonly Best[]>();
    return [
      (batch) => steps.submit('asking', batch),
      (batch) => {
        const rows = steps.claim('asking', 0);
        parents.set(batch, rows);
        steps.start(rows);
      },
      (batch) => {
        steps.submitChildren(parents.get(batch)!);
        steps.park(parents.get(batch)!);
      },
      (batch) => {
        const rows = steps.claimChildren();
        children.set(batch, rows);
        for (const part of steps.parts(rows)) steps.start(part);
      },
      (batch) => {
        for (const part of steps.parts(children.get(batch)!)) steps.complete('child', part);
        children.delete(batch);
        steps.wake(parents.get(batch)!);
      },
      (batch) => {
        const rows = steps.claim('asking', 1);
        parents.set(batch, rows);
        steps.start(rows);
      },
      (batch) => {
        const rows = parents.get(batch)!;
        parents.delete(batch);
        steps.remember(rows, ([, id], at) => [`ask:child#${at + 1}@2869235639.3945473141`, `"${id}"`], CHILDREN);
        steps.complete('asking', rows);
        steps.forget(rows);
        steps.endFamilies(rows);
      },
    ];
  },
};
