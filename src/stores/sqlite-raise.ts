/** Priority inheritance: whoever is in the way of something more urgent becomes as urgent, and so does what he waits for. */
import type { Known } from './sqlite-known.ts';
import { headOf } from './sqlite-order.ts';
import { toFree } from './sqlite-rows.ts';
import type { FreeRow } from './sqlite-rows.ts';
import { FIRST_TERMINAL, STATUS } from './task-status.ts';

/** The task, and whatever it waits for, has at least this priority from now on. */
export function raise(known: Known, seq: number, priority: number): void {
  const { sql, held } = known;
  const run = held.of(seq);
  if (run !== undefined) {
    if (run.priority >= priority) return;
    run.priority = priority;
    sql.raise.run(priority, known.agingMs, seq);
    known.raised.set(seq, priority);
    return;
  }
  const row = sql.free.get(seq) as unknown as FreeRow | undefined;
  if (row === undefined) return;
  const task = toFree(row);
  // Each time it grows, so that this ends even where tasks wait for each other.
  if (task.status >= FIRST_TERMINAL || task.priority >= priority) return;
  sql.raise.run(priority, known.agingMs, seq);
  if (task.status === STATUS.queued) known.turns.forgetLines(task.kind);
  if (task.status !== STATUS.parked) return;
  for (const [child] of sql.unfinishedChildren.all(task.id) as unknown as [number][]) raise(known, child, priority);
  if (task.parkedFor === 'locks') {
    for (const holder of known.locks.table.holdersAgainst(task.options?.locks ?? [])) raise(known, holder, priority);
  }
  if (task.parkedFor === 'order' && task.orderKey !== null) {
    const first = sql.ofKey.get(task.orderKey) as unknown as FreeRow | undefined;
    const ahead = held.ofKey(task.orderKey) ?? headOf(known, task.orderKey, first && toFree(first));
    if (ahead !== undefined) raise(known, ahead.seq, priority);
  }
}
