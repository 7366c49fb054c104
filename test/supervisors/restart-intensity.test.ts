import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { addRestart } from '../../supervisors/restart-intensity.ts';
import type { RestartIntensity } from '../../supervisors/restart-intensity.ts';

/** Which of these restarts is one too many, by count alone; undefined when none is. */
function exceededAt(times: readonly number[], limit: RestartIntensity): number | undefined {
  let restarts: readonly number[] = [];
  for (const nowMs of times) {
    const added = addRestart(restarts, nowMs, limit);
    if (added.exceeded) return nowMs;
    restarts = added.restarts;
  }
  return undefined;
}

describe('restart intensity', () => {
  test.each([
    // OTP-39: a restart as old as the period still counts.
    [[0, 5_000], 1, 5_000, 5_000],
    [[0, 5_000.001], 1, 5_000, undefined],
    [[0, 6_000], 1, 5_000, undefined],
    // OTP-36, AK-07: with intensity 0 the first is one too many.
    [[0], 0, 5_000, 0],
    [[0], 0, 0, 0],
    // AK-06: two restarts, the third is one too many.
    [[0, 10, 20], 2, 60_000, 20],
    // AK-08: once the window has passed, counting begins anew.
    [[0, 10, 2_110, 2_120], 2, 2_000, undefined],
    [[0, 10, 2_110, 2_120, 2_130], 2, 2_000, 2_130],
    // Without a period, only restarts in the same moment count together.
    [[0, 1, 2, 3], 1, 0, undefined],
    [[0, 0], 1, 0, 0],
    [[0, 1e9], 1, Infinity, 1e9],
  ] as const)('restarts at %j with intensity %j in %j ms are too many at %j', (times, intensity, periodMs, expected) => {
    expect(exceededAt(times, { intensity, periodMs })).toBe(expected);
  });

  const limits = fc.record({ intensity: fc.nat({ max: 5 }), periodMs: fc.nat({ max: 50 }) });
  const gaps = fc.array(fc.nat({ max: 30 }), { maxLength: 40 });

  test.prop([limits, gaps])('the window is counted exactly, and nothing older is kept', (limit, pauses) => {
    const times = pauses.map((_, at) => pauses.slice(0, at + 1).reduce((sum, pause) => sum + pause, 0));
    const within = (nowMs: number, upTo: number): number[] => times.slice(0, upTo + 1).filter((atMs) => nowMs - atMs <= limit.periodMs);
    let restarts: readonly number[] = [];
    for (const [at, nowMs] of times.entries()) {
      const before = Object.freeze([...restarts]);
      const added = addRestart(before, nowMs, limit);
      expect(added.restarts.toReversed()).toEqual(within(nowMs, at));
      expect(added.exceeded).toBe(within(nowMs, at).length > limit.intensity);
      restarts = added.restarts;
    }
  });
});
