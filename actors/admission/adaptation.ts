/** Adaptation: what limits say about learning, with names and defaults resolved. */
import { concurrencyControlOf, roomOf } from './adaptive-concurrency.ts';
import type { ConcurrencyAdaptSpec, ConcurrencyControl } from './adaptive-concurrency.ts';
import type { RateAdaptSpec } from './rate-control.ts';
import type { LimiterLimits } from './limits.ts';

const AIMD: RateAdaptSpec = {};
const GRADIENT: ConcurrencyAdaptSpec = { by: 'gradient2' };

/** How a rate is to be learned; undefined: not at all. */
export function rateSpecOf({ adapt }: LimiterLimits): RateAdaptSpec | undefined {
  if (adapt === 'aimd') return AIMD;
  return typeof adapt === 'object' ? adapt.rate : undefined;
}

function flightSpecOf({ adapt }: LimiterLimits): ConcurrencyAdaptSpec | undefined {
  if (adapt === 'gradient') return GRADIENT;
  return typeof adapt === 'object' ? adapt.concurrency : undefined;
}

/** The learned concurrency at its start; undefined: it is not learned. */
export function flightOf(limits: LimiterLimits): ConcurrencyControl | undefined {
  const spec = flightSpecOf(limits);
  return spec && concurrencyControlOf(spec, limits.concurrency);
}

/** Whether the concurrency is learned in the same way. */
export function sameFlight(a: LimiterLimits, b: LimiterLimits): boolean {
  return a.concurrency === b.concurrency && sameShape(flightSpecOf(a), flightSpecOf(b));
}

/** Specs are flat. */
function sameShape(a: object | undefined, b: object | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Room in flight: what is declared, what is learned, and the part of a slice. */
export function roomIn(
  { concurrency = Infinity }: LimiterLimits,
  flight: ConcurrencyControl | undefined,
  share: number | undefined,
): number {
  const room = flight === undefined ? concurrency : Math.min(concurrency, roomOf(flight));
  return share === undefined || room === Infinity ? room : Math.floor(room * share);
}

/** Whether the rate is learned in the same way. */
export function sameRate(a: LimiterLimits, b: LimiterLimits): boolean {
  return sameShape(rateSpecOf(a), rateSpecOf(b));
}
