/**
 * The floor of each mix of tasks: how fast can their rows go through this schema at all? A loop by hand
 * on node:sqlite, without thread, without port, without a check, in as few statements as it can be done
 * with. Each commit submits batch n + 1, claims and starts batch n and completes batch n - 1, as a busy
 * fleet with group commit does.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { migrate } from '../src/stores/sqlite-schema.ts';
import { CHILDREN, fullInput } from './store-tasks.ts';
import type { Mix } from './store-tasks.ts';

export interface FloorOptions {
  readonly tasks: number;
  readonly synchronous: 'full' | 'normal';
  /** Tasks a batch. */
  readonly batch: number;
}

export interface FloorRate {
  readonly tasksPerSecond: number;
  readonly cpuUsATask: number;
  readonly commits: number;
}

type Cell = string | number | null;
/** seq, id, kind, version, input, priority, fence, depth, parent. */
type Best = readonly [seq: number, id: string, ...unknown[]];

const NOW_MS = 1_763_751_234_567.25;
const LEASE_MS = 60_000;
const DEADLINE_MS = 3_600_000;
const FIRST_WORKER = 1_001;
const COMPLETED = 30;

/** Tasks a second from submit to completed, on an empty database of its own; children count as tasks. */
export function floorRate(mix: Mix, { tasks, synchronous, batch }: FloorOptions): FloorRate {
  const home = mkdtempSync(join(tmpdir(), 'drover-floor-'));
  const db = new DatabaseSync(join(home, 'floor.db'));
  try {
    migrate(db);
    // The store's settings.
    db.exec(`pragma journal_mode = wal; pragma synchronous = ${synchronous}; pragma wal_autocheckpoint = 4000; pragma cache_size = -16384`);
    const stages = STAGES[mix](new Steps(db, batch), tasks);
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

/** What is done to each batch, one stage a commit. */
type Stages = readonly ((batch: number) => void)[];

const STAGES: Readonly<Record<Mix, (steps: Steps, tasks: number) => Stages>> = {
  plain(steps) {
    let running: readonly Best[] = [];
    return [
      (batch) => steps.submit('plain', batch),
      () => steps.start((running = steps.claim('plain'))),
      () => steps.complete('plain', running),
    ];
  },
  full(steps) {
    const running = new Map<number, readonly Best[]>();
    return [
      (batch) => steps.submitFull(batch),
      (batch) => {
        const rows = steps.claim('full');
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

/** The steps of a batch. */
class Steps {
  readonly #batch: number;
  readonly #insert: StatementSync;
  readonly #insertFull: StatementSync;
  readonly #insertChildren: StatementSync;
  readonly #best: StatementSync;
  readonly #lease: StatementSync;
  readonly #start: StatementSync;
  readonly #complete: StatementSync;
  readonly #completeFull: StatementSync;
  readonly #tally: StatementSync;
  readonly #lock: StatementSync;
  readonly #unlock: StatementSync;
  readonly #remember: StatementSync;
  readonly #rememberAsks: StatementSync;
  readonly #forget: StatementSync;
  readonly #state: StatementSync;
  readonly #wait: StatementSync;
  readonly #endWaits: StatementSync;
  readonly #story: StatementSync;
  readonly #park: StatementSync;
  readonly #wake: StatementSync;
  readonly #family: StatementSync;
  readonly #endFamilies: StatementSync;
  #seq = 0;
  #token = 0;

  constructor(db: DatabaseSync, batch: number) {
    this.#batch = batch;
    const places = (row: string, rows = batch): string => Array<string>(rows).fill(row).join(',');
    const common =
      'submitted_ms, at_ms, claimed_ms, started_ms, seq, id, kind, version, status, priority, rank, max_attempts, max_losses, depth, input';
    const cells = "?1,?1,?1,?1,?,?,?,'1',10,?,?,5,10,?,?";
    this.#insert = db.prepare(`insert into task (${common}) values ${places(`(${cells})`)} on conflict (id) do nothing`);
    this.#insertFull = db.prepare(`insert into task (${common}, tenant, order_key, deadline_ms, options)
      values ${places(`(${cells},?,?,?,?)`)} on conflict (id) do nothing`);
    this.#insertChildren = db.prepare(`insert into task (${common}, parent, place, options)
      values ${places(`(${cells},?,?,?)`, batch * CHILDREN)} on conflict (id) do nothing`);
    this.#best = db.prepare(`select seq, id, kind, version, input, priority, fence, depth, parent, options from task indexed by task_ready
      where status = 10 and box is null and kind = ? and resumed = ? order by tenant, rank, seq limit ?`);
    this.#best.setReturnArrays(true);
    this.#lease = db.prepare(`update task set status = 11, fence = fence + 1, at_ms = ?1, claimed_ms = ?2 where seq in (${places('?')})`);
    this.#start = db.prepare(`update task set status = 12, attempt = attempt + 1, started_ms = ?1, worker = new.column2
      from (values ${places('(?,?)')}) as new where seq = new.column1`);
    this.#complete = db.prepare(`update task set status = ${COMPLETED}, result = new.column2, at_ms = ?1
      from (values ${places('(?,?)')}) as new where seq = new.column1`);
    this.#completeFull = db.prepare(`update task set status = ${COMPLETED}, result = new.column2, at_ms = ?1, order_key = null
      from (values ${places('(?,?)')}) as new where seq = new.column1`);
    this.#tally = db.prepare('insert into tally values (?, ?, ?) on conflict do update set n = n + excluded.n');
    this.#lock = db.prepare(`insert into lock values ${places('(?,?,?)')}`);
    this.#unlock = db.prepare(`delete from lock where task in (${places('?')})`);
    this.#remember = db.prepare(`insert into memory (task, place, hash, value) values ${places("(?,?,'',?)")}`);
    this.#rememberAsks = db.prepare(`insert into memory (task, place, hash, value) values ${places("(?,?,'',?)", batch * CHILDREN)}`);
    this.#forget = db.prepare(`delete from memory where task in (${places('?')})`);
    this.#state = db.prepare(`replace into state values ${places('(?,?,?)')}`);
    this.#wait = db.prepare(`insert into wait values ${places('(?,?,?)', batch * CHILDREN)}`);
    this.#endWaits = db.prepare(`delete from wait where child in (${places('?', batch * CHILDREN)})`);
    this.#story = db.prepare(`insert into story values ${places('(?,1,?)')}`);
    this.#park = db.prepare(
      `update task set status = 21, at_ms = null, parked_for = 'child', attempt = attempt - 1 where seq in (${places('?')})`,
    );
    this.#wake = db.prepare(`update task set status = 10, resumed = 1, at_ms = ?1, parked_for = null where seq in (${places('?')})`);
    this.#family = db.prepare(`insert into family values ${places('(?,?)')}`);
    this.#endFamilies = db.prepare(`delete from family where root in (${places('?')})`);
  }

  submit(kind: string, batch: number): void {
    const cells: Cell[] = [NOW_MS];
    for (let at = batch * this.#batch; at < (batch + 1) * this.#batch; at += 1)
      cells.push((this.#seq += 1), `${kind}-${at}`, kind, 0, NOW_MS, 0, `${at}`);
    this.#insert.run(...cells);
  }

  submitFull(batch: number): void {
    const cells: Cell[] = [NOW_MS];
    for (let at = batch * this.#batch; at < (batch + 1) * this.#batch; at += 1) {
      const input = fullInput(at);
      const deadlineMs = NOW_MS + DEADLINE_MS;
      const orderKey = `full:${input.order}`;
      const locks = [{ resource: input.row, mode: 'write' }];
      const options = { tenant: input.tenant, affinity: input.affinity, orderKey, locks, deadlineMs };
      cells.push((this.#seq += 1), `full-${at}`, 'full', at % 3, NOW_MS - (at % 3) * 60_000, 0, JSON.stringify(input));
      cells.push(input.tenant, orderKey, deadlineMs, JSON.stringify(options));
    }
    this.#insertFull.run(...cells);
  }

  submitChildren(parents: readonly Best[]): void {
    const cells: Cell[] = [NOW_MS];
    for (const [, parent] of parents) {
      const options = JSON.stringify({ rootId: parent });
      for (let at = 0; at < CHILDREN; at += 1) {
        cells.push((this.#seq += 1), `${parent}/child-${at}`, 'child', 0, NOW_MS, 1, `${at}`);
        cells.push(parent, `ask:child#${at + 1}@2869235639.3945473141`, options);
      }
    }
    this.#insertChildren.run(...cells);
    this.#family.run(...parents.flatMap(([, id]) => [id, CHILDREN]));
  }

  claim(kind: string, resumed = 0, limit = this.#batch): readonly Best[] {
    const rows = this.#best.all(kind, resumed, limit) as unknown as readonly Best[];
    for (const part of this.parts(rows)) this.#lease.run(NOW_MS + LEASE_MS, NOW_MS, ...part.map(([seq]) => seq));
    return rows;
  }

  claimChildren(): readonly Best[] {
    return this.claim('child', 0, this.#batch * CHILDREN);
  }

  start(rows: readonly Best[]): void {
    this.#start.run(NOW_MS, ...rows.flatMap(([seq], at) => [seq, FIRST_WORKER + at]));
  }

  complete(kind: string, rows: readonly Best[]): void {
    this.#complete.run(NOW_MS, ...rows.flatMap(([seq]) => [seq, 'null']));
    this.#tally.run(kind, COMPLETED, rows.length);
  }

  completeFull(rows: readonly Best[]): void {
    this.#completeFull.run(NOW_MS, ...rows.flatMap(([seq]) => [seq, 'null']));
    this.#tally.run('full', COMPLETED, rows.length);
  }

  lock(rows: readonly Best[]): void {
    const wants = (at: number): string => JSON.stringify([{ resource: fullInput(at).row, mode: 'write' }]);
    this.#lock.run(...rows.flatMap(([seq]) => [seq, (this.#token += 1), wants(seq)]));
  }

  unlock(rows: readonly Best[]): void {
    this.#unlock.run(...rows.map(([seq]) => seq));
  }

  remember(rows: readonly Best[], what: (row: Best, at: number) => readonly [place: string, value: string], each: number): void {
    const statement = each === 1 ? this.#remember : this.#rememberAsks;
    statement.run(...rows.flatMap((row) => Array.from({ length: each }, (_, at) => [row[0], ...what(row, at)]).flat()));
  }

  forget(rows: readonly Best[]): void {
    this.#forget.run(...rows.map(([seq]) => seq));
  }

  writeState(rows: readonly Best[]): void {
    this.#state.run(...rows.flatMap(([seq]) => [fullInput(seq).row, (this.#token += 1), '1']));
  }

  park(rows: readonly Best[]): void {
    this.#park.run(...rows.map(([seq]) => seq));
    this.#wait.run(...rows.flatMap(([seq, id]) => Array.from({ length: CHILDREN }, (_, at) => [`${id}/child-${at}`, seq, 1]).flat()));
    const entry = { at: 'run', atMs: NOW_MS, fence: 1, worker: 'bench/agents/asking/0#1', claimedAtMs: NOW_MS, startedAtMs: NOW_MS };
    this.#story.run(...rows.flatMap(([seq]) => [seq, JSON.stringify({ ...entry, outcome: 'parked', detail: 'child' })]));
  }

  wake(rows: readonly Best[]): void {
    this.#endWaits.run(...rows.flatMap(([, id]) => Array.from({ length: CHILDREN }, (_, at) => `${id}/child-${at}`)));
    this.#wake.run(NOW_MS, ...rows.map(([seq]) => seq));
  }

  endFamilies(rows: readonly Best[]): void {
    this.#endFamilies.run(...rows.map(([, id]) => id));
  }

  /** In pieces of a batch. */
  parts<T>(rows: readonly T[]): readonly (readonly T[])[] {
    return Array.from({ length: rows.length / this.#batch }, (_, at) => rows.slice(at * this.#batch, (at + 1) * this.#batch));
  }
}
