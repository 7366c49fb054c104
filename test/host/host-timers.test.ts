import { describe, expect, test } from 'vitest';
import { setup } from 'xstate';
import { NOTHING } from '../../actors/kernel/decider.ts';
import { cancelTimer, emit, exit, setTimer } from '../../actors/kernel/effects.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { bench, make, own, puppet, scripted } from './simulated-host.ts';
import type { Do } from './simulated-host.ts';

describe('timers of an actor', () => {
  test('a message comes at its time, and never before; of one key only the last is set', () => {
    const { host, clock, simulated, spawn } = bench();
    const heard: unknown[] = [];
    const logic = scripted((message) => {
      if (message.type === 'do') return (message as Do).effects;
      heard.push([message.type, clock.nowMs()]);
      return NOTHING;
    }, clock);
    spawn('a', { logic });
    host.send(
      'a',
      make(
        setTimer('t', 100, { type: 'replaced' }),
        setTimer('u', 200, { type: 'u' }),
        setTimer('t', 300, { type: 't' }),
        setTimer('v', 400, { type: 'v' }),
      ),
    );
    simulated.run(350);
    host.send('a', make(cancelTimer('v'), cancelTimer('never set')));
    simulated.run(1_000);
    expect(heard).toEqual([
      ['u', 200],
      ['t', 300],
    ]);
    expect(host.pending.timers).toBe(0);
  });

  test('jitter is the host’s chance, and never makes it earlier', () => {
    const firedMs = (random: Random): number => {
      const { host, clock, simulated, spawn } = bench(1, { random });
      let atMs = Number.NaN;
      spawn('a', {
        logic: scripted((message) => {
          if (message.type === 'do') return (message as Do).effects;
          atMs = clock.nowMs();
          return NOTHING;
        }, clock),
      });
      host.send('a', make(setTimer('t', 100, { type: 'tick' }, 50)));
      simulated.run(1_000);
      return atMs;
    };
    const times = Array.from({ length: 100 }, (_, seed) => firedMs(seededRandom(seed)));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...times)).toBeLessThan(150);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(40);
    expect(firedMs(seededRandom(5))).toBe(times[5]);
  });

  test('a timer of a dead incarnation never reaches its successor, also when it was due already', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const { host, clock, simulated, spawn } = bench(seed);
      spawn('a', { logic: puppet(clock, [setTimer('due', 10, { type: 'due' }), setTimer('later', 20, { type: 'later' })]) });
      clock.advanceTo(10);
      host.stop('a', 0);
      while (host.isAlive('a')) host.step();
      const heard = simulated.probe('a');
      simulated.run(100);
      expect(heard).toEqual([]);
    }
  });

  /** Due at 10 and on its way; then the actor hears `message`, before or after by seed. */
  function raced(message: Message): string[][] {
    return Array.from({ length: 30 }, (_, seed) => {
      const { host, clock, simulated } = bench(seed);
      const heard: string[] = [];
      const first = [setTimer('t', 10, { type: 'tick' })];
      host.spawn({
        id: 'a',
        logic: scripted(
          (one) => {
            heard.push(one.type);
            return one.type === 'do' ? (one as Do).effects : NOTHING;
          },
          clock,
          first,
        ),
      });
      clock.advanceTo(10);
      host.send('a', message);
      simulated.run(100);
      return heard;
    });
  }

  test('one that is cancelled, or set again, between its due time and its turn is not heard', () => {
    const orders = [['do'], ['tick', 'do']];
    const cancelled = raced(make(cancelTimer('t')));
    for (const order of orders) expect(cancelled).toContainEqual(order);
    for (const heard of cancelled) expect(orders).toContainEqual(heard);
    const again = [
      ['do', 'again'],
      ['tick', 'do', 'again'],
    ];
    const replaced = raced(make(setTimer('t', 50, { type: 'again' })));
    for (const order of again) expect(replaced).toContainEqual(order);
    for (const heard of replaced) expect(again).toContainEqual(heard);
  });

  test('a machine’s own `after` is a turn like any other, and goes with its state', () => {
    const entered: unknown[] = [];
    for (let seed = 0; seed < 30; seed += 1) {
      const { host, clock, simulated } = bench(seed);
      const machine = setup({}).createMachine({
        initial: 'resting',
        states: {
          resting: { after: { 10: { target: 'over', actions: () => emit(own('over')) } }, on: { again: 'again' } },
          again: { always: 'resting' },
          over: {},
        },
      });
      host.spawn({ id: 'a', logic: machine, perform: () => entered.push(clock.nowMs()) });
      // In the moment it is due, the state is left and entered anew: it now has 10 ms more.
      clock.advanceTo(10);
      host.send('a', { type: 'again' });
      simulated.run(100);
    }
    expect(new Set(entered)).toEqual(new Set([10, 20]));
    expect(entered).toHaveLength(30);
  });

  test('what `after` was to do is forgotten when the machine ends', () => {
    const { host, simulated } = bench();
    const machine = setup({}).createMachine({
      initial: 'on',
      states: { on: { after: { 1_000: 'off' }, on: { leave: 'off' } }, off: { type: 'final' } },
    });
    for (const id of ['left', 'stopped', 'killed']) host.spawn({ id, logic: machine });
    expect(host.pending.timers).toBe(3);
    host.send('left', { type: 'leave' });
    host.stop('stopped', 100);
    host.stop('killed', 0);
    simulated.settle();
    expect(host.actorCount).toBe(0);
    expect(host.pending.timers).toBe(0);
  });

  test('a due time that is no number is the failure of one actor, and holds up nobody', () => {
    const { host, clock, simulated, spawn } = bench();
    spawn('a');
    spawn('b', { logic: puppet(clock, [setTimer('t', 10, make(exit({ at: 'normal' })))]) });
    const heard = simulated.probe('m');
    host.monitor('m', 'b');
    host.send('a', make(setTimer('t', Number.NaN, { type: 'never' })));
    simulated.run(100);
    expect(heard).toHaveLength(1);
    expect(host.isAlive('a')).toBe(true);
  });

  test('an alarm is for adapters: once, or not at all when it is cancelled', () => {
    const { host, clock, simulated } = bench();
    const firedMs: number[] = [];
    host.alarm(100, () => firedMs.push(clock.nowMs()));
    const cancel = host.alarm(200, () => firedMs.push(clock.nowMs()));
    simulated.run(150);
    cancel();
    simulated.run(1_000);
    expect(firedMs).toEqual([100]);
  });
});
