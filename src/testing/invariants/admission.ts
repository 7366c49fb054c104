/** Invariants of admission: what budgets pay, and when a breaker lets nobody through. */
import type { Topology } from '../../topology/fleet.ts';
import type { BudgetSpec } from '../../../actors/budget/plan.ts';
import type { Invariant } from './invariant.ts';

/** Tokens in all that may be spent by whoever is under it. */
interface Ceiling {
  readonly scope: string;
  readonly perMs: number;
  /** In one period. Twice the budget where there are periods: a call that was paid in one may wait and begin in the next. */
  readonly tokens: number;
  period: number;
  /** Upper bounds of calls in flight, and what is spent: the real use, or the upper bound where nobody knows. */
  reserved: number;
  spent: number;
}

function ceilingsOf({ budget, kinds }: Topology): readonly Ceiling[] {
  const ceiling = (scope: string, spec: BudgetSpec | undefined): Ceiling[] => {
    if (spec?.tokens === undefined) return [];
    const { tokens, perMs = Infinity } = spec;
    return [{ scope, perMs, tokens: perMs === Infinity ? tokens : 2 * tokens, period: 0, reserved: 0, spent: 0 }];
  };
  return [...ceiling('fleet', budget), ...Object.values(kinds).flatMap(({ kind, budget: own }) => ceiling(`kind:${kind}`, own?.kind))];
}

export const S5: Invariant = {
  name: 'S5',
  promise: 'spent and reserved stay within the budget, over all processes, but for what a call cost above its upper bound',
  check(topology, broken) {
    const ceilings = ceilingsOf(topology);
    const kindsOf = new Map<string, string>();
    /** What a call of a process that is gone had reserved: nobody can give it back. */
    const out = new Map<string, { readonly tokens: number; readonly of: readonly Ceiling[] }>();
    return {
      'store.accepted': ({ task }) => void kindsOf.set(task.id, task.kind),
      'call.began': ({ dependency, key, task, tokens }, atMs) => {
        if (ceilings.length === 0 || topology.dependencies[dependency]?.spec.rank !== undefined) return;
        const of = ceilings.filter(({ scope }) => scope === 'fleet' || scope === `kind:${kindsOf.get(task)}`);
        for (const ceiling of of) {
          const period = Math.floor(atMs / ceiling.perMs);
          if (period !== ceiling.period) ceiling.spent = 0;
          ceiling.period = period;
          ceiling.reserved += tokens;
          const { scope, reserved, spent, tokens: most } = ceiling;
          if (spent + reserved > most) broken(`${key}: ${spent} tokens of budget ${scope} are spent and ${reserved} reserved, of ${most}`);
        }
        out.set(key, { tokens, of });
      },
      'call.ended': ({ key, tokens, used }) => {
        const call = out.get(key);
        if (call === undefined) return;
        out.delete(key);
        for (const ceiling of call.of) {
          ceiling.reserved -= tokens;
          ceiling.spent += used ?? tokens;
        }
      },
      'process.killed': () => {
        for (const { tokens, of } of out.values()) {
          for (const ceiling of of) {
            ceiling.reserved -= tokens;
            ceiling.spent += tokens;
          }
        }
        out.clear();
      },
    };
  },
};

export const S8: Invariant = {
  name: 'S8',
  promise: 'breaker open: no call begins; half-open: no more than it has probes, but for those that were given up',
  check({ dependencies }, broken) {
    /** `begun`: by their keys, since it is where it is. */
    const breakers = new Map<string, { readonly at: string; readonly begun: string[] }>();
    return {
      'breaker.moved': ({ dependency, to }) => void breakers.set(dependency, { at: to, begun: [] }),
      'call.began': ({ dependency, key }) => {
        const breaker = breakers.get(dependency);
        if (breaker === undefined || breaker.at === 'closed') return;
        const { breaker: spec } = dependencies[dependency]!.spec;
        const probes = spec === undefined || spec === false ? 1 : (spec.probes ?? 1);
        breaker.begun.push(key);
        const count = breaker.begun.length;
        if (breaker.at !== 'half-open') broken(`${key} begins while the breaker of ${dependency} is ${breaker.at}`);
        else if (count > probes) broken(`${key} is call ${count} while the breaker of ${dependency} is half-open, ${probes} may be`);
      },
      'call.ended': ({ dependency, key, aborted }) => {
        // Its probe is there for another one.
        const { begun } = breakers.get(dependency) ?? {};
        if (aborted && begun?.includes(key) === true) begun.splice(begun.indexOf(key), 1);
      },
      // Another process begins with breakers of its own.
      'store.opened': () => breakers.clear(),
    };
  },
};

/** Successes after which a breaker cannot still doubt. */
const ENOUGH = 3;

export const L4: Invariant = {
  name: 'L4',
  promise: 'once faults stop and calls succeed, the breaker closes',
  check({ dependencies }, broken) {
    const successes = new Map<string, number>();
    let isHealed = false;
    return {
      'scene.healed': () => {
        isHealed = true;
      },
      'call.ended': ({ dependency, used }) => {
        // One that was begun while there were faults may still fail, and opens it anew.
        if (used === undefined) successes.delete(dependency);
        else if (isHealed) successes.set(dependency, (successes.get(dependency) ?? 0) + 1);
      },
      'scene.over': ({ look }) => {
        for (const [name, { spec }] of Object.entries(dependencies)) {
          // Poor replies may go on without any fault.
          if (spec.breaker === undefined || spec.breaker === false || spec.breaker.quality !== undefined) continue;
          const at = look.limiter(name)?.breaker?.at;
          const calls = successes.get(name) ?? 0;
          if (at !== undefined && at !== 'closed' && calls >= ENOUGH + (spec.breaker.probes ?? 1))
            broken(`the breaker of ${name} is ${at}, though ${calls} calls have succeeded since faults stopped`);
        }
      },
    };
  },
};
