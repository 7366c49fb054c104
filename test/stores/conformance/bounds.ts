import { describe, expect, test } from 'vitest';
import { Bench, newTask, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

const ACCEPTED = { at: 'accepted' };

export function bounding(makePlace: MakePlace): void {
  describe('bounds', () => {
    const bench = new Bench(makePlace);
    const submit = (...tasks: Parameters<typeof newTask>[]) =>
      bench.store.submit(
        tasks.map((task) => newTask(...task)),
        bench.nowMs,
      );

    test('of a kind: it is full for tasks from outside, other kinds are not, children and sends are exempt', async () => {
      await bench.reopen({ kinds: { [`k`]: { maxUnfinished: 1 } } });
      expect(await submit(['a', { kind: 'k' }], ['b', { kind: 'k' }], ['c', { kind: 'l' }])).toEqual([
        ACCEPTED,
        { at: 'full', limit: 1, of: 'kind' },
        ACCEPTED,
      ]);
      const [run] = await bench.claim(1, { kind: 'k' });
      expect(await submit(['child', { kind: 'k', parent: { id: 'a', fence: run!.fence, place: 'p' } }])).toEqual([ACCEPTED]);
      const sends = [newTask('sent', { kind: 'k' })];
      expect(await bench.settle(run!, { at: 'completed', result: null, sends })).toEqual(SETTLED('completed'));
      expect(await submit(['b', { kind: 'k' }])).toMatchObject([{ at: 'full' }]);
    });

    test('of a kind: an end makes room, and what is known stays known', async () => {
      await bench.reopen({ kinds: { triage: { maxUnfinished: 1 } } });
      const run = await bench.running('a');
      expect(await submit(['a'], ['b'])).toMatchObject([{ at: 'known' }, { at: 'full' }]);
      await bench.complete(run);
      expect(await submit(['b'])).toEqual([ACCEPTED]);
    });

    test('of a kind: what is there counts for the next owner', async () => {
      await bench.submit('a', 'b');
      await bench.reopen({ kinds: { triage: { maxUnfinished: 2 } } });
      expect(await submit(['c'])).toEqual([{ at: 'full', limit: 2, of: 'kind' }]);
    });

    test('of a tenant: it is full for tasks from outside, other tenants and what has none are not; an end makes room', async () => {
      await bench.submit(newTask('before', { tenant: 'ann' }));
      await bench.reopen({ kinds: { triage: { maxOfTenant: 2 } } });
      const full = { at: 'full', limit: 2, of: 'tenant' };
      const ann = (id: string): Parameters<typeof newTask> => [id, { tenant: 'ann' }];
      expect(await submit(ann('a'), ann('b'), ['c', { tenant: 'bob' }], ['d'], ['e'], ['f'])).toEqual([
        ACCEPTED,
        full,
        ACCEPTED,
        ACCEPTED,
        ACCEPTED,
        ACCEPTED,
      ]);
      expect(await submit(ann('a'), ['b', { tenant: 'ann', kind: 'other' }])).toMatchObject([{ at: 'known' }, ACCEPTED]);
      const runs = await bench.claim(9);
      const mine = runs.find(({ id }) => id === 'before')!;
      expect(await submit(['child', { tenant: 'ann', parent: { id: 'before', fence: mine.fence, place: 'p' } }])).toEqual([ACCEPTED]);
      // They count all the same.
      await bench.store.start([mine], bench.nowMs);
      await bench.settle(mine, { at: 'failed', error: 'e' });
      expect(await submit(ann('g'), ann('h'))).toEqual([ACCEPTED, full]);
      await bench.steer('g', 'cancel');
      expect(await submit(ann('h'))).toEqual([ACCEPTED]);
      // Put back, they are there again, whatever the bound.
      for (const id of ['g', 'before']) await bench.steer(id, 'requeue');
      await bench.steer('h', 'cancel');
      expect(await submit(ann('i'))).toEqual([full]);
      await bench.crashAndOpen();
      // With the one that was put back its child was.
      await bench.reopen({ kinds: { triage: { maxOfTenant: 5 } } });
      expect(await submit(ann('i'), ann('j'))).toEqual([ACCEPTED, { ...full, limit: 5 }]);
    });

    test('of the store: the answer says of what', async () => {
      await bench.store.close();
      await bench.open(1);
      const [, full] = await submit(['a'], ['b']);
      expect(full).toMatchObject({ at: 'full', limit: 1 });
      expect((full as { of?: string }).of ?? 'store').toBe('store');
    });

    describe('of a family', () => {
      const kin = (id: string, changes = {}): Parameters<typeof newTask> => [id, { rootId: 'root', depth: 1, kind: 'kin', ...changes }];

      test('descendants of one task are bounded, the task itself does not count, another family is not touched', async () => {
        await bench.reopen({ maxFamily: 2 });
        const root = await bench.running('root');
        const parent = { id: 'root', fence: root.fence, place: 'p' };
        expect(await submit(kin('a', { parent }), kin('b', { parent }), kin('c', { parent }), kin('d', { rootId: 'other' }))).toEqual([
          ACCEPTED,
          ACCEPTED,
          { at: 'full', limit: 2, of: 'family' },
          ACCEPTED,
        ]);
        const [a] = await bench.claim(1, { kind: 'kin' });
        await bench.complete(a!);
        expect(await submit(kin('c', { parent }))).toEqual([ACCEPTED]);
      });

      test('a completion whose sends would be too many is refused with nothing done, and the run still holds its lease', async () => {
        await bench.reopen({ maxFamily: 2 });
        const root = await bench.running('root');
        const sends = ['a', 'b', 'c'].map((id) => newTask(...kin(id)));
        expect(await bench.settle(root, { at: 'completed', result: null, sends })).toEqual({ at: 'refused', why: 'full', limit: 2 });
        expect(await bench.standing('root', 'a')).toEqual(['running', 'unknown']);
        expect(await bench.settle(root, { at: 'completed', result: null, sends: sends.slice(1) })).toEqual(SETTLED('completed'));
      });

      test('sends that are there already do not count', async () => {
        await bench.reopen({ maxFamily: 1 });
        await submit(kin('a'));
        const sends = [newTask(...kin('a')), newTask(...kin('a'))];
        expect(await bench.settle(await bench.running('root'), { at: 'completed', result: null, sends })).toEqual(SETTLED('completed'));
      });

      test('one that sends its successor takes no more room than it gives', async () => {
        await bench.reopen({ maxFamily: 1 });
        await submit(kin('a'));
        const [a] = await bench.claim(1, { kind: 'kin' });
        expect(await bench.settle(a!, { at: 'completed', result: null, sends: [newTask(...kin('b'))] })).toEqual(SETTLED('completed'));
      });

      test('it is counted on after a crash', async () => {
        await submit(kin('a'), kin('b'));
        await bench.place.crash(bench.store);
        await bench.open(100, { maxFamily: 2 });
        expect(await submit(kin('c'))).toMatchObject([{ at: 'full', of: 'family' }]);
        await bench.steer('a', 'cancel');
        expect(await submit(kin('c'))).toEqual([ACCEPTED]);
      });
    });
  });
}
