/** Floor steps: what a store does to a batch of tasks, each step in as few statements as it can be done with. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { CHILDREN, fullInput, TENANTS } from './store-tasks.ts';

type Cell = string | number | null;
/** What was claimed: seq, id, kind, version, input, priority, fence, depth, parent. */
export type Best = readonly [seq: number, id: string, ...unknown[]];

const NOW_MS = 1_763_751_234_567.25;
const LEASE_MS = 60_000;
const DEADLINE_MS = 3_600_000;
const FIRST_WORKER = 1_001;
/** A task's status. */
export const COMPLETED = 30;

/** The steps of a batch. */
export class Steps {
  readonly #batch: number;
  readonly #insert: StatementSync;
  readonly #insertFull: StatementSync;
  readonly #insertChildren: StatementSync;
  readonly #best: StatementSync;
  readonly #bestOfTenant: StatementSync;
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
    const best = (where: string, order: string): StatementSync => {
      const statement = db.prepare(`select seq, id, kind, version, input, priority, fence, depth, parent, options from task
        indexed by task_ready where status = 10 and box is null and kind = ? and resumed = ? ${where} order by ${order} limit ?`);
      statement.setReturnArrays(true);
      return statement;
    };
    this.#best = best('', 'tenant, rank, seq');
    this.#bestOfTenant = best('and tenant = ?', 'rank, seq');
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
    return this.#leased(this.#best.all(kind, resumed, limit) as unknown as readonly Best[]);
  }

  /** The best of every tenant; who comes last has what is left. */
  claimInTurn(kind: string, round: number): readonly Best[] {
    const share = Math.ceil(this.#batch / TENANTS);
    const rows: Best[] = [];
    for (let at = 0; at < TENANTS; at += 1)
      rows.push(...(this.#bestOfTenant.all(kind, 0, `tenant-${(round + at) % TENANTS}`, share) as unknown as Best[]));
    if (rows.length < this.#batch) {
      const taken = new Set(rows.map(([seq]) => seq));
      const others = this.#best.all(kind, 0, 2 * this.#batch) as unknown as readonly Best[];
      rows.push(...others.filter(([seq]) => !taken.has(seq)));
    }
    return this.#leased(rows.slice(0, this.#batch));
  }

  #leased(rows: readonly Best[]): readonly Best[] {
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
