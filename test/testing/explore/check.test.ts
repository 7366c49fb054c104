import { expect, test } from 'vitest';
import {
  acquire,
  ask,
  attempt,
  checkSkeleton,
  crash,
  end,
  explore,
  go,
  look,
  park,
  receive,
  release,
  reply,
  resume,
  send,
  spawn,
} from '../../../src/testing/explore/index.ts';
import type { ProcessClass, Skeleton, StateSpace } from '../../../src/testing/explore/index.ts';
import { locks } from './planted.ts';

const skeleton = (processes: readonly ProcessClass[], rest: Partial<Skeleton> = {}): Skeleton => ({ name: 'small', processes, ...rest });

test('a violation is told with its circle, who holds what, the trace and a picture', () => {
  const verdict = checkSkeleton(locks.faulty);
  expect(verdict).toMatchObject({
    waits: ['one (half) waits for b, held by other (half)', 'other (half) waits for a, held by one (half)'],
    holdings: ['one (half) holds a', 'other (half) holds b'],
  });
  expect(verdict.at === 'violated' && verdict.mermaid).toBe(
    ['flowchart LR', '  p5["one (half)"]', '  p6["other (half)"]', '  p5 ==>|"b"| p6', '  p6 ==>|"a"| p5'].join('\n'),
  );
});

test('a part that is stuck while others go on is doomed, and named', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        { name: 'loser', start: 'idle', states: { idle: [go('waits')], waits: [receive('mail', 'idle')] } },
        { name: 'worker', start: 'idle', states: { idle: [acquire('r', 'works', { progress: true })], works: [release('all', 'idle')] } },
      ],
      { resources: { r: 1 }, mailboxes: { mail: 1 } },
    ),
  );
  expect(verdict).toMatchObject({
    kind: 'doomed',
    victim: 'loser',
    trace: ['loser goes on to waits'],
    waits: ['loser (waits) waits for a message in mail, which nobody brings'],
  });
});

test('a crash that keeps what it held takes it from everybody, one that gives it back takes nothing', () => {
  const crashing = (keeps: boolean) =>
    skeleton(
      [
        {
          name: 'worker',
          count: 2,
          start: 'idle',
          states: {
            idle: [acquire('permit', 'calls', { progress: true }), go('asks')],
            asks: [acquire('permit', 'calls')],
            calls: [release('all', 'idle'), crash('idle', { keeps })],
          },
        },
      ],
      { resources: { permit: 1 }, faults: 1 },
    );
  expect(checkSkeleton(crashing(true))).toMatchObject({
    at: 'violated',
    kind: 'deadlock',
    holdings: [],
    trace: ['worker takes permit', 'worker crashes (calls, holds permit)', 'worker goes on to asks'],
    shrunk: ['worker: 1 instead of 2'],
  });
  expect(checkSkeleton(crashing(false)).at).toBe('proved');
});

test('nothing is hoped from a crash: what only a crash would free is dead', () => {
  const verdict = checkSkeleton({
    ...locks.faulty,
    faults: 1,
    processes: locks.faulty.processes.map((one) => ({ ...one, crash: { to: 'idle' } })),
  });
  expect(verdict).toMatchObject({ kind: 'deadlock', trace: ['one takes a', 'other takes b'] });
});

test('a request for more than there is is never admitted', () => {
  const verdict = checkSkeleton(
    skeleton([{ name: 'large', start: 'queued', rests: [], states: { queued: [acquire({ token: 3 }, 'runs')], runs: [end()] } }], {
      resources: { token: 2 },
    }),
  );
  expect(verdict).toMatchObject({ kind: 'deadlock', trace: [], waits: ['large (queued) waits for 3 of token, of which there are 2'] });
});

test('an agent that looks and then takes is deadlocked by what happens in between', () => {
  const looker = (name: string, first: string, second: string): ProcessClass => ({
    name,
    start: 'idle',
    states: {
      idle: [look([first, second], 'saw both', 'idle')],
      'saw both': [acquire(first, 'half')],
      half: [acquire(second, 'works', { progress: true })],
      works: [release('all', 'idle')],
    },
  });
  const verdict = checkSkeleton(skeleton([looker('one', 'a', 'b'), looker('other', 'b', 'a')], { resources: { a: 1, b: 1 } }));
  expect(verdict).toMatchObject({ kind: 'deadlock' });
  expect(verdict.at === 'violated' && verdict.trace).toHaveLength(4);
});

test('an attempt that finds nothing goes elsewhere, and never waits', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        {
          name: 'one',
          count: 2,
          start: 'idle',
          states: { idle: [attempt('r', 'works', 'gave up', { progress: true })], works: [release('all', 'idle')], 'gave up': [] },
        },
      ],
      { resources: { r: 1 } },
    ),
  );
  expect(verdict.at).toBe('proved');
});

test('a reply reaches one whose child ended while it waited', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        {
          name: 'parent',
          start: 'queued',
          rests: [],
          states: { queued: [spawn('child', 'asks')], asks: [ask('mail', 'heard')], heard: [end()] },
        },
        { name: 'child', count: 0, start: 'queued', rests: [], states: { queued: [end()] } },
        { name: 'server', start: 'idle', states: { idle: [receive('mail', 'serves')], serves: [reply('idle')] } },
      ],
      { mailboxes: { mail: 1 } },
    ),
  );
  expect(verdict).toMatchObject({ at: 'proved', ranked: { at: 'free' } });
});

test('park and resume say what they are', () => {
  const verdict = checkSkeleton(
    skeleton(
      [
        {
          name: 'run',
          start: 'queued',
          rests: [],
          states: {
            queued: [acquire('worker', 'runs')],
            runs: [park('all', 'parked')],
            parked: [resume('worker', 'woken')],
            woken: [receive('mail', 'woken')],
          },
        },
      ],
      { resources: { worker: 1 }, mailboxes: { mail: 1 } },
    ),
  );
  expect(verdict).toMatchObject({ trace: ['run takes worker', 'run parks', 'run resumes'] });
});

test.for([
  ['an unknown resource', [{ name: 'p', start: 'a', states: { a: [acquire('nothing', 'a')] } }], 'processes.p.states.a.0.acquire'],
  ['an unknown state', [{ name: 'p', start: 'a', states: { a: [go('b')] } }], 'processes.p.states.a.0.to'],
  ['an unknown start', [{ name: 'p', start: 'b', states: { a: [] } }], 'processes.p.start'],
  ['an unknown mailbox', [{ name: 'p', start: 'a', states: { a: [send('nowhere', 'a')] } }], 'processes.p.states.a.0.send'],
  ['an unknown class', [{ name: 'p', start: 'a', states: { a: [spawn('q', 'a')] } }], 'processes.p.states.a.0.spawn'],
  [
    'a second class of one name',
    [
      { name: 'p', start: 'a', states: { a: [] } },
      { name: 'p', start: 'a', states: { a: [] } },
    ],
    'processes.p',
  ],
  ['a count out of range', [{ name: 'p', count: 256, start: 'a', states: { a: [] } }], 'processes.p.count'],
  ['a release of what is not held', [{ name: 'p', start: 'a', states: { a: [release('r', 'a')] } }], 'processes.p.states.a.0'],
  ['a reply to nobody', [{ name: 'p', start: 'a', states: { a: [reply('a')] } }], 'processes.p.states.a.0'],
] as const)('%s is an error with its place, no verdict', ([, processes, path]) => {
  expect(() => checkSkeleton(skeleton(processes, { resources: { r: 1 } }))).toThrow(
    expect.objectContaining({ code: 'DROVER_SKELETON', message: expect.stringContaining(`skeleton.${path}: expected`) }),
  );
});

test('a model without bounds is an error that names the place, no verdict', () => {
  const spawning: ProcessClass = { name: 'parent', count: 2, start: 'a', states: { a: [spawn('child', 'a', { most: 200 })] } };
  const child: ProcessClass = { name: 'child', count: 0, start: 'idle', rests: ['idle'], states: { idle: [] } };
  expect(() => checkSkeleton(skeleton([spawning, child]))).toThrow(
    expect.objectContaining({
      code: 'DROVER_NET_UNBOUNDED',
      detail: { place: 'child (idle)', capacity: 255, transition: 'a parent starts a child' },
    }),
  );
});

test('any system that can list its successors can be explored', () => {
  // A counter that wraps at three, and a trap beside it.
  const space: StateSpace = {
    bytes: 1,
    actors: ['counter'],
    moves: [
      { class: 'progress', actor: 0, achieves: [0], says: 'counts' },
      { class: 'step', actor: 0, achieves: [], says: 'falls into the trap' },
    ],
    start: () => {},
    expand(states, at, next, found) {
      const value = states[at]!;
      if (value === 9) return;
      next[0] = (value + 1) % 3;
      found(0);
      if (value !== 2) return;
      next[0] = 9;
      found(1);
    },
    isBusy: () => true,
  };
  const { dead, doomed, livelock, states, graph } = explore(space);
  expect({ states, livelock }).toEqual({ states: 4, livelock: undefined });
  expect(dead!.trace.map(({ move }) => space.moves[move]!.says)).toEqual(['counts', 'counts', 'falls into the trap']);
  expect(doomed!.state).toBe(dead!.state);
  expect([...graph.store.read(dead!.state, 1)]).toEqual([9]);
});
