/** Parking: what a run that is abandoned for waiting tells the store. */
import type { SettledOutcome } from '../../../actors/ports/store.ts';
import type { Waiting } from './operation.ts';

/** When the first of several children has ended, the others may follow within this, and a millisecond for each. */
const GATHER_MS = 20;
const LONGEST_GATHER_MS = 1_000;

type Parked = Extract<SettledOutcome, { readonly at: 'parked' }>;

/** All that wait are named in the one park. `wakeAtMs`: null: only what they wait for wakes it. */
export function parkedFor(reason: string, waiting: Waiting | undefined, wakeAtMs: number | null): Parked {
  const parked: { -readonly [K in keyof Parked]: Parked[K] } = { at: 'parked', reason, children: waiting?.children ?? [], wakeAtMs };
  if (waiting === undefined) return parked;
  const { events, children, locks } = waiting;
  if (events.length > 0) parked.events = events;
  if (children.length > 1) parked.gatherMs = gatherMsOf(children);
  if (locks !== undefined) parked.locks = locks;
  return parked;
}

/** It goes on when they have ended; should some take long it looks how far they are. */
export function parkedForChildren(children: readonly string[]): Parked {
  const parked = { at: 'parked', reason: 'child', children, wakeAtMs: null } as const;
  return children.length > 1 ? { ...parked, gatherMs: gatherMsOf(children) } : parked;
}

function gatherMsOf(children: readonly string[]): number {
  return Math.min(LONGEST_GATHER_MS, GATHER_MS + children.length);
}
