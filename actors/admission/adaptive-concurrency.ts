/**
 * Adaptive concurrency: how many calls in flight serve a dependency best, from how it answers.
 *
 * `aimd`: one more for each call that went well while at least half of the room was used, and a cut to
 * a share of it when one was dropped.
 *
 * `gradient2`: compares a latency with its own long mean. While they are alike, the room grows by the
 * square root of itself, a queue that is allowed; the slower the calls become, the more it is cut. A
 * slowness that lasts for longer than the mean looks back becomes the usual: bound it by `most`.
 *
 * Promise: the limit stays within [least, most], whatever is reported.
 * @see Netflix concurrency-limits: AIMDLimit, Gradient2Limit
 */

export type ConcurrencyAdaptSpec = AimdSpec | Gradient2Spec;

interface Bounds {
  /** At least 1. Aimd begins with 10, gradient2 with 20. */
  readonly start?: number;
  /** It never goes below. At least 1. Default: 1 for aimd, 4 for gradient2. */
  readonly least?: number;
  /** It never goes above. Default: the declared concurrency, else 1,000. */
  readonly most?: number;
}

export interface AimdSpec extends Bounds {
  readonly by: 'aimd';
  /** What a dropped call leaves of the limit, from 0.5 to below 1. Default 0.9. */
  readonly backoffRatio?: number;
}

export interface Gradient2Spec extends Bounds {
  readonly by: 'gradient2';
  /** How many times slower than the long mean is still no reason to cut; at least 1. Default 1.5. */
  readonly tolerance?: number;
  /** How much of each new limit is taken over, above 0 to 1. Default 0.2. */
  readonly smoothing?: number;
  /** How many calls the long mean looks back. Default 600. */
  readonly longWindow?: number;
}

/** A limit that is learned. `limit` has a fraction; whole calls fit in `roomOf`. */
export interface ConcurrencyControl {
  readonly spec: Required<AimdSpec> | Required<Gradient2Spec>;
  readonly limit: number;
  /** Mean latency over the long window, and the calls in it. Gradient2 only. */
  readonly longMs: number;
  readonly calls: number;
  /** Calls issued before have nothing to say about the limit after a cut. */
  readonly cutAtMs: number;
}

/** A call that came home, as the limit sees it. */
export interface FlightSample {
  readonly dropped: boolean;
  readonly latencyMs: number;
  /** In flight when it was over, itself among them. */
  readonly inFlight: number;
  readonly grantedMs: number;
  readonly timeMs: number;
}

/** @param declared the declared concurrency, if there is one: the limit stays below it */
export function concurrencyControlOf(spec: ConcurrencyAdaptSpec, declared = Infinity): ConcurrencyControl {
  const most = Math.max(1, Math.min(declared, sane(spec.most, declared === Infinity ? 1_000 : declared)));
  const least = clamp(sane(spec.least, spec.by === 'aimd' ? 1 : 4), 1, most);
  const start = clamp(sane(spec.start, spec.by === 'aimd' ? 10 : 20), least, most);
  const complete: Required<AimdSpec> | Required<Gradient2Spec> =
    spec.by === 'aimd'
      ? { by: 'aimd', start, least, most, backoffRatio: clamp(sane(spec.backoffRatio, 0.9), 0.5, 0.99) }
      : {
          by: 'gradient2',
          start,
          least,
          most,
          tolerance: Math.max(1, sane(spec.tolerance, 1.5)),
          smoothing: clamp(sane(spec.smoothing, 0.2), 0.001, 1),
          longWindow: Math.max(1, sane(spec.longWindow, 600)),
        };
  return { spec: complete, limit: start, longMs: 0, calls: 0, cutAtMs: -Infinity };
}

/** Whole calls that may be in flight. */
export function roomOf({ limit }: ConcurrencyControl): number {
  return Math.floor(limit);
}

/** What a call that is over teaches. */
export function adapted(control: ConcurrencyControl, sample: FlightSample): ConcurrencyControl {
  if (sample.dropped) return dropped(control, sample);
  return control.spec.by === 'aimd' ? added(control, sample.inFlight) : graded(control, control.spec, sample);
}

function dropped(control: ConcurrencyControl, { grantedMs, timeMs }: FlightSample): ConcurrencyControl {
  if (grantedMs < control.cutAtMs) return control;
  const ratio = control.spec.by === 'aimd' ? control.spec.backoffRatio : 0.5;
  return { ...withLimit(control, control.limit * ratio), cutAtMs: timeMs };
}

function added(control: ConcurrencyControl, inFlight: number): ConcurrencyControl {
  return inFlight * 2 < control.limit ? control : withLimit(control, control.limit + 1);
}

function graded(control: ConcurrencyControl, spec: Required<Gradient2Spec>, sample: FlightSample): ConcurrencyControl {
  const { latencyMs, inFlight } = sample;
  if (!(latencyMs > 0) || latencyMs === Infinity) return control;
  const calls = control.calls + 1;
  let longMs = control.longMs + (latencyMs - control.longMs) * Math.max(2 / (spec.longWindow + 1), 1 / calls);
  // After a long overload the mean itself is too high: it comes down quickly once calls are quick again.
  if (longMs / latencyMs > 2) longMs *= 0.95;
  const next = { ...control, calls, longMs };
  if (inFlight * 2 < control.limit) return next;
  const gradient = clamp((spec.tolerance * longMs) / latencyMs, 0.5, 1);
  const wanted = control.limit * gradient + Math.sqrt(control.limit);
  return withLimit(next, control.limit * (1 - spec.smoothing) + wanted * spec.smoothing);
}

function withLimit(control: ConcurrencyControl, limit: number): ConcurrencyControl {
  const { least, most } = control.spec;
  const bounded = clamp(limit, least, most);
  return bounded === control.limit ? control : { ...control, limit: bounded };
}

/** `value` when it is above 0, else the default. */
function sane(value: number | undefined, otherwise: number): number {
  return value !== undefined && value > 0 ? value : otherwise;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
