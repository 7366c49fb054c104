/** Capacity over time and neighbours, in virtual time and over HTTP. */
import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { admit, advance, openAdmission, resize, settle } from '../../src/providers/fake/index.ts';
import type { Admission, AdmissionOptions, Neighbour, TokenCost } from '../../src/providers/fake/index.ts';
import { post, standingClock, startProvider } from './fake-harness.ts';

const MINUTE = 60_000;
const input = (inputTokens: number): TokenCost => ({ inputTokens, outputTokens: 0 });

/** Asks every `everyMs` for as long as something is left, and says how many tokens each second let in. */
function tokensPerSecond(options: AdmissionOptions, seconds: number, cost = 10, everyMs = 10): number[] {
  const taken = Array.from({ length: seconds }, () => 0);
  let state = openAdmission(options, 0);
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs += everyMs) {
    const second = Math.floor(nowMs / 1_000);
    for (;;) {
      const [next, verdict] = admit(state, input(cost), nowMs);
      state = verdict.at === 'accepted' ? settle(next, input(cost), input(cost), nowMs) : next;
      if (verdict.at === 'rejected') break;
      taken[second]! += cost;
    }
  }
  return taken;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

describe('a schedule', () => {
  const limits = { tokensPerMinute: 60_000 };
  const halved = { tokensPerMinute: 30_000 };

  test('halves the hidden capacity at its moment and restores it at another', () => {
    const schedule = [
      { atMs: 10_000, hidden: halved },
      { atMs: 20_000, hidden: {} },
    ];
    const taken = tokensPerSecond({ limits, schedule, burstMs: 100 }, 30);
    expect(sum(taken.slice(1, 10)) / 9).toBeCloseTo(1_000, -2);
    expect(sum(taken.slice(11, 20)) / 9).toBeCloseTo(500, -2);
    expect(sum(taken.slice(21, 30)) / 9).toBeCloseTo(1_000, -2);
  });

  test('goes by the moments, not by the order in which it is written', () => {
    const late = { atMs: 20_000, hidden: {} };
    const early = { atMs: 10_000, hidden: halved };
    expect(tokensPerSecond({ limits, schedule: [late, early] }, 25)).toEqual(tokensPerSecond({ limits, schedule: [early, late] }, 25));
  });

  test('may be a function of time', () => {
    const schedule = (sinceStartMs: number) => (sinceStartMs >= 10_000 && sinceStartMs < 20_000 ? halved : {});
    const changes = [
      { atMs: 10_000, hidden: halved },
      { atMs: 20_000, hidden: {} },
    ];
    expect(tokensPerSecond({ limits, schedule }, 25)).toEqual(tokensPerSecond({ limits, schedule: changes }, 25));
  });

  test('a function that says something impossible is refused when it says so', () => {
    const state = openAdmission({ schedule: () => ({ tokensPerMinute: -1 }) }, 0);
    expect(() => admit(state, input(1), 0)).toThrow(RangeError);
  });

  test('begins at the opening, whatever the clock shows then', () => {
    const state = openAdmission({ limits, schedule: [{ atMs: 1_000, hidden: halved }] }, 5_000_000);
    expect(advance(state, 5_000_999).allowed).toEqual(limits);
    expect(advance(state, 5_001_000).allowed).toEqual(halved);
  });

  test('overrules what was set by hand before its moment', () => {
    const state = resize(openAdmission({ limits, schedule: [{ atMs: 1_000, hidden: halved }] }, 0), { tokensPerMinute: 6_000 }, 500);
    expect(advance(state, 999).allowed).toEqual({ tokensPerMinute: 6_000 });
    expect(advance(state, 1_000).allowed).toEqual(halved);
  });

  test('changes what a running provider lets in, and its headers do not tell', async () => {
    const clock = standingClock();
    const options = {
      limits: { requestsPerMinute: 600 },
      schedule: [{ atMs: 5_000, hidden: { requestsPerMinute: 60 } }],
      nowMs: clock.nowMs,
    };
    const provider = await startProvider(options);
    const statuses = async () => [(await post(provider)).status, (await post(provider)).status];
    expect(await statuses()).toEqual([200, 200]);
    clock.advance(5_000);
    expect(await statuses()).toEqual([200, 429]);
    expect((await post(provider)).headers.get('x-ratelimit-limit-requests')).toBe('600');
  });
});

describe('a neighbour', () => {
  const limits = { requestsPerMinute: 6_000, tokensPerMinute: 60_000 };
  const neighbour: Neighbour = { requestsPerMinute: 60, tokensPerRequest: 400 };

  test.for([100, 1_000, 60_000])('takes its rate from what others get, at a burst of %i ms', (burstMs) => {
    const minutes = 3;
    const alone = sum(tokensPerSecond({ limits, burstMs }, minutes * 60));
    const beside = sum(tokensPerSecond({ limits, burstMs, neighbours: [neighbour] }, minutes * 60));
    const share = (alone - beside) / (minutes * 60 * 400);
    expect(share).toBeGreaterThan(0.98);
    expect(share).toBeLessThan(1.02);
  });

  test('comes at its time and goes again', () => {
    const visitor = { ...neighbour, fromMs: 20_000, untilMs: 40_000 };
    const beside = tokensPerSecond({ limits, burstMs: 100, neighbours: [visitor] }, 60);
    const alone = tokensPerSecond({ limits, burstMs: 100 }, 60);
    expect(beside.slice(0, 20)).toEqual(alone.slice(0, 20));
    expect(sum(beside.slice(20, 40)) / 20).toBeCloseTo(600, -2);
    expect(sum(beside.slice(42, 60)) / 18).toBeCloseTo(1_000, -2);
  });

  test('that wants more than there is leaves nothing, and is over ten seconds after it has gone', () => {
    const greedy = { requestsPerMinute: 600, tokensPerRequest: 400, untilMs: 30_000 };
    const taken = tokensPerSecond({ limits, neighbours: [greedy] }, 60);
    expect(sum(taken.slice(2, 30))).toBe(0);
    expect(sum(taken.slice(42, 60)) / 18).toBeCloseTo(1_000, -2);
  });

  test('takes requests, and input and output apart', () => {
    const all = { requestsPerMinute: 60, inputTokensPerMinute: 6_000, outputTokensPerMinute: 6_000 };
    const state = openAdmission(
      { limits: all, neighbours: [{ requestsPerMinute: 60_000, tokensPerRequest: 100, outputTokensPerRequest: 30 }] },
      0,
    );
    const { enforced } = advance(state, 2);
    const drawn = (kind: 'requests' | 'input-tokens' | 'output-tokens') => enforced[kind].scaledCapacity - enforced[kind].scaledLevel;
    // Of two requests in two milliseconds, and next to no inflow.
    expect(Math.round(drawn('requests') / MINUTE)).toBe(2);
    expect(Math.round(drawn('input-tokens') / MINUTE)).toBe(140);
    expect(Math.round(drawn('output-tokens') / MINUTE)).toBe(60);
  });

  test('has other moments for another seed', () => {
    const patterns = [1, 1, 2].map((seed) => tokensPerSecond({ limits, neighbours: [neighbour], seed, burstMs: 100 }, 20).join(' '));
    expect(patterns[0]).toBe(patterns[1]);
    expect(patterns[0]).not.toBe(patterns[2]);
  });

  test('shows in the headers of a running provider: the quota is one', async () => {
    const clock = standingClock();
    const provider = await startProvider({ limits, neighbours: [{ requestsPerMinute: 6_000, tokensPerRequest: 50 }], nowMs: clock.nowMs });
    const remaining = async () => Number((await fetch(`${provider.url}/v1/models`)).headers.get('x-ratelimit-remaining-tokens'));
    expect(await remaining()).toBe(1_000);
    clock.advance(10);
    expect(await remaining()).toBeLessThan(1_000);
  });
});

describe('time that passes unseen', () => {
  const options: AdmissionOptions = {
    limits: { requestsPerMinute: 6_000, tokensPerMinute: 60_000 },
    schedule: [
      { atMs: 700, hidden: { tokensPerMinute: 20_000 } },
      { atMs: 1_900, hidden: {} },
    ],
    neighbours: [{ requestsPerMinute: 900, tokensPerRequest: 70 }],
  };
  const levels = (state: Admission, nowMs: number) => {
    // A charge of nothing brings a bucket to its moment.
    const { enforced, shown, allowed } = settle(advance(state, nowMs), input(0), input(0), nowMs);
    return [enforced.tokens.scaledLevel, shown.tokens.scaledLevel, enforced.requests.scaledLevel, allowed];
  };

  property.prop([fc.array(fc.nat(4_000)), fc.integer({ min: 4_000, max: 6_000 })])(
    'comes to the same however often somebody looked meanwhile',
    (looks, endMs) => {
      const opened = openAdmission(options, 0);
      const looked = looks.toSorted((a, b) => a - b).reduce((state, nowMs) => advance(state, nowMs), opened);
      expect(levels(looked, endMs)).toEqual(levels(opened, endMs));
    },
  );

  test('is not undone by a clock that goes back', () => {
    const ahead = advance(openAdmission(options, 0), 3_000);
    expect(advance(ahead, 1_000)).toBe(ahead);
  });
});
