/**
 * Rendezvous: which worker a task would rather have. Every worker gives a key a weight, and the heaviest
 * has it; so a worker that goes leaves its own keys to all others, and one that comes takes its share of
 * each, while everything else stays where it is. No ring, no table, nothing to keep up to date: a hash of
 * the key, and two multiplications for each worker, some 0.3 us among forty of them.
 *
 * @see Thaler and Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998
 */

/** FNV-1a over UTF-16 code units, mixed. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return mixed(hash);
}

/**
 * A permutation of the 32-bit numbers in which every bit depends on every other, at 0 or above.
 * @see Wellons, "Prospecting for hash functions", 2018: `lowbias32`
 */
export function mixed(bits: number): number {
  let hash = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Where the key of this hash belongs among the workers of these hashes; -1 without any.
 * @param open which of them may have it.
 */
export function rendezvous(key: number, workers: Int32Array, open: readonly boolean[]): number {
  let heaviest = -1;
  let most = 0;
  for (let at = 0; at < workers.length; at += 1) {
    if (!open[at]!) continue;
    // As `mixed` does, but for its last step: a signed number stays in a register.
    const bits = key ^ workers[at]!;
    let weight = Math.imul(bits ^ (bits >>> 16), 0x7feb352d);
    weight = Math.imul(weight ^ (weight >>> 15), 0x846ca68b);
    weight ^= weight >>> 16;
    if (heaviest >= 0 && weight <= most) continue;
    most = weight;
    heaviest = at;
  }
  return heaviest;
}
