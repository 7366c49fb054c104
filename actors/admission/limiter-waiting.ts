/**
 * Limiter waiting: what becomes of those who wait, whenever something has happened: who is too late is refused, who
 * may go is admitted in the order of the line, and the timer is set for the next moment at which time alone would
 * change something.
 */
import { mayIssue, nextAtMs, passed } from '../breaker/breaker.ts';
import type { Decision } from '../kernel/decider.ts';
import { cancelTimer, reply, setTimer } from '../kernel/effects.ts';
import type { HostEffect } from '../kernel/effects.ts';
import { granted, open, tooLate } from './limiter-answers.ts';
import { moved } from './limiter-look.ts';
import { hasLeave, hasRoom, toHostMs } from './limiter-state.ts';
import type { LimiterState } from './limiter-state.ts';
import type { LimiterMessage, LimiterReply } from './messages.ts';
import { countsTokens, earliestMs, largestIfTooLarge } from './regulator.ts';
import { headGone, headOf, mostUrgentOf, refusersOf, withdrawn } from './wait-line.ts';
import type { Waiter } from './wait-line.ts';

/** Above the distance between two neighbouring clock readings of this century. */
const CLOCK_GRAIN_MS = 0.001;

const TIMER = 'due';
const DUE: LimiterMessage = { type: 'limiter.due' };

/** Whatever has happened: refuses who is too late, admits who may go, and sets the timer for the next. */
export function advance(state: LimiterState, effects: HostEffect[]): Decision<LimiterState> {
  if (state.line.size === 0 && state.dueAtMs === undefined) return [state, effects];
  let next = state.breaker === undefined ? state : moved(state, passed(state.breaker, state.timeMs), effects);
  if (next.breaker !== undefined && mayIssue(next.breaker, 1) === 'no') next = turnedAway(next, effects);
  // Before anybody is admitted, since nobody is served after his deadline.
  next = admit(expire(next, -Infinity, effects), effects);
  // Whose deadline is now does not go any more; the head behind him may be smaller, or have become too large.
  for (let rest = expire(next, next.timeMs, effects); rest !== next; rest = expire(next, next.timeMs, effects)) next = admit(rest, effects);
  return rearm(next, effects);
}

/** The breaker is open: those who do not want to wait for it are told so. */
function turnedAway(state: LimiterState, effects: HostEffect[]): LimiterState {
  let next = state;
  for (const waiter of refusersOf(state.line)) {
    effects.push(reply(waiter.replyTo, open(state)));
    next = dropped(next, waiter);
  }
  return next;
}

/** Refuses the most urgent ones, as long as their deadline comes before the rates allow them, or has come by `passedMs`. */
function expire(state: LimiterState, passedMs: number, effects: HostEffect[]): LimiterState {
  let next = state;
  for (let urgent = mostUrgentOf(next.line); urgent !== undefined; urgent = mostUrgentOf(next.line)) {
    const soonestMs = earliestMs(next.regulator, urgent, next.timeMs);
    if (urgent.deadlineMs >= soonestMs && urgent.deadlineMs > passedMs) break;
    effects.push(reply(urgent.replyTo, tooLate(next, urgent, soonestMs)));
    next = dropped(next, urgent);
  }
  return next;
}

function admit(state: LimiterState, effects: HostEffect[]): LimiterState {
  let next = state;
  for (let head = headOf(next.line); head !== undefined; head = headOf(next.line)) {
    const largest = largestIfTooLarge(next.regulator, head);
    if (largest !== undefined) {
      // The limits were lowered while it waited.
      effects.push(reply(head.replyTo, { at: 'refused', reason: 'too-large', largestTokens: largest } satisfies LimiterReply));
      next = dropped(next, head);
      continue;
    }
    const soonestMs = earliestMs(next.regulator, head, next.timeMs);
    if (head.deadlineMs < soonestMs) {
      effects.push(reply(head.replyTo, tooLate(next, head, soonestMs)));
      next = dropped(next, head);
      continue;
    }
    if (!hasLeave(next) || !hasRoom(next, head.slots) || soonestMs > next.timeMs) break;
    // The head pays its turn in what the rates count.
    const cost = countsTokens(next.regulator) ? Math.max(1, head.input + head.output) : 1;
    next = granted({ ...next, line: headGone(next.line, cost) }, head, effects)[0];
  }
  return next;
}

/** A waiter has been refused. */
export function dropped(state: LimiterState, waiter: Waiter): LimiterState {
  return { ...state, line: withdrawn(state.line, waiter.ticket), refused: state.refused + 1 };
}

function rearm(state: LimiterState, effects: HostEffect[]): Decision<LimiterState> {
  const dueAtMs = nextDueAtMs(state);
  if (dueAtMs === state.dueAtMs) return [state, effects];
  effects.push(dueAtMs === undefined ? cancelTimer(TIMER) : setTimer(TIMER, dueAtMs, DUE));
  return [{ ...state, dueAtMs }, effects];
}

/** When time alone changes something, in the host's time. Room in flight comes with an event of its own. */
function nextDueAtMs(state: LimiterState): number | undefined {
  const head = headOf(state.line);
  if (head === undefined) return undefined;
  const { breaker } = state;
  const headMs = hasLeave(state) && hasRoom(state, head.slots) ? earliestMs(state.regulator, head, state.timeMs) : Infinity;
  const breakerMs = (breaker && nextAtMs(breaker)) ?? Infinity;
  const ownMs = Math.min(headMs, breakerMs, mostUrgentOf(state.line)?.deadlineMs ?? Infinity);
  if (ownMs === Infinity) return undefined;
  const hostMs = toHostMs(state, ownMs);
  // Rounding must not let the timer fire a grain too early, find nothing to do, and be set again for the same time.
  return hostMs + state.aheadMs >= ownMs ? hostMs : hostMs + CLOCK_GRAIN_MS;
}
