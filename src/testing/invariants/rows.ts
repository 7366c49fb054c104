/** Invariant of rows: what is committed is what one task after the other would have made of them. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';

/** What is known of one row. */
interface Known {
  /** Its version; null: there is none; undefined: greater than `above`. */
  version: number | null | undefined;
  above: number;
  isThere: boolean;
}

/** What is known of a task. */
interface Reader {
  /** By place: the version that an earlier run has read there. */
  readonly earlier: Map<string, number | null>;
  /** By place: what the run under way has read. */
  readonly now: Map<string, { readonly key: string; readonly version: number | null }>;
  /** What the run under way holds. */
  held: ReadonlySet<string>;
  /** Rows of which it was told that somebody was faster. */
  readonly told: Set<string>;
}

/** A write that was refused is remembered as a failure. */
const REFUSED = /^state.*?\.(?:set|delete):(.*)#\d+$/s;

export const ROWS: Invariant = {
  name: 'rows',
  promise:
    'no update of a row is lost: each was made over the version that was there, and versions only grow; what a task remembers of rows that it holds is there when it completes',
  check(topology, broken) {
    const rows = new Map<string, Known>();
    const readers = new Map<string, Reader>();
    const kinds = new Map<string, string>();
    /** The operations of a statechart compare each for itself, when it ends. */
    const isMachine = (id: string): boolean => (topology.kinds[kinds.get(id) ?? '']?.agent.spec.machine as unknown) !== undefined;
    const readerOf = (id: string): Reader => {
      let its = readers.get(id);
      if (its === undefined) readers.set(id, (its = { earlier: new Map(), now: new Map(), held: new Set(), told: new Set() }));
      return its;
    };
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
      'store.claimed': ({ task: { id, kind } }) => void kinds.set(id, kind),
      'store.started': ({ held, start }) => {
        const reader = readers.get(held.id);
        if (reader === undefined && start.locks.length === 0) return;
        const { earlier, now } = reader ?? readerOf(held.id);
        for (const [place, { version }] of now) earlier.set(place, version);
        now.clear();
        readerOf(held.id).held = new Set(start.locks.map(({ resource }) => resource));
      },
      'store.remembered': ({ item: { id, place, failed } }) => {
        const key = failed === true ? REFUSED.exec(place)?.[1] : undefined;
        if (key !== undefined) readerOf(id).told.add(key);
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        const reader = readers.get(id);
        if (reader === undefined) return;
        if (asked.at === 'completed' && status === 'completed' && !isMachine(id)) {
          const writes = new Set((asked.writes ?? []).map(({ key }) => key));
          for (const [place, { key, version }] of reader.now) {
            if (!reader.held.has(key) || writes.has(key) || reader.told.has(key) || reader.earlier.get(place) !== version) continue;
            const its = of(key);
            const fits =
              version === null ? !its.isThere : its.isThere && (its.version === undefined ? version > its.above : version === its.version);
            if (!fits)
              broken(`${id} completed on ${key} at version ${version}, which an earlier run had read, and its version is ${tell(its)}`);
          }
        }
        if (asked.at === 'retry' && asked.forget !== undefined) {
          reader.earlier.clear();
          reader.now.clear();
        }
        if (isTerminal(status)) readers.delete(id);
      },
      'store.read': ({ key, row, task, place }) => {
        const its = of(key);
        // A run that comes by a place again reads what it read there first.
        if (task !== undefined) {
          if (place !== undefined) readerOf(task).now.set(place, { key, version: row?.version ?? null });
          return;
        }
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
