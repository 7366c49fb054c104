/**
 * Sketch: quantiles of a stream of durations in fixed memory, within 5 % of the true value.
 *
 * Buckets whose borders grow by a constant factor, as in DDSketch: the error is relative and bounded,
 * whatever the distribution, which P2, with its five markers, cannot promise. Latencies have heavy
 * tails and shift; P2 then is off by an unknown amount for an unknown time. Old values fade: each
 * new one takes a fixed share of the weight of all before it, which buckets allow and P2 does not.
 *
 * @see Masson, Rim & Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
 *   guarantees", PVLDB 12(12), 2019
 * @see Jain & Chlamtac, "The P2 algorithm for dynamic calculation of quantiles", CACM 28(10), 1985
 */

/** Relative error of a quantile of values between 1 ms and an hour. What is outside counts as the border. */
export const ACCURACY = 0.05;

const GAMMA = (1 + ACCURACY) / (1 - ACCURACY);
const LONGEST_MS = 3_600_000;
const BUCKETS = Math.ceil(Math.log(LONGEST_MS) / Math.log(GAMMA)) + 1;

/** About 1.2 kB, made with the first value. A value: adding makes another one, so add several at once. */
export interface Sketch {
  readonly weights: Float64Array;
  readonly total: number;
}

/** Adds durations, one after the other. What was known fades by `fading` at each, from 0 (never) to 1 (at once). */
export function sketched(sketch: Sketch | undefined, valuesMs: readonly number[], fading: number): Sketch {
  const weights = sketch === undefined ? new Float64Array(BUCKETS) : sketch.weights.slice();
  const left = 1 - fading;
  const faded = left ** valuesMs.length;
  if (fading > 0) for (let at = 0; at < BUCKETS; at += 1) weights[at]! *= faded;
  let total = (sketch?.total ?? 0) * faded;
  for (const [at, valueMs] of valuesMs.entries()) {
    const weight = left ** (valuesMs.length - 1 - at);
    weights[bucketOf(valueMs)]! += weight;
    total += weight;
  }
  return { weights, total };
}

/** The smallest value that at least the share `q` of the weight does not exceed. Of nothing: 0. */
export function quantile({ weights, total }: Sketch, q: number): number {
  // A little less than asked for, because sums of fractions do not add up exactly.
  const wanted = q * total * (1 - 1e-9);
  let passed = 0;
  for (let at = 0; at < BUCKETS; at += 1) {
    passed += weights[at]!;
    if (passed > 0 && passed >= wanted) return valueOf(at);
  }
  return 0;
}

function bucketOf(valueMs: number): number {
  if (!(valueMs > 1)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(valueMs) / Math.log(GAMMA)));
}

/** The value whose relative distance to both borders of the bucket is the same. */
function valueOf(bucket: number): number {
  return bucket === 0 ? 1 : (2 * GAMMA ** bucket) / (GAMMA + 1);
}
