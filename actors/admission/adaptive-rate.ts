/**
 * Adaptive rate: finds out what a provider really gives, and stays just below it.
 *
 *     starting ── doubles while it is used ──▶ congested ──▶ following
 *
 *     following:   ceiling ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─/─ ─ congested: a new ceiling
 *                     __________________________________/
 *                   /  return        plateau       probe
 *                  |
 *                  cut
 *
 * It is AIMD's saw-tooth with other teeth, since one that is cut to 0.7 and climbs in a straight line
 * gives 0.85 of what there is. As in CUBIC the way back is steep at first and flat below the last
 * ceiling; there it rests, and only then probes, slowly, and the longer it goes well the faster. The
 * cut is small because the ceiling is not guessed but measured: see `congestion.ts`.
 *
 * One cut an episode, of 1.5 s or the Retry-After: refusals of calls that were issued before a cut say
 * nothing about the rate after it. Growth counts only time in which the rate was worked off and wanted.
 *
 * Promise: the rate stays within [least, most], whatever is reported, and only a report changes it.
 * @see Chiu and Jain 1989; Ha, Rhee and Xu, "CUBIC", 2008
 */
import { congested, EPISODE_MS, SAMPLE_MS } from './congestion.ts';
import { clamp, withRate } from './rate-control.ts';
import type { Emptied, Outcome, RateControl } from './rate-control.ts';
import { CUT_TO, grown } from './rate-growth.ts';

export { rateControlOf } from './rate-control.ts';
export type { Outcome, RateControl } from './rate-control.ts';

/**
 * A refusal is paid for in calls that went well, so that less than one in a hundred is refused: a probe waits
 * until the last one is paid. At 3 calls a second that takes 45 s; those who call less find a restored
 * limit later, yet before the longest rest is over. Of many at once one is to be paid.
 */
const CREDIT_PER_CALL = 1 / 135;
const MOST_CREDIT = 1;
const MOST_DEBT = 1;
/** What there was of late fades by e in this time; so small a share of it is not trusted. */
const MEMORY_MS = 1_200_000;
const FAR_BELOW = 0.4;
/** What is left of a rate when calls fail. */
const OVERLOADED_TO = 0.7;
const EASED_EPISODE_MS = 6_000;
const SLOW_EPISODE_MS = 60_000;
const MOST_SAMPLES = 64;
/** The most that one report can prove: replies that take long must not bring many doublings at once. */
const MOST_PROOF_MS = 10_000;
const MOST_STARTING_PROOF_MS = 1_000;
/** A provider is asked again after this, whatever it said. */
export const LONGEST_HOLD_MS = 60_000;
const FIRST_HOLD_MS = 100;
/** An overloaded provider that says nothing is asked again after this. */
const LONGEST_DOWN_MS = 5_000;

/** What a call that is over teaches. */
export function learned(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, worked, end } = outcome;
  const control = sampled(used(before, outcome), timeMs, worked);
  switch (end) {
    case 'refused':
      return refused(control, outcome);
    case 'overloaded':
      return turnedAway(control, outcome);
    case 'slow':
      // Calls may be slow for many reasons: one gentle cut a minute, and it goes on learning.
      if (timeMs < control.easedAtMs + SLOW_EPISODE_MS || timeMs < control.quietUntilMs) return grown(paid(control));
      return { ...eased(control, timeMs, 0.9), easedAtMs: timeMs };
    case 'failing':
      return timeMs < control.quietUntilMs ? control : eased(control, timeMs, OVERLOADED_TO);
    case 'silent':
      return control;
    case 'ok':
      return grown(paid(control));
  }
}

function paid(control: RateControl): RateControl {
  return { ...control, turnedAway: 0, credit: Math.min(MOST_CREDIT, control.credit + CREDIT_PER_CALL) };
}

/** Used time goes on: the time in which the rate was worked off, if it was wanted. */
function used(control: RateControl, { timeMs, worked, demanded, end }: Outcome): RateControl {
  const passedMs = timeMs - control.atMs;
  const busyMs = passedMs === Infinity ? 0 : clamp((worked - control.worked) / control.perMs, 0, Math.max(0, passedMs));
  const proofMs = demanded && end === 'ok' ? Math.min(busyMs, control.starting ? MOST_STARTING_PROOF_MS : MOST_PROOF_MS) : 0;
  return { ...control, usedMs: control.usedMs + proofMs, atMs: timeMs, worked };
}

function sampled(control: RateControl, atMs: number, worked: number): RateControl {
  const { samples } = control;
  const latest = samples.at(-1);
  if (latest !== undefined && atMs - latest.atMs < SAMPLE_MS) return control;
  return { ...control, samples: [...samples.slice(samples.length < MOST_SAMPLES ? 0 : 1), { atMs, worked }] };
}

function refused(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, grantedMs, cost, worked, retryAfterMs } = outcome;
  const afterCut = grantedMs >= before.cutAtMs;
  // Outside an episode the first of them makes a cut, and begins one.
  const refusals = !afterCut ? before.refusals : timeMs < before.quietUntilMs ? before.refusals + 1 : 1;
  const control: RateControl = {
    ...before,
    refusals,
    credit: Math.max(-MOST_DEBT, before.credit - 1),
    holdUntilMs: Math.max(before.holdUntilMs, timeMs + holdMs(refusals, retryAfterMs)),
    tight: before.bucketMs * before.perMs < cost,
    // It was never delivered.
    worked: worked - cost + (outcome.returned ?? 0),
    chain: withoutCall(before.chain, grantedMs, cost),
    latest: withoutCall(before.latest, grantedMs, cost),
  };
  if (timeMs < control.quietUntilMs || !afterCut) return control;
  const next = remembering(control, congested(control, outcome), timeMs);
  // A fall is no probe: what it brought is not to be paid for.
  return cut(
    next.doubtful ? { ...next, credit: Math.max(0, next.credit) } : next,
    timeMs,
    timeMs + Math.max(EPISODE_MS, Math.min(LONGEST_HOLD_MS, retryAfterMs ?? 0)),
  );
}

/**
 * An overloaded provider says how it is, not how much there is: an outage that measured as "nothing" would take
 * minutes to climb out of. One gentle cut until something is accepted again, and longer holds meanwhile.
 */
function turnedAway(before: RateControl, outcome: Outcome): RateControl {
  const { timeMs, grantedMs, cost, worked, retryAfterMs } = outcome;
  const ownMs = Math.min(LONGEST_DOWN_MS, FIRST_HOLD_MS * 2 ** Math.min(before.turnedAway + 1, 16));
  const control: RateControl = {
    ...before,
    turnedAway: before.turnedAway + 1,
    holdUntilMs: Math.max(before.holdUntilMs, timeMs + Math.min(LONGEST_HOLD_MS, Math.max(ownMs, retryAfterMs ?? 0))),
    worked: worked - cost + (outcome.returned ?? 0),
    chain: withoutCall(before.chain, grantedMs, cost),
    latest: withoutCall(before.latest, grantedMs, cost),
  };
  if (before.turnedAway > 0 || timeMs < control.quietUntilMs || grantedMs < control.cutAtMs) return control;
  const next = eased(control, timeMs, OVERLOADED_TO);
  return { ...next, starting: control.starting };
}

/** Far below what there was of late refusals may be a matter of chance, and the rest that they cost would be long: no ceiling is trusted there. */
function remembering(before: RateControl, after: RateControl, timeMs: number): RateControl {
  const best = Math.max(after.proven, before.best * Math.exp((before.cutAtMs - timeMs) / MEMORY_MS));
  return { ...after, best, doubtful: after.doubtful || after.ceiling < FAR_BELOW * best };
}

/** A call that had been counted there and was refused later. */
function withoutCall(emptied: Emptied, grantedMs: number, cost: number): Emptied {
  return grantedMs < emptied.fromMs ? { ...emptied, units: emptied.units - cost } : emptied;
}

/** As long as the provider says; and longer each time when that was not enough, or it says nothing. */
function holdMs(refusals: number, retryAfterMs: number | undefined): number {
  const ownMs = refusals === 1 && retryAfterMs !== undefined ? 0 : FIRST_HOLD_MS * 2 ** Math.min(refusals, 16);
  return Math.min(LONGEST_HOLD_MS, Math.max(ownMs, retryAfterMs ?? 0));
}

function cut(control: RateControl, timeMs: number, quietUntilMs: number): RateControl {
  const { ceiling, plan } = control;
  const next: RateControl = {
    ...control,
    starting: false,
    usedMs: 0,
    probingFromMs: undefined,
    cutAtMs: timeMs,
    quietUntilMs,
    lastCongestedAtMs: timeMs,
  };
  return withRate(next, ceiling * CUT_TO * (1 - plan.margin));
}

/** A gentle cut, for what is no refusal: it measures nothing. */
function eased(control: RateControl, timeMs: number, share: number): RateControl {
  const { lastCongestedAtMs } = control;
  return { ...cut({ ...control, ceiling: control.perMs * share, doubtful: true }, timeMs, timeMs + EASED_EPISODE_MS), lastCongestedAtMs };
}
