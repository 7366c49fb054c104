import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { Mailboxes } from '../../../actors/queue.ts';
import { Books } from './books.ts';
import type { Step } from './books.ts';

const who = fc.nat({ max: 4 });
const which = fc.array(fc.nat({ max: 200 }), { maxLength: 6, size: 'max' });
/** 0: none of the tasks wants a worker. Otherwise most of them do. */
const affinity = fc.nat({ max: 6 });
const fields = {
  mode: fc.constantFrom('steal' as const, 'steal' as const, 'steal' as const, 'dedicated' as const, 'shared' as const),
  capacity: fc.constantFrom(1, 2, 3, 5, 8),
  stealAbove: fc.constantFrom(0, 1, 2, 4),
};
const share = fc.double({ min: 0, max: 0.999, noNaN: true });

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ at: fc.constant('join' as const), who }) },
    { weight: 2, arbitrary: fc.record({ at: fc.constant('join late' as const), who }) },
    { weight: 3, arbitrary: fc.record({ at: fc.constant('leave' as const), who }) },
    { weight: 3, arbitrary: fc.record({ at: fc.constant('exit' as const), who }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('stale exit' as const), who }) },
    { weight: 4, arbitrary: fc.constant({ at: 'ready' as const }) },
    { weight: 12, arbitrary: fc.record({ at: fc.constant('claimed' as const), share: fc.oneof(share, fc.constant(0.999)), affinity }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('claimed unasked' as const), count: fc.nat({ max: 12 }), affinity }) },
    { weight: 10, arbitrary: fc.record({ at: fc.constant('fetched' as const), who }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('fetched late' as const), who }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('cancelled' as const), which }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('configure' as const), change: fc.record(fields, { requiredKeys: [] }) }) },
    { weight: 20, arbitrary: fc.record({ at: fc.constant('ended' as const), which }) },
    { weight: 4, arbitrary: fc.record({ at: fc.constant('revoked' as const), which }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('raised' as const), which }) },
    { weight: 1, arbitrary: fc.constantFrom({ at: 'drain' as const }, { at: 'reopen' as const }, { at: 'reopen' as const }) },
  ),
  { maxLength: 60, size: 'max' },
);

const scene = fc.noBias(
  fc.record({
    input: fc.record({ ...fields, tenantWeights: fc.constantFrom(undefined, undefined, {}, { x: 3 }) }),
    steps,
    drainAt: fc.option(fc.nat({ max: 60 }), { freq: 4 }),
  }),
);

function play({
  input,
  steps: history,
  drainAt,
}: {
  readonly input: Mailboxes & { readonly tenantWeights: Readonly<Record<string, number>> | undefined };
  readonly steps: readonly Step[];
  readonly drainAt: number | null;
}): Books {
  const books = new Books(input);
  for (const [at, step] of history.entries()) {
    if (at === drainAt) books.take({ at: 'drain' });
    books.take(step);
  }
  books.finish();
  return books;
}

describe('any history', () => {
  test.prop([scene], { numRuns: 1_000 })(
    'S13 every task is in one place only, none disappears, and every rule above holds at every step',
    (given) => {
      play(given);
    },
    60_000,
  );

  test('those histories reach what they are about', () => {
    const reached: Record<string, number> = {};
    for (const given of fc.sample(scene, { seed: 1, numRuns: 3_200 })) {
      for (const [what, times] of Object.entries(play(given).reached)) reached[what] = (reached[what] ?? 0) + times;
    }
    const effects = ['queue.claim', 'queue.start', 'queue.release', 'queue.spill', 'queue.unbox', 'queue.orphan', 'queue.stole', 'send'];
    for (const what of [...effects, 'queue.revoked', 'queue.raised', 'queue.configure', 'of a box']) {
      expect(reached[what], `${what} is reached`).toBeGreaterThan(50);
    }
    expect(reached['out of a box']).toBeGreaterThan(2);
  });
});
