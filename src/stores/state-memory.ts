/** How a run remembers what it read of a row: the same for every adapter, and for whoever reads a run's memory. */
import type { Remembered, StateRead, StateRow } from '../../actors/ports/store.ts';

/** What is remembered of a read. The key is its hash: another key at the same place is another way. */
export function rememberedRead({ place, key, version }: StateRead, row: StateRow | null): Remembered {
  return { place, hash: key, value: JSON.stringify(row), ...(version === undefined ? {} : { version }) };
}

/** The row that was read then. */
export function readOf({ value }: Pick<Remembered, 'value'>): StateRow | null {
  return JSON.parse(value) as StateRow | null;
}
