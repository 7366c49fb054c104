/** Payloads: JSON texts, their limit, and when two of them say the same. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode, hashText, sameJson } from '../../src/runtime/payload.ts';
import { childId } from '../../src/runtime/task-id.ts';

describe('encode and decode', () => {
  test('give back what JSON keeps of any value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(decode(encode(value, 'it', Infinity))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(decode(encode(undefined, 'it', 0))).toBeUndefined();
    expect(decode(null)).toBeUndefined();
  });

  test('allow exactly so many bytes as UTF-8 has', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 60 }), (text, maxBytes) => {
        const bytes = new TextEncoder().encode(JSON.stringify(text)).length;
        const encoding = (): string => encode(text, 'it', maxBytes);
        if (bytes <= maxBytes) expect(encoding()).toBe(JSON.stringify(text));
        else expect(encoding).toThrow(`it: ${bytes} bytes of JSON, at most ${maxBytes} fit`);
      }),
      { numRuns: 500 },
    );
  });

  test.each([[() => 1], [Symbol('s')], [1n], [{ deep: [2n] }]])('refuse what JSON cannot hold: %s', (value) => {
    expect(() => encode(value, 'it', Infinity)).toThrow(expect.objectContaining({ code: 'DROVER_PAYLOAD_NOT_JSON' }));
  });
});

describe('sameJson', () => {
  /** The same value with the keys of each object in another order. */
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (typeof value !== 'object' || value === null) return value;
    const copy: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(value).toReversed()) {
      Object.defineProperty(copy, key, { value: shuffled(inner), enumerable: true });
    }
    return copy;
  };

  test('is true for any order of keys, and false for anything else', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const text = JSON.stringify(a);
        expect(sameJson(text, JSON.stringify(shuffled(a)))).toBe(true);
        const other = JSON.stringify(b);
        const same = JSON.stringify(sorted(JSON.parse(text))) === JSON.stringify(sorted(JSON.parse(other)));
        expect(sameJson(text, other)).toBe(same);
      }),
      { numRuns: 500 },
    );
  });

  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, inner]) => [key, sorted(inner)] as const);
    // Told apart from an array: an empty one has no entries either.
    return { entries: entries.toSorted(([a], [b]) => (a < b ? -1 : 1)) };
  };

  test('tells nothing from null', () => {
    expect(sameJson('', '')).toBe(true);
    expect(sameJson('', 'null')).toBe(false);
  });
});

describe('childId', () => {
  test('is the plain path while that fits, and differs where parents or names differ', () => {
    expect(childId('a', 'k#1')).toBe('a/k#1');
    const long = 'x'.repeat(510);
    const ids = [childId(long, 'k#1'), childId(long, 'k#2'), childId(`${long}x`, 'k#1'), childId('x'.repeat(512), 'k#1')];
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id.length).toBeLessThanOrEqual(512);
    expect(childId(long, 'k#1')).toBe(ids[0]);
  });

  test('is well-formed also where a character is cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 470, max: 512 }), (length) => {
        const id = childId('x'.repeat(length % 2) + '🐑'.repeat(length >> 1), 'kind#1');
        expect(id.isWellFormed()).toBe(true);
        expect(id.length).toBeLessThanOrEqual(512);
      }),
    );
  });
});

test('hashText tells texts apart that differ little', () => {
  const texts = Array.from({ length: 20_000 }, (_, at) => `{"prompt":"mail ${at}"}`);
  expect(new Set(texts.map(hashText)).size).toBe(texts.length);
  expect(hashText('')).toBe(hashText(''));
});
