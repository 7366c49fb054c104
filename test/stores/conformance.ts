/**
 * Conformance: every promise of the store port, as sentences that each adapter is held to.
 * A new adapter passes a way to make places, and nothing else.
 */
import { describe } from 'vitest';
import { approving } from './conformance/approvals.ts';
import { bounding } from './conformance/bounds.ts';
import { budgeting } from './conformance/budgets.ts';
import { claiming } from './conformance/claiming.ts';
import { signalling } from './conformance/events.ts';
import { sharingOut } from './conformance/fairness.ts';
import { gathering } from './conformance/gathering.ts';
import { intending } from './conformance/intents.ts';
import { forgetting } from './conformance/forgetting.ts';
import { keepingAsItStands } from './conformance/keeping.ts';
import { holdingBack } from './conformance/kinds.ts';
import { keepingLocks } from './conformance/kept-locks.ts';
import { leasing } from './conformance/leases.ts';
import { standingInLine } from './conformance/lock-line.ts';
import { locking } from './conformance/locks.ts';
import { ordering } from './conformance/order.ts';
import { looking, owning, sweeping } from './conformance/owning.ts';
import { endingParents } from './conformance/parent-ends.ts';
import { parking } from './conformance/parking.ts';
import type { MakePlace } from './conformance/place.ts';
import { rememberingMore } from './conformance/remembering.ts';
import { running } from './conformance/running.ts';
import { scheduling } from './conformance/schedules.ts';
import { settling } from './conformance/settling.ts';
import { keepingState } from './conformance/state.ts';
import { steering } from './conformance/steering.ts';
import { telling } from './conformance/story.ts';
import { submitting } from './conformance/submitting.ts';
import { texts } from './conformance/texts.ts';
import { waitingForTimes } from './conformance/times.ts';
import { undoing } from './conformance/undo.ts';

export type { MakePlace, Place } from './conformance/place.ts';

/** Declares the suite for the store called `name`. Each test gets a place of its own. */
export function storeConformance(name: string, makePlace: MakePlace): void {
  describe(`${name} keeps the promises of the port`, () => {
    const lives = [
      submitting,
      forgetting,
      claiming,
      running,
      rememberingMore,
      settling,
      parking,
      gathering,
      undoing,
      keepingAsItStands,
      endingParents,
      sweeping,
      looking,
    ];
    const conflicts = [ordering, locking, standingInLine, keepingLocks, keepingState];
    const outside = [signalling, approving, steering, holdingBack, waitingForTimes, scheduling, telling];
    const shared = [bounding, sharingOut, budgeting, intending, leasing];
    for (const section of [...lives, ...conflicts, ...outside, ...shared, owning, texts]) section(makePlace);
  });
}
