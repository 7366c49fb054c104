/**
 * Restarting: what an ended child sets off.
 *
 *     ended ─▶ counted ─▶ resting (backoff) ─▶ due ─▶ started again, alone or with its group
 *                 └ beyond the intensity ─▶ the supervisor gives up, or the child is suspended
 *
 * A group is everybody (one for all), or those that were started after the child (rest for one).
 * Its members are stopped at once, in reverse order, and started with the child, in order, when it
 * is due. A start that fails counts like an ending, and the group begins anew.
 */
import { cancelTimer, send, setTimer } from '../actors/kernel/effects.ts';
import { addRestart } from './restart-intensity.ts';
import { goOn, startChild, startNext } from './starting.ts';
import { inOrder, isGrouped, noted, put } from './state.ts';
import type { ChildState, Decided, SupervisorEffect, SupervisorMessage, SupervisorState } from './state.ts';
import { stopAll, stopLine, stopNext } from './stopping.ts';

/** A child without an incarnation is to have one again. */
export function restart(state: SupervisorState, child: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { intensity, exhausted } = state.settings;
  const alone = exhausted !== 'shutdown';
  const { restarts, exceeded } = addRestart(alone ? child.restarts : state.restarts, nowMs, intensity);
  if (exceeded) return alone ? exhaust(state, child, nowMs, effects) : giveUp({ ...state, restarts }, child, effects);
  const healthy = child.at === 'running' && nowMs - child.sinceMs >= state.settings.healthyMs;
  const failures = healthy ? 1 : child.failures + 1;
  const resting: ChildState = { ...child, failures, at: 'resting', caller: undefined, ...(alone ? { restarts } : {}) };
  const delayMs = delayOf(state, failures);
  // Also without a delay the restart is a message of its own, so that a stop can come between.
  const due = { type: 'child.restart-due', child: child.id, life: child.life } as SupervisorMessage;
  const timer = delayMs === 0 ? send(state.self, due) : setTimer(restartOf(child.id), nowMs + delayMs / 2, due, delayMs / 2);
  const counted = put(alone ? state : { ...state, restarts }, resting);
  const told = [...effects, noted({ at: 'restarting', child: child.id, inMs: delayMs }), timer];
  return isGrouped(state) ? regroup(counted, resting, false, nowMs, told) : [counted, told];
}

/** The child has rested. */
export function restartDue(state: SupervisorState, child: ChildState, nowMs: number): Decided {
  return isGrouped(state) ? regroup(state, child, true, nowMs, []) : startChild(state, child, nowMs, []);
}

/** The siblings of a group have stopped: it is started, when its culprit has rested. */
export function regrouped(state: SupervisorState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { phase } = state;
  if (phase.at !== 'regrouping' || phase.next < phase.line.length) return [state, effects];
  const culprit = state.children.get(phase.culprit);
  if (!phase.due || culprit === undefined) return [{ ...state, phase: { at: 'running' } }, effects];
  const line = inOrder(state)
    .filter((child) => child === culprit || isInGroupOf(state, culprit, child))
    .map(({ id }) => id);
  return startNext({ ...state, phase: { at: 'starting', line, next: 0, boot: false } }, nowMs, effects);
}

function regroup(state: SupervisorState, culprit: ChildState, due: boolean, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const siblings = inOrder(state).filter((child) => isInGroupOf(state, culprit, child));
  const told = [...effects];
  let now = state;
  // One that was to be restarted by itself starts with the group.
  for (const child of siblings) {
    if (child.at !== 'resting') continue;
    now = put(now, { ...child, at: 'none' });
    told.push(cancelTimer(restartOf(child.id)));
  }
  const phase = { at: 'regrouping', line: stopLine(siblings), next: 0, culprit: culprit.id, due } as const;
  const [stopping, all] = stopNext({ ...now, phase }, told);
  return regrouped(stopping, nowMs, all);
}

function isInGroupOf(state: SupervisorState, culprit: ChildState, child: ChildState): boolean {
  if (child.id === culprit.id) return false;
  return state.settings.strategy === 'one_for_all' || child.order > culprit.order;
}

function giveUp(state: SupervisorState, child: ChildState, effects: readonly SupervisorEffect[]): Decided {
  const fact = noted({ at: 'intensity-exceeded', child: child.id, ...state.settings.intensity });
  return stopAll(put(state, { ...child, at: child.at === 'suspended' ? 'suspended' : 'none' }), { at: 'shutdown' }, [...effects, fact]);
}

/** A child beyond its own intensity is suspended; too many of those, and the supervisor gives up. */
function exhaust(state: SupervisorState, child: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { exhausted } = state.settings;
  const reasons = [...child.reasons.filter((reason) => reason !== EXHAUSTED), EXHAUSTED];
  const spentChild: ChildState = { ...child, at: 'suspended', restarts: [], failures: 0, reasons, caller: undefined };
  const suspended = put(state, spentChild);
  const told = [...effects, noted({ at: 'suspended', child: child.id, reasons })];
  const children = suspended.children.values();
  const spent = children.filter((sibling) => sibling.reasons.includes(EXHAUSTED)).length;
  if (exhausted !== 'shutdown' && spent > exhausted.suspendAboveShare * children.length) {
    return giveUp(suspended, spentChild, told);
  }
  return goOn(suspended, child, nowMs, told);
}

/** Why an exhausted child is suspended. */
export const EXHAUSTED = 'intensity';

function delayOf({ settings: { backoff } }: SupervisorState, failures: number): number {
  // Bounded, for 0 times an infinite power is no number.
  return Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(failures - 1, 60));
}

export const restartOf = (id: string): string => `restart/${id}`;
