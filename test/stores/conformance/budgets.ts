import { describe, expect, test } from 'vitest';
import type { BudgetReturn, BudgetTake } from '../../../actors/ports/store.ts';
import { Bench } from './place.ts';
import type { MakePlace } from './place.ts';

/** Of `fleet`, 100 nano-dollars and as many tokens a period, unless said otherwise. */
export function take(changes: Partial<BudgetTake> = {}): BudgetTake {
  return {
    scope: 'fleet',
    periodStartMs: 0,
    limitNanoUsd: 100,
    limitTokens: 100,
    wantNanoUsd: 0,
    wantTokens: 0,
    leastNanoUsd: 0,
    leastTokens: 0,
    overNanoUsd: 0,
    overTokens: 0,
    keepFromMs: 0,
    ...changes,
  };
}

export function giveBack(changes: Partial<BudgetReturn> = {}): BudgetReturn {
  return { scope: 'fleet', periodStartMs: 0, nanoUsd: 0, tokens: 0, ended: false, ...changes };
}

export function budgeting(makePlace: MakePlace): void {
  describe('budgets', () => {
    const bench = new Bench(makePlace);
    const taken = async (scope = 'fleet', periodStartMs = 0): Promise<readonly [nanoUsd: number, tokens: number]> => {
      const [found] = await bench.store.readBudgets([{ scope, periodStartMs }]);
      return [found!.takenNanoUsd, found!.takenTokens];
    };

    test('slices are granted until the limit is taken, the last one in part', async () => {
      const want = { wantNanoUsd: 40, wantTokens: 30 };
      expect(await bench.store.takeBudget([take(want), take(want), take(want), take(want)])).toEqual([
        { nanoUsd: 40, tokens: 30, takenNanoUsd: 40, takenTokens: 30 },
        { nanoUsd: 40, tokens: 30, takenNanoUsd: 80, takenTokens: 60 },
        { nanoUsd: 20, tokens: 30, takenNanoUsd: 100, takenTokens: 90 },
        { nanoUsd: 0, tokens: 10, takenNanoUsd: 100, takenTokens: 100 },
      ]);
      expect(await taken()).toEqual([100, 100]);
    });

    test('with less than the least of one dimension, nothing is granted of either', async () => {
      await bench.store.takeBudget([take({ wantNanoUsd: 95 })]);
      const asked = { wantNanoUsd: 10, leastNanoUsd: 6, wantTokens: 10 };
      expect(await bench.store.takeBudget([take(asked)])).toEqual([{ nanoUsd: 0, tokens: 0, takenNanoUsd: 95, takenTokens: 0 }]);
      expect(await bench.store.takeBudget([take({ ...asked, leastNanoUsd: 5 })])).toEqual([
        { nanoUsd: 5, tokens: 10, takenNanoUsd: 100, takenTokens: 10 },
      ]);
    });

    test('a dimension without a limit is neither granted nor in the way', async () => {
      const asked = take({ limitNanoUsd: null, wantNanoUsd: 7, leastNanoUsd: 7, wantTokens: 100, leastTokens: 100 });
      expect(await bench.store.takeBudget([asked])).toEqual([{ nanoUsd: 0, tokens: 100, takenNanoUsd: 0, takenTokens: 100 }]);
    });

    test('what is spent above a grant is taken beyond the limit too', async () => {
      await bench.store.takeBudget([take({ wantNanoUsd: 90 })]);
      const [grant] = await bench.store.takeBudget([take({ overNanoUsd: 30, wantNanoUsd: 10, wantTokens: 10 })]);
      expect(grant).toEqual({ nanoUsd: 0, tokens: 10, takenNanoUsd: 120, takenTokens: 10 });
      expect((await bench.store.takeBudget([take({ wantNanoUsd: 10, limitNanoUsd: 125 })]))[0]!.nanoUsd).toBe(5);
    });

    test('a raised limit leaves more, a lowered one nothing', async () => {
      await bench.store.takeBudget([take({ wantNanoUsd: 100 })]);
      expect((await bench.store.takeBudget([take({ wantNanoUsd: 50, limitNanoUsd: 120 })]))[0]!.nanoUsd).toBe(20);
      expect((await bench.store.takeBudget([take({ wantNanoUsd: 50, limitNanoUsd: 60 })]))[0]).toMatchObject({
        nanoUsd: 0,
        takenNanoUsd: 120,
      });
    });

    test('what is given back can be taken again, and never makes less than nothing', async () => {
      await bench.store.takeBudget([take({ wantNanoUsd: 100, wantTokens: 10 })]);
      await bench.store.returnBudget([giveBack({ nanoUsd: 60, tokens: 500 }), giveBack({ scope: 'nobody', nanoUsd: 5 })]);
      expect(await taken()).toEqual([40, 0]);
      expect(await taken('nobody')).toEqual([0, 0]);
      expect((await bench.store.takeBudget([take({ wantNanoUsd: 100 })]))[0]!.nanoUsd).toBe(60);
      await bench.store.returnBudget([giveBack({ nanoUsd: 101 })]);
      expect(await taken()).toEqual([0, 0]);
    });

    test('scopes and periods share nothing, and old periods are forgotten when told so', async () => {
      const want = { wantNanoUsd: 100 };
      for (const changes of [{}, { scope: 'kind:triage' }, { periodStartMs: 60_000 }, { periodStartMs: 120_000 }])
        expect((await bench.store.takeBudget([take({ ...want, ...changes })]))[0]!.nanoUsd).toBe(100);
      await bench.store.takeBudget([take({ periodStartMs: 120_000, keepFromMs: 60_000 })]);
      expect([await taken('fleet', 0), await taken('fleet', 60_000), await taken('kind:triage')]).toEqual([
        [0, 0],
        [100, 0],
        [100, 0],
      ]);
    });

    test('a scope that is over is forgotten with all its periods', async () => {
      await bench.store.takeBudget([take({ wantNanoUsd: 5 }), take({ wantNanoUsd: 5, periodStartMs: 10 })]);
      await bench.store.returnBudget([giveBack({ nanoUsd: 1, ended: true })]);
      expect([await taken(), await taken('fleet', 10)]).toEqual([
        [0, 0],
        [0, 0],
      ]);
    });

    for (const end of ['crash', 'close'] as const) {
      test(`a slice outlives a ${end}: what its process did not give back counts as spent`, async () => {
        await bench.store.takeBudget([take({ wantNanoUsd: 70, wantTokens: 70 })]);
        if (end === 'close') await bench.store.close();
        await bench.crashAndOpen();
        expect(await taken()).toEqual([70, 70]);
        expect((await bench.store.takeBudget([take({ wantNanoUsd: 70 })]))[0]!.nanoUsd).toBe(30);
      });
    }

    test('the largest amounts are kept exactly', async () => {
      const most = Number.MAX_SAFE_INTEGER;
      await bench.store.takeBudget([take({ limitNanoUsd: most, wantNanoUsd: most - 2 })]);
      expect((await bench.store.takeBudget([take({ limitNanoUsd: most, wantNanoUsd: 9 })]))[0]!.nanoUsd).toBe(2);
      // More than can be counted stays the most that can.
      await bench.store.takeBudget([take({ overNanoUsd: most })]);
      expect(await taken()).toEqual([most, 0]);
    });

    for (const [field, changes] of Object.entries({
      scope: { scope: 'x'.repeat(513) },
      periodStartMs: { periodStartMs: 0.5 },
      wantNanoUsd: { wantNanoUsd: -1 },
      wantTokens: { wantTokens: Number.NaN },
      limitTokens: { limitTokens: Infinity },
      overTokens: { overTokens: 1.5 },
      leastTokens: { leastTokens: 1 },
      keepFromMs: { keepFromMs: 1 },
    } satisfies Record<string, Partial<BudgetTake>>)) {
      test(`a wrong ${field} is refused, and nothing of its batch happens`, async () => {
        await expect(bench.store.takeBudget([take({ wantNanoUsd: 5 }), take(changes)])).rejects.toMatchObject({
          code: 'DROVER_STORE_INPUT',
          detail: { field },
        });
        expect(await taken()).toEqual([0, 0]);
      });
    }

    test('to give back less than nothing is refused', async () => {
      await expect(bench.store.returnBudget([giveBack({ tokens: -1 })])).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
      await expect(bench.store.readBudgets([{ scope: '\ud800', periodStartMs: 0 }])).rejects.toMatchObject({ code: 'DROVER_STORE_INPUT' });
    });
  });
}
