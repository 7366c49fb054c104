/**
 * Holding: which places of bulkheads the code that asks for another one has. Nested places rise in
 * rank, and nobody waits for a child with a place in his hand: so no ring of waits can close.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { KindPlan } from '../topology/fleet.ts';
import { BulkheadOrderError, UndeclaredError } from './errors.ts';

/** A place of a bulkhead, in somebody's hand or asked for. */
export interface Held {
  readonly run: object;
  readonly name: string;
  readonly rank: number;
  /** What was in hand already when it was asked for. */
  readonly outer: Held | undefined;
  /** It has been given back: what was begun with it in hand may still go on. */
  isOver: boolean;
}

const storage = new AsyncLocalStorage<Held>();

/** What a run has in hand. Code of one run may set off another one, which has nothing to do with its places. */
function heldBy(run: object): Held | undefined {
  let held = storage.getStore();
  while (held !== undefined && (held.isOver || held.run !== run)) held = held.outer;
  return held;
}

/** A place of a bulkhead of a kind, when the code that asks may take one. */
export function checkHold(run: object, { kind, agent }: KindPlan, name: string): Held {
  const uses = (agent.spec.uses ?? {}) as Readonly<Record<string, { readonly spec: { readonly rank?: number } }>>;
  const rank = Object.hasOwn(uses, name) ? uses[name]!.spec.rank : undefined;
  if (rank === undefined) {
    const bulkheads = Object.keys(uses).filter((other) => uses[other]!.spec.rank !== undefined);
    throw new UndeclaredError({ kind, field: 'uses', name }, bulkheads, Object.hasOwn(uses, name));
  }
  const outer = heldBy(run);
  if (outer !== undefined && outer.rank >= rank) throw new BulkheadOrderError({ kind, held: outer.name, wanted: name });
  return { run, name, rank, outer, isOver: false };
}

/** Whether the code that asks holds a place. */
export function isHolding(run: object): boolean {
  return heldBy(run) !== undefined;
}

/** Throws when the code that asks holds a place. */
export function checkNoHold(run: object, kind: string, wanted: string): void {
  const held = heldBy(run);
  if (held !== undefined) throw new BulkheadOrderError({ kind, held: held.name, wanted });
}

/** Does what is done with a place in hand. */
export async function holding<T>(held: Held, fn: () => Promise<T>): Promise<T> {
  try {
    return await storage.run(held, fn);
  } finally {
    held.isOver = true;
  }
}
