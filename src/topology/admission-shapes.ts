/** Admission shapes: what limits, breakers, budgets and their kin may hold, as zod schemas. */
import { z } from 'zod';
import { unknownOr } from '../../actors/kernel/shape.ts';

const fn = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'a function');
const positive = (what: string) => z.number(what).refine((value) => value > 0 && Number.isFinite(value), what);
const share = (what: string) => z.number(what).min(0, what).max(1, what);
const count = (what: string) => z.int(what).min(1, what);
const MS = 'milliseconds, at least 1';
const ms = z.number(MS).min(1, MS);

const perMinute = (what: string) => {
  const expected = `${what} a minute, at least 1`;
  return z.number(expected).min(1, expected).optional();
};

export const limitsShape = z.strictObject(
  {
    requestsPerMinute: perMinute('requests'),
    tokensPerMinute: perMinute('tokens'),
    inputTokensPerMinute: perMinute('input tokens'),
    outputTokensPerMinute: perMinute('output tokens'),
    concurrency: count('a whole number of calls in flight, at least 1').optional(),
  },
  unknownOr('an object of limits'),
);

export const bulkheadShape = z.strictObject(
  {
    concurrency: count('a whole number of places, at least 1'),
    rank: z.int('a whole number').optional(),
    holdMs: ms.optional(),
    waiting: count('a whole number of calls, at least 1').optional(),
    whenFull: z.enum(['refuse', 'shed'], "'refuse' or 'shed'").optional(),
  },
  unknownOr('{ concurrency, rank, holdMs, waiting, whenFull }'),
);

const FAILURES = 'a whole number of failures, at least 1';
const RESET = 'milliseconds, at least 1, or { baseMs, capMs, factor }';
const BELOW = 'a mean score above 0 and up to 1';

export const breakerShape = z.union(
  [
    z.literal(false),
    z.strictObject({
      failures: count(FAILURES).optional(),
      sampling: z
        .strictObject({
          share: z.number().min(0).lt(1).optional(),
          windowMs: ms.optional(),
          least: count('a whole number of calls, at least 1').optional(),
        })
        .optional(),
      soft: z.strictObject({ k: z.number().gt(1).optional(), windowMs: ms.optional() }).optional(),
      resetAfterMs: z
        .union([ms, z.strictObject({ baseMs: ms.optional(), capMs: ms.optional(), factor: z.number().min(1).optional() })], RESET)
        .optional(),
      probes: count('a whole number of probes, at least 1').optional(),
      probeMs: ms.optional(),
      counts: fn.optional(),
      quality: z
        .strictObject({
          below: positive(BELOW).max(1, BELOW),
          outOf: count('a whole number of scored replies, at least 1'),
          least: count('a whole number of scored replies, at least 1').optional(),
          scorers: z.array(fn, 'a list of functions from reply and request to a score from 0 to 1').optional(),
        })
        .optional(),
    }),
  ],
  'false, or { failures, sampling, soft, resetAfterMs, probes, probeMs, counts, quality } within their ranges',
);

const above = z.number('a number above 0').gt(0, 'a number above 0');
const CALLS = 'a number of calls, at least 1';
const calls = z.number(CALLS).min(1, CALLS).optional();
const learnedRoom = { start: calls, least: calls, most: calls };

export const adaptShape = z.union(
  [
    z.enum(['none', 'aimd', 'gradient']),
    z.strictObject({
      rate: z
        .strictObject({
          unit: z.enum(['tokens', 'requests']).optional(),
          startPerMinute: above.optional(),
          leastPerMinute: above.optional(),
          mostPerMinute: above.optional(),
        })
        .optional(),
      concurrency: z
        .discriminatedUnion('by', [
          z.strictObject({ by: z.literal('aimd'), ...learnedRoom, backoffRatio: z.number().min(0.5).lt(1).optional() }),
          z.strictObject({
            by: z.literal('gradient2'),
            ...learnedRoom,
            tolerance: z.number().min(1).optional(),
            smoothing: z.number().gt(0).max(1).optional(),
            longWindow: z.number().min(1).optional(),
          }),
        ])
        .optional(),
    }),
  ],
  "'none', 'aimd', 'gradient', or { rate: { unit, startPerMinute, leastPerMinute, mostPerMinute }, concurrency: { by: 'aimd' | 'gradient2', ... } }",
);

export const retriesShape = z.strictObject(
  {
    share: share('a share from 0 to 1').optional(),
    perSecond: z.number().min(0, 'second tries a second, at least 0').optional(),
    most: z.number().min(0, 'second tries, at least 0').optional(),
  },
  unknownOr('{ share, perSecond, most }'),
);

const WEIGHTS = 'weights above 0 by name';
const named = z.record(z.string(), positive(WEIGHTS), WEIGHTS).optional();
export const weightsShape = z.strictObject({ tenants: named, kinds: named }, unknownOr('{ tenants, kinds }'));

const USD = 'dollars, above 0';
const TOKENS = 'a whole number of tokens, at least 1';
const WARN = 'shares above 0 and up to 1';
const BUDGET = '{ usd, tokens, perMs, warnAt } with usd, tokens, or both';
export const budgetShape = z
  .strictObject(
    {
      usd: positive(USD).max(9_000_000, 'at most 9,000,000 dollars').optional(),
      tokens: count(TOKENS).optional(),
      perMs: z.int('whole milliseconds, at least 1').min(1, 'whole milliseconds, at least 1').optional(),
      warnAt: z.array(positive(WARN).max(1, WARN), WARN).optional(),
    },
    unknownOr(BUDGET),
  )
  .refine(({ usd, tokens }) => usd !== undefined || tokens !== undefined, BUDGET);

/** Of a kind: one for all of it, or apart for the kind, each worker and each task. */
export const kindBudgetShape = z.unknown().superRefine((value, context) => {
  const isTree =
    typeof value === 'object' && value !== null && Object.keys(value).some((key) => key === 'kind' || key === 'worker' || key === 'task');
  const shape = isTree
    ? z.strictObject(
        { kind: budgetShape.optional(), worker: budgetShape.optional(), task: budgetShape.optional() },
        unknownOr('budgets of the kind, of each worker, of each task'),
      )
    : budgetShape;
  const { error } = shape.safeParse(value);
  for (const { path, message } of error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
});
