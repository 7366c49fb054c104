import { fc, test } from '@fast-check/vitest';
import { describe as group, expect } from 'vitest';
import { describe, DroverError, invariant, InvariantError, toErrorRecord } from '../../actors/kernel/errors.ts';

class DiskFullError extends DroverError {
  readonly code = 'DROVER_TEST_DISK_FULL';
  readonly retryable = true;
}

const depthOf = (record: { readonly cause?: object } | undefined): number => (record === undefined ? 0 : 1 + depthOf(record.cause));

group('errors', () => {
  test('an error of Drover has the name of its class, a code, and says whether it helps to try again', () => {
    const error = new DiskFullError('no room', { cause: 'disk' });
    expect(error).toMatchObject({ name: 'DiskFullError', code: 'DROVER_TEST_DISK_FULL', retryable: true, detail: {}, cause: 'disk' });
    expect(error).toBeInstanceOf(Error);
  });

  test('an invariant throws when it is broken, and only then', () => {
    expect(() => invariant(1, 'never')).not.toThrow();
    expect(() => invariant(0, 'one is one')).toThrow(InvariantError);
    expect(() => invariant('', 'one is one')).toThrow('broken invariant: one is one');
  });
});

group('error records', () => {
  test('a record keeps name, message, code, retryable, stack and cause', () => {
    const error = new DiskFullError('no room', { cause: Object.assign(new TypeError('bad'), { code: 'EIO' }) });
    const record = toErrorRecord(error);
    expect(record).toEqual({
      name: 'DiskFullError',
      message: 'no room',
      code: 'DROVER_TEST_DISK_FULL',
      retryable: true,
      stack: error.stack,
      cause: { name: 'TypeError', message: 'bad', code: 'EIO', stack: (error.cause as Error).stack },
    });
  });

  test('a numeric code becomes a text; what is neither text nor number is left out', () => {
    expect(toErrorRecord(Object.assign(new Error('x'), { code: 429 })).code).toBe('429');
    expect(toErrorRecord(Object.assign(new Error('x'), { code: {}, retryable: 'yes' }))).not.toHaveProperty('code');
    expect(toErrorRecord(Object.assign(new Error('x'), { retryable: 'yes' }))).not.toHaveProperty('retryable');
  });

  test('causes are kept four deep, also when they run in a circle', () => {
    let error = new Error('0');
    for (let at = 1; at < 10; at += 1) error = new Error(String(at), { cause: error });
    expect(depthOf(toErrorRecord(error))).toBe(5);
    const circle = new Error('round');
    circle.cause = circle;
    expect(depthOf(toErrorRecord(circle))).toBe(5);
    expect(toErrorRecord(new Error('x', { cause: null })).cause).toEqual({ name: 'NonError', message: 'null' });
  });

  test('everything in a record is cut to size', () => {
    const long = 'x'.repeat(100_000);
    const error = Object.assign(new Error(long, { cause: long }), { code: long, name: long, stack: long });
    const record = toErrorRecord(error);
    expect(record.message).toHaveLength(4_096);
    expect(record.stack).toHaveLength(8_192);
    expect(record.code).toHaveLength(256);
    expect(record.name).toHaveLength(256);
    expect(JSON.stringify(record).length).toBeLessThan(16_384);
  });

  test('an error whose fields are of the wrong type is a record all the same', () => {
    const odd = Object.assign(new Error('x'), { message: { status: 500 }, stack: [1, 2], name: undefined });
    expect(toErrorRecord(odd)).toEqual({ name: 'undefined', message: '{"status":500}' });
  });

  test.prop([
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true }),
  ])('whatever is thrown becomes a record that a row can keep', (thrown) => {
    const record = toErrorRecord(thrown);
    expect(typeof record.name).toBe('string');
    expect(typeof record.message).toBe('string');
    expect(JSON.parse(JSON.stringify(record))).toEqual(record);
  });
});

group('a description', () => {
  test('it tells values apart that look alike, in few words', () => {
    expect(describe('1')).toBe('"1"');
    expect(describe(1)).toBe('1');
    expect(describe(10n)).toBe('10n (a bigint)');
    expect(describe(undefined)).toBe('undefined');
    expect(describe(null)).toBe('null');
    expect(describe(Symbol('s'))).toBe('Symbol(s)');
    expect(describe(function walk() {})).toBe('function walk');
    expect(describe(() => {})).toBe('function (anonymous)');
    expect(describe({ a: [1] })).toBe('{"a":[1]}');
    expect(describe({ toJSON: () => undefined })).toBe('undefined');
  });

  test('what is long is cut, and what cannot be written as JSON is named', () => {
    expect(describe('x'.repeat(1_000))).toHaveLength(203);
    expect(describe({ text: 'x'.repeat(1_000) })).toHaveLength(201);
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(describe(circle)).toMatch(/^\[object Object\] \(.*circular/);
    expect(describe({ big: 1n })).toMatch(/^\[object Object\] \(.*BigInt/);
  });
});
