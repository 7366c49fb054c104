/**
 * Plants: one or more for each class of deadlock whose parts exist, found on the real machines.
 *
 * Not here, for want of the parts:
 *   - D1: there are no locks. A run can hold nothing but its worker, its lease and the permit of a call.
 *   - D5: held at every step of a run by `test/runtime/suspend.test.ts`, and by a mutant of S11.
 *   - D11: one process owns a store; there is no leader.
 *
 * Their skeletons, and those of the classes below, are in `../explore/planted.ts`.
 */
import { lostProbe } from './breakers.ts';
import { politePhilosophers } from './convergent.ts';
import { nothingRefused, unfairLine } from './limiters.ts';
import { ringOfMailboxes } from './mailboxes.ts';
import { nestedPermits } from './permits.ts';
import type { Plant } from './plant.ts';
import { asksInAPool, parkedParents } from './pools.ts';
import { lostWakeUp, poison, transaction, wakeUpBetween } from './stores.ts';
import { questionAtTheStart, stopIgnored } from './supervision.ts';

export const PLANTS: readonly Plant[] = [
  nestedPermits,
  asksInAPool,
  ringOfMailboxes,
  lostProbe,
  unfairLine,
  nothingRefused,
  parkedParents,
  questionAtTheStart,
  stopIgnored,
  transaction,
  lostWakeUp,
  wakeUpBetween,
  politePhilosophers,
  poison,
];
