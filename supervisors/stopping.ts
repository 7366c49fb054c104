/** Stopping children: in reverse order of starting, each gone before the next is told, each with its own deadline. */
import { NOTHING } from '../actors/kernel/decider.ts';
import { exit, reply } from '../actors/kernel/effects.ts';
import type { ExitReason } from '../actors/kernel/effects.ts';
import { inOrder, isAlive, noted, put, retire } from './state.ts';
import type { ChildState, Decided, SupervisorEffect, SupervisorState } from './state.ts';

/** Tells one child to stop. It is gone when its `exited` comes. */
export function stopChild(state: SupervisorState, child: ChildState, effects: readonly SupervisorEffect[]): Decided {
  const stop: SupervisorEffect = { type: 'child.stop', child: child.id, deadlineMs: child.policy.shutdownMs };
  return [put(state, { ...child, at: 'stopping' }), [...effects, stop]];
}

/** Those that are there, last first. */
export function stopLine(children: readonly ChildState[]): string[] {
  return children
    .filter(isAlive)
    .map(({ id }) => id)
    .toReversed();
}

/** Ends the supervisor, its children first. */
export function stopAll(state: SupervisorState, reason: ExitReason, effects: readonly SupervisorEffect[]): Decided {
  const line = stopLine(inOrder(state));
  // What has ended meanwhile has ended; whoever called hears nothing but that the supervisor is gone.
  const held = state.held.filter(({ type }) => type === 'exited');
  const stopping: SupervisorState = { ...state, held, phase: { at: 'stopping', line, next: 0, reason } };
  if (state.template === undefined) return stopNext(stopping, effects);
  // Instances do not know each other: all at once, as OTP does it.
  let now = stopping;
  const told = [...effects];
  for (const id of line) {
    const child = now.children.get(id)!;
    if (child.at === 'stopping') continue;
    const [next, more] = stopChild(now, child, NOTHING);
    now = next;
    told.push(...more);
  }
  return stopNext(now, told);
}

/** Tells the next of the line to stop, or ends the phase that stops them. */
export function stopNext(state: SupervisorState, effects: readonly SupervisorEffect[]): Decided {
  const { phase } = state;
  if (phase.at !== 'stopping' && phase.at !== 'regrouping') return [state, effects];
  for (let next = phase.next; next < phase.line.length; next += 1) {
    const child = state.children.get(phase.line[next]!);
    if (child === undefined || !isAlive(child)) continue;
    const waiting = { ...state, phase: { ...phase, next } };
    return child.at === 'stopping' ? [waiting, effects] : stopChild(waiting, child, effects);
  }
  if (phase.at === 'regrouping') return [{ ...state, phase: { ...phase, next: phase.line.length } }, effects];
  return [state, [...effects, exit(phase.reason)]];
}

/** A child that was to stop is gone, and somebody may have waited for that. */
export function parted(state: SupervisorState, child: ChildState, reason: ExitReason): Decided {
  const { caller, policy, id, life, reasons } = child;
  const effects: SupervisorEffect[] = [];
  if (child.at === 'stopping' && !isObedient(child, reason)) effects.push(noted({ at: 'stop-error', child: id, life, reason }));
  if (caller !== undefined)
    effects.push(reply(caller.replyTo, caller.for === 'start' || caller.for === 'restart' ? endedBy(reason) : 'ok'));
  if (caller?.for === 'terminate' || reasons.length === 0 || policy.restart === 'temporary') return [retire(state, child), effects];
  effects.push(noted({ at: 'suspended', child: id, reasons }));
  return [put(state, { ...child, at: 'suspended', caller: undefined }), effects];
}

/** What a caller is told whose child did not start. */
export function endedBy(reason: ExitReason): { readonly error: 'failed'; readonly cause: unknown } {
  return { error: 'failed', cause: reason.at === 'error' ? reason.error : reason };
}

function isObedient({ policy }: ChildState, reason: ExitReason): boolean {
  if (reason.at === 'shutdown') return true;
  if (reason.at === 'killed') return policy.shutdownMs <= 0;
  return reason.at === 'normal' && policy.restart !== 'permanent';
}
