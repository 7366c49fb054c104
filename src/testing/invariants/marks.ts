/**
 * Marks: what sets the places of one version of a kind's code apart, where that begins anew instead of going on over what
 * another version has brought: `step@2:charge`.
 */
import type { Topology } from '../../topology/fleet.ts';
import type { Checker } from './invariant.ts';

/** Of a place as the store has it; undefined: it has none. */
const MARKED = /^([a-z]+)@([^:#]*)/;

/** The place as its run calls it. */
export function unmarked(place: string): string {
  return place.includes('@') ? place.replace(MARKED, '$1') : place;
}

/** The version that the place is set apart for; `''`: none. */
export function markIn(place: string): string {
  return place.includes('@') ? (MARKED.exec(place)?.[2] ?? '') : '';
}

/** Which marks the places of tasks have that run now. */
export class Marks {
  readonly #kinds: Topology['kinds'];
  readonly #tasks = new Map<string, { readonly kind: string; readonly version: string }>();
  #deployed: Readonly<Record<string, string>> = {};

  constructor({ kinds }: Topology) {
    this.#kinds = kinds;
  }

  /** `''`: places of this task have none. */
  of(id: string): string {
    const task = this.#tasks.get(id);
    const version = task === undefined ? undefined : this.#deployed[task.kind];
    return version === undefined || version === task!.version ? '' : encodeURIComponent(version);
  }

  forget(id: string): void {
    this.#tasks.delete(id);
  }

  readonly checker: Checker = {
    'process.started': ({ versions }) => {
      this.#deployed = versions;
    },
    'store.accepted': ({ task: { id, kind, version } }) => {
      if (this.#kinds[kind]?.onVersionChange !== 'replay') this.#tasks.set(id, { kind, version });
    },
  };
}
