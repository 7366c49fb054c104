import { expect, test } from 'vitest';
import { compile } from '../../../src/testing/explore/compile.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import { isDead, movesFrom, play, shrinkTrace, startOf } from '../../../src/testing/explore/play.ts';
import { crash } from '../../../src/testing/explore/skeleton.ts';
import { locks } from './planted.ts';

const space = netSpace(compile(locks.faulty), { releaseFirst: false });

test('a trace is played to the state that it leads to', () => {
  const { states, moves, stoppedAt } = play(space, ['one takes a', 'other takes b']);
  expect({ states: states.length, stoppedAt, actors: moves.map(({ actor }) => space.actors[actor]) }).toEqual({
    states: 3,
    stoppedAt: undefined,
    actors: ['one', 'other'],
  });
  expect(states.map((state) => isDead(space, state))).toEqual([false, false, true]);
});

test('a sentence that is no move there stops the trace, and says which', () => {
  expect(play(space, ['one takes a', 'one takes a'])).toMatchObject({ stoppedAt: 1 });
  expect(play(space, ['nobody does this'])).toMatchObject({ stoppedAt: 0, moves: [] });
});

test('a trace goes on from where another one ended', () => {
  const { states } = play(space, ['one takes a']);
  expect(play(space, ['other takes b'], states.at(-1)).states.at(-1)).toEqual(play(space, ['other takes b', 'one takes a']).states.at(-1));
});

test('what only a crash would free is dead', () => {
  const crashing = netSpace(
    compile({
      ...locks.faulty,
      faults: 1,
      processes: locks.faulty.processes.map((one) => ({
        ...one,
        states: { ...one.states, half: [...one.states['half']!, crash('idle')] },
      })),
    }),
    { releaseFirst: false },
  );
  const { states } = play(crashing, ['one takes a', 'other takes b']);
  expect(movesFrom(crashing, states.at(-1)!)).toHaveLength(2);
  expect(isDead(crashing, states.at(-1)!)).toBe(true);
});

test('idle is not dead', () => {
  expect(isDead(space, startOf(space))).toBe(false);
});

test('moves without which a trace ends as it does are left out, and no others', () => {
  const detour = ['other takes b', 'other takes a', 'other gives back b and a', 'one takes a', 'other takes b'];
  expect(play(space, detour).stoppedAt).toBeUndefined();
  expect(shrinkTrace(space, detour, (state) => isDead(space, state)).toSorted()).toEqual(['one takes a', 'other takes b']);
});
