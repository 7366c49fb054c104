/**
 * SqliteTasks: the commands of the store against a database, synchronous, without a thread. Each
 * is called inside `transaction`, several of them in one where they came together.
 */
import type { DatabaseSync } from 'node:sqlite';
import type {
  ClaimCommand,
  ForgetCommand,
  ForgetReply,
  OpenCommand,
  Opened,
  SettleOutcome,
  SettleReply,
  Signal,
  SignalOutcome,
  Decision,
  Steering,
  SteerReply,
  Store,
  StoryEntry,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { SqliteArrivals } from './sqlite-arrivals.ts';
import { Endings } from './sqlite-endings.ts';
import { SqliteEvents } from './sqlite-events.ts';
import type { Arrival, Completed, HeldRow, HeldTask, RememberRow, RowOutcome, SettledRow, StartRow } from './sqlite-held.ts';
import { SqliteForgetting } from './sqlite-forgetting.ts';
import { Known } from './sqlite-known.ts';
import { SqliteLeases } from './sqlite-leases.ts';
import { listSlice } from './sqlite-list.ts';
import type { ListQuery, Slice } from './sqlite-list.ts';
import { boxRange, mergeBest, orderKeyOf, rowLimit, toHeld } from './sqlite-rows.ts';
import type { BestRow } from './sqlite-rows.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import { SqliteSchedules } from './sqlite-schedules.ts';
import type { FiringRow } from './sqlite-schedules.ts';
import { SqliteShared } from './sqlite-shared.ts';
import { SqliteStarts } from './sqlite-starts.ts';
import type { RowsStarted } from './sqlite-starts.ts';
import { SqliteState } from './sqlite-state.ts';
import { SqliteSteering } from './sqlite-steering.ts';
import { earliest, MOST_SWEPT, sweepTasks } from './sqlite-sweep.ts';
import { FIRST_TERMINAL, OWNER_GONE_ERROR, STATUS, STATUSES, statusOf } from './task-status.ts';

const STALE = { at: 'stale' } as const;
/** One object for each status: many references to one cost nothing on the way between threads. */
const SETTLED = Object.fromEntries(STATUSES.map((status) => [status, { at: 'settled', status }])) as unknown as Readonly<
  Record<TaskStatus, SettleOutcome>
>;
const NOTHING: readonly never[] = [];

/** Over one open database with Drover's schema, of which this process is the owner. */
export class SqliteTasks {
  /** Budgets and intents of the same database. */
  readonly shared: SqliteShared;
  readonly state: SqliteState;
  readonly events: SqliteEvents;
  readonly schedules: SqliteSchedules;
  readonly leases: SqliteLeases;
  readonly #db: DatabaseSync;
  readonly #known: Known;
  readonly #arrivals: SqliteArrivals;
  readonly #starts: SqliteStarts;
  readonly #forgetting: SqliteForgetting;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#known = new Known(db);
    this.#arrivals = new SqliteArrivals(this.#known);
    this.shared = new SqliteShared(this.#known.sql);
    this.state = new SqliteState(this.#known);
    this.#starts = new SqliteStarts(this.#known, this.state);
    this.events = new SqliteEvents(this.#known);
    this.#forgetting = new SqliteForgetting(this.#known);
    this.schedules = new SqliteSchedules(this.#known.sql);
    this.leases = new SqliteLeases(this.#known);
  }

  /** Runs `commands` as one transaction. When it throws, all of them are rolled back. */
  transaction<T>(commands: () => T): T {
    const { sql } = this.#known;
    sql.begin.run();
    try {
      this.#known.refresh();
      const result = commands();
      this.#known.flush();
      sql.commit.run();
      this.#known.committed();
      return result;
    } catch (thrown) {
      this.#known.forget();
      // Some failures, such as a full disk, have rolled back already.
      if (this.#db.isTransaction) sql.rollback.run();
      throw thrown;
    }
  }

  /** Rows changed so far. A number to compare: it counts what was rolled back too. */
  totalChanges(): number {
    return (this.#known.sql.totalChanges.get() as unknown as [number])[0];
  }

  /** Begins a new epoch. Whoever held a lease is gone: only one owner at a time has the file. */
  open(command: OpenCommand): Opened {
    const { sql, held } = this.#known;
    this.#known.configure(command);
    const [epoch, agingMs, latestMs] = sql.nextEpoch.get() as unknown as [number, number, number];
    this.#known.leastFence = epoch;
    if (agingMs !== this.#known.agingMs) {
      sql.setAging.run(this.#known.agingMs);
      sql.rankAgain.run(agingMs, this.#known.agingMs);
    }
    if (latestMs > command.nowMs) {
      // What was tried, or came, by a clock that was ahead waits no longer for that, nor behind all who come now.
      sql.retryUpTo.run(command.nowMs);
      sql.rankUpTo.run(command.nowMs, this.#known.agingMs);
    }
    sql.setLatest.run(command.nowMs);
    sql.emptyBoxes.run();
    this.#known.locks.table.open(command.nowMs);
    this.leases.open(command.nowMs);
    this.shared.open(command.nowMs);
    // In order of arrival: who is woken for locks may depend on it.
    const orphans = held.all().toSorted((a, b) => a.seq - b.seq);
    const recovered = orphans.filter(({ status }) => status === STATUS.running).length;
    const endings = new Endings(this.#known, command.nowMs);
    for (const task of orphans) endings.giveBack(task, OWNER_GONE_ERROR, 'owner-gone');
    endings.write();
    return { epoch, recovered };
  }

  submit(tasks: readonly Arrival[], nowMs: number): SubmitOutcome[] {
    const endings = new Endings(this.#known, nowMs);
    const outcomes = this.#arrivals.submit(tasks, nowMs, endings);
    endings.write();
    return outcomes.map((outcome, at) =>
      outcome.at === 'known' ? { at: 'known', task: this.#arrivals.recordOf(tasks[at]!.id)! } : outcome,
    );
  }

  /** The rows as they were before, with the input of each. The fence of a claimed task is one higher. */
  claim({ wants, leaseUntilMs, nowMs }: ClaimCommand): readonly BestRow[] {
    const { sql, turns, paused, tally, held, claims } = this.#known;
    const claimed = wants.map(({ kind, limit, box }) => {
      if (paused.has(kind)) return NOTHING;
      const { best, fresh } = turns.take(kind, rowLimit(limit), box);
      const found = fresh.size === 0 ? best : best.filter((row) => !fresh.has(row));
      const seqs = found.map((row) => row[0]);
      sql.lease.run(seqs, this.#known.leastFence, leaseUntilMs, nowMs);
      tally.moved(kind, STATUS.queued, STATUS.leased, seqs.length);
      if (box === undefined) turns.taken();
      else sql.emptyBox.run(seqs);
      for (const row of fresh) claims.add(row, leaseUntilMs, nowMs);
      for (const row of best) {
        held.add(toHeld(row, this.#known.leastFence, this.#known.takeOptions(row[0], row[15]), leaseUntilMs, nowMs));
        if (row[4] === null) [row[4]] = sql.longInput.get(row[0]) as unknown as [string];
      }
      return best;
    });
    return claimed.length === 1 ? claimed[0]! : mergeBest(claimed);
  }

  /** Of a row that was just claimed. */
  heldOf(row: BestRow): HeldTask {
    return this.#known.held.of(row[0])!;
  }

  start(items: readonly StartRow[], nowMs: number): RowsStarted[] {
    return this.#starts.start(items, nowMs);
  }

  remember(items: readonly RememberRow[]): boolean[] {
    const { sql, held } = this.#known;
    let cells: Cell[] = [];
    const outcomes = items.map((item) => {
      const task = held.get(item);
      if (task === undefined) return false;
      this.#known.lies(task);
      const row = [task.seq, item.place, item.hash, item.value, item.failed === true ? 1 : 0, item.version ?? null];
      if (item.replace) {
        // Behind what was remembered before it, and ahead of what comes.
        sql.remember.run(cells);
        cells = [];
        sql.rememberAgain.run(...row);
      } else cells.push(...row);
      return true;
    });
    sql.remember.run(cells);
    return outcomes;
  }

  renew(items: readonly (HeldRow & { readonly leaseUntilMs: number })[], nowMs: number): boolean[] {
    const outcomes = items.map((item) => {
      const task = this.#known.held.get(item);
      if (task === undefined || task.untilMs <= nowMs) return false;
      task.untilMs = item.leaseUntilMs;
      return true;
    });
    if (items.some(({ seq }, at) => outcomes[at] && this.#known.claims.has(seq))) this.#known.claims.write();
    // Written from the items, not from the tasks: of two for the same task the later one stands last.
    this.#known.sql.renew.run(items.filter((_, at) => outcomes[at]).flatMap(({ seq, leaseUntilMs }) => [seq, leaseUntilMs]));
    return outcomes;
  }

  settle(items: readonly SettledRow[], nowMs: number): SettleReply {
    const { held, sql } = this.#known;
    const endings = new Endings(this.#known, nowMs);
    this.state.begin();
    /** Those whose status is seen when all is written. */
    const open: { readonly at: number; readonly seq: number }[] = [];
    /** Those that are back for all that is known, unless who has asked for them ends by the same command. */
    const back: { readonly at: number; readonly seq: number }[] = [];
    const outcomes = items.map((item, at): SettleOutcome => {
      const task = held.get(item);
      // Nothing can have been undone of a run that was not told to.
      if (task === undefined || (item.outcome.at === 'undone' && task.undo === null)) return STALE;
      if (item.outcome.at === 'completed') return this.#complete(task, item.outcome, nowMs, endings);
      const status = letGo(task, item.outcome, endings);
      if (status !== undefined && task.noted === null && orderKeyOf(task.options) === null) {
        if (STATUS[status] < FIRST_TERMINAL) back.push({ at, seq: task.seq });
        return SETTLED[status];
      }
      open.push({ at, seq: task.seq });
      return STALE;
    });
    this.state.flush();
    endings.write();
    if (endings.hasClosedFamilies) open.push(...back);
    for (const { at, seq } of open) outcomes[at] = SETTLED[statusOf((sql.statusOf.get(seq) as unknown as [number])[0])];
    const { nextAtMs } = endings.moves.waits;
    return { outcomes, ready: [...endings.moves.ready], ...(nextAtMs === undefined ? {} : { nextAtMs }) };
  }

  sweep(nowMs: number): SweepReply {
    this.#known.claims.write();
    const swept = sweepTasks(this.#known, new Endings(this.#known, nowMs), nowMs);
    const nextAtMs = earliest([swept.nextAtMs], [this.schedules.nextAtMs(nowMs)]);
    return { ...swept, nextAtMs, schedules: this.schedules.due(nowMs, MOST_SWEPT) };
  }

  unbox(items: Parameters<Store['unbox']>[0]): void {
    for (const { kind, box } of items) {
      const rows = this.#known.sql.unbox.all(kind, ...boxRange(box)) as unknown as [tenant: string, resumed: number][];
      this.#known.turns.unboxed(kind, box);
      for (const [tenant, resumed] of rows) this.#known.turns.queued(kind, tenant, resumed);
    }
  }

  forget(command: ForgetCommand): ForgetReply {
    return this.#forgetting.forget(command);
  }

  signal(items: readonly Signal[], nowMs: number): { outcomes: SignalOutcome[]; ready: string[] } {
    return this.#telling(nowMs, (endings) => this.events.signal(items, nowMs, endings));
  }

  decideApproval(items: readonly Decision[], nowMs: number): { outcomes: SignalOutcome[]; ready: string[] } {
    return this.#telling(nowMs, (endings) => this.events.decide(items, nowMs, endings));
  }

  steer(items: readonly Steering[], nowMs: number): SteerReply {
    this.#known.claims.write();
    return new SqliteSteering(this.#known, nowMs, new Endings(this.#known, nowMs)).steer(items);
  }

  pauseKinds(items: Parameters<Store['pauseKinds']>[0]): void {
    const { sql, paused } = this.#known;
    for (const { kind, paused: isPaused } of items) {
      (isPaused ? sql.pause : sql.unpause).run(kind);
      if (isPaused) paused.add(kind);
      else paused.delete(kind);
    }
  }

  pausedKinds(): string[] {
    return [...this.#known.paused].toSorted();
  }

  story(id: string): StoryEntry[] {
    return this.#known.story.tell(id);
  }

  fireSchedules(items: readonly FiringRow[], nowMs: number): { fired: boolean[]; ready: string[] } {
    this.#known.claims.write();
    const endings = new Endings(this.#known, nowMs);
    const fired = this.schedules.fire(items, nowMs, this.#arrivals, endings);
    endings.write();
    return { fired, ready: [...endings.moves.ready] };
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => this.#arrivals.recordOf(id));
  }

  list(query: ListQuery): Slice | undefined {
    return listSlice(this.#known, query);
  }

  counts(): Record<string, TaskCounts> {
    this.#known.claims.write();
    return this.#known.tally.counts();
  }

  #telling(nowMs: number, tell: (endings: Endings) => SignalOutcome[]): { outcomes: SignalOutcome[]; ready: string[] } {
    this.#known.claims.write();
    // What was told to a task is not known of it there.
    this.#known.turns.forgetLines();
    const endings = new Endings(this.#known, nowMs);
    const outcomes = tell(endings);
    endings.write();
    return { outcomes, ready: [...endings.moves.ready] };
  }

  #complete(task: HeldTask, { result, sends, writes = [], reads = [] }: Completed, nowMs: number, endings: Endings): SettleOutcome {
    const conflict = this.state.conflict(writes) ?? this.state.conflict(reads);
    if (conflict !== undefined) return { at: 'refused', why: 'conflict', ...conflict };
    if (sends.length > 0) {
      if (this.#arrivals.tooManySends(sends, task)) return { at: 'refused', why: 'full', limit: this.#known.maxFamily };
      // Before the run ends: it may be the parent of what it sends.
      const welcome = sends.filter((send) => this.#arrivals.mayArrive(send));
      this.#arrivals.send(welcome, nowMs, endings);
    }
    for (const write of writes) this.state.write(write);
    endings.complete(task, result, sends);
    return SETTLED.completed;
  }
}

/** Ends the run, or puts it back. `undefined`: where its task is then is to be seen. */
function letGo(task: HeldTask, outcome: Exclude<RowOutcome, { at: 'completed' }>, endings: Endings): TaskStatus | undefined {
  switch (outcome.at) {
    case 'failed':
    case 'dead':
      endings.end(task, outcome.at, outcome.error, outcome);
      return task.fresh && task.undo === null ? outcome.at : undefined;
    case 'undone':
      endings.undone(task);
      return undefined;
    case 'retry':
      endings.retry(task, outcome);
      return 'retrying';
    case 'parked':
      endings.park(task, outcome);
      return undefined;
    case 'released':
      endings.release(task, outcome.box);
      return 'queued';
    case 'lost':
      endings.lose(task, outcome.error);
      return undefined;
  }
}
