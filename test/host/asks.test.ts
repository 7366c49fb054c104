import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { Asks } from '../../actors/host/asks.ts';
import type { Asker } from '../../actors/host/asks.ts';

const asking = (asked: string): Asker => ({ asked, answered: () => {} });

describe('questions that wait', () => {
  test('an address finds who waits there, once', () => {
    const asks = new Asks();
    const asker = asking('a');
    const address = asks.add(asker);
    expect(asks.has(address)).toBe(true);
    expect(asks.take(address)).toBe(asker);
    expect(asks.has(address)).toBe(false);
    expect(asks.take(address)).toBeUndefined();
  });

  test('an address of before does not find who waits at the same place now', () => {
    const asks = new Asks();
    const former = asks.add(asking('a'));
    asks.take(former);
    const later = asking('b');
    const address = asks.add(later);
    expect(address).not.toBe(former);
    expect(asks.take(former)).toBeUndefined();
    expect(asks.take(address)).toBe(later);
  });

  test('numbers that nobody was given find nobody', () => {
    const asks = new Asks();
    asks.add(asking('a'));
    for (const address of [-1, 0, 1, 0.5, 2 ** 52, Number.MAX_SAFE_INTEGER, NaN]) expect(asks.take(address)).toBeUndefined();
  });

  test('whatever is asked, answered and given up, it holds what a Map by address would', () => {
    const step = fc.record({
      act: fc.constantFrom('add', 'add', 'take', 'lose', 'clear'),
      which: fc.nat(30),
      asked: fc.constantFrom('a', 'b', 'c'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const asks = new Asks();
        const model = new Map<number, Asker>();
        const given: number[] = [];
        for (const { act, which, asked } of steps) {
          if (act === 'add') {
            const asker = asking(asked);
            const address = asks.add(asker);
            expect(given).not.toContain(address);
            given.push(address);
            model.set(address, asker);
          } else if (act === 'take') {
            const address = given[which] ?? 0;
            expect(asks.take(address)).toBe(model.get(address));
            model.delete(address);
          } else if (act === 'lose') {
            const lost = [...model].filter(([, asker]) => asker.asked === asked);
            expect(new Set(asks.takeAllOf(asked))).toEqual(new Set(lost.map(([, asker]) => asker)));
            for (const [address] of lost) model.delete(address);
          } else if (which === 0) {
            asks.clear();
            model.clear();
          }
          expect(asks.size).toBe(model.size);
          for (const address of given) expect(asks.has(address)).toBe(model.has(address));
        }
      }),
    );
  });
});
