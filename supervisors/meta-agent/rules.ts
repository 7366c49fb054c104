/**
 * Rules: what is an anomaly, and what is done about it, as data.
 *
 * An anomaly is entered when the measure has been beyond `enter` for `forMs`, and left when it has
 * been back beyond `leave` for as long as that says; between the two lines nothing changes. While it
 * lasts, its steps are taken one after the other.
 */
import { z } from 'zod';
import { check, count, fieldsOr, ms, number } from './check.ts';
import { MEASURES } from './measures.ts';
import type { Measure } from './measures.ts';

/**
 * `note`: an event. `restart` and `suspend`: the worker. `open-breaker`: of the dependency that
 * has changed most. `scale`: the kind, by `scaleBy`. `call-person`: the hook.
 */
export const STEPS = ['note', 'restart', 'suspend', 'open-breaker', 'scale', 'call-person'] as const;
export type Step = (typeof STEPS)[number];

/** What a value is compared with: nothing, its own usual value, or the median of the other workers of its kind. */
export const COMPARISONS = ['absolute', 'own-history', 'peers'] as const;
export type Comparison = (typeof COMPARISONS)[number];

export type Enter = {
  readonly vs: Comparison;
  /** What it is compared with counts as this much at least: three times nearly nothing is no anomaly. Default 0. */
  readonly floor?: number;
} & (
  | {
      /** With `absolute` a value in the measure's unit, otherwise a factor. */
      readonly above: number;
      readonly below?: never;
    }
  | { readonly below: number; readonly above?: never }
);

export type Leave = {
  /** Healthy that long, all is forgiven: the next anomaly begins with the first step. Default 60,000. */
  readonly forMs?: number;
} & ({ readonly below: number; readonly above?: never } | { readonly above: number; readonly below?: never });

/** A rule as it is written. */
export interface RuleSpec {
  /** Unique. A rule with the name of a default rule replaces it. */
  readonly name: string;
  /** `kind`: the median of its workers is compared, never with peers. */
  readonly scope: 'worker' | 'kind';
  readonly measure: Measure;
  /** Default: every kind. */
  readonly kinds?: readonly string[];
  readonly enter: Enter;
  readonly leave: Leave;
  /** How long it must be beyond `enter`, without a break. Default 20,000. */
  readonly forMs?: number;
  /** Samples of the present incarnation before anything is said about it. Default 10. */
  readonly minSamples?: number;
  readonly steps: readonly Step[];
  /** Time that a step gets to help. Default 15,000. */
  readonly stepAfterMs?: number;
  /** Workers that `scale` adds, or takes away when negative. Default 1. */
  readonly scaleBy?: number;
}

/** A rule, checked and complete. */
export type Rule = Required<Omit<RuleSpec, 'kinds' | 'leave' | 'enter'>> & {
  readonly kinds: readonly string[] | 'all';
  readonly enter: Enter & { readonly floor: number };
  readonly leave: Leave & { readonly forMs: number };
};

const NAMED = 'a name of 1 to 64 characters';
const VALUE = 'a number, at least 0';
const ENTER = '{ vs, above, floor } or { vs, below, floor }';
const LEAVE = '{ below, forMs } where enter has `above`, { above, forMs } where it has `below`';
const STEPPED = `a list of steps, each once, out of ${STEPS.map((step) => `'${step}'`).join(', ')}`;
const SCALED = 'a whole number other than 0, from -100 to 100';
const oneOf = <T extends string>(values: readonly T[]) => z.enum(values as [T, ...T[]], values.map((value) => `'${value}'`).join(', '));

const value = number(0, Number.MAX_VALUE, VALUE);
const vs = oneOf(COMPARISONS);
const enterShape = z
  .strictObject(
    { vs, above: value.optional(), below: value.optional(), floor: value.optional() },
    fieldsOr(ENTER, 'vs', 'above', 'below', 'floor'),
  )
  .refine(({ above, below }) => (above === undefined) !== (below === undefined), ENTER);
const leaveShape = z.strictObject(
  { above: value.optional(), below: value.optional(), forMs: ms(0).optional() },
  fieldsOr(LEAVE, 'above', 'below', 'forMs'),
);

const FIELDS = ['name', 'scope', 'measure', 'kinds', 'enter', 'leave', 'forMs', 'minSamples', 'steps', 'stepAfterMs', 'scaleBy'];

export const ruleShape = z
  .strictObject(
    {
      name: z.string(NAMED).min(1, NAMED).max(64, NAMED),
      scope: oneOf(['worker', 'kind']),
      measure: oneOf(MEASURES),
      kinds: z.array(z.string(NAMED), 'a list of names of kinds').min(1, 'a list of names of kinds').optional(),
      enter: enterShape,
      leave: leaveShape,
      forMs: ms(0).optional(),
      minSamples: count(1, 'a whole number of samples, at least 1').optional(),
      steps: z
        .array(oneOf(STEPS), STEPPED)
        .min(1, STEPPED)
        .refine((steps) => new Set(steps).size === steps.length, STEPPED),
      stepAfterMs: ms(0).optional(),
      scaleBy: z
        .int(SCALED)
        .min(-100, SCALED)
        .max(100, SCALED)
        .refine((by) => by !== 0, SCALED)
        .optional(),
    },
    fieldsOr('a rule', ...FIELDS),
  )
  .superRefine(({ scope, enter, leave, steps }, context) => {
    const refuse = (path: string[], message: string): void => context.addIssue({ code: 'custom', path, message });
    const ordered =
      enter.above === undefined
        ? leave.below === undefined && leave.above !== undefined && leave.above >= enter.below!
        : leave.above === undefined && leave.below !== undefined && leave.below <= enter.above;
    if (!ordered) refuse(['leave'], `${LEAVE}, not within what enters`);
    if (scope === 'kind' && enter.vs === 'peers') refuse(['enter', 'vs'], "'absolute' or 'own-history', for a kind has no peers");
    const own = steps.findIndex((step) => step === 'restart' || step === 'suspend');
    if (scope === 'kind' && own >= 0) refuse(['steps', String(own)], 'no restart and no suspend: those are for a worker');
  });

/** Checks rules and fills in what they leave out. Throws a `PolicyError`. */
export function defineRules(specs: readonly RuleSpec[], root = 'rules'): readonly Rule[] {
  const shape = z.array(ruleShape, 'a list of rules').superRefine((rules, context) => {
    const twice = rules.findIndex(({ name }, at) => rules.findIndex((rule) => rule.name === name) < at);
    if (twice >= 0) context.addIssue({ code: 'custom', path: [twice, 'name'], message: 'a name that no other rule has' });
  });
  check(shape, specs, root);
  return specs.map(complete);
}

function complete(spec: RuleSpec): Rule {
  return {
    kinds: 'all',
    forMs: 20_000,
    minSamples: 10,
    stepAfterMs: 15_000,
    scaleBy: 1,
    ...spec,
    enter: { floor: 0, ...spec.enter },
    leave: { forMs: 60_000, ...spec.leave },
  };
}

/** What is watched when nobody says anything. Numbers are chosen so that lognormal latencies (sigma 0.8) and 5 % errors are no anomaly. */
export const DEFAULT_RULES: readonly RuleSpec[] = [
  worker('slow', 'latency', { vs: 'peers', above: 3 }, { below: 2 }),
  worker('slower-than-before', 'latency', { vs: 'own-history', above: 4 }, { below: 2 }),
  worker('slow-at-times', 'latency-p99', { vs: 'peers', above: 5 }, { below: 3 }, { minSamples: 200 }),
  worker('failing', 'error-rate', { vs: 'peers', above: 4, floor: 0.125 }, { below: 2 }),
  worker('failing-more', 'error-rate', { vs: 'own-history', above: 5, floor: 0.125 }, { below: 2 }),
  worker('poor', 'score', { vs: 'peers', below: 0.5 }, { above: 0.75 }),
  worker('poorer-than-before', 'score', { vs: 'own-history', below: 0.4 }, { above: 0.7 }),
  worker('spending', 'usd-per-busy-minute', { vs: 'peers', above: 4, floor: 0.02 }, { below: 2 }),
  worker('spending-tokens', 'tokens-per-busy-minute', { vs: 'peers', above: 4, floor: 2_000 }, { below: 2 }),
  worker('repeating-itself', 'repeated-requests', { vs: 'absolute', above: 20 }, { below: 2 }),
  worker('going-nowhere', 'operations-without-progress', { vs: 'absolute', above: 300 }, { below: 10 }),
  worker('blocking', 'blocked-ms-per-minute', { vs: 'absolute', above: 1_000 }, { below: 200 }, { minSamples: 2 }),
  kind('kind-slow', 'latency', { vs: 'own-history', above: 2 }, { below: 1.5 }, ['note', 'open-breaker', 'call-person']),
  kind('kind-failing', 'error-rate', { vs: 'own-history', above: 3, floor: 0.1 }, { below: 2 }, ['note', 'open-breaker', 'call-person']),
  kind('kind-poor', 'score', { vs: 'own-history', below: 0.7 }, { above: 0.85 }, ['note', 'open-breaker', 'call-person']),
  kind('kind-spending', 'usd-per-busy-minute', { vs: 'own-history', above: 3, floor: 0.02 }, { below: 2 }, ['note', 'call-person']),
  kind('kind-repeating-itself', 'repeated-requests', { vs: 'absolute', above: 20 }, { below: 2 }, ['note', 'call-person']),
];

function worker(name: string, measure: Measure, enter: Enter, leave: Leave, more: Partial<RuleSpec> = {}): RuleSpec {
  return { name, scope: 'worker', measure, enter, leave, steps: ['note', 'restart', 'suspend', 'call-person'], ...more };
}

function kind(name: string, measure: Measure, enter: Enter, leave: Leave, steps: readonly Step[]): RuleSpec {
  return { name, scope: 'kind', measure, enter, leave, steps, forMs: 10_000 };
}
