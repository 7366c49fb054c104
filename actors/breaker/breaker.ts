/**
 * Breaker: stops calls to a dependency that fails, and finds out with few calls when it is well again.
 *
 *               too many failures, or replies too poor
 *     closed ────────────────────────────────────────────▶ open ◀──────────────┐
 *        ▲                                                  │ its rest is over │ a probe failed,
 *        │               every probe came home well         ▼                  │ or is lost
 *        └────────────────────────────────────────────── half-open ────────────┘
 *
 *     any ── isolated, by hand ──▶ isolated ── the last handle released ──▶ closed
 *     any ── reset, by hand ──▶ closed
 *     closed ── tripped, by whoever watches ──▶ open
 *
 * The caller lets time pass (`passed`), asks (`mayIssue`), says that a call is issued (`issued`) and
 * keeps its ticket (`callTicket`), and says once how it ended (`ended`).
 *
 * Invariants:
 *   - Open and isolated: no call is issued. Half-open: at most `probes` of its calls are out, one
 *     unless said (S8).
 *   - A probe holds a ticket under a lease. A ticket counts once, and only for the half-open that gave
 *     it. A lease that ends is a failed probe, so a lost one holds nothing up (D6). A lease is to
 *     outlast the time limit of a call, so that a lost probe is over and not merely late.
 *   - A call that was issued before the breaker last opened changes nothing when it ends: a crowd of
 *     old time-outs does not open a breaker that a probe has just closed.
 *   - Wherever it stands, time and a dependency that answers bring it back to closed (L4), isolation
 *     excepted, which is for people to end.
 *
 * A clock that goes back never makes a rest or a lease longer than its full length from there on.
 *
 * Openings in a row make the rest longer. The row ends when the breaker has stayed closed for as long
 * as it last rested: a dependency that answers single probes and falls under load rests longer each time.
 * @see Nygard, "Release It!", second edition, 2018: the pattern
 */
import { invariant } from '../kernel/errors.ts';
import { callEnded, nextOpening, windowsPassed } from './closed.ts';
import { firstLeaseEndMs, hasProbe, leasesPassed, probeEnded, probeIssued } from './half-open.ts';
import type { BreakerPlan } from './plan.ts';
import { scoresOf } from './quality.ts';
import { refusalShare, requested } from './soft.ts';
import { always, closed, halfOpened, opened } from './state.ts';
import type { Breaker, BreakerResult, ClosedBreaker } from './state.ts';
import { rolled, windowOf } from './window.ts';
import type { Window } from './window.ts';

export { lookAt } from './look.ts';
export type { BreakerLook } from './look.ts';
export { planBreaker } from './plan.ts';
export type { BreakerPlan, BreakerSpec } from './plan.ts';
export type { Breaker, BreakerResult } from './state.ts';

/** A new breaker, closed. */
export function breakerOf(plan: BreakerPlan, nowMs: number): Breaker {
  return closed({ plan, lastTicket: 0, closings: 0, openings: 0, refusals: 0 }, 0, nowMs);
}

/**
 * The breaker after a crash or a restart of whoever held it, under the same plan or another one.
 * Time that has passed meanwhile counts. A probe that was out is taken as lost, but says nothing of
 * the dependency: the breaker is open again for as long as before, and at least until the probe's
 * lease ends, since its call may still be on its way. Isolation stays, with its handles: when nobody
 * is left to release them, `reset` it.
 */
export function restored(plan: BreakerPlan, before: Breaker, nowMs: number): Breaker {
  const breaker = passed({ ...before, plan }, nowMs);
  if (breaker.at === 'closed') return refitted(breaker, nowMs);
  if (breaker.at !== 'half-open') return breaker;
  const anew = opened(breaker, breaker.why, breaker.openings, nowMs);
  if (breaker.out.length === 0) return halfOpened(anew);
  const leasesEndMs = Math.max(...breaker.out.map(({ endsAtMs }) => endsAtMs));
  return { ...anew, untilMs: Math.max(anew.untilMs, leasesEndMs) };
}

/** What time alone changes: a rest that is over, a probe that is lost, windows. The same object when nothing. */
export function passed(breaker: Breaker, nowMs: number): Breaker {
  switch (breaker.at) {
    case 'closed':
      return breaker.sampling === undefined && breaker.soft === undefined ? breaker : windowsPassed(breaker, nowMs);
    case 'open':
      if (nowMs >= breaker.untilMs) return halfOpened(breaker);
      if (nowMs >= breaker.sinceMs) return breaker;
      return { ...breaker, sinceMs: nowMs, untilMs: nowMs + breaker.untilMs - breaker.sinceMs };
    case 'half-open': {
      const after = leasesPassed(breaker, nowMs);
      return after.at === 'open' ? passed(after, nowMs) : after;
    }
    case 'isolated':
      return breaker;
  }
}

/** When time alone next changes what may be issued; undefined: never. */
export function nextAtMs(breaker: Breaker): number | undefined {
  return breaker.at === 'open' ? breaker.untilMs : breaker.at === 'half-open' ? firstLeaseEndMs(breaker) : undefined;
}

/**
 * Whether a call may be issued now. To be asked after `passed`.
 *
 * @param chance a draw from 0 to below 1; only the soft strategy looks at it
 */
export function mayIssue(breaker: Breaker, chance: number): 'yes' | 'probe' | 'no' {
  switch (breaker.at) {
    case 'closed': {
      const { soft } = breaker.plan;
      if (soft === undefined || breaker.soft === undefined) return 'yes';
      return chance < refusalShare(soft, breaker.soft) ? 'no' : 'yes';
    }
    case 'half-open':
      return hasProbe(breaker) ? 'probe' : 'no';
    case 'open':
    case 'isolated':
      return 'no';
  }
}

/** A call is issued, to which `mayIssue` has just not said no. A probe takes its ticket. */
export function issued(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.at === 'closed') return breaker.soft === undefined ? breaker : { ...breaker, soft: requested(rolled(breaker.soft, nowMs)) };
  invariant(breaker.at === 'half-open' && hasProbe(breaker), `no call is issued: the breaker is ${breaker.at} and has no probe to give`);
  return probeIssued(breaker, nowMs);
}

/** Right after `issued`: the ticket of the probe, above 0; 0 when the call is none. */
export function probeTicket(breaker: Breaker): number {
  return breaker.at === 'half-open' ? (breaker.out.at(-1)?.ticket ?? 0) : 0;
}

/**
 * Right after `issued`: the ticket of whatever call it was. Above 0 for a probe; for another call, below
 * 0 and the same for all of one closed time, so that it is known for an old one after the next.
 */
export function callTicket(breaker: Breaker): number {
  return breaker.at === 'closed' ? -breaker.closings : probeTicket(breaker);
}

/** A call is refused for good because `mayIssue` said no: counted for people, and by the soft strategy. */
export function refused(breaker: Breaker, nowMs: number): Breaker {
  const refusals = breaker.refusals + 1;
  if (breaker.at !== 'closed' || breaker.soft === undefined) return { ...breaker, refusals };
  return { ...breaker, refusals, soft: requested(rolled(breaker.soft, nowMs)) };
}

/**
 * How a call ended, once. What comes for an older time of the breaker changes nothing, and neither
 * does anything that comes while it is open or isolated.
 *
 * @param ticket what `callTicket` said; or that of a probe and 0 for any other call, which then
 *   counts whenever the breaker is closed, however long ago it was issued
 * @param score quality of the reply, from 0 to 1; undefined: not scored. Looked at for a success only
 */
export function ended(breaker: Breaker, result: BreakerResult, ticket: number, score: number | undefined, nowMs: number): Breaker {
  const now = passed(breaker, nowMs);
  if (now.at === 'closed') return ticket === 0 || ticket === -now.closings ? callEnded(now, result, score, nowMs) : now;
  return now.at === 'half-open' ? probeEnded(now, ticket, result, score, nowMs) : now;
}

/** Takes a handle: nothing is issued until every handle is released, whatever the dependency does. */
export function isolated(breaker: Breaker, _nowMs: number): Breaker {
  if (breaker.at === 'isolated') return { ...breaker, handles: breaker.handles + 1 };
  return { at: 'isolated', ...always(breaker), handles: 1 };
}

/** Gives a handle back; the last one closes. No effect when it is not isolated: `reset` has taken all handles. */
export function released(breaker: Breaker, nowMs: number): Breaker {
  if (breaker.at !== 'isolated') return breaker;
  return breaker.handles > 1 ? { ...breaker, handles: breaker.handles - 1 } : closed(breaker, 0, nowMs);
}

/** Opens, for whoever watches knows better than the calls do; its own probes close it again. No effect unless it is closed. */
export function tripped(breaker: Breaker, nowMs: number): Breaker {
  return breaker.at === 'closed' ? opened(breaker, 'tripped', nextOpening(breaker, nowMs), nowMs) : breaker;
}

/** Closes at once, by hand, as if new. Isolation ends with all its handles. */
export function reset(breaker: Breaker, nowMs: number): Breaker {
  return closed(breaker, 0, nowMs);
}

/** Keeps what was counted where the plan still counts it in the same way. */
function refitted(breaker: ClosedBreaker, nowMs: number): Breaker {
  const { sampling, soft, quality } = breaker.plan;
  const fresh = quality && scoresOf(quality.outOf);
  return {
    ...breaker,
    sampling: refittedWindow(breaker.sampling, sampling?.windowMs, nowMs),
    soft: refittedWindow(breaker.soft, soft?.windowMs, nowMs),
    scores: breaker.scores?.outOf === fresh?.outOf ? breaker.scores : fresh,
  };
}

function refittedWindow(window: Window | undefined, windowMs: number | undefined, nowMs: number): Window | undefined {
  if (windowMs === undefined) return undefined;
  const fresh = windowOf(windowMs, nowMs);
  return window?.sliceMs === fresh.sliceMs ? window : fresh;
}
