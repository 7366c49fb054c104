/** Rules: what holds of a queue after each message, whatever came before. */
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import type { Mailboxes, QueueEffect, QueueState, Slot } from '../../../actors/queue.ts';
import { waitingIn } from '../../../actors/queue/line.ts';
import { of } from './bench.ts';

export function check(holds: boolean, violation: string): void {
  if (!holds) throw new Error(violation);
}

export function same(actual: readonly string[], expected: readonly string[], what: string): void {
  check(actual.join() === expected.join(), `${what}: ${actual.join()} instead of ${expected.join()}`);
}

/** Nobody holds more than fits, or anything that is somebody else's by now. */
export function checkBounds({ slots, line, draining }: QueueState, { mode, capacity }: Mailboxes): void {
  check(new Set(slots.map(({ worker }) => worker)).size === slots.length, 'a worker has two slots');
  const waiting = waitingIn(line).length;
  const open = slots.filter(({ leaving }) => !leaving).length;
  if (mode === 'dedicated' || draining) check(waiting === 0, 'a line has been left behind');
  check(waiting <= capacity * open, 'a line is beyond its capacity');
  for (const { mailbox, run, leaving } of slots) {
    check(mailbox.length <= capacity, 'a mailbox is beyond its capacity');
    if (mode === 'steal')
      check(
        mailbox.every(({ affinity }) => affinity !== null),
        'what any worker will do for waits for one',
      );
    if (leaving || draining || mode === 'shared') check(mailbox.length === 0, 'a mailbox has not been given back');
    if (run === null) check(mailbox.length === 0, 'somebody is idle over a mailbox');
    if (run === null) check(waiting === 0, 'somebody is idle before a line');
    if (leaving) check(run !== null, 'who leaves with nothing left is still here');
  }
}

/** What runs goes on where it is; what newly runs is started there, and nothing else is. */
export function checkStarts(before: QueueState, after: QueueState, effects: readonly QueueEffect[]): void {
  const starts = of(effects, 'queue.start').flatMap((effect) => effect.starts);
  const key = ({ worker, incarnation }: Slot, run: ClaimedTask): string => `${worker}#${incarnation} ${run.id}`;
  const runs = ({ slots }: QueueState): string[] => slots.flatMap((slot) => (slot.run === null ? [] : [key(slot, slot.run)]));
  const ran = new Set(runs(before));
  const started = starts.map((start) => `${start.worker}#${start.incarnation} ${start.task.id}`);
  same(
    started.toSorted(),
    runs(after)
      .filter((run) => !ran.has(run))
      .toSorted(),
    'what starts',
  );
  for (const run of before.slots.flatMap((slot) => (slot.run === null ? [] : [slot.run.id]))) {
    const where = after.slots.find((slot) => slot.run?.id === run);
    check(where === undefined || ran.has(key(where, where.run!)), `${run} has been moved while it ran`);
  }
}
