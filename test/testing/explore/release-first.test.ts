import { expect, test } from 'vitest';
import { explore } from '../../../src/testing/explore/explore.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import type { Arc, Net, Transition } from '../../../src/testing/explore/net.ts';
import { runFirst } from '../../../src/testing/explore/release-first.ts';

const A = 0;
const B = 1;
const C = 2;
const Q = 3;

const one = (...places: readonly number[]): readonly Arc[] => places.map((place) => ({ place, count: 1 }));

const move = (parts: Partial<Transition>): Transition => ({ says: 'moves', actor: 'a', class: 'step', takes: [], gives: [], ...parts });

/** Gives back what A holds. */
const giving = move({ class: 'release', takes: one(A), gives: one(Q) });

/** One token in A and one in B. */
const net = (transitions: readonly Transition[], home: readonly Arc[]): Net => ({
  name: 'small',
  places: ['a', 'b', 'c', 'q'].map((name, place) => ({
    name,
    initial: place === A || place === B ? 1 : 0,
    capacity: 2,
    about: { at: 'process', process: name, state: name, held: {}, rests: false, owes: false },
  })),
  transitions,
  home,
});

const none = (...places: readonly number[]): readonly Arc[] => places.map((place) => ({ place, count: 0 }));

test('a release that nothing depends on runs first, and other orders are left out', () => {
  const small = net([giving, move({ takes: one(B), gives: one(C) })], none(A, B));
  expect(runFirst(small)).toEqual([0]);
  expect(explore(netSpace(small)).states).toBe(3);
  expect(explore(netSpace(small, { releaseFirst: false })).states).toBe(4);
});

test('a release that shuts a door for others does not run first: what lies behind the door is found', () => {
  const trap = move({ takes: one(B), gives: one(C), unless: one(Q) });
  const out = move({ takes: one(B), reads: one(Q) });
  const small = net([giving, trap, out], none(A, B, C));
  expect(runFirst(small)).toEqual([]);
  expect(explore(netSpace(small)).dead?.trace).toHaveLength(2);
});

test('a release that home does not need does not run first: the last state with a way home is not called doomed', () => {
  const small = net([giving, move({ takes: one(B) })], [...one(A), ...none(B)]);
  expect(runFirst(small)).toEqual([]);
  expect(explore(netSpace(small)).doomed?.trace).toHaveLength(1);
});

test('a release whose token somebody else can take does not run first', () => {
  const small = net([giving, move({ takes: one(A), gives: one(C) })], none(A, B, C));
  expect(runFirst(small)).toEqual([]);
});

test('releases that go in a circle do not run first: the others would never move', () => {
  const back = move({ class: 'release', takes: one(Q), gives: one(A) });
  const small = net([giving, back, move({ takes: one(B), gives: one(C) })], none(A, B, C, Q));
  expect(runFirst(small)).toEqual([]);
  expect(explore(netSpace(small)).states).toBe(4);
});
