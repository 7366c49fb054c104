import { test as propertyTest, fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import { autoscalerLogic, decide, initial, wantedBy } from '../../../supervisors/autoscaler.ts';
import type { AutoscalerEffect, AutoscalerMessage, AutoscalerState, KindObserved } from '../../../supervisors/autoscaler.ts';
import { defineAutoscale } from '../../../supervisors/autoscale-policy.ts';
import type { AutoscaleSpec } from '../../../supervisors/autoscale-policy.ts';
import { PolicyError } from '../../../supervisors/meta-agent/check.ts';
import { SimulatedHost } from '../../host/simulated-host.ts';
import { SimulatedLoad, turns } from './simulated-load.ts';

const SPEC: AutoscaleSpec = { min: 2, max: 32 };
const POLICY = defineAutoscale(SPEC);
const IDLE: KindObserved = {
  type: 'kind.observed',
  kind: 'k',
  queued: 0,
  oldestAgeMs: 0,
  running: 0,
  waitingForAdmission: 0,
  parked: 0,
  replicas: 4,
  suspended: 0,
};
const BUSY: KindObserved = { ...IDLE, queued: 40, oldestAgeMs: 8_000, running: 4 };

/** An autoscaler told the same thing each second; the fleet does at once what it says. */
function told(spec: AutoscaleSpec = SPEC) {
  let [state]: readonly [AutoscalerState, readonly AutoscalerEffect[]] = initial({ policies: { k: defineAutoscale(spec) } });
  const asked: { readonly atMs: number; readonly replicas: number; readonly id: number }[] = [];
  const timers: { readonly atMs: number; readonly message: Message }[] = [];
  let nowMs = 0;
  const tell = (message: AutoscalerMessage, atMs = nowMs): void => {
    const [next, effects] = decide(state, message, atMs);
    state = next;
    for (const effect of effects) {
      if (effect.type === 'operator.scale') asked.push({ atMs, replicas: effect.replicas, id: effect.id });
      else if (effect.type === 'timer.set') timers.push({ atMs: effect.atMs, message: effect.message });
      else if (effect.type === 'timer.cancel') timers.length = 0;
    }
  };
  /** A second each, with what is seen then; replicas are what was asked for last. */
  const seconds = (count: number, seen: KindObserved): void => {
    for (let at = 0; at < count; at += 1) {
      nowMs += 1_000;
      for (let timer = timers.shift(); timer !== undefined; timer = timers.shift()) {
        if (timer.atMs > nowMs) {
          timers.unshift(timer);
          break;
        }
        tell(timer.message as AutoscalerMessage, timer.atMs);
      }
      tell({ ...seen, replicas: asked.at(-1)?.replicas ?? seen.replicas });
    }
  };
  return { asked, tell, seconds, replicas: () => asked.map(({ replicas }) => replicas), now: () => nowMs };
}

describe('growing', () => {
  test('it waits until the queue has been long for a while, then doubles, one worker after the other', () => {
    const { seconds, asked } = told();
    seconds(3, BUSY);
    expect(asked).toEqual([]);
    seconds(4, BUSY);
    expect(asked.map(({ replicas, atMs }) => [replicas, atMs])).toEqual([
      [5, 4_000],
      [6, 4_250],
      [7, 4_500],
      [8, 4_750],
    ]);
  });

  test('it rests before it doubles again', () => {
    const { seconds, replicas, asked } = told();
    seconds(60, BUSY);
    expect(replicas().slice(0, 5)).toEqual([5, 6, 7, 8, 9]);
    expect(asked[4]!.atMs - asked[3]!.atMs).toBeGreaterThanOrEqual(15_000);
  });

  test('a break starts the waiting anew', () => {
    const { seconds, asked } = told();
    for (let at = 0; at < 10; at += 1) {
      seconds(3, BUSY);
      seconds(1, { ...BUSY, queued: 1, oldestAgeMs: 0 });
    }
    expect(asked).toEqual([]);
  });

  test('one task that waits too long is enough, for one worker', () => {
    const { seconds, replicas } = told();
    seconds(10, { ...BUSY, queued: 1, oldestAgeMs: 6_000 });
    expect(replicas()).toEqual([5]);
  });

  test('idle workers are counted first', () => {
    expect(wantedBy({ ...BUSY, queued: 3, running: 1 }, 4, POLICY)).toBe(4);
    expect(wantedBy({ ...BUSY, queued: 4, running: 1 }, 4, POLICY)).toBe(5);
  });

  test('suspended workers do no work, and count towards the bound', () => {
    expect(wantedBy({ ...BUSY, suspended: 4, running: 0 }, 4, POLICY)).toBe(8);
    expect(wantedBy({ ...BUSY, suspended: 20, running: 12 }, 32, POLICY)).toBe(32);
  });

  test.each([
    ['no permit is free', { permitsFree: 0 }],
    ['a fifth of the busy workers waits for admission', { waitingForAdmission: 1 }],
    ['all of them do', { waitingForAdmission: 4, permitsFree: 3 }],
  ])('never while one more would only wait: %s', (_, gate) => {
    const { seconds, asked } = told();
    seconds(120, { ...BUSY, ...gate });
    expect(asked).toEqual([]);
  });

  test('by no more than there are permits', () => {
    expect(wantedBy({ ...BUSY, permitsFree: 1 }, 4, POLICY)).toBe(5);
  });

  test('the climb stops when one more would only wait', () => {
    const { seconds, replicas } = told({ ...SPEC, up: { staggerMs: 2_000 } });
    seconds(6, BUSY);
    const before = replicas().length;
    seconds(60, { ...BUSY, permitsFree: 0 });
    expect(replicas()).toHaveLength(before);
  });

  test('a refusal stops the climb, and it rests', () => {
    const { seconds, asked, tell } = told({ ...SPEC, up: { staggerMs: 2_000 } });
    seconds(4, BUSY);
    expect(asked).toHaveLength(1);
    tell({ type: 'operator.answered', id: asked[0]!.id, done: false, why: 'no' });
    seconds(14, BUSY);
    expect(asked).toHaveLength(1);
    seconds(2, BUSY);
    expect(asked).toHaveLength(2);
  });

  test('what the fleet does not show in time is forgotten, and asked for again', () => {
    const { tell, asked } = told();
    for (let at = 1; at <= 60; at += 1) tell({ ...BUSY, queued: 1, replicas: 4 }, at * 1_000);
    expect(asked.map(({ replicas }) => replicas)).toEqual([5, 5, 5, 5]);
  });
});

describe('shrinking', () => {
  test('one at a time, once it was low for a while, down to the least', () => {
    const { seconds, asked } = told();
    seconds(60, IDLE);
    expect(asked).toEqual([]);
    seconds(60, IDLE);
    expect(asked.map(({ replicas, atMs }) => [replicas, atMs])).toEqual([
      [3, 61_000],
      [2, 71_000],
    ]);
    seconds(600, IDLE);
    expect(asked).toHaveLength(2);
  });

  test('one busy second starts the waiting anew', () => {
    const { seconds, asked } = told();
    for (let at = 0; at < 10; at += 1) {
      seconds(59, IDLE);
      seconds(1, { ...IDLE, running: 4 });
    }
    expect(asked).toEqual([]);
  });

  test('parked tasks change nothing, in either direction', () => {
    for (const seen of [IDLE, BUSY]) {
      const without = told();
      const withParked = told();
      without.seconds(200, seen);
      withParked.seconds(200, { ...seen, parked: 500 });
      expect(withParked.asked).toEqual(without.asked);
      expect(without.asked).not.toEqual([]);
    }
  });

  test('shrinking that was regretted makes it more patient', () => {
    const waits: number[] = [];
    const { seconds, asked, now } = told();
    seconds(10, BUSY);
    for (let round = 0; round < 4; round += 1) {
      const fromMs = now();
      const before = asked.length;
      while (asked.length === before) seconds(1, IDLE);
      waits.push(Math.floor((now() - fromMs) / 60_000));
      seconds(30, { ...BUSY, queued: 1, running: 99, oldestAgeMs: 9_000 });
    }
    expect(waits).toEqual([1, 2, 4, 8]);
  });
});

describe('bounds', () => {
  test('fewer than the least, it grows to that whatever the gate says', () => {
    const { seconds, replicas } = told({ min: 6, max: 8 });
    seconds(10, { ...IDLE, replicas: 4, permitsFree: 0 });
    expect(replicas()).toEqual([5, 6]);
  });

  test('more than the most, it shrinks to that at once', () => {
    const { seconds, replicas } = told({ min: 1, max: 3 });
    seconds(1, { ...BUSY, replicas: 9 });
    expect(replicas()).toEqual([3]);
  });

  test('kinds without a policy are left alone, and stray messages too', () => {
    const { tell, asked } = told();
    for (let at = 1; at < 100; at += 1) tell({ ...BUSY, kind: 'other' }, at * 1_000);
    tell({ type: 'replica.due', kind: 'k' });
    tell({ type: 'replica.due', kind: 'other' });
    tell({ type: 'operator.answered', id: 9, done: true });
    tell({ type: 'operator.answered', id: 9, done: false, why: '' });
    tell({ type: 'nonsense' } as never);
    expect(asked).toEqual([]);
  });

  const seen = fc.record({
    queued: fc.nat(200),
    oldestAgeMs: fc.nat(60_000),
    running: fc.nat(40),
    waitingForAdmission: fc.nat(10),
    permitsFree: fc.option(fc.nat(20), { nil: undefined }),
    parked: fc.nat(100),
    replicas: fc.nat(60),
    suspended: fc.nat(10),
  });
  const observed = ({
    permitsFree,
    ...rest
  }: { readonly permitsFree: number | undefined } & Omit<KindObserved, 'type' | 'kind' | 'permitsFree'>): KindObserved => ({
    type: 'kind.observed',
    kind: 'k',
    ...rest,
    ...(permitsFree === undefined ? {} : { permitsFree }),
  });
  const bounds = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.nat(20));

  propertyTest.prop([bounds, fc.array(seen, { maxLength: 150 }), fc.boolean()], { numRuns: 500 })(
    'whatever it sees, and whether or not the fleet obeys: within bounds above what there is, one more at a time, never two new workers at once',
    ([min, span], sights, obeys) => {
      const spec = { min, max: min + span, up: { staggerMs: 400 } };
      const { asked, tell, seconds } = told(spec);
      for (const [at, sight] of sights.entries()) {
        if (obeys) seconds(1, observed(sight));
        else tell(observed(sight), (at + 1) * 1_000);
      }
      for (const [at, { replicas, atMs }] of asked.entries()) {
        expect(replicas).toBeLessThanOrEqual(min + span);
        expect(replicas).toBeGreaterThanOrEqual(1);
        const last = asked[at - 1];
        if (!obeys || last === undefined) continue;
        expect(replicas).toBeGreaterThanOrEqual(Math.min(min, last.replicas + 1));
        expect(Math.abs(replicas - last.replicas)).toBe(1);
        if (replicas > last.replicas) expect(atMs - last.atMs).toBeGreaterThanOrEqual(400);
      }
    },
  );

  propertyTest.prop([seen, fc.nat(100), fc.nat(60_000)], { numRuns: 2_000 })(
    'the more waits and the longer, the more workers are wanted',
    (sight, more, longer) => {
      const less = observed(sight);
      const greater = { ...less, queued: less.queued + more, oldestAgeMs: less.oldestAgeMs + longer };
      expect(wantedBy(greater, less.replicas, POLICY)).toBeGreaterThanOrEqual(wantedBy(less, less.replicas, POLICY));
    },
  );

  propertyTest.prop([seen], { numRuns: 2_000 })(
    'never less is wanted than there is, never more than double, nor than there are tasks for',
    (sight) => {
      const one = observed(sight);
      const wanted = wantedBy(one, one.replicas, POLICY);
      expect(wanted).toBeGreaterThanOrEqual(one.replicas);
      expect(wanted).toBeLessThanOrEqual(Math.max(one.replicas + 1, one.replicas * 2));
      if (wanted > one.replicas) expect(wanted - one.replicas).toBeLessThanOrEqual(one.queued);
    },
  );
});

describe('under load', () => {
  const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

  test.each([0.3, 0.7, 1, 2, 3.5, 5])('a noisy constant load of %d tasks a second does not make it flap', (perSecond) => {
    for (const seed of SEEDS) {
      const load = new SimulatedLoad(seed, SPEC, { perSecond: () => perSecond });
      load.run(7_200);
      expect({ seed, turns: turns(load.commands, 2) <= 6 }).toEqual({ seed, turns: true });
      const before = load.commands.findLast(({ atMs }) => atMs <= 3_600_000)?.replicas ?? 2;
      const late = load.commands.filter(({ atMs }) => atMs > 3_600_000);
      expect({ seed, late: turns(late, before) <= 4 }).toEqual({ seed, late: true });
    }
  });

  test('after a step up it has enough within two minutes, after a step down it is back within the half of an hour', () => {
    for (const seed of SEEDS) {
      const load = new SimulatedLoad(seed, SPEC, { perSecond: (atS) => (atS > 600 && atS <= 1_800 ? 4 : 0.4) });
      load.run(600);
      expect(load.replicas).toBeLessThanOrEqual(8);
      load.run(120);
      expect(load.replicas).toBeGreaterThanOrEqual(16);
      load.run(1_080);
      // Four a second for four seconds each keep sixteen busy.
      expect(load.samples.slice(-600).every(({ queued }) => queued < 60)).toBe(true);
      load.run(1_800);
      expect(load.replicas).toBeLessThanOrEqual(12);
    }
  });

  test('a greater load never leads to fewer workers', () => {
    for (const seed of SEEDS) {
      const settled = [0.5, 1, 2, 4, 7].map((perSecond) => {
        const load = new SimulatedLoad(seed, SPEC, { perSecond: () => perSecond });
        load.run(1_800);
        return load.replicas;
      });
      expect(settled).toEqual(settled.toSorted((a, b) => a - b));
    }
  });

  test('with permits for six it does not grow far beyond six, however long the queue', () => {
    for (const seed of SEEDS) {
      const load = new SimulatedLoad(seed, SPEC, { perSecond: () => 5, permits: 6 });
      load.run(1_800);
      expect(load.samples.at(-1)!.queued).toBeGreaterThan(1_000);
      expect(load.replicas).toBeLessThanOrEqual(7);
      expect(load.replicas).toBeGreaterThanOrEqual(5);
    }
  });

  test('without a band between growing and shrinking it does flap: the test above would notice', () => {
    const eager = {
      ...SPEC,
      up: { forMs: 0, everyMs: 0, ageMs: 1_000, queuedPerWorker: 0.1 },
      down: { busyShare: 1, afterMs: 0, everyMs: 0 },
    };
    const load = new SimulatedLoad(1, eager, { perSecond: () => 2 });
    load.run(3_600);
    expect(turns(load.commands, 2)).toBeGreaterThan(50);
  });
});

describe('as an actor', () => {
  test('on a host it staggers by timers, and leaves none', () => {
    const simulated = new SimulatedHost();
    const scaled: [number, number][] = [];
    const perform = (effect: OwnEffect): void =>
      void scaled.push([simulated.clock.nowMs(), (effect as { readonly replicas?: number }).replicas!]);
    simulated.host.spawn({ id: 'scaler', logic: autoscalerLogic(simulated.host.clock), input: { policies: { k: POLICY } }, perform });
    for (let at = 0; at < 5; at += 1) {
      const seen: KindObserved = { ...BUSY, replicas: scaled.at(-1)?.[1] ?? 4 };
      simulated.host.send('scaler', seen);
      simulated.run(1_000);
    }
    expect(scaled).toEqual([
      [3_000, 5],
      [3_250, 6],
      [3_500, 7],
      [3_750, 8],
    ]);
    expect(simulated.host.pending.timers).toBe(0);
  });
});

describe('a policy', () => {
  const wrong: readonly (readonly [string, unknown, readonly string[], unknown, string])[] = [
    ['no bounds', {}, ['min'], undefined, 'at least 1'],
    ['nobody', { min: 0, max: 3 }, ['min'], 0, 'at least 1'],
    ['half a worker', { min: 1, max: 2.5 }, ['max'], 2.5, 'a whole number'],
    ['max below min', { min: 3, max: 2 }, ['max'], 2, 'not less than min'],
    ['an unknown field', { ...SPEC, maximum: 3 }, ['maximum'], 3, 'admissionShare'],
    ['an unknown speed', { ...SPEC, up: { fast: true } }, ['up', 'fast'], true, 'staggerMs'],
    ['a factor that does not grow', { ...SPEC, up: { factor: 1 } }, ['up', 'factor'], 1, 'above 1'],
    ['a share of nothing', { ...SPEC, down: { busyShare: 0 } }, ['down', 'busyShare'], 0, 'above 0'],
    ['a text for a time', { ...SPEC, down: { afterMs: '60s' } }, ['down', 'afterMs'], '60s', 'milliseconds'],
  ];

  test.each(wrong)('%s: refused by path, value and what is allowed', (_, spec, path, value, allowed) => {
    let error: unknown;
    try {
      defineAutoscale(spec as AutoscaleSpec);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PolicyError);
    const { detail } = error as PolicyError;
    expect(detail).toMatchObject({ path: ['autoscale', ...path], value });
    expect(detail.expected).toContain(allowed);
  });
});
