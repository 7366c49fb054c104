/** What cannot be meant is refused where it is said, under one code, before anything is asked of the store. */
import { describe, expect, test } from 'vitest';
import { leader } from 'drover/coordination';
import { World } from './world.ts';

const onElected = (): void => {};

describe('a leader', () => {
  test.each([
    ['onElected', {}],
    ['onElected', { onElected: 5 }],
    ['onElected', { onElected: null }],
    ['onError', { onElected, onError: 5 }],
    ['onError', { onElected, onError: null }],
  ])('refuses a wrong %s at once: %o', async (option, wrong) => {
    const world = await new World().open();
    const { store, options, sent } = world.process();
    expect(() => leader(store, 'x', { ...options, ...wrong } as never)).toThrow(
      expect.objectContaining({ code: 'DROVER_COORDINATION_OPTION', detail: { option } }),
    );
    await world.settle();
    expect(sent).toEqual([]);
  });

  test.each([[undefined], [null], [5], ['locks.db'], [{}]])('refuses %o in place of a store at once', (store) => {
    expect(() => leader(store as never, 'x', { onElected })).toThrow(
      expect.objectContaining({ code: 'DROVER_COORDINATION_OPTION', detail: { option: 'store' } }),
    );
  });
});
