/** Transports: a channel stays in order whoever chooses; what is held up or lost is so by channel. */
import { describe, expect, test } from 'vitest';
import type { Envelope } from '../../../actors/host/transport.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';
import { ChannelTransport, sampling, scheduled } from '../../../src/testing/transports.ts';
import type { Sampler, TransportHooks } from '../../../src/testing/transports.ts';

const SAMPLERS: readonly Sampler[] = ['random', 'pos', 'pct', 'fair'];

const envelope = (from: string, toId: string, type: string): Envelope => ({
  from,
  to: undefined,
  toId,
  exact: false,
  lane: 'work',
  message: { type },
});

function transportOf(choosing = scheduled([]), hooks: TransportHooks = {}): ChannelTransport {
  return new ChannelTransport(choosing, hooks);
}

function drain(transport: ChannelTransport): string[] {
  const delivered: string[] = [];
  for (let next = transport.next(); next !== undefined; next = transport.next()) delivered.push(`${next.from}${next.message.type}`);
  return delivered;
}

function threeChannels(transport: ChannelTransport): ChannelTransport {
  for (const type of ['1', '2', '3']) for (const from of ['a', 'b', 'c']) transport.push(envelope(from, 'x', type));
  return transport;
}

describe.each(SAMPLERS)('the sampler %s', (sampler) => {
  test('delivers every message, those of one channel in order', () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const delivered = drain(threeChannels(transportOf(sampling(sampler, seededRandom(seed)))));
      expect(delivered).toHaveLength(9);
      for (const from of ['a', 'b', 'c'])
        expect(delivered.filter((name) => name.startsWith(from))).toEqual([`${from}1`, `${from}2`, `${from}3`]);
    }
  });

  test('makes the same choices for the same seed', () => {
    const order = (seed: number) => drain(threeChannels(transportOf(sampling(sampler, seededRandom(seed)))));
    expect(order(1)).toEqual(order(1));
  });
});

test.each(['random', 'pos', 'pct'] as const)('the sampler %s makes each channel the first one now and then', (sampler) => {
  const firsts = new Set(
    Array.from({ length: 40 }, (_, seed) => drain(threeChannels(transportOf(sampling(sampler, seededRandom(seed)))))[0]),
  );
  expect(firsts).toEqual(new Set(['a1', 'b1', 'c1']));
});

test('the fair sampler leaves nobody out for longer than a round', () => {
  const transport = transportOf(sampling('fair', seededRandom(1)));
  for (let at = 0; at < 20; at += 1) for (const from of ['a', 'b']) transport.push(envelope(from, 'x', String(at)));
  const first = drain(transport).slice(0, 20);
  expect(first.filter((name) => name.startsWith('a'))).toHaveLength(10);
});

describe('a schedule', () => {
  test('that is used up goes on first in, first out', () => {
    expect(drain(threeChannels(transportOf(scheduled([]))))).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'c2', 'a3', 'b3', 'c3']);
  });

  test('names channels modulo those that could go, by how long each has waited', () => {
    expect(drain(threeChannels(transportOf(scheduled([1, 4, 2])))).slice(0, 3)).toEqual(['b1', 'c1', 'c2']);
  });

  test('of nothing but zeros is first in, first out', () => {
    const zeros = drain(threeChannels(transportOf(scheduled(Array<number>(9).fill(0)))));
    expect(zeros).toEqual(drain(threeChannels(transportOf(scheduled([])))));
  });
});

describe('a channel that is held up', () => {
  function held() {
    const releases: (() => void)[] = [];
    const transport = transportOf(scheduled([]), {
      holdMs: ({ from, message }) => (from === 'a' && message.type === '1' ? 50 : 0),
      wake: (_inMs, release) => releases.push(release),
    });
    return { transport: threeChannels(transport), releases };
  }

  test('lets the others pass, and keeps its own order once it is let go', () => {
    const { transport, releases } = held();
    expect(drain(transport)).toEqual(['b1', 'c1', 'b2', 'c2', 'b3', 'c3']);
    expect([transport.size, transport.isMoving]).toEqual([3, false]);
    for (const release of releases) release();
    expect(drain(transport)).toEqual(['a1', 'a2', 'a3']);
  });

  test('goes on when everything is let go', () => {
    const { transport } = held();
    transport.releaseAll();
    expect(drain(transport)).toHaveLength(9);
  });
});

test('a message that is lost is not delivered, and what comes after it is', () => {
  const transport = transportOf(scheduled([]), { isLost: ({ message }) => message.type === '2' });
  expect(drain(threeChannels(transport))).toEqual(['a1', 'b1', 'c1', 'a3', 'b3', 'c3']);
});

test('a frozen transport delivers nothing, and has lost what was on its way', () => {
  const transport = threeChannels(transportOf());
  transport.freeze();
  expect([transport.next(), transport.isMoving, transport.size]).toEqual([undefined, false, 0]);
});
