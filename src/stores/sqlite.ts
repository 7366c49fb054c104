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
import { isBuiltin } from 'node:module';
import { ChurnMap } from '../../actors/kernel/churn-map.ts';
import { StoreClosedError, StoreOpenError, StoreOwnedError } from '../../actors/ports/store-errors.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type {
  Approval,
  ApprovalQuery,
  ApprovalRequest,
  ApprovalWithdrawal,
  BudgetGrant,
  BudgetReturn,
  BudgetTake,
  BudgetTaken,
  ClaimCommand,
  ClaimedTask,
  Decision,
  ForgetCommand,
  ForgetReply,
  Firing,
  Intent,
  IntentOutcome,
  KindLimits,
  LeaseHeld,
  LeaseOutcome,
  LeaseRecord,
  LeaseRequest,
  NewTask,
  OpenCommand,
  Opened,
  RememberItem,
  RenewItem,
  Schedule,
  Settlement,
  SettleReply,
  Signal,
  SignalOutcome,
  StartItem,
  StartOutcome,
  StateRead,
  StateReadOutcome,
  StateRow,
  StateWrite,
  StateWriteOutcome,
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
import * as checks from './checks.ts';
import { LockedRows } from './sqlite-locked-rows.ts';
import type { Slice } from './sqlite-list.ts';
import { SqliteThread } from './sqlite-thread.ts';
import type { SqliteCaller } from './sqlite-thread.ts';
import { decodeClaimed, decodeStarted, encodeRemember, encodeRenew, encodeSettlements, encodeStarts, encodeTasks } from './sqlite-cells.ts';

export interface SqliteOptions {
  /**
   * `full`, the default: what was acknowledged survives a power failure, all but a claim whose run has not
   * started. `normal`: it survives the end of the process, but a power failure may take the newest commits.
   */
  readonly synchronous?: 'full' | 'normal';
}

/**
 * Tasks in the SQLite database at `path`, made when it is not there; its folder must exist.
 * `:memory:` keeps everything in the thread's memory, until `close`.
 *
 * @throws StoreInputError
 */
export function sqlite(path: string, options: SqliteOptions = {}): Store {
  return new SqliteStore(path, options);
}

type State =
  | { readonly at: 'new' }
  | { readonly at: 'opening'; readonly thread: SqliteCaller; readonly opened: Promise<Opened> }
  | { readonly at: 'open'; readonly thread: SqliteCaller }
  | { readonly at: 'closed'; readonly done: Promise<void> };

/** How a store gets its thread. `durable`: answers come only when what they say is on the disk; a claim's says nothing that must be. */
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
  readonly #rows = new LockedRows();

  constructor(path: string, options: SqliteOptions = {}, makeThread: MakeThread = (...args) => new SqliteThread(...args)) {
    if (typeof path !== 'string') throw new checks.StoreInputError('path', "the path of a file, or ':memory:'", path);
    if (typeof options !== 'object' || options === null) throw new checks.StoreInputError('options', 'an object with synchronous', options);
    const { synchronous = 'full' } = options;
    if (synchronous !== 'full' && synchronous !== 'normal')
      throw new checks.StoreInputError('synchronous', "'full' or 'normal'", synchronous);
    this.name = `sqlite:${path}`;
    this.#path = path;
    this.#synchronous = synchronous;
    this.#makeThread = makeThread;
  }

  /** Transactions that wrote something since the store was opened: many commands share one. For benchmarks. */
  get commits(): number {
    return this.#state.at === 'open' ? this.#state.thread.commits : 0;
  }

  async open(command: OpenCommand): Promise<Opened> {
    checks.checkOpen(command);
    if (this.#state.at === 'closed') throw new StoreClosedError(this.name, 'open');
    if (this.#state.at !== 'new') throw new StoreOwnedError(this.name);
    if (!isBuiltin('node:sqlite'))
      throw new StoreOpenError(this.name, `Node ${process.version} has no SQLite; Drover needs Node 24 or later`);
    const thread = this.#makeThread(this.name, this.#path, this.#synchronous === 'full');
    const opening: State = { at: 'opening', thread, opened: thread.open(plainOpen(command)) };
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
    checks.checkTasks(tasks, nowMs);
    return this.#thread().call({ op: 'submit', cells: encodeTasks(tasks, this.#seqOf), nowMs }, tasks.length);
  }

  async claim(given: ClaimCommand): Promise<readonly ClaimedTask[]> {
    checks.checkClaim(given);
    const { wants, leaseUntilMs, nowMs } = given;
    const command = {
      wants: wants.map(({ kind, limit, box }) => (box === undefined ? { kind, limit } : { kind, limit, box })),
      leaseUntilMs,
      nowMs,
    };
    const most = wants.reduce((sum, { limit }) => sum + limit, 0);
    return decodeClaimed(await this.#thread().call({ op: 'claim', command }, most), leaseUntilMs, (id, seq) => this.#seqs.set(id, seq));
  }

  async start(items: readonly StartItem[], nowMs: number): Promise<readonly StartOutcome[]> {
    checks.checkStarts(items, nowMs);
    const cells = await this.#thread().call({ op: 'start', cells: encodeStarts(items, this.#seqOf), nowMs }, items.length);
    return decodeStarted(cells, (start, key, row) => this.#rows.learn(items[start]!.id, key, row));
  }

  async remember(items: readonly RememberItem[], nowMs: number): Promise<readonly boolean[]> {
    checks.checkRemember(items, nowMs);
    return this.#thread().call({ op: 'remember', cells: encodeRemember(items, this.#seqOf) }, items.length);
  }

  async renew(items: readonly RenewItem[], nowMs: number): Promise<readonly boolean[]> {
    checks.checkRenew(items, nowMs);
    return this.#thread().call({ op: 'renew', cells: encodeRenew(items, this.#seqOf), nowMs }, items.length);
  }

  async settle(items: readonly Settlement[], nowMs: number): Promise<SettleReply> {
    checks.checkSettlements(items, nowMs);
    const thread = this.#thread();
    const keys: string[] = [];
    for (const { id, outcome } of items) {
      this.#rows.forget(id);
      if (outcome.at === 'completed' && outcome.writes !== undefined) for (const { key } of outcome.writes) keys.push(key);
    }
    const settled = thread.call({ op: 'settle', cells: encodeSettlements(items, this.#seqOf), nowMs }, items.length);
    const reply = await this.#rows.writing(keys, settled);
    reply.outcomes.forEach((outcome, at) => outcome.at === 'settled' && this.#forget(items[at]!.id, outcome.status));
    return reply;
  }

  async sweep(nowMs: number): Promise<SweepReply> {
    checks.checkNow(nowMs);
    const reply = await this.#thread().call({ op: 'sweep', nowMs }, 1);
    for (const { id, status } of reply.expired) this.#forget(id, status);
    for (const id of reply.ended) this.#seqs.delete(id);
    return reply;
  }

  async unbox(items: Parameters<Store['unbox']>[0]): Promise<void> {
    checks.checkBoxes(items);
    return this.#thread().call({ op: 'unbox', items: items.map(({ kind, box }) => ({ kind, box })) }, items.length);
  }

  async forget(given: ForgetCommand): Promise<ForgetReply> {
    checks.checkForget(given);
    const { limit, endedByMs } = given;
    return this.#thread().call({ op: 'forget', command: { limit, endedByMs: { ...endedByMs } } }, limit);
  }

  async readState(items: readonly StateRead[], nowMs: number): Promise<readonly StateReadOutcome[]> {
    checks.checkStateReads(items, nowMs);
    const rows = items.map(({ id, fence, place, key, version }) => {
      const row = { seq: this.#seqOf(id), fence, place, key };
      return version === undefined ? row : { ...row, version };
    });
    return this.#thread().call({ op: 'read-state', items: rows }, items.length);
  }

  async getState(keys: readonly string[]): Promise<readonly (StateRow | undefined)[]> {
    checks.checkKeys(keys);
    const thread = this.#thread();
    return this.#rows.get(keys) ?? thread.call({ op: 'get-state', keys }, keys.length);
  }

  async listState(given: Parameters<Store['listState']>[0]): Promise<readonly StateRow[]> {
    checks.checkStateQuery(given);
    const { prefix, after, limit } = given;
    const query = after === undefined ? { prefix, limit } : { prefix, after, limit };
    return this.#thread().call({ op: 'list-state', query }, limit);
  }

  async setState(items: readonly StateWrite[], nowMs: number): Promise<readonly StateWriteOutcome[]> {
    checks.checkStateWrites(items, nowMs);
    const writes = items.map(({ key, value, version }) => ({ key, value, version }));
    const written = this.#thread().call({ op: 'set-state', items: writes }, items.length);
    return this.#rows.writing(
      writes.map(({ key }) => key),
      written,
    );
  }

  async signal(items: readonly Signal[], nowMs: number): Promise<{ outcomes: readonly SignalOutcome[]; ready: readonly string[] }> {
    checks.checkSignals(items, nowMs);
    const signals = items.map(({ id, name, value, key }) => (key === undefined ? { id, name, value } : { id, name, value, key }));
    return this.#thread().call({ op: 'signal', items: signals, nowMs }, items.length);
  }

  async askApproval(items: readonly ApprovalRequest[], nowMs: number): Promise<readonly boolean[]> {
    checks.checkApprovalRequests(items, nowMs);
    const rows = items.map(({ id, fence, name, request, expiresAtMs }) => ({ seq: this.#seqOf(id), fence, name, request, expiresAtMs }));
    return this.#thread().call({ op: 'ask-approval', items: rows, nowMs }, items.length);
  }

  async withdrawApproval(items: readonly ApprovalWithdrawal[], nowMs: number): Promise<readonly boolean[]> {
    checks.checkApprovalWithdrawals(items, nowMs);
    const rows = items.map(({ id, fence, name }) => ({ seq: this.#seqOf(id), fence, name }));
    return this.#thread().call({ op: 'withdraw-approval', items: rows }, items.length);
  }

  async decideApproval(
    items: readonly Decision[],
    nowMs: number,
  ): Promise<{ outcomes: readonly SignalOutcome[]; ready: readonly string[] }> {
    checks.checkDecisions(items, nowMs);
    const decisions = items.map(({ id, name, decision }) => ({ id, name, decision }));
    return this.#thread().call({ op: 'decide-approval', items: decisions, nowMs }, items.length);
  }

  async approvals(query: ApprovalQuery): Promise<readonly Approval[]> {
    checks.checkApprovalQuery(query);
    const { limit, nowMs, after = 0 } = query;
    return this.#thread().call({ op: 'approvals', query: { limit, nowMs, after } }, limit);
  }

  async steer(items: readonly Steering[], nowMs: number): Promise<SteerReply> {
    checks.checkSteerings(items, nowMs);
    const steerings = items.map(({ id, action, by, reason }) => ({ id, action, by, reason }));
    const reply = await this.#thread().call({ op: 'steer', items: steerings, nowMs }, items.length);
    for (const id of reply.ended) this.#seqs.delete(id);
    return reply;
  }

  async pauseKinds(items: Parameters<Store['pauseKinds']>[0]): Promise<void> {
    checks.checkPauses(items);
    return this.#thread().call({ op: 'pause-kinds', items: items.map(({ kind, paused }) => ({ kind, paused })) }, items.length);
  }

  async pausedKinds(): Promise<readonly string[]> {
    return this.#thread().call({ op: 'paused-kinds' }, 1);
  }

  async story(id: string): Promise<readonly StoryEntry[]> {
    checks.checkIds([id]);
    return this.#thread().call({ op: 'story', id }, 1);
  }

  async putSchedules(items: Parameters<Store['putSchedules']>[0]): Promise<void> {
    checks.checkSchedules(items);
    const rows = items.map(({ name, plan, nextAtMs }) => ({ name, plan, nextAtMs }));
    return this.#thread().call({ op: 'put-schedules', items: rows }, items.length);
  }

  async removeSchedules(names: readonly string[]): Promise<void> {
    checks.checkNames(names);
    return this.#thread().call({ op: 'remove-schedules', names }, names.length);
  }

  async schedules(): Promise<readonly Schedule[]> {
    return this.#thread().call({ op: 'schedules' }, 1);
  }

  async fireSchedules(items: readonly Firing[], nowMs: number): Promise<{ fired: readonly boolean[]; ready: readonly string[] }> {
    checks.checkFirings(items, nowMs);
    const rows = items.map(({ name, atMs, nextAtMs, tasks }) => ({ name, atMs, nextAtMs, tasks: encodeTasks(tasks, this.#seqOf) }));
    const size = items.reduce((sum, { tasks }) => sum + tasks.length, items.length);
    return this.#thread().call({ op: 'fire-schedules', items: rows, nowMs }, size);
  }

  async get(ids: readonly string[]): Promise<readonly (TaskRecord | undefined)[]> {
    checks.checkIds(ids);
    return this.#thread().call({ op: 'get', ids }, ids.length);
  }

  async list(query: Parameters<Store['list']>[0]): Promise<readonly TaskRecord[]> {
    checks.checkQuery(query);
    const { after, ...wanted } = plainQuery(query);
    const records: TaskRecord[] = [];
    let beyond: number | undefined;
    do {
      const limit = wanted.limit - records.length;
      const from = beyond !== undefined ? { beyond } : after !== undefined ? { after } : {};
      const slice: Slice | undefined = await this.#thread().call({ op: 'list', query: { ...wanted, ...from, limit } }, limit);
      if (slice === undefined) throw checks.unknownAfter(after ?? '');
      records.push(...slice.found);
      beyond = slice.beyond;
    } while (beyond !== undefined);
    return records;
  }

  async counts(): Promise<Readonly<Record<string, TaskCounts>>> {
    return this.#thread().call({ op: 'counts' }, 1);
  }

  async takeBudget(items: readonly BudgetTake[]): Promise<readonly BudgetGrant[]> {
    checks.checkBudgetTakes(items);
    return this.#thread().call({ op: 'take-budget', items: items.map(plainTake) }, items.length);
  }

  async returnBudget(items: readonly BudgetReturn[]): Promise<void> {
    checks.checkBudgetReturns(items);
    const returns = items.map(({ scope, periodStartMs, nanoUsd, tokens, ended }) => ({ scope, periodStartMs, nanoUsd, tokens, ended }));
    return this.#thread().call({ op: 'return-budget', items: returns }, items.length);
  }

  async readBudgets(items: Parameters<Store['readBudgets']>[0]): Promise<readonly BudgetTaken[]> {
    checks.checkBudgetReads(items);
    const periods = items.map(({ scope, periodStartMs }) => ({ scope, periodStartMs }));
    return this.#thread().call({ op: 'read-budgets', items: periods }, items.length);
  }

  async registerIntents(items: readonly Intent[], nowMs: number): Promise<readonly IntentOutcome[]> {
    checks.checkIntents(items, nowMs);
    const intents = items.map(({ gate, holder, most, untilMs }) => ({ gate, holder, most, untilMs }));
    return this.#thread().call({ op: 'register-intents', items: intents, nowMs }, items.length);
  }

  async withdrawIntents(items: Parameters<Store['withdrawIntents']>[0]): Promise<void> {
    checks.checkWithdrawals(items);
    const intents = items.map(({ gate, holder }) => ({ gate, holder }));
    return this.#thread().call({ op: 'withdraw-intents', items: intents }, items.length);
  }

  async takeLeases(items: readonly LeaseRequest[], nowMs: number): Promise<readonly LeaseOutcome[]> {
    checks.checkLeaseRequests(items, nowMs);
    const requests = items.map(({ name, holder, ttlMs, waitUntilMs }) => ({ name, holder, ttlMs, waitUntilMs }));
    return this.#thread().call({ op: 'take-leases', items: requests, nowMs }, items.length);
  }

  async renewLeases(items: Parameters<Store['renewLeases']>[0], nowMs: number): Promise<readonly boolean[]> {
    checks.checkLeaseRenewals(items, nowMs);
    const renewals = items.map(({ name, holder, fence, ttlMs }) => ({ name, holder, fence, ttlMs }));
    return this.#thread().call({ op: 'renew-leases', items: renewals, nowMs }, items.length);
  }

  async releaseLeases(items: readonly LeaseHeld[], nowMs: number): Promise<readonly boolean[]> {
    checks.checkLeases(items, nowMs);
    const held = items.map(({ name, holder, fence }) => ({ name, holder, fence }));
    return this.#thread().call({ op: 'release-leases', items: held, nowMs }, items.length);
  }

  async readLeases(names: readonly string[], nowMs: number): Promise<readonly (LeaseRecord | undefined)[]> {
    checks.checkLeaseReads(names, nowMs);
    return this.#thread().call({ op: 'read-leases', names, nowMs }, names.length);
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

/** Only what is said to the thread: whatever else hangs on it cannot go there. */
function plainOpen({ nowMs, maxUnfinished, maxFamily, agingMs, mostPassed, mostBegun, kinds }: OpenCommand): OpenCommand {
  return {
    nowMs,
    maxUnfinished,
    ...(maxFamily === undefined ? {} : { maxFamily }),
    ...(agingMs === undefined ? {} : { agingMs }),
    ...(mostPassed === undefined ? {} : { mostPassed }),
    ...(mostBegun === undefined ? {} : { mostBegun }),
    ...(kinds === undefined
      ? {}
      : { kinds: Object.fromEntries(Object.entries(kinds).map(([kind, limits]) => [kind, plainLimits(limits)])) }),
  };
}

function plainQuery({ status, kind, parkedFor, after, limit }: Parameters<Store['list']>[0]): Parameters<Store['list']>[0] {
  return {
    ...(status === undefined ? {} : { status }),
    ...(kind === undefined ? {} : { kind }),
    ...(parkedFor === undefined ? {} : { parkedFor }),
    ...(after === undefined ? {} : { after }),
    limit,
  };
}

function plainTake(take: BudgetTake): BudgetTake {
  const { scope, periodStartMs, limitNanoUsd, limitTokens, wantNanoUsd, wantTokens, keepFromMs } = take;
  const { leastNanoUsd, leastTokens, overNanoUsd, overTokens } = take;
  const limits = { limitNanoUsd, limitTokens, wantNanoUsd, wantTokens, leastNanoUsd, leastTokens };
  return { scope, periodStartMs, ...limits, overNanoUsd, overTokens, keepFromMs };
}

function plainLimits({ maxUnfinished, maxOfTenant, weights }: KindLimits): KindLimits {
  return {
    ...(maxUnfinished === undefined ? {} : { maxUnfinished }),
    ...(maxOfTenant === undefined ? {} : { maxOfTenant }),
    ...(weights === undefined ? {} : { weights: { ...weights } }),
  };
}
