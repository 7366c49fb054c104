import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { learned, rateControlOf } from '../../../actors/admission/adaptive-rate.ts';
import type { Outcome, RateControl } from '../../../actors/admission/adaptive-rate.ts';
import { EPISODE_MS } from '../../../actors/admission/congestion.ts';
import { closedLoop } from './adaptive-loop.ts';
import type { Loop } from './adaptive-loop.ts';

const outcome = (over: Partial<Outcome> = {}): Outcome => ({
  end: 'ok',
  cost: 1,
  units: 0,
  worked: 0,
  demanded: true,
  grantedMs: over.timeMs ?? 0,
  retryAfterMs: undefined,
  timeMs: 0,
  ...over,
});

/** Works at the rate for a while, with a report every `everyMs`. */
function busy(control: RateControl, forMs: number, over: Partial<Outcome> = {}, everyMs = 100): RateControl {
  let next = control;
  for (let passedMs = everyMs; passedMs <= forMs; passedMs += everyMs) {
    const worked = next.worked + next.perMs * everyMs;
    next = learned(next, outcome({ worked, units: worked, timeMs: next.atMs + everyMs, ...over }));
  }
  return next;
}

const fresh = (): RateControl => ({ ...rateControlOf({ startPerMinute: 60_000 }, 'tokens', 0), atMs: 0 });
const refuse = (control: RateControl, over: Partial<Outcome> = {}): RateControl =>
  learned(control, outcome({ end: 'refused', worked: control.worked, units: control.worked, timeMs: control.atMs, ...over }));

describe('before any congestion', () => {
  test('the rate doubles again and again while it is used', () => {
    expect(busy(fresh(), 6_000).perMs / fresh().perMs).toBeGreaterThan(10);
  });

  test('it stays while nobody wants it', () => {
    expect(busy(fresh(), 60_000, { demanded: false }).perMs).toBe(1);
  });

  test('it stays while it is not worked off, however many calls end', () => {
    expect(busy(fresh(), 60_000, { worked: 0, units: 0 }).perMs).toBe(1);
  });

  test('replies that take half a minute bring one second of proof each, not twenty doublings', () => {
    expect(busy(fresh(), 30_000, {}, 30_000).perMs).toBeLessThan(2);
  });
});

describe('a congestion', () => {
  test('cuts once an episode, whatever else is refused in it', () => {
    const cut = refuse(busy(fresh(), 6_000));
    let next = cut;
    for (let call = 1; call < 50; call += 1) {
      const timeMs = cut.atMs + (call * EPISODE_MS) / 50;
      next = refuse(next, { timeMs, grantedMs: timeMs });
    }
    expect(next.perMs).toBe(cut.perMs);
    expect(refuse(next, { timeMs: cut.atMs + EPISODE_MS, grantedMs: cut.atMs + EPISODE_MS }).perMs).toBeLessThan(cut.perMs);
  });

  test('is not another one when the call was issued before the cut, however late its refusal comes', () => {
    const cut = refuse(busy(fresh(), 6_000));
    expect(refuse(cut, { timeMs: cut.atMs + 20_000, grantedMs: cut.atMs - 1 }).perMs).toBe(cut.perMs);
  });

  test('lasts as long as the provider says', () => {
    const cut = refuse(busy(fresh(), 6_000), { retryAfterMs: 20_000 });
    expect(refuse(cut, { timeMs: cut.atMs + 19_000, grantedMs: cut.atMs + 19_000 }).perMs).toBe(cut.perMs);
    expect(cut.holdUntilMs).toBe(cut.atMs + 20_000);
  });

  test('without a Retry-After holds for longer each time', () => {
    let control = refuse(busy(fresh(), 6_000));
    const holds: number[] = [];
    for (let call = 1; call <= 4; call += 1) {
      control = refuse(control, { timeMs: control.atMs + 10, grantedMs: control.atMs + 10 });
      holds.push(control.holdUntilMs - control.atMs);
    }
    expect(holds).toEqual(holds.toSorted((a, b) => a - b));
    expect(holds.at(-1)).toBeGreaterThan(4 * holds[0]!);
  });

  test('that comes soon after another measures what is there, be the rate seven times as high', () => {
    const first = refuse(busy(fresh(), 6_000));
    // Then one a millisecond is delivered for five seconds.
    const worked = first.worked + 5_000;
    const second = learned(first, outcome({ end: 'refused', cost: 0, worked, units: worked, timeMs: first.atMs + 5_000 }));
    expect(second.ceiling).toBeCloseTo(1, 6);
  });
});

describe('a congestion after a quiet time', () => {
  /** A minute at a rate of one a millisecond, without a congestion, and then five seconds at a higher one. */
  const probed = (bucketMs: number): RateControl => {
    const start = busy(fresh(), 6_000);
    const latest = { fromMs: start.atMs, atMs: start.atMs, units: start.worked, cost: 0 };
    const known = { ...start, perMs: 1, ceiling: 1, starting: false, samples: [], bucketMs, latest };
    const quiet = busy(known, 60_000, { end: 'silent' });
    return busy({ ...quiet, perMs: 1.2 }, 5_000, { end: 'silent' });
  };

  test('brings the rate back to what was delivered since the last one, when the bucket can have given the rest', () => {
    expect(refuse(probed(1_000), { cost: 0 }).ceiling).toBeCloseTo(66 / 65, 2);
  });

  test('shows that there is more now, when the bucket cannot', () => {
    expect(refuse(probed(0), { cost: 0 }).ceiling).toBeCloseTo(1.2, 2);
  });

  test('does not believe a provider that speaks of more than anything has shown, for a neighbour has a part of it', () => {
    const beside = probed(1_000);
    expect(refuse(beside, { cost: 0.5 * 1.15, retryAfterMs: 0.5 }).ceiling).toBeLessThan(1.03);
  });

  test('fades what is known of the bucket a little', () => {
    const after = refuse(probed(1_000));
    expect(after.bucketMs).toBeGreaterThan(800);
    expect(after.bucketMs).toBeLessThan(1_000);
  });
});

test('a provider that was lowered says nothing about its bucket', () => {
  const rate = busy(fresh(), 6_000);
  const known = { ...rate, starting: false, ceiling: rate.perMs, samples: [], latest: { fromMs: 0, atMs: 0, units: 0, cost: 0 } };
  const first = refuse(busy(known, 20_000, { demanded: false }), { cost: 0 });
  // A half of it is delivered for six seconds.
  const worked = first.worked + first.perMs * 3_000;
  const lowered = learned(first, outcome({ end: 'refused', cost: 0, worked, units: worked, timeMs: first.atMs + 6_000 }));
  expect(lowered.ceiling / first.ceiling).toBeLessThan(0.6);
  expect([lowered.bucketMs, lowered.samples]).toEqual([first.bucketMs, []]);
});

test('far below what there was of late no ceiling is trusted, and a probe comes soon again', () => {
  const rate = busy(fresh(), 6_000);
  const latest = { fromMs: rate.atMs - 60_000, atMs: rate.atMs - 60_000, units: rate.worked - 60_000 * rate.perMs, cost: 0 };
  const low = { ...rate, starting: false, ceiling: rate.perMs, samples: [], latest, cutAtMs: rate.atMs };
  expect(refuse({ ...low, best: 2 * rate.perMs }).doubtful).toBe(false);
  expect(refuse({ ...low, best: 3 * rate.perMs }).doubtful).toBe(true);
});

describe('the way back', () => {
  /** Cut, after a quiet time at a rate that was there. */
  const cutFrom = (rate: RateControl): RateControl => {
    const latest = { fromMs: rate.atMs - 60_000, atMs: rate.atMs - 60_000, units: rate.worked - 60_000 * rate.perMs, cost: 0 };
    return refuse({ ...rate, starting: false, ceiling: rate.perMs, samples: [], latest });
  };

  test('ends below the ceiling as long as few calls have paid for the refusals', () => {
    const cut = cutFrom(busy(fresh(), 6_000));
    expect(busy(cut, 100_000, {}, 2_000).perMs).toBeLessThanOrEqual(cut.ceiling);
  });

  test('goes above it soon when many calls have paid', () => {
    const cut = cutFrom(busy(fresh(), 6_000));
    expect(busy(cut, 60_000).perMs).toBeGreaterThan(cut.ceiling);
  });

  test('after a fall rests only shortly, for that was no probe', () => {
    const cut = cutFrom(busy(fresh(), 6_000));
    // A fifth of the rate is delivered for five seconds.
    const worked = cut.worked + cut.perMs * 1_000;
    const fallen = learned(cut, outcome({ end: 'refused', cost: 0, worked, units: worked, timeMs: cut.atMs + 5_000 }));
    expect(fallen.ceiling).toBeLessThan(cut.ceiling / 2);
    expect(fallen.credit).toBeGreaterThanOrEqual(0);
    expect(busy(fallen, 20_000, {}, 2_000).perMs).toBeGreaterThan(fallen.ceiling);
  });
});

test('where refused calls cost what they ask for, Retry-After says the rate', () => {
  const rate = busy(fresh(), 6_000);
  const known = { ...rate, starting: false, ceiling: rate.perMs, samples: [] };
  const there = rate.perMs / 1.25;
  const cut = refuse(known, { cost: there * 501, retryAfterMs: 501 });
  expect(cut.ceiling).toBeCloseTo(there, 6);
});

test('a slow or failing dependency is a gentle cut, once in two episodes', () => {
  const rate = busy(fresh(), 6_000);
  const slow = learned(rate, outcome({ end: 'slow', worked: rate.worked, units: rate.worked, timeMs: rate.atMs }));
  expect(slow.perMs / rate.perMs).toBeGreaterThan(0.8);
  expect(slow.perMs).toBeLessThan(rate.perMs);
  expect(learned(slow, outcome({ end: 'slow', worked: slow.worked, timeMs: slow.atMs + EPISODE_MS })).perMs).toBe(slow.perMs);
});

describe('against a limit that nobody has told', () => {
  const steady: Loop = { seed: 0, forMs: 600_000, capacity: () => 2_000, bucketMs: 1_000 };
  const share = (loop: Loop): { goodput: number; refused: number } => {
    const { delivered, calls, refused } = closedLoop(loop);
    let there = (loop.capacity(0) * loop.bucketMs) / 1_000;
    for (let second = 0; second < loop.forMs / 1_000; second += 1) there += loop.capacity(second * 1_000);
    return { goodput: delivered / there, refused: refused / calls };
  };

  test.each([
    [1_000, false, 0.95],
    [1_000, true, 0.93],
    [60_000, false, 0.95],
    [60_000, true, 0.95],
    [100, false, 0.88],
    [100, true, 0.88],
  ])('a bucket of %i ms, refused calls cost: %s: at least %f of it is used, and 1 %% is refused', (bucketMs, refusedCosts, least) => {
    for (const seed of [1, 2, 3]) {
      const { goodput, refused } = share({ ...steady, seed, bucketMs, refusedCosts });
      expect(goodput).toBeGreaterThan(least);
      expect(refused).toBeLessThan(0.01);
    }
  });

  test('that is halved it follows within 10 s, and within 60 s when it is restored', () => {
    for (const seed of [1, 2, 3]) {
      const capacity = (timeMs: number): number => (timeMs < 200_000 || timeMs >= 400_000 ? 2_000 : 1_000);
      const { rates } = closedLoop({ ...steady, seed, capacity });
      expect(rates.findIndex((rate, second) => second >= 200 && rate < 1_150) - 200).toBeLessThanOrEqual(10);
      expect(rates.findIndex((rate, second) => second >= 400 && rate > 1_800) - 400).toBeLessThanOrEqual(60);
    }
  });

  test('one refusal is enough to find back to it: seldom does another cut follow soon', () => {
    for (const bucketMs of [1_000, 60_000]) {
      for (const seed of [1, 2, 3]) {
        const late = closedLoop({ ...steady, seed, bucketMs }).cuts.filter(({ atMs }) => atMs > 120_000);
        const soon = late.filter(({ atMs }, at) => at > 0 && atMs - late[at - 1]!.atMs < 10_000);
        expect(soon.length / late.length).toBeLessThan(0.34);
      }
    }
  });

  test('it needs no Retry-After, nor an exact one', () => {
    for (const retryAfter of ['none', 'seconds'] as const) {
      const { goodput, refused } = share({ ...steady, seed: 4, retryAfter });
      expect(goodput).toBeGreaterThan(0.93);
      expect(refused).toBeLessThan(0.01);
    }
  });

  test('a margin is left unused between probes', () => {
    const least = (safetyMargin: number): number =>
      Math.min(...closedLoop({ ...steady, seed: 5, bucketMs: 60_000, limits: { adapt: 'aimd', safetyMargin } }).rates.slice(200));
    expect(least(0.2) / least(0)).toBeLessThan(0.9);
  });

  test('a chain of congestions that began before the capacity changed does not hide the change', () => {
    // In these histories the provider refuses just before it is halved.
    for (const seed of [2, 3]) {
      const { rates } = closedLoop({ ...steady, seed, forMs: 230_000, capacity: (timeMs) => (timeMs < 200_000 ? 2_000 : 1_000) });
      expect(rates.findIndex((rate, second) => second >= 200 && rate < 1_150) - 200).toBeLessThanOrEqual(10);
    }
  });

  test('an outage that answers 503 is no limit: twenty seconds after it three quarters of the rate are used again', () => {
    for (const seed of [1, 2, 3]) {
      const isDown = (timeMs: number): boolean => timeMs > 160_000 && timeMs < 200_000;
      const { rates } = closedLoop({ ...steady, seed, isDown, forMs: 240_000 });
      expect(Math.min(...rates.slice(161)), `seed ${seed}`).toBeGreaterThan(1_000);
      expect(Math.min(...rates.slice(220)), `seed ${seed}`).toBeGreaterThan(1_500);
    }
  });

  test('the same seed gives the same history', () => {
    const short: Loop = { ...steady, seed: 6, forMs: 60_000 };
    expect(closedLoop(short).rates).toEqual(closedLoop(short).rates);
  });

  test('no two cuts come within an episode', () => {
    for (const bucketMs of [100, 1_000, 60_000]) {
      const { cuts } = closedLoop({ ...steady, seed: 7, bucketMs });
      const between = cuts.slice(1).map(({ atMs }, before) => atMs - cuts[before]!.atMs);
      expect(Math.min(...between)).toBeGreaterThanOrEqual(EPISODE_MS);
    }
  });
});

test('whatever is reported, the rate stays within its bounds and everything stays a number', () => {
  const nonsense = fc.oneof(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.constantFrom(0, Number.MAX_SAFE_INTEGER));
  const history = fc.array(
    fc.record({
      end: fc.constantFrom('ok' as const, 'refused' as const, 'slow' as const, 'failing' as const, 'silent' as const),
      cost: fc.nat(1_000_000),
      passedMs: fc.nat(100_000),
      worked: nonsense,
      demanded: fc.boolean(),
      ageMs: fc.nat(100_000),
      retryAfterMs: fc.option(fc.integer({ min: 1, max: 60_000 }), { nil: undefined }),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 1_000 }), fc.nat(1_000_000), (reports, leastPerMinute, more) => {
      const mostPerMinute = leastPerMinute + more;
      let control = rateControlOf({ leastPerMinute, mostPerMinute }, 'tokens', 0.1);
      let timeMs = 0;
      for (const { passedMs, ageMs, ...report } of reports) {
        timeMs += passedMs;
        control = learned(control, { ...report, units: report.worked, timeMs, grantedMs: timeMs - ageMs });
        expect(control.perMs).toBeGreaterThanOrEqual(leastPerMinute / 60_000);
        expect(control.perMs).toBeLessThanOrEqual(mostPerMinute / 60_000);
        expect([control.ceiling, control.usedMs, control.bucketMs, control.worked].every(Number.isFinite)).toBe(true);
        expect(control.samples.length).toBeLessThanOrEqual(64);
      }
    }),
  );
});

test('a refusal never raises the rate, a success never lowers it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('ok' as const, 'refused' as const), fc.nat(5_000), fc.boolean())), (reports) => {
      let control = fresh();
      for (const [end, passedMs, demanded] of reports) {
        const worked = control.worked + control.perMs * passedMs;
        const next = learned(control, outcome({ end, demanded, worked, units: worked, timeMs: control.atMs + passedMs }));
        if (end === 'ok') expect(next.perMs).toBeGreaterThanOrEqual(control.perMs);
        else expect(next.perMs).toBeLessThanOrEqual(control.perMs);
        control = next;
      }
    }),
  );
});
