import { nanoid } from 'nanoid';

/** Ids: makes names that nobody else has. Seeded in tests, so that a replay makes the same ones. */
export type Ids = () => string;

/** As many random characters as make two processes with the same origin as unlikely as two equal UUIDs. */
const ORIGIN_CHARACTERS = 21;
const COUNT_DIGITS = 8;

/**
 * Names that rise: random once a process, then counted. A store keeps rising names on the same pages
 * of its index, which makes an insert two to three times cheaper than random names do.
 */
export function risingIds(origin = nanoid(ORIGIN_CHARACTERS)): Ids {
  let count = 0;
  return () => origin + (count += 1).toString(36).padStart(COUNT_DIGITS, '0');
}

/** `prefix-1`, `prefix-2`, ... */
export function countingIds(prefix: string): Ids {
  let count = 0;
  return () => `${prefix}-${(count += 1)}`;
}
