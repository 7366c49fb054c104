/** Loop: a queue and its workers below supervisors, over a store and a runner of a few lines each. */
import { expect } from 'vitest';
import { seededRandom } from '../../../actors/kernel/random.ts';
import type { Random } from '../../../actors/kernel/random.ts';
import type { ActorId, Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import type { DeciderSnapshot } from '../../../actors/kernel/decider.ts';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { queueLogic } from '../../../actors/queue.ts';
import type { Mailboxes, QueueEffect, QueueMessage, QueueMode, QueueState } from '../../../actors/queue.ts';
import { task as named } from './bench.ts';
import { workerMachine } from '../../../actors/worker.ts';
import type { ChildSpec, SupervisorSpec } from '../../../supervisors/spec.ts';
import { Tree } from '../../../supervisors/tree.ts';
import { SimulatedHost } from '../../host/simulated-host.ts';

export interface Options extends Mailboxes {
  readonly workers: number;
  readonly tasks: number;
  /** How hints get lost: some while another one is on its way, or every single one, with a sweep instead. */
  readonly hints: 'some' | 'none';
  /** Of 11 tasks so many want the same worker; of the others some want any. Default 0. */
  readonly hot?: number;
  /** A third of the tasks each has priority 0, 1 and 2. Default false: all have 0. */
  readonly urgent?: boolean;
  /** What a level of priority is worth. Default 60,000. */
  readonly agingMs?: number;
  /** How long a run takes at most. Default 30. */
  readonly longestMs?: number;
  /** Workers are killed, broken and stopped, the queue is killed, and told to work otherwise. */
  readonly chaos: boolean;
}

export const QUEUE = 'f/queue';
const SWEEP_MS = 500;

interface Lease {
  readonly task: ClaimedTask;
  cancel: (() => void) | undefined;
}

export class Loop extends SimulatedHost {
  readonly done: string[] = [];
  readonly #options: Options;
  readonly #random: Random;
  /** How often each task was claimed, was spilled, and came back unused. */
  readonly claims = new Map<string, number>();
  readonly spills = new Map<string, number>();
  readonly releases = new Map<string, number>();
  commands = 0;
  readonly #submittedMs = new Map<string, number>();
  readonly #waiting: string[] = [];
  readonly #boxes = new Map<string, string[]>();
  /** What each box has been told and not done. */
  readonly #orders = new Map<string, (() => void)[]>();
  readonly #fences = new Map<string, number>();
  readonly #leases = new Map<string, Lease>();
  readonly #workers: readonly ActorId[];
  #hintOnItsWay = false;

  constructor(seed: number, options: Options) {
    super(seed);
    this.#options = options;
    this.#random = seededRandom(seed).fork('world');
    this.#workers = Array.from({ length: options.workers }, (_, at) => `f/workers/${at}`);
    const spec = (children: readonly ChildSpec[]): SupervisorSpec => ({
      children,
      intensity: 1e9,
      backoff: { baseMs: 10, capMs: 50 },
    });
    const workers: ChildSpec = { id: 'workers', supervisor: spec(this.#workers.map((_, at) => this.#worker(String(at)))) };
    this.host.spawn({ ...new Tree({ host: this.host }).supervisor('f', spec([this.#queue(), workers])), id: 'f' });
    if (options.hints === 'none') this.#sweep();
  }

  get state(): QueueState {
    return (this.host.snapshotOf(QUEUE) as DeciderSnapshot<QueueState>).state;
  }

  /** What is neither done nor waiting in the store. */
  get held(): number {
    return this.#leases.size;
  }

  get workerStates(): unknown[] {
    return this.#workers.map((id) => (this.host.snapshotOf(id) as { readonly value: unknown } | undefined)?.value);
  }

  submit(name: string): void {
    this.#submittedMs.set(name, this.clock.nowMs());
    this.#waiting.push(name);
    this.#hint();
  }

  /** Lets time pass while tasks come in and things break. */
  live(): void {
    for (let at = 0; at < this.#options.tasks; at += 1) {
      this.submit(`t${at}`);
      if (this.#random.int(3) > 0) this.run(this.#random.int(40));
      if (this.#options.chaos && this.#random.int(6) === 0) this.#break();
    }
  }

  #break(): void {
    const worker = this.#workers[this.#random.int(this.#workers.length)]!;
    switch (this.#random.int(6)) {
      case 5:
        return this.#tell({ type: 'queue.configure', ...this.#otherMailboxes() });
      case 0:
        return this.host.stop(worker, 0);
      case 1:
        return this.host.stop(worker, 1 + this.#random.int(60));
      case 2:
        return this.host.send(worker, { type: 'worker.fail', error: new Error('broken') } as Message);
      case 3:
        return this.host.stop('f/workers', this.#random.int(2) * 30);
      default:
        return this.host.stop(QUEUE, 0);
    }
  }

  #otherMailboxes(): Partial<Mailboxes> {
    const modes: readonly QueueMode[] = ['steal', 'dedicated', 'shared'];
    const some = [{ mode: modes[this.#random.int(3)]! }, { capacity: 1 + this.#random.int(5) }, { stealAbove: this.#random.int(3) }];
    return some[this.#random.int(3)]!;
  }

  #queue(): ChildSpec {
    return {
      id: 'queue',
      start: ({ life }) => {
        const { mode, capacity, stealAbove, agingMs = 60_000 } = this.#options;
        const input = { mode, capacity, stealAbove, agingMs, seed: this.#random.int(1_000) };
        const perform = (effect: OwnEffect): void => this.#perform(effect);
        if (life === 1) return { logic: queueLogic(this.clock), input, perform };
        // It has forgotten its mailboxes: everything goes back.
        for (const lease of this.#leases.values()) this.#giveBack(lease.task);
        return { logic: queueLogic(this.clock), input: { ...input, workers: this.#workers }, perform };
      },
    };
  }

  #worker(id: string): ChildSpec {
    return {
      id,
      shutdownMs: 100,
      start: ({ supervisor, life }) => {
        const input = { self: `${supervisor}/${id}`, queue: QUEUE, incarnation: life, staggerMs: life > 1 ? 0 : Number(id) * 5 };
        return { logic: workerMachine, input, graceful: true, monitors: [QUEUE] };
      },
    };
  }

  #perform(own: OwnEffect): void {
    const effect = own as QueueEffect;
    switch (effect.type) {
      case 'queue.claim':
        this.commands += 1;
        if (effect.box === undefined) this.#soon(() => this.#answer(this.#waiting, effect.limit));
        else this.#order(effect.box, () => this.#answer(this.#box(effect.box!), effect.limit, effect.box));
        return;
      case 'queue.spill':
        for (const { id } of effect.tasks) count(this.spills, id);
        return this.#order(effect.worker, () => {
          for (const task of effect.tasks) if (this.#drop(task)) this.#box(effect.worker).push(task.id);
        });
      case 'queue.unbox':
        return this.#order(effect.worker, () => {
          this.#waiting.unshift(...this.#box(effect.worker).splice(0));
          this.#hint();
        });
      case 'queue.start':
        for (const { worker, incarnation, task } of effect.starts) this.#start(worker, incarnation, task);
        return;
      case 'queue.release':
      case 'queue.orphan':
        for (const task of effect.tasks) {
          if (effect.type === 'queue.release') count(this.releases, task.id);
          this.#giveBack(task);
        }
        return;
      default:
        expect(effect.type).toBe('queue.stole');
    }
  }

  /** The store does what it is told about one box in that order, each a while after the one before. */
  #order(box: string, act: () => void): void {
    const acts = this.#orders.get(box) ?? [];
    this.#orders.set(box, acts);
    acts.push(act);
    if (acts.length === 1) this.#soon(() => this.#obey(acts));
  }

  #obey(acts: (() => void)[]): void {
    acts[0]!();
    acts.shift();
    if (acts.length > 0) this.#soon(() => this.#obey(acts));
  }

  #box(name: string): string[] {
    const box = this.#boxes.get(name) ?? [];
    this.#boxes.set(name, box);
    return box;
  }

  #answer(from: string[], limit: number, box?: string): void {
    from.sort((a, b) => this.#rankOf(a).rank - this.#rankOf(b).rank);
    const tasks = from.splice(0, limit).map((name) => this.#lease(name));
    this.#soon(() => this.#tell({ type: 'queue.claimed', tasks, asked: limit, ...(box === undefined ? {} : { box }) }));
  }

  #start(worker: ActorId, incarnation: number, task: ClaimedTask): void {
    const lease = this.#leases.get(task.id);
    // Given back while the queue was gone.
    if (lease?.task !== task) return this.#tell({ type: 'queue.ended', runs: [task] });
    if (lease.cancel !== undefined) throw new Error(`${task.id} runs twice`);
    const busy = this.state.slots.find((slot) => slot.run === task);
    if (busy?.worker !== worker || busy.incarnation !== incarnation) throw new Error(`${task.id} starts for somebody else`);
    lease.cancel = this.#soon(() => {
      this.#leases.delete(task.id);
      this.done.push(task.id);
      this.#tell({ type: 'queue.ended', runs: [task] });
    }, this.#options.longestMs);
  }

  #lease(name: string): ClaimedTask {
    const fence = (this.#fences.get(name) ?? 0) + 1;
    this.#fences.set(name, fence);
    if (this.#leases.has(name)) throw new Error(`${name} is claimed twice`);
    count(this.claims, name);
    const task: ClaimedTask = {
      ...named('', fence, this.#affinityOf(name)),
      id: name,
      ...this.#rankOf(name),
      leaseUntilMs: this.clock.nowMs(),
    };
    this.#leases.set(name, { task, cancel: undefined });
    return task;
  }

  #rankOf(name: string): Pick<ClaimedTask, 'priority' | 'rank'> {
    const { urgent = false, agingMs = 60_000 } = this.#options;
    const priority = urgent ? Number(name.slice(1)) % 3 : 0;
    return { priority, rank: this.#submittedMs.get(name)! - priority * agingMs };
  }

  #affinityOf(name: string): string | null {
    const { hot = 0 } = this.#options;
    const nth = Number(name.slice(1));
    if (nth % 11 < hot) return 'hot';
    return hot > 0 && nth % 2 === 0 ? `a${nth % 7}` : null;
  }

  #giveBack(task: ClaimedTask): void {
    if (!this.#drop(task)) return;
    this.#waiting.unshift(task.id);
    this.#hint();
  }

  /** False when its lease was gone already. */
  #drop(task: ClaimedTask): boolean {
    const lease = this.#leases.get(task.id);
    if (lease?.task.fence !== task.fence) return false;
    lease.cancel?.();
    this.#leases.delete(task.id);
    return true;
  }

  /** A hint, soon; those that come while one is on its way are dropped, or all of them. */
  #hint(): void {
    if (this.#hintOnItsWay || this.#options.hints === 'none') return;
    this.#hintOnItsWay = true;
    this.#soon(() => {
      this.#hintOnItsWay = false;
      this.#tell({ type: 'queue.ready' });
    });
  }

  #sweep(): void {
    this.host.alarm(this.clock.nowMs() + SWEEP_MS, () => {
      if (this.#waiting.length > 0) this.#tell({ type: 'queue.ready' });
      this.#sweep();
    });
  }

  #soon(act: () => void, longestMs = 30): () => void {
    return this.host.alarm(this.clock.nowMs() + this.#random.int(longestMs), act);
  }

  /** From a sender of its own each time, so that nothing but the transport orders two messages. */
  #tell(message: QueueMessage): void {
    this.host.send(QUEUE, message, 'work', `world/${this.#random.int(1_000_000)}`);
  }
}

function count(times: Map<string, number>, id: string): void {
  times.set(id, (times.get(id) ?? 0) + 1);
}
