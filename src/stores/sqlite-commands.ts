/**
 * SqliteTasks: the commands of the store against a database, synchronous, without a thread. Each
 * is called inside `transaction`, several of them in one where they came together.
 */
import type { DatabaseSync } from 'node:sqlite';
import type {
  ChildRecord,
  ClaimCommand,
  OpenCommand,
  Opened,
  Remembered,
  SettleOutcome,
  SettleReply,
  StartOutcome,
  Store,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { Endings } from './sqlite-endings.ts';
import { HeldTasks } from './sqlite-held.ts';
import type { Arrival, HeldRow, HeldTask, RowOutcome, SettledRow } from './sqlite-held.ts';
import { bestFirst, toHeld, toRecord } from './sqlite-rows.ts';
import type { BestRow, RecordRow } from './sqlite-rows.ts';
import { LONGEST_INLINE_INPUT } from './sqlite-schema.ts';
import { prepareStatements } from './sqlite-statements.ts';
import type { Cell, Statements } from './sqlite-statements.ts';
import { SqliteShared } from './sqlite-shared.ts';
import { Tally } from './sqlite-tally.ts';
import { LEASE_EXPIRED_ERROR, OWNER_GONE_ERROR, STATUS, STATUSES, statusOf } from './task-status.ts';

const ACCEPTED: SubmitOutcome = { at: 'accepted' };
const STALE = { at: 'stale' } as const;
/** One object for each status: many references to one cost nothing on the way between threads. */
const SETTLED = Object.fromEntries(STATUSES.map((status) => [status, { at: 'settled', status }])) as unknown as Readonly<
  Record<TaskStatus, SettleOutcome>
>;
const NOTHING: readonly never[] = [];
/** The largest LIMIT that a statement is given; an endless one may be asked for. */
const MOST_ROWS = 1_000_000_000;

/** Over one open database with Drover's schema, of which this process is the owner. */
export class SqliteTasks {
  /** Budgets and intents of the same database. */
  readonly shared: SqliteShared;
  readonly #db: DatabaseSync;
  readonly #sql: Statements;
  readonly #tally: Tally;
  readonly #held: HeldTasks;
  #lastSeq = 0;
  #maxUnfinished = Infinity;
  /** Version of the file that is known in memory; undefined when it must be read again. */
  #knownVersion: number | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = prepareStatements(db);
    this.#tally = new Tally(this.#sql);
    this.#held = new HeldTasks(this.#sql);
    this.shared = new SqliteShared(this.#sql);
  }

  /** Runs `commands` as one transaction. When it throws, all of them are rolled back. */
  transaction<T>(commands: () => T): T {
    this.#sql.begin.run();
    try {
      this.#refresh();
      const result = commands();
      this.#tally.flush();
      this.#sql.commit.run();
      return result;
    } catch (thrown) {
      this.#knownVersion = undefined;
      // Some failures, such as a full disk, have rolled back already.
      if (this.#db.isTransaction) this.#sql.rollback.run();
      throw thrown;
    }
  }

  /** Rows changed so far. A number to compare: it counts what was rolled back too. */
  totalChanges(): number {
    return (this.#sql.totalChanges.get() as unknown as [number])[0];
  }

  /** Begins a new epoch. Whoever held a lease is gone: only one owner at a time has the file. */
  open({ nowMs, maxUnfinished }: OpenCommand): Opened {
    this.#maxUnfinished = maxUnfinished;
    const [epoch] = this.#sql.nextEpoch.get() as unknown as [number];
    const orphans = this.#held.all();
    const endings = this.#endings(nowMs);
    for (const task of orphans) endings.giveBack(task, OWNER_GONE_ERROR);
    endings.write();
    return { epoch, recovered: orphans.length };
  }

  submit(tasks: readonly Arrival[], nowMs: number): SubmitOutcome[] {
    const welcome = tasks.every(({ parent }) => parent === undefined) ? tasks : tasks.filter((task) => this.#mayArrive(task));
    const roomForAll = this.#tally.unfinished + welcome.length <= this.#maxUnfinished;
    const outcomes = roomForAll ? this.#insert(welcome, nowMs) : welcome.map((task) => this.#insertWithinLimit(task, nowMs));
    if (welcome.length === tasks.length) return outcomes;
    let at = 0;
    return tasks.map((task) => (task === welcome[at] ? outcomes[at++]! : STALE));
  }

  /** The rows as they were before, with the input of each. The fence of a claimed task is one higher. */
  claim({ wants, leaseUntilMs }: ClaimCommand): readonly BestRow[] {
    const claimed: BestRow[] = [];
    for (const { kind, limit } of wants) {
      const best = this.#sql.best.all(kind, rowLimit(limit)) as unknown as BestRow[];
      this.#sql.lease.run(
        best.map((row) => row[0]),
        leaseUntilMs,
      );
      this.#tally.moved(kind, STATUS.queued, STATUS.leased, best.length);
      for (const row of best) {
        this.#held.add(toHeld(row, leaseUntilMs));
        if (row[4] === null) [row[4]] = this.#sql.longInput.get(row[0]) as unknown as [string];
        claimed.push(row);
      }
    }
    return wants.length > 1 ? claimed.toSorted(bestFirst) : claimed;
  }

  start(items: readonly HeldRow[]): StartOutcome[] {
    const held = items.map((item) => this.#held.get(item));
    const seqs: number[] = [];
    for (const task of held) {
      // Sent again, a start finds the run started and does not count it twice.
      if (task === undefined || task.status === STATUS.running) continue;
      seqs.push(task.seq);
      task.status = STATUS.running;
      task.attempt += 1;
      this.#tally.moved(task.kind, STATUS.leased, STATUS.running);
    }
    this.#sql.start.run(seqs);
    let first: Extract<StartOutcome, { at: 'started' }> | undefined;
    return held.map((task) => {
      if (task === undefined) return STALE;
      const { attempt, losses } = task;
      if (!task.fresh) return { at: 'started', attempt, losses, memory: this.#memoryOf(task), children: this.#childrenOf(task) };
      // Most are alike, see SETTLED.
      if (first?.attempt === attempt && first.losses === losses) return first;
      return (first = { at: 'started', attempt, losses, memory: NOTHING, children: NOTHING });
    });
  }

  remember(items: readonly (HeldRow & Remembered)[]): boolean[] {
    const cells: Cell[] = [];
    const outcomes = items.map((item) => {
      const task = this.#held.get(item);
      if (task === undefined) return false;
      task.fresh = false;
      cells.push(task.seq, item.place, item.hash, item.value);
      return true;
    });
    this.#sql.remember.run(cells);
    return outcomes;
  }

  renew(items: readonly (HeldRow & { readonly leaseUntilMs: number })[], nowMs: number): boolean[] {
    const outcomes = items.map((item) => {
      const task = this.#held.get(item);
      if (task === undefined || task.untilMs <= nowMs) return false;
      task.untilMs = item.leaseUntilMs;
      return true;
    });
    // Written from the items, not from the tasks: of two for the same task the later one stands last.
    this.#sql.renew.run(items.filter((_, at) => outcomes[at]).flatMap(({ seq, leaseUntilMs }) => [seq, leaseUntilMs]));
    return outcomes;
  }

  settle(items: readonly SettledRow[], nowMs: number): SettleReply {
    const endings = this.#endings(nowMs);
    const sent: Arrival[] = [];
    const outcomes: SettleOutcome[] = [];
    for (const item of items) {
      const task = this.#held.get(item);
      if (task === undefined) {
        outcomes.push(STALE);
        continue;
      }
      const { outcome } = item;
      if (outcome.at === 'completed') {
        // Before the run ends: it may be the parent of what it sends.
        sent.push(...outcome.sends.filter((send) => this.#mayArrive(send)));
      }
      const at = outcomes.push(SETTLED.parked) - 1;
      if (outcome.at === 'parked') endings.park(task, outcome, (status) => (outcomes[at] = SETTLED[status]));
      else outcomes[at] = SETTLED[letGo(task, outcome, endings)];
    }
    const sentOutcomes = this.#insert(sent, nowMs);
    sent.forEach(({ kind }, at) => {
      if (sentOutcomes[at] === ACCEPTED) endings.ready.add(kind);
    });
    endings.write();
    return { outcomes, ready: [...endings.ready] };
  }

  sweep(nowMs: number): SweepReply {
    const endings = this.#endings(nowMs);
    const expired = this.#held
      .all()
      .filter(({ untilMs }) => untilMs <= nowMs)
      .map((task) => ({ id: task.id, fence: task.fence, status: endings.giveBack(task, LEASE_EXPIRED_ERROR) }));
    endings.write();
    for (const [seq, kind, status] of this.#sql.due.all(nowMs) as unknown as [number, string, number][]) {
      this.#sql.queueDue.run(status === STATUS.parked ? 1 : 0, nowMs, seq);
      this.#tally.moved(kind, status, STATUS.queued);
      endings.ready.add(kind);
    }
    const [nextAtMs] = this.#sql.nextDue.get() as unknown as [number | null];
    return { ready: [...endings.ready], expired, nextAtMs };
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => {
      const row = this.#sql.record.get(id) as unknown as RecordRow | undefined;
      return row === undefined ? undefined : toRecord(row);
    });
  }

  /** `undefined` when `after` is not the id of a task. */
  list({ status, kind, after, limit }: Parameters<Store['list']>[0]): TaskRecord[] | undefined {
    const last = after === undefined ? [0] : (this.#sql.seqOf.get(after) as unknown as [seq: number] | undefined);
    if (last === undefined) return undefined;
    const code = status === undefined ? undefined : STATUS[status];
    const cells: Cell[] = [last[0]!, ...(code === undefined ? [] : [code]), ...(kind === undefined ? [] : [kind]), rowLimit(limit)];
    return (this.#sql.list(code, kind).all(...cells) as unknown as RecordRow[]).map(toRecord);
  }

  counts(): Record<string, TaskCounts> {
    return this.#tally.counts();
  }

  #refresh(): void {
    const [version] = this.#sql.dataVersion.get() as unknown as [number];
    if (version === this.#knownVersion) return;
    this.#held.load();
    this.#tally.load();
    [this.#lastSeq] = this.#sql.lastSeq.get() as unknown as [number];
    this.#knownVersion = version;
  }

  #endings(nowMs: number): Endings {
    return new Endings(this.#sql, this.#tally, this.#held, nowMs);
  }

  /** Not when the run that asks for it no longer holds its lease. */
  #mayArrive({ parent }: Arrival): boolean {
    if (parent === undefined) return true;
    const held = this.#held.get(parent);
    if (held === undefined) return false;
    held.fresh = false;
    return true;
  }

  #insertWithinLimit(task: Arrival, nowMs: number): SubmitOutcome {
    if (task.parent !== undefined || this.#tally.unfinished < this.#maxUnfinished) return this.#insert([task], nowMs)[0]!;
    const [known] = this.get([task.id]);
    return known === undefined ? { at: 'full', limit: this.#maxUnfinished } : { at: 'known', task: known };
  }

  #insert(tasks: readonly Arrival[], nowMs: number): SubmitOutcome[] {
    const firstSeq = this.#lastSeq + 1;
    const cells: Cell[] = [];
    for (const { id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent } of tasks) {
      cells.push(
        (this.#lastSeq += 1),
        id,
        kind,
        version,
        priority,
        maxAttempts,
        maxLosses,
        depth,
        parent === undefined ? null : parent.id,
        parent === undefined ? null : parent.place,
        nowMs,
        nowMs,
        input.length > LONGEST_INLINE_INPUT ? null : input,
      );
    }
    const allNew = this.#sql.insert.run(cells) === tasks.length;
    return tasks.map((task, at) => {
      const seq = firstSeq + at;
      // An id that was there keeps its row; of two in this batch the first has made it.
      if (!allNew && (this.#sql.seqOf.get(task.id) as unknown as [number])[0] !== seq)
        return { at: 'known', task: this.get([task.id])[0]! };
      if (task.input.length > LONGEST_INLINE_INPUT) this.#sql.insertLongInput.run(seq, task.input);
      this.#tally.arrived(task.kind, STATUS.queued);
      return ACCEPTED;
    });
  }

  #memoryOf(task: HeldTask): Remembered[] {
    return (this.#sql.memory.all(task.seq) as unknown as [string, string, string][]).map(([place, hash, value]) => ({
      place,
      hash,
      value,
    }));
  }

  #childrenOf(task: HeldTask): ChildRecord[] {
    const rows = this.#sql.children.all(task.id) as unknown as [string, string, number, string | null, string | null][];
    return rows.map(([id, place, status, result, error]) => ({ id, place, status: statusOf(status), result, error }));
  }
}

/** Ends the run, or puts it back. What parks is told last, see `Endings`. */
function letGo(task: HeldTask, outcome: Exclude<RowOutcome, { at: 'parked' }>, endings: Endings): TaskStatus {
  switch (outcome.at) {
    case 'completed':
      endings.complete(task, outcome.result);
      return 'completed';
    case 'failed':
    case 'dead':
      endings.end(task, outcome.at, outcome.error);
      return outcome.at;
    case 'retry':
      endings.retry(task, outcome.error, outcome.readyAtMs);
      return 'retrying';
    case 'released':
      endings.release(task);
      return 'queued';
    case 'lost':
      return endings.lose(task, outcome.error);
  }
}

/** A statement takes whole numbers only; a caller may ask for endlessly many. */
function rowLimit(limit: number): number {
  return Math.max(0, Math.min(MOST_ROWS, Math.floor(limit)));
}
