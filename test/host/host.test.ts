import { describe, expect, vi, test } from 'vitest';
import { setup } from 'xstate';
import type { Host } from '../../actors/host/host.ts';
import type { ActorSpec } from '../../actors/host/host.ts';
import { fifoTransport } from '../../actors/host/transport.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import type { DeciderSnapshot } from '../../actors/kernel/decider.ts';
import { emit, exit, send, setTimer } from '../../actors/kernel/effects.ts';
import type { ExitReason, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import type { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { bench, make, own, puppet, scripted } from './simulated-host.ts';
import type { Do } from './simulated-host.ts';

describe('a turn', () => {
  test('its effects run in order, after its state is committed', () => {
    const { host, clock, simulated } = bench();
    const seen: unknown[] = [];
    const logic = fromDecider<number, Message, undefined, OwnEffect>(
      { initial: () => [0, [own('first')]], decide: (state, message) => [state + 1, [own(`${message.type}/1`), own(`${message.type}/2`)]] },
      clock,
    );
    const perform = ({ type }: OwnEffect, self: string): void => {
      seen.push([type, self, (host.snapshotOf('a') as DeciderSnapshot<number>).state]);
    };
    host.spawn({ id: 'a', logic, perform });
    expect(seen).toEqual([['first', 'a', 0]]);
    host.send('a', { type: 'x' });
    host.send('a', { type: 'y' });
    expect(seen).toHaveLength(1);
    simulated.settle();
    expect(seen.slice(1)).toEqual([
      ['x/1', 'a', 1],
      ['x/2', 'a', 1],
      ['y/1', 'a', 2],
      ['y/2', 'a', 2],
    ]);
  });

  test('a receiver never runs inside its sender', () => {
    const { host, simulated, spawn } = bench();
    const log: string[] = [];
    const perform = ({ type }: OwnEffect): void => void log.push(type);
    spawn('b', { perform });
    spawn('a', { perform });
    host.send('a', make(own('a before'), send('b', make(own('b'))), own('a after')));
    simulated.settle();
    expect(log).toEqual(['a before', 'a after', 'b']);
  });

  test('an effect that throws comes back to its owner as effect.failed, and the others run', () => {
    const { host, clock, simulated } = bench();
    const log: unknown[] = [];
    const error = new Error('thrown by an effect');
    const logic = scripted((message) => {
      if (message.type === 'do') return (message as Do).effects;
      log.push(message);
      return NOTHING;
    }, clock);
    const perform = (effect: OwnEffect): void => {
      if (effect.type === 'bad') throw error;
      log.push(effect.type);
    };
    host.spawn({ id: 'a', logic, perform });
    host.send('a', make(own('good'), own('bad'), own('also good')));
    simulated.settle();
    expect(log).toEqual(['good', 'also good', { type: 'effect.failed', effect: own('bad'), error }]);
    expect(simulated.crashes).toEqual([]);
    expect(host.isAlive('a')).toBe(true);
  });

  test('an effect that nobody performs fails as one that throws', () => {
    const { host, simulated } = bench();
    const log: Message[] = [];
    const logic = scripted((message) => {
      log.push(message);
      return message.type === 'do' ? (message as Do).effects : NOTHING;
    }, simulated.clock);
    host.spawn({ id: 'a', logic });
    host.send('a', make(own('unheard of')));
    simulated.settle();
    expect(log[1]).toMatchObject({
      type: 'effect.failed',
      error: { code: 'DROVER_INVARIANT', message: expect.stringContaining('unheard of') },
    });
  });

  test('the failed effect of a dead incarnation never reaches its successor', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const { host, simulated, spawn } = bench(seed);
      spawn('a', {
        perform: () => {
          throw new Error('thrown by an effect');
        },
      });
      host.send('a', make(own('bad')));
      host.stop('a', 0);
      while (host.isAlive('a')) host.step();
      const heard = simulated.probe('a');
      simulated.settle();
      // The message itself is for the address, and finds the successor when the first was killed before it.
      expect(heard.filter(({ type }) => type !== 'do')).toEqual([]);
    }
  });

  test('the effects of a turn that threw never run', () => {
    const { host, simulated } = bench();
    const log: string[] = [];
    const machine = setup({
      actions: {
        wish: () => emit(own('wished')),
        fail: () => {
          throw new Error('broken');
        },
      },
    }).createMachine({ on: { wish: { actions: 'wish' }, break: { actions: ['wish', 'fail'] } } });
    host.spawn({ id: 'a', logic: machine, perform: ({ type }) => log.push(type) });
    host.send('a', { type: 'wish' });
    simulated.settle();
    host.send('a', { type: 'break' });
    simulated.settle();
    expect(log).toEqual(['wished']);
    expect(simulated.crashes).toEqual([{ id: 'a', error: new Error('broken') }]);
  });

  test('a throw ends the actor and nobody else', () => {
    const { host, simulated, spawn } = bench();
    for (const id of ['a', 'b', 'c']) spawn(id);
    const heard = simulated.probe('probe');
    host.send('b', { type: 'break' });
    for (const id of ['a', 'b', 'c']) host.send(id, make(send('probe', { type: id })));
    simulated.settle();
    expect([...host.ids()].toSorted()).toEqual(['a', 'c', 'probe']);
    expect(
      heard
        .map(({ type }) => type)
        .filter((type) => type !== 'b')
        .toSorted(),
    ).toEqual(['a', 'c']);
  });

  test('the effects of the first turn have run when spawn returns', () => {
    const { host, clock, spawn } = bench();
    const log: string[] = [];
    spawn('a', { logic: puppet(clock, [own('one'), own('two')]), perform: ({ type }) => log.push(type) });
    expect(log).toEqual(['one', 'two']);
    expect(host.incarnationOf('a')).toBe(1);
  });
});

describe('the end of an actor', () => {
  const stoppable = (clock: VirtualClock) =>
    scripted((message) => {
      if (message.type === 'break') throw new Error('broken');
      if (message.type === 'stop.requested' || message.type === 'leave') return [exit({ at: 'normal' })];
      return message.type === 'give up' ? [exit({ at: 'error', error: 'given up' })] : NOTHING;
    }, clock);
  const finishing = setup({}).createMachine({
    initial: 'on',
    states: { on: { on: { leave: 'off', 'stop.requested': 'off' } }, off: { type: 'final' } },
  });

  /** Each way to end, and the reason that monitors hear. */
  const ends: readonly (readonly [string, (host: Host) => void, ExitReason, Partial<ActorSpec>])[] = [
    ['a machine in its final state', (host) => host.send('a', { type: 'leave' }), { at: 'normal' }, { logic: finishing }],
    ['the exit effect', (host) => host.send('a', { type: 'leave' }), { at: 'normal' }, {}],
    ['the exit effect with an error', (host) => host.send('a', { type: 'give up' }), { at: 'error', error: 'given up' }, {}],
    ['a throw', (host) => host.send('a', { type: 'break' }), { at: 'error', error: new Error('broken') }, {}],
    ['an immediate stop', (host) => host.stop('a', 5_000), { at: 'shutdown' }, {}],
    ['a kill', (host) => host.stop('a', 0), { at: 'killed' }, {}],
    ['a kill of a graceful one', (host) => host.stop('a', 0), { at: 'killed' }, { graceful: true }],
    ['a graceful stop', (host) => host.stop('a', 5_000), { at: 'shutdown' }, { graceful: true, logic: finishing }],
    ['a graceful stop without a deadline', (host) => host.stop('a', Infinity), { at: 'shutdown' }, { graceful: true, logic: finishing }],
    [
      'a graceful stop that is ignored',
      (host) => host.stop('a', 5_000),
      { at: 'killed' },
      { graceful: true, logic: setup({}).createMachine({}) },
    ],
    [
      'a throw at the stop request',
      (host) => host.stop('a', 5_000),
      { at: 'error', error: new Error('at stop') },
      {
        graceful: true,
        logic: setup({}).createMachine({
          on: {
            'stop.requested': {
              actions: () => {
                throw new Error('at stop');
              },
            },
          },
        }),
      },
    ],
  ];

  test.each(ends)('%s is told to every monitor exactly once, with reason and incarnation', (_name, end, reason, spec) => {
    for (let seed = 0; seed < 5; seed += 1) {
      const { host, clock, simulated, spawn } = bench(seed);
      const heard = [simulated.probe('m1'), simulated.probe('m2')];
      const stranger = simulated.probe('m3');
      const incarnation = spawn('a', { logic: stoppable(clock), monitors: ['m1'], ...spec });
      host.monitor('m2', 'a');
      host.monitor('m2', 'a');
      end(host);
      end(host);
      simulated.run(10_000);
      for (const messages of heard) expect(messages).toEqual([{ type: 'exited', id: 'a', incarnation, started: true, reason }]);
      expect(stranger).toEqual([]);
      expect(host.isAlive('a')).toBe(false);
      expect(host.snapshotOf('a')).toBeUndefined();
      expect(host.pending.timers).toBe(0);
      expect(simulated.crashes).toEqual(reason.at === 'error' ? [{ id: 'a', error: reason.error }] : []);
    }
  });

  test('a start that throws is told as not started', () => {
    const { host, clock, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    const failing = fromDecider<null, Message, undefined, OwnEffect>(
      {
        initial: () => {
          throw new Error('no start');
        },
        decide: (state) => [state, NOTHING],
      },
      clock,
    );
    const entering = setup({}).createMachine({
      entry: () => {
        throw new Error('no start');
      },
    });
    const reason = { at: 'error', error: new Error('no start') };
    for (const [id, logic] of [
      ['a', failing],
      ['b', entering],
    ] as const) {
      const incarnation = spawn(id, { logic, monitors: ['m'] });
      simulated.settle();
      expect(heard.splice(0)).toEqual([{ type: 'exited', id, incarnation, started: false, reason }]);
    }
    expect(host.actorCount).toBe(1);
  });

  test('one that ends in its very first turn without a throw has started', () => {
    const { clock, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    spawn('a', { logic: puppet(clock, [exit({ at: 'normal' })]), monitors: ['m'] });
    spawn('b', { logic: setup({}).createMachine({ initial: 'off', states: { off: { type: 'final' } } }), monitors: ['m'] });
    simulated.settle();
    expect(heard).toMatchObject([{ started: true }, { started: true }]);
  });

  test('the other effects of its last turn still run', () => {
    const { host, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    spawn('a');
    host.send('a', make(exit({ at: 'normal' }), send('m', { type: 'last words' })));
    simulated.settle();
    expect(heard).toEqual([{ type: 'last words' }]);
    expect(host.isAlive('a')).toBe(false);
  });

  test('whoever monitors nobody is told at once', () => {
    const { host, simulated } = bench();
    const heard = simulated.probe('m');
    host.monitor('m', 'nobody');
    simulated.settle();
    expect(heard).toEqual([{ type: 'exited', id: 'nobody', incarnation: 0, started: false, reason: { at: 'normal' } }]);
  });

  test('incarnations are counted by the host, or by whoever says so', () => {
    const { host, simulated, spawn } = bench();
    expect([spawn('a'), spawn('b'), spawn('c', { incarnation: 41 })]).toEqual([1, 2, 41]);
    expect(() => spawn('a')).toThrow(/two incarnations/);
    host.stop('a', 0);
    simulated.settle();
    expect(host.incarnationOf('a')).toBeUndefined();
    expect(spawn('a')).toBe(3);
    expect(host.incarnationOf('a')).toBe(3);
    expect(host.actorCount).toBe(3);
  });

  test('an observer of crashes that throws keeps nobody from being told', () => {
    const { host, simulated, spawn } = bench(1, {
      onCrash: () => {
        throw new Error('no space left for logs');
      },
    });
    const heard = simulated.probe('m');
    spawn('a', { monitors: ['m'] });
    host.send('a', { type: 'break' });
    expect(() => simulated.settle()).toThrow('no space left');
    simulated.settle();
    expect(heard).toMatchObject([{ type: 'exited', id: 'a' }]);
  });
});

describe('parents and children', () => {
  test.each([
    ['killed', (host: Host) => host.stop('p', 0)],
    ['broken', (host: Host) => host.send('p', { type: 'break' })],
    ['ended by itself', (host: Host) => host.send('p', make(exit({ at: 'normal' })))],
  ])('when a parent is %s, all below it are killed, the last started first', (_name, end) => {
    const { host, clock, simulated, spawn } = bench(1, { transport: fifoTransport() });
    const heard = simulated.probe('m');
    const graceful = { monitors: ['m'], graceful: true, logic: setup({}).createMachine({}) };
    spawn('p', { monitors: ['m'] });
    spawn('p/1', { ...graceful, parent: 'p', logic: puppet(clock, [setTimer('t', 10, { type: 'tick' })]) });
    spawn('p/2', { ...graceful, parent: 'p' });
    spawn('p/2/1', { ...graceful, parent: 'p/2' });
    spawn('q', { monitors: ['m'] });
    end(host);
    simulated.run(100);
    expect(heard).toMatchObject([
      { id: 'p/2/1', reason: { at: 'killed' } },
      { id: 'p/2', reason: { at: 'killed' } },
      { id: 'p/1', reason: { at: 'killed' } },
      { id: 'p' },
    ]);
    expect([...host.ids()]).toEqual(['m', 'q']);
    expect(host.pending).toMatchObject({ messages: 0, timers: 0 });
  });

  test('a child that ends leaves its parent alone, and nothing starts below one who is gone', () => {
    const { host, simulated, spawn } = bench();
    spawn('p');
    spawn('p/1', { parent: 'p' });
    host.stop('p/1', 0);
    simulated.settle();
    expect([...host.ids()]).toEqual(['p']);
    spawn('p/1', { parent: 'p' });
    host.stop('p', 0);
    simulated.settle();
    expect(host.actorCount).toBe(0);
    expect(() => spawn('p/1', { parent: 'p' })).toThrow(/its parent p is gone/);
  });
});

describe('stopping', () => {
  const patient = setup({}).createMachine({
    initial: 'on',
    states: { on: { on: { 'stop.requested': 'leaving' } }, leaving: { on: { go: 'off' } }, off: { type: 'final' } },
  });

  test('a graceful actor has until its deadline, and is gone when it says so', () => {
    const { host, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    spawn('a', { logic: patient, graceful: true, monitors: ['m'] });
    host.stop('a', 1_000);
    simulated.run(999);
    expect(heard).toEqual([]);
    host.send('a', { type: 'go' });
    simulated.settle();
    expect(heard).toMatchObject([{ reason: { at: 'shutdown' } }]);
    expect(host.pending.timers).toBe(0);
  });

  test('at the deadline it is killed, not before', () => {
    const { host, clock, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    spawn('a', { logic: patient, graceful: true, monitors: ['m'] });
    host.stop('a', 1_000);
    simulated.run(999.9);
    expect(host.isAlive('a')).toBe(true);
    simulated.run(0.1);
    expect(clock.nowMs()).toBe(1_000);
    expect(heard).toMatchObject([{ reason: { at: 'killed' } }]);
  });

  test('without a deadline it has all the time it wants, until somebody sets one', () => {
    const { host, simulated, spawn } = bench();
    spawn('a', { logic: patient, graceful: true });
    host.stop('a', Infinity);
    simulated.run(1e9);
    expect(host.isAlive('a')).toBe(true);
    host.stop('a', 10);
    simulated.run(10);
    expect(host.isAlive('a')).toBe(false);
  });

  test('a stop that was meant for one incarnation never reaches its successor', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const { host, simulated, spawn } = bench(seed);
      spawn('a', { logic: patient, graceful: true });
      host.stop('a', 100);
      host.stop('a', 0);
      while (host.isAlive('a')) host.step();
      const heard = simulated.probe('a', { graceful: true });
      simulated.run(1_000);
      expect(host.isAlive('a')).toBe(true);
      expect(heard).toEqual([]);
    }
  });

  test('stopping nobody does nothing', () => {
    const { host, simulated } = bench();
    host.stop('nobody', 0);
    host.stop('nobody', 100);
    simulated.run(1_000);
    expect(simulated.deadLetters).toEqual([]);
  });
});

describe('a closed host', () => {
  test('it has ended everything without a word, and keeps nothing', () => {
    const { host, clock, simulated, spawn } = bench();
    const heard = simulated.probe('m');
    spawn('a', { monitors: ['m'], logic: puppet(clock, [setTimer('t', 10, { type: 'tick' })]) });
    host.spawn({ id: 'b', logic: setup({}).createMachine({ initial: 'on', states: { on: { after: { 10: 'off' } }, off: {} } }) });
    const lost = vi.fn<() => void>();
    host.send('a', { type: 'question', replyTo: host.expect({ asked: 'a', answered: lost, lost }) } as Message);
    host.close();
    expect(host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
    expect(host.actorCount).toBe(0);
    expect(clock.pending).toBe(0);
    const fire = vi.fn<() => void>();
    host.alarm(20, fire);
    host.send('m', { type: 'x' });
    host.stop('a', 0);
    simulated.run(1_000);
    expect(heard).toEqual([]);
    expect(fire).not.toHaveBeenCalled();
    expect(lost).not.toHaveBeenCalled();
    expect(simulated.deadLetters).toEqual([]);
  });

  test('closing it in the middle of a turn ends the turn’s wishes too', () => {
    const { host, clock, simulated, spawn } = bench();
    spawn('a', { perform: () => host.close() });
    host.send('a', make(own('close'), setTimer('t', 10, { type: 'tick' }), send('a', { type: 'x' })));
    simulated.run(100);
    expect(host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
    expect(clock.pending).toBe(0);
  });
});
