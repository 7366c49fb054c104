/** Guardian: stands above the root of a tree, and says outside when it has started and when it is gone. */
import type { Host } from '../actors/host/host.ts';
import type { Clock } from '../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../actors/kernel/decider.ts';
import { exit } from '../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason, HostEffect, Message, OwnEffect } from '../actors/kernel/effects.ts';
import type { SupervisorPlan, SupervisorSpec } from './spec.ts';
import { StartFailedError } from './supervisor.ts';
import type { Tree } from './tree.ts';

/** The root of a tree. */
export interface Root {
  /** Settles when every child has started; rejects when one did not, or the root was stopped before. */
  readonly started: Promise<void>;
  /** Settles when the root, and all below it, is gone. */
  readonly ended: Promise<ExitReason>;
}

/** Spawns the root of a tree under the address `name`. */
export function spawnRoot(host: Host, tree: Tree, name: ActorId, spec: SupervisorSpec | SupervisorPlan): Root {
  const started = Promise.withResolvers<void>();
  // Whoever stops a tree that never started waits for `ended` alone.
  started.promise.catch(() => {});
  const made = tree.supervisor(name, spec, { supervisor: guardianOf(name), child: name, life: 1 });
  const ended = watch(host, guardianOf(name), () => started.resolve());
  host.spawn({ ...made, id: name, monitors: [guardianOf(name)] });
  void ended.then((reason) => {
    started.reject(reason.at === 'error' ? reason.error : new StartFailedError({ supervisor: name, child: name }));
  });
  return { started: started.promise, ended };
}

/** Settles when the actor that lives at `id` is gone; at once, as `normal`, if there is none. */
export function whenGone(host: Host, id: ActorId): Promise<ExitReason> {
  const watcher = `${guardianOf(id)}-${(watchers += 1)}`;
  const ended = watch(host, watcher, () => {});
  host.monitor(watcher, id);
  return ended;
}

/** Addresses of watchers have to differ, and nothing else. */
let watchers = 0;

const guardianOf = (id: ActorId): ActorId => `${id}~guardian`;

function watch(host: Host, id: ActorId, onStarted: () => void): Promise<ExitReason> {
  return new Promise((resolve) => {
    const perform = (effect: OwnEffect): void => {
      const seen = effect as GuardianEffect;
      if (seen.type === 'guardian.started') onStarted();
      else if (seen.type === 'guardian.ended') resolve(seen.reason);
    };
    host.spawn({ id, logic: guardianLogic(host.clock), perform });
  });
}

type GuardianEffect =
  | { readonly type: 'guardian.started' }
  | { readonly type: 'guardian.ended'; readonly reason: ExitReason }
  | (HostEffect & { readonly type: 'exit' });

const guardianLogic = (clock: Clock) =>
  fromDecider<null, Message | Exited, undefined, OwnEffect>(
    {
      initial: () => [null, NOTHING],
      decide(state, message) {
        if (message.type === 'child.started') return [state, [{ type: 'guardian.started' }]];
        if (message.type !== 'exited') return [state, NOTHING];
        const ended: GuardianEffect = { type: 'guardian.ended', reason: (message as Exited).reason };
        return [state, [ended, exit({ at: 'normal' })]];
      },
    },
    clock,
  );
