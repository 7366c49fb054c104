/**
 * Resumption: how an actor whose turn threw goes on in place, with the state from before that turn. It is
 * the same incarnation; the delays of a machine begin anew.
 */
import { createActor } from 'xstate';
import type { Actor, ActorOptions, AnyActorLogic, EventObject, Snapshot } from 'xstate';
import type { Cell } from './cell.ts';

/** What a resumable actor would go on with: its state, and the events that XState has scheduled for it. */
export interface Memory {
  readonly snapshot: Snapshot<unknown>;
  readonly delayed: readonly { readonly event: EventObject; readonly delay: number; readonly id: string }[];
}

/** To be asked before the turn. */
export function memoryOf(actor: Actor<AnyActorLogic>): Memory {
  // XState keeps them with the system, and forgets them with the actor; each actor here is a system of its own.
  const system = actor.system.getSnapshot() as unknown as Readonly<Record<string, Readonly<Record<string, Memory['delayed'][number]>>>>;
  return { snapshot: actor.getSnapshot() as Snapshot<unknown>, delayed: Object.values(system['_scheduledEvents'] ?? {}) };
}

/**
 * Another actor in the same cell. To be called within a turn whose effects are dropped: what the state set
 * off has been done when it was entered.
 */
export function goOn(cell: Cell, { snapshot, delayed }: Memory, clock: NonNullable<ActorOptions<AnyActorLogic>['clock']>): void {
  const { logic } = cell.actor;
  cell.actor = createActor(logic, { snapshot: logic.getPersistedSnapshot(snapshot), id: cell.id, clock });
  cell.actor.subscribe(cell);
  cell.actor.start();
  for (const { event, delay, id } of delayed) cell.actor.system.scheduler.schedule(cell.actor, cell.actor, event, delay, id);
}
