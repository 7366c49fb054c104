/** The same as `forty.ts`, with fewer workers. */
import { expect, test } from 'vitest';
import { runCase } from './forty-case.ts';
import { DEEDS } from './forty-fleet.ts';

const SIZE = { others: 9, tasks: 200 };

test.for((['thread', 'process'] as const).flatMap((isolation) => DEEDS.map((deed) => [isolation, deed] as const)))(
  'a worker in a %s that comes to %s is replaced, and the others finish their work undisturbed',
  async ([isolation, deed]) => {
    const { othersMs, disturbed, how, endedMs, worksMs } = await runCase(isolation, deed, SIZE);
    expect({ runs: othersMs.length, disturbed }).toEqual({ runs: SIZE.tasks, disturbed: 0 });
    expect(['hung', 'exited', 'out-of-memory']).toContain(how);
    expect(worksMs).toBeGreaterThan(endedMs!);
  },
);

test('one that does its work is not replaced', async () => {
  const { disturbed, how } = await runCase('thread', 'nothing', SIZE);
  expect({ disturbed, how }).toEqual({ disturbed: 0, how: undefined });
});
