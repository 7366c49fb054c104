import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { seededRandom, systemRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';

const draws = (random: Random, count = 50): number[] => Array.from({ length: count }, () => random.next());

describe('seeded random', () => {
  test.prop([fc.string()])('the same seed gives the same stream', (seed) => {
    expect(draws(seededRandom(seed))).toEqual(draws(seededRandom(seed)));
  });

  test('a number and its text are the same seed, and neighbours are different streams', () => {
    expect(draws(seededRandom(7))).toEqual(draws(seededRandom('7')));
    const first = Array.from({ length: 1_000 }, (_, seed) => seededRandom(seed).next());
    expect(new Set(first).size).toBe(1_000);
    // The first draws of neighbouring seeds are spread as evenly as the draws of one stream.
    expect(Math.abs(first.reduce((sum, draw) => sum + draw) / 1_000 - 0.5)).toBeLessThan(0.05);
  });

  test.prop([fc.string(), fc.string(), fc.nat({ max: 20 })])('a fork is the same however much was drawn before it', (seed, name, drawn) => {
    const parent = seededRandom(seed);
    draws(parent, drawn);
    expect(draws(parent.fork(name))).toEqual(draws(seededRandom(seed).fork(name)));
  });

  test.prop([fc.string(), fc.nat({ max: 20 })])('drawing from a fork changes neither its parent nor its siblings', (seed, drawn) => {
    const parent = seededRandom(seed);
    const sibling = parent.fork('sibling');
    draws(parent.fork('other'), drawn);
    expect(draws(parent)).toEqual(draws(seededRandom(seed)));
    expect(draws(sibling)).toEqual(draws(seededRandom(seed).fork('sibling')));
  });

  test.prop([fc.string(), fc.string({ minLength: 1 }), fc.string({ minLength: 1 })])(
    'forks of different names are different streams',
    (seed, one, other) => {
      fc.pre(one !== other);
      const parent = seededRandom(seed);
      expect(draws(parent.fork(one))).not.toEqual(draws(parent.fork(other)));
      expect(draws(parent.fork(one))).not.toEqual(draws(seededRandom(seed)));
    },
  );

  test.prop([fc.string(), fc.integer({ min: 1, max: 2 ** 31 })])('draws stay in their range', (seed, below) => {
    const random = seededRandom(seed);
    for (let at = 0; at < 100; at += 1) {
      const draw = random.next();
      const whole = random.int(below);
      expect(draw >= 0 && draw < 1 && Number.isInteger(whole) && whole >= 0 && whole < below).toBe(true);
    }
  });

  test('every face of a die comes up about as often as the others', () => {
    const faces = [0, 0, 0, 0, 0, 0];
    const random = seededRandom('die');
    for (let at = 0; at < 60_000; at += 1) faces[random.int(6)]! += 1;
    for (const face of faces) expect(Math.abs(face - 10_000)).toBeLessThan(400);
  });
});

test('the random of production keeps to the same ranges', () => {
  for (let at = 0; at < 1_000; at += 1) {
    const whole = systemRandom.fork('any').int(3);
    expect(systemRandom.next()).toBeLessThan(1);
    expect([0, 1, 2]).toContain(whole);
  }
});
