import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { PersistentMap } from '../../actors/kernel/persistent-map.ts';

describe('a persistent map', () => {
  test('leaves the version it was made from as it was', () => {
    const before = new PersistentMap([['a', 1]]);
    const after = before.with('a', 2).with('b', 3).without('a');
    expect([before.get('a'), before.get('b'), before.size]).toEqual([1, undefined, 1]);
    expect([after.get('a'), after.get('b'), after.size]).toEqual([undefined, 3, 1]);
    expect(before.without('nobody')).toBe(before);
  });

  const change = fc.record({
    from: fc.nat(),
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.option(fc.nat(9), { nil: undefined }),
    read: fc.nat(),
  });

  test.prop([fc.array(change, { maxLength: 60 })])(
    'every version is what a copied map would be, whichever is read and changed',
    (changes) => {
      const versions = [{ map: new PersistentMap<number>(), copy: new Map<string, number>() }];
      for (const { from, key, value, read } of changes) {
        const { map, copy } = versions[from % versions.length]!;
        const next = new Map(copy);
        if (value === undefined) next.delete(key);
        else next.set(key, value);
        versions.push({ map: value === undefined ? map.without(key) : map.with(key, value), copy: next });
        const looked = versions[read % versions.length]!;
        expect(looked.map.values().toSorted()).toEqual([...looked.copy.values()].toSorted());
        for (const name of ['a', 'b', 'c', 'd']) expect(looked.map.get(name)).toBe(looked.copy.get(name));
        expect(looked.map.size).toBe(looked.copy.size);
      }
    },
  );
});
