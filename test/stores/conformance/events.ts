import { describe, expect, test } from 'vitest';
import { MOST_EVENTS } from '../../../actors/ports/store.ts';
import type { Signal, SignalOutcome } from '../../../actors/ports/store.ts';
import { Bench, newTask, parked, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

/** As the `n`th of its name. */
const told = (n: number) => ({ at: 'told', n }) as const;

export function signalling(makePlace: MakePlace): void {
  describe('events', () => {
    const bench = new Bench(makePlace);

    const signal = async (...items: readonly Partial<Signal>[]): Promise<readonly SignalOutcome[]> =>
      (
        await bench.store.signal(
          items.map((item) => ({ id: 'a', name: 'e', value: '1', ...item })),
          bench.nowMs,
        )
      ).outcomes;
    const waitFor = (...events: readonly [string, number][]) => parked('event', { events: events.map(([name, n]) => ({ name, n })) });

    test('they are there at the next start, in order of arrival, counted by name', async () => {
      await bench.submit('a');
      expect(await signal({ value: '1' }, { name: 'f', value: '2' }, { value: '3' })).toEqual([told(0), told(0), told(1)]);
      await signal({ value: '4' });
      const events = [
        { name: 'e', n: 0, value: '1' },
        { name: 'f', n: 0, value: '2' },
        { name: 'e', n: 1, value: '3' },
        { name: 'e', n: 2, value: '4' },
      ];
      const [claimed] = await bench.claim();
      expect((await bench.given(claimed!)).events).toEqual(events);
      await bench.crashAndOpen();
      expect((await bench.given((await bench.claim())[0]!)).events).toEqual(events);
    });

    test('one that is being undone takes none; what it knew before it still knows', async () => {
      const run = await bench.running('a');
      await signal({ key: 'k' });
      await bench.store.remember([{ ...run, place: 'compensate:book', hash: '', value: '' }], bench.nowMs);
      await bench.store.settle([{ id: run.id, fence: run.fence, outcome: { at: 'failed', error: '{}' } }], bench.nowMs);
      const undoing = { at: 'undoing', status: 'queued', ends: 'failed' };
      expect(await signal({}, { key: 'l' }, { key: 'k' })).toEqual([undoing, undoing, { at: 'known', value: '1' }]);
      await bench.crashAndOpen();
      expect(await signal({})).toEqual([undoing]);
      const [claimed] = await bench.claim();
      expect((await bench.given(claimed!)).events).toEqual([{ name: 'e', n: 0, value: '1' }]);
      expect(await signal({})).toEqual([{ at: 'undoing', status: 'running', ends: 'failed' }]);
    });

    test('each task has events of its own', async () => {
      await bench.submit('a', 'b');
      await signal({}, { id: 'b', value: '2' });
      const [a, b] = await bench.claim(2);
      expect((await bench.given(a!)).events).toEqual([{ name: 'e', n: 0, value: '1' }]);
      expect((await bench.given(b!)).events).toEqual([{ name: 'e', n: 0, value: '2' }]);
    });

    test('the same key is the same event, told once, also after a crash; another name has keys of its own', async () => {
      await bench.submit('a');
      expect(await signal({ key: 'k' }, { key: 'k', value: '2' }, { key: 'k', name: 'f' }, { key: 'l' }, {}, {})).toEqual([
        told(0),
        { at: 'known', value: '1' },
        told(0),
        told(1),
        told(2),
        told(3),
      ]);
      await bench.crashAndOpen();
      expect(await signal({ key: 'k' })).toEqual([{ at: 'known', value: '1' }]);
      const { events } = await bench.given((await bench.claim())[0]!);
      expect(events.filter(({ name }) => name === 'e').map(({ n, value }) => [n, value])).toEqual([
        [0, '1'],
        [1, '1'],
        [2, '1'],
        [3, '1'],
      ]);
    });

    test('a task that is not there is unknown, one that has ended says how', async () => {
      await bench.complete(await bench.running('a'));
      await bench.settle(await bench.running('b'), { at: 'dead', error: 'e' });
      expect(await signal({ id: 'nobody' }, {}, { id: 'b' })).toEqual([
        { at: 'unknown' },
        { at: 'ended', status: 'completed' },
        { at: 'ended', status: 'dead' },
      ]);
    });

    for (const [how, outcome] of [
      ['completed', { at: 'completed', result: '1', sends: [] }],
      ['failed', { at: 'failed', error: 'e' }],
      ['dead', { at: 'dead', error: 'e' }],
    ] as const) {
      test(`one that is ${how} still knows what it was told under a key, also after a crash, and nothing else`, async () => {
        const run = await bench.running('a');
        await signal({ key: 'k' }, { value: '2' });
        await bench.settle(run, outcome);
        const ended = { at: 'ended', status: how };
        for (const _ of ['before', 'after']) {
          const more = [{ key: 'k' }, { key: 'k', value: '2' }, { key: 'l' }, { key: 'k', name: 'f' }, {}] as const;
          expect(await signal(...more)).toEqual([{ at: 'known', value: '1' }, { at: 'known', value: '1' }, ended, ended, ended]);
          await bench.crashAndOpen();
        }
      });
    }

    test('a parked task is woken by the event that it waits for, ahead of new work, and by no other', async () => {
      await bench.settle(await bench.running('a', { kind: 'triage' }), waitFor(['e', 1]));
      await bench.submit(newTask('new', { priority: 9 }));
      expect(await bench.store.signal([{ id: 'a', name: 'f', value: '1' }], bench.nowMs)).toEqual({ outcomes: [told(0)], ready: [] });
      await signal({});
      expect(await bench.standing('a')).toEqual(['parked:event']);
      expect(await bench.store.signal([{ id: 'a', name: 'e', value: '2' }], bench.nowMs)).toEqual({
        outcomes: [told(1)],
        ready: ['triage'],
      });
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['a', 'new']);
    });

    test('an event that came before the park queues the task at once', async () => {
      const run = await bench.running('a');
      await signal({});
      expect(await bench.settle(run, waitFor(['e', 0]))).toEqual(SETTLED('queued'));
    });

    test('a task that waits for one event does not take an older one for it', async () => {
      const run = await bench.running('a');
      await signal({});
      expect(await bench.settle(run, waitFor(['e', 1]))).toEqual(SETTLED('parked'));
    });

    test('any of several wakes it; a known event wakes nobody', async () => {
      const run = await bench.running('a');
      await signal({ name: 'x', key: 'k' });
      await bench.settle(run, waitFor(['e', 0], ['f', 0], ['x', 1]));
      expect(await signal({ name: 'x', key: 'k' })).toEqual([{ at: 'known', value: '1' }]);
      expect(await bench.standing('a')).toEqual(['parked:event']);
      await signal({ name: 'f' });
      expect(await bench.standing('a')).toEqual(['queued']);
    });

    test('what it waits for outlives a crash, and leaves no alarm', async () => {
      await bench.settle(await bench.running('a'), { ...waitFor(['e', 0]), wakeAtMs: bench.nowMs + 100 } as ReturnType<typeof waitFor>);
      await bench.crashAndOpen();
      await signal({});
      expect(await bench.standing('a')).toEqual(['queued']);
      expect(await bench.sweepIn(200)).toMatchObject({ ready: [], nextAtMs: null });
    });

    test('what it waited for before does not wake it when it waits for something else', async () => {
      await bench.settle(await bench.running('a'), { ...waitFor(['e', 0]), wakeAtMs: bench.nowMs } as ReturnType<typeof waitFor>);
      await bench.settle(await bench.runNext('a'), waitFor(['f', 0]));
      await signal({});
      expect(await bench.standing('a')).toEqual(['parked:event']);
    });

    test(`a task is told of at most ${MOST_EVENTS} events`, async () => {
      await bench.submit('a');
      await signal(...Array.from({ length: MOST_EVENTS - 1 }, (_, at) => ({ key: `k${at}` })));
      expect(await signal({ name: 'last' }, {}, { key: 'k7' }, { name: 'more' })).toEqual([
        told(0),
        { at: 'full', limit: MOST_EVENTS },
        { at: 'known', value: '1' },
        { at: 'full', limit: MOST_EVENTS },
      ]);
    }, 30_000);

    test('texts of events are as everywhere', async () => {
      await bench.submit('a');
      const text = `"\0 '日本"`;
      await signal({ name: text, value: text, key: text });
      expect(await signal({ name: text, key: text })).toEqual([{ at: 'known', value: text }]);
      expect((await bench.given((await bench.claim())[0]!)).events).toEqual([{ name: text, n: 0, value: text }]);
      await expect(signal({ value: '\ud800' })).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
    });
  });
}
