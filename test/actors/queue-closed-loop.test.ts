import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { ActorId, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import type { DeciderSnapshot } from '../../actors/kernel/decider.ts';
import type { ClaimedTask } from '../../actors/ports/store.ts';
import { queueLogic } from '../../actors/queue.ts';
import type { QueueEffect, QueueMessage, QueueState } from '../../actors/queue.ts';
import { workerMachine } from '../../actors/worker.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import { Tree } from '../../supervisors/tree.ts';
import { SimulatedHost } from '../host/simulated-host.ts';

interface Options {
  readonly workers: number;
  readonly capacity: number;
  readonly stealAbove: number;
  readonly tasks: number;
  /** How hints get lost: some while another one is on its way, or every single one, with a sweep instead. */
  readonly hints: 'some' | 'none';
  /** Workers are killed, broken and stopped, and the queue is killed. */
  readonly chaos: boolean;
}

const QUEUE = 'f/queue';
const SWEEP_MS = 500;

interface Lease {
  readonly task: ClaimedTask;
  cancel: (() => void) | undefined;
}

/** A queue and its workers below supervisors, over a store and a runner of a few lines each. */
class Loop extends SimulatedHost {
  readonly done: string[] = [];
  readonly #options: Options;
  readonly #random: Random;
  readonly #waiting: string[] = [];
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
    switch (this.#random.int(5)) {
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

  #queue(): ChildSpec {
    return {
      id: 'queue',
      start: ({ life }) => {
        const { capacity, stealAbove } = this.#options;
        if (life === 1)
          return { logic: queueLogic(this.clock), input: { capacity, stealAbove }, perform: (effect) => this.#perform(effect) };
        // It has forgotten its mailboxes: everything goes back.
        for (const lease of this.#leases.values()) this.#giveBack(lease.task);
        return {
          logic: queueLogic(this.clock),
          input: { capacity, stealAbove, workers: this.#workers },
          perform: (effect) => this.#perform(effect),
        };
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
        this.#soon(() => {
          const tasks = this.#waiting.splice(0, effect.limit).map((name) => this.#lease(name));
          this.#soon(() => this.#tell({ type: 'queue.claimed', tasks, asked: effect.limit }));
        });
        return;
      case 'queue.start':
        for (const { worker, incarnation, task } of effect.starts) this.#start(worker, incarnation, task);
        return;
      case 'queue.release':
      case 'queue.orphan':
        for (const task of effect.tasks) this.#giveBack(task);
        return;
      default:
        expect(effect.type).toBe('queue.stole');
    }
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
    });
  }

  #lease(name: string): ClaimedTask {
    const fence = (this.#fences.get(name) ?? 0) + 1;
    this.#fences.set(name, fence);
    if (this.#leases.has(name)) throw new Error(`${name} is claimed twice`);
    const task: ClaimedTask = {
      id: name,
      kind: 'k',
      version: '1',
      input: '{}',
      priority: 0,
      fence,
      depth: 0,
      parentId: null,
      leaseUntilMs: Infinity,
    };
    this.#leases.set(name, { task, cancel: undefined });
    return task;
  }

  #giveBack(task: ClaimedTask): void {
    const lease = this.#leases.get(task.id);
    if (lease?.task.fence !== task.fence) return;
    lease.cancel?.();
    this.#leases.delete(task.id);
    this.#waiting.unshift(task.id);
    this.#hint();
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

  #soon(act: () => void): () => void {
    return this.host.alarm(this.clock.nowMs() + this.#random.int(30), act);
  }

  /** From a sender of its own each time, so that nothing but the transport orders two messages. */
  #tell(message: QueueMessage): void {
    this.host.send(QUEUE, message, 'work', `world/${this.#random.int(1_000_000)}`);
  }
}

const options = fc.record({
  workers: fc.integer({ min: 1, max: 5 }),
  capacity: fc.constantFrom(1, 2, 4),
  stealAbove: fc.constantFrom(0, 1, 2),
  tasks: fc.integer({ min: 1, max: 60 }),
});

/** Everything has come to rest: all that was submitted is done, and nobody is left waiting. */
function checkDone(loop: Loop, tasks: number): void {
  expect(new Set(loop.done).size).toBe(tasks);
  // A run that was cancelled is not done, so nothing is done twice.
  expect(loop.done).toHaveLength(tasks);
  expect(loop.held).toBe(0);
  expect(loop.state.claiming).toBe(false);
  for (const slot of loop.state.slots) expect(slot).toMatchObject({ mailbox: [], run: null, busy: false, leaving: false });
  expect(loop.state.slots).toHaveLength(loop.workerStates.length);
  for (const state of loop.workerStates) expect(state).toBe('idle');
}

describe('a queue in its world', () => {
  test.prop([fc.integer(), options], { numRuns: 150 })(
    'D12 no wake-up is lost: hints in any order, and some dropped, get every task run',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: false });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 100 })(
    'D12 with every hint dropped, looking now and then gets every task run',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'none', chaos: false });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 150 })(
    'whatever dies meanwhile, a worker, all of them or the queue, every task is run and every worker is back at work',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: true });
      loop.live();
      loop.run(60_000);
      checkDone(loop, given.tasks);
    },
  );

  test.prop([fc.integer(), options], { numRuns: 100 })(
    'L7 after a drain and a stop nothing is held, nobody lives, and no timer is left',
    (seed, given) => {
      const loop = new Loop(seed, { ...given, hints: 'some', chaos: false });
      loop.live();
      loop.host.send(QUEUE, { type: 'queue.drain' }, 'control');
      loop.run(200);
      expect(loop.held).toBe(0);
      loop.host.stop('f', Infinity);
      loop.run(200);
      expect(loop.host.actorCount).toBe(0);
      expect(loop.host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
      expect(new Set(loop.done).size).toBe(loop.done.length);
    },
  );

  test('WS-05 of 20,000 tasks, pushed, taken and stolen in any order, each is run once', () => {
    const loop = new Loop(7, { workers: 5, capacity: 64, stealAbove: 2, tasks: 0, hints: 'some', chaos: false });
    const total = 20_000;
    for (let at = 0; at < total; at += 1) {
      loop.submit(`t${at}`);
      if (at % 50 === 0) loop.run(3);
    }
    loop.run(1_000_000);
    checkDone(loop, total);
  });
});
