/** What an effect of a task is known by outside. */
import fc from 'fast-check';
import { agent } from 'drover';
import { expect, test } from 'vitest';
import { idempotencyKeyOf, placeOfKey } from '../../src/runtime/run/idempotency-key.ts';
import { Testbed } from './harness.ts';

test('the keys of two tasks are never one, whatever their ids and the names of their steps', async () => {
  await using bed = new Testbed();
  const keys: string[] = [];
  const work = agent({ run: async (name: string, ctx) => ctx.step(name, ({ idempotencyKey: key }) => void keys.push(key)) });
  const fleet = await bed.start({ agents: { work } });
  for (const [id, name] of [
    ['x', 'y/step:z'],
    ['x/step:y', 'z'],
    ['w', 'y%2Fstep:z'],
  ] as const)
    await bed.drive((await bed.drive(fleet.submit('work', name, { id }))).result());
  expect(keys).toEqual(['x/step:y%2Fstep:z', 'x/step:y/step:z', 'w/step:y%252Fstep:z']);
});

test('ids, and names of steps, calls and keys with slashes and signs, stand in the key as they are', () => {
  for (const [id, place] of [
    ['mail-17', 'step:file it'],
    ['order/17', 'call:model[inbox/17 50%]'],
    ['a/kid#1', 'undo:pay/back'],
    ['a/step:b', 'call:model#1/draft#2'],
    ['a', 'step:https://example.com/step'],
  ] as const)
    expect(idempotencyKeyOf(id, place)).toBe(`${id}/${place}`);
});

test('of a key and a task the place can be told, and no two pairs have one key', () => {
  const part = fc.constantFrom('/', '%', '25', '2F', '%2F', 'step:', 'call:', 'undo:', 'hold:', 'a', '/step:');
  const text = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
  const pair = fc.record({
    id: text,
    place: fc.tuple(fc.constantFrom('step:', 'call:', 'hold:', 'undo:'), text).map((two) => two.join('')),
  });
  fc.assert(
    fc.property(pair, pair, (a, b) => {
      expect(placeOfKey(a.id, idempotencyKeyOf(a.id, a.place))).toBe(a.place);
      expect(idempotencyKeyOf(a.id, a.place) === idempotencyKeyOf(b.id, b.place)).toBe(a.id === b.id && a.place === b.place);
    }),
    { numRuns: 3_000 },
  );
  // Drawn so that they often would be one.
  const cut = fc.tuple(text, fc.nat(), fc.nat()).map(([joined, one, other]) => {
    const whole = `a/step:${joined}/step:b`;
    const cuts = [...whole.matchAll(/\/(?=(?:step|call|hold|undo):)/g)].map(({ index }) => index);
    return [cuts[one % cuts.length]!, cuts[other % cuts.length]!].map((at) => ({ id: whole.slice(0, at), place: whole.slice(at + 1) }));
  });
  fc.assert(
    fc.property(cut, ([a, b]) => {
      expect(idempotencyKeyOf(a!.id, a!.place) === idempotencyKeyOf(b!.id, b!.place)).toBe(a!.id === b!.id);
    }),
    { numRuns: 3_000 },
  );
});
