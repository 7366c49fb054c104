/** Sweeps: the store is looked through for what has come due, and for tasks whose end this node may have missed. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { Held, SweepReply, TaskRecord } from '../../../actors/ports/store.ts';
import type { Lease } from '../leases.ts';
import type { Run } from '../run.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';
import type { Endings } from './endings.ts';
import { Forgetting } from './forgetting.ts';

/** The store is looked through for due and ready tasks at least so often: a notification is only a hint. */
const SWEEP_MS = 1_000;
/** So often every box is looked into by whoever is idle. */
const PROBE_MS = 30_000;
/** Tasks that are looked up with one command. */
const LOOKED_UP = 500;

/** A task whose end may have been missed. */
interface Doubt {
  /** Under which it was held here last. */
  readonly fence: number;
  readonly run: Run | undefined;
  /** Observers know that its lease is lost. */
  readonly told: boolean;
}

export class Sweeps {
  readonly #core: EngineCore;
  readonly #endings: Endings;
  readonly #lose: (lease: Lease) => void;
  readonly #letGo: (held: Held, why: 'cancelled' | 'paused') => void;
  readonly #forgetting: Forgetting;
  /** Looked up with each sweep until it is sure what became of them. */
  readonly #doubts = new Map<string, Doubt>();
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #polledMs = -Infinity;
  #probedMs = -Infinity;
  /** The answer to a sweep was lost. */
  #isUnheard = false;

  constructor(core: EngineCore, endings: Endings, lose: (lease: Lease) => void, letGo: (held: Held, why: 'cancelled' | 'paused') => void) {
    this.#core = core;
    this.#endings = endings;
    this.#lose = lose;
    this.#letGo = letGo;
    this.#forgetting = new Forgetting(core);
  }

  sweep(): void {
    this.#alarm = undefined;
    const nowMs = this.#core.nowMs();
    this.#core.store.sweep(nowMs).then(
      (reply) => this.#swept(reply, nowMs),
      (error: unknown) => {
        this.#isUnheard = true;
        if (this.#core.isPassing(error)) this.by(this.#core.nowMs() + SWEEP_MS);
      },
    );
  }

  /** Sweeps at `atMs`, or earlier when that is planned already. */
  by(atMs: number): void {
    if (this.#core.isClosed || (this.#alarm !== undefined && this.#alarm.atMs <= atMs)) return;
    this.#alarm?.cancel();
    this.#alarm = { atMs, cancel: this.#core.options.host.alarm(atMs, () => this.sweep()) };
  }

  close(): void {
    this.#alarm?.cancel();
    this.#forgetting.close();
  }

  doubt({ id, fence }: Held, run: Run | undefined, told: boolean): void {
    this.#doubts.set(id, { fence, run, told });
  }

  isSure(id: string): void {
    if (this.#doubts.size > 0) this.#doubts.delete(id);
  }

  /** `awaited`: only those for whom somebody waits still; of the others observers may know already. */
  lookAgain(ids: readonly string[], awaited = false): void {
    if (ids.length === 0) return;
    const { listeners } = this.#core;
    this.#core.store.get(ids).then(
      (tasks) => {
        for (const task of tasks) if (task !== undefined && (!awaited || listeners.has(task.id))) this.#endings.found(task);
      },
      (error: unknown) => {
        // Looked up with the next sweep.
        if (this.#core.isPassing(error)) for (const id of ids) this.#doubts.set(id, { fence: -1, run: undefined, told: true });
      },
    );
  }

  #swept({ ready, expired, ended, nextAtMs, raised, noted, schedules }: SweepReply, nowMs: number): void {
    const core = this.#core;
    if (core.isClosed) return;
    if (nowMs - this.#probedMs >= PROBE_MS) this.#probe(nowMs);
    core.ready(this.#isPollDue(nowMs) ? Object.keys(core.options.topology.kinds) : ready);
    for (const { id, fence } of expired) this.#expired({ id, fence });
    this.lookAgain(ended);
    if (this.#isUnheard) this.#lookAtAll();
    for (const { id, priority } of raised) this.#raise(core.leases.of(id), priority);
    for (const { id, fence, what } of noted) this.#letGo({ id, fence }, what === 'cancel' ? 'cancelled' : 'paused');
    if (schedules.length > 0) core.options.onSchedules?.(schedules);
    if (this.#doubts.size === 0 && ended.length === 0) this.#forgetting.begin();
    this.#resolveDoubts();
    this.by(Math.min(nextAtMs ?? Infinity, core.nowMs() + SWEEP_MS));
  }

  /** Somebody more urgent waits for what the task holds, or for its end. */
  #raise(lease: Lease | undefined, priority: number): void {
    if (lease === undefined || lease.priority >= priority) return;
    lease.priority = priority;
    const { plan, run, task } = lease;
    if (run !== undefined) run.raise(priority);
    else this.#core.tellQueue(plan.kind, { type: 'queue.raised', tasks: [{ id: task.id, fence: task.fence, priority }] });
  }

  /** What was spilled under an answer that was lost, is in a box that nobody asks for. */
  #probe(nowMs: number): void {
    this.#probedMs = nowMs;
    for (const { kind, agent, mailbox } of Object.values(this.#core.options.topology.kinds))
      if (agent.spec.affinity !== undefined || mailbox.mode === 'dedicated') this.#core.tellQueue(kind, { type: 'queue.probe' });
  }

  /** A sweep may have ended tasks of which nobody heard: everybody who is waited for is looked up once. */
  #lookAtAll(): void {
    this.#isUnheard = false;
    const ids = this.#core.listeners.ids();
    for (let at = 0; at < ids.length; at += LOOKED_UP) this.lookAgain(ids.slice(at, at + LOOKED_UP), true);
  }

  /** Whether to look for ready tasks without having been told of any: others submit too, and answers get lost. */
  #isPollDue(nowMs: number): boolean {
    if (nowMs - this.#polledMs < SWEEP_MS) return false;
    this.#polledMs = nowMs;
    return true;
  }

  #expired(held: Held): void {
    const lease = this.#core.leases.get(held);
    if (lease !== undefined) this.#lose(lease);
    else if (!this.#doubts.has(held.id)) this.#doubts.set(held.id, { fence: held.fence, run: undefined, told: true });
  }

  #resolveDoubts(): void {
    const doubts = [...this.#doubts];
    if (doubts.length === 0) return;
    this.#core.store.get(doubts.map(([id]) => id)).then(
      (tasks) => {
        for (const [at, [id, doubt]] of doubts.entries()) if (this.#doubts.get(id) === doubt) this.#resolve(id, doubt, tasks[at]);
      },
      (error: unknown) => this.#core.isPassing(error),
    );
  }

  #resolve(id: string, { fence, run, told }: Doubt, task: TaskRecord | undefined): void {
    if (task === undefined) {
      this.#doubts.delete(id);
      return;
    }
    const { status, result, error } = task;
    const ended = isTerminal(status);
    const waits = status === 'retrying' || status === 'parked';
    // What became of it under this fence is what this node made of it.
    const own = task.fence === fence && (ended || waits);
    if (!told && !own) this.#core.emit('lease.lost', () => ({ ...refOf(task), atMs: this.#core.nowMs(), fence }));
    if (own && status === 'completed' && run !== undefined) this.#endings.completed(id, result, run, this.#core.nowMs());
    else if (own && ended && status !== 'completed') this.#endings.ended(task, status, error);
    else if (ended) this.#endings.tell({ id, place: '', status, result, error });
    // Held here again, its end will be heard; only waiting, it has none before it is held.
    else if (waits || this.#core.leases.of(id) !== undefined) this.#doubts.delete(id);
    else this.#doubts.set(id, { fence, run, told: true });
  }
}
