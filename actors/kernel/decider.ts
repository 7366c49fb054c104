/**
 * Decider: an actor whose whole behaviour is one pure function, carried by XState as a hand-written
 * `ActorLogic`. It costs under 0.1 us an event, so every task may pass through it; a machine, at
 * 2 to 5 us, is for what a person wants to see as states.
 */
import type { ActorLogic, ActorSystem, Snapshot } from 'xstate';
import type { Clock } from './clock.ts';
import { emit } from './effects.ts';
import type { HostEffect, Message, OwnEffect } from './effects.ts';

/** The state after, and what to do about it. */
export type Decision<S, E extends OwnEffect = HostEffect> = readonly [state: S, effects: readonly E[]];

export interface Decider<S, M extends Message, I, E extends OwnEffect = HostEffect> {
  initial(input: I, nowMs: number): Decision<S, E>;
  decide(state: S, message: M, nowMs: number): Decision<S, E>;
}

export type DeciderSnapshot<S> = Snapshot<undefined> & { readonly status: 'active'; readonly state: S };

export type DeciderLogic<S, M extends Message, I> = ActorLogic<DeciderSnapshot<S>, M, I, ActorSystem<never>>;

/** No effects: shared, because most decisions have none. */
export const NOTHING: readonly never[] = [];

/** Carries a decider as XState actor logic. Reads the clock once an event, and does nothing else. */
export function fromDecider<S, M extends Message, I, E extends OwnEffect>(
  decider: Decider<S, M, I, E>,
  clock: Clock,
): DeciderLogic<S, M, I> {
  return {
    getInitialSnapshot: (_scope, input) => commit(decider.initial(input, clock.nowMs())),
    transition: (snapshot, message) => {
      // XState's own word, sent while stopping; a decider hears its messages and nothing else.
      if (message.type === 'xstate.stop') return snapshot;
      const decision = decider.decide(snapshot.state, message, clock.nowMs());
      if (decision[0] === snapshot.state) {
        for (const effect of decision[1]) emit(effect);
        return snapshot;
      }
      return commit(decision);
    },
    getPersistedSnapshot: (snapshot) => snapshot,
    restoreSnapshot: (snapshot) => snapshot as DeciderSnapshot<S>,
  };
}

function commit<S>([state, effects]: Decision<S, OwnEffect>): DeciderSnapshot<S> {
  for (const effect of effects) emit(effect);
  return { status: 'active', output: undefined, error: undefined, state };
}
