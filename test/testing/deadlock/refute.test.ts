/** What the kit calls a run that does not end, and how small it makes it: on fleets whose runs are the user's own. */
import { agent, defineFleet, dependency } from 'drover';
import { describe, expect, test } from 'vitest';
import { refute } from '../../../src/testing/deadlock/refute.ts';
import type { Refutation } from '../../../src/testing/deadlock/refute.ts';
import { sample } from '../../../src/testing/deadlock/sample.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';

type Run = 'waits' | 'calls on' | 'ends';

const model = dependency({ perform: async (request: null) => request });
const kind = agent({
  uses: { model },
  replicas: 4,
  run: async (run: Run, ctx) => {
    if (run === 'waits') await new Promise(() => {});
    for (;;) {
      if (run === 'ends') return run;
      await ctx.call('model', null, { remember: false });
    }
  },
});

async function refuted(...runs: readonly Run[]): Promise<Refutation> {
  const subject = performed(defineFleet({ name: 'own', staggerMs: 0, agents: { kind } }), {
    durationMs: 1_000,
    healMs: 6_000,
    provider: () => ({ model: { latencyMs: 500 } }),
    work: () => runs.map((input, at) => ({ kind: 'kind' as const, id: `t${at}`, input })),
  });
  const { found } = await sample(subject, { seed: 1, runs: 1 });
  return refute(subject, found);
}

describe('a run that does not end is called', () => {
  test('a deadlock when nothing moves, and whoever does end is left out', async () => {
    const { kind: called, run, cycle } = await refuted('ends', 'waits', 'ends');
    expect(called).toBe('deadlock');
    expect(run.tasks.map(({ id }) => id)).toEqual(['t1']);
    expect(cycle[0]).toContain('t1 is running');
  });

  test('a livelock when whoever does not end goes on and on, told once round', async () => {
    const { kind: called, trace, before, after } = await refuted('calls on', 'ends');
    expect(called).toBe('livelock');
    expect(trace.at(-2)).toBe('and so on: the last 2 steps again and again');
    expect(after.steps).toBeLessThan(before.steps);
  });

  test('a starvation when some go on and others do nothing', async () => {
    const { kind: called, run } = await refuted('waits', 'ends', 'calls on');
    expect(called).toBe('starvation');
    expect(run.tasks.map(({ id }) => id)).toEqual(['t0', 't2']);
  });
});

test('runs that all end leave nothing to refute', async () => {
  const subject = performed(defineFleet({ name: 'own', staggerMs: 0, agents: { kind } }), {
    work: () => [{ kind: 'kind', id: 't', input: 'ends' as const }],
  });
  expect((await sample(subject, { seed: 1, runs: 4 })).found).toEqual([]);
});
