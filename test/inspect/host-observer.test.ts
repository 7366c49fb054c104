/** What a host tells those who look on: the seam under the inspector. */
import { expect, test } from 'vitest';
import type { Fire, HostObserver } from '../../actors/host/host.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import { setTimer } from '../../actors/kernel/effects.ts';
import type { HostEffect, Message } from '../../actors/kernel/effects.ts';
import { SimulatedHost } from '../host/simulated-host.ts';

type Carrying = Message & { readonly effects?: readonly HostEffect[] };

/** A host with an actor `a` that counts, and what an observer called `name` is told. */
function stage() {
  const simulated = new SimulatedHost();
  const { host } = simulated;
  const told: string[] = [];
  const observer = (name: string): HostObserver => ({
    spawned: ({ id }) => told.push(`${name}: ${id} is spawned`),
    delivering: ({ id, actor }, { type }, from) => told.push(`${name}: ${type} from ${from} to ${id}, in ${stateOf(actor)}`),
    delivered: ({ id, actor }, { type }) => told.push(`${name}: ${type} taken by ${id}, in ${stateOf(actor)}`),
    ended: ({ id }, { at }) => told.push(`${name}: ${id} has ended, ${at}`),
  });
  const spawn = (): void => {
    const decide = (count: number, { effects = NOTHING }: Carrying) => [count + 1, effects] as const;
    host.spawn({ id: 'a', logic: fromDecider<number, Carrying, unknown, HostEffect>({ initial: () => [0, NOTHING], decide }, host.clock) });
  };
  return { simulated, host, told, observer, spawn };
}

function stateOf(actor: { getSnapshot(): unknown }): number {
  return (actor.getSnapshot() as { readonly state: number }).state;
}

test('an observer is told of a life, and of each message before and after it is taken', () => {
  const { simulated, host, told, observer, spawn } = stage();
  host.observe(observer('x'));
  spawn();
  host.send('a', { type: 'tick' }, 'work', 'b');
  simulated.settle();
  host.stop('a', 0);
  simulated.settle();
  expect(told).toEqual(['x: a is spawned', 'x: tick from b to a, in 0', 'x: tick taken by a, in 1', 'x: a has ended, killed']);
});

test('several are told in the order in which they came, and no more once they have left', () => {
  const { simulated, host, told, observer, spawn } = stage();
  host.observe(observer('x'));
  const leave = host.observe(observer('y'));
  spawn();
  leave();
  host.send('a', { type: 'tick' });
  simulated.settle();
  expect(told).toEqual(['x: a is spawned', 'y: a is spawned', 'x: tick from outside to a, in 0', 'x: tick taken by a, in 1']);
});

test('a timer is told with what it brings', () => {
  const { simulated, host, spawn } = stage();
  const brought: (Message | undefined)[] = [];
  host.observe({ delivered: (_actor, message) => void (message.type === 'host.fire' && brought.push((message as Fire).brings)) });
  spawn();
  host.send('a', { type: 'set', effects: [setTimer('t', 10, { type: 'ring' })] } as Message);
  simulated.run(20);
  expect(brought).toEqual([{ type: 'ring' }]);
});

test('what never reaches an actor is not told', () => {
  const { simulated, host, told, observer, spawn } = stage();
  spawn();
  host.observe(observer('x'));
  host.send('nobody', { type: 'tick' });
  host.send('a', { type: 'set', effects: [setTimer('t', 10, { type: 'ring' }), { type: 'timer.cancel', key: 't' }] } as Message);
  simulated.run(20);
  expect(told).toEqual(['x: set from outside to a, in 0', 'x: set taken by a, in 1']);
});

test('the end of the host is the end of everybody on it', () => {
  const { host, told, observer, spawn } = stage();
  spawn();
  host.observe(observer('x'));
  host.close();
  expect(told).toEqual(['x: a has ended, killed']);
});
