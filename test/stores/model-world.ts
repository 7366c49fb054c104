/** What happens to a task of the model, whichever command it comes from: queued, woken, let go, ended. */
import type { Held, NewTask, SubmitOutcome, TaskRecord } from '../../actors/ports/store.ts';
import { LockModel } from './model-locks.ts';
import { keepOrder } from './model-order.ts';
import { StateModel } from './model-state.ts';
import { hasEnded, isCompensated, isHeld, keepsLocks, modelTask, toRecord } from './model-task.ts';
import type { ModelTask } from './model-task.ts';

/** In place of errors that a store words itself. */
export const LOST = '<the run was lost>';
export const LATE = '<the deadline has passed>';

export class ModelWorld {
  readonly tasks: ModelTask[] = [];
  nowMs = 0;
  maxUnfinished = Infinity;
  maxFamily = Infinity;
  maxOfKind: Readonly<Record<string, number>> = {};
  maxOfTenant: Readonly<Record<string, number>> = {};
  readonly locks = new LockModel(this.tasks, () => this.nowMs);
  readonly state = new StateModel(() => this.locks.nextToken());
  /** Those that have begun to gather in the command under way. */
  gathered: ModelTask[] = [];
  /** Those that end by the command under way. */
  #fallen: ModelTask[] = [];
  /** Ever. */
  #arrived = 0;
  /** Those that ended with who had asked for them, since the last sweep. */
  endedBeside: ModelTask[] = [];

  /** One command: what it made ready is whoever could not be claimed before, and now can. */
  command<T>(nowMs: number, run: () => T): { readonly reply: T; readonly ready: string[] } {
    this.nowMs = nowMs;
    this.gathered = [];
    const before = new Set(this.tasks.filter(({ status }) => status === 'queued'));
    const reply = run();
    // Each item is judged for itself, then families are closed.
    for (const task of this.#fallen.splice(0)) this.endedBeside.push(...this.#cancelChildren(task).ended);
    this.#arrange();
    const ready = this.tasks.filter((task) => task.status === 'queued' && task.box === null && !before.has(task));
    return { reply, ready: [...new Set(ready.map(({ task }) => task.kind))] };
  }

  /** Whoever has to wait for his turn stands in line for no locks: others go first, whose turn it may be. */
  #arrange(): void {
    for (;;) {
      keepOrder(this.tasks);
      const out = this.tasks.filter(({ parkedFor, line, lockFence }) => parkedFor === 'order' && (line !== null || lockFence > 0));
      if (out.length === 0) return;
      for (const task of out) Object.assign(task, { line: null, lockFence: 0 });
      this.wakeLockWaiters();
    }
  }

  find(id: string): ModelTask | undefined {
    return this.tasks.find(({ task }) => task.id === id);
  }

  holding({ id, fence }: Held): ModelTask | undefined {
    const task = this.find(id);
    return task !== undefined && task.fence === fence && isHeld(task) ? task : undefined;
  }

  records(): TaskRecord[] {
    return this.tasks.map(toRecord);
  }

  submit(task: NewTask, isBounded: boolean): SubmitOutcome {
    const parent = task.parent === undefined ? undefined : this.holding(task.parent);
    if (task.parent !== undefined && parent === undefined) return { at: 'stale' };
    const known = this.find(task.id);
    if (known !== undefined) return { at: 'known', task: toRecord(known) };
    const full = isBounded ? this.#full(task) : undefined;
    if (full !== undefined) return full;
    const added = modelTask(task, (this.#arrived += 1), this.#ownKey(task, parent), this.nowMs);
    this.tasks.push(added);
    this.queue(added);
    return { at: 'accepted' };
  }

  /** With all that it has asked for and sent, and they in turn. */
  familyOf(task: ModelTask): ModelTask[] {
    return [task, ...this.tasks.filter((other) => other.task.parent?.id === task.task.id).flatMap((child) => this.familyOf(child))];
  }

  unfinished(of: (task: ModelTask) => boolean = () => true): number {
    return this.tasks.filter((task) => !hasEnded(task) && of(task)).length;
  }

  /** To be claimed, where its time has come. */
  queue(task: ModelTask, box: string | null = null): void {
    const { notBeforeMs } = task.task;
    // For one that has begun its time had come.
    const isEarly = task.fence === 0 && notBeforeMs !== undefined && notBeforeMs > this.nowMs;
    this.#stand(task, isEarly ? 'parked' : 'queued');
    Object.assign(task, isEarly ? { parkedFor: 'time', dueAtMs: notBeforeMs } : { box });
  }

  wake(task: ModelTask): void {
    task.resumed = true;
    this.queue(task);
  }

  park(task: ModelTask, reason: string, dueAtMs: number | null = null): void {
    this.#stand(task, 'parked');
    Object.assign(task, { parkedFor: reason, dueAtMs });
  }

  retryAt(task: ModelTask, dueAtMs: number): void {
    this.#stand(task, 'retrying');
    Object.assign(task, { dueAtMs, resumed: false });
  }

  /**
   * A run lets go of its lease: `then` says where its task goes. What an operator noted of it is done,
   * unless it has completed. Who is to be undone, and not parked, keeps its locks.
   */
  letGo(task: ModelTask, then: () => void): void {
    // It holds nothing any more, and is nowhere yet.
    task.status = 'queued';
    const noted = task.noted;
    task.noted = null;
    if (noted === 'cancel') this.fall(task, 'cancelled', null);
    else then();
    if (noted === 'pause' && !hasEnded(task)) this.pause(task);
    if (!keepsLocks(task)) task.lockFence = 0;
    this.wakeLockWaiters();
  }

  /** A run is gone: counted in any case, also where its task is cancelled now. */
  lose(task: ModelTask, error: string): void {
    task.losses += 1;
    this.letGo(task, () => this.#goOnAfterLoss(task, error));
  }

  #goOnAfterLoss(task: ModelTask, error: string): void {
    if (task.losses >= task.task.maxLosses) return this.fall(task, 'dead', error);
    task.error = error;
    if (task.losses === 1) return this.wake(task);
    Object.assign(task, { resumed: false, sinceMs: this.nowMs });
    this.queue(task);
  }

  /** Nobody waits any more for those that it has asked. */
  fall(task: ModelTask, status: 'failed' | 'dead' | 'cancelled', error: string | null): void {
    this.endBadly(task, status, error);
    this.#fallen.push(task);
  }

  /** Failed, dead or cancelled: unless there is something to compensate first. While it is undone, there is only dead. */
  endBadly(task: ModelTask, status: 'failed' | 'dead' | 'cancelled', error: string | null): void {
    if (task.undo !== null) return this.end(task, 'dead', error);
    if (!isCompensated(task)) return this.end(task, status, error);
    const isPaused = task.status === 'parked' && task.parkedFor === 'operator' && status !== 'cancelled';
    Object.assign(task, { undo: { status, error }, attempt: 0, losses: 0 });
    if (isPaused) this.pause(task);
    else this.wake(task);
    this.wakeLockWaiters();
  }

  end(task: ModelTask, status: 'completed' | 'failed' | 'dead' | 'cancelled', error: string | null, isUndone = false): void {
    this.#stand(task, status);
    Object.assign(task, { error, finishedAtMs: this.nowMs, line: null, noted: null });
    if (status === 'completed' || isUndone) {
      // Who tells it once more under the same key is told that it knows.
      const events = task.events.filter(({ key }) => key !== undefined);
      Object.assign(task, { memory: [], events, approvals: [] });
    }
    this.wakeLockWaiters();
    this.look();
    if (status === 'completed' || isUndone) this.#fallen.push(task);
  }

  /** With it whatever it asked for. Held ones are told to let go. */
  cancel(task: ModelTask): { readonly ended: ModelTask[]; readonly held: ModelTask[] } {
    this.endBadly(task, 'cancelled', null);
    const { ended, held } = this.#cancelChildren(task);
    return { ended: hasEnded(task) ? [task, ...ended] : ended, held };
  }

  #cancelChildren(task: ModelTask): { readonly ended: ModelTask[]; readonly held: ModelTask[] } {
    const told = { ended: [] as ModelTask[], held: [] as ModelTask[] };
    for (const child of this.tasks.filter((other) => other.task.parent?.id === task.task.id && !hasEnded(other) && other.undo === null)) {
      child.withParent = true;
      if (isHeld(child)) {
        child.noted = 'cancel';
        told.held.push(child);
        continue;
      }
      const { ended, held } = this.cancel(child);
      told.ended.push(...ended);
      told.held.push(...held);
    }
    return told;
  }

  /** It is not there to be run: nobody waits behind it for its locks. */
  pause(task: ModelTask): void {
    const retryAtMs = task.status === 'retrying' ? task.dueAtMs : null;
    Object.assign(task, { line: null, lockFence: 0 });
    this.park(task, 'operator');
    task.retryAtMs = retryAtMs;
    this.wakeLockWaiters();
  }

  /** What was not due yet is not due now. */
  unpause(task: ModelTask): void {
    const { retryAtMs } = task;
    if (retryAtMs !== null && retryAtMs > this.nowMs) return this.retryAt(task, retryAtMs);
    task.sinceMs = retryAtMs ?? task.sinceMs;
    this.wake(task);
  }

  wakeLockWaiters(): void {
    for (const task of this.locks.toWake()) {
      task.line!.wokenAtMs = this.nowMs;
      if (task.parkedFor === 'locks') this.wake(task);
    }
  }

  /** Something has happened: who was parked for it? */
  look(): void {
    for (const task of this.tasks) {
      if (task.status !== 'parked' || task.waits === null) continue;
      const { there, missing } = this.#waitingFor(task);
      if (there === 0) continue;
      const gatherMs = task.waits.gatherMs ?? 0;
      if (missing === 0 || gatherMs <= 0) this.wake(task);
      else if (!task.gathering) {
        task.gathering = true;
        task.dueAtMs = Math.min(task.dueAtMs ?? Infinity, this.nowMs + gatherMs);
        this.gathered.push(task);
      }
    }
  }

  #waitingFor({ waits, events }: ModelTask): { readonly there: number; readonly missing: number } {
    const children = [...new Set(waits!.children)].map((id) => {
      const child = this.find(id);
      return child !== undefined && hasEnded(child);
    });
    const wanted = new Map((waits!.events ?? []).map((event) => [`${event.n} ${event.name}`, event]));
    const told = [...wanted.values()].map(({ name, n }) => events.filter((event) => event.name === name).length > n);
    const there = [...children, ...told].filter(Boolean).length;
    return { there, missing: children.length + told.length - there };
  }

  #full(task: NewTask): SubmitOutcome | undefined {
    const ofKind = this.maxOfKind[task.kind] ?? Infinity;
    if (task.parent === undefined) {
      if (this.unfinished() >= this.maxUnfinished) return { at: 'full', limit: this.maxUnfinished };
      if (this.unfinished((other) => other.task.kind === task.kind) >= ofKind) return { at: 'full', limit: ofKind, of: 'kind' };
      const { kind, tenant } = task;
      const ofTenant = this.maxOfTenant[kind] ?? Infinity;
      const isTheirs = (other: ModelTask): boolean => other.task.kind === kind && other.task.tenant === tenant;
      if (tenant !== undefined && this.unfinished(isTheirs) >= ofTenant) return { at: 'full', limit: ofTenant, of: 'tenant' };
    }
    if (task.rootId === undefined) return undefined;
    return this.family(task.rootId) >= this.maxFamily ? { at: 'full', limit: this.maxFamily, of: 'family' } : undefined;
  }

  /** Unfinished descendants of a task from outside. */
  family(rootId: string): number {
    return this.unfinished((other) => other.task.rootId === rootId);
  }

  #ownKey({ orderKey }: NewTask, parent: ModelTask | undefined): string | null {
    for (let above = parent; above !== undefined; above = above.task.parent && this.find(above.task.parent.id))
      if (above.task.orderKey === orderKey) return null;
    return orderKey ?? null;
  }

  #stand(task: ModelTask, status: ModelTask['status']): void {
    Object.assign(task, { status, parkedFor: null, dueAtMs: null, waits: null, gathering: false, box: null });
  }
}
