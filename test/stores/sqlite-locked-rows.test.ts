import { describe, expect, test } from 'vitest';
import { LockedRows } from '../../src/stores/sqlite-locked-rows.ts';

describe('LockedRows', () => {
  test('what a start has brought is known until its run lets go', () => {
    const rows = new LockedRows();
    rows.learn('a', 'k', { version: 3, value: '1' });
    rows.learn('a', 'none', null);
    expect(rows.get(['k', 'none'])).toEqual([{ key: 'k', version: 3, value: '1' }, undefined]);
    expect(rows.get(['k', 'other'])).toBeUndefined();
    rows.forget('a');
    expect(rows.get(['k'])).toBeUndefined();
  });

  test('a row is not known from when a write leaves until it is answered, whatever a start brings meanwhile', async () => {
    const rows = new LockedRows();
    rows.learn('a', 'k', { version: 3, value: '1' });
    const answer = Promise.withResolvers<void>();
    const writing = rows.writing(['k'], answer.promise);
    expect(rows.get(['k'])).toBeUndefined();
    rows.learn('b', 'k', { version: 3, value: '1' });
    expect(rows.get(['k'])).toBeUndefined();
    answer.resolve();
    await writing;
    expect(rows.get(['k'])).toBeUndefined();
    rows.learn('c', 'k', { version: 4, value: '2' });
    expect(rows.get(['k'])).toEqual([{ key: 'k', version: 4, value: '2' }]);
  });

  test('two writes of a row are over when both are, also when one fails', async () => {
    const rows = new LockedRows();
    const [one, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const both = [rows.writing(['k'], one.promise), rows.writing(['k'], other.promise)];
    one.reject(new Error('refused'));
    await expect(both[0]).rejects.toThrow('refused');
    rows.learn('a', 'k', null);
    expect(rows.get(['k'])).toBeUndefined();
    other.resolve();
    await both[1];
    rows.learn('a', 'k', null);
    expect(rows.get(['k'])).toEqual([undefined]);
  });

  test('runs whose end is never heard of do not fill the memory', () => {
    const rows = new LockedRows();
    for (let at = 0; at <= 6_000; at += 1) rows.learn(`task-${at}`, `row-${at}`, null);
    expect(rows.get(['row-0'])).toBeUndefined();
    expect(rows.get(['row-6000'])).toEqual([undefined]);
  });
});
