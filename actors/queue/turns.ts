/**
 * Turns: whose task starts next among what has been claimed. The store hands tasks out in turns of their tenants; but where it
 * has few at a time (heads of order keys), or mailboxes hold many, nearly all that there is has been claimed, and who is served
 * is decided here. So tenants take turns here, too, by start-time fair queueing over starts: each has a tag, the lowest goes,
 * and its tag grows by one over its weight. Virtual time is the tag of who started last; a tenant that comes back starts there,
 * or at its own tag if that is later: it has saved up nothing.
 *
 * Among the tasks of one tenant the order is that of the mailbox, or of the line.
 * @see Goyal, Vin & Cheng, "Start-time fair queueing", SIGCOMM 1996
 */
import type { ClaimedTask } from '../ports/store.ts';

export interface Turns {
  /** Of a tenant that is not named: 1. */
  readonly weights: Readonly<Record<string, number>>;
  readonly virtualTime: number;
  /** Beyond virtual time: of those who have had more than the others, lately. */
  readonly tags: ReadonlyMap<string, number>;
}

/** Nobody has started. */
export function newTurns(weights: Readonly<Record<string, number>>): Turns {
  return { weights, virtualTime: 0, tags: new Map() };
}

const tenantOf = ({ tenant }: ClaimedTask): string => tenant ?? '';

export function turnOf({ virtualTime, tags }: Turns, task: ClaimedTask): number {
  return tags.get(tenantOf(task)) ?? virtualTime;
}

/** The place of the first task of the tenant whose turn it is, from `from` on; -1: there is none. */
export function firstInTurn(turns: Turns, tasks: readonly ClaimedTask[], from = 0): number {
  let found = -1;
  let lowest = Infinity;
  let former: string | null | undefined;
  for (let at = from; at < tasks.length && lowest > turns.virtualTime; at += 1) {
    const task = tasks[at]!;
    // Often all are of one tenant.
    if (task.tenant === former) continue;
    former = task.tenant;
    const turn = turnOf(turns, task);
    if (turn >= lowest) continue;
    found = at;
    lowest = turn;
  }
  return found;
}

/** A task has started. */
export function afterStart(turns: Turns, task: ClaimedTask): Turns {
  const virtualTime = Math.max(turns.virtualTime, turnOf(turns, task));
  const tenant = tenantOf(task);
  const tags = new Map<string, number>();
  // What virtual time has come up with need not be known.
  for (const [name, tag] of turns.tags) if (tag > virtualTime) tags.set(name, tag);
  const weight = Object.hasOwn(turns.weights, tenant) ? turns.weights[tenant]! : 1;
  tags.set(tenant, turnOf(turns, task) + 1 / weight);
  return { ...turns, virtualTime, tags };
}
