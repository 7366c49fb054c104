/** How answers of an adapter are compared with those of the model: without what the port leaves open. */
import { expect } from 'vitest';
import { isTerminal } from '../../actors/ports/store.ts';
import type { TaskStatus } from '../../actors/ports/store.ts';
import { LATE, LOST } from './model.ts';

/**
 * Tokens (of locks, leases, versions of rows) are the adapter's business, as long as they grow: each
 * of the model's has one of the adapter's, in the same order.
 */
export class Tokens {
  readonly #adapters = new Map<number, number>();

  /** The adapter's for the model's. */
  toAdapter(model: number): number {
    return this.#adapters.get(model) ?? 10_000_000 + model;
  }

  pair(model: number, adapter: number): void {
    const known = this.#adapters.get(model);
    if (known !== undefined) return expect(adapter, 'a token is another one than before').toBe(known);
    for (const [earlier, value] of this.#adapters)
      expect(Math.sign(adapter - value), `token ${adapter} is to stand to ${value} as ${model} to ${earlier}`).toBe(
        Math.sign(model - earlier),
      );
    this.#adapters.set(model, adapter);
  }

  /** Pairs all that stand at the same places of two answers. */
  pairAll(expected: unknown, answered: unknown, fields: readonly string[]): void {
    if (typeof expected !== 'object' || typeof answered !== 'object' || expected === null || answered === null) return;
    for (const [key, value] of Object.entries(expected)) {
      const other = (answered as Record<string, unknown>)[key];
      if (!fields.includes(key) || typeof value !== 'number') this.pairAll(value, other, fields);
      else if (typeof other === 'number' && value !== 0) this.pair(value, other);
    }
  }
}

/** What is left to compare. */
export function plain(answer: unknown, without: readonly string[] = []): unknown {
  return JSON.parse(
    JSON.stringify(answer, (key, value: unknown) => {
      if (without.includes(key) && typeof value === 'number' && value !== 0) return '<token>';
      if (key === 'error' && typeof value === 'string' && value.includes('DROVER_RUN_LOST')) return LOST;
      if (key === 'error' && typeof value === 'string' && value.includes('DROVER_DEADLINE_PASSED')) return LATE;
      if (key === 'ready' || key === 'ended') return (value as string[]).toSorted();
      if (key === 'memory') return (value as Entry[]).map(plainEntry).toSorted((a, b) => (a.place < b.place ? -1 : 1));
      if (key === 'expired' || key === 'held')
        return (value as Entry[]).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
      if (key === 'schedules') return (value as { name: string }[]).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      if (key === 'locks') return (value as { resource: string }[]).toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
      if (key === 'of' && value === 'store') return undefined;
      if (key === 'children')
        return (value as { status: TaskStatus }[]).map((child) => (isTerminal(child.status) ? child : { ...child, error: null }));
      if (isUndoing(value)) return { ...value, error: '<kept for the end>' };
      return value;
    }),
  );
}

interface Entry {
  readonly place: string;
  readonly version?: string;
  readonly failed?: boolean;
}

/** Absent: of the task's version, not failed. How a row that was read is remembered is the adapter's business. */
function plainEntry({ version, failed, ...entry }: Entry): Entry {
  if (entry.place.startsWith('state:')) return { place: entry.place };
  return { ...entry, ...(failed === true ? { failed } : {}), ...(version === undefined || version === '1' ? {} : { version }) };
}

/** Which of its errors a task shows while it is being undone is not said. */
function isUndoing(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    'undone' in value &&
    value.undone === true &&
    'finishedAtMs' in value &&
    value.finishedAtMs === null
  );
}
