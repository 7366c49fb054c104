/** What fast-check draws: trees of supervisors, and histories of what happens to them. */
import { fc } from '@fast-check/vitest';
import type { RestartType } from '../../actors/kernel/child-spec.ts';
import type { AutoShutdown, Fate, LeafPlan, Plan, TreePlan } from './plan.ts';
import type { Step } from './play.ts';

/** In no order of their own, so that an order by id is found out. */
const IDS = ['k', 'c', 'x', 'b', 'q', 'e'] as const;

const LONG_MS = 1_000;
const DEADLINE_MS = 20;

const restartTypes = fc.constantFrom<RestartType>('permanent', 'transient', 'temporary');

/** Nearly always well in the first life, or few trees would ever come up. */
const fates = fc
  .tuple(
    fc.oneof(
      { arbitrary: fc.constant<Fate>('well'), weight: 30 },
      { arbitrary: fc.constantFrom<Fate>('ignore', 'throws', 'breaks'), weight: 1 },
    ),
    fc.array(fc.constantFrom<Fate>('well', 'well', 'well', 'well', 'ignore', 'throws', 'breaks'), { maxLength: 4, size: 'max' }),
  )
  .map(([first, later]): readonly Fate[] => [first, ...later]);

/** Children that fail in their later lives: a restart that does not work at once. */
const failing = fc
  .array(fc.constantFrom<Fate>('well', 'throws', 'breaks', 'ignore'), { minLength: 1, maxLength: 4, size: 'max' })
  .map((later): readonly Fate[] => ['well', ...later]);

interface Regime {
  /** Children rest before a restart, and calls come while they do. Otherwise restarts are at once, and stops may take their time. */
  readonly rests: boolean;
}

const leaves = ({ rests }: Regime): fc.Arbitrary<Omit<LeafPlan, 'id'>> =>
  fc.record({
    at: fc.constant('leaf' as const),
    restart: restartTypes,
    significant: fc.boolean(),
    starts: fc.oneof({ arbitrary: fates, weight: 3 }, { arbitrary: failing, weight: 1 }),
    manners: rests ? fc.constant('obeys' as const) : fc.constantFrom('obeys', 'obeys', 'ends normally', 'breaks', 'deaf'),
    shutdownMs: fc.constantFrom(0, DEADLINE_MS, DEADLINE_MS),
  });

function trees(regime: Regime, depth: number): fc.Arbitrary<Omit<TreePlan, 'id'>> {
  const common = {
    at: fc.constant('tree' as const),
    restart: restartTypes,
    significant: fc.boolean(),
    starts: fates,
    intensity: fc.constantFrom(0, 1, 2, 3, 5),
    periodMs: regime.rests ? fc.constantFrom(1_500, 5_500) : fc.constantFrom(10, 50, 5_500),
    restMs: fc.constant(regime.rests ? 10 : 0),
  };
  const children = fc.array(depth > 1 ? fc.oneof({ arbitrary: leaves(regime), weight: 3 }, trees(regime, depth - 1)) : leaves(regime), {
    maxLength: IDS.length,
    size: 'max',
  });
  const fixed = fc.record({
    ...common,
    strategy: fc.constantFrom('one_for_one', 'one_for_all', 'rest_for_one'),
    autoShutdown: fc.constantFrom<AutoShutdown>('never', 'any_significant', 'all_significant'),
    children: children.map((plans) => plans.map((plan, at) => ({ ...plan, id: IDS[at]! }))),
  });
  const dynamic = fc.record({
    ...common,
    strategy: fc.constant('dynamic' as const),
    autoShutdown: fc.constantFrom<AutoShutdown>('never', 'never', 'any_significant', 'all_significant'),
    children: leaves(regime).map((plan) => [{ ...plan, id: '*' }]),
  });
  return fc.oneof({ arbitrary: fixed, weight: 4 }, { arbitrary: dynamic, weight: 1 });
}

/** A significant child needs a supervisor that minds it, and must be able to end for good: others are made insignificant. */
function sound<P extends Plan>(plan: P, autoShutdown: AutoShutdown): P {
  const significant = plan.significant && autoShutdown !== 'never' && plan.restart !== 'permanent';
  if (plan.at === 'leaf') return { ...plan, significant };
  return { ...plan, significant, children: plan.children.map((child) => sound(child, plan.autoShutdown)) };
}

/** Trees up to three levels deep, with up to six children a level. The root has more patience, or most histories would be short. */
export const plans = (regime: Regime): fc.Arbitrary<TreePlan> =>
  fc
    .tuple(trees(regime, 3), fc.constantFrom(1, 4, 12))
    .map(([plan, intensity]) => sound({ ...plan, intensity, id: 'root', starts: [], significant: false }, 'never'));

/** Up to 30 deeds. Children that are started later may be unsound: they are refused. */
export function histories(regime: Regime): fc.Arbitrary<readonly Step[]> {
  const nat = fc.nat({ max: 99 });
  const later = fc
    .tuple(fc.oneof({ arbitrary: leaves(regime), weight: 3 }, trees(regime, 1)), fc.constantFrom(...IDS))
    .map(([plan, id]): Plan => ({ ...sound({ ...plan, id }, 'any_significant'), significant: plan.significant }));
  const how = fc.constantFrom('normal', 'shutdown', 'crash', 'crash', 'kill');
  const ends = fc.record({ at: fc.constant('ends' as const), who: nat, how }) as fc.Arbitrary<Step>;
  const calls = fc.record({
    at: fc.constantFrom('terminateChild' as const, 'restartChild' as const, 'deleteChild' as const),
    where: nat,
    whom: nat,
  });
  const suspensions = fc.record({
    at: fc.constantFrom('suspendChild' as const, 'resumeChild' as const),
    where: nat,
    whom: nat,
    reason: fc.constantFrom('health', 'health', 'operator'),
  });
  const passes = regime.rests ? [LONG_MS, 2 * LONG_MS, 6 * LONG_MS] : [1, 9, 10, 11, 49, 50, 51, 6_000];
  return fc.array(
    fc.oneof(
      { arbitrary: ends, weight: 24 },
      { arbitrary: calls, weight: 18 },
      { arbitrary: suspensions, weight: 9 },
      { arbitrary: fc.record({ at: fc.constant('startChild' as const), where: nat, plan: later }), weight: 9 },
      { arbitrary: fc.record({ at: fc.constant('pass' as const), ms: fc.constantFrom(...passes) }), weight: 9 },
      { arbitrary: fc.constant<Step>({ at: 'stop' }), weight: 1 },
    ),
    { maxLength: 30, size: 'max' },
  );
}
