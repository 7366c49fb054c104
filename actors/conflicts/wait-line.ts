/**
 * WaitLine: those who wait for one resource in one mode, the oldest first. A list whose links are
 * the places themselves: whoever knows his place leaves it at once, and newcomers go to the end.
 */
import type { LockWant } from '../ports/store.ts';

/** One that waits for locks. `passed` and `wokenAtMs` change while it waits. */
export interface Waiter {
  readonly seq: number;
  readonly wants: readonly LockWant[];
  readonly sinceMs: number;
  /** How many younger ones have taken something that it wants; counted up to the limit, and the limit when the last was to be the last. */
  passed: number;
  /** Since when it has been told to try again; null: it has not, or has tried since. */
  wokenAtMs: number | null;
  /** The token of the grant that was counted last: one that passes it at two resources counts once. */
  lastPassedBy: number;
  /** Its places, in the order of `wants`. */
  places: Place[];
}

/** One waiter's place in the line of one resource. */
export interface Place {
  readonly waiter: Waiter;
  previous: Place | undefined;
  next: Place | undefined;
}

/** Whether `a` is before `b`: by the time since when, then by the order of the tasks. */
export function isOlder(
  a: { readonly sinceMs: number; readonly seq: number },
  b: { readonly sinceMs: number; readonly seq: number },
): boolean {
  return a.sinceMs === b.sinceMs ? a.seq < b.seq : a.sinceMs < b.sinceMs;
}

/** Those who wait, by age. */
export class WaitLine {
  first: Place | undefined;
  #last: Place | undefined;

  /** Quick for one that is younger than nearly all others. */
  join(waiter: Waiter): Place {
    let before = this.#last;
    while (before !== undefined && isOlder(waiter, before.waiter)) before = before.previous;
    const place: Place = { waiter, previous: before, next: before === undefined ? this.first : before.next };
    if (before === undefined) this.first = place;
    else before.next = place;
    if (place.next === undefined) this.#last = place;
    else place.next.previous = place;
    return place;
  }

  leave({ previous, next }: Place): void {
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
  }
}
