/**
 * Locals: what one process can be in. A state of the automaton alone does not say what the process
 * holds, whom it serves and how many children it has, so each combination that can come up is a local
 * state of its own, and a place of the net.
 */
import type { ProcessClass } from './skeleton.ts';

export interface Local {
  readonly process: ProcessClass;
  readonly state: string;
  readonly held: Readonly<Record<string, number>>;
  /** Who waits for this one's reply, while it serves a request: a `waiterOf`. */
  readonly customer: string | undefined;
  /** Class of whoever spawned it. */
  readonly parent: string | undefined;
  /** Children that have not ended. */
  readonly open: number;
  /** Waits for a reply out of this mailbox and goes on in `state` then; it has no moves of its own. */
  readonly waitsFor: string | undefined;
}

/** The same for the same local state. */
export function keyOf({ process, state, held, customer, parent, open, waitsFor }: Local): string {
  const sorted = Object.entries(held).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([process.name, state, sorted, customer ?? null, parent ?? null, open, waitsFor ?? null]);
}

/**
 * Who waits, for those who are to answer: the local state but for the open children, of which some may
 * end while it waits.
 */
export function waiterOf(local: Local): string {
  return keyOf({ ...local, open: 0 });
}

/** A local state in words: `hungry, holds fork 1`. */
export function describeLocal({ state, held, open, waitsFor }: Local): string {
  const holds = Object.keys(held).length === 0 ? [] : [`holds ${listNeeds(held)}`];
  const children = open === 0 ? [] : [`${open} open ${open === 1 ? 'child' : 'children'}`];
  const at = waitsFor === undefined ? state : `waits for a reply from ${waitsFor}`;
  return [at, ...holds, ...children].join(', ');
}

/** `fork 1 and 2 permits`: counts above one are said. */
export function listNeeds(needs: Readonly<Record<string, number>>): string {
  const parts = Object.entries(needs).map(([name, count]) => (count === 1 ? name : `${count} of ${name}`));
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** What is held after more was taken; entries that are none are left out. */
export function plus(
  held: Readonly<Record<string, number>>,
  needs: Readonly<Record<string, number>>,
  sign: 1 | -1,
): Readonly<Record<string, number>> {
  const after = { ...held };
  for (const [name, count] of Object.entries(needs)) after[name] = (after[name] ?? 0) + sign * count;
  return Object.fromEntries(Object.entries(after).filter(([, count]) => count !== 0));
}
