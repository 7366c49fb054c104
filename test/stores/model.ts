/**
 * A model of the store, written from the words of the port alone: one list of tasks, every question
 * answered by looking at all of them. Slow and obvious, to hold the adapters against. A command is
 * one transaction: what it answers is how things stand after it.
 *
 * Where the port leaves a choice, the model takes the adapter's and says whether it was one of those
 * allowed: which tenant's turn it is (`claim`), and who is named as being in the way (`start`).
 */
import { MOST_PASSED } from '../../actors/ports/store.ts';
import type {
  Approval,
  ApprovalRequest,
  ApprovalWithdrawal,
  ChildRecord,
  ClaimCommand,
  ClaimedTask,
  Decision,
  EndedStatus,
  Firing,
  ForgetCommand,
  ForgetReply,
  Held,
  NewTask,
  OpenCommand,
  Opened,
  Remembered,
  RememberItem,
  RenewItem,
  SettleOutcome,
  SettleReply,
  Settlement,
  Signal,
  SignalOutcome,
  StartItem,
  StartOutcome,
  StateRead,
  StateReadOutcome,
  Steering,
  SteerReply,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { ClaimModel, rankIn } from './model-claims.ts';
import { LeaseModel } from './model-leases.ts';
import type { LockReason } from './model-locks.ts';
import { ScheduleModel } from './model-schedules.ts';
import { settleOne } from './model-settling.ts';
import type { Refusal } from './model-settling.ts';
import { steerOne } from './model-steering.ts';
import { hasEnded, isHeld, toRecord, wantsOf } from './model-task.ts';
import type { ModelTask } from './model-task.ts';
import { LATE, LOST, ModelWorld } from './model-world.ts';

export { LATE, LOST } from './model-world.ts';

/** A start as the model sees it: any of `by` may be named. */
export type ModelStart = Exclude<StartOutcome, { at: 'blocked' | 'rejected' }> | { at: 'blocked' | 'rejected'; by: readonly LockReason[] };

export class Model {
  readonly #world = new ModelWorld();
  readonly #schedules = new ScheduleModel();
  readonly #claims = new ClaimModel();
  readonly #paused = new Set<string>();
  /** Tasks that were claimed, and not started, by an owner that has gone: their rows may tell of that claim or not. */
  unused: Set<string> = new Set();
  #agingMs = 60_000;
  /** How far the clock has been, to the minute. */
  #latestMs = 0;
  #epoch = 0;
  /** No claim gets a smaller one. */
  #leastFence = 0;
  /** The number of the last that was looked at, when whether it may be forgotten was asked last. */
  #lookedUntil = -1;
  #turns = 0;
  readonly state = this.#world.state;
  readonly leases = new LeaseModel(() => this.#world.locks.nextToken());

  open({ nowMs, maxUnfinished, maxFamily, agingMs, mostPassed, mostBegun, kinds }: OpenCommand): Opened {
    this.#claims.open(mostBegun);
    this.#epoch += 1;
    this.#leastFence = this.#epoch;
    this.#lookedUntil = -1;
    this.leases.open(nowMs);
    this.#agingMs = agingMs ?? 60_000;
    this.#world.maxUnfinished = maxUnfinished;
    this.#world.maxFamily = maxFamily ?? Infinity;
    this.#world.maxOfKind = Object.fromEntries(
      Object.entries(kinds ?? {}).map(([kind, limits]) => [kind, limits.maxUnfinished ?? Infinity]),
    );
    this.#world.maxOfTenant = Object.fromEntries(
      Object.entries(kinds ?? {}).map(([kind, limits]) => [kind, limits.maxOfTenant ?? Infinity]),
    );
    this.#world.locks.mostPassed = mostPassed ?? MOST_PASSED;
    this.#world.locks.open(nowMs);
    const wasAhead = this.#latestMs > nowMs;
    this.#latestMs = nowMs;
    for (const task of this.#world.tasks.filter((one) => wasAhead && !hasEnded(one))) {
      const claimedMs = task.runs.at(-1)?.claimedAtMs ?? 0;
      const isLate = task.status === 'retrying' && task.dueAtMs! > nowMs && claimedMs > nowMs;
      if (isLate) task.dueAtMs! -= claimedMs - nowMs;
      task.sinceMs = Math.min(task.sinceMs, nowMs);
    }
    const held = this.#world.tasks.filter(isHeld);
    const recovered = held.filter(({ status }) => status === 'running').length;
    this.unused = new Set(
      held
        .filter(({ status }) => status === 'leased')
        .map(({ task }) => task.id)
        .concat(...this.unused),
    );
    this.#world.endedBeside = [];
    this.#world.command(nowMs, () => {
      for (const task of held) this.#takeBack(task);
      for (const task of this.#world.tasks) task.box = null;
    });
    return { epoch: this.#epoch, recovered };
  }

  submit(tasks: readonly NewTask[], nowMs: number): SubmitOutcome[] {
    const outcomes = this.#world.command(nowMs, () => tasks.map((task) => this.#world.submit(task, true))).reply;
    return outcomes.map((outcome) => (outcome.at === 'known' ? { at: 'known', task: this.get([outcome.task.id])[0]! } : outcome));
  }

  /** `answered`: whom the adapter has claimed, in its order. */
  claim({ wants, leaseUntilMs, nowMs }: ClaimCommand, answered: readonly string[]): ClaimedTask[] {
    const open = wants.filter(({ kind }) => !this.#paused.has(kind));
    const tasks = this.#claims.chosen(this.#world.tasks, open, answered, this.#agingMs);
    for (const task of tasks) {
      task.fence = Math.max(task.fence + 1, this.#leastFence);
      this.unused.delete(task.task.id);
      Object.assign(task, { status: 'leased', leaseUntilMs, box: null });
      task.runs.push({ fence: task.fence, claimedAtMs: nowMs, startedAtMs: null, worker: null, outcome: null });
    }
    return tasks.map((one) => ({
      id: one.task.id,
      kind: one.task.kind,
      version: one.task.version,
      input: one.task.input,
      priority: one.task.priority,
      rank: rankIn(one, this.#agingMs),
      fence: one.fence,
      depth: one.task.depth,
      parentId: one.task.parent?.id ?? null,
      leaseUntilMs,
      rootId: one.task.rootId ?? null,
      tenant: one.task.tenant ?? null,
      affinity: one.task.affinity ?? null,
      deadlineMs: one.task.deadlineMs ?? null,
    }));
  }

  start(items: readonly StartItem[], nowMs: number): ModelStart[] {
    const tried = this.#world.command(nowMs, () => items.map((item) => this.#startOne(item))).reply;
    return tried.map((outcome) => outcome());
  }

  remember(items: readonly RememberItem[]): boolean[] {
    return items.map(({ id, fence, replace, ...entry }) => {
      const task = this.#world.holding({ id, fence });
      if (task === undefined) return false;
      if (replace === true) task.memory = task.memory.filter(({ place }) => place !== entry.place);
      if (!task.memory.some(({ place }) => place === entry.place)) task.memory.push(entry);
      return true;
    });
  }

  renew(items: readonly RenewItem[], nowMs: number): boolean[] {
    return items.map((item) => {
      const task = this.#world.holding(item);
      if (task === undefined || task.leaseUntilMs <= nowMs) return false;
      task.leaseUntilMs = item.leaseUntilMs;
      return true;
    });
  }

  settle(items: readonly Settlement[], nowMs: number): SettleReply {
    const { reply, ready } = this.#world.command(nowMs, () =>
      items.map((item): { task: ModelTask; refusal: Refusal | undefined } | undefined => {
        const task = this.#world.holding(item);
        return task && { task, refusal: settleOne(this.#world, task, item.outcome) };
      }),
    );
    const outcomes = reply.map((settled): SettleOutcome => {
      if (settled === undefined) return { at: 'stale' };
      return settled.refusal ?? { at: 'settled', status: settled.task.status };
    });
    const gathering = this.#world.gathered.filter((task) => task.gathering).map(({ dueAtMs }) => dueAtMs!);
    return { outcomes, ready, ...(gathering.length === 0 ? {} : { nextAtMs: Math.min(...gathering) }) };
  }

  /** When those that gather come due. */
  gatheringUntil(): number[] {
    return this.#world.tasks.filter((task) => task.gathering).map(({ dueAtMs }) => dueAtMs!);
  }

  /** `order`: in which these end, for that is not said, and whoever waits for the locks of one may not for those of another. */
  sweep(nowMs: number, order: readonly string[] = []): SweepReply {
    if (nowMs >= this.#latestMs + 60_000) this.#latestMs = nowMs;
    const inOrder = (tasks: readonly ModelTask[]): ModelTask[] =>
      tasks.toSorted((a, b) => order.indexOf(a.task.id) - order.indexOf(b.task.id));
    const { reply, ready } = this.#world.command(nowMs, () => {
      const late = inOrder(this.#world.tasks.filter((task) => this.#deadlineOf(task) <= nowMs));
      for (const task of late) this.#world.fall(task, 'failed', LATE);
      const expired = inOrder(this.#world.tasks.filter((task) => isHeld(task) && task.leaseUntilMs <= nowMs));
      for (const task of expired) this.#takeBack(task);
      for (const task of this.#world.tasks) {
        if ((task.status !== 'retrying' && task.status !== 'parked') || task.dueAtMs === null || task.dueAtMs > nowMs) continue;
        if (task.status === 'parked' && task.parkedFor !== 'time') task.resumed = true;
        if (task.status === 'retrying') task.sinceMs = task.dueAtMs;
        this.#world.queue(task);
      }
      this.#world.wakeLockWaiters();
      return { late, expired };
    });
    const times = this.#world.tasks.flatMap((task) => [toRecord(task).dueAtMs ?? Infinity, this.#deadlineOf(task)]);
    const due = this.#schedules.all().filter((schedule) => schedule.nextAtMs <= nowMs);
    for (const schedule of this.#schedules.all()) if (!due.includes(schedule)) times.push(schedule.nextAtMs);
    const nextAtMs = Math.min(Infinity, ...times);
    return {
      ready,
      expired: reply.expired.map(({ task, fence, status }) => ({ id: task.id, fence, status })),
      ended: [...reply.late.filter(hasEnded), ...this.#world.endedBeside.splice(0)].map(({ task }) => task.id),
      nextAtMs: nextAtMs === Infinity ? null : nextAtMs,
      raised: [],
      noted: this.#world.tasks.flatMap((task) =>
        isHeld(task) && task.noted !== null ? [{ id: task.task.id, fence: task.fence, what: task.noted }] : [],
      ),
      schedules: due,
    };
  }

  /** `rowsFence`: of a task whose last claim its row need not tell of. */
  forget({ endedByMs, limit }: ForgetCommand, rowsFence: (id: string) => number): ForgetReply {
    const { tasks } = this.#world;
    const isOver = (task: ModelTask): boolean =>
      hasEnded(task) && task.finishedAtMs! <= (endedByMs[task.status as EndedStatus] ?? -Infinity);
    const latestMs = Math.max(-Infinity, ...Object.values(endedByMs));
    const late = tasks.find((task) => task.seq > this.#lookedUntil && task.submittedAtMs > latestMs);
    const early = tasks.filter(({ seq }) => seq > this.#lookedUntil && seq < (late?.seq ?? Infinity));
    const looked = early.slice(0, limit);
    const more = early.length > limit;
    this.#lookedUntil = more ? looked.at(-1)!.seq : -1;
    const families = looked.filter(({ task }) => task.parent === undefined).map((task) => this.#world.familyOf(task));
    const gone = families.filter((family) => family.every(isOver)).flat();
    for (const task of gone) {
      tasks.splice(tasks.indexOf(task), 1);
      const fence = this.unused.delete(task.task.id) ? rowsFence(task.task.id) : task.fence;
      this.#leastFence = Math.max(this.#leastFence, fence + 1);
    }
    if (gone.length > 0) this.#epoch = Math.max(this.#epoch, this.#leastFence);
    return { forgotten: gone.length, more };
  }

  unbox(items: readonly { readonly kind: string; readonly box: string }[]): void {
    for (const { kind, box } of items) this.#claims.unboxed(kind, box);
    for (const task of this.#world.tasks) if (items.some(({ kind, box }) => kind === task.task.kind && box === task.box)) task.box = null;
  }

  readState(items: readonly StateRead[]): StateReadOutcome[] {
    return items.map(({ place, key, version, ...held }) => {
      const task = this.#world.holding(held);
      if (task === undefined) return { at: 'stale' };
      const known = task.memory.find((entry) => entry.place === place);
      if (known !== undefined) return { at: 'read', row: known.row ?? null };
      const row = this.#world.state.get(key) ?? null;
      task.memory.push({ place, hash: '', value: '', row, ...(version === undefined ? {} : { version }) });
      return { at: 'read', row };
    });
  }

  signal(items: readonly Signal[], nowMs: number): { outcomes: SignalOutcome[]; ready: string[] } {
    const { reply, ready } = this.#world.command(nowMs, () => items.map((item) => this.#tell(item)));
    return { outcomes: reply, ready };
  }

  askApproval(items: readonly ApprovalRequest[], nowMs: number): boolean[] {
    return items.map(({ id, fence, name, request, expiresAtMs }) => {
      const task = this.#world.holding({ id, fence });
      if (task === undefined) return false;
      if (task.approvals.some((asked) => asked.name === name)) return true;
      this.#turns += 1;
      const asked = { id, kind: task.task.kind, name, request, askedAtMs: nowMs, expiresAtMs };
      task.approvals.push({ ...asked, cursor: this.#turns, decided: undefined });
      return true;
    });
  }

  withdrawApproval(items: readonly ApprovalWithdrawal[]): boolean[] {
    return items.map(({ id, fence, name }) => {
      const task = this.#world.holding({ id, fence });
      if (task === undefined) return false;
      task.approvals = task.approvals.filter((asked) => asked.name !== name || asked.decided !== undefined);
      return true;
    });
  }

  decideApproval(items: readonly Decision[], nowMs: number): { outcomes: SignalOutcome[]; ready: string[] } {
    const { reply, ready } = this.#world.command(nowMs, () =>
      items.map(({ id, name, decision }): SignalOutcome => {
        const task = this.#world.find(id);
        const same = task?.approvals.some((approval) => approval.name === name && approval.decided === decision) === true;
        if (same && !hasEnded(task)) return { at: 'known', value: decision };
        const asked = task?.approvals.find((approval) => approval.name === name && approval.decided === undefined);
        if (task !== undefined && !hasEnded(task) && (asked === undefined || task.undo !== null)) return { at: 'not-asked' };
        const expiresAtMs = asked?.expiresAtMs ?? Infinity;
        if (task !== undefined && !hasEnded(task) && expiresAtMs <= nowMs) return { at: 'expired', expiresAtMs };
        const told = this.#tell({ id, name: `approval:${name}`, value: decision });
        if (told.at === 'told') asked!.decided = decision;
        return told;
      }),
    );
    return { outcomes: reply, ready };
  }

  approvals(nowMs: number): Approval[] {
    const open = this.#world.tasks
      .filter((task) => !hasEnded(task) && task.undo === null)
      .flatMap((task) => task.approvals.filter(({ decided }) => decided === undefined));
    const waits = ({ expiresAtMs }: Approval): boolean => expiresAtMs === null || expiresAtMs > nowMs;
    return open
      .filter(waits)
      .toSorted((a, b) => a.cursor - b.cursor)
      .map(plainApproval);
  }

  steer(items: readonly Steering[], nowMs: number): SteerReply {
    const { reply, ready } = this.#world.command(nowMs, () => items.map((item) => steerOne(this.#world, item)));
    return {
      outcomes: reply.map(({ outcome }) => outcome()),
      ready,
      ended: reply.flatMap(({ ended }) => ended ?? []).map(({ task }) => task.id),
      held: reply.flatMap(({ held }) => held ?? []).map(({ task, fence }) => ({ id: task.id, fence })),
    };
  }

  pauseKinds(items: readonly { readonly kind: string; readonly paused: boolean }[]): void {
    for (const { kind, paused } of items) {
      if (paused) this.#paused.add(kind);
      else this.#paused.delete(kind);
    }
  }

  pausedKinds(): string[] {
    return [...this.#paused].toSorted();
  }

  get schedules(): ScheduleModel {
    return this.#schedules;
  }

  fireSchedules(items: readonly Firing[], nowMs: number): { fired: boolean[]; ready: string[] } {
    const { reply, ready } = this.#world.command(nowMs, () =>
      items.map((item) => {
        const fired = this.#schedules.fire(item);
        if (fired) for (const task of item.tasks) this.#world.submit(task, false);
        return fired;
      }),
    );
    return { fired: reply, ready };
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => {
      const task = this.#world.find(id);
      return task === undefined ? undefined : toRecord(task);
    });
  }

  all(): TaskRecord[] {
    return this.#world.records();
  }

  /** How this run's task stands, where the run still holds its lease. */
  holding(held: Held): TaskRecord | undefined {
    const task = this.#world.holding(held);
    return task && toRecord(task);
  }

  counts(): Record<string, TaskCounts> {
    const counts: Record<string, Record<TaskStatus, number>> = {};
    for (const { task, status } of this.#world.tasks) {
      counts[task.kind] ??= { queued: 0, leased: 0, running: 0, retrying: 0, parked: 0, completed: 0, failed: 0, cancelled: 0, dead: 0 };
      counts[task.kind]![status] += 1;
    }
    return counts;
  }

  /** Starts it, and says how that came out as things stand after all of the command. */
  #startOne(item: StartItem): () => ModelStart {
    const task = this.#world.holding(item);
    if (task === undefined) return () => ({ at: 'stale' });
    if (task.status === 'leased') {
      const by = this.#world.locks.take(task);
      if (by.length > 0) {
        // What is to be undone is undone: it waits.
        if (task.task.onConflict === 'reject' && task.undo === null) return () => ({ at: 'rejected', by });
        // What was noted of it is done, and it does not stand.
        if (task.noted !== null) task.line = null;
        this.#world.letGo(task, () => {
          this.#world.park(task, 'locks');
          this.#world.locks.standInLine(task);
        });
        return () => ({ at: 'blocked', by });
      }
      Object.assign(task, { status: 'running', attempt: task.attempt + 1 });
      Object.assign(task.runs.at(-1)!, { startedAtMs: this.#world.nowMs, worker: item.worker ?? null });
    }
    return () => ({
      at: 'started',
      attempt: task.attempt,
      losses: task.losses,
      memory: task.memory.map(withoutRow),
      children: this.#childrenOf(task),
      events: task.events.map(({ name, n, value }) => ({ name, n, value })),
      locks: wantsOf(task),
      lockFence: task.lockFence,
      undo: task.undo,
    });
  }

  #childrenOf(parent: ModelTask): ChildRecord[] {
    return this.#world.tasks
      .filter(({ task }) => task.parent?.id === parent.task.id)
      .map(({ task, status, result, error }) => ({ id: task.id, place: task.parent!.place, status, result, error }));
  }

  #takeBack(task: ModelTask): void {
    if (task.status === 'running') this.#world.lose(task, LOST);
    else this.#world.letGo(task, () => this.#world.queue(task));
  }

  #tell({ id, name, value, key }: Signal): SignalOutcome {
    const task = this.#world.find(id);
    if (task === undefined) return { at: 'unknown' };
    const known = key === undefined ? undefined : task.events.find((event) => event.name === name && event.key === key);
    if (known !== undefined) return { at: 'known', value: known.value };
    if (hasEnded(task)) return { at: 'ended', status: task.status };
    if (task.undo !== null) return { at: 'undoing', status: task.status, ends: task.undo.status };
    const n = task.events.filter((event) => event.name === name).length;
    task.events.push({ name, n, value, key });
    this.#world.look();
    return { at: 'told', n };
  }

  /** When the store has to end it, which it does not while somebody holds it, or when it is undone. */
  #deadlineOf(task: ModelTask): number {
    return hasEnded(task) || isHeld(task) || task.undo !== null ? Infinity : (task.task.deadlineMs ?? Infinity);
  }
}

function plainApproval({ id, kind, name, request, askedAtMs, expiresAtMs, cursor }: Approval): Approval {
  return { id, kind, name, request, askedAtMs, expiresAtMs, cursor };
}

function withoutRow(entry: ModelTask['memory'][number]): Remembered {
  const { row: _row, ...remembered } = entry;
  return remembered;
}
