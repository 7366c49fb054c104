/** Sampling: opens when more than a share of the calls of a window failed, and there were calls enough to say so. */
import type { BreakerPlan } from './plan.ts';
import { counted } from './window.ts';
import type { Window } from './window.ts';

/** Counts a call that ended well or badly. */
export function sampled(window: Window, failed: boolean): Window {
  return counted(window, 1, failed ? 1 : 0);
}

export function tooManyFailed({ share, least }: NonNullable<BreakerPlan['sampling']>, { calls, marked }: Window): boolean {
  return calls >= least && marked / calls > share;
}
