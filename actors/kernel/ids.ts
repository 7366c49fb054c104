import { nanoid } from 'nanoid';

/** Ids: makes names that nobody else has. Seeded in tests, so that a replay makes the same ones. */
export type Ids = () => string;

/** 21 URL-safe characters, as likely to collide as a UUID. */
export const randomIds: Ids = () => nanoid();

/** `prefix-1`, `prefix-2`, ... */
export function countingIds(prefix: string): Ids {
  let count = 0;
  return () => `${prefix}-${(count += 1)}`;
}
