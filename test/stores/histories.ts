/** Random histories of commands: small worlds, so that the same few tasks meet again and again. */
import fc from 'fast-check';
import type { BudgetReturn, BudgetTake, Held, NewTask, SettledOutcome } from '../../actors/ports/store.ts';

/** A step as fast-check makes and shrinks it. `pick` chooses among the runs that were ever claimed. */
export type Step =
  | { readonly op: 'submit'; readonly tasks: readonly TaskSketch[] }
  | { readonly op: 'claim'; readonly wants: readonly { readonly kind: string; readonly limit: number }[]; readonly leaseMs: number }
  | { readonly op: 'start'; readonly picks: readonly number[] }
  | { readonly op: 'remember'; readonly items: readonly { readonly pick: number; readonly place: string; readonly value: string }[] }
  | { readonly op: 'renew'; readonly items: readonly { readonly pick: number; readonly leaseMs: number }[] }
  | { readonly op: 'settle'; readonly items: readonly { readonly pick: number; readonly outcome: OutcomeSketch }[] }
  | { readonly op: 'sweep' }
  | { readonly op: 'take'; readonly items: readonly BudgetTake[] }
  | { readonly op: 'return'; readonly items: readonly BudgetReturn[] }
  | {
      readonly op: 'register';
      readonly items: readonly { readonly gate: string; readonly holder: string; readonly most: number; readonly forMs: number }[];
    }
  | { readonly op: 'withdraw'; readonly items: readonly { readonly gate: string; readonly holder: string }[] }
  | { readonly op: 'wait'; readonly ms: number }
  | { readonly op: 'reopen'; readonly crash: boolean; readonly maxUnfinished: number };

export interface TaskSketch {
  readonly id: string;
  readonly kind: string;
  readonly priority: number;
  readonly maxLosses: number;
  /** The run that asks for it, if any. */
  readonly parent: number | null;
}

export type OutcomeSketch =
  | { readonly at: 'completed'; readonly sends: readonly TaskSketch[] }
  | { readonly at: 'retry'; readonly afterMs: number }
  | { readonly at: 'failed' | 'dead' | 'released' | 'lost' }
  | { readonly at: 'parked'; readonly children: readonly string[]; readonly wakeMs: number | null };

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
const kind = fc.constantFrom('k', 'k', 'l');
// Low numbers count from the newest run, so that most words come from whoever holds.
const pick = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 3 }) }, { weight: 1, arbitrary: fc.nat({ max: 40 }) });
const ms = fc.constantFrom(-1, 0, 0.5, 1, 2, 5, 10, 30);

const taskSketch: fc.Arbitrary<TaskSketch> = fc.record({
  id,
  kind,
  priority: fc.constantFrom(0, 0, 0, 1, -0.5),
  maxLosses: fc.constantFrom(1, 2, 3),
  parent: fc.option(pick, { freq: 2 }),
});

const outcomeSketch: fc.Arbitrary<OutcomeSketch> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ at: fc.constant('completed' as const), sends: fc.array(taskSketch, { maxLength: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ at: fc.constant('retry' as const), afterMs: ms }) },
  {
    weight: 3,
    arbitrary: fc.record({
      at: fc.constantFrom('failed' as const, 'dead' as const, 'released' as const, 'lost' as const, 'lost' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      at: fc.constant('parked' as const),
      children: fc.array(id, { maxLength: 3 }),
      wakeMs: fc.option(ms, { freq: 3 }),
    }),
  },
);

export const SCOPES = ['fleet', 'kind:k'] as const;
export const PERIODS_MS = [0, 10, 20] as const;

const scope = fc.constantFrom(...SCOPES);
const periodStartMs = fc.constantFrom(...PERIODS_MS);
const amount = fc.constantFrom(0, 0, 1, 3, 7, 10);
const limit = fc.constantFrom(null, 0, 10, 10, 20);

const budgetTake: fc.Arbitrary<BudgetTake> = fc
  .record({
    scope,
    periodStartMs,
    limitNanoUsd: limit,
    limitTokens: limit,
    wantNanoUsd: amount,
    wantTokens: amount,
    leastNanoUsd: amount,
    leastTokens: amount,
    overNanoUsd: fc.constantFrom(0, 0, 0, 2),
    overTokens: fc.constantFrom(0, 0, 0, 2),
    keepFromMs: fc.constantFrom(-Infinity, 0, 10),
  })
  .map((take) => ({
    ...take,
    leastNanoUsd: Math.min(take.leastNanoUsd, take.wantNanoUsd),
    leastTokens: Math.min(take.leastTokens, take.wantTokens),
    keepFromMs: Math.min(take.keepFromMs, take.periodStartMs),
  }));

const budgetReturn: fc.Arbitrary<BudgetReturn> = fc.record({
  scope,
  periodStartMs,
  nanoUsd: amount,
  tokens: amount,
  ended: fc.constantFrom(false, false, false, true),
});

const holding = { gate: fc.constantFrom('g', 'g', 'h'), holder: fc.constantFrom('a', 'b', 'c', 'd') };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('submit' as const), tasks: fc.array(taskSketch, { maxLength: 5 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('claim' as const),
      leaseMs: fc.constantFrom(1, 5, 10, 100),
      wants: fc.array(fc.record({ kind, limit: fc.nat({ max: 4 }) }), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('start' as const), picks: fc.array(pick, { minLength: 1, maxLength: 5 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('remember' as const),
      items: fc.array(fc.record({ pick, place: fc.constantFrom('p', 'q'), value: fc.string({ maxLength: 3 }) }), { maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('renew' as const), items: fc.array(fc.record({ pick, leaseMs: ms }), { maxLength: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('settle' as const),
      items: fc.array(fc.record({ pick, outcome: outcomeSketch }), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('sweep' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('take' as const), items: fc.array(budgetTake, { maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('return' as const), items: fc.array(budgetReturn, { maxLength: 2 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('register' as const),
      items: fc.array(fc.record({ ...holding, most: fc.constantFrom(1, 1, 2), forMs: ms }), { maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('withdraw' as const), items: fc.array(fc.record(holding), { maxLength: 2 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(0.25, 1, 4, 20) }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('reopen' as const), crash: fc.boolean(), maxUnfinished: fc.constantFrom(3, 6, 100) }),
  },
);

/** Some dozens of steps. */
export const history: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' });

/** The run that a pick means: the newest first, and one that never was when there are none. */
export function picked(runs: readonly Held[], at: number): Held {
  if (runs.length === 0) return { id: 'a', fence: at };
  return runs[runs.length - 1 - (at % runs.length)]!;
}

export function toTask({ id: of, kind: kindOf, priority, maxLosses, parent }: TaskSketch, runs: readonly Held[]): NewTask {
  return {
    id: of,
    kind: kindOf,
    version: '1',
    input: `"${of}"`,
    priority,
    maxAttempts: 2,
    maxLosses,
    depth: parent === null ? 0 : 1,
    ...(parent === null ? {} : { parent: { ...picked(runs, parent), place: `ask:${of}` } }),
  };
}

export function toOutcome(sketch: OutcomeSketch, runs: readonly Held[], nowMs: number): SettledOutcome {
  switch (sketch.at) {
    case 'completed':
      return { at: 'completed', result: '"done"', sends: sketch.sends.map((send) => toTask(send, runs)) };
    case 'retry':
      return { at: 'retry', error: '"retried"', readyAtMs: nowMs + sketch.afterMs };
    case 'parked':
      return { at: 'parked', reason: 'waits', children: sketch.children, wakeAtMs: sketch.wakeMs === null ? null : nowMs + sketch.wakeMs };
    case 'released':
      return { at: 'released' };
    case 'failed':
    case 'dead':
    case 'lost':
      return { at: sketch.at, error: `"${sketch.at}"` };
  }
}
