/** Planted faults: for each class of deadlock a faulty skeleton, and the construction that makes it impossible. */
import {
  acquire,
  ask,
  attempt,
  end,
  go,
  join,
  park,
  receive,
  release,
  reply,
  resume,
  send,
  spawn,
} from '../../../src/testing/explore/skeleton.ts';
import type { ProcessClass, Skeleton } from '../../../src/testing/explore/skeleton.ts';

export interface Planted {
  readonly faulty: Skeleton;
  readonly correct: Skeleton;
}

const holder = (name: string, first: string, second: string, count = 1): ProcessClass => ({
  name,
  count,
  start: 'idle',
  states: {
    idle: [acquire(first, 'half')],
    half: [acquire(second, 'works', { progress: true })],
    works: [release('all', 'idle')],
  },
});

const vectorHolder = (name: string, needs: readonly string[], count = 1): ProcessClass => ({
  name,
  count,
  start: 'idle',
  states: { idle: [acquire(needs, 'works', { progress: true })], works: [release('all', 'idle')] },
});

/** D1: locks taken one by one in opposite orders; sorted, all or nothing. */
export const locks: Planted = {
  faulty: { name: 'locks', resources: { a: 1, b: 1 }, processes: [holder('one', 'a', 'b'), holder('other', 'b', 'a')] },
  correct: {
    name: 'locks, sorted and all at once',
    resources: { a: 1, b: 1 },
    processes: [vectorHolder('one', ['a', 'b']), vectorHolder('other', ['a', 'b'])],
  },
};

/** D2: permits of one dependency asked for while holding those of another; one vector. */
export const permits: Planted = {
  faulty: {
    name: 'permits',
    resources: { model: 2, crm: 2 },
    processes: [holder('writer', 'model', 'crm', 4), holder('reader', 'crm', 'model', 4)],
  },
  correct: {
    name: 'permits, one vector',
    resources: { model: 2, crm: 2 },
    processes: [vectorHolder('writer', ['model', 'crm'], 4), vectorHolder('reader', ['model', 'crm'], 4)],
  },
};

const DEPTH = 3;

/** D3: a chain of asks inside one pool; the asker gives its worker back while it waits. */
export const pool: Planted = {
  faulty: {
    name: 'a pool',
    resources: { worker: 1 },
    processes: Array.from({ length: DEPTH }, (_, depth): ProcessClass => ({
      name: `task at depth ${depth}`,
      count: depth === 0 ? 1 : 0,
      start: 'queued',
      rests: [],
      states: {
        queued: [acquire('worker', 'runs')],
        runs: depth === DEPTH - 1 ? [end()] : [spawn(`task at depth ${depth + 1}`, 'waits')],
        waits: [join('done')],
        done: [end()],
      },
    })),
  },
  correct: {
    name: 'a pool, with parking',
    resources: { worker: 1 },
    processes: Array.from({ length: DEPTH }, (_, depth): ProcessClass => ({
      name: `task at depth ${depth}`,
      count: depth === 0 ? 3 : 0,
      start: 'queued',
      rests: [],
      states: {
        queued: [acquire('worker', 'runs')],
        runs: depth === DEPTH - 1 ? [end()] : [spawn(`task at depth ${depth + 1}`, 'asked')],
        asked: [park('worker', 'parked', { children: 'some' }), go('done', { children: 'none' })],
        parked: [join('woken')],
        woken: [resume('worker', 'done')],
        done: [end()],
      },
    })),
  },
};

const RING = 3;
const mailboxes = Object.fromEntries(Array.from({ length: RING }, (_, at) => [`mailbox ${at}`, 1]));

/** D4: a turn that waits for room in the next mailbox while its own is full; requests whose reply has a reserved place. */
export const ring: Planted = {
  faulty: {
    name: 'a ring of mailboxes',
    mailboxes,
    processes: Array.from({ length: RING }, (_, at): ProcessClass => ({
      name: `node ${at}`,
      start: 'idle',
      states: {
        idle: [receive(`mailbox ${at}`, 'handles'), go('has news')],
        handles: [go('idle', { progress: true, says: 'handles a message' })],
        'has news': [send(`mailbox ${(at + 1) % RING}`, 'idle')],
      },
    })),
  },
  correct: {
    name: 'a ring of requests',
    mailboxes,
    processes: Array.from({ length: RING }, (_, at): readonly ProcessClass[] => [
      {
        name: `asker ${at}`,
        start: 'idle',
        states: { idle: [ask(`mailbox ${(at + 1) % RING}`, 'answered')], answered: [go('idle', { progress: true })] },
      },
      { name: `server ${at}`, start: 'idle', states: { idle: [receive(`mailbox ${at}`, 'serves')], serves: [reply('idle')] } },
    ]).flat(),
  },
};

const agents = (parking: 'keeps its place' | 'gives its place back'): Skeleton => ({
  name: `agents: a parked one ${parking}`,
  resources: { place: 2, worker: 2 },
  processes: [
    {
      name: 'parent',
      count: 3,
      start: 'queued',
      rests: [],
      states: {
        queued: [acquire(['place', 'worker'], 'runs')],
        runs: [spawn('child', 'asked')],
        asked: [
          park(parking === 'keeps its place' ? 'worker' : ['place', 'worker'], 'parked', { children: 'some' }),
          go('done', { children: 'none' }),
        ],
        parked: [join('woken')],
        woken: [resume(parking === 'keeps its place' ? 'worker' : ['place', 'worker'], 'done')],
        done: [end()],
      },
    },
    { name: 'child', count: 0, start: 'queued', rests: [], states: { queued: [acquire(['place', 'worker'], 'runs')], runs: [end()] } },
  ],
});

/** D8: the number of agents counts those that are parked; only those that can run. */
export const parkedParents: Planted = { faulty: agents('keeps its place'), correct: agents('gives its place back') };

/** D9, start: a child that asks its supervisor in `init`, while that waits for it to have started; two messages. */
export const starting: Planted = {
  faulty: supervised({
    'starts it': [receive('started', 'supervises', { progress: true })],
  }),
  correct: supervised({
    'starts it': [receive('started', 'supervises', { progress: true }), receive('to supervisor', 'serves while it starts')],
    'serves while it starts': [reply('starts it')],
  }),
};

function supervised(whileItStarts: ProcessClass['states']): Skeleton {
  return {
    name: 'start of a child',
    mailboxes: { 'to child': 1, 'to supervisor': 1, started: 1 },
    processes: [
      {
        name: 'supervisor',
        start: 'idle',
        rests: ['idle', 'supervises'],
        states: {
          idle: [send('to child', 'starts it')],
          supervises: [receive('to supervisor', 'serves')],
          serves: [reply('supervises')],
          ...whileItStarts,
        },
      },
      {
        name: 'child',
        start: 'down',
        states: { down: [receive('to child', 'init')], init: [ask('to supervisor', 'ready')], ready: [send('started', 'up')], up: [] },
      },
    ],
  };
}

const stoppable = (waiting: ProcessClass['states'][string]): Skeleton => ({
  name: 'stop of a child',
  mailboxes: { stop: 1, stopped: 1, kill: 1 },
  processes: [
    {
      name: 'supervisor',
      start: 'idle',
      states: { idle: [send('stop', 'waits for its end')], 'waits for its end': waiting, over: [] },
    },
    {
      name: 'child',
      start: 'up',
      states: {
        up: [receive('stop', 'stops'), go('ignores everything')],
        stops: [send('stopped', 'down')],
        'ignores everything': [receive('kill', 'killed')],
        killed: [send('stopped', 'down')],
        down: [receive('stop', 'down'), receive('kill', 'down')],
      },
      rests: ['up', 'ignores everything', 'down'],
    },
  ],
});

/** D9, stop: a child that ignores the stop, waited for without and with a deadline. */
export const stopping: Planted = {
  faulty: stoppable([receive('stopped', 'over', { progress: true })]),
  correct: {
    ...stoppable([]),
    processes: [
      {
        name: 'supervisor',
        start: 'idle',
        states: {
          idle: [send('stop', 'waits for its end')],
          'waits for its end': [receive('stopped', 'over', { progress: true }), go('past the deadline')],
          'past the deadline': [send('kill', 'waits for the kill')],
          'waits for the kill': [receive('stopped', 'over', { progress: true })],
          over: [receive('stopped', 'over')],
        },
        rests: ['idle', 'over'],
      },
      {
        name: 'child',
        start: 'up',
        states: {
          up: [receive('stop', 'stops'), go('ignores everything'), receive('kill', 'stops')],
          stops: [send('stopped', 'down')],
          'ignores everything': [receive('kill', 'stops')],
          down: [receive('stop', 'down'), receive('kill', 'down')],
        },
        rests: ['up', 'down'],
      },
    ],
  },
};

const sleeper = (asleep: ProcessClass['states'][string]): Skeleton => ({
  name: 'a wake-up',
  mailboxes: { rows: 1, hints: 1 },
  budgets: { losses: 1 },
  processes: [
    {
      name: 'writer',
      start: 'idle',
      states: {
        idle: [send('rows', 'stored')],
        stored: [send('hints', 'done'), go('done', { spends: 'losses', says: 'loses the hint' })],
        done: [],
      },
    },
    {
      name: 'reader',
      start: 'awake',
      rests: ['awake', 'asleep'],
      states: {
        awake: [receive('rows', 'works'), go('asleep', { says: 'finds nothing and falls asleep', whileEmpty: 'rows' })],
        asleep,
        works: [go('awake', { progress: true, says: 'does the work' })],
      },
    },
  ],
});

/** D12: a hint that is lost, for a reader that only wakes by hints; one that also polls. */
export const wakeUp: Planted = {
  faulty: sleeper([receive('hints', 'awake')]),
  correct: sleeper([receive('hints', 'awake'), go('awake', { says: 'polls' })]),
};

const forks = (seats: number) => Object.fromEntries(Array.from({ length: seats }, (_, at) => [`fork ${at}`, 1]));

/** D13: philosophers who all give way alike; arbitration by arrival, both forks at once. */
export const convergent: Planted = {
  faulty: {
    name: 'polite philosophers',
    resources: forks(3),
    processes: Array.from({ length: 3 }, (_, at): ProcessClass => ({
      name: `philosopher ${at}`,
      start: 'thinking',
      states: {
        thinking: [acquire(`fork ${at}`, 'has one')],
        'has one': [attempt(`fork ${(at + 1) % 3}`, 'eating', 'gives way', { progress: true })],
        'gives way': [release('all', 'thinking')],
        eating: [release('all', 'thinking')],
      },
    })),
  },
  correct: {
    name: 'philosophers who take both at once',
    resources: forks(3),
    processes: Array.from({ length: 3 }, (_, at) => vectorHolder(`philosopher ${at}`, [`fork ${at}`, `fork ${(at + 1) % 3}`])),
  },
};

const line = (afterFailure: ProcessClass['states'][string]): Skeleton => ({
  name: 'an ordered line',
  resources: { head: 1, worker: 1 },
  budgets: { attempts: 3 },
  processes: [
    {
      name: 'poison',
      start: 'queued',
      rests: ['dead'],
      states: { queued: [acquire('head', 'at the head')], 'at the head': [acquire('worker', 'fails')], fails: afterFailure, dead: [] },
    },
    {
      name: 'task',
      start: 'queued',
      rests: [],
      states: { queued: [acquire('head', 'at the head')], 'at the head': [acquire('worker', 'runs')], runs: [end()] },
    },
  ],
});

/** D14: the first of a line fails for ever; it has so many attempts. */
export const poison: Planted = {
  faulty: line([release('worker', 'at the head')]),
  correct: line([release('worker', 'at the head', { spends: 'attempts' }), release('all', 'dead', { says: 'is out of attempts' })]),
};

const small = (count: number): ProcessClass => ({
  name: 'small',
  count,
  start: 'idle',
  states: { idle: [acquire('permit', 'calls', { progress: true })], calls: [release('all', 'idle')] },
});

/** D7: one large request among small ones that never leave room for it. */
export const large: Skeleton = {
  name: 'a large request',
  resources: { permit: 2 },
  processes: [
    small(3),
    {
      name: 'large',
      start: 'idle',
      states: { idle: [go('waits')], waits: [acquire({ permit: 2 }, 'calls', { progress: true })], calls: [release('all', 'idle')] },
    },
  ],
};
