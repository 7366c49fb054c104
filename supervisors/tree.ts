/** Tree: runs supervisors on a host. The interpreter of a supervisor's own effects. */
import type { ActorSpec, Host } from '../actors/host/host.ts';
import { outcomeOf } from '../actors/kernel/child-spec.ts';
import type { Birth, ChildPolicy, ChildStarted } from '../actors/kernel/child-spec.ts';
import type { ActorId, Exited, OwnEffect } from '../actors/kernel/effects.ts';
import { invariant } from '../actors/kernel/errors.ts';
import { planSupervisor, SupervisorSpecError } from './spec.ts';
import type { ChildSpec, Made, Newborn, SupervisorPlan, SupervisorSpec } from './spec.ts';
import type { ChildState, SupervisorEffect, SupervisorFact, SupervisorInput, SupervisorMessage } from './state.ts';
import { supervisorLogic } from './supervisor.ts';

/** What all supervisors of a tree share. */
export interface TreeOptions {
  readonly host: Host;
  readonly onFact?: (supervisor: ActorId, fact: SupervisorFact) => void;
  /** Default: `supervisorLogic`. */
  readonly logic?: typeof supervisorLogic;
}

/** What the next incarnation of a supervisor must know of the one before. */
interface Heritage {
  readonly lives: Map<string, number>;
  readonly suspended: Map<string, readonly string[]>;
  floor: number;
  instances: number;
  /** Of its children that are supervisors. */
  readonly below: Map<string, Heritage>;
}

const newHeritage = (): Heritage => ({ lives: new Map(), suspended: new Map(), floor: 0, instances: 0, below: new Map() });

export class Tree {
  readonly #options: TreeOptions;
  readonly #roots = newHeritage();

  constructor(options: TreeOptions) {
    this.#options = options;
  }

  /** The actor of a root supervisor, to be spawned under the address `self`. A later one of that address is its successor. */
  supervisor(self: ActorId, spec: SupervisorSpec | SupervisorPlan, birth?: Birth): Made {
    return this.#supervisor(self, isPlan(spec) ? spec : planSupervisor(spec), heritageOf(this.#roots, self), birth);
  }

  #supervisor(self: ActorId, plan: SupervisorPlan, heritage: Heritage, birth: Birth | undefined): Made {
    const input: SupervisorInput = { self, ...plan, heritage, ...(birth === undefined ? {} : { birth }) };
    const perform = (effect: OwnEffect): void => this.#perform(self, heritage, effect as SupervisorEffect);
    return { logic: (this.#options.logic ?? supervisorLogic)(this.#options.host.clock), input, graceful: true, perform };
  }

  #perform(self: ActorId, heritage: Heritage, effect: SupervisorEffect): void {
    switch (effect.type) {
      case 'child.start':
        return this.#start(self, heritage, effect.child);
      case 'child.stop':
        return this.#options.host.stop(`${self}/${effect.child}`, effect.deadlineMs);
      case 'child.forgotten':
        heritage.floor = Math.max(heritage.floor, heritage.lives.get(effect.child) ?? 0);
        heritage.lives.delete(effect.child);
        heritage.suspended.delete(effect.child);
        // Only the names of instances are never used again.
        if (effect.instance > 0) heritage.below.delete(effect.child);
        return;
      case 'supervisor.noted': {
        const { fact } = effect;
        if (fact.at === 'suspended') heritage.suspended.set(fact.child, fact.reasons);
        return this.#options.onFact?.(self, fact);
      }
      default:
        invariant(false, `a supervisor has no effect ${effect.type}`);
    }
  }

  #start(self: ActorId, heritage: Heritage, child: ChildState): void {
    const { host } = this.#options;
    const { id: name, life, policy } = child;
    const id = `${self}/${name}`;
    heritage.lives.set(name, life);
    heritage.suspended.delete(name);
    // An instance has a name of its own: the highest number is the last.
    if (child.instance > heritage.instances) heritage.instances = child.instance;
    // In one lane with `exited`, which must not overtake it.
    const started = (): void => host.send(self, { type: 'child.started', child: name, life } as ChildStarted, 'control', id);
    let made: Made | 'ignore';
    try {
      made = this.#make(id, child, heritage, { supervisor: self, child: name, life, started });
      if (made !== 'ignore') {
        const monitors = [self, ...(made.monitors ?? [])];
        host.spawn({ ...made, ...resuming(policy), id, incarnation: life, parent: self, monitors });
      }
    } catch (error) {
      const exited: Exited = { type: 'exited', id, incarnation: life, started: false, reason: { at: 'error', error } };
      host.send(self, exited, 'control', id);
      return;
    }
    if (made === 'ignore') host.send(self, { type: 'child.ignored', child: name, life } as SupervisorMessage, 'control', id);
    else if (policy.ready === 'spawned' && host.isAlive(id)) started();
  }

  #make(id: ActorId, { maker, input }: ChildState, heritage: Heritage, birth: Newborn): Made | 'ignore' {
    const spec = maker as ChildSpec;
    if (spec.start !== undefined) return checkMade(spec, spec.start(birth, input));
    if (spec.supervisor !== undefined) {
      const below = typeof spec.supervisor === 'function' ? spec.supervisor(input) : spec.supervisor;
      return below === 'ignore' ? below : this.#supervisor(id, planSupervisor(below), heritageOf(heritage, birth.child), birth);
    }
    const given =
      typeof spec.input === 'function' ? (spec.input as (birth: Newborn, input: unknown) => unknown)(birth, input) : (spec.input ?? input);
    return { logic: spec.logic!, input: given, graceful: spec.graceful ?? false, lazy: spec.lazy ?? false };
  }
}

function checkMade({ id }: ChildSpec, made: Made | 'ignore'): Made | 'ignore' {
  if (made === 'ignore' || typeof (made as Partial<Made> | null | undefined)?.logic?.transition === 'function') return made;
  throw new SupervisorSpecError({
    path: ['child', id, 'start'],
    value: made,
    expected: "to return { logic } with XState logic, or 'ignore'",
  });
}

function heritageOf({ below }: Heritage, child: string): Heritage {
  const known = below.get(child) ?? newHeritage();
  below.set(child, known);
  return known;
}

function isPlan(spec: SupervisorSpec | SupervisorPlan): spec is SupervisorPlan {
  return typeof spec === 'object' && spec !== null && 'settings' in spec;
}

/** Whether a failed child goes on in place is decided at its turn, by the rules of its spec. */
function resuming(policy: ChildPolicy): Pick<ActorSpec, 'resumes'> {
  if (!policy.onFailure.some(({ outcome }) => outcome === 'resume')) return {};
  return { resumes: (error) => outcomeOf(policy, error) === 'resume' };
}
