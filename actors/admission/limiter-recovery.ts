/**
 * Limiter recovery: where a limiter begins. A new one knows nothing; a successor goes on from what the one before
 * knew and from the room that is out, in its time, before its first answer. One that follows too soon upon another
 * believes nothing of the rates, and admits nothing for a while.
 */
import { breakerOf, restored } from '../breaker/breaker.ts';
import { NOTHING } from '../kernel/decider.ts';
import type { Decision } from '../kernel/decider.ts';
import type { HostEffect, OwnEffect } from '../kernel/effects.ts';
import { hasMoved, noted } from './limiter-look.ts';
import type { LimiterState } from './limiter-state.ts';
import type { LimiterInput } from './messages.ts';
import { held, reconfigured, regulatorOf } from './regulator.ts';
import { emptyLine } from './wait-line.ts';

const DEFAULT_CAPACITY = 100_000;
/** How long a successor without a book admits nothing, unless the burst is longer. */
const CAUTION_MS = 1_000;

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
  const isAnother = book?.breaker !== undefined && state.breaker !== undefined && hasMoved(book.breaker, state.breaker);
  return [state, isAnother ? [noted(state) as OwnEffect as HostEffect] : NOTHING];
}
