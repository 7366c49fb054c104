/**
 * Limiter: admits calls to one dependency, paced to its rates and capped in flight.
 *
 *     acquire ──▶ granted ───────────────────────────────▶ settle
 *        │           ▲
 *        ├──▶ waiting┴──▶ refused (deadline, or too large for lowered limits)
 *        │       └──▶ cancelled (by the caller)
 *        └──▶ refused (too large, or a deadline that cannot be met)
 *
 * A permit is one reservation over all dimensions: room in flight, one request of the request rate
 * and the estimated tokens of the token rate are all taken at the same moment, or none is, and who
 * waits holds nothing. The order is the wait line's: fair among flows by tokens (by requests when
 * there is no token rate), and the head is never overtaken by a smaller one behind it.
 *
 * Invariants:
 *   - In flight never grows while it is at or above `concurrency` (S6).
 *   - Each rate keeps the promise of `gcra.ts` (S7): in any window, at most rate * window and the
 *     burst, or one largest request where that is larger. A hold stops admissions altogether.
 *   - A waiter is passed by no more than the wait line's bound (L5), and nobody waits for what is
 *     impossible (D7).
 *   - Every acquire is answered exactly once.
 *
 * Time is the limiter's own, zero at its start: a clock that goes back counts as one that stood
 * still, so nothing is granted twice for the same time, and what was owed is paid off from there on,
 * not after the old reading is passed. Holds and deadlines keep their distance too. The timer alone
 * stays with the host: after a step back it is put right by the next event.
 *
 * What joins the same reservation later (an adaptive rate, the breaker, the budget) joins in three
 * places: `earliestMs` and `hasRoom` ask it, `charged` takes it, `settle` gives it back.
 */
import type { Clock } from './kernel/clock.ts';
import { fromDecider, NOTHING } from './kernel/decider.ts';
import type { Decision, DeciderLogic } from './kernel/decider.ts';
import { cancelTimer, reply, setTimer } from './kernel/effects.ts';
import type { HostEffect, ReplyTo } from './kernel/effects.ts';
import { invariant } from './kernel/errors.ts';
import { allowedAtMs, charge, NOTHING_OWED, owed, paceOf, refund, repace } from './gcra.ts';
import type { Pace } from './gcra.ts';
import { EMPTY_LINE, headGone, headOf, joined, leveled, mostUrgentOf, waiterOf, waitingIn, withdrawn } from './wait-line.ts';
import type { Waiter, WaitLine } from './wait-line.ts';

/** What the dependency allows. What is left out is not limited. The topology checks them. */
export interface LimiterLimits {
  /** Above 0. */
  readonly requestsPerMinute?: number;
  /** Above 0. */
  readonly tokensPerMinute?: number;
  /** Calls in flight; at least 1. */
  readonly concurrency?: number;
  /** The part of the rates that is left unused, from 0 to below 1. Concurrency is used in full. Default 0.1. */
  readonly safetyMargin?: number;
  /** How much of the rates may be saved up while idle, in milliseconds. Default 1,000. */
  readonly burstMs?: number;
}

// 1. Messages.

export type LimiterMessage =
  /** Asks for a permit. Answered by a `LimiterReply`, now or later. A ticket that waits is asked anew from the end of its flow. */
  | {
      readonly type: 'limiter.acquire';
      readonly replyTo: ReplyTo;
      /** The caller's name for this request, unique among those who wait. */
      readonly ticket: number;
      /** Whom to be fair to: the worker, or the kind. */
      readonly flow: string;
      /** The estimate; at least 0. */
      readonly tokens: number;
      /** Granted no later than this, or refused. */
      readonly deadlineMs?: number;
    }
  /** Stops waiting: nothing is charged, the answer is `cancelled`. No effect on a ticket that does not wait. */
  | { readonly type: 'limiter.cancel'; readonly ticket: number }
  /** A permit comes home, once, whatever became of the call. No effect when none is out. */
  | {
      readonly type: 'limiter.settle';
      /** As granted. */
      readonly charged: number;
      /** Tokens that the call really used; null: unknown, so the estimate stays charged. */
      readonly used: number | null;
    }
  /** The provider said Retry-After: nothing is admitted before. An earlier time than before has no effect. */
  | { readonly type: 'limiter.hold'; readonly untilMs: number }
  /** Other limits from now on. Debts, holds and calls in flight stay. */
  | { readonly type: 'limiter.configure'; readonly limits: LimiterLimits }
  /** Asks for a `LimiterLook`. */
  | { readonly type: 'limiter.look'; readonly replyTo: ReplyTo }
  /** The limiter's own timer. */
  | { readonly type: 'limiter.due' };

/** The answer to `limiter.acquire`. */
export type LimiterReply =
  | {
      readonly at: 'granted';
      /** Tokens charged, for `limiter.settle`: the estimate, or 0 when there is no token rate. */
      readonly charged: number;
      readonly waitedMs: number;
    }
  /** By `limiter.cancel`, or because the same ticket asked again. */
  | { readonly at: 'cancelled' }
  /** Asks for more tokens than a minute of the rate has, after the margin. It could never go. */
  | { readonly at: 'refused'; readonly reason: 'too-large'; readonly largestTokens: number }
  /** Cannot go by its deadline. Nothing was taken. */
  | {
      readonly at: 'refused';
      readonly reason: 'deadline';
      readonly waitedMs: number;
      /** The earliest that the rates and a hold would have allowed it. */
      readonly earliestMs: number;
    };

/** The answer to `limiter.look`. Times are of the host's clock. */
export interface LimiterLook {
  readonly limits: LimiterLimits;
  readonly waiting: number;
  /** Tokens that they ask for together. */
  readonly waitingTokens: number;
  readonly inFlight: number;
  /** Since the start. */
  readonly granted: number;
  /** Since the start, for whatever reason. */
  readonly refused: number;
  /** Admitted and not yet paid off at the rate: the burst less this is what may go at once. */
  readonly owedRequests: number;
  readonly owedTokens: number;
  /** End of the provider's hold; null when there is none. */
  readonly heldUntilMs: number | null;
  /** When the rates and a hold allow the next admission; null: now, so only room in flight may be missing. */
  readonly nextAtMs: number | null;
  /**
   * How long a newcomer of their average size would wait if it went after all who wait: exact for rates and hold, a guess
   * from the recent mean time of a permit for room in flight. A flow of few waiters goes sooner.
   */
  readonly estimateMs: number;
}

export interface LimiterInput {
  readonly limits: LimiterLimits;
  /** Permits that are out already: a limiter that takes over from a crashed one. Default 0. */
  readonly inFlight?: number;
}

// 2. State.

/** The limits, worked out. */
interface Plan {
  readonly limits: LimiterLimits;
  readonly requests: Pace | undefined;
  readonly tokens: Pace | undefined;
  readonly concurrency: number;
  /** Tokens of one request at most: a whole minute of the rate. */
  readonly largestTokens: number;
}

/** Times are the limiter's own, except `dueAtMs`. */
export interface LimiterState {
  readonly plan: Plan;
  readonly requestsTatMs: number;
  readonly tokensTatMs: number;
  readonly inFlight: number;
  readonly heldUntilMs: number;
  readonly line: WaitLine;
  /** The latest event. */
  readonly timeMs: number;
  /** Own time less the host's. Grows by each step that the clock takes back. */
  readonly aheadMs: number;
  /** What the timer is set to, in the host's time. */
  readonly dueAtMs: number | undefined;
  readonly granted: number;
  readonly refused: number;
  /** Time that permits were out, and permits that came home: both fade, so their quotient is a recent mean. */
  readonly permitMs: number;
  readonly settled: number;
}

const DEFAULT_SAFETY_MARGIN = 0.1;
const DEFAULT_BURST_MS = 1_000;

/** What each settled permit leaves of the ones before it in the mean: about the last hundred count. */
const FADING = 0.99;

/** Above the distance between two neighbouring clock readings of this century. */
const CLOCK_GRAIN_MS = 0.001;

const TIMER = 'due';
const DUE: LimiterMessage = { type: 'limiter.due' };

export function initial(input: LimiterInput, nowMs: number): Decision<LimiterState> {
  const state: LimiterState = {
    plan: planOf(input.limits),
    requestsTatMs: NOTHING_OWED,
    tokensTatMs: NOTHING_OWED,
    inFlight: input.inFlight ?? 0,
    heldUntilMs: -Infinity,
    line: EMPTY_LINE,
    timeMs: 0,
    aheadMs: -nowMs,
    dueAtMs: undefined,
    granted: 0,
    refused: 0,
    permitMs: 0,
    settled: 0,
  };
  return [state, NOTHING];
}

function planOf(limits: LimiterLimits): Plan {
  const {
    requestsPerMinute,
    tokensPerMinute,
    concurrency = Infinity,
    safetyMargin = DEFAULT_SAFETY_MARGIN,
    burstMs = DEFAULT_BURST_MS,
  } = limits;
  const share = 1 - safetyMargin;
  return {
    limits,
    requests: requestsPerMinute === undefined ? undefined : paceOf(requestsPerMinute * share, burstMs),
    tokens: tokensPerMinute === undefined ? undefined : paceOf(tokensPerMinute * share, burstMs),
    concurrency,
    largestTokens: tokensPerMinute === undefined ? Infinity : tokensPerMinute * share,
  };
}

// 3. Pure transitions.

export function decide(state: LimiterState, message: LimiterMessage, nowMs: number): Decision<LimiterState> {
  switch (message.type) {
    case 'limiter.acquire':
      return acquire(at(state, nowMs), message);
    case 'limiter.cancel': {
      const waiter = waiterOf(state.line, message.ticket);
      return waiter === undefined ? [state, NOTHING] : cancel(at(state, nowMs), waiter);
    }
    case 'limiter.settle':
      return settle(at(state, nowMs), message.charged, message.used);
    case 'limiter.hold': {
      const now = at(state, nowMs);
      return advance({ ...now, heldUntilMs: Math.max(now.heldUntilMs, message.untilMs + now.aheadMs) }, []);
    }
    case 'limiter.configure':
      return configure(at(state, nowMs), planOf(message.limits));
    case 'limiter.look':
      return [state, [reply(message.replyTo, look(at(state, nowMs)))]];
    case 'limiter.due':
      // The timer is gone, whichever it was: a newer one may be set a second time, never lost.
      return advance({ ...at(state, nowMs), dueAtMs: undefined }, []);
    default:
      // `effect.failed`: a caller's callback threw. Its permit is out and comes home by `settle`.
      return [state, NOTHING];
  }
}

/** The state at the host's `nowMs`. */
function at(state: LimiterState, nowMs: number): LimiterState {
  const timeMs = nowMs + state.aheadMs;
  if (timeMs < state.timeMs) return { ...state, aheadMs: state.timeMs - nowMs };
  return { ...state, timeMs, permitMs: state.permitMs + state.inFlight * (timeMs - state.timeMs) };
}

function acquire(state: LimiterState, asked: Extract<LimiterMessage, { type: 'limiter.acquire' }>): Decision<LimiterState> {
  const { replyTo, ticket, flow, tokens } = asked;
  invariant(tokens >= 0, 'tokens are checked where the request enters');
  const waitsAlready = waiterOf(state.line, ticket);
  if (waitsAlready !== undefined) {
    // A caller asks again when it believes that the limiter has forgotten; after a restart both may arrive.
    const [without, effects] = cancel(state, waitsAlready);
    const [next, more] = acquire(without, asked);
    return [next, [...effects, ...more]];
  }
  if (tokens > state.plan.largestTokens) return [{ ...state, refused: state.refused + 1 }, [tooLarge(state, replyTo)]];
  const deadlineMs = asked.deadlineMs === undefined ? Infinity : asked.deadlineMs + state.aheadMs;
  const waiter = { ticket, flow, tokens, replyTo, sinceMs: state.timeMs, deadlineMs };
  if (deadlineMs !== Infinity) {
    const before = waitingIn(state.line, flow);
    const soonestMs = earliestMs(state, tokens, before.requests, before.tokens);
    if (deadlineMs < soonestMs) return [{ ...state, refused: state.refused + 1 }, [tooLate(state, waiter, soonestMs)]];
  }
  if (state.line.size === 0 && hasRoom(state) && earliestMs(state, tokens) <= state.timeMs)
    return [charged(state, tokens), [granted(state, waiter)]];
  return advance({ ...state, line: joined(state.line, waiter) }, []);
}

function cancel(state: LimiterState, waiter: Waiter): Decision<LimiterState> {
  const answer: LimiterReply = { at: 'cancelled' };
  return advance({ ...state, line: withdrawn(state.line, waiter.ticket) }, [reply(waiter.replyTo, answer)]);
}

function settle(state: LimiterState, chargedTokens: number, used: number | null): Decision<LimiterState> {
  // A stray one, such as for a limiter that has crashed meanwhile: it must not make room for one more.
  if (state.inFlight === 0) return [state, NOTHING];
  const { tokens } = state.plan;
  const more = used === null || tokens === undefined ? 0 : used - chargedTokens;
  let { tokensTatMs } = state;
  if (more > 0) tokensTatMs = charge(tokens!, tokensTatMs, more, state.timeMs);
  if (more < 0) tokensTatMs = refund(tokens!, tokensTatMs, -more, state.timeMs);
  return advance(
    { ...state, tokensTatMs, inFlight: state.inFlight - 1, permitMs: state.permitMs * FADING, settled: state.settled * FADING + 1 },
    [],
  );
}

function configure(state: LimiterState, plan: Plan): Decision<LimiterState> {
  const { requests, tokens } = state.plan;
  return advance(
    {
      ...state,
      plan,
      requestsTatMs: requests && plan.requests ? repace(requests, plan.requests, state.requestsTatMs, state.timeMs) : NOTHING_OWED,
      tokensTatMs: tokens && plan.tokens ? repace(tokens, plan.tokens, state.tokensTatMs, state.timeMs) : NOTHING_OWED,
      // Turns paid in tokens mean nothing among turns paid in requests.
      line: (tokens === undefined) === (plan.tokens === undefined) ? state.line : leveled(state.line),
    },
    [],
  );
}

/** Whatever has happened: refuses who is too late, admits who may go, and sets the timer for the next. */
function advance(state: LimiterState, effects: HostEffect[]): Decision<LimiterState> {
  if (state.line.size === 0 && state.dueAtMs === undefined) return [state, effects];
  // Before anybody is admitted, since nobody is served after his deadline.
  let next = admit(expire(state, -Infinity, effects), effects);
  // Whose deadline is now does not go any more; the head behind him may be smaller, or have become too large.
  for (let rest = expire(next, next.timeMs, effects); rest !== next; rest = expire(next, next.timeMs, effects)) next = admit(rest, effects);
  return rearm(next, effects);
}

/** Refuses the most urgent ones, as long as their deadline comes before the rates allow them, or has come by `passedMs`. */
function expire(state: LimiterState, passedMs: number, effects: HostEffect[]): LimiterState {
  let next = state;
  for (let urgent = mostUrgentOf(next.line); urgent !== undefined; urgent = mostUrgentOf(next.line)) {
    const soonestMs = earliestMs(next, urgent.tokens);
    if (urgent.deadlineMs >= soonestMs && urgent.deadlineMs > passedMs) break;
    effects.push(tooLate(next, urgent, soonestMs));
    next = dropped(next, urgent);
  }
  return next;
}

function admit(state: LimiterState, effects: HostEffect[]): LimiterState {
  let next = state;
  for (let head = headOf(next.line); head !== undefined; head = headOf(next.line)) {
    if (head.tokens > next.plan.largestTokens) {
      // The limits were lowered while it waited.
      effects.push(tooLarge(next, head.replyTo));
      next = dropped(next, head);
    } else {
      const soonestMs = earliestMs(next, head.tokens);
      if (head.deadlineMs < soonestMs) {
        effects.push(tooLate(next, head, soonestMs));
        next = dropped(next, head);
        continue;
      }
      if (!hasRoom(next) || soonestMs > next.timeMs) break;
      effects.push(granted(next, head));
      next = gone(next, head);
    }
  }
  return next;
}

/** A waiter has been refused. */
function dropped(state: LimiterState, waiter: Waiter): LimiterState {
  return { ...state, line: withdrawn(state.line, waiter.ticket), refused: state.refused + 1 };
}

/** The head has been granted. */
function gone(state: LimiterState, head: Waiter): LimiterState {
  const cost = state.plan.tokens === undefined ? 1 : Math.max(1, head.tokens);
  return { ...charged(state, head.tokens), line: headGone(state.line, cost) };
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
  const headMs = hasRoom(state) ? earliestMs(state, head.tokens) : Infinity;
  const ownMs = Math.min(headMs, mostUrgentOf(state.line)?.deadlineMs ?? Infinity);
  if (ownMs === Infinity) return undefined;
  const hostMs = toHostMs(state, ownMs);
  // Rounding must not let the timer fire a grain too early, find nothing to do, and be set again for the same time.
  return hostMs + state.aheadMs >= ownMs ? hostMs : hostMs + CLOCK_GRAIN_MS;
}

function hasRoom(state: LimiterState): boolean {
  return state.inFlight < state.plan.concurrency;
}

/** The earliest that rates and hold allow one more, after `requests` others with `tokensBefore` together. */
function earliestMs(state: LimiterState, tokens: number, requests = 0, tokensBefore = 0): number {
  const { plan, timeMs } = state;
  let earliest = Math.max(timeMs, state.heldUntilMs);
  if (plan.requests !== undefined)
    earliest = Math.max(earliest, allowedAtMs(plan.requests, charge(plan.requests, state.requestsTatMs, requests, timeMs), 1));
  if (plan.tokens !== undefined)
    earliest = Math.max(earliest, allowedAtMs(plan.tokens, charge(plan.tokens, state.tokensTatMs, tokensBefore, timeMs), tokens));
  return earliest;
}

/** One more in flight, paid for in every dimension. */
function charged(state: LimiterState, tokens: number): LimiterState {
  const { plan, timeMs } = state;
  return {
    ...state,
    requestsTatMs: plan.requests === undefined ? NOTHING_OWED : charge(plan.requests, state.requestsTatMs, 1, timeMs),
    tokensTatMs: plan.tokens === undefined ? NOTHING_OWED : charge(plan.tokens, state.tokensTatMs, tokens, timeMs),
    inFlight: state.inFlight + 1,
    granted: state.granted + 1,
  };
}

function granted(state: LimiterState, waiter: Pick<Waiter, 'replyTo' | 'tokens' | 'sinceMs'>): HostEffect {
  const chargedTokens = state.plan.tokens === undefined ? 0 : waiter.tokens;
  return reply(waiter.replyTo, { at: 'granted', charged: chargedTokens, waitedMs: state.timeMs - waiter.sinceMs } satisfies LimiterReply);
}

function tooLarge(state: LimiterState, replyTo: ReplyTo): HostEffect {
  return reply(replyTo, { at: 'refused', reason: 'too-large', largestTokens: state.plan.largestTokens } satisfies LimiterReply);
}

function tooLate(state: LimiterState, waiter: Pick<Waiter, 'replyTo' | 'sinceMs'>, soonestMs: number): HostEffect {
  const waitedMs = state.timeMs - waiter.sinceMs;
  return reply(waiter.replyTo, {
    at: 'refused',
    reason: 'deadline',
    waitedMs,
    earliestMs: toHostMs(state, soonestMs),
  } satisfies LimiterReply);
}

function look(state: LimiterState): LimiterLook {
  const { plan, line, timeMs } = state;
  const soonestMs = earliestMs(state, headOf(line)?.tokens ?? 0);
  const averageTokens = line.size === 0 ? 0 : line.tokens / line.size;
  const missingRoom = Math.max(0, state.inFlight + line.size + 1 - plan.concurrency);
  const roomMs =
    missingRoom === 0 || state.settled === 0 ? 0 : (missingRoom * state.permitMs) / state.settled / Math.max(1, plan.concurrency);
  return {
    limits: plan.limits,
    waiting: line.size,
    waitingTokens: line.tokens,
    inFlight: state.inFlight,
    granted: state.granted,
    refused: state.refused,
    owedRequests: plan.requests === undefined ? 0 : owed(plan.requests, state.requestsTatMs, timeMs),
    owedTokens: plan.tokens === undefined ? 0 : owed(plan.tokens, state.tokensTatMs, timeMs),
    heldUntilMs: state.heldUntilMs > timeMs ? toHostMs(state, state.heldUntilMs) : null,
    nextAtMs: soonestMs > timeMs ? toHostMs(state, soonestMs) : null,
    estimateMs: Math.max(earliestMs(state, averageTokens, line.size, line.tokens) - timeMs, roomMs),
  };
}

function toHostMs(state: LimiterState, ownMs: number): number {
  return ownMs - state.aheadMs;
}

// 4. Logic.

export const limiterLogic = (clock: Clock): DeciderLogic<LimiterState, LimiterMessage, LimiterInput> =>
  fromDecider({ initial, decide }, clock);
