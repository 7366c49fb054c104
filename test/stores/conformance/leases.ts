import { describe, expect, test } from 'vitest';
import type { LeaseOutcome } from '../../../actors/ports/store.ts';
import { Bench } from './place.ts';
import type { MakePlace } from './place.ts';

export function leasing(makePlace: MakePlace): void {
  describe('leases for users', () => {
    const bench = new Bench(makePlace);

    const take = async (holder: string, { name = 'office', ttlMs = 100, waitMs = null as number | null } = {}): Promise<LeaseOutcome> => {
      const item = { name, holder, ttlMs, waitUntilMs: waitMs === null ? null : bench.nowMs + waitMs };
      return (await bench.store.takeLeases([item], bench.nowMs))[0]!;
    };
    const fenceOf = (outcome: LeaseOutcome): number => {
      if (outcome.at !== 'granted') throw new Error(`it was not granted: ${outcome.at}`);
      return outcome.fence;
    };
    const granted = async (holder: string, changes = {}): Promise<number> => fenceOf(await take(holder, changes));
    const renew = async (holder: string, fence: number, ttlMs = 100) =>
      (await bench.store.renewLeases([{ name: 'office', holder, fence, ttlMs }], bench.nowMs))[0];
    const release = async (holder: string, fence: number) =>
      (await bench.store.releaseLeases([{ name: 'office', holder, fence }], bench.nowMs))[0];
    const current = async () => (await bench.store.readLeases(['office'], bench.nowMs))[0];

    test('a free name is granted, until its time is over, and can be read', async () => {
      expect(await current()).toBeUndefined();
      const fence = await granted('a', { ttlMs: 50.5 });
      expect(await current()).toEqual({ name: 'office', holder: 'a', fence, untilMs: bench.nowMs + 50.5, waiting: 0 });
      expect((await bench.store.readLeases(['other', 'office'], bench.nowMs)).map((lease) => lease?.holder)).toEqual([undefined, 'a']);
    });

    test('nobody else has it then, and is told who has, and when to ask again', async () => {
      await granted('a');
      expect(await take('b')).toEqual({ at: 'taken', holder: 'a', heldUntilMs: bench.nowMs + 100 });
      expect(await take('b', { waitMs: 500 })).toMatchObject({ at: 'waiting', heldUntilMs: bench.nowMs + 100 });
      expect(await take('c', { name: 'other' })).toMatchObject({ at: 'granted' });
    });

    test('asked again by its holder it is the same lease', async () => {
      const fence = await granted('a');
      bench.nowMs += 10;
      expect(fenceOf(await take('a'))).toBe(fence);
      expect((await current())?.fence).toBe(fence);
    });

    test('first come, first served: those in line have it in their order', async () => {
      const fence = await granted('a');
      for (const holder of ['b', 'c']) await take(holder, { waitMs: 500 });
      expect((await current())?.waiting).toBe(2);
      expect(await release('a', fence)).toBe(true);
      // Free, but not for whoever comes from nowhere, nor for the second.
      expect((await take('d')).at).toBe('taken');
      expect((await take('c', { waitMs: 500 })).at).toBe('waiting');
      const next = await granted('b', { waitMs: 500 });
      expect(next).toBeGreaterThan(fence);
      expect((await current())?.waiting).toBe(1);
    });

    test('in line one is ahead of the other', async () => {
      await granted('a');
      const b = await take('b', { waitMs: 500 });
      const c = await take('c', { waitMs: 500 });
      expect(b.at === 'waiting' && c.at === 'waiting' && c.ahead - b.ahead).toBe(1);
    });

    test('of one batch the first has it', async () => {
      const items = ['a', 'b'].map((holder) => ({ name: 'office', holder, ttlMs: 10, waitUntilMs: null }));
      expect((await bench.store.takeLeases(items, bench.nowMs)).map(({ at }) => at)).toEqual(['granted', 'taken']);
    });

    test('tokens only grow, over restarts too (S3)', async () => {
      const tokens: number[] = [];
      for (const holder of ['a', 'b', 'a', 'c']) {
        tokens.push(await granted(holder));
        await release(holder, tokens.at(-1)!);
        await bench.crashAndOpen();
      }
      expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => a - b));
    });

    test('a lease is still held after a crash of the store, and runs out by the clock', async () => {
      const fence = await granted('a');
      await bench.crashAndOpen();
      expect((await take('b')).at).toBe('taken');
      expect(await renew('a', fence)).toBe(true);
      bench.nowMs += 100;
      expect((await take('b')).at).toBe('granted');
    });

    test('a clock that was set back over a restart makes nobody hold or wait for longer than he had asked for', async () => {
      const fence = await granted('dead', { ttlMs: 100 });
      await granted('long', { name: 'other', ttlMs: 9_000 });
      await take('gone', { waitMs: 40 });
      bench.nowMs -= 3_600_000;
      await bench.crashAndOpen();
      expect(await current()).toMatchObject({ holder: 'dead', fence, untilMs: bench.nowMs + 100, waiting: 1 });
      expect((await take('b', { waitMs: 500 })).at).toBe('waiting');
      expect((await take('b', { name: 'other' })).at).toBe('taken');
      bench.nowMs += 40;
      expect((await current())?.waiting).toBe(1);
      bench.nowMs += 60;
      expect(await granted('b')).toBeGreaterThan(fence);
    });

    test('who is there to renew a lease keeps it, also when the clock was set back over a restart', async () => {
      const fence = await granted('a', { ttlMs: 1_000 });
      expect(await renew('a', fence, 50)).toBe(true);
      bench.nowMs -= 5_000;
      await bench.crashAndOpen();
      expect((await current())?.untilMs).toBe(bench.nowMs + 50);
      bench.nowMs += 49;
      expect(await renew('a', fence)).toBe(true);
      bench.nowMs += 99;
      expect((await current())?.holder).toBe('a');
    });

    test('a lease keeps the time that it has left where the clock was not set back', async () => {
      await granted('a');
      bench.nowMs += 60;
      await bench.crashAndOpen();
      expect((await current())?.untilMs).toBe(bench.nowMs + 40);
    });

    test('JEP-06: renewed too late, though nobody else took it, it is refused; taken again it has a higher token', async () => {
      const fence = await granted('a');
      bench.nowMs += 101;
      expect(await renew('a', fence)).toBe(false);
      expect(await current()).toBeUndefined();
      expect(await granted('a')).toBeGreaterThan(fence);
      expect(await renew('a', fence)).toBe(false);
    });

    test('JEP-07: a release by a stranger has no effect', async () => {
      const old = await granted('a');
      bench.nowMs += 100;
      const fence = await granted('b');
      expect(await release('a', old)).toBe(false);
      expect(await release('b', old)).toBe(false);
      expect(await release('c', fence)).toBe(false);
      expect(await current()).toMatchObject({ holder: 'b', fence });
    });

    test('JEP-08: whoever stands in line and has died is passed over, not granted', async () => {
      const fence = await granted('a', { ttlMs: 1_000 });
      await take('dead', { waitMs: 50 });
      await take('alive', { waitMs: 500 });
      bench.nowMs += 60;
      expect((await current())?.waiting).toBe(1);
      await release('a', fence);
      expect((await take('alive', { waitMs: 500 })).at).toBe('granted');
      expect((await current())?.holder).toBe('alive');
    });

    test('whoever asks again in time keeps its place', async () => {
      const fence = await granted('a', { ttlMs: 1_000 });
      await take('b', { waitMs: 50 });
      await take('c', { waitMs: 500 });
      bench.nowMs += 40;
      await take('b', { waitMs: 50 });
      bench.nowMs += 40;
      await release('a', fence);
      expect((await take('c', { waitMs: 500 })).at).toBe('waiting');
      expect((await take('b', { waitMs: 50 })).at).toBe('granted');
    });

    test('JEP-10: a renewal counts from when it was sent', async () => {
      const fence = await granted('a');
      const sentAtMs = bench.nowMs + 10;
      // The answer takes long: others may have looked at a later time by then.
      expect((await bench.store.renewLeases([{ name: 'office', holder: 'a', fence, ttlMs: 100 }], sentAtMs))[0]).toBe(true);
      bench.nowMs = sentAtMs + 99;
      expect((await current())?.untilMs).toBe(sentAtMs + 100);
      bench.nowMs = sentAtMs + 100;
      expect(await renew('a', fence)).toBe(false);
    });

    test('JEP-11: an old term of the same holder is not renewed: it is holder and token, not holder', async () => {
      const first = await granted('a');
      await release('a', first);
      const second = await granted('a');
      expect(second).toBeGreaterThan(first);
      expect(await renew('a', first)).toBe(false);
      expect(await release('a', first)).toBe(false);
      expect(await renew('a', second)).toBe(true);
    });

    test('a renewed lease lasts from then on', async () => {
      const fence = await granted('a');
      bench.nowMs += 99;
      expect(await renew('a', fence, 50)).toBe(true);
      expect((await current())?.untilMs).toBe(bench.nowMs + 50);
      await take('b', { waitMs: 500 });
      bench.nowMs += 50;
      expect((await take('b', { waitMs: 500 })).at).toBe('granted');
    });

    test('whoever leaves the line is in nobody’s way', async () => {
      const fence = await granted('a');
      await take('b', { waitMs: 500 });
      await take('c', { waitMs: 500 });
      await release('b', 0);
      await release('a', fence);
      expect((await take('c', { waitMs: 500 })).at).toBe('granted');
    });

    test('given back twice, the second time there was nothing', async () => {
      const fence = await granted('a');
      expect(await release('a', fence)).toBe(true);
      expect(await release('a', fence)).toBe(false);
    });

    test('names and holders have at most 512 characters', async () => {
      await granted('h'.repeat(512), { name: 'n'.repeat(512) });
      await expect(take('h'.repeat(513))).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      await expect(take('a', { name: 'n'.repeat(513) })).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
    });
  });
}
