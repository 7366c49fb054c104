import { describe, expect, test } from 'vitest';
import type { StateSeen, StateWrite } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED, STALE, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function keepingState(makePlace: MakePlace): void {
  describe('versioned rows', () => {
    const bench = new Bench(makePlace);

    /** Writes, and gives the new version. */
    async function put(key: string, value: string | null, version: number | null): Promise<number> {
      const [outcome] = await bench.store.setState([{ key, value, version }], bench.nowMs);
      expect(outcome?.at).toBe('written');
      return outcome!.version!;
    }
    const get = async (key: string) => (await bench.store.getState([key]))[0];
    const readBy = async (held: { id: string; fence: number }, key: string, place = `state:${key}`) =>
      (await bench.store.readState([{ id: held.id, fence: held.fence, key, place }], bench.nowMs))[0];
    const complete = (held: { id: string; fence: number }, ...writes: StateWrite[]) =>
      bench.settle(held, { at: 'completed', result: '"r"', sends: [newTask(`sent by ${held.id}`)], writes });

    test('a row that was written is there, with its version', async () => {
      expect(await get('k')).toBeUndefined();
      const version = await put('k', '"v"', null);
      expect(await get('k')).toEqual({ key: 'k', version, value: '"v"' });
      expect(await bench.store.getState(['nothing', 'k', 'k'])).toMatchObject([undefined, { key: 'k' }, { key: 'k' }]);
    });

    /** The next one of this kind that holds `k` for writing, and what it reads of it. */
    async function holder(id: string) {
      const run = await bench.running(id, { locks: write('k') });
      return { run, row: await get('k') };
    }

    const end = (held: { id: string; fence: number }, ...writes: StateWrite[]) =>
      bench.settle(held, { at: 'completed', result: null, sends: [], writes });

    test('whoever holds a row for writing reads what was written last, by whomever', async () => {
      const { run: a, row: none } = await holder('a');
      expect(none).toBeUndefined();
      await end(a, { key: 'k', value: '1', version: null });
      const { run: b, row: first } = await holder('b');
      expect(first).toMatchObject({ value: '1' });
      // Somebody from outside, who asks for no locks.
      const version = await put('k', '2', first!.version);
      expect(await get('k')).toEqual({ key: 'k', version, value: '2' });
      expect(await end(b, { key: 'k', value: '3', version: first!.version })).toMatchObject({ at: 'refused', key: 'k', version });
      await end(b, { key: 'k', value: '3', version });
      const { run: c, row: third } = await holder('c');
      expect(third).toMatchObject({ value: '3' });
      await end(c, { key: 'k', value: null, version: third!.version });
      expect(await get('k')).toBeUndefined();
      const { row: gone } = await holder('d');
      expect(gone).toBeUndefined();
    });

    test('also where the row is written while the run starts', async () => {
      const { run } = await holder('a');
      await end(run);
      for (const id of ['b', 'c']) {
        const before = await get('k');
        await bench.submit(newTask(id, { locks: write('k') }));
        const [claimed] = await bench.claim();
        const start = bench.start(claimed!);
        const written = put('k', `"${id}"`, before?.version ?? null);
        await Promise.all([start, written]);
        expect(await get('k')).toMatchObject({ value: `"${id}"` });
        await end(claimed!);
      }
    });

    test('also when its lease has run out, and another run has written the row', async () => {
      await end((await holder('a')).run);
      const { row: before } = await holder('lost');
      await bench.sweepIn(60_001);
      const again = await bench.runNext('lost');
      await end(again, { key: 'k', value: '"again"', version: before?.version ?? null });
      expect(await get('k')).toMatchObject({ value: '"again"' });
    });

    test('a long row, and one of many, is read as well', async () => {
      const long = JSON.stringify('x'.repeat(5_000));
      await put('k', long, null);
      await end((await holder('a')).run);
      expect((await holder('b')).row?.value).toBe(long);
      const many = Array.from({ length: 20 }, (_, at) => `many-${at}`);
      await bench.running('c', { locks: write(...many) });
      await put('many-3', '1', null);
      expect(await bench.store.getState(many)).toMatchObject(many.map((key) => (key === 'many-3' ? { value: '1' } : undefined)));
    });

    test('it is written only where its version is still the one that is named', async () => {
      const first = await put('k', '1', null);
      const second = await put('k', '2', first);
      expect(second).toBeGreaterThan(first);
      const tries = [first, null, second + 1].map((version) => ({ key: 'k', value: '3', version }));
      expect(await bench.store.setState(tries, bench.nowMs)).toEqual(tries.map(() => ({ at: 'conflict', version: second })));
      expect(await bench.store.setState([{ key: 'none', value: '1', version: 1 }], bench.nowMs)).toEqual([
        { at: 'conflict', version: null },
      ]);
      expect((await get('k'))?.value).toBe('2');
    });

    test('writes from outside are each taken by itself, in order', async () => {
      const outcomes = await bench.store.setState(
        [
          { key: 'a', value: '1', version: null },
          { key: 'a', value: '2', version: null },
          { key: 'b', value: '1', version: null },
        ],
        bench.nowMs,
      );
      expect(outcomes.map(({ at }) => at)).toEqual(['written', 'conflict', 'written']);
      expect(outcomes[1]?.version).toBe(outcomes[0]?.version);
    });

    test('versions of a key only grow, also when it was deleted meanwhile, and over a crash', async () => {
      const first = await put('k', '1', null);
      const gone = await put('k', null, first);
      expect(gone).toBeGreaterThan(first);
      expect(await get('k')).toBeUndefined();
      expect(await bench.store.setState([{ key: 'k', value: '2', version: gone }], bench.nowMs)).toEqual([
        { at: 'conflict', version: null },
      ]);
      await bench.crashAndOpen();
      const back = await put('k', '2', null);
      expect(back).toBeGreaterThan(gone);
      // Whoever read it in its first life does not overwrite its second.
      expect(await bench.store.setState([{ key: 'k', value: '3', version: first }], bench.nowMs)).toEqual([
        { at: 'conflict', version: back },
      ]);
    });

    test('rows are listed by their keys, page by page', async () => {
      for (const key of ['b', 'a/2', 'a/10', 'a', 'a/1', 'A/1', 'a0']) await put(key, '1', null);
      const keys = async (query: { prefix: string; after?: string; limit: number }) =>
        (await bench.store.listState(query)).map(({ key }) => key);
      expect(await keys({ prefix: 'a/', limit: 9 })).toEqual(['a/1', 'a/10', 'a/2']);
      expect(await keys({ prefix: 'a/', after: 'a/1', limit: 1 })).toEqual(['a/10']);
      expect(await keys({ prefix: 'a/', after: 'a/2', limit: 9 })).toEqual([]);
      expect(await keys({ prefix: '', limit: 99 })).toEqual(['A/1', 'a', 'a/1', 'a/10', 'a/2', 'a0', 'b']);
      expect(await keys({ prefix: '', after: 'a/2', limit: 99 })).toEqual(['a0', 'b']);
      expect(await keys({ prefix: 'none', limit: 9 })).toEqual([]);
    });

    test('a prefix is taken as it is written', async () => {
      for (const key of ['a%b', 'axb', 'a_b', 'a*b', 'a', '\u{1F600}x', '\uffffx']) await put(key, '1', null);
      const keys = async (prefix: string) => (await bench.store.listState({ prefix, limit: 9 })).map(({ key }) => key);
      expect(await keys('a%')).toEqual(['a%b']);
      expect(await keys('a_')).toEqual(['a_b']);
      expect(await keys('a*')).toEqual(['a*b']);
      expect(await keys('\u{1F600}')).toEqual(['\u{1F600}x']);
      expect(await keys('\uffff')).toEqual(['\uffffx']);
    });

    test('deleted rows are not listed', async () => {
      await put('a', null, await put('a', '1', null));
      expect(await bench.store.listState({ prefix: '', limit: 9 })).toEqual([]);
    });

    test('a key has at most 512 characters', async () => {
      await put('k'.repeat(512), '1', null);
      const long = { key: 'k'.repeat(513), value: '1', version: null };
      await expect(bench.store.setState([{ key: 'x', value: '1', version: null }, long], bench.nowMs)).rejects.toMatchObject({
        code: 'DROVER_STORE_INPUT',
      });
      expect(await get('x')).toBeUndefined();
      const run = await bench.running('a');
      await expect(complete(run, long)).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      await bench.complete(run);
    });

    describe('read by a run', () => {
      test('it reads what is there, and finds the same at the same place, whatever has happened since', async () => {
        const version = await put('k', '1', null);
        const run = await bench.running('a');
        const row = { key: 'k', version, value: '1' };
        expect(await readBy(run, 'k')).toEqual({ at: 'read', row });
        await put('k', '2', version);
        expect(await readBy(run, 'k')).toEqual({ at: 'read', row });
        expect(await readBy(run, 'k', 'state:k#1')).toMatchObject({ at: 'read', row: { value: '2' } });
      });

      test('later runs find the same too, unless it is forgotten', async () => {
        await put('k', '1', null);
        const first = await bench.running('a');
        const seen = await readBy(first, 'k');
        await bench.settle(first, parked('sleep', { wakeAtMs: bench.nowMs }));
        await put('k', '2', (await get('k'))!.version);
        await bench.crashAndOpen();
        const second = await bench.runNext('a');
        expect(await readBy(second, 'k')).toEqual(seen);
        await bench.settle(second, { at: 'retry', error: 'conflict', readyAtMs: bench.nowMs, forget: 'state' });
        await bench.store.sweep(bench.nowMs);
        expect(await readBy(await bench.runNext('a'), 'k')).toMatchObject({ row: { value: '2' } });
      });

      test('under which version it was read comes back, and who reads first says so', async () => {
        const run = await bench.running('a');
        const read = (place: string, version?: string) =>
          bench.store.readState(
            [{ id: 'a', fence: run.fence, key: 'k', place, ...(version === undefined ? {} : { version }) }],
            bench.nowMs,
          );
        await read('state:k', '7');
        await read('state:k', '8');
        await read('state:k#1');
        await bench.crashAndOpen();
        const { memory } = await bench.given(await bench.runNext('a'));
        expect(memory.map(({ place, version = '1' }) => `${place} ${version}`).toSorted()).toEqual(['state:k 7', 'state:k#1 1']);
      });

      test('that there was none is remembered like a row', async () => {
        const run = await bench.running('a');
        expect(await readBy(run, 'k')).toEqual({ at: 'read', row: null });
        await put('k', '1', null);
        expect(await readBy(run, 'k')).toEqual({ at: 'read', row: null });
      });

      test('an older holder reads nothing, and what is remembered is in the memory of its task', async () => {
        const old = await bench.running('a');
        await bench.settle(old, { at: 'released' });
        const run = await bench.runNext('a');
        expect(await readBy(old, 'k')).toEqual(STALE);
        await readBy(run, 'k');
        expect((await bench.given(run)).memory).toMatchObject([{ place: 'state:k' }]);
      });
    });

    describe('written with the completion', () => {
      test('rows, result and sends are there together', async () => {
        const version = await put('k', '1', null);
        const run = await bench.running('a');
        expect(await complete(run, { key: 'k', value: '2', version }, { key: 'l', value: '3', version: null })).toEqual(
          SETTLED('completed'),
        );
        expect((await bench.store.getState(['k', 'l'])).map((row) => row?.value)).toEqual(['2', '3']);
        expect((await get('k'))!.version).toBeGreaterThan(version);
        expect(await bench.record('sent by a')).toMatchObject({ status: 'queued' });
      });

      test('one row that has another version refuses all of it, and the run still holds its lease', async () => {
        const version = await put('k', '1', null);
        const run = await bench.running('a');
        const now = await put('k', '2', version);
        expect(await complete(run, { key: 'l', value: '3', version: null }, { key: 'k', value: '9', version })).toEqual({
          at: 'refused',
          why: 'conflict',
          key: 'k',
          version: now,
        });
        expect((await bench.store.getState(['k', 'l'])).map((row) => row?.value)).toEqual(['2', undefined]);
        expect(await bench.record('sent by a')).toBeUndefined();
        expect(await bench.record('a')).toMatchObject({ status: 'running', result: null });
        expect(await bench.settle(run, { at: 'retry', error: 'conflict', readyAtMs: bench.nowMs, forget: 'state' })).toEqual(
          SETTLED('retrying'),
        );
      });

      test('a row that is gone, or has come, refuses too', async () => {
        const version = await put('k', '1', null);
        await put('k', null, version);
        const here = await put('l', '1', null);
        const run = await bench.running('a');
        expect(await complete(run, { key: 'k', value: '2', version })).toMatchObject({ at: 'refused', key: 'k', version: null });
        expect(await complete(run, { key: 'l', value: '2', version: null })).toMatchObject({ at: 'refused', key: 'l', version: here });
      });

      test('of two that write the same row in a batch the first wins: no update is lost', async () => {
        const version = await put('k', '0', null);
        await bench.submit('a', 'b');
        const runs = await bench.claim(2);
        await bench.store.start(runs, bench.nowMs);
        const { outcomes } = await bench.store.settle(
          runs.map(({ id, fence }) => ({
            id,
            fence,
            outcome: { at: 'completed', result: null, sends: [], writes: [{ key: 'k', value: `"${id}"`, version }] },
          })),
          bench.nowMs,
        );
        expect(outcomes).toMatchObject([SETTLED('completed'), { at: 'refused', key: 'k' }]);
        expect((await get('k'))?.value).toBe('"a"');
      });

      describe('where it says what it has read', () => {
        const seen = (held: { id: string; fence: number }, reads: readonly StateSeen[], ...writes: StateWrite[]) =>
          bench.settle(held, { at: 'completed', result: '"r"', sends: [newTask(`sent by ${held.id}`)], writes, reads });

        test('it completes where that is what is there, and nothing is written to what it has read', async () => {
          const version = await put('k', '1', null);
          const reads = [
            { key: 'k', version },
            { key: 'none', version: null },
          ];
          const runs = [await bench.running('a'), await bench.running('b')] as const;
          expect(await seen(runs[0], reads)).toEqual(SETTLED('completed'));
          expect(await seen(runs[1], reads, { key: 'l', value: '2', version: null })).toEqual(SETTLED('completed'));
          expect(await bench.store.getState(['k', 'none', 'l'])).toMatchObject([{ value: '1', version }, undefined, { value: '2' }]);
        });

        test.each([
          ['has another version', 'other'],
          ['is gone', 'gone'],
          ['has come', 'come'],
        ] as const)('where one of them %s, all of it is refused, and the run still holds its lease', async (_what, which) => {
          const kept = await put('kept', '1', null);
          const other = await put('other', '1', null);
          const gone = await put('gone', '1', null);
          const run = await bench.running('a');
          const found = {
            other: await put('other', '2', other),
            gone: null,
            come: await put('come', '1', null),
          }[which];
          await put('gone', null, gone);
          const read = {
            other: { key: 'other', version: other },
            gone: { key: 'gone', version: gone },
            come: { key: 'come', version: null },
          };
          const reads = [{ key: 'kept', version: kept }, read[which]];
          expect(await seen(run, reads, { key: 'l', value: '3', version: null })).toEqual({
            at: 'refused',
            why: 'conflict',
            key: which,
            version: found,
          });
          expect(await get('l')).toBeUndefined();
          expect(await bench.record('sent by a')).toBeUndefined();
          expect(await bench.record('a')).toMatchObject({ status: 'running', result: null });
        });

        test('two that it has read of one row cannot both be there', async () => {
          const first = await put('k', '1', null);
          const second = await put('k', '2', first);
          const run = await bench.running('a');
          const reads = [first, second].map((version) => ({ key: 'k', version }));
          expect(await seen(run, reads)).toMatchObject({ at: 'refused', key: 'k', version: second });
          expect(await seen(run, reads.toReversed())).toMatchObject({ at: 'refused', key: 'k', version: second });
        });

        test('what one before it in the batch has written is there, what it writes itself is not yet', async () => {
          const version = await put('k', '0', null);
          const gone = await put('gone', '0', null);
          await bench.submit('a', 'b', 'c', 'd');
          const runs = await bench.claim(4);
          await bench.store.start(runs, bench.nowMs);
          const rows = [
            { reads: [{ key: 'k', version }], writes: [{ key: 'k', value: '1', version }] },
            { reads: [{ key: 'k', version }] },
            { writes: [{ key: 'gone', value: null, version: gone }] },
            { reads: [{ key: 'gone', version: gone }] },
          ];
          const { outcomes } = await bench.store.settle(
            runs.map(({ id, fence }, at) => ({ id, fence, outcome: { at: 'completed', result: null, sends: [], ...rows[at] } })),
            bench.nowMs,
          );
          expect(outcomes).toMatchObject([
            SETTLED('completed'),
            { at: 'refused', key: 'k', version: (await get('k'))!.version },
            SETTLED('completed'),
            { at: 'refused', key: 'gone', version: null },
          ]);
        });
      });

      test('a stale completion writes nothing', async () => {
        const old = await bench.running('a');
        await bench.settle(old, { at: 'released' });
        expect(await complete(old, { key: 'k', value: '1', version: null })).toEqual(STALE);
        expect(await get('k')).toBeUndefined();
      });

      test('a deletion is a write', async () => {
        const version = await put('k', '1', null);
        expect(await complete(await bench.running('a'), { key: 'k', value: null, version })).toEqual(SETTLED('completed'));
        expect(await get('k')).toBeUndefined();
      });
    });
  });
}
