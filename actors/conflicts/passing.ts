/**
 * Passing: who is the last that may pass those who wait for locks.
 *
 * A fixed bound alone lets a beat form: neighbours whose work is equally long pass each other at the same
 * places again and again, the waiters between them run half as often, and resources stand idle. So one
 * grant in eight, as its token says, uses up all that is left of the bound of whomever it passes. The
 * tokens are those of a Weyl sequence (multiples of the golden ratio): evenly spread, and in step with no
 * period. A token is never given twice and outlives a restart, so every store draws the same.
 *
 * @see Knuth, The Art of Computer Programming 3, 6.4 (Fibonacci hashing)
 */

/** The golden ratio of 2^32. */
const STRIDE = 0x9e3779b1;
/** One in eight. */
const KEPT_BITS = 29;

/** Whether nobody else may pass those whom the grant with this token passes. */
export function isLastToPass(token: number): boolean {
  return Math.imul(token, STRIDE) >>> KEPT_BITS === 0;
}
