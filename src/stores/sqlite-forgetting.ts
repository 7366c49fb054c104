/**
 * SqliteForgetting: deletes tasks that have ended. No index tells which: tasks lie in order of arrival, so the oldest
 * are looked at first, some with each command, up to the first that came too late to have ended by then.
 */
import type { EndedStatus, ForgetCommand, ForgetReply } from '../../actors/ports/store.ts';
import type { Known } from './sqlite-known.ts';
import { FIRST_TERMINAL, statusOf } from './task-status.ts';

type LookedAt = readonly [seq: number, isRoot: number, status: number, atMs: number | null, submittedMs: number];
type Member = readonly [root: number, seq: number, kind: string, status: number, atMs: number | null, fence: number];

/** Of one database, within a transaction. */
export class SqliteForgetting {
  readonly #known: Known;
  /** Those up to it have been looked at since the last command that began with the oldest. */
  #lookedUntil = 0;

  constructor(known: Known) {
    this.#known = known;
  }

  forget({ endedByMs, limit }: ForgetCommand): ForgetReply {
    const { sql } = this.#known;
    const latestMs = Math.max(-Infinity, ...Object.values(endedByMs));
    const hasEnded = (status: number, atMs: number | null): boolean =>
      status >= FIRST_TERMINAL && atMs! <= (endedByMs[statusOf(status) as EndedStatus] ?? -Infinity);
    const rows = sql.inOrder.all(this.#lookedUntil, limit + 1) as unknown as LookedAt[];
    const tooLate = rows.findIndex(([, , , , submittedMs]) => submittedMs > latestMs);
    const looked = rows.slice(0, tooLate < 0 ? limit : Math.min(tooLate, limit));
    const more = looked.length === limit && rows.length > limit && tooLate !== limit;
    this.#lookedUntil = more ? looked.at(-1)![0] : 0;
    const roots = looked.flatMap(([seq, isRoot, status, atMs]) => (isRoot === 1 && hasEnded(status, atMs) ? [seq] : []));
    return { forgotten: this.#forget(roots, hasEnded), more };
  }

  /** Those of whose families all have ended, with them. How many tasks these are. */
  #forget(roots: readonly number[], hasEnded: (status: number, atMs: number | null) => boolean): number {
    if (roots.length === 0) return 0;
    const known = this.#known;
    const { sql } = known;
    const members = sql.families.all(JSON.stringify(roots)) as unknown as Member[];
    const going = new Set(roots);
    for (const [root, , , status, atMs] of members) if (!hasEnded(status, atMs)) going.delete(root);
    const gone = members.filter(([root]) => going.has(root));
    if (gone.length === 0) return 0;
    // They have the fences that they were claimed under.
    known.claims.write();
    const seqs = gone.map(([, seq]) => seq);
    for (const statement of sql.forgetTasks) statement.run(seqs);
    for (const [, , kind, status, , fence] of gone) {
      known.tally.forgotten(kind, status);
      known.leastFence = Math.max(known.leastFence, fence + 1);
    }
    sql.raiseEpoch.run(known.leastFence);
    return gone.length;
  }
}
