/**
 * SqliteSweep: what time does to tasks, in this order:
 *
 *   1. Those that nobody holds and whose deadline has passed end.
 *   2. Leases that have run out are taken back. What is past its deadline then ends by the next sweep.
 *   3. What has come due is queued.
 *   4. Who waits behind a reservation for locks that nobody came for is woken.
 */
import { invariant } from '../../actors/kernel/errors.ts';
import type { SweepReply } from '../../actors/ports/store.ts';
import type { Endings } from './sqlite-endings.ts';
import type { Known } from './sqlite-known.ts';
import { isCancelNoted, toFree } from './sqlite-rows.ts';
import type { FreeRow, FreeTask } from './sqlite-rows.ts';
import { deadlinePassed, LEASE_EXPIRED_ERROR, STATUS, statusOf } from './task-status.ts';

/** At most so many of each sort in one command: nobody waits long for it. */
export const MOST_SWEPT = 5_000;

type TaskSweep = Pick<SweepReply, 'ready' | 'expired' | 'ended' | 'nextAtMs' | 'raised' | 'noted'>;

/** Sweeps tasks, within a transaction. */
export function sweepTasks(known: Known, endings: Endings, nowMs: number): TaskSweep {
  const { sql, held } = known;
  const rows = (found: unknown): FreeTask[] => (found as FreeRow[]).map(toFree);
  sql.advanceLatest.run(nowMs);
  const ended = rows(sql.overdue.all(nowMs, MOST_SWEPT)).flatMap((task) => {
    known.story.append(task.seq, { at: 'deadline', atMs: nowMs });
    return endings.fail(task, deadlinePassed(task.id, task.options!.deadlineMs!)) ? [task.id] : [];
  });
  endings.writeEnded();
  const expired = held.expiredAt(nowMs).slice(0, MOST_SWEPT);
  for (const task of expired) endings.giveBack(task, LEASE_EXPIRED_ERROR, 'expired');
  endings.writeEnded();
  for (const task of rows(sql.due.all(nowMs, MOST_SWEPT))) {
    endings.moves.waits.forget(task.seq);
    if (task.status === STATUS.retrying) sql.rankSince.run(task.atMs, known.agingMs, task.seq);
    const goesAhead = task.status === STATUS.parked && task.parkedFor !== 'time';
    endings.moves.queue(task, goesAhead ? 1 : task.resumed);
  }
  endings.moves.wakeForLocks(known.locks.table.lapse(nowMs));
  endings.write();
  return {
    ready: [...endings.moves.ready],
    expired: expired.map(({ seq, id, fence }) => {
      const [status] = sql.statusOf.get(seq) as unknown as [number];
      return { id, fence, status: statusOf(status) };
    }),
    ended: [...ended, ...known.endedBeside.splice(0)],
    nextAtMs: earliest(sql.nextDue.get() as unknown as [number | null], sql.nextDeadline.get() as unknown as [number | null]),
    raised: takeRaised(known),
    noted: notedRuns(known),
  };
}

/** null when there is none. */
export function earliest(...times: readonly (readonly [number | null])[]): number | null {
  const next = Math.min(...times.map(([at]) => at ?? Infinity));
  invariant(!Number.isNaN(next), 'times are numbers');
  return next === Infinity ? null : next;
}

function notedRuns({ held }: Known): SweepReply['noted'] {
  return held.all().flatMap(({ id, fence, noted }) => {
    if (noted === null) return [];
    return [{ id, fence, what: isCancelNoted(noted) ? 'cancel' : 'pause' }];
  });
}

/** Those who have inherited a priority since the last sweep, and are still under lease. */
function takeRaised({ raised, held }: Known): SweepReply['raised'] {
  const still = [...raised].flatMap(([seq, priority]) => {
    const task = held.of(seq);
    return task === undefined ? [] : [{ id: task.id, priority }];
  });
  raised.clear();
  return still;
}
