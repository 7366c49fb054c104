/**
 * Window: how many calls there were in the last while, and how many of them were of a kind that
 * matters (failed, accepted). Slices of time instead of a list of calls: counting is one small
 * object, whatever the traffic.
 *
 *     past: 9 whole slices          now: the slice that is being counted
 *     [12/0][9/1][0/0] ... [7/3]    [4/2]
 *
 * A call counts for at least nine tenths of the window and never for longer than all of it. A clock
 * that went back stood still: the slices count from where it is now.
 */

const SLICES = 10;

/** Calls of one slice of time. */
export interface Slice {
  readonly calls: number;
  readonly marked: number;
}

export interface Window {
  readonly sliceMs: number;
  /** When the current slice began. */
  readonly sinceMs: number;
  /** Of the whole window. */
  readonly calls: number;
  readonly marked: number;
  /** Of these, in the current slice. */
  readonly newCalls: number;
  readonly newMarked: number;
  /** Oldest first, at most nine, the last one just before the current. */
  readonly past: readonly Slice[];
}

const NOTHING: Slice = { calls: 0, marked: 0 };

/** An empty window of `windowMs`. */
export function windowOf(windowMs: number, nowMs: number): Window {
  return empty(windowMs / SLICES, nowMs);
}

/** Forgets what is too old. The same object while the current slice lasts. */
export function rolled(window: Window, nowMs: number): Window {
  const { sliceMs, sinceMs } = window;
  if (nowMs < sinceMs) return { ...window, sinceMs: nowMs };
  if (nowMs < sinceMs + sliceMs) return window;
  // The quotient may round to below 1 where the sum above says that a slice is over.
  const steps = Math.max(1, Math.floor((nowMs - sinceMs) / sliceMs));
  if (steps >= SLICES || (window.calls === 0 && window.marked === 0)) return empty(sliceMs, nowMs);
  const past = [...window.past, { calls: window.newCalls, marked: window.newMarked }];
  for (let step = 1; step < steps; step += 1) past.push(NOTHING);
  const kept = past.slice(-(SLICES - 1));
  let calls = 0;
  let marked = 0;
  for (const slice of kept) {
    calls += slice.calls;
    marked += slice.marked;
  }
  // A slice never begins after now, however the sum rounds.
  return { sliceMs, sinceMs: Math.min(nowMs, sinceMs + steps * sliceMs), calls, marked, newCalls: 0, newMarked: 0, past: kept };
}

/** Counts a call, or a mark of one that was counted before, into the current slice. */
export function counted(window: Window, calls: number, marked: number): Window {
  return {
    sliceMs: window.sliceMs,
    sinceMs: window.sinceMs,
    calls: window.calls + calls,
    marked: window.marked + marked,
    newCalls: window.newCalls + calls,
    newMarked: window.newMarked + marked,
    past: window.past,
  };
}

function empty(sliceMs: number, nowMs: number): Window {
  return { sliceMs, sinceMs: nowMs, calls: 0, marked: 0, newCalls: 0, newMarked: 0, past: [] };
}
