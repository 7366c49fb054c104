/** Observer: who looks on while a host runs its actors. */
import type { ExitReason, Message } from '../kernel/effects.ts';
import type { Cell } from './cell.ts';

/**
 * Told of every life on a host and of every message that reaches it, in order and at once, within the
 * turn. It looks on: it is quick, does not throw, and asks nothing of the host. What an actor is in is
 * `actor.actor.getSnapshot()`.
 */
export interface HostObserver {
  /** An actor is about to be entered: its first turn. */
  readonly spawned?: (actor: Cell) => void;
  /** A message is about to be taken; `host.fire` (`Fire`) is a timer's. */
  readonly delivering?: (actor: Cell, message: Message, from: string) => void;
  /** It has been taken and the new state is committed; its effects have not run. */
  readonly delivered?: (actor: Cell, message: Message, from: string) => void;
  /** The actor is gone; its monitors have not been told. */
  readonly ended?: (actor: Cell, reason: ExitReason) => void;
}
