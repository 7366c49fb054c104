/** Limiter answers: to whoever has asked: a permit, or why there is none. */
import { callTicket, issued, nextAtMs } from '../breaker/breaker.ts';
import type { Decision } from '../kernel/decider.ts';
import { reply } from '../kernel/effects.ts';
import type { HostEffect, ReplyTo } from '../kernel/effects.ts';
import { toHostMs } from './limiter-state.ts';
import type { Draft, LimiterState } from './limiter-state.ts';
import type { Book, LimiterReply, Permit } from './messages.ts';
import { charged } from './regulator.ts';
import type { Waiter } from './wait-line.ts';

/** One more in flight, paid for in every dimension. Of every call: the draft is written to, not copied again. */
export function granted(state: Draft, waiter: Omit<Waiter, 'arrival'>, effects: HostEffect[]): Decision<LimiterState> {
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

export function refused(state: LimiterState, replyTo: ReplyTo, answer: LimiterReply, effects: HostEffect[]): Decision<LimiterState> {
  effects.push(reply(replyTo, answer));
  return [{ ...state, refused: state.refused + 1 }, effects];
}

export function tooLate(state: LimiterState, waiter: Pick<Waiter, 'sinceMs'>, soonestMs: number): LimiterReply {
  return { at: 'refused', reason: 'deadline', waitedMs: state.timeMs - waiter.sinceMs, earliestMs: toHostMs(state, soonestMs) };
}

export function open(state: LimiterState): LimiterReply {
  const untilMs = nextAtMs(state.breaker!);
  return { at: 'refused', reason: 'open', untilMs: untilMs === undefined ? null : toHostMs(state, untilMs) };
}
