import { test as propertyTest, fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { follow, isDue, stepped } from '../../../supervisors/meta-agent/anomaly.ts';
import type { Anomaly, OpenAnomaly } from '../../../supervisors/meta-agent/anomaly.ts';
import type { Verdict } from '../../../supervisors/meta-agent/compare.ts';
import { defineRules } from '../../../supervisors/meta-agent/rules.ts';

const [RULE] = defineRules([
  {
    name: 'rule',
    scope: 'worker',
    measure: 'latency',
    enter: { vs: 'absolute', above: 10 },
    leave: { below: 5, forMs: 50 },
    forMs: 30,
    stepAfterMs: 20,
    steps: ['note', 'restart', 'suspend'],
  },
]);
const rule = RULE!;
const SUBJECT = { kind: 'k', worker: 'w' };

/** One verdict each 10 ms; steps are taken as soon as they are due. What it is in the end, and when steps were taken. */
function live(verdicts: readonly (Verdict | undefined)[]) {
  let anomaly: Anomaly | undefined;
  const steps: number[] = [];
  for (const [at, verdict] of verdicts.entries()) {
    const nowMs = at * 10;
    anomaly = follow(anomaly, SUBJECT, verdict, rule, nowMs);
    if (anomaly !== undefined && verdict === 'bad' && isDue(anomaly, rule, nowMs)) {
      anomaly = stepped(anomaly, nowMs);
      steps.push(nowMs);
    }
  }
  return { anomaly, steps };
}

const times = (count: number, verdict: Verdict | undefined): readonly (Verdict | undefined)[] =>
  Array.from({ length: count }, () => verdict);

describe('an anomaly', () => {
  test('it opens when it has been bad for long enough, and not before', () => {
    expect(live(times(3, 'bad')).anomaly).toMatchObject({ at: 'suspected', sinceMs: 0 });
    expect(live(times(4, 'bad')).anomaly).toMatchObject({ at: 'open', sinceMs: 0 });
  });

  test.each(['good', 'between', undefined] as const)('a suspicion is dropped by %s', (verdict) => {
    expect(live(['bad', 'bad', verdict]).anomaly).toBeUndefined();
    expect(live([...times(3, 'bad'), verdict, ...times(3, 'bad')]).anomaly).toMatchObject({ at: 'suspected', sinceMs: 40 });
  });

  test('its steps come one by one, each after the time that the one before had', () => {
    expect(live(times(12, 'bad')).steps).toEqual([30, 50, 70]);
  });

  test('after its last step it stays open, and nothing more is done', () => {
    const { anomaly, steps } = live(times(100, 'bad'));
    expect(anomaly).toMatchObject({ at: 'open', taken: 3 });
    expect(steps).toHaveLength(3);
  });

  test('no news is not good news, and no reason for another step', () => {
    const { anomaly, steps } = live([...times(4, 'bad'), ...times(50, undefined)]);
    expect(anomaly).toMatchObject({ at: 'open', taken: 1 });
    expect(steps).toEqual([30]);
    expect(live([...times(4, 'bad'), ...times(50, undefined), 'bad']).steps).toEqual([30, 540]);
  });

  test('between the two lines it stays as it is', () => {
    expect(live([...times(4, 'bad'), ...times(50, 'between')]).anomaly).toMatchObject({ at: 'open', taken: 1 });
    expect(live(times(50, 'between')).anomaly).toBeUndefined();
  });

  test('healthy for long enough, all is forgiven', () => {
    expect(live([...times(4, 'bad'), ...times(5, 'good')]).anomaly).toMatchObject({ at: 'recovering', goodSinceMs: 40 });
    expect(live([...times(4, 'bad'), ...times(6, 'good')]).anomaly).toBeUndefined();
    expect(live([...times(4, 'bad'), ...times(6, 'good'), ...times(4, 'bad')]).steps).toEqual([30, 130]);
    expect(live([...times(4, 'bad'), ...times(6, 'good'), ...times(4, 'bad')]).anomaly).toMatchObject({ taken: 1 });
  });

  test.each(['bad', 'between'] as const)('%s before that, it goes on where it was', (verdict) => {
    const { anomaly } = live([...times(4, 'bad'), ...times(5, 'good'), verdict]);
    expect(anomaly).toMatchObject({ at: 'open', sinceMs: 0 });
    expect(anomaly).not.toHaveProperty('goodSinceMs');
    expect((anomaly as OpenAnomaly).taken).toBe(verdict === 'bad' ? 2 : 1);
  });

  test('a step that was passed over takes no time', () => {
    const { anomaly } = live(times(4, 'bad'));
    const passedOver = stepped({ ...(anomaly as OpenAnomaly), steppedAtMs: -100 }, undefined);
    expect(isDue(passedOver, rule, 30)).toBe(true);
    expect(isDue(stepped(passedOver, 30), rule, 30)).toBe(false);
  });

  const verdict = fc.constantFrom<Verdict | undefined>('bad', 'good', 'between', undefined);
  propertyTest.prop([fc.array(verdict, { maxLength: 200 })], { numRuns: 2_000 })(
    'whatever is found: a step only when it is bad, never two within the time of one, never one without having been bad for long',
    (verdicts) => {
      const { steps } = live(verdicts);
      for (const [at, stepMs] of steps.entries()) {
        expect(verdicts[stepMs / 10]).toBe('bad');
        if (at > 0) expect(stepMs - steps[at - 1]!).toBeGreaterThanOrEqual(20);
      }
      if (steps.length > 0) expect(verdicts.slice(steps[0]! / 10 - 3, steps[0]! / 10 + 1)).toEqual(times(4, 'bad'));
    },
  );
});
