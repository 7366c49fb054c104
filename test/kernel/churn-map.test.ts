import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { ChurnMap } from '../../actors/kernel/churn-map.ts';

/** Keys are few in some runs and many in others, so that tables fill with deleted entries, grow and become too large. */
const steps = fc.oneof(...[3, 40, 600].map((keys) => fc.array(fc.tuple(fc.nat(9), fc.nat(keys)), { maxLength: 2_000, size: 'max' })));

describe('a map of entries that come and go', () => {
  test('holds what a Map would, in the same order, whatever comes and goes', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (taken, setters) => {
        const churned = new ChurnMap<string, number>();
        const model = new Map<string, number>();
        for (const [at, [choice, name]] of taken.entries()) {
          const key = `k${name}`;
          if (choice < setters) {
            churned.set(key, at);
            model.set(key, at);
          } else expect(churned.delete(key)).toBe(model.delete(key));
          expect(churned.size).toBe(model.size);
          expect(churned.get(key)).toBe(model.get(key));
          expect(churned.has(key)).toBe(model.has(key));
        }
        expect([...churned.values()]).toEqual([...model.values()]);
      }),
      { numRuns: 40 },
    );
  });

  test('is empty after clear, and works on', () => {
    const churned = new ChurnMap<number, string>();
    for (let at = 0; at < 100; at += 1) churned.set(at, 'x');
    churned.clear();
    expect([churned.size, churned.get(1), churned.delete(1)]).toEqual([0, undefined, false]);
    churned.set(1, 'y');
    expect([...churned.values()]).toEqual(['y']);
  });

  test('an entry that is removed while all are walked is not walked into twice, and none is missed', () => {
    const churned = new ChurnMap<number, number>();
    for (let at = 0; at < 64; at += 1) churned.set(at, at);
    const walked: number[] = [];
    for (const value of [...churned.values()]) {
      walked.push(value);
      churned.delete(value);
    }
    expect(walked).toEqual(Array.from({ length: 64 }, (_, at) => at));
    expect(churned.size).toBe(0);
  });
});
