/**
 * Effects: what a decision wants done, as plain data. The host runs them after the new state is
 * committed, in order. A decision that only names its wishes can be tested, replayed and explored.
 */
import { invariant } from './errors.ts';

/** The address of an actor within its host: a path such as `inbox/agents/triage/3`. */
export type ActorId = string;

/** Anything that is sent: commands are verbs, replies and facts are past participles. */
export interface Message {
  readonly type: string;
}

/** Where an answer to one question goes. Made by `Host.ask`, used up by one `reply`. */
export type ReplyTo = number;

/** The control lane is served before the work lane: stop, exit and steering overtake work. */
export type Lane = 'control' | 'work';

/** Why an incarnation ended. `shutdown` is a normal ending that somebody asked for. */
export type ExitReason =
  | { readonly at: 'normal' }
  | { readonly at: 'shutdown' }
  /** Did not stop by its deadline, or was told to die at once. */
  | { readonly at: 'killed' }
  | { readonly at: 'error'; readonly error: unknown };

/** Sent to every monitor of an actor, once, after it is gone. */
export interface Exited extends Message {
  readonly type: 'exited';
  readonly id: ActorId;
  /** Which life of that address ended; a supervisor ignores the late news of an older one. */
  readonly incarnation: number;
  /** False when it threw in its very first turn: the start failed. */
  readonly started: boolean;
  readonly reason: ExitReason;
}

/** Asks a graceful actor to end by itself before its deadline. */
export interface StopRequested extends Message {
  readonly type: 'stop.requested';
}

/** What every host understands; an actor may have effects of its own beside these. */
export type HostEffect =
  | { readonly type: 'send'; readonly to: ActorId; readonly message: Message; readonly lane: Lane }
  | { readonly type: 'reply'; readonly to: ReplyTo; readonly value: unknown }
  /**
   * Sends `message` to the actor itself at `atMs` (absolute), or up to `jitterMs` later: chance is
   * the host's, so that a decision needs none. A timer of the same key is replaced.
   */
  | { readonly type: 'timer.set'; readonly key: string; readonly atMs: number; readonly jitterMs: number; readonly message: Message }
  | { readonly type: 'timer.cancel'; readonly key: string }
  /** Ends the actor itself, after this turn. */
  | { readonly type: 'exit'; readonly reason: ExitReason };

export const send = (to: ActorId, message: Message, lane: Lane = 'work'): HostEffect => ({ type: 'send', to, message, lane });
export const reply = (to: ReplyTo, value: unknown): HostEffect => ({ type: 'reply', to, value });
export const setTimer = (key: string, atMs: number, message: Message, jitterMs = 0): HostEffect => ({
  type: 'timer.set',
  key,
  atMs,
  jitterMs,
  message,
});
export const cancelTimer = (key: string): HostEffect => ({ type: 'timer.cancel', key });
export const exit = (reason: ExitReason): HostEffect => ({ type: 'exit', reason });

/** An effect of an actor's own, run by the `perform` that it was spawned with. */
export interface OwnEffect {
  readonly type: string;
}

/** The effects of the turn that is being taken. Turns are synchronous, so one slot is enough. */
let outbox: OwnEffect[] | undefined;

/** Begins a turn: what is emitted until `endTurn` goes into `into`. For hosts only. */
export function beginTurn(into: OwnEffect[]): void {
  invariant(outbox === undefined, 'a turn is never taken inside another one');
  outbox = into;
}

/** Ends the turn; in a `finally`, so that a throw does not leave it open. */
export function endTurn(): void {
  outbox = undefined;
}

/** Emits an effect from an XState action. Outside a turn it is a bug: nobody would run it. */
export function emit(effect: OwnEffect): void {
  invariant(outbox !== undefined, `effect ${effect.type} emitted outside a turn: spawn this actor with a host`);
  outbox.push(effect);
}
