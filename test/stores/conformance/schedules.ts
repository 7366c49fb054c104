import { describe, expect, test } from 'vitest';
import type { Firing } from '../../../actors/ports/store.ts';
import { Bench, newTask } from './place.ts';
import type { MakePlace } from './place.ts';

export function scheduling(makePlace: MakePlace): void {
  describe('schedules', () => {
    const bench = new Bench(makePlace);
    const put = (name: string, nextAtMs: number, plan = '"daily"') => bench.store.putSchedules([{ name, plan, nextAtMs }]);
    const firing = (name: string, atMs: number, ...ids: string[]): Firing => ({
      name,
      atMs,
      nextAtMs: atMs + 100,
      tasks: ids.map((id) => newTask(id)),
    });

    test('a schedule is there with its plan and its time, and changes when it is put again', async () => {
      await put('b', 2_000);
      await put('a', 3_000);
      expect((await bench.store.schedules()).toSorted((x, y) => (x.name < y.name ? -1 : 1))).toEqual([
        { name: 'a', plan: '"daily"', nextAtMs: 3_000, lastId: null, lastAtMs: null },
        { name: 'b', plan: '"daily"', nextAtMs: 2_000, lastId: null, lastAtMs: null },
      ]);
      await put('a', 4_000, '"weekly"');
      await bench.store.removeSchedules(['b', 'nobody']);
      expect(await bench.store.schedules()).toEqual([{ name: 'a', plan: '"weekly"', nextAtMs: 4_000, lastId: null, lastAtMs: null }]);
    });

    test('a sweep tells of those that are due, until they are fired, and when the next one is', async () => {
      await put('a', bench.nowMs + 10);
      await put('b', bench.nowMs + 20);
      expect(await bench.sweepIn(9)).toMatchObject({ schedules: [], nextAtMs: bench.nowMs + 1 });
      for (let twice = 0; twice < 2; twice += 1) expect((await bench.sweepIn(1)).schedules.map(({ name }) => name)).toEqual(['a']);
      await bench.store.fireSchedules([firing('a', bench.nowMs - 1, 't1')], bench.nowMs);
      expect(await bench.sweepIn(0)).toMatchObject({ schedules: [], nextAtMs: bench.nowMs + 9 });
    });

    test('a firing makes its tasks, and the schedule goes on to its next time', async () => {
      await put('a', bench.nowMs);
      const atMs = bench.nowMs;
      bench.nowMs += 5;
      expect(await bench.store.fireSchedules([firing('a', atMs, 't1')], bench.nowMs)).toEqual({ fired: [true], ready: ['triage'] });
      expect(await bench.store.schedules()).toMatchObject([{ name: 'a', nextAtMs: atMs + 100, lastId: 't1' }]);
      expect((await bench.store.schedules())[0]?.lastAtMs).not.toBeNull();
      expect(await bench.record('t1')).toMatchObject({ status: 'queued', submittedAtMs: bench.nowMs });
    });

    test('a turn is taken once, though it is sent twice, or by two', async () => {
      await put('a', bench.nowMs);
      const first = firing('a', bench.nowMs, 't1');
      const second = { ...firing('a', bench.nowMs, 't2'), nextAtMs: bench.nowMs + 50 };
      expect((await bench.store.fireSchedules([first, second], bench.nowMs)).fired).toEqual([true, false]);
      expect(await bench.store.fireSchedules([first], bench.nowMs)).toEqual({ fired: [false], ready: [] });
      expect(await bench.record('t2')).toBeUndefined();
      expect(await bench.store.schedules()).toMatchObject([{ nextAtMs: bench.nowMs + 100, lastId: 't1' }]);
    });

    test('what was changed or removed meanwhile does not fire', async () => {
      await put('a', bench.nowMs);
      await put('a', bench.nowMs + 1);
      await put('b', bench.nowMs);
      await bench.store.removeSchedules(['b']);
      const { fired } = await bench.store.fireSchedules([firing('a', bench.nowMs, 't1'), firing('b', bench.nowMs, 't2')], bench.nowMs);
      expect(fired).toEqual([false, false]);
      expect(await bench.all()).toEqual([]);
    });

    test('an id that is there already is left alone, and the turn is taken', async () => {
      await bench.complete(await bench.running('t1'), '"done"');
      await put('a', bench.nowMs);
      expect((await bench.store.fireSchedules([firing('a', bench.nowMs, 't1', 't2')], bench.nowMs)).fired).toEqual([true]);
      expect(await bench.standing('t1', 't2')).toEqual(['completed', 'queued']);
    });

    test('a turn may be left out: it makes nothing, and goes on', async () => {
      await put('a', bench.nowMs);
      expect(await bench.store.fireSchedules([firing('a', bench.nowMs)], bench.nowMs)).toEqual({ fired: [true], ready: [] });
      expect(await bench.store.schedules()).toMatchObject([{ nextAtMs: bench.nowMs + 100 }]);
    });

    test('schedules and what they last did outlive a crash; put again they still know', async () => {
      await put('a', bench.nowMs);
      await bench.store.fireSchedules([firing('a', bench.nowMs, 't1')], bench.nowMs);
      const before = await bench.store.schedules();
      await bench.crashAndOpen();
      expect(await bench.store.schedules()).toEqual(before);
      expect((await bench.store.fireSchedules([firing('a', bench.nowMs, 't1')], bench.nowMs)).fired).toEqual([false]);
      await put('a', 9_000, '"hourly"');
      expect(await bench.store.schedules()).toMatchObject([{ plan: '"hourly"', lastId: 't1' }]);
    });
  });
}
