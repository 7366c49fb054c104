/**
 * Generated histories of calls whose limiter crashes at any moment: nothing is issued twice, nothing
 * is lost, nobody is stuck. Calls succeed, fail, are refused for quota, time out, throw and are given
 * up; they have tenants, priorities, sizes, deadlines and a budget; a breaker opens and closes.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Message } from '../../actors/kernel/effects.ts';
import { expectPaced, expectShut, run } from './crash-histories.ts';
import type { World } from './crash-histories.ts';
import { Desk } from './desk.ts';
import type { DeskCall, DeskOptions, Tried } from './desk.ts';

const RUNS = { numRuns: 120, seed: 5 };
/** Both dimensions together fit into a burst of a second, whatever the rate. */
const TINY = 8;
const SMALL = 15;
const LARGE = 400;
/** In most of these worlds a history is long enough to need it. */
const LONG = 60_000;

describe('calls whose limiter crashes at any moment', () => {
  test(
    'L1, L3: are answered exactly once, or never when they were given up; then nothing is out, reserved or waited for',
    { timeout: LONG },
    async () => {
      let crashes = 0;
      let tries = 0;
      await fc.assert(
        run(LARGE, false, async (desk) => {
          for (const { endings, cancelled, number } of desk.outcomes) expect([number, endings.length]).toEqual([number, cancelled ? 0 : 1]);
          expect(desk.slotsTried).toBe(0);
          await desk.expectHome();
          crashes += desk.crashes;
          tries += desk.tries.length;
        }),
        RUNS,
      );
      // The histories are not idle.
      expect(crashes).toBeGreaterThan(100);
      expect(tries).toBeGreaterThan(1_000);
    },
  );

  test('S6: are never more in flight than there is room, counted where the work runs', { timeout: LONG }, async () => {
    let full = 0;
    await fc.assert(
      run(
        SMALL,
        false,
        (desk, { limits }) => {
          if (desk.peak === limits.concurrency) full += 1;
        },
        (desk, _tried, { limits }) => expect(desk.slotsTried).toBeLessThanOrEqual(limits.concurrency!),
      ),
      RUNS,
    );
    expect(full).toBeGreaterThan(20);
  });

  test('S5: never reserve and spend more than the budget', { timeout: LONG }, async () => {
    let refused = 0;
    await fc.assert(
      run(
        60,
        false,
        (desk, { budget }) => {
          const { spent, reserved } = desk.budgets.look()[0]!;
          expect(reserved.tokens).toBe(0);
          expect(spent.tokens).toBeLessThanOrEqual(budget);
          refused += desk.facts.filter(({ at }) => at === 'exhausted').length;
        },
        (desk, _tried, { budget }) => {
          const { spent, reserved } = desk.budgets.look()[0]!;
          expect(spent.tokens + reserved.tokens).toBeLessThanOrEqual(budget);
        },
      ),
      RUNS,
    );
    expect(refused).toBeGreaterThan(5);
  });

  test('S8: are not begun while the breaker is open, and one at a time while it is half-open', { timeout: LONG }, async () => {
    let probes = 0;
    await fc.assert(
      run(
        SMALL,
        false,
        () => {},
        (desk, tried) => {
          if (tried.breaker === 'half-open') probes += 1;
          expectShut(desk, tried);
        },
      ),
      RUNS,
    );
    expect(probes).toBeGreaterThan(50);
  });

  test('L4: find the breaker closed again once calls succeed', { timeout: LONG }, async () => {
    let opened = 0;
    await fc.assert(
      run(SMALL, false, async (desk) => {
        if (desk.moves.includes('open')) opened += 1;
        for (let call = 0; call < 5; call += 1) {
          const good = desk.begin({ tries: [{ end: 'ok', afterMs: 1 }] });
          await desk.advance(10_000);
          expect(good.endings).toMatchObject([{ at: 'replied' }]);
        }
        expect(await desk.look()).toMatchObject({ breaker: { at: 'closed' } });
      }),
      RUNS,
    );
    expect(opened).toBeGreaterThan(20);
  });

  test('S7: are issued no faster than the rates, in every dimension', { timeout: LONG }, async () => {
    await fc.assert(
      run(TINY, false, expectPaced, () => {}, { world: { burstMs: 1_000 } }),
      RUNS,
    );
  });

  test(
    'S7: nor when they are larger than the burst, as long as the limiter does not crash twice within a second',
    { timeout: LONG },
    async () => {
      await fc.assert(run(LARGE, true, expectPaced), RUNS);
    },
  );

  test('L5: go in their order within one flow of equal priority, but for those who had to ask again', { timeout: LONG }, async () => {
    let pairs = 0;
    await fc.assert(
      run(
        SMALL,
        false,
        (desk) => {
          const firsts = new Map<number, number>();
          for (const { call, attempt, beganAs } of desk.tries) if (attempt === 1) firsts.set(call, beganAs);
          const inLine = desk.outcomes.filter(({ number, operation }) => firsts.has(number) && !desk.askedAgain.has(operation));
          for (const priority of [0, 5]) {
            const alike = inLine.filter(({ asked, priority: latest }) => asked.priority === priority && latest === priority);
            const places = alike.map(({ number }) => firsts.get(number)!);
            expect(places).toEqual(places.toSorted((a, b) => a - b));
            pairs += places.length;
          }
        },
        () => {},
        { call: { tenant: '', flow: 'x', scopes: [] } },
      ),
      RUNS,
    );
    expect(pairs).toBeGreaterThan(100);
  });
});

describe('a call that is raised', () => {
  const limits = { concurrency: 1 };
  const soon = { tries: [{ end: 'ok', afterMs: 10 }] } as const satisfies DeskCall;

  /** One is under way, three stand in line, and the third is raised. */
  async function orderWhen(raising: (desk: Desk, raise: () => void) => Promise<void> | void): Promise<readonly number[]> {
    const desk = new Desk({ limits });
    await desk.settle();
    desk.begin({ tries: [{ end: 'ok', afterMs: 2_000 }] });
    const [, , last] = [desk.begin(soon), desk.begin(soon), desk.begin(soon)];
    await desk.settle();
    await raising(desk, () => desk.raise(last, 5));
    await desk.advance(10_000);
    await desk.close();
    return desk.tries.map(({ call }) => call);
  }

  test('goes before those of less priority', async () => {
    expect(await orderWhen((_desk, raise) => raise())).toEqual([0, 3, 1, 2]);
  });

  test('also when the limiter is gone with the message, or is not there to get it', async () => {
    const afterTheCrash = await orderWhen(async (desk, raise) => {
      desk.crash();
      await desk.settle();
      raise();
    });
    const withTheCrash = await orderWhen((desk, raise) => {
      raise();
      desk.crash();
    });
    expect([afterTheCrash, withTheCrash]).toEqual([
      [0, 3, 1, 2],
      [0, 3, 1, 2],
    ]);
  });

  test('and one that has its permit already, or that the limiter does not know, changes nothing', async () => {
    let crashes = 0;
    const order = await orderWhen(async (desk) => {
      desk.raise(desk.outcomes[0]!, 5);
      for (const ticket of [-1, 1, 99]) desk.tell({ type: 'limiter.raise', ticket, priority: 9 } as Message);
      await desk.settle();
      crashes = desk.crashes;
    });
    expect({ order, crashes }).toEqual({ order: [0, 1, 2, 3], crashes: 0 });
  });
});

describe('the same histories find a successor that', () => {
  const find = async (property: ReturnType<typeof run>): Promise<boolean> =>
    (await fc.check(property, { ...RUNS, endOnFailure: true })).failed;
  const roomy = (desk: Desk, _tried: Tried, { limits }: World): void => expect(desk.slotsTried).toBeLessThanOrEqual(limits.concurrency!);

  test('forgets what is out (S6)', { timeout: LONG }, async () => {
    expect(await find(run(SMALL, false, () => {}, roomy, { plant: (input) => ({ ...input, inFlight: 0 }) }))).toBe(true);
  });

  test('forgets what was issued (S7)', { timeout: LONG }, async () => {
    const plant: DeskOptions['plant'] = (input) => ({ ...input, book: undefined, cautious: false });
    expect(await find(run(TINY, false, expectPaced, () => {}, { world: { burstMs: 1_000 }, plant }))).toBe(true);
  });

  test('forgets its breaker (S8)', { timeout: LONG }, async () => {
    const plant: DeskOptions['plant'] = (input) => ({ ...input, book: input.book && { ...input.book, breaker: undefined } });
    expect(await find(run(SMALL, false, () => {}, expectShut, { plant }))).toBe(true);
  });
});
