/** Invariant of rows: what is committed to them is what one writer after the other would have made of them. */
import type { Invariant } from './invariant.ts';

/** What is known of one row. */
interface Known {
  /** Its version; null: there is none; undefined: greater than `above`. */
  version: number | null | undefined;
  above: number;
  isThere: boolean;
}

export const ROWS: Invariant = {
  name: 'rows',
  promise: 'no update of a row is lost: each was made over the version that was there, and versions only grow',
  check(_topology, broken) {
    const rows = new Map<string, Known>();
    const of = (key: string): Known => {
      let its = rows.get(key);
      if (its === undefined) rows.set(key, (its = { version: null, above: 0, isThere: false }));
      return its;
    };
    const tell = ({ version, above, isThere }: Known): string =>
      version === undefined
        ? isThere
          ? `greater than ${above}`
          : 'none, for it was deleted'
        : version === null
          ? 'none'
          : String(version);
    return {
      'store.wrote': ({ key, value, before, after, task }) => {
        const its = of(key);
        const fits =
          before === null ? !its.isThere : its.isThere && (its.version === undefined ? before > its.above : before === its.version);
        const who = task ?? 'somebody outside';
        if (!fits) broken(`${who} wrote ${key} over version ${before}, and its version was ${tell(its)}: an update is lost`);
        if (after !== undefined && after <= Math.max(its.above, before ?? 0)) broken(`${key} got version ${after} after ${tell(its)}`);
        its.above = Math.max(its.above, before ?? 0, its.version ?? 0, after ?? 0);
        its.isThere = value !== null;
        its.version = its.isThere ? after : null;
      },
      'store.read': ({ key, row, task }) => {
        const its = of(key);
        // A run that comes by a place again reads what it read there first.
        if (task !== undefined) return;
        if (its.isThere !== (row !== null))
          broken(`${key} was read as ${row === null ? 'none' : row.version}, and its version is ${tell(its)}`);
        if (row === null) return;
        if (its.version === undefined ? row.version <= its.above : row.version !== its.version)
          broken(`${key} was read at version ${row.version}, and its version is ${tell(its)}`);
        its.version = row.version;
      },
    };
  },
};
