/** Gate spec: what a gate is made of and what it tells, and the check of what somebody has written there. */
import { z } from 'zod';
import type { BreakerLook } from '../../actors/breaker/breaker.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { Random } from '../../actors/kernel/random.ts';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import { budgetShape } from '../topology/admission-shapes.ts';
import { dependency } from '../topology/dependency.ts';
import type { CallFailure, Dependency, DependencySpec, Usage } from '../topology/dependency.ts';
import { TopologyError } from '../topology/topology-error.ts';
import type { BudgetFact, BudgetSpec, BudgetStore } from './budgets.ts';
import { AdmissionOptionError } from './call-errors.ts';
import type { GateRequest } from './gate-call.ts';

type Shared =
  | 'limits'
  | 'adapt'
  | 'breaker'
  | 'retries'
  | 'weights'
  | 'waiting'
  | 'whenFull'
  | 'safetyMargin'
  | 'burstMs'
  | 'timeoutMs'
  | 'attempts'
  | 'cachedInputIsFree';

/** Limits, breaker and retries are those of `dependency`. */
export interface AdmissionSpec extends Pick<DependencySpec<unknown, unknown>, Shared> {
  /** For errors and events. Default 'admission'. */
  readonly name?: string;
  /** Default: no limit on money or tokens. */
  readonly budget?: BudgetSpec;
  /** Where the budget is kept over restarts and shared with other programs, e.g. a store of Drover. Default: in memory. */
  readonly store?: BudgetStore;
  /** US dollars of a usage, where the call does not say. */
  price?(usage: Usage): number;
  /** How an error of the work is to be read. Default: by the `status` and headers that clients put on their errors. */
  classify?(error: unknown): CallFailure;
  /** Told of what happens. What it throws is dropped. */
  onEvent?(event: AdmissionEvent): void;
  /** For tests; defaults are those of production. */
  readonly clock?: Clock;
  readonly random?: Random;
}

export type AdmissionEvent =
  | { readonly at: 'called'; readonly usage: Usage; readonly usd: number; readonly ms: number }
  | { readonly at: 'failed'; readonly failure: CallFailure['at']; readonly error: unknown; readonly again: boolean; readonly ms: number }
  | { readonly at: 'breaker'; readonly breaker: BreakerLook }
  | { readonly at: 'budget'; readonly fact: BudgetFact }
  /** A function of the user's threw, or gave what makes no sense: the call went on without it. */
  | { readonly at: 'misread'; readonly field: string; readonly error: unknown };

const fn = z.custom((value) => typeof value === 'function', 'a function').optional();

const storeShape = z.custom(
  (value) =>
    ['takeBudget', 'returnBudget', 'readBudgets'].every((name) => typeof (value as Record<string, unknown> | null)?.[name] === 'function'),
  'a store that is open, with takeBudget, returnBudget and readBudgets',
);

/** Checked as those of a dependency. */
const SHARED: readonly Shared[] = [
  'limits',
  'adapt',
  'breaker',
  'retries',
  'weights',
  'waiting',
  'whenFull',
  'safetyMargin',
  'burstMs',
  'timeoutMs',
  'attempts',
  'cachedInputIsFree',
];

const ownShape = z.strictObject(
  {
    name: z.string('a text of at least 1 character').min(1, 'a text of at least 1 character').optional(),
    budget: budgetShape.optional(),
    ...Object.fromEntries(SHARED.map((field) => [field, z.unknown().optional()])),
    store: storeShape.optional(),
    price: fn,
    classify: fn,
    onEvent: fn,
    clock: z.unknown().optional(),
    random: z.unknown().optional(),
  },
  unknownOr('an object of options'),
);

/** @throws AdmissionOptionError */
export function checkSpec(spec: AdmissionSpec): void {
  const problem = checkShape(ownShape, spec);
  if (problem !== undefined) throw new AdmissionOptionError({ ...problem, path: ['admission', ...problem.path] });
}

/** What is wrong with a dependency is here wrong with a gate. */
export function dependencyOf(spec: DependencySpec<GateRequest, unknown>): Dependency<GateRequest> {
  try {
    return dependency(spec);
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    const { path, value, expected } = error.detail;
    throw new AdmissionOptionError({ path: ['admission', ...path.slice(1)], value, expected }, { cause: error });
  }
}
