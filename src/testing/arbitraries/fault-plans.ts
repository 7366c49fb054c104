/** Fault plans: what goes wrong, each part of it there or not. They shrink to nothing going wrong. */
import * as fc from 'fast-check';
import type { FaultPlan, Strike } from '../simulate/fault-plan.ts';
import { demand, demandCount, onlyKnown } from './check-options.ts';
import { list } from './list.ts';
import { few, record, sparse } from './record.ts';

export interface FaultPlanOptions {
  /** Blows of each kind at most. Default 3. */
  readonly maxStrikes?: number;
  /** The largest chance of a call, a command of the store or a message to go wrong in one way, from 0 to 0.5. Default 0.2. */
  readonly maxChance?: number;
  /** Blows at exact times fall within so many virtual milliseconds. Default 60,000: as long as a simulation works by default. */
  readonly withinMs?: number;
  /** Which parts may be there. Default: all. */
  readonly parts?: readonly (keyof FaultPlan)[];
}

const COUNTS = [
  'workerCrashes',
  'suspensions',
  'scalings',
  'queueCrashes',
  'limiterCrashes',
  'kills',
  'commitPoints',
  'restarts',
  'stalls',
  'clockSteps',
  'storeOutages',
] as const;
const PARTS: readonly (keyof FaultPlan)[] = [...COUNTS, 'strikes', 'calls', 'store', 'messages'];

/**
 * Plans for the `faults` of `simulate`.
 *
 * @throws ArbitraryOptionError
 */
export function faultPlans(options: FaultPlanOptions = {}): fc.Arbitrary<FaultPlan> {
  onlyKnown('faultPlans', options, ['maxStrikes', 'maxChance', 'withinMs', 'parts']);
  const { maxStrikes = 3, maxChance = 0.2, withinMs = 60_000, parts = PARTS } = options;
  demandCount('faultPlans.maxStrikes', maxStrikes, 0, 1_000);
  demandCount('faultPlans.withinMs', withinMs, 0, 1_000_000_000);
  demand('faultPlans.maxChance', maxChance, maxChance >= 0 && maxChance <= 0.5, 'a chance from 0 to 0.5');
  demand('faultPlans.parts', parts, Array.isArray(parts) && parts.every((part) => PARTS.includes(part)), `an array of ${PARTS.join(', ')}`);
  const all: Record<keyof FaultPlan, fc.Arbitrary<unknown>> = {
    ...(Object.fromEntries(COUNTS.map((part) => [part, few(maxStrikes)])) as Record<(typeof COUNTS)[number], fc.Arbitrary<number>>),
    strikes: list(strikes(withinMs), { maxLength: maxStrikes }),
    calls: sparse(chances(['rateLimited', 'overloaded', 'broken', 'hang', 'endless', 'slow', 'garbage'], maxChance)),
    store: sparse({
      ...chances(['failBefore', 'failAfter', 'failUnknown', 'lostHeartbeats'], maxChance),
      delayMs: few(120),
      ordered: few(1).map((is) => is === 1),
    }),
    messages: sparse({ ...chances(['delayed', 'lostNotifications'], maxChance), delayMs: few(2_000) }),
  };
  return sparse(Object.fromEntries(parts.map((part) => [part, all[part]])));
}

const LONGEST_MS = 10_000;

function strikes(withinMs: number): fc.Arbitrary<Strike> {
  const atMs = fc.nat({ max: withinMs });
  const lasting = (at: Strike['at']) => record({ at: fc.constant(at), atMs, ms: fc.nat({ max: LONGEST_MS }) });
  const plain = (at: Strike['at']) => record({ at: fc.constant(at), atMs });
  return fc.oneof(
    ...(['worker-crash', 'scale', 'queue-crash', 'limiter-crash', 'kill', 'commit-point', 'restart'] as const).map(plain),
    ...(['worker-suspend', 'stall', 'clock-step', 'store-outage'] as const).map(lasting),
  );
}

/** In hundredths: a counterexample is read by a person. */
function chances<N extends string>(names: readonly N[], max: number): Record<N, fc.Arbitrary<number>> {
  const chance = few(Math.floor(max * 100)).map((hundredths) => hundredths / 100);
  return Object.fromEntries(names.map((name) => [name, chance])) as Record<N, fc.Arbitrary<number>>;
}
