import { describe, expect, test } from 'vitest';
import { Bench, newTask, SETTLED } from './place.ts';
import type { MakePlace } from './place.ts';

const TEXTS = {
  'an empty text': '',
  'a text of many scripts': 'zażółć gęślą jaźń · 日本語 · Ελληνικά · 🐕‍🦺👨‍👩‍👧‍👦 · \u{10FFFF} · \uFFFD \uFFFE \uFFFF',
  'quotes and marks': `'"\`\\ ; -- /* \r\n\t $1 ?1 :a %s {} []`,
  'a number as text': '0012.50',
  'a date as text': '2026-11-21',
  'null as text': 'null',
  'text with a NUL in it': 'before\0after\0',
  'only a NUL': '\0',
};

export function texts(makePlace: MakePlace): void {
  describe('texts', () => {
    const bench = new Bench(makePlace);

    for (const [name, text] of Object.entries(TEXTS)) {
      test(`${name}: comes back as it went in, or is refused`, async () => {
        const task = newTask(text, { kind: `k${text}`, version: text, input: text });
        const [submitted] = await bench.store.submit([task], bench.nowMs).catch((error: { code?: string }) => [error.code]);
        if (submitted === 'DROVER_STORE_INPUT') return;
        expect(submitted).toEqual({ at: 'accepted' });
        expect(await bench.store.submit([task], bench.nowMs)).toMatchObject([
          { at: 'known', task: { id: text, version: text, input: text } },
        ]);
        const [claimed] = await bench.claim(1, { kind: task.kind });
        expect(claimed).toMatchObject({ id: text, kind: task.kind, version: text, input: text });
        const { fence } = claimed!;
        await bench.store.remember([{ id: text, fence, place: text, hash: text, value: text }], bench.nowMs);
        await bench.submit(newTask('child', { parent: { id: text, fence, place: text } }));
        expect(await bench.store.start([claimed!], bench.nowMs)).toMatchObject([
          { memory: [{ place: text, hash: text, value: text }], children: [{ id: 'child', place: text }] },
        ]);
        await bench.settle(claimed!, { at: 'parked', reason: text, children: ['child'], wakeAtMs: null });
        expect((await bench.record(text))?.parkedFor).toBe(text);
        await bench.settle((await bench.claim())[0]!, { at: 'failed', error: text });
        expect((await bench.record('child'))?.error).toBe(text);
        const [again] = await bench.claim(1, { kind: task.kind });
        expect(await bench.settle(again!, { at: 'completed', result: text, sends: [] })).toEqual(SETTLED('completed'));
        expect(await bench.record(text)).toMatchObject({ id: text, result: text, input: text });
        expect((await bench.store.list({ after: text, limit: 9 })).map(({ id }) => id)).toEqual(['child']);
        expect(Object.keys(await bench.store.counts())).toContain(task.kind);
      });
    }

    test('ids that differ in one character, its case or its form are different tasks', async () => {
      const ids = ['a', 'A', 'á', 'a\u0301', ' a', 'a ', 'a\u200b', '\ufeffa', 'a%', 'a_', '1', '01', '1.0', '1e0'];
      await bench.submit(...ids);
      expect((await bench.store.get(ids)).map((task) => task?.id)).toEqual(ids);
    });

    for (const length of [999, 1_000, 1_001, 5_000_000]) {
      test(`a text of ${length} characters comes back as it went in`, async () => {
        const [input, result, error, value] = ['i', 'é', '猫', 'v'].map((letter) => letter.repeat(length - 1) + '.') as [
          string,
          string,
          string,
          string,
        ];
        const run = await bench.running('a', { input });
        expect(run.input === input).toBe(true);
        await bench.store.remember([{ id: 'a', fence: run.fence, place: 'p', hash: 'h', value }], bench.nowMs);
        await bench.settle(run, { at: 'retry', error, readyAtMs: bench.nowMs });
        expect((await bench.record('a'))?.error === error).toBe(true);
        expect((await bench.all())[0]?.input === input).toBe(true);
        await bench.store.sweep(bench.nowMs);
        const [claimed] = await bench.claim();
        expect(claimed?.input === input).toBe(true);
        const [started] = await bench.store.start([claimed!], bench.nowMs);
        expect(started?.at === 'started' && started.memory[0]?.value === value).toBe(true);
        await bench.complete(claimed!, result);
        const record = await bench.record('a');
        expect(record?.result === result && record.input === input).toBe(true);
        const [known] = await bench.store.submit([newTask('a')], bench.nowMs);
        expect(known?.at === 'known' && known.task.input === input).toBe(true);
      });
    }

    test('an id has at most 512 characters', async () => {
      await bench.submit('x'.repeat(512));
      await expect(bench.store.submit([newTask('b'), newTask('x'.repeat(513))], bench.nowMs)).rejects.toMatchObject({
        code: 'DROVER_STORE_INPUT',
        retryable: false,
      });
      expect(await bench.record('b')).toBeUndefined();
    });

    test('a lone surrogate comes back as it went in, or is refused with nothing done', async () => {
      const lone = 'a\ud800b';
      const tries = [newTask(lone), newTask('k', { kind: lone }), newTask('v', { version: lone }), newTask('i', { input: lone })];
      for (const task of tries) {
        const outcome = await bench.store.submit([newTask('fine'), task], bench.nowMs).catch((error: unknown) => error);
        if (Array.isArray(outcome))
          expect((await bench.store.get([task.id]))[0]).toMatchObject({
            id: task.id,
            kind: task.kind,
            version: task.version,
            input: task.input,
          });
        else expect(outcome).toMatchObject({ code: 'DROVER_STORE_INPUT', detail: {} });
      }
      expect(await bench.record('\ufffd')).toBeUndefined();
      const run = await bench.running('run', { priority: 1 });
      for (const outcome of [
        { at: 'completed', result: lone, sends: [] },
        { at: 'failed', error: lone },
        { at: 'parked', reason: lone, children: [], wakeAtMs: null },
      ] as const) {
        const settled = await bench.store.settle([{ id: 'run', fence: run.fence, outcome }], bench.nowMs).catch((error: unknown) => error);
        if ((settled as { code?: string }).code !== 'DROVER_STORE_INPUT') return;
      }
      await bench.complete(run);
    });

    test('what is no number is refused, with nothing done', async () => {
      const bad = { code: 'DROVER_STORE_INPUT' };
      const run = await bench.running('a');
      await expect(bench.store.submit([newTask('b')], NaN)).rejects.toMatchObject(bad);
      for (const changes of [{ priority: NaN }, { priority: Infinity }, { maxAttempts: 0 }, { maxLosses: 1.5 }, { depth: -1 }]) {
        await expect(bench.store.submit([newTask('b', changes)], 0)).rejects.toMatchObject(bad);
      }
      await expect(bench.claim(1, { leaseMs: NaN })).rejects.toMatchObject(bad);
      await expect(bench.claim(NaN)).rejects.toMatchObject(bad);
      await expect(bench.store.renew([{ id: 'a', fence: 1, leaseUntilMs: NaN }], 0)).rejects.toMatchObject(bad);
      await expect(bench.settle(run, { at: 'retry', error: 'e', readyAtMs: NaN })).rejects.toMatchObject(bad);
      await expect(bench.settle(run, { at: 'parked', reason: 'r', children: [], wakeAtMs: NaN })).rejects.toMatchObject(bad);
      await expect(bench.store.sweep(NaN)).rejects.toMatchObject(bad);
      await expect(bench.store.list({ limit: NaN })).rejects.toMatchObject(bad);
      for (const query of [{}, { limit: '5' }, { limit: 9, status: 'daed' }, { limit: 9, kind: 5 }, { limit: 9, after: 5 }]) {
        await expect(bench.store.list(query as never)).rejects.toMatchObject(bad);
      }
      expect((await bench.all()).map(({ id, status }) => [id, status])).toEqual([['a', 'running']]);
    });
  });
}
