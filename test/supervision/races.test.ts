/** Races that a storm of deliveries has found, each small and by itself: a stop, or an end, at every possible moment. */
import { expect, test } from 'vitest';
import { leaf, tree } from './plan.ts';
import type { Fate, Plan, TreePlan } from './plan.ts';
import { isStill, promises, Stage } from './stage.ts';

const SEEDS = [undefined, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const MOST_TURNS = 12;
const LONG_MS = 100_000;

/** Something begins; after each possible number of turns something else happens; then all must be still, and a stop must end it. */
async function atEveryMoment(
  plan: TreePlan,
  begin: (stage: Stage) => Promise<unknown>,
  meanwhile: (stage: Stage) => unknown,
): Promise<void> {
  for (const seed of SEEDS) {
    for (let turns = 0; turns < MOST_TURNS; turns += 1) {
      const stage = new Stage(seed);
      await stage.open(plan);
      const begun = begin(stage);
      await promises();
      for (let turn = 0; turn < turns; turn += 1) stage.host.step();
      const other = meanwhile(stage);
      await stage.wait(LONG_MS);
      await stage.finish(Promise.allSettled([begun, other]), LONG_MS);
      await stage.do({ at: 'stop' }, LONG_MS);
      const left = [...stage.host.ids(), ...stage.faults];
      if (left.length > 0 || !isStill(stage))
        throw new Error(`seed ${seed}, after ${turns} turns: ${left.join(', ')}; ${stage.seen.join('; ')}`);
      expect(stage.end).toEqual({ at: 'shutdown' });
    }
  }
}

const startsBranch = (plan: Plan) => (stage: Stage) => stage.begin({ at: 'startChild', supervisor: 'root', plan });
const branches: Record<string, readonly Fate[]> = {
  'one child': ['well'],
  'an ignored child': ['ignore'],
  'an ignored last child': ['well', 'ignore'],
  'an ignored first child': ['ignore', 'well'],
  'a last child that throws': ['well', 'throws'],
  'a last child that breaks in its first turn': ['well', 'breaks'],
};

for (const [what, fates] of Object.entries(branches)) {
  const branch = tree(
    'e',
    fates.map((fate, at) => leaf(`k${at}`, { starts: [fate] })),
  );
  test(`a branch with ${what} can be told to stop at any moment of its start`, () =>
    atEveryMoment(tree('root', [], { intensity: 5 }), startsBranch(branch), ({ host }) => host.stop('root/e', Infinity)));

  test(`a branch with ${what} can be killed at any moment of its start`, () =>
    atEveryMoment(tree('root', [], { intensity: 5 }), startsBranch(branch), ({ host }) => host.stop('root/e', 0)));

  test(`a supervisor can be stopped at any moment of the start of a branch with ${what}`, () =>
    atEveryMoment(tree('root', [leaf('a')], { intensity: 5 }), startsBranch(branch), ({ supervisor }) => supervisor!.stop()));
}

for (const fate of ['well', 'ignore', 'throws', 'breaks'] as const) {
  test(`a supervisor can be stopped at any moment of the start of a child that goes ${fate}`, () =>
    atEveryMoment(tree('root', [leaf('a')]), startsBranch(leaf('b', { starts: [fate] })), ({ supervisor }) => supervisor!.stop()));

  for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
    test(`a ${strategy} supervisor can be stopped at any moment of a restart that goes ${fate}`, () =>
      atEveryMoment(
        tree('root', [leaf('a'), leaf('b', { starts: ['well', fate] }), leaf('c')], { strategy, intensity: 5 }),
        async (stage) => stage.tell('root/b#1', 'crash'),
        ({ supervisor }) => supervisor!.stop(),
      ));

    test(`under ${strategy} a sibling can crash at any moment of a restart that goes ${fate}`, () =>
      atEveryMoment(
        tree('root', [leaf('a'), leaf('b', { starts: ['well', fate] }), leaf('c')], { strategy, intensity: 5 }),
        async (stage) => stage.tell('root/b#1', 'crash'),
        (stage) => {
          const sibling = [...stage.living.keys()].find((life) => life.startsWith('root/c#'));
          if (sibling !== undefined) stage.tell(sibling, 'crash');
        },
      ));
  }
}

for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
  for (const fate of ['well', 'ignore', 'throws', 'breaks'] as const) {
    test(`under ${strategy} a child can end at any moment of the start of its branch, while the start of one after it goes ${fate}`, () =>
      atEveryMoment(
        tree('root', [], { intensity: 5 }),
        startsBranch(tree('e', [leaf('k'), leaf('c'), leaf('b', { starts: [fate] })], { strategy, intensity: 3 })),
        (stage) => {
          const first = [...stage.living.keys()].find((life) => life.startsWith('root/e/k#'));
          if (first !== undefined) stage.tell(first, 'normal');
        },
      ));
  }
}

test('a supervisor can be asked twice to stop, at any moment', () =>
  atEveryMoment(
    tree('root', [leaf('a', { manners: 'deaf', shutdownMs: 10 }), tree('s', [leaf('b')])]),
    ({ supervisor }) => supervisor!.stop(),
    ({ supervisor }) => supervisor!.stop(),
  ));

test('a child can be terminated at any moment of its restart', () =>
  atEveryMoment(
    tree('root', [leaf('a'), leaf('b', { starts: ['well', 'throws'] })], { intensity: 5 }),
    async (stage) => stage.tell('root/b#1', 'crash'),
    ({ supervisor }) => supervisor!.terminateChild('b'),
  ));
