/**
 * The SQLite store: one file, owned by one process, written by a thread of its own, so that neither
 * a transaction nor a sync of the disk ever stops the agents.
 *
 *     call ─▶ checks ─▶ SqliteThread ─▶ message ─▶ sqlite-worker ─▶ one transaction for all that waits
 *       ▲                                                              │ commit
 *       └─────── answer ◀── LogSync: the log is on the disk ◀──────────┘
 *
 * Beside the file lie `-wal` and `-shm`, SQLite's own, and an empty `-owner`, the lock of the one
 * process that runs the work. A process that dies, however it dies, leaves no lock behind.
 */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import { StoreClosedError, StoreOwnedError } from '../../actors/ports/store-errors.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type {
  BudgetGrant,
  BudgetReturn,
  BudgetTake,
  BudgetTaken,
  ClaimCommand,
  ClaimedTask,
  Held,
  Intent,
  IntentOutcome,
  NewTask,
  OpenCommand,
  Opened,
  RememberItem,
  RenewItem,
  Settlement,
  SettleReply,
  StartOutcome,
  Store,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import {
  checkBudgetReads,
  checkBudgetReturns,
  checkBudgetTakes,
  checkClaim,
  checkHeld,
  checkIds,
  checkIntents,
  checkQuery,
  checkRemember,
  checkRenew,
  checkSettlements,
  checkTasks,
  checkTime,
  checkWithdrawals,
  StoreInputError,
  unknownAfter,
} from './checks.ts';
import { SqliteThread } from './sqlite-thread.ts';
import type { SqliteCaller } from './sqlite-thread.ts';
import { decodeClaimed, encodeHeld, encodeRemember, encodeRenew, encodeSettlements, encodeTasks } from './sqlite-wire.ts';

export interface SqliteOptions {
  /**
   * `full`, the default: what was acknowledged survives a power failure. `normal`: it survives the
   * end of the process, but a power failure may take the newest commits; several times faster.
   */
  readonly synchronous?: 'full' | 'normal';
}

/**
 * Tasks in the SQLite database at `path`, made when it is not there; its folder must exist.
 * `:memory:` keeps everything in the thread's memory, until `close`.
 */
export function sqlite(path: string, options: SqliteOptions = {}): Store {
  return new SqliteStore(path, options);
}

type State =
  | { readonly at: 'new' }
  | { readonly at: 'opening'; readonly thread: SqliteCaller; readonly opened: Promise<Opened> }
  | { readonly at: 'open'; readonly thread: SqliteCaller }
  | { readonly at: 'closed'; readonly done: Promise<void> };

/** How a store gets its thread. `durable`: answers come only when what they say is on the disk. */
export type MakeThread = (name: string, path: string, durable: boolean) => SqliteCaller;

/** What `sqlite` makes, with a way to end it as a crash would. For tests. */
export class SqliteStore implements Store {
  readonly name: string;
  readonly #path: string;
  readonly #synchronous: 'full' | 'normal';
  readonly #makeThread: MakeThread;
  #state: State = { at: 'new' };
  /** The row of every unfinished task that was claimed here: only those can be held. */
  readonly #seqs = new ChurnMap<string, number>();
  readonly #seqOf = (id: string): number => this.#seqs.get(id) ?? 0;

  constructor(path: string, { synchronous = 'full' }: SqliteOptions = {}, makeThread: MakeThread = (...args) => new SqliteThread(...args)) {
    if (synchronous !== 'full' && synchronous !== 'normal') throw new StoreInputError('synchronous', "'full' or 'normal'", synchronous);
    this.name = `sqlite:${path}`;
    this.#path = path;
    this.#synchronous = synchronous;
    this.#makeThread = makeThread;
  }

  /** Transactions that wrote something since the store was opened: many commands share one. For benchmarks. */
  get commits(): number {
    return this.#state.at === 'open' ? this.#state.thread.commits : 0;
  }

  async open({ nowMs, maxUnfinished }: OpenCommand): Promise<Opened> {
    checkTime(nowMs, 'nowMs');
    if (this.#state.at === 'closed') throw new StoreClosedError(this.name);
    if (this.#state.at !== 'new') throw new StoreOwnedError(this.name);
    const thread = this.#makeThread(this.name, this.#path, this.#synchronous === 'full');
    const opening: State = { at: 'opening', thread, opened: thread.open({ nowMs, maxUnfinished }) };
    this.#state = opening;
    try {
      const opened = await opening.opened;
      if (this.#state === opening) this.#state = { at: 'open', thread };
      return opened;
    } catch (refused) {
      await thread.terminate();
      // Whoever was refused may try again, when the other owner is gone.
      if (this.#state === opening) this.#state = { at: 'new' };
      throw refused;
    }
  }

  async submit(tasks: readonly NewTask[], nowMs: number): Promise<readonly SubmitOutcome[]> {
    checkTasks(tasks, nowMs);
    return this.#thread().call({ op: 'submit', cells: encodeTasks(tasks, this.#seqOf), nowMs }, tasks.length);
  }

  async claim({ wants, leaseUntilMs, nowMs }: ClaimCommand): Promise<readonly ClaimedTask[]> {
    const command = { wants: wants.map(({ kind, limit }) => ({ kind, limit })), leaseUntilMs, nowMs };
    checkClaim(command);
    const most = wants.reduce((sum, { limit }) => sum + limit, 0);
    return decodeClaimed(await this.#thread().call({ op: 'claim', command }, most), leaseUntilMs, (id, seq) => this.#seqs.set(id, seq));
  }

  async start(items: readonly Held[], nowMs: number): Promise<readonly StartOutcome[]> {
    checkHeld(items, nowMs);
    return this.#thread().call({ op: 'start', cells: encodeHeld(items, this.#seqOf) }, items.length);
  }

  async remember(items: readonly RememberItem[], nowMs: number): Promise<readonly boolean[]> {
    checkRemember(items, nowMs);
    return this.#thread().call({ op: 'remember', cells: encodeRemember(items, this.#seqOf) }, items.length);
  }

  async renew(items: readonly RenewItem[], nowMs: number): Promise<readonly boolean[]> {
    checkRenew(items, nowMs);
    return this.#thread().call({ op: 'renew', cells: encodeRenew(items, this.#seqOf), nowMs }, items.length);
  }

  async settle(items: readonly Settlement[], nowMs: number): Promise<SettleReply> {
    checkSettlements(items, nowMs);
    const reply = await this.#thread().call({ op: 'settle', cells: encodeSettlements(items, this.#seqOf), nowMs }, items.length);
    reply.outcomes.forEach((outcome, at) => outcome.at === 'settled' && this.#forget(items[at]!.id, outcome.status));
    return reply;
  }

  async sweep(nowMs: number): Promise<SweepReply> {
    checkTime(nowMs, 'nowMs');
    const reply = await this.#thread().call({ op: 'sweep', nowMs }, 1);
    for (const { id, status } of reply.expired) this.#forget(id, status);
    return reply;
  }

  async get(ids: readonly string[]): Promise<readonly (TaskRecord | undefined)[]> {
    checkIds(ids);
    return this.#thread().call({ op: 'get', ids }, ids.length);
  }

  async list(query: Parameters<Store['list']>[0]): Promise<readonly TaskRecord[]> {
    checkQuery(query);
    const page = await this.#thread().call({ op: 'list', query }, query.limit);
    if (page === undefined) throw unknownAfter(query.after ?? '');
    return page;
  }

  async counts(): Promise<Readonly<Record<string, TaskCounts>>> {
    return this.#thread().call({ op: 'counts' }, 1);
  }

  async takeBudget(items: readonly BudgetTake[]): Promise<readonly BudgetGrant[]> {
    checkBudgetTakes(items);
    return this.#thread().call({ op: 'take-budget', items }, items.length);
  }

  async returnBudget(items: readonly BudgetReturn[]): Promise<void> {
    checkBudgetReturns(items);
    return this.#thread().call({ op: 'return-budget', items }, items.length);
  }

  async readBudgets(items: Parameters<Store['readBudgets']>[0]): Promise<readonly BudgetTaken[]> {
    checkBudgetReads(items);
    return this.#thread().call({ op: 'read-budgets', items }, items.length);
  }

  async registerIntents(items: readonly Intent[], nowMs: number): Promise<readonly IntentOutcome[]> {
    checkIntents(items, nowMs);
    return this.#thread().call({ op: 'register-intents', items, nowMs }, items.length);
  }

  async withdrawIntents(items: Parameters<Store['withdrawIntents']>[0]): Promise<void> {
    checkWithdrawals(items);
    return this.#thread().call({ op: 'withdraw-intents', items }, items.length);
  }

  close(): Promise<void> {
    if (this.#state.at !== 'closed') this.#state = { at: 'closed', done: letGo(this.#state) };
    return this.#state.done;
  }

  /** Ends the thread without closing, as a crash would, whatever is under way. For tests. */
  async kill(): Promise<void> {
    if (this.#state.at === 'opening' || this.#state.at === 'open') await this.#state.thread.terminate();
  }

  /** A task that has ended is never claimed again. */
  #forget(id: string, status: TaskStatus): void {
    if (isTerminal(status)) this.#seqs.delete(id);
  }

  #thread(): SqliteCaller {
    if (this.#state.at !== 'open') throw new StoreClosedError(this.name);
    return this.#state.thread;
  }
}

async function letGo(state: Exclude<State, { at: 'closed' }>): Promise<void> {
  if (state.at === 'new') return;
  // Whoever opens hears how that went; here it only has to be over.
  if (state.at === 'opening') await Promise.allSettled([state.opened]);
  await state.thread.close();
}
