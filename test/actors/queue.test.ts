import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { ActorId, Exited, ExitReason } from '../../actors/kernel/effects.ts';
import type { ClaimedTask } from '../../actors/ports/store.ts';
import { decide, initial } from '../../actors/queue.ts';
import type { QueueEffect, QueueInput, QueueMessage, QueueState, Slot } from '../../actors/queue.ts';

const task = (name: string | number, fence = 1): ClaimedTask => ({
  id: `t${name}`,
  kind: 'k',
  version: '1',
  input: '{}',
  priority: 0,
  fence,
  depth: 0,
  parentId: null,
  leaseUntilMs: 60_000,
});

const tasks = (count: number, from = 0): ClaimedTask[] => Array.from({ length: count }, (_, at) => task(from + at));

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const one of Object.values(value)) deepFreeze(one);
  return Object.freeze(value);
}

/** A queue that is told one message after another, its states and messages frozen. */
class Bench {
  state: QueueState;
  effects: readonly QueueEffect[];

  constructor(input: QueueInput) {
    [this.state, this.effects] = deepFreeze(initial(input));
  }

  tell(message: QueueMessage): readonly QueueEffect[] {
    [this.state, this.effects] = deepFreeze(decide(this.state, deepFreeze(message)));
    return this.effects;
  }

  join(worker: ActorId, incarnation = 1): readonly QueueEffect[] {
    return this.tell({ type: 'queue.joined', worker, incarnation });
  }

  leave(worker: ActorId): readonly QueueEffect[] {
    return this.tell({ type: 'queue.leaving', worker });
  }

  give(given: readonly ClaimedTask[], asked = given.length + 1): readonly QueueEffect[] {
    return this.tell({ type: 'queue.claimed', tasks: given, asked });
  }

  end(...runs: readonly ClaimedTask[]): readonly QueueEffect[] {
    return this.tell({ type: 'queue.ended', runs });
  }

  exit(worker: ActorId, incarnation = 1, reason: ExitReason = { at: 'killed' }): readonly QueueEffect[] {
    return this.tell(exited(worker, incarnation, reason));
  }

  slot(worker: ActorId): Slot {
    return this.state.slots.find((slot) => slot.worker === worker)!;
  }

  mailbox(worker: ActorId): string[] {
    return this.slot(worker).mailbox.map(({ id }) => id);
  }

  run(worker: ActorId): string | undefined {
    return this.slot(worker).run?.id;
  }
}

function exited(worker: ActorId, incarnation: number, reason: ExitReason): Exited {
  return { type: 'exited', id: worker, incarnation, started: true, reason };
}

const of = <T extends QueueEffect['type']>(effects: readonly QueueEffect[], type: T): Extract<QueueEffect, { type: T }>[] =>
  effects.filter((effect): effect is Extract<QueueEffect, { type: T }> => effect.type === type);

const toldTo = (effects: readonly QueueEffect[], worker: ActorId): string[] =>
  of(effects, 'send').flatMap(({ to, message }) => (to === worker ? [message.type] : []));

describe('claiming', () => {
  test('a queue asks for what fits once it has a worker, and for nothing before', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    expect(queue.effects).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(queue.join('a')).toEqual([{ type: 'queue.claim', limit: 5 }]);
  });

  test('there is one claim at a time; a hint during it leads to another one afterwards', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.join('b'), 'queue.claim')).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(of(queue.give([]), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 10 }]);
    expect(of(queue.give([]), 'queue.claim')).toEqual([]);
  });

  test('a claim that got less than it asked for is the last until there is a hint', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    queue.give([task(1)], 5);
    expect(of(queue.end(task(1)), 'queue.claim')).toEqual([]);
    expect(of(queue.tell({ type: 'queue.ready' }), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 5 }]);
  });

  test('a claim that got all it asked for is followed by another, once half of the room is free', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.give(tasks(5), 5), 'queue.claim')).toEqual([]);
    expect(queue.mailbox('a')).toEqual(['t1', 't2', 't3', 't4']);
    expect(of(queue.end(task(0)), 'queue.claim')).toEqual([]);
    expect(of(queue.end(task(1)), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 2 }]);
  });

  test('a hint while there is no room is remembered until there is', () => {
    const queue = new Bench({ capacity: 2, stealAbove: 2 });
    queue.join('a');
    queue.give(tasks(3), 4);
    expect(queue.tell({ type: 'queue.ready' })).toEqual([]);
    expect(of(queue.end(task(0)), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 1 }]);
  });

  test('the late answer to a claim of a former incarnation is taken, and forgets no hint', () => {
    const queue = new Bench({ capacity: 2, stealAbove: 2 });
    queue.join('a');
    queue.give([], 3);
    queue.leave('a');
    queue.tell({ type: 'queue.ready' });
    expect(of(queue.give([], 3), 'queue.claim')).toEqual([]);
    expect(of(queue.join('a', 2), 'queue.claim')).toEqual([{ type: 'queue.claim', limit: 3 }]);
    queue.give([task(0)], 1);
    expect(queue.run('a')).toBe('t0');
  });

  test('what comes is spread over the shallowest mailboxes, and started where a worker is free', () => {
    const queue = new Bench({ capacity: 3, stealAbove: 3 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(5));
    expect([queue.run('a'), queue.run('b')]).toEqual(['t0', 't1']);
    expect([queue.mailbox('a'), queue.mailbox('b')]).toEqual([['t2', 't4'], ['t3']]);
    expect(of(queue.effects, 'queue.start')).toEqual([
      {
        type: 'queue.start',
        starts: [
          { worker: 'a', incarnation: 1, task: task(0) },
          { worker: 'b', incarnation: 1, task: task(1) },
        ],
      },
    ]);
  });

  test('what does not fit, or finds no worker, goes back', () => {
    const queue = new Bench({ capacity: 2, stealAbove: 2 });
    queue.join('a');
    expect(of(queue.give(tasks(5)), 'queue.release')).toEqual([{ type: 'queue.release', tasks: [task(3), task(4)] }]);
    queue.exit('a');
    expect(of(queue.give(tasks(2, 10)), 'queue.release')).toEqual([{ type: 'queue.release', tasks: tasks(2, 10) }]);
  });

  test('a queue that was started again tells its workers, so that they join once more', () => {
    const queue = new Bench({ capacity: 2, stealAbove: 2, workers: ['a', 'b'] });
    expect(queue.effects.map((effect) => [(effect as { to?: string }).to, (effect as { message?: object }).message])).toEqual([
      ['a', { type: 'queue.opened' }],
      ['b', { type: 'queue.opened' }],
    ]);
    expect(queue.join('a', 4)).toEqual([{ type: 'queue.claim', limit: 3 }]);
    expect(queue.join('a', 4)).toEqual([]);
  });
});

describe('workers', () => {
  test('a worker is told when it gets something to do and when it has nothing left, not for every task', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    expect(toldTo(queue.give(tasks(2)), 'a')).toEqual(['worker.busy']);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(1)), 'a')).toEqual(['worker.idle']);
  });

  test('while a claim is under way nobody is idle yet', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 2 });
    queue.join('a');
    queue.give([task(0)], 1);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual([]);
    expect(toldTo(queue.give([task(1)], 5), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(1)), 'a')).toEqual(['worker.idle']);
  });

  test('a worker that leaves ends its run, gives its mailbox to the others, and is told once that it may go', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(6));
    expect(toldTo(queue.leave('a'), 'a')).toEqual([]);
    expect(queue.mailbox('a')).toEqual([]);
    expect(queue.mailbox('b').toSorted()).toEqual(['t2', 't3', 't4', 't5']);
    expect(toldTo(queue.give([task(9)]), 'a')).toEqual([]);
    expect(toldTo(queue.end(task(0)), 'a')).toEqual(['worker.drained']);
    expect(queue.state.slots.map(({ worker }) => worker)).toEqual(['b']);
    expect(toldTo(queue.end(task(1)), 'a')).toEqual([]);
  });

  test('one that has nothing, or is not known, may go at once', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    expect(toldTo(queue.leave('a'), 'a')).toEqual(['worker.drained']);
    expect(toldTo(queue.leave('never seen'), 'never seen')).toEqual(['worker.drained']);
  });

  test('the mailbox of a dead worker goes to the others, its run is an orphan with the reason of the death', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(4));
    const reason: ExitReason = { at: 'error', error: 'broken' };
    expect(of(queue.exit('a', 1, reason), 'queue.orphan')).toEqual([{ type: 'queue.orphan', tasks: [task(0)], reason }]);
    expect(queue.mailbox('b')).toEqual(['t3', 't2']);
    expect(queue.exit('a', 1, reason)).toEqual([]);
  });

  test('a successor that joins before the news of the death inherits the mailbox and not the run', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a', 1);
    queue.give(tasks(3));
    expect(of(queue.join('a', 2), 'queue.orphan')).toEqual([{ type: 'queue.orphan', tasks: [task(0)], reason: { at: 'killed' } }]);
    expect(queue.run('a')).toBe('t1');
    expect(queue.mailbox('a')).toEqual(['t2']);
    expect(queue.exit('a', 1)).toEqual([]);
    expect(queue.run('a')).toBe('t1');
  });

  test('late news of an older incarnation changes nothing', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a', 5);
    queue.give(tasks(2));
    const before = queue.state;
    queue.join('a', 5);
    queue.join('a', 4);
    queue.exit('a', 4);
    queue.exit('b', 1);
    queue.tell({ type: 'stray' } as never);
    expect(queue.state).toBe(before);
  });

  test('a run ends under its own fence and no other', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.give([task(0, 7)]);
    queue.end(task(0, 6));
    expect(queue.run('a')).toBe('t0');
    queue.end(task(0, 6), task(0, 7));
    expect(queue.run('a')).toBeUndefined();
  });

  test('a lease that is gone leaves the mailbox, under its own fence; a run is not touched', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 4 });
    queue.join('a');
    queue.give(tasks(3));
    queue.tell({ type: 'queue.revoked', tasks: [task(0), task(1), task(2, 2)] });
    expect(queue.run('a')).toBe('t0');
    expect(queue.mailbox('a')).toEqual(['t2']);
  });

  test('L7 draining gives back all that waits, claims nothing, and lets runs end', () => {
    const queue = new Bench({ capacity: 4, stealAbove: 1 });
    queue.join('a');
    queue.join('b');
    queue.give(tasks(5), 5);
    expect(of(queue.tell({ type: 'queue.drain' }), 'queue.release')).toEqual([
      { type: 'queue.release', tasks: [task(2), task(4), task(3)] },
    ]);
    expect([queue.run('a'), queue.run('b')]).toEqual(['t0', 't1']);
    expect(of(queue.give(tasks(2, 10)), 'queue.release')).toEqual([{ type: 'queue.release', tasks: tasks(2, 10) }]);
    queue.tell({ type: 'queue.ready' });
    expect(toldTo(queue.end(task(0)), 'a')).toEqual(['worker.idle']);
    expect(of(queue.join('c'), 'queue.claim')).toEqual([]);
    expect(toldTo(queue.leave('a'), 'a')).toEqual(['worker.drained']);
  });
});

describe('stealing', () => {
  /** A victim that runs one task and has `depth` more in its mailbox, and a thief that has just come. */
  function robbed(depth: number, stealAbove: number, capacity = 400): Bench {
    const queue = new Bench({ capacity, stealAbove });
    queue.join('victim');
    queue.give(tasks(depth + 1, -1));
    expect(queue.slot('victim').mailbox).toHaveLength(depth);
    queue.join('thief');
    return queue;
  }

  test('WS-02 a steal takes half, rounded up, whatever the size, and every task is there once', () => {
    for (let depth = 0; depth <= 255; depth += 1) {
      const queue = robbed(depth, 0);
      const stolen = [queue.run('thief'), ...queue.mailbox('thief')].filter((id) => id !== undefined);
      expect(stolen).toHaveLength(Math.ceil(depth / 2));
      expect([...stolen, ...queue.mailbox('victim')]).toEqual(tasks(depth).map(({ id }) => id));
    }
  });

  test('WS-07 the oldest behind the threshold are stolen first, and stay in order', () => {
    const queue = robbed(9, 3);
    expect([queue.run('thief'), ...queue.mailbox('thief')]).toEqual(['t3', 't4', 't5']);
    expect(queue.mailbox('victim')).toEqual(['t0', 't1', 't2', 't6', 't7', 't8']);
    expect(of(queue.effects, 'queue.stole')).toEqual([{ type: 'queue.stole', thief: 'thief', victim: 'victim', count: 3 }]);
    expect(of(queue.effects, 'queue.start')).toEqual([
      { type: 'queue.start', starts: [{ worker: 'thief', incarnation: 1, task: task(3) }] },
    ]);
  });

  test('WS-11 only above the threshold, and only by one who has nothing at all', () => {
    expect(of(robbed(4, 4).effects, 'queue.stole')).toEqual([]);
    expect(of(robbed(5, 4).effects, 'queue.stole')).toMatchObject([{ count: 1 }]);
    const queue = new Bench({ capacity: 20, stealAbove: 4 });
    queue.join('thief');
    queue.give([task('own'), task('own too')]);
    queue.join('victim');
    queue.give(tasks(12));
    const before = queue.slot('victim').mailbox.length;
    expect(before).toBeGreaterThan(4);
    expect(of(queue.end(task('own')), 'queue.stole')).toEqual([]);
    expect(queue.run('thief')).toBe('town too');
    expect(queue.slot('victim').mailbox).toHaveLength(before);
  });

  test('WS-12 what runs is never stolen; a stolen task keeps its fence and is credited to the thief', () => {
    const queue = robbed(3, 0);
    expect(queue.run('victim')).toBe('t-1');
    expect(queue.run('thief')).toBe('t0');
    expect(queue.slot('thief').run).toEqual(task(0));
    queue.end(task(0));
    expect(queue.run('thief')).toBe('t1');
    expect(queue.run('victim')).toBe('t-1');
  });

  test('the deepest mailbox is robbed, and a second thief robs whoever is deepest then', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 1 });
    queue.join('a');
    queue.give(tasks(5));
    queue.join('b');
    queue.join('c');
    queue.join('d');
    // a: run and 4, b takes 2 of the 3 behind the threshold (1 runs, 1 stays), c takes the last one.
    expect([queue.run('a'), queue.run('b'), queue.run('c'), queue.run('d')]).toEqual(['t0', 't2', 't4', undefined]);
    expect([queue.mailbox('a'), queue.mailbox('b'), queue.mailbox('c')]).toEqual([['t1'], ['t3'], []]);
  });

  test('nobody is robbed of what it is about to start itself', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 0 });
    for (const worker of ['a', 'b']) queue.join(worker);
    queue.give(tasks(4));
    queue.end(task(0));
    expect([queue.run('a'), queue.run('b')]).toEqual(['t2', 't1']);
    expect(queue.mailbox('b')).toEqual(['t3']);
    // Both are free at once: a, who has nothing, comes too late for the only task of b.
    queue.end(task(2), task(1));
    expect([queue.run('a'), queue.run('b')]).toEqual([undefined, 't3']);
    expect(of(queue.effects, 'queue.stole')).toEqual([]);
  });

  test('nobody who leaves steals, and nobody steals while draining', () => {
    const queue = new Bench({ capacity: 20, stealAbove: 0 });
    queue.join('thief');
    queue.give([task('own')]);
    queue.join('victim');
    queue.give(tasks(10));
    queue.leave('thief');
    expect(of(queue.end(task('own')), 'queue.stole')).toEqual([]);
  });
});

// ── Any history ────────────────────────────────────────────────────────────────────────────────

type Step =
  | { readonly at: 'join'; readonly who: number }
  | { readonly at: 'join late'; readonly who: number }
  | { readonly at: 'leave'; readonly who: number }
  | { readonly at: 'exit'; readonly who: number }
  | { readonly at: 'stale exit'; readonly who: number }
  | { readonly at: 'ready' }
  | { readonly at: 'claimed'; readonly share: number }
  | { readonly at: 'claimed unasked'; readonly count: number }
  | { readonly at: 'ended'; readonly which: readonly number[] }
  | { readonly at: 'revoked'; readonly which: readonly number[] }
  | { readonly at: 'drain' };

/** Where a task is, by what the queue was told and what it answered. */
type Place = 'here' | 'released' | 'orphaned' | 'ended' | 'revoked';

function check(holds: boolean, violation: string): void {
  if (!holds) throw new Error(violation);
}

function same(actual: readonly string[], expected: readonly string[], what: string): void {
  check(actual.join() === expected.join(), `${what}: ${actual.join()} instead of ${expected.join()}`);
}

/** Keeps the books of a queue from outside, and says what is wrong. */
class Books {
  readonly queue: Bench;
  readonly places = new Map<string, Place>();
  readonly reached: Record<string, number> = {};
  readonly #input: QueueInput;
  readonly #incarnations = new Map<ActorId, number>();
  readonly #leftOnce = new Set<string>();
  readonly #drainedOnce = new Set<string>();
  readonly #died = new Set<string>();
  readonly #toldBusy = new Map<string, boolean>();
  #claim: number | undefined;
  #count = 0;

  constructor(input: QueueInput) {
    this.#input = input;
    this.queue = new Bench(input);
  }

  take(step: Step): void {
    const worker = 'who' in step ? `w${step.who}` : '';
    const incarnation = this.#incarnations.get(worker) ?? 0;
    const alive = this.queue.state.slots.some((slot) => slot.worker === worker);
    switch (step.at) {
      case 'join':
      case 'join late':
        // Late: its former life is still here.
        if (alive === (step.at === 'join')) return;
        this.#died.add(`${worker}#${incarnation}`);
        this.#incarnations.set(worker, incarnation + 1);
        return this.#tell({ type: 'queue.joined', worker, incarnation: incarnation + 1 });
      case 'leave':
        if (this.#leftOnce.has(`${worker}#${incarnation}`)) return;
        this.#leftOnce.add(`${worker}#${incarnation}`);
        return this.#tell({ type: 'queue.leaving', worker });
      case 'exit':
        this.#died.add(`${worker}#${incarnation}`);
        return this.#tell(exited(worker, incarnation, { at: 'killed' }));
      case 'stale exit':
        return this.#tell(exited(worker, incarnation - 1, { at: 'killed' }));
      case 'ready':
        return this.#tell({ type: 'queue.ready' });
      case 'claimed': {
        if (this.#claim === undefined) return;
        const asked = this.#claim;
        this.#claim = undefined;
        return this.#tell({ type: 'queue.claimed', tasks: this.#fresh(Math.floor(step.share * (asked + 1))), asked });
      }
      case 'claimed unasked':
        // The answer to a claim of a former incarnation of the queue.
        this.#claim = undefined;
        return this.#tell({ type: 'queue.claimed', tasks: this.#fresh(step.count), asked: step.count });
      case 'ended':
        return this.#tell({ type: 'queue.ended', runs: this.#some(step.which) });
      case 'revoked':
        return this.#tell({ type: 'queue.revoked', tasks: this.#some(step.which) });
      case 'drain':
        return this.#tell({ type: 'queue.drain' });
    }
  }

  #fresh(count: number): ClaimedTask[] {
    return Array.from({ length: count }, () => task((this.#count += 1), 1 + (this.#count % 3)));
  }

  /** Tasks from anywhere, also such as have gone. */
  #some(which: readonly number[]): ClaimedTask[] {
    const here = this.#here();
    if (here.length === 0) return [];
    const names = which.map((at) => (at % 3 === 0 ? 1 + (at % this.#count) : Number(here[at % here.length]!.slice(1))));
    return [...new Set(names)].map((name) => task(name, 1 + (name % 3)));
  }

  #here(): string[] {
    return [...this.places].flatMap(([id, place]) => (place === 'here' ? [id] : []));
  }

  #tell(message: QueueMessage): void {
    const before = this.queue.state;
    const effects = this.queue.tell(message);
    const after = this.queue.state;
    this.#place(before, message, effects);
    this.#account(after);
    this.#bounds(after);
    this.#starts(before, after, effects);
    this.#steals(before, message, after, effects);
    this.#claims(after, effects);
    this.#told(after, effects);
    this.reached[message.type] = (this.reached[message.type] ?? 0) + 1;
    for (const { type } of effects) this.reached[type] = (this.reached[type] ?? 0) + 1;
  }

  #place(before: QueueState, message: QueueMessage, effects: readonly QueueEffect[]): void {
    const move = ({ id }: { readonly id: string }, to: Place): void => {
      check(this.places.get(id) === 'here', `${id} is ${to} and was ${this.places.get(id)}`);
      this.places.set(id, to);
    };
    if (message.type === 'queue.claimed') for (const { id } of message.tasks) this.places.set(id, 'here');
    const over = new Set((message.type === 'queue.ended' ? message.runs : []).map(({ id }) => id));
    for (const { run } of before.slots) if (run !== null && over.has(run.id)) move(run, 'ended');
    const gone = new Set((message.type === 'queue.revoked' ? message.tasks : []).map(({ id }) => id));
    for (const { mailbox } of before.slots) for (const one of mailbox) if (gone.has(one.id)) move(one, 'revoked');
    for (const effect of of(effects, 'queue.release')) for (const one of effect.tasks) move(one, 'released');
    for (const effect of of(effects, 'queue.orphan')) for (const one of effect.tasks) move(one, 'orphaned');
  }

  /** Every task is in one place only, and none has disappeared. */
  #account({ slots }: QueueState): void {
    const held = slots.flatMap(({ mailbox, run }) => [...mailbox, ...(run === null ? [] : [run])]).map(({ id }) => id);
    check(new Set(held).size === held.length, 'a task is in two places');
    same(held.toSorted(), this.#here().toSorted(), 'tasks that are here');
  }

  #bounds({ slots, draining }: QueueState): void {
    check(new Set(slots.map(({ worker }) => worker)).size === slots.length, 'a worker has two slots');
    for (const { mailbox, run, leaving } of slots) {
      check(mailbox.length <= this.#input.capacity, 'a mailbox is beyond its capacity');
      if (leaving || draining) check(mailbox.length === 0, 'a mailbox has not been given back');
      if (run === null) check(mailbox.length === 0, 'somebody is idle over a mailbox');
      if (leaving) check(run !== null, 'who leaves with nothing left is still here');
    }
  }

  /** What runs goes on where it is; what newly runs is started there, and nothing else is. */
  #starts(before: QueueState, after: QueueState, effects: readonly QueueEffect[]): void {
    const starts = of(effects, 'queue.start').flatMap((effect) => effect.starts);
    const key = ({ worker, incarnation }: Slot, run: ClaimedTask): string => `${worker}#${incarnation} ${run.id}`;
    const runs = ({ slots }: QueueState): string[] => slots.flatMap((slot) => (slot.run === null ? [] : [key(slot, slot.run)]));
    const ran = new Set(runs(before));
    const started = starts.map((start) => `${start.worker}#${start.incarnation} ${start.task.id}`);
    same(
      started.toSorted(),
      runs(after)
        .filter((run) => !ran.has(run))
        .toSorted(),
      'what starts',
    );
    for (const run of before.slots.flatMap((slot) => (slot.run === null ? [] : [slot.run.id]))) {
      const where = after.slots.find((slot) => slot.run?.id === run);
      check(where === undefined || ran.has(key(where, where.run!)), `${run} has been moved while it ran`);
    }
  }

  /** Whatever moved between two workers that both stay was stolen, by the rules. */
  #steals(before: QueueState, message: QueueMessage, after: QueueState, effects: readonly QueueEffect[]): void {
    const { stealAbove } = this.#input;
    const staying = new Map(after.slots.filter(({ leaving }) => !leaving).map((slot) => [slot.worker, slot]));
    const steals = of(effects, 'queue.stole');
    let moved = 0;
    for (const { worker, incarnation, mailbox } of before.slots) {
      const still = staying.get(worker);
      if (still?.incarnation !== incarnation) continue;
      for (const [at, one] of mailbox.entries()) {
        const now = after.slots.find((slot) => slot.run?.id === one.id || slot.mailbox.some(({ id }) => id === one.id));
        if (now === undefined || now.worker === worker) continue;
        moved += 1;
        const revokedAhead =
          message.type === 'queue.revoked' ? mailbox.slice(0, at).filter((ahead) => this.places.get(ahead.id) === 'revoked').length : 0;
        check(at - revokedAhead >= stealAbove, `${one.id} was stolen from before the threshold`);
        const thief = before.slots.find((slot) => slot.worker === now.worker && slot.incarnation === now.incarnation);
        const emptied = thief?.mailbox.every(({ id }) => this.places.get(id) === 'revoked') ?? true;
        check(emptied, 'the thief had something');
        check(thief === undefined || thief.run === null || this.places.get(thief.run.id) === 'ended', 'the thief was at work');
      }
      // What stays keeps its order.
      const kept = [...(still.run === null ? [] : [still.run]), ...still.mailbox]
        .map(({ id }) => id)
        .filter((id) => mailbox.some((one) => one.id === id));
      const mine = new Set(kept);
      same(
        kept,
        mailbox.map(({ id }) => id).filter((id) => mine.has(id)),
        'what stays',
      );
    }
    // Another message may first place tasks, or empty a mailbox, and then steal from the outcome.
    if (message.type === 'queue.ended') {
      const counted = steals.reduce((sum, { count }) => sum + count, 0);
      check(moved <= counted, 'more was stolen than was said');
      if (steals.length === 1) {
        const [{ victim, count }] = steals as [(typeof steals)[0]];
        const { mailbox, run } = before.slots.find(({ worker }) => worker === victim)!;
        // A victim that is free as well has started its next before the thief comes.
        const depth = mailbox.length - (run === null || this.places.get(run.id) === 'ended' ? 1 : 0);
        check(count === Math.ceil((depth - stealAbove) / 2), `${count} of ${depth} were stolen`);
        check(moved === count, 'something else was stolen than was said');
      }
    }
  }

  #claims({ slots, draining }: QueueState, effects: readonly QueueEffect[]): void {
    const asked = of(effects, 'queue.claim');
    if (asked.length === 0) return;
    check(asked.length === 1 && this.#claim === undefined, 'two claims at a time');
    check(!draining, 'a claim while draining');
    const room = slots.reduce(
      (sum, { leaving, mailbox, run }) => sum + (leaving ? 0 : this.#input.capacity - mailbox.length + (run === null ? 1 : 0)),
      0,
    );
    check(asked[0]!.limit > 0 && asked[0]!.limit <= room, `${asked[0]!.limit} are claimed for ${room} places`);
    this.#claim = asked[0]!.limit;
  }

  #told({ slots, claiming }: QueueState, effects: readonly QueueEffect[]): void {
    for (const effect of of(effects, 'send')) {
      const life = `${effect.to}#${this.#incarnations.get(effect.to) ?? 0}`;
      if (effect.message.type === 'worker.drained') {
        check(this.#leftOnce.has(life), `${life} is let go unasked`);
        check(!this.#drainedOnce.has(life), `${life} is let go twice`);
        this.#drainedOnce.add(life);
        continue;
      }
      const busy = effect.message.type === 'worker.busy';
      check(busy || effect.message.type === 'worker.idle', `${life} is told ${effect.message.type}`);
      check((this.#toldBusy.get(life) ?? false) !== busy, `${life} is told ${effect.message.type} twice`);
      this.#toldBusy.set(life, busy);
    }
    for (const { worker, incarnation, run } of slots) {
      const told = this.#toldBusy.get(`${worker}#${incarnation}`) ?? false;
      if (run !== null) check(told, `${worker} works and has not been told`);
      else check(claiming || !told, `${worker} has nothing and has not been told`);
    }
    // Whoever asked to leave and still has a run waits; all others have been told.
    for (const life of this.#leftOnce) {
      const slot = slots.find(({ worker, incarnation }) => `${worker}#${incarnation}` === life);
      check(
        slot === undefined ? this.#drainedOnce.has(life) || this.#died.has(life) : slot.leaving && !this.#drainedOnce.has(life),
        `${life} waits to be let go`,
      );
    }
  }

  /** Ends all that runs until nobody works, and then lets everybody leave. */
  finish(): void {
    this.take({ at: 'drain' });
    this.take({ at: 'claimed', share: 0.99 });
    for (const { mailbox } of this.queue.state.slots) expect(mailbox).toEqual([]);
    this.#tell({ type: 'queue.ended', runs: this.queue.state.slots.flatMap(({ run }) => (run === null ? [] : [run])) });
    for (const { worker, run } of this.queue.state.slots) {
      expect(run).toBeNull();
      this.take({ at: 'leave', who: Number(worker.slice(1)) });
    }
    expect(this.queue.state.slots).toEqual([]);
    expect([...this.places.values()]).not.toContain('here');
  }
}

const who = fc.nat({ max: 4 });
const which = fc.array(fc.nat({ max: 200 }), { maxLength: 6, size: 'max' });
const share = fc.double({ min: 0, max: 0.999, noNaN: true });

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ at: fc.constant('join' as const), who }) },
    { weight: 2, arbitrary: fc.record({ at: fc.constant('join late' as const), who }) },
    { weight: 3, arbitrary: fc.record({ at: fc.constant('leave' as const), who }) },
    { weight: 3, arbitrary: fc.record({ at: fc.constant('exit' as const), who }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('stale exit' as const), who }) },
    { weight: 4, arbitrary: fc.constant({ at: 'ready' as const }) },
    { weight: 12, arbitrary: fc.record({ at: fc.constant('claimed' as const), share: fc.oneof(share, fc.constant(0.999)) }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('claimed unasked' as const), count: fc.nat({ max: 12 }) }) },
    { weight: 20, arbitrary: fc.record({ at: fc.constant('ended' as const), which }) },
    { weight: 4, arbitrary: fc.record({ at: fc.constant('revoked' as const), which }) },
  ),
  { maxLength: 60, size: 'max' },
);

const scene = fc.noBias(
  fc.record({
    input: fc.record({ capacity: fc.constantFrom(1, 2, 3, 5, 8), stealAbove: fc.constantFrom(0, 1, 2, 4) }),
    steps,
    drainAt: fc.option(fc.nat({ max: 60 }), { freq: 4 }),
  }),
);

function play({
  input,
  steps: history,
  drainAt,
}: {
  readonly input: QueueInput;
  readonly steps: readonly Step[];
  readonly drainAt: number | null;
}): Books {
  const books = new Books(input);
  for (const [at, step] of history.entries()) {
    if (at === drainAt) books.take({ at: 'drain' });
    books.take(step);
  }
  books.finish();
  return books;
}

describe('any history', () => {
  test.prop([scene], { numRuns: 2_000 })(
    'S13 every task is in one place only, none disappears, and every rule above holds at every step',
    (given) => {
      play(given);
    },
  );

  test('those histories reach what they are about', () => {
    const reached: Record<string, number> = {};
    for (const given of fc.sample(scene, { seed: 1, numRuns: 300 })) {
      for (const [what, times] of Object.entries(play(given).reached)) reached[what] = (reached[what] ?? 0) + times;
    }
    for (const what of ['queue.stole', 'queue.orphan', 'queue.release', 'queue.revoked', 'queue.claim', 'queue.start', 'send']) {
      expect(reached[what], `${what} is reached`).toBeGreaterThan(50);
    }
  });
});
