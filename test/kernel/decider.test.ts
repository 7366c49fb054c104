import { describe, expect, test } from 'vitest';
import { createActor } from 'xstate';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import type { Decision, DeciderSnapshot } from '../../actors/kernel/decider.ts';
import { beginTurn, emit, endTurn, reply, send } from '../../actors/kernel/effects.ts';
import type { HostEffect, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

interface Counter {
  readonly count: number;
  readonly atMs: number;
}

type CounterMessage = { readonly type: 'add'; readonly by: number } | { readonly type: 'look' } | { readonly type: 'break' };

const heard: string[] = [];

const counter = {
  initial: (input: { readonly from: number }, nowMs: number): Decision<Counter> => [
    { count: input.from, atMs: nowMs },
    [send('log', { type: 'born' })],
  ],
  decide(state: Counter, message: CounterMessage, nowMs: number): Decision<Counter> {
    heard.push(message.type);
    switch (message.type) {
      case 'add':
        return [{ count: state.count + message.by, atMs: nowMs }, [send('log', { type: 'added' }), reply(1, message.by)]];
      case 'look':
        return [state, [reply(1, state.count)]];
      case 'break':
        throw new Error('broken');
    }
  },
};

function take<T>(act: () => T): [T, OwnEffect[]] {
  const effects: OwnEffect[] = [];
  beginTurn(effects);
  try {
    return [act(), effects];
  } finally {
    endTurn();
  }
}

function started() {
  const clock = new VirtualClock(50);
  const [actor, effects] = take(() =>
    createActor(fromDecider<Counter, CounterMessage, { from: number }, HostEffect>(counter, clock), { input: { from: 3 } }),
  );
  actor.subscribe({ error: () => {} });
  take(() => actor.start());
  heard.length = 0;
  return { clock, actor, effects };
}

describe('decider', () => {
  test('the first state and its effects come from input and time', () => {
    const { actor, effects } = started();
    expect(actor.getSnapshot().state).toEqual({ count: 3, atMs: 50 });
    expect(effects).toEqual([send('log', { type: 'born' })]);
  });

  test('a decision commits its state, and names its effects in order', () => {
    const { actor, clock } = started();
    clock.advanceBy(7);
    const before = actor.getSnapshot();
    const [, effects] = take(() => actor.send({ type: 'add', by: 2 }));
    expect(actor.getSnapshot().state).toEqual({ count: 5, atMs: 57 });
    expect(actor.getSnapshot()).not.toBe(before);
    expect(effects).toEqual([send('log', { type: 'added' }), reply(1, 2)]);
  });

  test('a decision that changes nothing keeps the snapshot, and its effects still run', () => {
    const { actor } = started();
    const before = actor.getSnapshot();
    const [, effects] = take(() => actor.send({ type: 'look' }));
    expect(actor.getSnapshot()).toBe(before);
    expect(effects).toEqual([reply(1, 3)]);
  });

  test('a decision that throws ends the actor with its error and the last committed state', () => {
    const { actor } = started();
    take(() => actor.send({ type: 'break' }));
    expect(actor.getSnapshot()).toMatchObject({ status: 'error', error: new Error('broken'), state: { count: 3 } });
  });

  test('a decider hears its messages and nothing of XState’s own', () => {
    const { actor } = started();
    const [, effects] = take(() => actor.stop());
    expect(heard).toEqual([]);
    expect(effects).toEqual([]);
  });

  test('a snapshot can be kept and restored', () => {
    const { actor, clock } = started();
    take(() => actor.send({ type: 'add', by: 4 }));
    const kept = JSON.parse(JSON.stringify(actor.getPersistedSnapshot())) as DeciderSnapshot<Counter>;
    const logic = fromDecider<Counter, CounterMessage, { from: number }, HostEffect>(counter, clock);
    const [restored, effects] = take(() => createActor(logic, { snapshot: kept, input: { from: 0 } }).start());
    expect(effects).toEqual([]);
    expect(restored.getSnapshot().state).toEqual({ count: 7, atMs: 50 });
  });

  test('no effects is one shared, empty list', () => {
    expect(NOTHING).toEqual([]);
  });
});

describe('turns', () => {
  const message: Message = { type: 'any' };

  test('an effect outside a turn is a bug, for nobody would run it', () => {
    expect(() => emit(send('a', message))).toThrow(/broken invariant.*send/);
  });

  test('a turn is never taken inside another one, and a turn that threw is over', () => {
    expect(() => take(() => take(() => {}))).toThrow(/broken invariant/);
    expect(() =>
      take(() => {
        throw new Error('thrown');
      }),
    ).toThrow('thrown');
    expect(take(() => emit(send('a', message)))[1]).toEqual([send('a', message)]);
  });

  test('a message goes on the work lane unless it says otherwise', () => {
    expect(send('a', message)).toMatchObject({ lane: 'work' });
    expect(send('a', message, 'control')).toMatchObject({ lane: 'control' });
  });
});
