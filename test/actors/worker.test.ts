import { describe, expect, test } from 'vitest';
import { initialTransition, transition } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { send } from '../../actors/kernel/effects.ts';
import type { Exited, Message } from '../../actors/kernel/effects.ts';
import { workerMachine } from '../../actors/worker.ts';
import type { WorkerInput, WorkerMessage } from '../../actors/worker.ts';
import { SimulatedHost } from '../host/simulated-host.ts';

const INPUT: WorkerInput = { self: 'w', queue: 'q', incarnation: 3, staggerMs: 100 };
const JOINED = { type: 'queue.joined', worker: 'w', incarnation: 3 };
const LEAVING = { type: 'queue.leaving', worker: 'w' };

type StateName = 'starting' | 'idle' | 'working' | 'draining' | 'stopped';

/** What brings a worker into a state. */
const WAY: Readonly<Record<StateName, readonly WorkerMessage['type'][]>> = {
  starting: [],
  idle: ['queue.opened'],
  working: ['worker.busy'],
  draining: ['stop.requested'],
  stopped: ['stop.requested', 'worker.drained'],
};

function hired(seed = 1) {
  const simulated = new SimulatedHost(seed);
  const toQueue = simulated.probe('q');
  const ends = simulated.probe('m') as Exited[];
  simulated.host.spawn({ id: 'w', logic: workerMachine, input: INPUT, graceful: true, monitors: ['m'] });
  const state = (): unknown => (simulated.host.snapshotOf('w') as { readonly value: unknown } | undefined)?.value;
  const tell = (type: WorkerMessage['type'], more: object = {}): void => {
    simulated.host.send('w', { type, ...more });
    simulated.settle();
  };
  /** Brings it there, and forgets what it said on the way. */
  const into = (name: StateName): void => {
    if (name !== 'starting') simulated.run(INPUT.staggerMs);
    for (const type of WAY[name]) tell(type);
    toQueue.length = 0;
  };
  return { simulated, host: simulated.host, toQueue, ends, state, tell, into };
}

describe('worker', () => {
  test('it joins its queue once its stagger is over, and not before', () => {
    const { simulated, toQueue, state } = hired();
    simulated.run(99);
    expect(state()).toBe('starting');
    expect(toQueue).toEqual([]);
    simulated.run(1);
    expect(state()).toBe('idle');
    expect(toQueue).toEqual([JOINED]);
  });

  test('without a stagger it joins at once, and sets no timer', () => {
    const simulated = new SimulatedHost();
    const toQueue = simulated.probe('q');
    simulated.host.spawn({ id: 'w', logic: workerMachine, input: { ...INPUT, staggerMs: 0 } });
    expect(simulated.host.pending.timers).toBe(0);
    simulated.settle();
    expect(toQueue).toEqual([JOINED]);
  });

  /** Every state and every message: where it leads, and what the queue hears. Undefined: gone. */
  const moves: readonly (readonly [StateName, WorkerMessage['type'], StateName | undefined, readonly unknown[]])[] = [
    ['starting', 'worker.busy', 'starting', []],
    ['starting', 'worker.idle', 'starting', []],
    ['starting', 'worker.drained', 'starting', []],
    ['starting', 'queue.opened', 'starting', []],
    ['starting', 'stop.requested', undefined, []],
    ['idle', 'worker.busy', 'working', []],
    ['idle', 'worker.idle', 'idle', []],
    ['idle', 'worker.drained', 'idle', []],
    ['idle', 'queue.opened', 'idle', [JOINED]],
    ['idle', 'stop.requested', 'draining', [LEAVING]],
    ['working', 'worker.busy', 'working', []],
    ['working', 'worker.idle', 'idle', []],
    ['working', 'worker.drained', 'working', []],
    ['working', 'queue.opened', 'idle', [JOINED]],
    ['working', 'stop.requested', 'draining', [LEAVING]],
    ['draining', 'worker.busy', 'draining', []],
    ['draining', 'worker.idle', 'draining', []],
    ['draining', 'worker.drained', undefined, []],
    ['draining', 'queue.opened', 'draining', [LEAVING]],
    ['draining', 'stop.requested', 'draining', []],
  ];

  test.each(moves)('%s, it hears %s', (from, type, to, heard) => {
    const { into, tell, state, toQueue, ends } = hired();
    into(from);
    expect(state()).toBe(from);
    tell(type);
    expect(state()).toBe(to);
    expect(toQueue).toEqual(heard);
    expect(ends).toHaveLength(to === undefined ? 1 : 0);
  });

  test.each(['starting', 'idle', 'working', 'draining'] as const)(
    '%s, a stop ends it in `stopped`, once the queue has let it go',
    (from) => {
      const { host, simulated, into, tell, ends, toQueue } = hired();
      into(from);
      host.stop('w', 5_000);
      simulated.settle();
      if (from !== 'starting') {
        expect(toQueue).toEqual(from === 'draining' ? [] : [LEAVING]);
        expect(host.isAlive('w')).toBe(true);
        tell('worker.drained');
      }
      expect(ends).toMatchObject([{ id: 'w', reason: { at: 'shutdown' } }]);
      simulated.run(60_000);
      expect(host.pending).toMatchObject({ messages: 0, timers: 0 });
    },
  );

  test('a worker that its queue never lets go is killed at the deadline', () => {
    const { host, simulated, into, ends } = hired();
    into('working');
    host.stop('w', 5_000);
    simulated.run(5_000);
    expect(ends).toMatchObject([{ reason: { at: 'killed' } }]);
  });

  const failures = (['starting', 'idle', 'working', 'draining'] as const).flatMap((from) =>
    (['worker.fail', 'effect.failed'] as const).map((type) => [from, type] as const),
  );

  test.each(failures)('%s, %s ends the incarnation with that very error', (from, type) => {
    const { into, tell, ends } = hired();
    const error = new Error('the worker is broken');
    into(from);
    tell(type, { error });
    expect(ends).toHaveLength(1);
    expect(ends[0]!.reason).toEqual({ at: 'error', error });
    expect((ends[0]!.reason as { readonly error: unknown }).error).toBe(error);
  });

  test('what it tells its queue, and the news of its end, arrive in order under any seed', () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const simulated = new SimulatedHost(seed);
      const heard = simulated.probe('q');
      simulated.host.spawn({ id: 'w', logic: workerMachine, input: INPUT, graceful: true, monitors: ['q'] });
      simulated.clock.advanceTo(INPUT.staggerMs);
      while (simulated.host.pending.messages > 0 && (simulated.host.snapshotOf('w') as { readonly value: unknown }).value === 'starting')
        simulated.host.step();
      simulated.host.stop('w', 5_000);
      simulated.host.send('w', { type: 'worker.fail', error: 'now' } as Message);
      simulated.settle();
      const types = heard.map(({ type }) => type);
      expect([
        ['queue.joined', 'exited'],
        ['queue.joined', 'queue.leaving', 'exited'],
      ]).toContainEqual(types);
    }
  });
});

describe('the machine as a graph', () => {
  const events: WorkerMessage[] = [
    { type: 'worker.busy' },
    { type: 'worker.idle' },
    { type: 'worker.drained' },
    { type: 'queue.opened' },
    { type: 'stop.requested' },
    { type: 'xstate.after.stagger.worker.starting' } as never,
  ];

  test('every state can be reached, and from each of them the end', () => {
    const paths = getShortestPaths(workerMachine, { input: INPUT, events });
    const lengths = Object.fromEntries(paths.map(({ state, steps }) => [state.value, steps.length - 1]));
    expect(lengths).toEqual({ starting: 0, idle: 1, working: 2, draining: 2, stopped: 1 });
    for (const { state } of paths) {
      const onward = getShortestPaths(workerMachine, { fromState: state, events });
      expect(onward.map((path) => path.state.value)).toContain('stopped');
    }
  });

  test('as a pure transition it names what it would do, and does nothing', () => {
    const [starting] = initialTransition(workerMachine, INPUT);
    const [idle, actions] = transition(workerMachine, starting, { type: 'xstate.after.stagger.worker.starting' } as never);
    expect(idle.value).toBe('idle');
    expect(actions.map(({ type }) => type)).toContain('join');
  });
});

test('joining goes on the control lane, in one line with leaving and the end', () => {
  const effects: unknown[] = [];
  const simulated = new SimulatedHost();
  const original = simulated.host.send.bind(simulated.host);
  simulated.host.send = (to, message, lane, from) => {
    effects.push(send(to, message, lane));
    original(to, message, lane, from);
  };
  simulated.host.spawn({ id: 'w', logic: workerMachine, input: INPUT, graceful: true });
  simulated.run(100);
  simulated.host.stop('w', 1_000);
  simulated.settle();
  expect(effects).toEqual([send('q', JOINED, 'control'), send('q', LEAVING, 'control')]);
});
