/** Limiter look: what the limiter tells of itself, in the host's times: to whoever asks, and when its breaker has moved. */
import { lookAt, mayIssue, nextAtMs, passed } from '../breaker/breaker.ts';
import type { Breaker, BreakerLook } from '../breaker/breaker.ts';
import type { HostEffect, OwnEffect } from '../kernel/effects.ts';
import { toHostMs } from './limiter-state.ts';
import type { Draft, LimiterState } from './limiter-state.ts';
import type { LimiterEffect, LimiterLook } from './messages.ts';
import { countsTokens, earliestMs, owedBy } from './regulator.ts';
import { headOf, positionOf } from './wait-line.ts';

/** What a turn costs where no tokens are counted. */
const ONE_TURN = (): number => 1;

/** The breaker is another one now; whoever runs the limiter is told when it has changed its condition. */
export function moved(state: Draft, breaker: Breaker, effects: HostEffect[]): Draft {
  const before = state.breaker!;
  if (breaker === before) return state;
  const next = { ...state, breaker };
  if (hasMoved(before, breaker)) effects.push(noted(next) as OwnEffect as HostEffect);
  return next;
}

/** Whether it is in another condition. It may have been open meanwhile: then this half-open is another one. */
export function hasMoved(before: Breaker, after: Breaker): boolean {
  return after.at !== before.at || after.openings !== before.openings;
}

/** What whoever runs the limiter is told. */
export function noted({ regulator, breaker, aheadMs }: LimiterState): LimiterEffect {
  return { type: 'limiter.noted', book: { regulator, breaker, aheadMs }, breaker: seen(breaker!, aheadMs) };
}

/** With the host's times. */
function seen(breaker: Breaker, aheadMs: number): BreakerLook {
  const looked = lookAt(breaker);
  return looked.untilMs === undefined ? looked : { ...looked, untilMs: looked.untilMs - aheadMs };
}

export function look(state: LimiterState, ticket: number | undefined): LimiterLook {
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
