/** Crash histories: generated calls whose limiter crashes at any moment, and what has to hold for them. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Limits } from '../../src/topology/dependency.ts';
import { Desk } from './desk.ts';
import type { DeskCall, DeskOptions, DeskOutcome, Tried, Try } from './desk.ts';
import { http } from './gate-world.ts';

export interface World {
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
  | { readonly at: 'raise'; readonly which: number; readonly priority: number }
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
      { weight: 1, arbitrary: fc.record({ at: fc.constant('raise' as const), which: fc.nat(100), priority: fc.constantFrom(1, 5) }) },
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
      case 'raise': {
        const outcome = desk.outcomes[step.which % Math.max(1, desk.outcomes.length)];
        if (outcome !== undefined) desk.raise(outcome, step.priority);
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

export function run(
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
export function expectPaced(desk: Desk, { limits, burstMs, safetyMargin }: World): void {
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
export function expectShut(desk: Desk, { breaker }: Tried): void {
  expect(['closed', 'half-open']).toContain(breaker);
  if (breaker !== 'half-open') return;
  expect(desk.tries.filter((tried) => tried.breaker === 'half-open' && tried.endedMs === undefined)).toHaveLength(1);
}
