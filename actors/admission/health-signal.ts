/**
 * Health signal: notices that a dependency fails or slows down, far beyond what is usual for it.
 *
 * Two means of the failures, a quick and a slow one, and two estimates of the p99 latency, each a few
 * numbers: an estimate goes up by 0.99 of its step when a call was slower than it, and down by 0.01 of
 * it when not, so it rests where one call in a hundred is slower. Steps are of the logarithm: what
 * counts is how many times slower, and no bucket bounds need to be known.
 *
 * Promise: no input makes it anything but finite; a latency that makes no sense is not counted.
 * @see Robbins and Monro, "A Stochastic Approximation Method", 1951
 */

export interface HealthSignal {
  readonly calls: number;
  readonly failing: number;
  readonly usuallyFailing: number;
  /** Logarithms of the p99 of the latency, in milliseconds. */
  readonly p99: number;
  readonly usualP99: number;
}

export const UNKNOWN_HEALTH: HealthSignal = { calls: 0, failing: 0, usuallyFailing: 0, p99: 0, usualP99: 0 };

const QUICK = 1 / 20;
const SLOW = 1 / 1_000;
const QUICK_STEP = 0.25;
const SLOW_STEP = 0.01;
/** Nothing is unusual before. */
const LEAST_CALLS = 100;
/** Failures beyond twice the usual and this are a signal. */
const FAILING_RISE = 0.3;
/** So many times slower is a signal. */
const SLOWER = Math.log(3);

/** One more call is over. */
export function withCall(signal: HealthSignal, failed: boolean, latencyMs: number): HealthSignal {
  const calls = signal.calls + 1;
  const share = failed ? 1 : 0;
  const failing = signal.failing + (share - signal.failing) * Math.max(QUICK, 1 / calls);
  const usuallyFailing = signal.usuallyFailing + (share - signal.usuallyFailing) * Math.max(SLOW, 1 / calls);
  // A failure may be as quick as a refusal: only answers say how long an answer takes.
  if (failed || !(latencyMs > 0) || latencyMs === Infinity) return { ...signal, calls, failing, usuallyFailing };
  const now = Math.log(latencyMs);
  // Until there are enough, both learn with large steps.
  const p99 = stepped(signal.calls === 0 ? now : signal.p99, now, QUICK_STEP);
  const usualP99 = stepped(signal.calls === 0 ? now : signal.usualP99, now, calls < LEAST_CALLS ? QUICK_STEP : SLOW_STEP);
  return { calls, failing, usuallyFailing, p99, usualP99 };
}

function stepped(estimate: number, value: number, step: number): number {
  return value > estimate ? estimate + Math.min(0.99 * step, value - estimate) : estimate - 0.01 * step;
}

export type Unusual = 'failing' | 'slow' | undefined;

/** What is far from usual, if anything. */
export function unusual({ calls, failing, usuallyFailing, p99, usualP99 }: HealthSignal): Unusual {
  if (calls < LEAST_CALLS) return undefined;
  if (failing > 2 * usuallyFailing + FAILING_RISE) return 'failing';
  return p99 > usualP99 + SLOWER ? 'slow' : undefined;
}
