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
 * one behind it.
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
import {
  breakerOf,
  callTicket,
  ended,
  issued,
  isolated,
  lookAt,
  mayIssue,
  nextAtMs,
  passed,
  refused as breakerRefused,
  released,
  reset,
  restored,
  tripped,
} from '../breaker/breaker.ts';
import type { Breaker, BreakerLook } from '../breaker/breaker.ts';
import type { Clock } from '../kernel/clock.ts';
import { fromDecider, NOTHING } from '../kernel/decider.ts';
import type { Decision, DeciderLogic } from '../kernel/decider.ts';
import { cancelTimer, reply, setTimer } from '../kernel/effects.ts';
import type { HostEffect, OwnEffect, ReplyTo } from '../kernel/effects.ts';
import { invariant } from '../kernel/errors.ts';
import {
  charged,
  countsTokens,
  earliestMs,
  held,
  largestIfTooLarge,
  owedBy,
  reconfigured,
  regulatorOf,
  settled,
  sliced,
} from './regulator.ts';
import type { Cost, LimiterLimits, Regulator } from './regulator.ts';
import type { Book, LimiterEffect, LimiterInput, LimiterLook, LimiterMessage, LimiterReply, Permit } from './messages.ts';
import {
  aheadOf,
  emptyLine,
  headGone,
  headOf,
  joined,
  leastImportantOf,
  leveled,
  mostUrgentOf,
  positionOf,
  refusersOf,
  waiterOf,
  withdrawn,
} from './wait-line.ts';
import type { Waiter, WaitLine } from './wait-line.ts';

export type { LimiterLimits } from './regulator.ts';
export type { Book, LimiterEffect, LimiterInput, LimiterLook, LimiterMessage, LimiterReply, Permit } from './messages.ts';

// 1. Messages: see `messages.ts`.

// 2. State.

/** Times are the limiter's own, except `dueAtMs`. */
export interface LimiterState {
  readonly regulator: Regulator;
  readonly breaker: Breaker | undefined;
  readonly capacity: number;
  readonly sheds: boolean;
  /** Slots that are taken. */
  readonly inFlight: number;
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

const DEFAULT_CAPACITY = 100_000;
/** How long a successor without a book admits nothing, unless the burst is longer. */
const CAUTION_MS = 1_000;

/** What each settled permit leaves of the ones before it in the mean: about the last hundred count. */
const FADING = 0.99;

/** Above the distance between two neighbouring clock readings of this century. */
const CLOCK_GRAIN_MS = 0.001;

/** What a turn costs where no tokens are counted. */
const ONE_TURN = (): number => 1;

const TIMER = 'due';
const DUE: LimiterMessage = { type: 'limiter.due' };

export function initial(input: LimiterInput, nowMs: number): Decision<LimiterState> {
  const { book, line = {} } = input;
  // In the time of its predecessor, so that what was owed then is owed now.
  const aheadMs = book?.aheadMs ?? -nowMs;
  const timeMs = nowMs + aheadMs;
  const isNew = book === undefined || input.cautious === true;
  const known = isNew ? regulatorOf(input.limits) : reconfigured(book.regulator, input.limits, timeMs);
  const quiet = held(known, (input.heldUntilMs ?? -Infinity) + aheadMs);
  const regulator = input.cautious === true ? held(quiet, timeMs + Math.max(CAUTION_MS, input.limits.burstMs ?? 0)) : quiet;
  const state: LimiterState = {
    regulator,
    breaker: input.breaker && (book?.breaker ? restored(input.breaker, book.breaker, timeMs) : breakerOf(input.breaker, timeMs)),
    capacity: line.capacity ?? DEFAULT_CAPACITY,
    sheds: line.whenFull === 'shed',
    inFlight: input.inFlight ?? 0,
    line: emptyLine(line.weights),
    timeMs,
    aheadMs,
    dueAtMs: undefined,
    granted: 0,
    refused: 0,
    permitMs: 0,
    settled: 0,
  };
  // Its rest may be over meanwhile, or its probe lost: whoever watches is told.
  const hasMoved = book?.breaker !== undefined && state.breaker !== undefined && state.breaker.at !== book.breaker.at;
  return [state, hasMoved ? [noted(state) as OwnEffect as HostEffect] : NOTHING];
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
      return settle(at(state, nowMs), message);
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

/** A state that nobody else has seen yet: whoever made it may write to it. */
type Draft = { -readonly [Field in keyof LimiterState]: LimiterState[Field] };

/** The state at the host's `nowMs`, always a new one. */
function at(state: LimiterState, nowMs: number): Draft {
  const timeMs = nowMs + state.aheadMs;
  if (timeMs < state.timeMs) return { ...state, aheadMs: state.timeMs - nowMs };
  return { ...state, timeMs, permitMs: state.permitMs + state.inFlight * (timeMs - state.timeMs) };
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

function settle(draft: Draft, home: Extract<LimiterMessage, { type: 'limiter.settle' }>): Decision<LimiterState> {
  // A stray one, such as for a limiter that has crashed meanwhile: it must not make room for one more.
  if (draft.inFlight === 0) return [draft, NOTHING];
  const { permit, report } = home;
  const { timeMs, regulator, inFlight } = draft;
  const demanded = draft.line.size > 0 || inFlight * 2 >= regulator.concurrency;
  const effects: HostEffect[] = [];
  const learned = settled(regulator, permit.book.regulator.plan, permit, report, demanded, timeMs, permit.grantedMs, inFlight);
  // Refused for quota, and told when: that is for everybody.
  const isHeld = report.end === 'rate-limited' && report.retryAfterMs !== undefined;
  draft.regulator = isHeld ? held(learned, timeMs + report.retryAfterMs) : learned;
  draft.inFlight = Math.max(0, inFlight - permit.slots);
  draft.permitMs *= FADING;
  draft.settled = draft.settled * FADING + 1;
  const { breaker } = draft;
  if (breaker === undefined) return advance(draft, effects);
  return advance(moved(draft, ended(breaker, home.result, permit.ticket, home.score, timeMs), effects), effects);
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

/** The breaker is another one now; whoever runs the limiter is told when it has changed its condition. */
function moved(state: Draft, breaker: Breaker, effects: HostEffect[]): Draft {
  const before = state.breaker!;
  if (breaker === before) return state;
  const next = { ...state, breaker };
  // It may have been open meanwhile: then this half-open is another one.
  if (breaker.at !== before.at || breaker.openings !== before.openings) effects.push(noted(next) as OwnEffect as HostEffect);
  return next;
}

/** Whatever has happened: refuses who is too late, admits who may go, and sets the timer for the next. */
function advance(state: LimiterState, effects: HostEffect[]): Decision<LimiterState> {
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
function dropped(state: LimiterState, waiter: Waiter): LimiterState {
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

function hasLeave({ breaker }: LimiterState): boolean {
  return breaker === undefined || mayIssue(breaker, 1) !== 'no';
}

/** Room that has been learned may be less than one call takes: it goes alone then. */
function hasRoom({ inFlight, regulator }: LimiterState, slots: number): boolean {
  const { concurrency } = regulator;
  return inFlight + slots <= concurrency || (inFlight === 0 && concurrency >= 1);
}

/** One more in flight, paid for in every dimension. Of every call: the draft is written to, not copied again. */
function granted(state: Draft, waiter: Omit<Waiter, 'arrival'>, effects: HostEffect[]): Decision<LimiterState> {
  const { timeMs, aheadMs } = state;
  const { input, output, slots } = waiter;
  const regulator = charged(state.regulator, waiter, timeMs);
  const breaker = state.breaker === undefined ? undefined : issued(state.breaker, timeMs);
  const ticket = breaker === undefined ? 0 : callTicket(breaker);
  const book: Book = { regulator, breaker, aheadMs };
  const waitedMs = timeMs - waiter.sinceMs;
  const permit: Permit = { at: 'granted', input, output, slots, ticket, waitedMs, grantedMs: timeMs, book };
  effects.push(reply(waiter.replyTo, permit));
  state.regulator = regulator;
  state.breaker = breaker;
  state.inFlight += slots;
  state.granted += 1;
  return [state, effects];
}

function refused(state: LimiterState, replyTo: ReplyTo, answer: LimiterReply, effects: HostEffect[]): Decision<LimiterState> {
  effects.push(reply(replyTo, answer));
  return [{ ...state, refused: state.refused + 1 }, effects];
}

function tooLate(state: LimiterState, waiter: Pick<Waiter, 'sinceMs'>, soonestMs: number): LimiterReply {
  return { at: 'refused', reason: 'deadline', waitedMs: state.timeMs - waiter.sinceMs, earliestMs: toHostMs(state, soonestMs) };
}

function open(state: LimiterState): LimiterReply {
  const untilMs = nextAtMs(state.breaker!);
  return { at: 'refused', reason: 'open', untilMs: untilMs === undefined ? null : toHostMs(state, untilMs) };
}

function noted({ regulator, breaker, aheadMs }: LimiterState): LimiterEffect {
  return { type: 'limiter.noted', book: { regulator, breaker, aheadMs }, breaker: seen(breaker!, aheadMs) };
}

/** With the host's times. */
function seen(breaker: Breaker, aheadMs: number): BreakerLook {
  const looked = lookAt(breaker);
  return looked.untilMs === undefined ? looked : { ...looked, untilMs: looked.untilMs - aheadMs };
}

function look(state: LimiterState, ticket: number | undefined): LimiterLook {
  const { regulator, line, timeMs, breaker } = state;
  const { heldUntilMs, concurrency } = regulator;
  const soonestMs = earliestMs(regulator, headOf(line) ?? { input: 0, output: 0, slots: 1 }, timeMs);
  const count = Math.max(1, line.size);
  const average = { input: line.input / count, output: line.output / count, slots: 1 };
  const missingRoom = Math.max(0, state.inFlight + line.size + 1 - concurrency);
  const roomMs = missingRoom === 0 || state.settled === 0 ? 0 : (missingRoom * state.permitMs) / state.settled / Math.max(1, concurrency);
  const lastMs = earliestMs(regulator, average, timeMs, { requests: line.size, input: line.input, output: line.output });
  const owed = owedBy(regulator, timeMs);
  const now = breaker && passed(breaker, timeMs);
  const openMs = now !== undefined && mayIssue(now, 1) === 'no' ? (nextAtMs(now) ?? Infinity) - timeMs : 0;
  return {
    limits: regulator.plan.limits,
    waiting: line.size,
    waitingTokens: line.tokens,
    inFlight: state.inFlight,
    concurrency,
    granted: state.granted,
    refused: state.refused,
    owedRequests: owed.requests,
    owedTokens: owed.tokens,
    heldUntilMs: heldUntilMs > timeMs ? toHostMs(state, heldUntilMs) : null,
    nextAtMs: soonestMs > timeMs ? toHostMs(state, soonestMs) : null,
    estimateMs: Math.max(lastMs - timeMs, roomMs, openMs),
    position: ticket === undefined ? null : (positionOf(line, ticket, countsTokens(regulator) ? undefined : ONE_TURN) ?? null),
    breaker: now === undefined ? null : seen(now, state.aheadMs),
  };
}

function toHostMs(state: LimiterState, ownMs: number): number {
  return ownMs - state.aheadMs;
}

// 4. Logic.

export const limiterLogic = (clock: Clock): DeciderLogic<LimiterState, LimiterMessage, LimiterInput> =>
  fromDecider({ initial, decide }, clock);
