/**
 * A model of the store, written from the words of the port alone: one list of tasks, every question
 * answered by looking at all of them. Slow and obvious, to hold the adapters against. A command is
 * one transaction: what it answers is how things stand after it.
 */
import type {
  ChildRecord,
  ClaimCommand,
  ClaimedTask,
  Held,
  NewTask,
  OpenCommand,
  Opened,
  Remembered,
  RememberItem,
  RenewItem,
  SettledOutcome,
  SettleOutcome,
  SettleReply,
  Settlement,
  StartOutcome,
  SubmitOutcome,
  SweepReply,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';

/** In place of errors that a store words itself. */
export const LOST = '<the run was lost>';

const ENDED: readonly TaskStatus[] = ['completed', 'failed', 'cancelled', 'dead'];

interface ModelTask {
  readonly task: NewTask;
  readonly submittedAtMs: number;
  status: TaskStatus;
  resumed: boolean;
  attempt: number;
  losses: number;
  fence: number;
  leaseUntilMs: number;
  dueAtMs: number | null;
  waitsFor: readonly string[];
  parkedFor: string | null;
  result: string | null;
  error: string | null;
  finishedAtMs: number | null;
  readonly memory: Remembered[];
}

export class Model {
  readonly #tasks: ModelTask[] = [];
  #epoch = 0;
  #maxUnfinished = 0;
  #ready = new Set<string>();

  open({ nowMs, maxUnfinished }: OpenCommand): Opened {
    this.#epoch += 1;
    this.#maxUnfinished = maxUnfinished;
    const held = this.#tasks.filter(({ status }) => status === 'leased' || status === 'running');
    for (const task of held) this.#takeBack(task, nowMs);
    return { epoch: this.#epoch, recovered: held.length };
  }

  submit(tasks: readonly NewTask[], nowMs: number): SubmitOutcome[] {
    return tasks.map((task) => this.#submitOne(task, nowMs, this.#maxUnfinished));
  }

  claim({ wants, leaseUntilMs }: ClaimCommand): ClaimedTask[] {
    const claimed = wants.flatMap(({ kind, limit }) => {
      const best = this.#tasks
        .filter(({ task, status }) => task.kind === kind && status === 'queued')
        .toSorted(this.#bestFirst)
        .slice(0, limit);
      for (const task of best) {
        task.status = 'leased';
        task.fence += 1;
        task.leaseUntilMs = leaseUntilMs;
      }
      return best;
    });
    return claimed.toSorted(this.#bestFirst).map(({ task, fence }) => ({
      id: task.id,
      kind: task.kind,
      version: task.version,
      input: task.input,
      priority: task.priority,
      fence,
      depth: task.depth,
      parentId: task.parent?.id ?? null,
      leaseUntilMs,
    }));
  }

  start(items: readonly Held[]): StartOutcome[] {
    const held = items.map((item) => this.#held(item));
    for (const task of held) {
      if (task?.status !== 'leased') continue;
      task.status = 'running';
      task.attempt += 1;
    }
    return held.map((task) => {
      if (task === undefined) return { at: 'stale' };
      const children = this.#tasks
        .filter((child) => child.task.parent?.id === task.task.id)
        .map((child): ChildRecord => ({
          id: child.task.id,
          place: child.task.parent!.place,
          status: child.status,
          result: child.result,
          error: child.error,
        }));
      return { at: 'started', attempt: task.attempt, losses: task.losses, memory: [...task.memory], children };
    });
  }

  remember(items: readonly RememberItem[]): boolean[] {
    return items.map(({ place, hash, value, ...item }) => {
      const task = this.#held(item);
      if (task === undefined) return false;
      if (!task.memory.some((known) => known.place === place)) task.memory.push({ place, hash, value });
      return true;
    });
  }

  renew(items: readonly RenewItem[], nowMs: number): boolean[] {
    return items.map((item) => {
      const task = this.#held(item);
      if (task === undefined || task.leaseUntilMs <= nowMs) return false;
      task.leaseUntilMs = item.leaseUntilMs;
      return true;
    });
  }

  settle(items: readonly Settlement[], nowMs: number): SettleReply {
    this.#ready = new Set();
    const settled = items.map((item) => {
      const task = this.#held(item);
      if (task !== undefined) this.#settleOne(task, item.outcome, nowMs);
      return task;
    });
    return {
      outcomes: settled.map((task): SettleOutcome => (task === undefined ? { at: 'stale' } : { at: 'settled', status: task.status })),
      ready: [...this.#ready],
    };
  }

  sweep(nowMs: number): SweepReply {
    this.#ready = new Set();
    const expired = this.#tasks.filter(
      ({ status, leaseUntilMs }) => (status === 'leased' || status === 'running') && leaseUntilMs <= nowMs,
    );
    for (const task of expired) this.#takeBack(task, nowMs);
    const out = expired.map(({ task, fence, status }) => ({ id: task.id, fence, status }));
    for (const task of this.#waiting()) {
      if (task.dueAtMs! > nowMs) continue;
      if (task.status === 'parked') task.resumed = true;
      this.#queue(task);
    }
    const times = this.#waiting().map(({ dueAtMs }) => dueAtMs!);
    return { ready: [...this.#ready], expired: out, nextAtMs: times.length === 0 ? null : Math.min(...times) };
  }

  get(ids: readonly string[]): (TaskRecord | undefined)[] {
    return ids.map((id) => {
      const task = this.#find(id);
      return task === undefined ? undefined : toRecord(task);
    });
  }

  all(): TaskRecord[] {
    return this.#tasks.map(toRecord);
  }

  counts(): Record<string, TaskCounts> {
    const counts: Record<string, Record<TaskStatus, number>> = {};
    for (const { task, status } of this.#tasks) {
      counts[task.kind] ??= { queued: 0, leased: 0, running: 0, retrying: 0, parked: 0, completed: 0, failed: 0, cancelled: 0, dead: 0 };
      counts[task.kind]![status] += 1;
    }
    return counts;
  }

  #submitOne(task: NewTask, nowMs: number, maxUnfinished: number): SubmitOutcome {
    if (task.parent !== undefined && this.#held(task.parent) === undefined) return { at: 'stale' };
    const known = this.#find(task.id);
    if (known !== undefined) return { at: 'known', task: toRecord(known) };
    const unfinished = this.#tasks.filter(({ status }) => !ENDED.includes(status)).length;
    if (task.parent === undefined && unfinished >= maxUnfinished) return { at: 'full', limit: maxUnfinished };
    this.#tasks.push({
      task,
      submittedAtMs: nowMs,
      status: 'queued',
      resumed: false,
      attempt: 0,
      losses: 0,
      fence: 0,
      leaseUntilMs: 0,
      dueAtMs: null,
      waitsFor: [],
      parkedFor: null,
      result: null,
      error: null,
      finishedAtMs: null,
      memory: [],
    });
    return { at: 'accepted' };
  }

  #settleOne(task: ModelTask, outcome: SettledOutcome, nowMs: number): void {
    const started = task.status === 'running';
    switch (outcome.at) {
      case 'completed':
        for (const send of outcome.sends) if (this.#submitOne(send, nowMs, Infinity).at === 'accepted') this.#ready.add(send.kind);
        task.result = outcome.result;
        return this.#end(task, 'completed', null, nowMs);
      case 'failed':
      case 'dead':
        return this.#end(task, outcome.at, outcome.error, nowMs);
      case 'retry':
        Object.assign(task, { status: 'retrying', dueAtMs: outcome.readyAtMs, error: outcome.error, resumed: false });
        return;
      case 'parked':
        if (started) task.attempt -= 1;
        Object.assign(task, { status: 'parked', dueAtMs: outcome.wakeAtMs, waitsFor: outcome.children, parkedFor: outcome.reason });
        if (outcome.children.some((id) => this.#hasEnded(id)) || (outcome.wakeAtMs !== null && outcome.wakeAtMs <= nowMs)) this.#wake(task);
        return;
      case 'released':
        if (started) task.attempt -= 1;
        return this.#queue(task);
      case 'lost':
        if (!started) return this.#wake(task);
        return this.#lose(task, outcome.error, nowMs);
    }
  }

  #takeBack(task: ModelTask, nowMs: number): void {
    if (task.status === 'running') this.#lose(task, LOST, nowMs);
    else this.#queue(task);
  }

  #lose(task: ModelTask, error: string, nowMs: number): void {
    task.losses += 1;
    if (task.losses >= task.task.maxLosses) return this.#end(task, 'dead', error, nowMs);
    task.error = error;
    this.#wake(task);
  }

  #end(task: ModelTask, status: TaskStatus, error: string | null, nowMs: number): void {
    Object.assign(task, { status, error, finishedAtMs: nowMs });
    for (const other of this.#tasks) if (other.status === 'parked' && other.waitsFor.includes(task.task.id)) this.#wake(other);
  }

  #wake(task: ModelTask): void {
    task.resumed = true;
    this.#queue(task);
  }

  #queue(task: ModelTask): void {
    Object.assign(task, { status: 'queued', dueAtMs: null, waitsFor: [], parkedFor: null });
    this.#ready.add(task.task.kind);
  }

  #waiting(): ModelTask[] {
    return this.#tasks.filter(({ status, dueAtMs }) => (status === 'retrying' || status === 'parked') && dueAtMs !== null);
  }

  #find(id: string): ModelTask | undefined {
    return this.#tasks.find(({ task }) => task.id === id);
  }

  #held({ id, fence }: Held): ModelTask | undefined {
    const task = this.#find(id);
    return task !== undefined && task.fence === fence && (task.status === 'leased' || task.status === 'running') ? task : undefined;
  }

  #hasEnded(id: string): boolean {
    const task = this.#find(id);
    return task !== undefined && ENDED.includes(task.status);
  }

  readonly #bestFirst = (a: ModelTask, b: ModelTask): number =>
    Number(b.resumed) - Number(a.resumed) || b.task.priority - a.task.priority || this.#tasks.indexOf(a) - this.#tasks.indexOf(b);
}

function toRecord(of: ModelTask): TaskRecord {
  const { id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent } = of.task;
  const { status, result, error, attempt, losses, fence, parkedFor, submittedAtMs, finishedAtMs } = of;
  return {
    id,
    kind,
    version,
    status,
    input,
    result,
    error,
    priority,
    attempt,
    losses,
    maxAttempts,
    maxLosses,
    fence,
    depth,
    parentId: parent?.id ?? null,
    parkedFor,
    submittedAtMs,
    finishedAtMs,
  };
}
