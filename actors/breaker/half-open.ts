/** A half-open breaker: probes go out under a lease, and what they bring closes it or opens it again. */
import { isPoor, isScore } from './quality.ts';
import { closed, opened } from './state.ts';
import type { Breaker, BreakerReason, BreakerResult, HalfOpenBreaker, ProbeLease } from './state.ts';

/** Whether one more probe may go: all that were let through, wherever they are, are at most `probes`. */
export function hasProbe({ plan, succeeded, failed, out }: HalfOpenBreaker): boolean {
  return succeeded + failed + out.length < plan.probes;
}

/** A probe goes out, with the next ticket. */
export function probeIssued(breaker: HalfOpenBreaker, nowMs: number): HalfOpenBreaker {
  const ticket = breaker.lastTicket + 1;
  const lease: ProbeLease = { ticket, sinceMs: nowMs, endsAtMs: nowMs + breaker.plan.probeMs };
  return { ...breaker, lastTicket: ticket, out: [...breaker.out, lease] };
}

/** A probe has come home. The same breaker when none is out with that ticket: a ticket counts once. */
export function probeEnded(
  breaker: HalfOpenBreaker,
  ticket: number,
  result: BreakerResult,
  score: number | undefined,
  nowMs: number,
): Breaker {
  const { plan, why } = breaker;
  const out = breaker.out.filter((lease) => lease.ticket !== ticket);
  if (out.length === breaker.out.length) return breaker;
  const home = { ...breaker, out };
  if (result === 'unused') return home;
  if (result === 'failure') return probeFailed(home, why === 'quality' ? 'failures' : why, nowMs);
  const isGarbage = result === 'success' && plan.quality !== undefined && isScore(score) && isPoor(plan.quality, score);
  return isGarbage ? probeFailed(home, 'quality', nowMs) : judged({ ...home, succeeded: home.succeeded + 1 }, nowMs);
}

/** One failure is enough, unless calls are judged by the share that fails: then probes are, by the same share. */
function probeFailed(breaker: HalfOpenBreaker, why: BreakerReason, nowMs: number): Breaker {
  const { plan, openings } = breaker;
  const failed = breaker.failed + 1;
  return failed / plan.probes > (plan.sampling?.share ?? 0)
    ? opened(breaker, why, openings + 1, nowMs)
    : judged({ ...breaker, failed }, nowMs);
}

function judged(breaker: HalfOpenBreaker, nowMs: number): Breaker {
  const { plan, succeeded, failed, openings } = breaker;
  return succeeded + failed < plan.probes ? breaker : closed(breaker, openings, nowMs);
}

/** The end of the first lease; undefined: no probe is out. */
export function firstLeaseEndMs({ out }: HalfOpenBreaker): number | undefined {
  return out.length === 0 ? undefined : Math.min(...out.map(({ endsAtMs }) => endsAtMs));
}

/** Open once a probe is lost, as of when its lease ended. */
export function leasesPassed(breaker: HalfOpenBreaker, nowMs: number): Breaker {
  const endMs = firstLeaseEndMs(breaker);
  if (endMs === undefined) return breaker;
  if (nowMs >= endMs) return opened(breaker, breaker.why, breaker.openings + 1, endMs);
  return breaker.out.every(({ sinceMs }) => sinceMs <= nowMs)
    ? breaker
    : { ...breaker, out: breaker.out.map((lease) => begunBy(lease, nowMs)) };
}

/** The clock went back behind its beginning: it has its full length from now. */
function begunBy(lease: ProbeLease, nowMs: number): ProbeLease {
  const { ticket, sinceMs, endsAtMs } = lease;
  return sinceMs <= nowMs ? lease : { ticket, sinceMs: nowMs, endsAtMs: nowMs + endsAtMs - sinceMs };
}
