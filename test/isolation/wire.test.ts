import { CallError, PayloadTooLargeError } from 'drover';
import { describe, expect, test } from 'vitest';
import { fromWire, toFacts, toWire } from '../../src/isolation/wire.ts';

const across = (thrown: unknown): Error => fromWire(structuredClone(toWire(thrown)));

describe('an error on the wire', () => {
  test('keeps what code matches on, and its facts', () => {
    const error = across(new PayloadTooLargeError({ what: 'output', bytes: 9, maxBytes: 8 }));
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'PayloadTooLargeError',
      code: 'DROVER_PAYLOAD_TOO_LARGE',
      retryable: false,
      detail: { what: 'output', bytes: 9, maxBytes: 8 },
    });
  });

  test('keeps its stack and its causes', () => {
    const cause = Object.assign(new Error('503'), { code: 'E_DOWN' });
    const sent = new CallError({ dependency: 'model', attempts: 4, failure: 'transient' }, { cause });
    const error = across(sent);
    expect(error.stack).toBe(sent.stack);
    expect(error.cause).toMatchObject({ message: '503', code: 'E_DOWN' });
  });

  test.each([
    ['a text', 'thrown'],
    ['nothing', undefined],
    ['a detail that JSON cannot hold', Object.assign(new Error('x'), { detail: { big: 1n } })],
    [
      'a detail that throws when it is looked at',
      Object.defineProperty(new Error('x'), 'detail', {
        get: () => {
          throw new Error('no');
        },
      }),
    ],
  ])('is an error whatever was thrown: %s', (_what, thrown) => {
    expect(across(thrown)).toBeInstanceOf(Error);
  });
});

test('facts of a log line travel as far as they can', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const facts = structuredClone(
    toFacts({ count: 1, failure: new TypeError('odd'), run: () => {}, cycle, nested: { at: 'x', fn: () => {} } }),
  );
  expect(facts).toMatchObject({ count: 1, failure: { name: 'TypeError', message: 'odd' }, cycle: '[object Object]', nested: { at: 'x' } });
});
