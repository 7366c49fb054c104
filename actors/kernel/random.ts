/**
 * Random: the only source of chance. Each actor forks its own stream, so that one more draw in
 * one place does not change what another place sees under the same seed.
 */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, below). `below` is at least 1. */
  int(below: number): number;
  /** An independent stream, the same for the same name and seed. */
  fork(name: string): Random;
}

/** Chance in production. Not for secrets. */
export const systemRandom: Random = {
  next: () => Math.random(),
  int: (below) => Math.floor(Math.random() * below),
  fork: () => systemRandom,
};

/**
 * A stream that repeats for the same seed.
 * @see Doty-Humphrey, "sfc32", PractRand
 */
export function seededRandom(seed: number | string): Random {
  const root = typeof seed === 'number' ? String(seed) : seed;
  let a = hash32(`${root}/a`);
  let b = hash32(`${root}/b`);
  let c = hash32(`${root}/c`);
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  // The first outputs still show the seed; sfc32 mixes well after a dozen rounds.
  for (let round = 0; round < 12; round += 1) next();
  return {
    next,
    int: (below) => Math.floor(next() * below),
    fork: (name) => seededRandom(`${root}/${name}`),
  };
}

/** FNV-1a over UTF-16 code units, finished with an avalanche. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}
