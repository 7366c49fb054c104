import { describe, expect, test } from 'vitest';
import { AGING_MS } from '../../../actors/ports/store.ts';
import type { ClaimedTask, Held } from '../../../actors/ports/store.ts';
import { Bench, KIND, newTask, parked, write } from './place.ts';
import type { MakePlace } from './place.ts';

export function sharingOut(makePlace: MakePlace): void {
  describe('waiting and urgency', () => {
    const bench = new Bench(makePlace);

    test('waiting makes up for a level of priority in a minute, unless told otherwise', async () => {
      await bench.submit('old');
      bench.nowMs += AGING_MS - 1;
      await bench.submit(newTask('urgent', { priority: 1 }));
      bench.nowMs += 2;
      await bench.submit(newTask('too late', { priority: 1 }));
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['urgent', 'old', 'too late']);
    });

    test('how much it makes up for is for the fleet to say', async () => {
      await bench.reopen({ agingMs: 10 });
      await bench.submit('old');
      bench.nowMs += 25;
      await bench.submit(newTask('high', { priority: 2 }), newTask('higher', { priority: 3 }), newTask('low', { priority: -1 }));
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['higher', 'old', 'high', 'low']);
    });

    test('nobody is passed over for ever by more urgent ones', async () => {
      await bench.reopen({ agingMs: 10 });
      await bench.submit('patient');
      for (let at = 0; at < 20; at += 1) {
        bench.nowMs += 5;
        await bench.submit(newTask(`urgent ${at}`, { priority: 3 }));
        const [claimed] = await bench.claim();
        if (claimed!.id === 'patient') return expect(at).toBeLessThan(8);
      }
      throw new Error('it was never claimed');
    });

    test('a retry that has come due stands behind what came before that, and ahead of what came after', async () => {
      await bench.settle(await bench.running('retried'), { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 10 });
      await bench.submit('before');
      bench.nowMs += 20;
      await bench.submit('after');
      await bench.sweepIn(5);
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['before', 'retried', 'after']);
    });

    describe('what has begun and what is new', () => {
      const names = (tasks: readonly ClaimedTask[]): string => tasks.map(({ id }) => id).join(' ');

      /** The next ones begin, and wait for a worker again. */
      async function begin(count: number): Promise<void> {
        for (const run of await bench.claim(count)) {
          await bench.store.start([run], bench.nowMs);
          await bench.settle(run, { at: 'lost', error: 'why' });
        }
      }

      for (const size of [1, 3, 9]) {
        test(`a new one goes after as many as may that have begun: claimed ${size} at a time`, async () => {
          await bench.submit('b', 'c', 'd', 'e', 'f');
          await begin(5);
          await bench.submit('x', 'y', 'z');
          await bench.reopen({ mostBegun: 2 });
          const claimed: ClaimedTask[] = [];
          for (let page = await bench.claim(size); page.length > 0; page = await bench.claim(size)) claimed.push(...page);
          expect(names(claimed)).toBe('b c x d e y f z');
        });
      }

      test('tenants have their turns among both, and one that only comes back does not keep out another', async () => {
        for (const id of ['a', 'b', 'c', 'd', 'e']) await bench.submit(newTask(id, { tenant: 'ann' }));
        await begin(5);
        await bench.submit(newTask('f', { tenant: 'ann' }), newTask('g', { tenant: 'bob' }));
        await bench.reopen({ mostBegun: 2 });
        expect(names(await bench.claim(9))).toBe('a b g c d f e');
      });

      test('by default after nine', async () => {
        const ids = Array.from({ length: 12 }, (_, at) => `b${at}`);
        await bench.submit(...ids);
        await begin(12);
        await bench.submit('new');
        await bench.reopen();
        expect((await bench.claim(20)).findIndex(({ id }) => id === 'new')).toBe(9);
      });
    });

    for (const how of ['worker', 'lease', 'process'] as const) {
      test(`a run that is lost with its ${how} goes ahead once; lost again, its task stands behind what has come meanwhile`, async () => {
        const lose = async (held: Held): Promise<void> => {
          bench.nowMs += 10;
          if (how === 'worker') await bench.settle(held, { at: 'lost', error: 'why' });
          else if (how === 'lease') await bench.sweepIn(60_000);
          else await bench.crashAndOpen();
        };
        await lose(await bench.running('poison'));
        await bench.submit('fine');
        await lose(await bench.runNext('poison'));
        await bench.submit('later');
        expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['fine', 'poison', 'later']);
        expect(await bench.record('poison')).toMatchObject({ losses: 2, attempt: 2 });
      });
    }

    test('its priority is worth as much to it as to anybody', async () => {
      await bench.reopen({ agingMs: 10 });
      await bench.settle(await bench.running('retried', { priority: 2 }), { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 50 });
      bench.nowMs += 29;
      await bench.submit('ahead');
      bench.nowMs += 2;
      await bench.submit('behind');
      await bench.sweepIn(60);
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['ahead', 'retried', 'behind']);
    });

    test('tasks that fail again and again do not keep what came after them from its turn', async () => {
      const poison = Array.from({ length: 20 }, (_, at) => `poison ${at}`);
      await bench.submit(...poison);
      let runs = 0;
      const failNext = async (): Promise<boolean> => {
        const claimed = await bench.claim(2);
        for (const task of claimed) {
          if (task.id === 'healthy') return true;
          await bench.start(task);
          await bench.settle(task, { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 20 });
          runs += 1;
        }
        await bench.sweepIn(10);
        return false;
      };
      for (let at = 0; at < 30; at += 1) await failNext();
      await bench.submit('healthy');
      runs = 0;
      for (let at = 0; at < 100; at += 1) if (await failNext()) return expect(runs).toBeLessThanOrEqual(poison.length);
      throw new Error('it was never claimed');
    });

    test('what a retry has come to by waiting counts on, over a lease that was not used and another worth of priority', async () => {
      await bench.settle(await bench.running('retried', { priority: 1 }), { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
      await bench.submit('early');
      bench.nowMs += 95;
      await bench.submit('late');
      await bench.sweepIn(5);
      const [retried] = await bench.claim();
      expect(retried?.id).toBe('retried');
      await bench.settle(retried!, { at: 'released' });
      await bench.reopen({ agingMs: 10 });
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['early', 'retried', 'late']);
    });

    test('who is put back by an operator has the place of his submission again', async () => {
      const run = await bench.running('a');
      await bench.submit('b');
      await bench.settle(run, { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
      await bench.sweepIn(100);
      const [, again] = await bench.claim(2);
      await bench.start(again!);
      await bench.settle(again!, { at: 'dead', error: 'why' });
      await bench.submit('c');
      await bench.steer('a', 'requeue');
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['a', 'c']);
    });
  });

  describe('tenants', () => {
    const bench = new Bench(makePlace);

    /** Claims so many, one or some at a time, and counts whose they are. */
    async function shares(count: number, atATime = 1): Promise<Record<string, number>> {
      const of: Record<string, number> = {};
      for (let left = count; left > 0; left -= atATime)
        for (const task of await bench.claim(atATime)) of[task.tenant ?? ''] = (of[task.tenant ?? ''] ?? 0) + 1;
      return of;
    }
    const many = (tenant: string | undefined, count: number, changes = {}) =>
      bench.submit(
        ...Array.from({ length: count }, (_, at) =>
          newTask(`${tenant} ${at} ${bench.nowMs}`, { ...(tenant === undefined ? {} : { tenant }), ...changes }),
        ),
      );

    for (const atATime of [1, 4, 12]) {
      test(`a tenant with many tasks does not keep out one with few (${atATime} at a time)`, async () => {
        await many('big', 500);
        bench.nowMs += 1;
        await many('small', 6);
        expect(await shares(12, atATime)).toEqual({ big: 6, small: 6 });
      });

      test(`they take turns by weight (${atATime} at a time)`, async () => {
        await bench.reopen({ kinds: { [KIND]: { weights: { gold: 3 } } } });
        await many('gold', 50);
        await many('plain', 50);
        await many(undefined, 50);
        const of = await shares(60, atATime);
        expect(of['gold']).toBeGreaterThanOrEqual(34);
        expect(of['gold']).toBeLessThanOrEqual(38);
        expect(Math.abs(of['plain']! - of['']!)).toBeLessThanOrEqual(2);
      });
    }

    test('one that was away does not make up for it when it comes back', async () => {
      await many('here', 100);
      await many('away', 1);
      await shares(50);
      bench.nowMs += 1;
      await many('away', 100);
      const { away } = await shares(20);
      expect(away).toBeGreaterThanOrEqual(9);
      expect(away).toBeLessThanOrEqual(11);
    });

    test('within a tenant urgency decides, between them it does not', async () => {
      await many('a', 10, { priority: 9 });
      await bench.submit(newTask('b low', { tenant: 'b' }), newTask('b high', { tenant: 'b', priority: 1 }));
      const claimed = (await bench.claim(4)).map(({ id }) => id);
      expect(claimed.filter((id) => id.startsWith('b'))).toEqual(['b high', 'b low']);
    });

    test('what was resumed goes ahead of whose turn it is', async () => {
      await bench.submit(newTask('b', { tenant: 'b' }));
      const [b] = await bench.claim();
      await many('a', 10);
      await bench.settle(b!, parked('sleep', { wakeAtMs: bench.nowMs }));
      expect(await bench.claim(1)).toMatchObject([{ id: 'b' }]);
    });

    test('turns are taken in each kind by itself', async () => {
      await many('a', 4);
      await bench.submit(
        ...['x', 'y'].map((id) => newTask(id, { kind: 'other', tenant: 'a' })),
        newTask('z', { kind: 'other', tenant: 'b' }),
      );
      await bench.claim(4);
      const claimed = (await bench.claim(2, { kind: 'other' })).map(({ id }) => id);
      expect(claimed.toSorted()).toEqual(['x', 'z']);
    });

    describe('in the box of a worker', () => {
      const fromBox = (limit: number, box = 'w') =>
        bench.store.claim({ wants: [{ kind: KIND, limit, box }], leaseUntilMs: bench.nowMs + 60_000, nowMs: bench.nowMs });

      async function spill(tenant: string | undefined, count: number, box = 'w'): Promise<void> {
        await many(tenant, count);
        const claimed = await bench.claim(count);
        await bench.store.settle(
          claimed.map(({ id, fence }) => ({ id, fence, outcome: { at: 'released', box } })),
          bench.nowMs,
        );
        bench.nowMs += 1;
      }

      async function boxShares(count: number, atATime: number): Promise<Record<string, number>> {
        const of: Record<string, number> = {};
        for (let left = count; left > 0; left -= atATime)
          for (const { tenant } of await fromBox(atATime)) of[tenant ?? ''] = (of[tenant ?? ''] ?? 0) + 1;
        return of;
      }

      for (const atATime of [1, 4, 12]) {
        test(`a tenant with many tasks does not keep out one with few (${atATime} at a time)`, async () => {
          await spill('big', 100);
          await fromBox(4);
          await spill('small', 6);
          expect(await boxShares(12, atATime)).toEqual({ big: 6, small: 6 });
        });

        test(`they take turns by weight (${atATime} at a time)`, async () => {
          await bench.reopen({ kinds: { [KIND]: { weights: { gold: 3 } } } });
          for (const tenant of ['gold', 'plain', undefined]) await spill(tenant, 50);
          const of = await boxShares(60, atATime);
          expect(of['gold']).toBeGreaterThanOrEqual(34);
          expect(of['gold']).toBeLessThanOrEqual(38);
          expect(Math.abs(of['plain']! - of['']!)).toBeLessThanOrEqual(2);
        });
      }

      test('what was resumed goes ahead of whose turn it is', async () => {
        await spill('a', 10);
        await bench.submit(newTask('b', { tenant: 'b' }));
        const [b] = await bench.claim();
        await bench.settle(b!, parked('sleep', { wakeAtMs: bench.nowMs }));
        const [again] = await bench.claim();
        await bench.settle(again!, { at: 'released', box: 'w' });
        expect(await fromBox(1)).toMatchObject([{ id: 'b' }]);
      });

      test('all of it comes in the end, once, whoever else has left it', async () => {
        for (const tenant of ['a', 'b', undefined]) await spill(tenant, 10);
        const claimed = [...(await fromBox(5))];
        for (const { id } of await bench.all()) if (id.startsWith('b 7') || id.startsWith('a ')) await bench.steer(id, 'pause');
        claimed.push(...(await fromBox(99)));
        const paused = (await bench.all()).filter(({ parkedFor }) => parkedFor === 'operator');
        expect(new Set(claimed.map(({ id }) => id)).size + paused.length).toBe(30);
        expect(await fromBox(99)).toEqual([]);
      });

      test('a box has what was put into it, whatever it and the tenants are called', async () => {
        const spilled = [
          ['w', '"x'],
          ['w"', 'x'],
          ['w', undefined],
          ['w!', 'x'],
          ['w"x', undefined],
        ] as const;
        for (const [box, tenant] of spilled) await spill(tenant, 3, box);
        const counts = async (box: string) => (await fromBox(2, box)).map(({ tenant }) => tenant);
        expect(await counts('w')).toEqual(expect.arrayContaining(['"x', null]));
        expect(await counts('w"')).toEqual(['x', 'x']);
        expect(await counts('w!')).toEqual(['x', 'x']);
        expect(await counts('w"x')).toEqual([null, null]);
        expect(await bench.claim(99)).toEqual([]);
        await bench.store.unbox([{ kind: KIND, box: 'w' }]);
        expect((await bench.claim(99)).map(({ tenant }) => tenant).toSorted()).toEqual(['"x', '"x', null, null]);
        expect(await fromBox(99, 'w"')).toHaveLength(1);
      });

      test('what comes back into a box that was given up is found there', async () => {
        await spill('a', 2);
        await bench.store.unbox([{ kind: KIND, box: 'w' }]);
        const [first] = await bench.claim(2);
        await bench.settle(first!, { at: 'released', box: 'w' });
        expect(await fromBox(9)).toHaveLength(1);
      });
    });

    test('all of it comes in the end, once', async () => {
      for (const tenant of ['a', 'b', 'c']) await many(tenant, 20);
      const claimed = [...(await bench.claim(7)), ...(await bench.claim(99))];
      expect(new Set(claimed.map(({ id }) => id)).size).toBe(60);
    });
  });

  describe('priority is inherited', () => {
    const bench = new Bench(makePlace);

    test('by whoever holds what a more urgent task waits for: the engine hears of it, once', async () => {
      await bench.running('holder', { locks: write('f') });
      await bench.submit(newTask('urgent', { priority: 7, locks: write('f') }));
      await bench.tryNext('urgent');
      expect((await bench.sweepIn(1)).raised).toEqual([{ id: 'holder', priority: 7 }]);
      expect((await bench.sweepIn(1)).raised).toEqual([]);
    });

    test('not by whoever is as urgent, or holds something else', async () => {
      await bench.running('same', { priority: 7, locks: write('f') });
      await bench.running('other', { locks: write('g') });
      await bench.submit(newTask('urgent', { priority: 7, locks: write('f') }));
      await bench.tryNext('urgent');
      expect((await bench.sweepIn(1)).raised).toEqual([]);
    });

    test('by every reader that a writer waits for', async () => {
      for (const id of ['r1', 'r2']) await bench.running(id, { locks: [{ resource: 'f', mode: 'read' }] });
      await bench.submit(newTask('urgent', { priority: 7, locks: write('f') }));
      await bench.tryNext('urgent');
      const { raised } = await bench.sweepIn(1);
      expect(raised.map(({ id }) => id).toSorted()).toEqual(['r1', 'r2']);
    });

    test('a holder that comes back to the queue goes ahead of what is less urgent', async () => {
      const holder = await bench.running('holder', { locks: write('f') });
      await bench.submit(newTask('urgent', { priority: 7, kind: 'other', locks: write('f') }), newTask('middle', { priority: 5 }));
      const [urgent] = await bench.claim(1, { kind: 'other' });
      await bench.start(urgent!);
      await bench.settle(holder, { at: 'released' });
      expect((await bench.claim(2)).map(({ id }) => id)).toEqual(['holder', 'middle']);
    });

    test('by a retry that has come due: counted from then', async () => {
      await bench.reopen({ agingMs: 10 });
      const holder = await bench.running('holder', { locks: write('f') });
      await bench.settle(holder, { at: 'retry', error: 'why', readyAtMs: bench.nowMs + 100 });
      bench.nowMs += 65;
      await bench.submit('ahead');
      await bench.sweepIn(40);
      const [ahead, again] = await bench.claim(2);
      expect([ahead?.id, again?.id]).toEqual(['ahead', 'holder']);
      await bench.start(again!);
      await bench.submit(newTask('urgent', { priority: 3, kind: 'other', locks: write('f') }), newTask('passed', { priority: 2 }));
      await bench.start((await bench.claim(1, { kind: 'other' }))[0]!);
      await bench.settle(ahead!, { at: 'released' });
      await bench.settle(again!, { at: 'released' });
      // Due at 100 and worth 30; 65; 105 and worth 20.
      expect((await bench.claim(9)).map(({ id }) => id)).toEqual(['ahead', 'holder', 'passed']);
    });

    test('by the head of the key that an urgent task stands behind', async () => {
      await bench.submit(
        newTask('head', { orderKey: 'x' }),
        newTask('middle', { priority: 5 }),
        newTask('urgent', { orderKey: 'x', priority: 7 }),
      );
      expect((await bench.claim(2)).map(({ id }) => id)).toEqual(['head', 'middle']);
    });

    test('by a head that runs: the engine hears of it', async () => {
      await bench.running('head', { orderKey: 'x' });
      await bench.submit(newTask('urgent', { orderKey: 'x', priority: 7 }));
      expect((await bench.sweepIn(1)).raised).toEqual([{ id: 'head', priority: 7 }]);
    });
  });
}
