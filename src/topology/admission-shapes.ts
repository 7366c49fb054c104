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
const REPLIES = 'a whole number of scored replies, at least 1';

const BREAKER = 'false, or { failures, sampling, soft, resetAfterMs, probes, probeMs, counts, quality } within their ranges';
const BELOW_ONE = 'a share from 0 up to, but not, 1';
const CALLS_SAMPLED = 'a whole number of calls, at least 1';
const K = 'a number above 1';
const FACTOR = 'a factor of at least 1';

const breakerFields = z.strictObject(
  {
    failures: count(FAILURES).optional(),
    sampling: z
      .strictObject(
        {
          share: z.number(BELOW_ONE).min(0, BELOW_ONE).lt(1, BELOW_ONE).optional(),
          windowMs: ms.optional(),
          least: count(CALLS_SAMPLED).optional(),
        },
        unknownOr('{ share, windowMs, least }'),
      )
      .optional(),
    soft: z.strictObject({ k: z.number(K).gt(1, K).optional(), windowMs: ms.optional() }, unknownOr('{ k, windowMs }')).optional(),
    resetAfterMs: z
      .union(
        [
          ms,
          z.strictObject(
            { baseMs: ms.optional(), capMs: ms.optional(), factor: z.number(FACTOR).min(1, FACTOR).optional() },
            unknownOr('{ baseMs, capMs, factor }'),
          ),
        ],
        RESET,
      )
      .optional(),
    probes: count('a whole number of probes, at least 1').optional(),
    probeMs: ms.optional(),
    counts: fn.optional(),
    quality: z
      .strictObject(
        {
          below: positive(BELOW).max(1, BELOW),
          outOf: count(REPLIES),
          least: count(REPLIES).optional(),
          scorers: z.array(fn, 'a list of functions from reply and request to a score from 0 to 1').optional(),
        },
        unknownOr('{ below, outOf, least, scorers }'),
      )
      .optional(),
  },
  unknownOr(BREAKER),
);

export const breakerShape = z.union([z.literal(false), breakerFields], BREAKER).superRefine((breaker, context) => {
  if (breaker === false) return;
  const { resetAfterMs, quality } = breaker;
  if (typeof resetAfterMs === 'object') ascends(context, ['resetAfterMs'], 'milliseconds', resetAfterMs, ['baseMs', 'capMs']);
  if (quality !== undefined) ascends(context, ['quality'], 'scored replies', quality, ['least', 'outOf']);
});

/** Of bounds that are given, none is above one that is named after it. */
function ascends<F extends string>(
  context: z.RefinementCtx,
  path: readonly string[],
  what: string,
  given: { readonly [K in F]?: number | undefined },
  fields: readonly F[],
): void {
  const known = fields.filter((field) => given[field] !== undefined);
  for (const [at, field] of known.entries()) {
    const above = known[at + 1];
    if (above === undefined || given[field]! <= given[above]!) continue;
    return context.addIssue({ code: 'custom', path: [...path, field], message: `${what}, at most \`${above}\` (${given[above]})` });
  }
}

const ABOVE = 'a number above 0';
const above = z.number(ABOVE).gt(0, ABOVE);
const CALLS = 'a number of calls, at least 1';
const calls = z.number(CALLS).min(1, CALLS).optional();
const learnedRoom = { start: calls, least: calls, most: calls };
const RATIO = 'a share from 0.5 up to, but not, 1';
const SMOOTHING = 'a share above 0 and up to 1';
const AT_LEAST_ONE = 'a number of at least 1';
const UNIT = "'tokens' or 'requests'";
const BY = "{ by: 'aimd' | 'gradient2', start, least, most, ... }";

export const adaptShape = z
  .union(
    [
      z.enum(['none', 'aimd', 'gradient']),
      z.strictObject(
        {
          rate: z
            .strictObject(
              {
                unit: z.enum(['tokens', 'requests'], UNIT).optional(),
                startPerMinute: above.optional(),
                leastPerMinute: above.optional(),
                mostPerMinute: above.optional(),
              },
              unknownOr('{ unit, startPerMinute, leastPerMinute, mostPerMinute }'),
            )
            .optional(),
          concurrency: z
            .discriminatedUnion(
              'by',
              [
                z.strictObject(
                  { by: z.literal('aimd'), ...learnedRoom, backoffRatio: z.number(RATIO).min(0.5, RATIO).lt(1, RATIO).optional() },
                  unknownOr(BY),
                ),
                z.strictObject(
                  {
                    by: z.literal('gradient2'),
                    ...learnedRoom,
                    tolerance: z.number(AT_LEAST_ONE).min(1, AT_LEAST_ONE).optional(),
                    smoothing: z.number(SMOOTHING).gt(0, SMOOTHING).max(1, SMOOTHING).optional(),
                    longWindow: z.number(AT_LEAST_ONE).min(1, AT_LEAST_ONE).optional(),
                  },
                  unknownOr(BY),
                ),
              ],
              BY,
            )
            .optional(),
        },
        unknownOr('{ rate, concurrency }'),
      ),
    ],
    "'none', 'aimd', 'gradient', or { rate: { unit, startPerMinute, leastPerMinute, mostPerMinute }, concurrency: { by: 'aimd' | 'gradient2', ... } }",
  )
  .superRefine((adapt, context) => {
    if (typeof adapt === 'string') return;
    const { rate, concurrency } = adapt;
    if (rate !== undefined)
      ascends(context, ['rate'], `${rate.unit ?? 'tokens'} a minute`, rate, ['leastPerMinute', 'startPerMinute', 'mostPerMinute']);
    if (concurrency !== undefined) ascends(context, ['concurrency'], 'calls', concurrency, ['least', 'start', 'most']);
  });

const PER_SECOND = 'second tries a second, at least 0';
const MOST_TRIES = 'second tries, at least 0';

export const retriesShape = z.strictObject(
  {
    share: share('a share from 0 to 1').optional(),
    perSecond: z.number(PER_SECOND).min(0, PER_SECOND).optional(),
    most: z.number(MOST_TRIES).min(0, MOST_TRIES).optional(),
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
