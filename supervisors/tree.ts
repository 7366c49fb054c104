/** Tree: runs supervisors on a host. The interpreter of a supervisor's own effects. */
import type { ActorSpec, Host } from '../actors/host/host.ts';
import { childPolicy } from '../actors/kernel/child-spec.ts';
import type { Birth, ChildPolicy, ChildStarted } from '../actors/kernel/child-spec.ts';
import type { ActorId, Exited, OwnEffect } from '../actors/kernel/effects.ts';
import { invariant } from '../actors/kernel/errors.ts';
import type { RestartIntensity } from './restart-intensity.ts';
import { supervisorLogic } from './supervisor.ts';
import type { SupervisorEffect, SupervisorFact, SupervisorInput } from './supervisor.ts';

/** A child spec: its policy, and how one incarnation is made. */
export interface ChildSpec extends Partial<ChildPolicy> {
  readonly id: string;
  /** Called for each incarnation, so that a restart begins with a clean slate. What it throws is a failed start. */
  start(birth: Birth): Pick<ActorSpec, 'logic' | 'input' | 'graceful' | 'perform' | 'monitors'>;
}

export interface SupervisorSpec {
  readonly children: readonly ChildSpec[];
  readonly intensity: RestartIntensity;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  readonly onFact?: (supervisor: ActorId, fact: SupervisorFact) => void;
  /** Default: `supervisorLogic`. */
  readonly logic?: typeof supervisorLogic;
}

/** The last life of each child, kept from one incarnation of a supervisor to the next. */
type Lives = Map<string, number>;

/** The actor of a supervisor, to be spawned at the root or, through `supervisorChild`, below another. */
export function supervisorActor(
  host: Host,
  self: ActorId,
  spec: SupervisorSpec,
  birth?: Birth,
  lives: Lives = new Map(),
): Omit<ActorSpec, 'id'> {
  const specs = new Map(spec.children.map((child) => [child.id, child]));
  const input: SupervisorInput = {
    self,
    children: spec.children.map(({ start: _start, ...policy }) => childPolicy(policy)),
    intensity: spec.intensity,
    backoff: spec.backoff,
    lives: Object.fromEntries(lives),
    ...(birth === undefined ? {} : { birth }),
  };
  const perform = (own: OwnEffect): void => {
    const effect = own as SupervisorEffect;
    switch (effect.type) {
      case 'child.start':
        lives.set(effect.child, effect.life);
        return startChild(host, self, specs.get(effect.child)!, effect.life);
      case 'child.stop':
        return host.stop(`${self}/${effect.child}`, effect.deadlineMs);
      case 'supervisor.noted':
        return spec.onFact?.(self, effect.fact);
      default:
        invariant(false, `a supervisor has no effect ${effect.type}`);
    }
  };
  return { logic: (spec.logic ?? supervisorLogic)(host.clock), input, graceful: true, perform };
}

/** A supervisor as a child of another one: started when all of its own children are. */
export function supervisorChild(
  host: Host,
  parent: ActorId,
  id: string,
  spec: SupervisorSpec,
  policy: Partial<ChildPolicy> = {},
): ChildSpec {
  const lives: Lives = new Map();
  return {
    shutdownMs: Infinity,
    ready: 'signalled',
    startMs: Infinity,
    ...policy,
    id,
    start: (birth) => supervisorActor(host, `${parent}/${id}`, spec, birth, lives),
  };
}

function startChild(host: Host, supervisor: ActorId, spec: ChildSpec, life: number): void {
  const id = `${supervisor}/${spec.id}`;
  const started: ChildStarted = { type: 'child.started', child: spec.id, life };
  try {
    const made = spec.start({ supervisor, child: spec.id, life });
    host.spawn({ ...made, id, incarnation: life, parent: supervisor, monitors: [supervisor, ...(made.monitors ?? [])] });
  } catch (error) {
    const exited: Exited = { type: 'exited', id, incarnation: life, started: false, reason: { at: 'error', error } };
    host.send(supervisor, exited, 'control', id);
    return;
  }
  // In one lane with `exited`, which must not overtake it.
  if ((spec.ready ?? 'spawned') === 'spawned' && host.isAlive(id)) host.send(supervisor, started, 'control', id);
}
