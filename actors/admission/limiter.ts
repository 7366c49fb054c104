/**
 * Limiter: admits calls to one dependency: paced to its rates, capped in flight, and not at all while
 * its breaker is open.
 *
 *     acquire ──▶ granted ───────────────────────────────▶ settle
 *        │           ▲
 *        ├──▶ waiting┴──▶ refused (deadline, breaker open, or too large for lowered limits)
 *        │       └──▶ cancelled (by the caller)
 *        └──▶ refused (too large, a deadline that cannot be met, breaker open, or the line is full)
 *
 * A permit is one reservation: room in flight, one request and the estimated tokens of every rate,
 * and the breaker's leave (in half-open: its one probe ticket) are all taken at the same moment, or
 * none is, and who waits holds nothing. The order is the wait line's: fair among tenants and flows
 * by tokens (by requests when there is no token rate), and the head is never overtaken by a smaller
 * one behind it. Who waits may be raised: it keeps how long it has waited, and is more urgent.
 *
 * Invariants:
 *   - In flight never grows while it is at or above `concurrency` (S6).
 *   - Each rate keeps the promise of `gcra.ts` (S7): in any window, at most rate * window and the
 *     burst, or one largest request where that is larger. A hold stops admissions altogether.
 *   - Breaker open: nobody is granted. Half-open: at most as many as it has probes (S8).
 *   - A waiter is passed by no more than the wait line's bound (L5), and nobody waits for what is
 *     impossible (D7).
 *   - Every acquire is answered exactly once.
 *
 * Not a point of failure: each permit carries what the limiter knew when it granted it (its debts,
 * what it has learned, its breaker). Whoever runs it keeps the latest and the permits that are out,
 * and gives both to its successor (`LimiterInput`), which goes on from there before its first answer.
 * What came home since the latest grant is then forgotten, to the safe side: refunds are, charges
 * are not; and the breaker is told of in facts.
 *
 * Time is the limiter's own, zero at its start: a clock that goes back counts as one that stood
 * still, so nothing is granted twice for the same time, and what was owed is paid off from there on,
 * not after the old reading is passed. Holds and deadlines keep their distance too. The timer alone
 * stays with the host: after a step back it is put right by the next event.
 */
import { ended, isolated, mayIssue, passed, refused as breakerRefused, released, reset, tripped } from '../breaker/breaker.ts';
import type { Breaker } from '../breaker/breaker.ts';
import type { Clock } from '../kernel/clock.ts';
import { fromDecider, NOTHING } from '../kernel/decider.ts';
import type { Decision, DeciderLogic } from '../kernel/decider.ts';
import { reply } from '../kernel/effects.ts';
import type { HostEffect } from '../kernel/effects.ts';
import { invariant } from '../kernel/errors.ts';
import { granted, open, refused, tooLate } from './limiter-answers.ts';
import { look, moved } from './limiter-look.ts';
import { initial } from './limiter-recovery.ts';
import { at, hasRoom } from './limiter-state.ts';
import type { Draft, LimiterState } from './limiter-state.ts';
import { advance, dropped } from './limiter-waiting.ts';
import { countsTokens, earliestMs, held, largestIfTooLarge, reconfigured, settled, sliced } from './regulator.ts';
import type { Cost, LimiterLimits } from './regulator.ts';
import type { Homecoming, LimiterInput, LimiterMessage, LimiterReply } from './messages.ts';
import { aheadOf, joined, leastImportantOf, leveled, raised, waiterOf, withdrawn } from './wait-line.ts';
import type { Waiter } from './wait-line.ts';

export { initial } from './limiter-recovery.ts';
export type { LimiterState } from './limiter-state.ts';
export type { LimiterLimits } from './regulator.ts';
export type { Book, Homecoming, LimiterEffect, LimiterInput, LimiterLook, LimiterMessage, LimiterReply, Permit } from './messages.ts';

// 1. Messages: see `messages.ts`. 2. State: see `limiter-state.ts`, and `limiter-recovery.ts` for the first one.

/** What each settled permit leaves of the ones before it in the mean: about the last hundred count. */
const FADING = 0.99;

// 3. Pure transitions.

export function decide(state: LimiterState, message: LimiterMessage, nowMs: number): Decision<LimiterState> {
  switch (message.type) {
    case 'limiter.acquire':
      return acquire(at(state, nowMs), message);
    case 'limiter.cancel': {
      const waiter = waiterOf(state.line, message.ticket);
      return waiter === undefined ? [state, NOTHING] : cancel(at(state, nowMs), waiter);
    }
    case 'limiter.raise': {
      const line = raised(state.line, message.ticket, message.priority);
      // There may be another head, for whom there is room.
      return line === state.line ? [state, NOTHING] : advance({ ...at(state, nowMs), line }, []);
    }
    case 'limiter.settle':
      return settle(at(state, nowMs), message.items);
    case 'limiter.hold': {
      const now = at(state, nowMs);
      return advance({ ...now, regulator: held(now.regulator, message.untilMs + now.aheadMs) }, []);
    }
    case 'limiter.configure':
      return configure(at(state, nowMs), message.limits);
    case 'limiter.slice': {
      const now = at(state, nowMs);
      return advance({ ...now, regulator: sliced(now.regulator, message.share, message.untilMs + now.aheadMs, now.timeMs) }, []);
    }
    case 'limiter.isolate':
    case 'limiter.release':
    case 'limiter.trip':
    case 'limiter.reset':
      return operate(at(state, nowMs), OPERATIONS[message.type]);
    case 'limiter.look':
      return [state, [reply(message.replyTo, look(at(state, nowMs), message.ticket))]];
    case 'limiter.due':
      // The timer is gone, whichever it was: a newer one may be set a second time, never lost.
      return advance({ ...at(state, nowMs), dueAtMs: undefined }, []);
    default:
      // `effect.failed`: a caller's callback threw. Its permit is out and comes home by `settle`.
      return [state, NOTHING];
  }
}

function acquire(before: Draft, asked: Extract<LimiterMessage, { type: 'limiter.acquire' }>): Decision<LimiterState> {
  const { replyTo, ticket, tenant = '', flow, priority = 0, input, output, slots = 1, whenOpen = 'wait' } = asked;
  invariant(input >= 0 && output >= 0 && slots >= 1, 'costs are checked where the request enters');
  const waitsAlready = before.line.size === 0 ? undefined : waiterOf(before.line, ticket);
  if (waitsAlready !== undefined) {
    // A caller asks again when it believes that the limiter has forgotten; after a restart both may arrive.
    const [without, effects] = cancel(before, waitsAlready);
    const [next, more] = acquire(without, asked);
    return [next, [...effects, ...more]];
  }
  const effects: HostEffect[] = [];
  const state = before.breaker === undefined ? before : moved(before, passed(before.breaker, before.timeMs), effects);
  const { regulator, timeMs } = state;
  const cost: Cost = { input, output, slots };
  const largest = largestIfTooLarge(regulator, cost);
  if (largest !== undefined) return refused(state, replyTo, { at: 'refused', reason: 'too-large', largestTokens: largest }, effects);
  const leave = state.breaker === undefined ? 'yes' : mayIssue(state.breaker, asked.chance ?? 1);
  if (leave === 'no' && whenOpen === 'refuse') {
    const counted = { ...state, breaker: breakerRefused(state.breaker!, timeMs) };
    return refused(counted, replyTo, open(counted), effects);
  }
  const deadlineMs = asked.deadlineMs === undefined ? Infinity : asked.deadlineMs + state.aheadMs;
  const waiter = { ticket, tenant, flow, priority, input, output, slots, replyTo, sinceMs: timeMs, deadlineMs, whenOpen };
  if (deadlineMs !== Infinity) {
    const soonestMs = earliestMs(regulator, waiter, timeMs, aheadOf(state.line, tenant, flow, priority));
    if (deadlineMs < soonestMs) return refused(state, replyTo, tooLate(state, waiter, soonestMs), effects);
  }
  if (state.line.size === 0 && leave !== 'no' && hasRoom(state, slots) && earliestMs(regulator, waiter, timeMs) <= timeMs)
    return granted(state, waiter, effects);
  if (state.line.size < state.capacity) return advance({ ...state, line: joined(state.line, waiter) }, effects);
  const full: LimiterReply = { at: 'refused', reason: 'full', waiting: state.line.size };
  const least = state.sheds ? leastImportantOf(state.line) : undefined;
  if (least === undefined || least.priority >= priority) return refused(state, replyTo, full, effects);
  effects.push(reply(least.replyTo, full));
  const shed = dropped(state, least);
  return advance({ ...shed, line: joined(shed.line, waiter) }, effects);
}

function cancel(state: LimiterState, waiter: Waiter): Decision<LimiterState> {
  const answer: LimiterReply = { at: 'cancelled' };
  return advance({ ...state, line: withdrawn(state.line, waiter.ticket) }, [reply(waiter.replyTo, answer)]);
}

function settle(before: Draft, items: readonly Homecoming[]): Decision<LimiterState> {
  const effects: HostEffect[] = [];
  // They came in the same moment: each of them was in flight with the others.
  const { inFlight } = before;
  let draft = before;
  for (let each = 0; each < items.length; each += 1) draft = settleOne(draft, items[each]!, inFlight, effects);
  return advance(draft, effects);
}

/** @param inFlight slots that were taken when it came */
function settleOne(draft: Draft, home: Homecoming, inFlight: number, effects: HostEffect[]): Draft {
  // A stray one, such as for a limiter that has crashed meanwhile: it must not make room for one more.
  if (draft.inFlight === 0) return draft;
  const { permit, report } = home;
  const { timeMs, regulator } = draft;
  const demanded = draft.line.size > 0 || inFlight * 2 >= regulator.concurrency;
  const learned = settled(regulator, permit.book.regulator.plan, permit, report, demanded, timeMs, permit.grantedMs, inFlight);
  // Refused for quota, and told when: that is for everybody.
  const isHeld = report.end === 'rate-limited' && report.retryAfterMs !== undefined;
  draft.regulator = isHeld ? held(learned, timeMs + report.retryAfterMs) : learned;
  draft.inFlight = Math.max(0, draft.inFlight - permit.slots);
  draft.permitMs *= FADING;
  draft.settled = draft.settled * FADING + 1;
  const { breaker } = draft;
  if (breaker === undefined) return draft;
  return moved(draft, ended(breaker, home.result, permit.ticket, home.score, timeMs), effects);
}

function configure(state: LimiterState, limits: LimiterLimits): Decision<LimiterState> {
  const regulator = reconfigured(state.regulator, limits, state.timeMs);
  // Turns paid in tokens mean nothing among turns paid in requests.
  const line = countsTokens(state.regulator) === countsTokens(regulator) ? state.line : leveled(state.line);
  return advance({ ...state, regulator, line }, []);
}

/** What a person, or the meta-agent, does to the breaker. */
const OPERATIONS = { 'limiter.isolate': isolated, 'limiter.release': released, 'limiter.trip': tripped, 'limiter.reset': reset } as const;

function operate(state: LimiterState, change: (breaker: Breaker, nowMs: number) => Breaker): Decision<LimiterState> {
  const { breaker, timeMs } = state;
  if (breaker === undefined) return [state, NOTHING];
  const effects: HostEffect[] = [];
  return advance(moved(state, change(passed(breaker, timeMs), timeMs), effects), effects);
}

// 4. Logic.

export const limiterLogic = (clock: Clock): DeciderLogic<LimiterState, LimiterMessage, LimiterInput> =>
  fromDecider({ initial, decide }, clock);
