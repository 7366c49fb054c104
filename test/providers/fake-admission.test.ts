import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { admit, openAdmission, resize, settle, shownBuckets } from '../../src/providers/fake/admission/admission.ts';
import type { Admission, RejectedCost, Verdict } from '../../src/providers/fake/admission/admission.ts';
import { remaining } from '../../src/providers/fake/admission/bucket.ts';
import { drawFault, FAULT_NAMES } from '../../src/providers/fake/faults/faults.ts';
import { formatReset, rateLimitHeaders, retryHeaders } from '../../src/providers/fake/openai/headers.ts';
import { resolveOptions } from '../../src/providers/fake/options.ts';

const input = (inputTokens: number) => ({ inputTokens, outputTokens: 0 });
const headersAt = (state: Admission, nowMs: number) => rateLimitHeaders(shownBuckets(state), nowMs);
const limits = { requestsPerMinute: 120, tokensPerMinute: 6_000, concurrency: 3 };

describe('admission', () => {
  property.prop([fc.array(fc.record({ afterMs: fc.nat(900), tokens: fc.integer({ min: 1, max: 150 }), ends: fc.boolean() }))])(
    'takes from all dimensions or from none, and never has more in flight than allowed',
    (plan) => {
      let nowMs = 0;
      let state = openAdmission({ limits }, nowMs);
      const running: number[] = [];
      for (const { afterMs, tokens, ends } of plan) {
        nowMs += afterMs;
        const [next, verdict] = admit(state, input(tokens), nowMs);
        if (verdict.at === 'accepted') running.push(tokens);
        else expect(next).toBe(state);
        state = next;
        expect(state.inFlight).toBe(running.length);
        expect(state.inFlight).toBeLessThanOrEqual(3);
        const ended = ends ? running.shift() : undefined;
        if (ended !== undefined) state = settle(state, input(ended), input(ended), nowMs);
      }
    },
  );

  test('names the dimension with the longest wait', () => {
    const [empty] = admit(openAdmission({ limits: { requestsPerMinute: 60, tokensPerMinute: 600 } }, 0), input(40), 0);
    // One request flows in after 1 000 ms, the debt of 30 tokens and one more after 3 100 ms.
    expect(admit(empty, input(1), 0)[1]).toEqual({ at: 'rejected', by: 'tokens', retryAfterMs: 3_100 });
    expect(admit(empty, input(1), 2_900)[1]).toEqual({ at: 'rejected', by: 'tokens', retryAfterMs: 200 });
  });

  test('corrects the estimate to the real usage, down and up', () => {
    const [charged] = admit(openAdmission({ limits }, 0), input(80), 0);
    const remainingAfter = (usedTokens: number) =>
      headersAt(settle(charged, input(80), input(usedTokens), 0), 0)['x-ratelimit-remaining-tokens'];
    expect(remainingAfter(30)).toBe('70');
    expect(remainingAfter(95)).toBe('5');
  });

  test('a rejection costs a request only where rejections cost', () => {
    const retryAfterMs = (rejectedCostQuota: boolean) => {
      const [empty] = admit(openAdmission({ limits: { requestsPerMinute: 60 }, rejectedCostQuota }, 0), input(1), 0);
      return admit(empty, input(1), 900)[1];
    };
    expect(retryAfterMs(false)).toMatchObject({ retryAfterMs: 100 });
    expect(retryAfterMs(true)).toMatchObject({ retryAfterMs: 1_000 });
  });

  test.for([
    ['input-tokens', { inputTokens: 101, outputTokens: 0 }],
    ['output-tokens', { inputTokens: 0, outputTokens: 11 }],
    ['tokens', { inputTokens: 95, outputTokens: 9 }],
  ] as const)('counts %s apart from the others', ([by, cost]) => {
    // Bursts of 100, 10 and 103, all full: who asks for more than one of them waits for its debt to be paid.
    const full = openAdmission({ limits: { inputTokensPerMinute: 6_000, outputTokensPerMinute: 600, tokensPerMinute: 6_180 } }, 0);
    const [indebted] = admit(full, cost, 0);
    expect(admit(indebted, { inputTokens: 1, outputTokens: 1 }, 0)[1]).toMatchObject({ by });
  });

  test('settles each dimension to its own usage', () => {
    const full = openAdmission({ limits: { inputTokensPerMinute: 6_000, outputTokensPerMinute: 600 } }, 0);
    const [charged] = admit(full, { inputTokens: 50, outputTokens: 10 }, 0);
    const settled = settle(charged, { inputTokens: 50, outputTokens: 10 }, { inputTokens: 60, outputTokens: 3 }, 0);
    const { 'input-tokens': inputs, 'output-tokens': outputs } = shownBuckets(settled);
    expect([remaining(inputs, 0), remaining(outputs, 0)]).toEqual([40, 7]);
  });

  test('a rejection costs its tokens too where that is so, but never more than there is', () => {
    const waitOf = (rejectedCostQuota: RejectedCost, tokens: number) => {
      const [empty] = admit(
        openAdmission({ limits: { requestsPerMinute: 60, tokensPerMinute: 6_000 }, rejectedCostQuota }, 0),
        input(10),
        0,
      );
      const [after, verdict] = admit(empty, input(tokens), 500);
      expect(verdict).toMatchObject({ at: 'rejected', by: 'requests' });
      return remaining(shownBuckets(after).tokens, 500);
    };
    expect(waitOf(false, 30)).toBe(100);
    expect(waitOf(true, 30)).toBe(100);
    expect(waitOf('request-and-tokens', 30)).toBe(70);
    expect(waitOf('request-and-tokens', 400)).toBe(0);
  });

  test('clients that come back too early are never let in where rejections cost, and one that waits as told is', () => {
    let [state] = admit(openAdmission({ limits: { requestsPerMinute: 60 }, rejectedCostQuota: true }, 0), input(1), 0);
    let verdict: Verdict;
    for (let nowMs = 900; nowMs <= 9_000; nowMs += 900) {
      [state, verdict] = admit(state, input(1), nowMs);
      expect(verdict).toMatchObject({ at: 'rejected', retryAfterMs: 1_000 });
    }
    expect(admit(state, input(1), 10_000)[1].at).toBe('accepted');
  });

  test('is shut while no permit is there, and another hidden concurrency counts at once', () => {
    let [state] = admit(openAdmission({ hidden: { concurrency: 1 }, concurrencyRetryMs: 40 }, 0), input(1), 0);
    expect(admit(state, input(1), 0)[1]).toEqual({ at: 'rejected', by: 'concurrency', retryAfterMs: 40 });
    state = resize(state, { concurrency: 2 }, 0);
    expect(admit(state, input(1), 0)[1].at).toBe('accepted');
    expect(() => resize(state, { concurrency: 0 }, 0)).toThrow(RangeError);
  });

  test('a hidden limit decides, while the headers go on at the declared rate', () => {
    let state = openAdmission({ limits: { requestsPerMinute: 600 }, hidden: { requestsPerMinute: 120 } }, 0);
    for (let call = 0; call < 2; call += 1) [state] = admit(state, input(1), 0);
    expect(admit(state, input(1), 0)[1]).toMatchObject({ by: 'requests', retryAfterMs: 500 });
    expect(headersAt(state, 0)).toEqual({
      'x-ratelimit-limit-requests': '600',
      'x-ratelimit-remaining-requests': '8',
      'x-ratelimit-reset-requests': '200ms',
    });
  });
});

describe('headers', () => {
  test('under a hidden limit show the corrected usage too, but never a debt', () => {
    const [charged] = admit(openAdmission({ limits: { tokensPerMinute: 6_000 }, hidden: { tokensPerMinute: 60 } }, 0), input(80), 0);
    const shown = (usedTokens: number) => {
      const headers = headersAt(settle(charged, input(80), input(usedTokens), 0), 0);
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
    { rejectedCostQuota: 'x' as never },
    { limit: { requestsPerMinute: 1 } } as object,
    { latency: { baseMs: 1, slowTokenMs: -1 } },
    { limits: { inputTokensPerMinute: -1 } },
    { schedule: [{ atMs: -1, hidden: {} }] },
    { schedule: [{ atMs: 0, hidden: { tokensPerMinute: 0 } }] },
    { neighbours: [{ requestsPerMinute: 0, tokensPerRequest: 1 }] },
    { neighbours: [{ requestsPerMinute: Infinity, tokensPerRequest: 1 }] },
    { neighbours: [{ requestsPerMinute: 1, tokensPerRequest: -1 }] },
    { neighbours: [{ requestsPerMinute: 1, tokensPerRequest: 1, outputTokensPerRequest: 2 }] },
    { neighbours: [{ requestsPerMinute: 1, tokensPerRequest: 1, fromMs: 5, untilMs: 4 }] },
  ])('%j is refused', (options) => {
    expect(() => resolveOptions(options)).toThrow(RangeError);
  });
});
