import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { fifoTransport, seededTransport } from '../../actors/host/transport.ts';
import type { Envelope, Transport } from '../../actors/host/transport.ts';
import type { Lane } from '../../actors/kernel/effects.ts';
import { seededRandom } from '../../actors/kernel/random.ts';

const envelope = (from: string, toId: string, lane: Lane, name: string): Envelope => ({
  from,
  to: toId,
  toId,
  exact: false,
  lane,
  message: { type: name },
});

const channelOf = ({ from, toId, lane }: Envelope): string => `${from}>${toId}>${lane}`;

function drain(transport: Transport): Envelope[] {
  const delivered: Envelope[] = [];
  for (let next = transport.next(); next !== undefined; next = transport.next()) delivered.push(next);
  return delivered;
}

/** Pushes in any order, with deliveries between them. */
const traffic = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        from: fc.constantFrom('a', 'b', 'c'),
        to: fc.constantFrom('x', 'y'),
        lane: fc.constantFrom<Lane>('control', 'work'),
      }),
    },
    { weight: 1, arbitrary: fc.constant('next' as const) },
  ),
  { maxLength: 200 },
);

describe.each([
  ['fifo', (): Transport => fifoTransport()],
  ['seeded', (seed: number): Transport => seededTransport(seededRandom(seed))],
])('%s transport', (_name, make) => {
  test.prop([traffic, fc.integer()])(
    'loses nothing, doubles nothing, and keeps the order of each sender, receiver and lane',
    (steps, seed) => {
      const transport = make(seed);
      const sent: Envelope[] = [];
      const delivered: Envelope[] = [];
      for (const [at, step] of steps.entries()) {
        if (step === 'next') {
          const next = transport.next();
          if (next !== undefined) delivered.push(next);
        } else {
          const next = envelope(step.from, step.to, step.lane, String(at));
          sent.push(next);
          transport.push(next);
        }
        expect(transport.size).toBe(sent.length - delivered.length);
      }
      delivered.push(...drain(transport));
      expect(transport.size).toBe(0);
      expect(transport.next()).toBeUndefined();
      const byChannel = (envelopes: readonly Envelope[]): unknown =>
        Object.fromEntries(Object.entries(Object.groupBy(envelopes, channelOf)).toSorted());
      expect(byChannel(delivered)).toEqual(byChannel(sent));
    },
  );
});

describe('fifo transport', () => {
  test('the control lane is served before the work lane, each first in, first out', () => {
    const transport = fifoTransport();
    for (const [lane, name] of [
      ['work', 'w1'],
      ['control', 'c1'],
      ['work', 'w2'],
      ['control', 'c2'],
    ] as const)
      transport.push(envelope('a', 'x', lane, name));
    expect(transport.next()!.message.type).toBe('c1');
    transport.push(envelope('b', 'y', 'control', 'c3'));
    expect(drain(transport).map(({ message }) => message.type)).toEqual(['c2', 'c3', 'w1', 'w2']);
  });

  test('order holds while it grows around the end of its buffer', () => {
    const transport = fifoTransport();
    let pushed = 0;
    let taken = 0;
    for (let round = 1; round <= 300; round += 1) {
      for (let at = 0; at < round; at += 1) transport.push(envelope('a', 'x', 'work', String(pushed++)));
      for (let at = 0; at < round - 7; at += 1) expect(transport.next()!.message.type).toBe(String(taken++));
    }
    for (const left of drain(transport)) expect(left.message.type).toBe(String(taken++));
    expect(taken).toBe(pushed);
  });
});

describe('seeded transport', () => {
  const names = ['a', 'b', 'c'];
  const orderOf = (seed: number, choices: number[] = []): string => {
    const transport = seededTransport(seededRandom(seed), choices);
    for (const from of names) transport.push(envelope(from, 'x', from === 'a' ? 'control' : 'work', from));
    return drain(transport)
      .map(({ from }) => from)
      .join('');
  };

  test('across channels every order comes up, whatever the lane', () => {
    const orders = new Set(Array.from({ length: 200 }, (_, seed) => orderOf(seed)));
    expect([...orders].toSorted()).toEqual(['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
  });

  test('the same seed makes the same choices, and records them', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const first: number[] = [];
      const second: number[] = [];
      expect(orderOf(seed, first)).toBe(orderOf(seed, second));
      expect(first).toEqual(second);
      expect(first).toHaveLength(3);
      // The choices say what was delivered: the nth of the channels that had something.
      const left = [...names];
      expect(first.map((choice) => left.splice(choice, 1)[0]).join('')).toBe(orderOf(seed));
    }
  });
});
