import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { LineSplitter } from '../../src/cli/lines.ts';
import type { Line } from '../../src/cli/lines.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

function split(chunks: readonly Uint8Array[], longest = 1_000): Line[] {
  const splitter = new LineSplitter(longest);
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), ...splitter.end()];
}

describe('a line splitter', () => {
  test('numbers lines from 1, counts blank ones and leaves them out', () => {
    expect(split([bytes('a\n\n  \r\nb\n')])).toEqual([
      { number: 1, text: 'a' },
      { number: 4, text: 'b' },
    ]);
  });

  test('gives the last line also without a newline, and nothing for none', () => {
    expect(split([bytes('a\nb')])).toEqual([
      { number: 1, text: 'a' },
      { number: 2, text: 'b' },
    ]);
    expect(split([])).toEqual([]);
    expect(split([bytes('')])).toEqual([]);
  });

  test('drops a byte order mark', () => {
    expect(split([bytes('\uFEFF{}\n')])).toEqual([{ number: 1, text: '{}' }]);
  });

  test('names a line that is too long, keeps nothing of it, and goes on behind it', () => {
    expect(split([bytes('abc\n'), bytes('x'.repeat(8)), bytes('y'.repeat(8)), bytes('\nd\n')], 8)).toEqual([
      { number: 1, text: 'abc' },
      { number: 2, problem: '16 bytes in one line' },
      { number: 3, text: 'd' },
    ]);
  });

  test('names a line that is no UTF-8 instead of guessing at it', () => {
    expect(split([Uint8Array.of(0x61, 10, 0xff, 10, 0x62)])).toEqual([
      { number: 1, text: 'a' },
      { number: 2, problem: 'bytes that are no UTF-8' },
      { number: 3, text: 'b' },
    ]);
  });

  property.prop([
    fc.array(fc.string({ unit: 'grapheme' }).filter((text) => !/[\n\uFEFF]/.test(text))),
    fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
  ])('says the same however the bytes are cut into chunks', (texts, cuts) => {
    const whole = bytes(texts.join('\n'));
    const chunks: Uint8Array[] = [];
    for (let at = 0, cut = 0; at < whole.length; cut += 1) {
      const to = at + cuts[cut % cuts.length]!;
      chunks.push(whole.subarray(at, to));
      at = to;
    }
    const expected = texts.flatMap((text, at) => (text.trim() === '' ? [] : [{ number: at + 1, text }]));
    expect(split(chunks)).toEqual(expected);
  });
});
