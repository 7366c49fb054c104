/**
 * Generated histories of calls whose limiter crashes at any moment: nothing is issued twice, nothing
 * is lost, nobody is stuck. Calls succeed, fail, are refused for quota, time out, throw and are given
 * up; they have tenants, priorities, sizes, deadlines and a budget; a breaker opens and closes.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Limits } from '../../src/topology/dependency.ts';
import { Desk, http } from './gate-world.ts';
import type { DeskCall, DeskOptions, DeskOutcome, Tried, Try } from './gate-world.ts';

interface World {
  readonly limits: Limits;
  readonly burstMs: number;
  readonly safetyMargin: number;
  readonly failures: number;
  readonly resetAfterMs: number;
  readonly budget: number;
  readonly seed: number;
}

type Step =
  | { readonly at: 'begin'; readonly call: DeskCall }
  | { readonly at: 'crash' }
  | { readonly at: 'cancel'; readonly which: number }
  /** 0: the next step comes before anything of this one has been delivered. */
  | { readonly at: 'pass'; readonly ms: number };

const TIMEOUT_MS = 1_500;
const MINUTE_MS = 60_000;
const SUSPECT_MS = 1_000;
/** The budget that pays for some of the calls. */
const SCOPE = 'fleet';

const perMinute = fc.option(fc.integer({ min: 1_200, max: 60_000 }), { nil: undefined });
const worldArbitrary: fc.Arbitrary<World> = fc
  .record({
    requests: fc.option(fc.integer({ min: 120, max: 6_000 }), { nil: undefined }),
    tokens: perMinute,
    input: perMinute,
    output: perMinute,
    concurrency: fc.integer({ min: 2, max: 5 }),
    burstMs: fc.constantFrom(1, 200, 1_000),
    safetyMargin: fc.constantFrom(0, 0.1),
    failures: fc.integer({ min: 1, max: 4 }),
    resetAfterMs: fc.constantFrom(100, 700, 3_000),
    budget: fc.integer({ min: 100, max: 3_000 }),
    seed: fc.nat(1_000_000),
  })
  .map(({ requests, tokens, input, output, concurrency, ...rest }) => ({
    ...rest,
    limits: {
      concurrency,
      ...(requests === undefined ? {} : { requestsPerMinute: requests }),
      ...(tokens === undefined ? {} : { tokensPerMinute: tokens }),
      ...(input === undefined ? {} : { inputTokensPerMinute: input }),
      ...(output === undefined ? {} : { outputTokensPerMinute: output }),
    },
  }));

const afterMs = fc.constantFrom(0, 5, 40, 300);
const used = fc.constantFrom(undefined, 0, 0.3, 1);
const tryArbitrary: fc.Arbitrary<Try> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ end: fc.constant('ok' as const), afterMs, used }, { requiredKeys: ['end', 'afterMs'] }) as fc.Arbitrary<Try>,
  },
  { weight: 3, arbitrary: fc.record({ end: fc.constantFrom(http(500), http(529), http(429), http(400)), afterMs }) },
  {
    weight: 2,
    arbitrary: fc.record({ end: fc.constantFrom(http(429, { 'retry-after': '0.4' }), http(429, { 'retry-after': '3' })), afterMs }),
  },
  { weight: 1, arbitrary: fc.record({ end: fc.constantFrom('never' as const, 'throws' as const), afterMs }) },
);

function callArbitrary(largest: number): fc.Arbitrary<DeskCall> {
  return fc
    .record({
      tenant: fc.constantFrom('', 'red', 'blue'),
      flow: fc.constantFrom('x', 'y'),
      priority: fc.constantFrom(0, 0, 0, 5),
      input: fc.nat(largest),
      output: fc.nat(largest),
      slots: fc.constantFrom(1, 1, 1, 2),
      withinMs: fc.constantFrom(undefined, undefined, 200, 5_000),
      whenShut: fc.constantFrom('wait' as const, 'wait' as const, 'refuse' as const),
      pays: fc.boolean(),
      tries: fc.array(tryArbitrary, { minLength: 1, maxLength: 3 }),
    })
    .map(({ pays, withinMs, ...call }) => ({ ...call, ...(withinMs === undefined ? {} : { withinMs }), scopes: pays ? [SCOPE] : [] }));
}

const passArbitrary = fc.record({ at: fc.constant('pass' as const), ms: fc.constantFrom(0, 0, 1, 10, 60, 400, 1_200) });
const historyArbitrary = (largest: number, fixed: Partial<DeskCall>): fc.Arbitrary<readonly Step[]> =>
  fc.array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ at: fc.constant('begin' as const), call: callArbitrary(largest).map((call) => ({ ...call, ...fixed })) }),
      },
      { weight: 4, arbitrary: passArbitrary },
      { weight: 2, arbitrary: fc.record({ at: fc.constant('crash' as const) }) },
      { weight: 1, arbitrary: fc.record({ at: fc.constant('cancel' as const), which: fc.nat(100) }) },
    ),
    { minLength: 5, maxLength: 60, size: 'max' },
  );

interface Planted {
  readonly spaced: boolean;
  readonly plant: DeskOptions['plant'];
}

/** `spaced`: a crash is left out when the limiter before it was young: then its successor would not believe its book. */
async function play(
  world: World,
  history: readonly Step[],
  { spaced, plant }: Planted,
  onTry: (desk: Desk, tried: Tried) => void,
): Promise<Desk> {
  const { limits, burstMs, safetyMargin, failures, resetAfterMs, budget, seed } = world;
  const desk = new Desk(
    { limits, burstMs, safetyMargin, timeoutMs: TIMEOUT_MS, attempts: 3, breaker: { failures, resetAfterMs } },
    { budgets: { [SCOPE]: { tokens: budget } }, seed, ...(plant === undefined ? {} : { plant }) },
  );
  desk.onTry = (tried) => onTry(desk, tried);
  await desk.settle();
  let latestMs = desk.nowMs;
  for (const step of history) {
    switch (step.at) {
      case 'begin':
        desk.begin(step.call);
        break;
      case 'crash':
        // A limiter is back after half a second at most.
        if (spaced && desk.nowMs - latestMs <= SUSPECT_MS + 600) break;
        latestMs = desk.nowMs;
        desk.crash();
        break;
      case 'cancel': {
        const outcome = desk.outcomes[step.which % Math.max(1, desk.outcomes.length)];
        if (outcome !== undefined) desk.cancel(outcome);
        break;
      }
      case 'pass':
        if (step.ms > 0) await desk.advance(step.ms);
        break;
    }
  }
  await desk.settle();
  return desk;
}

/** No more faults: whatever is under way ends, and everybody is answered. */
async function heal(desk: Desk): Promise<void> {
  const isOpen = (outcome: DeskOutcome): boolean => !outcome.cancelled && outcome.endings.length === 0;
  for (let minutes = 0; desk.outcomes.some(isOpen); minutes += 1) {
    expect(minutes, 'everybody is answered').toBeLessThan(30);
    await desk.advance(MINUTE_MS);
  }
  await desk.advance(MINUTE_MS);
}

interface Fixed {
  readonly world?: Partial<World>;
  readonly call?: Partial<DeskCall>;
  readonly plant?: DeskOptions['plant'];
}

function run(
  largest: number,
  spaced: boolean,
  check: (desk: Desk, world: World) => Promise<void> | void,
  onTry: (desk: Desk, tried: Tried, world: World) => void = () => {},
  { world: fixed = {}, call = {}, plant }: Fixed = {},
) {
  return fc.asyncProperty(worldArbitrary, historyArbitrary(largest, call), async (drawn, history) => {
    const world = { ...drawn, ...fixed };
    const failed: unknown[] = [];
    const desk = await play(world, history, { spaced, plant }, (at, tried) => {
      // Thrown here it would be the failure of a call.
      try {
        onTry(at, tried, world);
      } catch (error) {
        failed.push(error);
      }
    });
    await heal(desk);
    if (failed.length > 0) throw failed[0];
    await check(desk, world);
    await desk.close();
  });
}

const dimensions = [
  ['requests', 'requestsPerMinute', () => 1],
  ['tokens', 'tokensPerMinute', ({ input, output }: Tried) => input + output],
  ['input tokens', 'inputTokensPerMinute', ({ input }: Tried) => input],
  ['output tokens', 'outputTokensPerMinute', ({ output }: Tried) => output],
] as const;

/** Issued in any window, less what came back in it: at most the rate times the window, and the burst or the last of them. */
function expectPaced(desk: Desk, { limits, burstMs, safetyMargin }: World): void {
  for (const [name, field, costOf] of dimensions) {
    const rate = limits[field];
    if (rate === undefined) continue;
    const perMs = (rate * (1 - safetyMargin)) / MINUTE_MS;
    const ledger = desk.tries.flatMap((tried) => [
      { place: tried.beganAs, atMs: tried.beganMs, amount: costOf(tried), admission: true },
      { place: tried.endedAs, atMs: tried.endedMs!, amount: name === 'requests' ? 0 : -backOf(desk, tried, costOf), admission: false },
    ]);
    ledger.sort((a, b) => a.place - b.place);
    for (const [from, first] of ledger.entries()) {
      if (!first.admission) continue;
      // Of what comes back in the same moment nobody knows whether the limiter had heard of it by then.
      let issued = ledger
        .slice(0, from)
        .reduce((sum, { atMs, amount, admission }) => sum + (admission || atMs < first.atMs ? 0 : amount), 0);
      for (const { atMs, amount, admission } of ledger.slice(from)) {
        issued += amount;
        if (!admission) continue;
        const most = perMs * (atMs - first.atMs) + Math.max(perMs * burstMs, amount) + 0.01;
        expect(issued, `${name} from ${first.atMs} to ${atMs} ms`).toBeLessThanOrEqual(most);
      }
    }
  }
}

/** What a try gave back of its estimate, at most. */
function backOf(desk: Desk, tried: Tried, costOf: (tried: Tried) => number): number {
  const { tries } = desk.outcomes[tried.call]!.asked;
  const { end, used: share } = tries[Math.min(tried.attempt, tries.length) - 1]!;
  if (end === 'ok' && share !== undefined)
    return costOf(tried) - costOf({ ...tried, input: Math.floor(tried.input * share), output: Math.floor(tried.output * share) });
  const status = (end as { readonly status?: number }).status ?? (end === 'throws' ? 503 : 0);
  return [429, 503, 529].includes(status) ? costOf(tried) : 0;
}

/** An open breaker lets nobody through, a half-open one a single probe. */
function expectShut(desk: Desk, { breaker }: Tried): void {
  expect(['closed', 'half-open']).toContain(breaker);
  if (breaker !== 'half-open') return;
  expect(desk.tries.filter((tried) => tried.breaker === 'half-open' && tried.endedMs === undefined)).toHaveLength(1);
}

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
            const places = inLine.filter(({ asked }) => asked.priority === priority).map(({ number }) => firsts.get(number)!);
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
