import { describe, expect, test } from 'vitest';
import { setup } from 'xstate';
import type { ActorSpec } from '../../actors/host/host.ts';
import { exit, send, setTimer } from '../../actors/kernel/effects.ts';
import type { Exited, Message } from '../../actors/kernel/effects.ts';
import { bench, make, own, puppet } from './simulated-host.ts';

/** A puppet that performs `entered` in its first turn, and starts lazily. */
function lazyBench(seed: number | string = 1, more: Partial<ActorSpec> = {}) {
  const given = bench(seed);
  const { host, clock } = given;
  const log: string[] = [];
  const perform = ({ type }: { readonly type: string }): void => void log.push(type);
  const spawnLazy = (id: string, spec: Partial<ActorSpec> = {}) =>
    host.spawn({ id, logic: puppet(clock, [own('entered')]), perform, lazy: true, ...more, ...spec });
  return { ...given, log, spawnLazy };
}

describe('a lazy actor', () => {
  test('is there before it is made: alive, in an incarnation, without a snapshot', () => {
    const { host, simulated, spawnLazy, log } = lazyBench();
    expect(spawnLazy('a', { incarnation: 7 })).toBe(7);
    simulated.settle();
    expect(host.isAlive('a')).toBe(true);
    expect(host.incarnationOf('a')).toBe(7);
    expect(host.actorCount).toBe(1);
    expect(host.snapshotOf('a')).toBeUndefined();
    expect(log).toEqual([]);
  });

  test('is made by its first message: its first turn and the effects of that come before the message', () => {
    const { host, simulated, spawnLazy, log } = lazyBench();
    spawnLazy('a');
    host.send('a', make(own('told')));
    simulated.settle();
    expect(log).toEqual(['entered', 'told']);
    expect(host.snapshotOf('a')).toMatchObject({ status: 'active' });
  });

  test('is made once', () => {
    const { host, simulated, spawnLazy, log } = lazyBench();
    spawnLazy('a');
    host.send('a', make(own('one')));
    host.send('a', make(own('two')));
    simulated.settle();
    expect(log).toEqual(['entered', 'one', 'two']);
  });

  test('one that is not lazy is entered at once', () => {
    const { spawnLazy, log } = lazyBench(1, { lazy: false });
    spawnLazy('a');
    expect(log).toEqual(['entered']);
  });

  test('gets its input, and the timers of its first turn, when it is made and not before', () => {
    const { host, clock, simulated } = lazyBench();
    const heard: unknown[] = [];
    const machine = setup({ types: { input: {} as { readonly word: string }, context: {} as { readonly word: string } } }).createMachine({
      context: ({ input }) => input,
      initial: 'waiting',
      states: { waiting: { after: { 100: 'over' } }, over: { entry: ({ context }) => heard.push(context.word) } },
    });
    host.spawn({ id: 'a', logic: machine, input: { word: 'lazily' }, lazy: true });
    simulated.run(1_000);
    expect(host.pending.timers).toBe(0);
    host.send('a', { type: 'wake' });
    simulated.run(99);
    expect(heard).toEqual([]);
    simulated.run(1);
    expect(heard).toEqual(['lazily']);
    expect(clock.nowMs()).toBe(1_100);
  });

  for (const graceful of [false, true]) {
    test(`that has had no message ends when it is stopped, without being made (graceful: ${graceful})`, () => {
      const { host, simulated, spawnLazy, log } = lazyBench();
      const news = simulated.probe('m') as Exited[];
      spawnLazy('a', { graceful, monitors: ['m'], incarnation: 3 });
      host.stop('a', 5_000);
      expect(host.isAlive('a')).toBe(true);
      simulated.settle();
      expect(host.isAlive('a')).toBe(false);
      expect(news).toEqual([{ type: 'exited', id: 'a', incarnation: 3, started: false, reason: { at: 'shutdown' } }]);
      expect(log).toEqual([]);
      expect(host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
    });
  }

  test('that has had no message is killed at a deadline of 0', () => {
    const { host, simulated, spawnLazy } = lazyBench();
    const news = simulated.probe('m') as Exited[];
    spawnLazy('a', { monitors: ['m'] });
    host.stop('a', 0);
    simulated.settle();
    expect(news.map(({ reason }) => reason.at)).toEqual(['killed']);
  });

  test('once it has been stopped no message makes it any more, in whatever order they come', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const { host, simulated, spawnLazy, log } = lazyBench(seed);
      spawnLazy('a', { graceful: true });
      host.stop('a', 5_000);
      host.send('a', make(own('late')));
      simulated.settle();
      expect(log).toEqual([]);
      expect(simulated.deadLetters.map(({ to }) => to)).toEqual(['a']);
    }
  });

  test('that has had a message is asked to stop as any other', () => {
    const { host, simulated, clock } = lazyBench();
    const heard: string[] = [];
    const machine = setup({}).createMachine({ on: { '*': { actions: ({ event }) => heard.push(event.type) } } });
    host.spawn({ id: 'a', logic: machine, graceful: true, lazy: true });
    host.send('a', { type: 'work' });
    simulated.settle();
    host.stop('a', 5_000);
    simulated.settle();
    expect(heard).toEqual(['work', 'stop.requested']);
    expect(host.isAlive('a')).toBe(true);
    simulated.run(5_000);
    expect(host.isAlive('a')).toBe(false);
    expect(clock.nowMs()).toBe(5_000);
  });

  test('that throws when it is made ends with that error, and its message finds nobody', () => {
    const { host, simulated } = lazyBench();
    const news = simulated.probe('m') as Exited[];
    const error = new Error('no first state');
    const machine = setup({}).createMachine({
      context: () => {
        throw error;
      },
    });
    host.spawn({ id: 'a', logic: machine, lazy: true, monitors: ['m'] });
    host.send('a', { type: 'work' });
    simulated.settle();
    expect(news).toMatchObject([{ started: false, reason: { at: 'error', error } }]);
    expect(simulated.crashes).toEqual([{ id: 'a', error }]);
    expect(simulated.deadLetters).toEqual([{ to: 'a', message: { type: 'work' } }]);
  });

  test('whose first turn is its last leaves a question to it unanswered, and its asker is told', async () => {
    const { host, simulated, clock } = lazyBench();
    host.spawn({ id: 'a', logic: puppet(clock, [exit({ at: 'normal' })]), lazy: true });
    const answer = host.ask('a', (replyTo) => ({ type: 'question', replyTo }) as Message);
    simulated.settle();
    await expect(answer).rejects.toMatchObject({ code: 'DROVER_ACTOR_GONE' });
    expect(simulated.deadLetters).toEqual([]);
  });

  test('goes with its parent, made or not', () => {
    const { host, simulated, spawn, spawnLazy, log } = lazyBench();
    const news = simulated.probe('m') as Exited[];
    spawn('p');
    spawnLazy('asleep', { parent: 'p', monitors: ['m'] });
    spawnLazy('awake', { parent: 'p', monitors: ['m'] });
    host.send('awake', make(setTimer('t', 60_000, { type: 'never' })));
    simulated.settle();
    host.stop('p', 0);
    simulated.settle();
    expect(news.map(({ id }) => id).toSorted()).toEqual(['asleep', 'awake']);
    expect(log).toEqual(['entered']);
    expect(host.pending.timers).toBe(0);
  });

  test('is watched by whoever begins to before it is made', () => {
    const { host, simulated, spawnLazy } = lazyBench();
    const first = simulated.probe('m1') as Exited[];
    const second = simulated.probe('m2') as Exited[];
    spawnLazy('a', { monitors: ['m1', 'm1'] });
    host.monitor('m2', 'a');
    host.monitor('m2', 'a');
    host.send('a', { type: 'break' });
    simulated.settle();
    expect([first, second].map((news) => news.map(({ reason }) => reason.at))).toEqual([['error'], ['error']]);
  });

  test('is shown to observers from its first message on, and one that never had any is not', () => {
    const { host, simulated, spawnLazy } = lazyBench();
    const seen: string[] = [];
    host.observe({
      spawned: ({ id, actor }) => seen.push(`${id} spawned as ${actor.id}`),
      delivering: ({ id }, { type }) => seen.push(`${id} takes ${type}`),
      ended: ({ id }, { at }) => seen.push(`${id} ended: ${at}`),
    });
    spawnLazy('a');
    spawnLazy('b');
    host.send('a', { type: 'hello' });
    simulated.settle();
    host.stop('a', 0);
    host.stop('b', 0);
    simulated.settle();
    expect(seen).toEqual(['a spawned as a', 'a takes hello', 'a ended: killed']);
  });

  test('that was never made is closed with its host', () => {
    const { host, spawnLazy, log } = lazyBench();
    spawnLazy('a');
    host.close();
    expect(host.isAlive('a')).toBe(false);
    expect(log).toEqual([]);
  });

  test('goes on in place after a message that it throws at, also when that was its first', () => {
    const { host, simulated, spawnLazy, log } = lazyBench();
    spawnLazy('a', { resumes: () => true });
    host.send('a', { type: 'break' });
    host.send('a', make(own('told'), send('nobody', { type: 'x' })));
    simulated.settle();
    expect(log).toEqual(['entered', 'told']);
    expect(simulated.crashes).toHaveLength(1);
    expect(host.isAlive('a')).toBe(true);
  });
});
