/** An actor whose spec says so goes on in place after a turn that threw. */
import { describe, expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { emit, setTimer } from '../../actors/kernel/effects.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { SimulatedHost } from './simulated-host.ts';

const machine = setup({
  types: { context: {} as { readonly count: number; readonly due: number }, events: {} as Message },
  actions: {
    count: assign({ count: ({ context }) => context.count + 1 }),
    remind: () => emit(setTimer('reminder', 500, { type: 'reminded' })),
    fail: ({ event }) => {
      throw event.type === 'fail softly' ? new TypeError('softly') : new Error('hard');
    },
  },
}).createMachine({
  context: { count: 0, due: 0 },
  initial: 'waiting',
  on: {
    count: { actions: 'count' },
    remind: { actions: 'remind' },
    reminded: { actions: 'count' },
    'fail softly': { actions: ['count', 'fail'] },
    'fail hard': { actions: 'fail' },
  },
  states: { waiting: { after: { 1_000: 'late' } }, late: {} },
});

function born() {
  const simulated = new SimulatedHost();
  const heard = simulated.probe('monitor');
  const resumes = (error: unknown): boolean => error instanceof TypeError;
  simulated.host.spawn({ id: 'a', logic: machine, resumes, monitors: ['monitor'] });
  const tell = (type: string): void => {
    simulated.host.send('a', { type });
    simulated.settle();
  };
  const state = () => simulated.host.snapshotOf('a') as { readonly value: string; readonly context: { readonly count: number } };
  return { simulated, heard, tell, state };
}

describe('a resumable actor', () => {
  test('keeps the state from before the message that failed, its incarnation, and hears what comes after', () => {
    const { simulated, heard, tell, state } = born();
    const life = simulated.host.incarnationOf('a');
    tell('count');
    tell('fail softly');
    tell('count');
    expect(state().context.count).toBe(2);
    expect(simulated.host.incarnationOf('a')).toBe(life);
    expect(heard).toEqual([]);
    expect(simulated.crashes).toMatchObject([{ id: 'a', error: new TypeError('softly') }]);
  });

  test('keeps its timers, and begins the delays of its machine anew', () => {
    const { simulated, tell, state } = born();
    tell('remind');
    simulated.run(400);
    tell('fail softly');
    simulated.run(200);
    expect(state().context.count).toBe(1);
    simulated.run(700);
    expect(state().value).toBe('waiting');
    simulated.run(200);
    expect(state().value).toBe('late');
    expect(simulated.host.pending.timers).toBe(0);
  });

  test('ends like any other by an error that its spec does not name', () => {
    const { simulated, heard, tell } = born();
    tell('fail hard');
    expect(simulated.host.isAlive('a')).toBe(false);
    expect(heard).toMatchObject([{ type: 'exited', id: 'a', reason: { at: 'error' } }]);
    expect(simulated.host.pending.timers).toBe(0);
  });
});
