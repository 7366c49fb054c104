/** What the tasks of the store's benchmark have: the same for the fleet and for the floor. */

/** What the tasks of a measurement are: plain ones, ones with all that a task can have, and ones that ask others. */
export type Mix = 'plain' | 'full' | 'asks';

/** Children of one that asks. */
export const CHILDREN = 3;

/** Rows of state that they write, and their order keys: more than there are tasks under way. */
export const ROWS = 10_000;
export const TENANTS = 8;
const AFFINITIES = 1_000;

export interface FullInput {
  readonly tenant: string;
  readonly affinity: string;
  readonly order: string;
  readonly row: string;
}

export function fullInput(at: number): FullInput {
  const row = `row-${at % ROWS}`;
  return { tenant: `tenant-${at % TENANTS}`, affinity: `document-${at % AFFINITIES}`, order: row, row };
}
