import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { admit, openAdmission, settle } from '../../src/providers/fake/admission.ts';
import { drawFault, FAULT_NAMES } from '../../src/providers/fake/faults.ts';
import { formatReset, rateLimitHeaders, retryHeaders } from '../../src/providers/fake/headers.ts';
import { resolveOptions } from '../../src/providers/fake/options.ts';

const rules = { rejectedCostQuota: false, concurrencyRetryMs: 20 };
const limits = { requestsPerMinute: 120, tokensPerMinute: 6_000, concurrency: 3 };

describe('admission', () => {
  property.prop([fc.array(fc.record({ afterMs: fc.nat(900), tokens: fc.integer({ min: 1, max: 150 }), ends: fc.boolean() }))])(
    'takes from all dimensions or from none, and never has more in flight than allowed',
    (plan) => {
      let nowMs = 0;
      let state = openAdmission(limits, {}, 1_000, nowMs);
      const running: number[] = [];
      for (const { afterMs, tokens, ends } of plan) {
        nowMs += afterMs;
        const [next, verdict] = admit(state, tokens, rules, nowMs);
        if (verdict.at === 'accepted') running.push(tokens);
        else expect(next).toBe(state);
        state = next;
        expect(state.inFlight).toBe(running.length);
        expect(state.inFlight).toBeLessThanOrEqual(3);
        const ended = ends ? running.shift() : undefined;
        if (ended !== undefined) state = settle(state, ended, ended, nowMs);
      }
    },
  );

  test('names the dimension with the longest wait', () => {
    const [empty] = admit(openAdmission({ requestsPerMinute: 60, tokensPerMinute: 600 }, {}, 1_000, 0), 40, rules, 0);
    // One request flows in after 1 000 ms, the debt of 30 tokens and one more after 3 100 ms.
    expect(admit(empty, 1, rules, 0)[1]).toEqual({ at: 'rejected', by: 'tokens', retryAfterMs: 3_100 });
    expect(admit(empty, 1, rules, 2_900)[1]).toEqual({ at: 'rejected', by: 'tokens', retryAfterMs: 200 });
  });

  test('corrects the estimate to the real usage, down and up', () => {
    const [charged] = admit(openAdmission(limits, {}, 1_000, 0), 80, rules, 0);
    const remaining = (usedTokens: number) => rateLimitHeaders(settle(charged, 80, usedTokens, 0), 0)['x-ratelimit-remaining-tokens'];
    expect(remaining(30)).toBe('70');
    expect(remaining(95)).toBe('5');
  });

  test('a rejection costs a request only where rejections cost', () => {
    const [empty] = admit(openAdmission({ requestsPerMinute: 60 }, {}, 1_000, 0), 1, rules, 0);
    const costly = { ...rules, rejectedCostQuota: true };
    expect(admit(empty, 1, rules, 900)[1]).toMatchObject({ retryAfterMs: 100 });
    expect(admit(empty, 1, costly, 900)[1]).toMatchObject({ retryAfterMs: 1_000 });
  });

  test('a hidden limit decides, while the headers go on at the declared rate', () => {
    let state = openAdmission({ requestsPerMinute: 600 }, { requestsPerMinute: 120 }, 1_000, 0);
    for (let call = 0; call < 2; call += 1) [state] = admit(state, 1, rules, 0);
    expect(admit(state, 1, rules, 0)[1]).toMatchObject({ by: 'requests', retryAfterMs: 500 });
    expect(rateLimitHeaders(state, 0)).toEqual({
      'x-ratelimit-limit-requests': '600',
      'x-ratelimit-remaining-requests': '8',
      'x-ratelimit-reset-requests': '200ms',
    });
  });
});

describe('headers', () => {
  test('under a hidden limit show the corrected usage too, but never a debt', () => {
    const [charged] = admit(openAdmission({ tokensPerMinute: 6_000 }, { tokensPerMinute: 60 }, 1_000, 0), 80, rules, 0);
    const shown = (usedTokens: number) => {
      const headers = rateLimitHeaders(settle(charged, 80, usedTokens, 0), 0);
      return [headers['x-ratelimit-remaining-tokens'], headers['x-ratelimit-reset-tokens']];
    };
    expect(shown(30)).toEqual(['70', '300ms']);
    expect(shown(95)).toEqual(['5', '950ms']);
    expect(shown(500)).toEqual(['0', '1s']);
  });

  test.for([
    [0, '0s'],
    [120, '120ms'],
    [1_500, '1.5s'],
    [2_000, '2s'],
    [360_000, '6m0s'],
    [90_250, '1m30.25s'],
  ] as const)('a reset of %i ms is written %s', ([ms, text]) => {
    expect(formatReset(ms)).toBe(text);
  });

  test('retry-after is whole seconds, at least one, rounded up', () => {
    expect(retryHeaders(3)).toEqual({ 'retry-after': '1', 'retry-after-ms': '3' });
    expect(retryHeaders(1_001)).toEqual({ 'retry-after': '2', 'retry-after-ms': '1001' });
  });
});

describe('faults and options', () => {
  test('one draw decides between all faults, each with its own share', () => {
    const at = (point: number) =>
      drawFault({ rate500: 0.25, hang: 0.5 }, { next: () => point, int: () => 0, fork: () => expect.unreachable() });
    expect([0, 0.249, 0.25, 0.749, 0.75, 0.999].map(at)).toEqual(['rate500', 'rate500', 'hang', 'hang', null, null]);
  });

  test('a fault of probability 1 always strikes, one of 0 never', () => {
    for (const name of FAULT_NAMES) {
      const random = { next: () => 1 - 2 ** -32, int: () => 0, fork: () => expect.unreachable() };
      expect(drawFault({ [name]: 1 }, random)).toBe(name);
      expect(drawFault({ [name]: 0 }, { ...random, next: () => 0 })).toBeNull();
    }
  });

  test.for([
    { faults: { rate500: 1.1 } },
    { faults: { rate500: 0.6, hang: 0.6 } },
    { faults: { rate404: 0.1 } as object },
    { limits: { requestsPerMinute: 0 } },
    { hidden: { concurrency: 0.5 } },
    { latency: { baseMs: -1 } },
    { latency: { baseMs: 1, jitter: 2 } },
    { burstMs: Number.NaN },
  ])('%j is refused', (options) => {
    expect(() => resolveOptions(options)).toThrow(RangeError);
  });
});
