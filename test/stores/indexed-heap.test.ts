import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IndexedHeap } from '../../src/stores/indexed-heap.ts';

interface Item {
  readonly name: number;
  key: number;
}

const goesFirst = (a: Item, b: Item): boolean => (a.key === b.key ? a.name < b.name : a.key < b.key);

/** The model: who is in, in no order, looked through each time. */
const firstOf = (items: Iterable<Item>): Item | undefined =>
  [...items].reduce<Item | undefined>((first, item) => (first === undefined || goesFirst(item, first) ? item : first), undefined);

const steps = fc.array(fc.record({ act: fc.constantFrom('toggle', 'toggle', 'sink'), name: fc.nat(30), by: fc.nat(5) }), {
  maxLength: 400,
  size: 'max',
});

describe('a heap whose items know their places', () => {
  test('has the first of its items on top, whoever comes, leaves or sinks', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const items = Array.from({ length: 31 }, (_, name): Item => ({ name, key: 0 }));
        const heap = new IndexedHeap<Item>(goesFirst);
        const model = new Set<Item>();
        for (const { act, name, by } of taken) {
          const item = items[name]!;
          if (act === 'sink') {
            item.key += by;
            heap.sink(item);
          } else if (model.delete(item)) expect(heap.remove(item)).toBe(true);
          else {
            item.key = (item.key * 7 + by) % 20;
            heap.add(item);
            model.add(item);
          }
          expect(heap.first).toBe(firstOf(model));
          expect(items.filter((each) => heap.has(each))).toEqual(items.filter((each) => model.has(each)));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('one that is not there is not removed, and sinking it changes nothing', () => {
    const heap = new IndexedHeap<Item>(goesFirst);
    const inside: Item = { name: 1, key: 1 };
    const outside: Item = { name: 0, key: 0 };
    heap.add(inside);
    heap.sink(outside);
    expect([heap.remove(outside), heap.first]).toEqual([false, inside]);
    expect([heap.remove(inside), heap.first, heap.remove(inside)]).toEqual([true, undefined, false]);
  });
});
