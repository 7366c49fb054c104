/** Starting children: one after the other, each when the one before it is ready. */
import { childStarted } from '../actors/kernel/child-spec.ts';
import { cancelTimer, reply, setTimer } from '../actors/kernel/effects.ts';
import { noted, put, refOf, retire } from './state.ts';
import type { ChildState, Decided, SupervisorEffect, SupervisorMessage, SupervisorState } from './state.ts';

/** Starts one child, as its next life. */
export function startChild(state: SupervisorState, child: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { policy, id } = child;
  const starting: ChildState = { ...child, life: child.life + 1, at: 'starting' };
  const start: SupervisorEffect = { type: 'child.start', child: starting };
  if (!isWatched(starting)) return [put(state, starting), [...effects, start]];
  const overdue = { type: 'child.start-overdue', child: id, life: starting.life } as SupervisorMessage;
  return [put(state, starting), [...effects, start, setTimer(overdueOf(id), nowMs + policy.startMs, overdue)]];
}

/** Starts the first of the line that has no incarnation, or ends the phase. */
export function startNext(state: SupervisorState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { phase } = state;
  if (phase.at !== 'starting') return [state, effects];
  for (let next = phase.next; next < phase.line.length; next += 1) {
    const child = state.children.get(phase.line[next]!);
    if (child?.at === 'none' || child?.at === 'resting') {
      return startChild({ ...state, phase: { ...phase, next } }, child, nowMs, effects);
    }
  }
  const ready = phase.boot && state.birth !== undefined ? [childStarted(state.birth)] : [];
  return [{ ...state, phase: { at: 'running' } }, [...effects, ...ready]];
}

/** The child has started. */
export function started(state: SupervisorState, child: ChildState, nowMs: number): Decided {
  const effects: SupervisorEffect[] = [noted({ at: 'started', child: child.id, life: child.life })];
  if (isWatched(child)) effects.push(cancelTimer(overdueOf(child.id)));
  if (child.caller !== undefined) effects.push(reply(child.caller.replyTo, { ok: refOf(state, child) }));
  return goOn(put(state, { ...child, at: 'running', sinceMs: nowMs, caller: undefined }), child, nowMs, effects);
}

/** The child had nothing to do: no incarnation, and no failure. */
export function ignored(state: SupervisorState, child: ChildState, nowMs: number): Decided {
  const effects: SupervisorEffect[] = child.caller === undefined ? [] : [reply(child.caller.replyTo, { ok: 'ignored' })];
  return goOn(retire(state, child), child, nowMs, effects);
}

/** The next of the line, when this child was the one that it waited for. */
export function goOn(state: SupervisorState, { id }: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { phase } = state;
  if (phase.at !== 'starting' || phase.line[phase.next] !== id) return [state, effects];
  return startNext({ ...state, phase: { ...phase, next: phase.next + 1 } }, nowMs, effects);
}

function isWatched({ policy: { ready, startMs } }: ChildState): boolean {
  return ready === 'signalled' && startMs !== Infinity;
}

const overdueOf = (id: string): string => `start/${id}`;
