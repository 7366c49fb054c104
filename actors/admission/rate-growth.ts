/**
 * Rate growth: how a rate climbs between two cuts. While starting it doubles in used time. Afterwards it returns
 * to just below the ceiling, steep at first and flat in the end, rests there, and then probes for more: slowly,
 * and the longer it goes well the faster. Only time counts in which the rate was worked off and wanted.
 */
import { withRate } from './rate-control.ts';
import type { RateControl } from './rate-control.ts';

/** While starting, the rate doubles in this used time. */
const DOUBLING_MS = 1_500;
/** After a cut, the share of the ceiling that is used at once, and the one that is returned to. */
export const CUT_TO = 0.96;
const REST_AT = 0.99;
const RETURN_MS = 8_000;
/** Rest before the next probe, in used time: shortly below a doubtful ceiling. */
const SHORT_REST_MS = 6_000;
const REST_MS = 12_000;
const LONGEST_REST_MS = 240_000;
/** The probe grows by exp((t / PROBE_MS)^2), until that doubles the rate in PROBE_DOUBLING_MS. */
const PROBE_MS = 26_000;
const PROBE_DOUBLING_MS = 11_000;
const PROBE_SLOPE = Math.LN2 / PROBE_DOUBLING_MS;
const PROBE_BEND_MS = (PROBE_SLOPE * PROBE_MS ** 2) / 2;

/** As high as its used time allows. */
export function grown(control: RateControl): RateControl {
  const { usedMs, starting, ceiling, plan } = control;
  if (starting) return withRate(control, ceiling * 2 ** Math.min(100, usedMs / DOUBLING_MS));
  let { probingFromMs } = control;
  if (probingFromMs === undefined && isRested(control)) probingFromMs = usedMs;
  const missing = Math.max(0, 1 - usedMs / RETURN_MS);
  const share = REST_AT - (REST_AT - CUT_TO) * missing ** 3;
  const probe = probingFromMs === undefined ? 1 : Math.exp(Math.min(60, exponent(usedMs - probingFromMs)));
  return withRate({ ...control, probingFromMs }, ceiling * share * (1 - plan.margin) * probe);
}

function isRested({ usedMs, credit, doubtful }: RateControl): boolean {
  if (doubtful) return usedMs >= SHORT_REST_MS;
  return usedMs >= LONGEST_REST_MS || (usedMs >= REST_MS && credit >= 0);
}

function exponent(probedMs: number): number {
  if (probedMs <= PROBE_BEND_MS) return (probedMs / PROBE_MS) ** 2;
  return (PROBE_BEND_MS / PROBE_MS) ** 2 + (probedMs - PROBE_BEND_MS) * PROBE_SLOPE;
}
