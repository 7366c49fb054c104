/** SqliteStarts: how runs begin: with all the locks that they want, and with all that was remembered for them. */
import type { ChildRecord, Remembered, StartOutcome, StateRow, TaskEvent } from '../../actors/ports/store.ts';
import { Endings } from './sqlite-endings.ts';
import type { HeldTask, StartRow } from './sqlite-held.ts';
import type { Known } from './sqlite-known.ts';
import { raise } from './sqlite-raise.ts';
import type { Cell } from './sqlite-rows-statement.ts';
import type { SqliteState } from './sqlite-state.ts';
import { STATUS, statusOf } from './task-status.ts';

/** What a start answers; `rows`: those of state that it may write, in the order of its locks, if they were looked up. */
export type RowsStarted = StartOutcome & { readonly rows?: readonly (LockedRow | undefined)[] };

/** A row, null where there is none. */
export type LockedRow = Pick<StateRow, 'version' | 'value'> | null;

type Started = Extract<RowsStarted, { at: 'started' }>;

/** What a run begins with beside its row. */
interface More {
  readonly memory: Remembered[];
  readonly children: ChildRecord[];
  readonly events: TaskEvent[];
}

type MemoryRow = readonly [seq: number, place: string, hash: string, value: string, failed: number, version: string | null];
type ChildRow = readonly [
  parent: string,
  id: string,
  place: string,
  status: number,
  result: string | null,
  error: string | null,
  seq: number,
];

const NOTHING_MORE: More = { memory: [], children: [], events: [] };
const STALE = { at: 'stale' } as const;
const NOTHING: readonly never[] = [];
/** Who has more locks than this is not brought the rows with its start. */
const MOST_ROWS = 8;

/** Of one database. Everything is called within a transaction. */
export class SqliteStarts {
  readonly #known: Known;
  readonly #state: SqliteState;

  constructor(known: Known, state: SqliteState) {
    this.#known = known;
    this.#state = state;
  }

  start(items: readonly StartRow[], nowMs: number): RowsStarted[] {
    const cells: Cell[] = [];
    const claimedCells: Cell[] = [];
    const endings = new Endings(this.#known, nowMs);
    const begun = items.map((item) => {
      const task = this.#known.held.get(item);
      // Sent again, a start finds the run started and does not count it twice.
      if (task === undefined || task.status === STATUS.running) return task;
      if (task.options?.locks !== undefined) {
        const refusal = this.#lock(task, nowMs, endings);
        if (refusal !== undefined) return refusal;
      }
      const worker = this.#known.workers.numberOf(item.worker);
      const wasUnwritten = this.#known.claims.started(task.seq);
      if (wasUnwritten) claimedCells.push(task.seq, worker, task.untilMs, task.claimedAtMs);
      else cells.push(task.seq, worker);
      task.status = STATUS.running;
      task.attempt += 1;
      task.startedAtMs = nowMs;
      task.worker = item.worker;
      this.#known.tally.moved(task.kind, wasUnwritten ? STATUS.queued : STATUS.leased, STATUS.running);
      return task;
    });
    this.#known.sql.start.run(cells, nowMs);
    this.#known.sql.startClaimed.run(claimedCells, this.#known.leastFence, nowMs);
    endings.write();
    const more = this.#moreOf(begun.filter((task): task is HeldTask => task !== undefined && 'seq' in task && !task.fresh));
    const rows = this.#rowsFor(begun);
    let first: Started | undefined;
    return begun.map((task): RowsStarted => {
      if (task === undefined) return STALE;
      if ('at' in task) return task;
      const { attempt, losses } = task;
      if (!task.fresh || task.options !== null) return this.#started(task, rows, more.get(task.seq));
      // Most are alike: many references to one cost nothing on the way between threads.
      if (first?.attempt === attempt && first.losses === losses) return first;
      return (first = {
        at: 'started',
        attempt,
        losses,
        memory: NOTHING,
        children: NOTHING,
        events: NOTHING,
        locks: NOTHING,
        lockFence: 0,
        undo: null,
      });
    });
  }

  /** Takes what it wants; why not, if it cannot. Whoever is in its way becomes as urgent as it is. */
  #lock(task: HeldTask, nowMs: number, endings: Endings): Extract<StartOutcome, { at: 'blocked' | 'rejected' }> | undefined {
    const { table } = this.#known.locks;
    const { locks, onConflict } = task.options!;
    if (task.undo !== null && table.holderOf(task.seq) !== undefined) {
      // It has kept what it holds.
      table.renew(task.seq);
      return undefined;
    }
    // What is to be undone waits: rejected, it would end with nothing undone.
    const rejects = onConflict === 'reject' && task.undo === null;
    const taken = table.take({ seq: task.seq, wants: locks!, nowMs, waits: !rejects });
    if (taken.at === 'granted') return undefined;
    const [holder] = this.#known.sql.idOf.get(taken.holder) as unknown as [string];
    if (rejects) return { at: 'rejected', resource: taken.resource, holder };
    endings.block(task, taken.resource);
    endings.moves.wakeForLocks(taken.wake);
    for (const seq of new Set([...table.holdersAgainst(locks!), taken.holder])) raise(this.#known, seq, task.priority);
    return { at: 'blocked', resource: taken.resource, holder };
  }

  #started(task: HeldTask, rows: ReadonlyMap<string, LockedRow | undefined>, more: More = NOTHING_MORE): Started {
    const { sql, locks } = this.#known;
    const holder = task.options?.locks === undefined ? undefined : locks.table.holderOf(task.seq);
    const { attempt, losses } = task;
    return {
      at: 'started',
      attempt,
      losses,
      ...more,
      ...(holder === undefined || rows.size === 0 ? {} : { rows: holder.wants.map(({ resource }) => rows.get(resource)) }),
      locks: holder?.wants ?? NOTHING,
      lockFence: holder?.token ?? 0,
      undo:
        task.undo === null
          ? null
          : {
              status: statusOf(task.undo) as 'failed' | 'cancelled' | 'dead',
              error: (sql.undoError.get(task.seq) as unknown as [string | null])[0],
            },
    };
  }

  /** The rows of state that these may write, by key, where their kind is one that reads them: so that is not another trip. */
  #rowsFor(begun: readonly (HeldTask | StartOutcome | undefined)[]): ReadonlyMap<string, LockedRow | undefined> {
    const rows = new Map<string, LockedRow | undefined>();
    for (const task of begun) {
      if (task === undefined || 'at' in task || !task.fresh || !this.#state.readers.has(task.kind)) continue;
      const wants = this.#known.locks.table.holderOf(task.seq)?.wants ?? NOTHING;
      if (wants.length <= MOST_ROWS) for (const { resource, mode } of wants) if (mode === 'write') rows.set(resource, null);
    }
    if (rows.size === 0) return rows;
    type Row = readonly [key: string, version: number, value: string | null];
    for (const [key, version, value] of this.#known.sql.shortRows.all([...rows.keys()]) as Row[]) {
      rows.set(key, value === null ? undefined : { version, value });
      this.#known.keepVersion(key, version);
    }
    for (const [key, row] of rows) if (row === null) this.#known.keepVersion(key, null);
    return rows;
  }

  /** What lies beside the rows of these. */
  #moreOf(tasks: readonly HeldTask[]): ReadonlyMap<number, More> {
    const found = new Map<number, More>();
    if (tasks.length === 0) return found;
    const { sql } = this.#known;
    const byId = new Map<string, More>();
    for (const { seq, id } of tasks) {
      const more: More = { memory: [], children: [], events: [] };
      found.set(seq, more);
      byId.set(id, more);
    }
    const seqs = [...found.keys()];
    for (const [seq, place, hash, value, failed, version] of sql.memories.all(seqs) as MemoryRow[]) {
      const named = version === null ? {} : { version };
      found.get(seq)!.memory.push({ place, hash, value, ...(failed === 1 ? { failed: true } : {}), ...named });
    }
    for (const [parent, id, place, status, result, error, seq] of sql.children.all([...byId.keys()]) as ChildRow[]) {
      const { status: now } = this.#known.held.of(seq) ?? { status };
      byId.get(parent)!.children.push({ id, place, status: statusOf(now), result, error });
    }
    for (const task of tasks) task.hasAsked = byId.get(task.id)!.children.length > 0;
    for (const [seq, name, n, value] of sql.events.all(seqs) as [number, string, number, string][])
      found.get(seq)!.events.push({ name, n, value });
    return found;
  }
}
