import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explore } from '../../../src/testing/explore/explore.ts';
import { netSpace } from '../../../src/testing/explore/net.ts';
import type { Net } from '../../../src/testing/explore/net.ts';
import { runFirst } from '../../../src/testing/explore/release-first.ts';
import { naively } from './naive.ts';
import { nets } from './nets.ts';

const MOST_STATES = 60;

/** Runs with nets that stay small; the others say nothing. */
function compare(check: (net: Net, naive: NonNullable<ReturnType<typeof naively>>) => void, numRuns: number): Set<string> {
  const met = new Set<string>();
  fc.assert(
    fc.property(nets, (net) => {
      const naive = naively(net, MOST_STATES);
      fc.pre(naive !== undefined);
      check(net, naive);
      for (const what of ['dead', 'doomed'] as const) if (naive[what] !== undefined) met.add(what);
      for (const fairness of ['strong', 'weak'] as const) {
        if (naive[fairness].livelock) met.add(`${fairness} livelock`);
        if (naive[fairness].starving.length > 0) met.add(`${fairness} starvation`);
      }
      if (runFirst(net).length > 0) met.add('reduced');
      if (explore(netSpace(net)).states < naive.states) met.add('fewer states');
    }),
    { numRuns, seed: 3, maxSkipsPerRun: 1_000 },
  );
  return met;
}

test('a search without reduction agrees with the naive explorer on everything', () => {
  const met = compare((net, naive) => {
    const space = netSpace(net, { releaseFirst: false });
    const strong = explore(space);
    expect({
      states: strong.states,
      dead: strong.dead?.trace.length,
      doomed: strong.doomed?.trace.length,
      livelock: strong.livelock !== undefined,
      starving: strong.starvation.map(({ actor }) => actor).toSorted(),
    }).toEqual({
      states: naive.states,
      dead: naive.dead,
      doomed: naive.doomed,
      livelock: naive.strong.livelock,
      starving: naive.strong.starving.toSorted(),
    });
    const weak = explore(space, { fairness: 'weak' });
    expect({
      livelock: weak.livelock !== undefined,
      starving: weak.starvation.map(({ actor }) => actor).toSorted(),
    }).toEqual({ livelock: naive.weak.livelock, starving: naive.weak.starving.toSorted() });
  }, 3_000);
  expect(met).toEqual(
    new Set(['dead', 'doomed', 'strong livelock', 'weak livelock', 'strong starvation', 'weak starvation', 'reduced', 'fewer states']),
  );
});

test('with releases first the verdicts are the same, and dead states are as near', () => {
  compare((net, naive) => {
    const reduced = explore(netSpace(net));
    expect({
      dead: reduced.dead?.trace.length,
      doomed: reduced.doomed !== undefined,
      livelock: reduced.livelock !== undefined,
      starving: reduced.starvation.map(({ actor }) => actor).toSorted(),
    }).toEqual({
      dead: naive.dead,
      doomed: naive.doomed !== undefined,
      livelock: naive.strong.livelock,
      starving: naive.strong.starving.toSorted(),
    });
    expect(reduced.states).toBeLessThanOrEqual(naive.states);
    if (naive.doomed !== undefined) expect(reduced.doomed!.trace.length).toBeGreaterThanOrEqual(naive.doomed);
  }, 5_000);
});
