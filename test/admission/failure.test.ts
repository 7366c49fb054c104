/** How errors of dependencies are read. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { classifyError, readRetryAfter } from '../../src/admission/failure.ts';

const NOW_MS = Date.parse('2026-01-02T03:04:05.000Z');

const failed = (fields: object) => Object.assign(new Error('failed'), fields);

describe('classifyError', () => {
  test.each([
    [{ status: 429 }, 'rate-limited'],
    [{ statusCode: 429 }, 'rate-limited'],
    [{ status: 400 }, 'permanent'],
    [{ status: 401 }, 'permanent'],
    [{ status: 403 }, 'permanent'],
    [{ status: 404 }, 'permanent'],
    [{ status: 413 }, 'permanent'],
    [{ status: 422 }, 'permanent'],
    [{ status: 408 }, 'transient'],
    [{ status: 409 }, 'transient'],
    [{ status: 425 }, 'transient'],
    [{ status: 500 }, 'transient'],
    [{ status: 502 }, 'transient'],
    [{ status: 503 }, 'overloaded'],
    [{ status: 529 }, 'overloaded'],
    // What says nothing may pass by itself.
    [{}, 'transient'],
    [{ status: undefined, code: 'ECONNRESET' }, 'transient'],
    [{ status: '429' }, 'transient'],
    [{ status: 200 }, 'transient'],
    [{ retryable: true }, 'transient'],
    [{ retryable: false }, 'permanent'],
    // A status knows better than a flag.
    [{ status: 503, retryable: false }, 'overloaded'],
    [{ status: 429, retryable: false }, 'rate-limited'],
  ])('%j is %s', (fields, at) => {
    expect(classifyError(failed(fields), NOW_MS).at).toBe(at);
  });

  test.each([[undefined], [null], ['text'], [7], [Symbol('odd')], [() => 1]])('whatever is thrown has an answer: %s', (thrown) => {
    expect(classifyError(thrown, NOW_MS)).toEqual({ at: 'transient' });
  });

  test('a wait that is asked for comes along, except where nothing helps', () => {
    const headers = { 'retry-after': '7' };
    expect(classifyError(failed({ status: 429, headers }), NOW_MS)).toEqual({ at: 'rate-limited', retryAfterMs: 7_000 });
    expect(classifyError(failed({ status: 503, headers }), NOW_MS)).toEqual({ at: 'overloaded', retryAfterMs: 7_000 });
    expect(classifyError(failed({ status: 429, responseHeaders: headers }), NOW_MS)).toEqual({ at: 'rate-limited', retryAfterMs: 7_000 });
    expect(classifyError(failed({ status: 400, headers }), NOW_MS)).toEqual({ at: 'permanent' });
  });
});

describe('readRetryAfter', () => {
  test.each([
    [{ 'retry-after-ms': '10', 'retry-after': '5' }, 10],
    [{ 'retry-after-ms': 'soon', 'retry-after': '5' }, 5_000],
    [{ 'retry-after': '0.1' }, 100],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '60' }, 60_000],
    [{ 'retry-after': 'Fri, 02 Jan 2026 03:04:07 GMT' }, 2_000],
    // Not obeyed: too long, past, or unreadable.
    [{ 'retry-after': '61' }, undefined],
    [{ 'retry-after': '120' }, undefined],
    [{ 'retry-after': '-1' }, undefined],
    [{ 'retry-after': 'abc' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{ 'retry-after': 'Infinity' }, undefined],
    [{ 'retry-after': 'Fri, 02 Jan 2026 03:04:04 GMT' }, undefined],
    [{ 'retry-after': 'Fri, 02 Jan 2026 04:04:05 GMT' }, undefined],
    [{ 'retry-after-ms': '-5' }, undefined],
    [{ 'retry-after-ms': '60001' }, undefined],
    [{ 'retry-after': 5 }, undefined],
    [{}, undefined],
    [null, undefined],
    [undefined, undefined],
    ['retry-after: 5', undefined],
  ])('%j is %s', (headers, ms) => {
    expect(readRetryAfter(headers, NOW_MS)).toBe(ms);
  });

  test('reads Headers as fetch has them', () => {
    expect(readRetryAfter(new Headers({ 'Retry-After': '3' }), NOW_MS)).toBe(3_000);
    expect(readRetryAfter(new Headers({ 'Retry-After-Ms': '30', 'Retry-After': '3' }), NOW_MS)).toBe(30);
    expect(readRetryAfter(new Headers(), NOW_MS)).toBeUndefined();
  });

  test('whatever a provider writes, the wait is nothing or between 0 and a minute', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.double().map(String),
      fc.integer().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
    );
    fc.assert(
      fc.property(fc.record({ 'retry-after': texts, 'retry-after-ms': texts }, { requiredKeys: [] }), (headers) => {
        const ms = readRetryAfter(headers, NOW_MS);
        expect(ms === undefined || (ms >= 0 && ms <= 60_000)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
