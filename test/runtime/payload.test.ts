/** Payloads: JSON texts, their limit, and when two of them say the same. */
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode, encode, hashText, sameJson } from '../../src/runtime/payload.ts';
import { TaskHandle } from '../../src/runtime/handle.ts';
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

  test('say by an error of their own that a text is no JSON any more, also to whoever waits for a result', async () => {
    const unreadable = { code: 'DROVER_PAYLOAD_UNREADABLE', retryable: false, cause: expect.any(SyntaxError) };
    expect(() => decode('{"a"')).toThrow(expect.objectContaining(unreadable));
    const handle = new TaskHandle('x', 'work');
    const result = handle.result();
    handle.ended({ id: 'x', place: '', status: 'completed', result: '{"a"', error: null });
    await expect(result).rejects.toMatchObject(unreadable);
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

function nested(levels: number): unknown {
  let value: unknown[] = [];
  for (let at = 1; at < levels; at += 1) value = [value];
  return value;
}

describe('what comes back from JSON as something else is refused, with where it is:', () => {
  class Money {
    readonly cents = 1;
  }
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  test.each([
    [Number.NaN, 'it is NaN'],
    [{ items: [0, 1, 2, { price: Number.NaN }] }, 'it: items[3].price is NaN'],
    [{ cost: Infinity }, 'it: cost is Infinity'],
    [{ 'a b': [-Infinity] }, 'it: ["a b"][0] is -Infinity'],
    [new Map([['a', 1]]), 'it is a Map'],
    [{ tags: new Set([1]) }, 'it: tags is a Set'],
    [{ due: new Date(0) }, 'it: due is a Date, which comes back as a text; give its toISOString()'],
    [{ price: new Money() }, 'it: price is an instance of Money; give a plain object'],
    [{ bytes: new Uint8Array(2) }, 'it: bytes is an instance of Uint8Array'],
    [{ error: new Error('no') }, 'it: error is an instance of Error'],
    [{ toJSON: () => 1 }, 'it: toJSON is a function'],
    [{ deep: [() => 1] }, 'it: deep[0] is a function'],
    [{ mark: Symbol('s') }, 'it: mark is a symbol'],
    [{ deep: [{ big: 2n }] }, 'it: deep[0].big is a bigint; give it as a text'],
    [{ list: Object.assign([1], { 2: 3 }) }, 'it: list[1] is a hole, which comes back as null'],
    [{ [Symbol('mark')]: 1 }, 'it: [Symbol(mark)] is a field under a symbol, which vanishes'],
    [cyclic, 'it is nothing that JSON can write (Converting circular structure to JSON'],
  ])('%s', (value, message) => {
    expect(() => encode(value, 'it', Infinity)).toThrow(expect.objectContaining({ code: 'DROVER_PAYLOAD_NOT_JSON' }));
    expect(() => encode(value, 'it', Infinity)).toThrow(message);
  });

  test.each([1_001, 6_000, 200_000])('what is nested %i levels deep, with where that begins', (levels) => {
    const encoding = (): string => encode({ tree: nested(levels - 1) }, 'it', Infinity);
    expect(encoding).toThrow(expect.objectContaining({ code: 'DROVER_PAYLOAD_NOT_JSON', retryable: false }));
    expect(encoding).toThrow(/^it: tree(\[0\])+… is nested more than 1000 levels deep/);
  });

  test('a thousand levels are kept, and so is a field under a symbol that nothing lists', () => {
    const hidden = Object.defineProperty({ a: 1 }, Symbol('hidden'), { value: 1 });
    expect(decode(encode([hidden, nested(999)], 'it', Infinity))).toEqual([{ a: 1 }, nested(999)]);
  });

  test('fields that are undefined vanish, in an array they are null, -0 is 0, and objects may have no prototype or come from another realm', () => {
    const bare: Record<string, unknown> = Object.assign(Object.create(null) as object, { a: 1 });
    expect(
      decode(
        encode({ gone: undefined, list: [1, undefined], zero: -0, bare, foreign: runInNewContext('({ b: [2] })') as unknown }, 'it', 999),
      ),
    ).toEqual({
      list: [1, null],
      zero: 0,
      bare: { a: 1 },
      foreign: { b: [2] },
    });
  });

  test('of any value, either it is refused, or it comes back equal', () => {
    fc.assert(
      fc.property(
        fc.anything({ withDate: true, withMap: true, withSet: true, withBigInt: true, withSparseArray: true, withTypedArray: true }),
        (value) => {
          let text: string;
          try {
            text = encode(value, 'it', Infinity);
          } catch (error) {
            expect(error).toMatchObject({ code: 'DROVER_PAYLOAD_NOT_JSON' });
            return;
          }
          expect(alike(decode(text), value)).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  /** Deeply equal, but for what is undefined: as a field it is gone, in an array it is null. */
  function alike(a: unknown, b: unknown): boolean {
    if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    if (Array.isArray(a) && Array.isArray(b))
      return a.length === b.length && Array.from(b).every((each: unknown, at) => alike(a[at], each === undefined ? null : each));
    const names = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...names].every((name) => alike((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]));
  }
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
