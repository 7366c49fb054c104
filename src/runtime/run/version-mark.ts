/**
 * Version mark: where a kind does not go on over what another version of its code has brought (`onVersionChange`), what
 * each version but the first brings has places of its own.
 *
 *     call:model#1 ─▶ call@2:model#1        state:stock#1 ─▶ state:@2:stock#1        review#1 ─▶ review@2#1 (a child)
 *
 * Where it goes on over that, places are the same for all versions, and what stands there carries the version that brought
 * it. A child is a task of its own, so its place carries it: ask:review#1@17.4 ─▶ ask:review#1@17.4@2.
 */
import type { Remembered } from '../../../actors/ports/store.ts';
import type { KindPlan } from '../../topology/fleet.ts';

/** A child's place ends with the hash of what it was asked; no encoded version has a `@`. */
const VERSION_ASKED = /@[\d.]+@[^@]*$/;

const APPROVAL = 'approval:';

export class VersionMark {
  /** `''`: places are as the run names them. */
  readonly text: string;

  /** Of code of that plan, in a run of a task that was begun under `begun`. */
  constructor(plan: KindPlan, begun: string, { memory, undo }: { readonly memory: readonly Remembered[]; readonly undo: object | null }) {
    const { version, onVersionChange } = plan;
    const own = version === begun || onVersionChange === 'replay' ? '' : `@${encodeURIComponent(version)}`;
    this.text = own !== '' && undo !== null ? lastOf(memory, own) : own;
  }

  get isNone(): boolean {
    return this.text === '';
  }

  /** As the store knows the place. */
  stored(place: string): string {
    // What is registered to be undone, and what has been, is so for every version.
    if (this.isNone || place.startsWith('compensate:') || place.startsWith('undo:')) return place;
    // The store knows rows that were read by how their places begin.
    return place.startsWith('state:') ? `state:${this.text}:${place.slice(6)}` : place.replace(/^[a-z]+/, `$&${this.text}`);
  }

  /** As the run names the place; undefined: it is another version's. */
  named(stored: string): string | undefined {
    if (this.isNone) return stored;
    if (stored.startsWith(`state:${this.text}:`)) return `state:${stored.slice(7 + this.text.length)}`;
    const at = /^[a-z]+/.exec(stored)?.[0].length ?? 0;
    return stored.startsWith(this.text, at) ? stored.slice(0, at) + stored.slice(at + this.text.length) : undefined;
  }

  /** The place of a child as the store keeps it: where places have no mark, with the version that asked for it behind its hash. */
  asked(place: string, version: string | undefined): string {
    return this.isNone && version !== undefined ? `${place}@${encodeURIComponent(version)}` : this.stored(place);
  }

  /** Under which name a person is asked what is asked at that place: each version that begins anew asks anew. */
  approval(place: string): string {
    return place.slice(APPROVAL.length) + this.text;
  }

  /** The names under which versions that began otherwise have asked at that place. */
  approvalsOfOthers(place: string, memory: Iterable<Remembered>): readonly string[] {
    const own = this.stored(`asked:${place}`);
    return Array.from(memory, (item) => item.place).flatMap((stored) => {
      const mark = /^asked(@[^:]*)?:/.exec(stored);
      if (mark === null || stored === own || stored.slice(mark[0].length) !== place) return [];
      return [place.slice(APPROVAL.length) + (mark[1] ?? '')];
    });
  }

  /** The name of a child within its parent. */
  childName(name: string): string {
    return this.isNone ? name : name.replace(/(?=#\d+$|\[)/, this.text);
  }
}

/** A place of a child as the store keeps it: without the version that has asked for it, and that. Undefined: that of the task. */
export function readAsked(stored: string): { readonly place: string; readonly version: string | undefined } {
  if (!VERSION_ASKED.test(stored)) return { place: stored, version: undefined };
  const behind = stored.lastIndexOf('@');
  return { place: stored.slice(0, behind), version: decodeURIComponent(stored.slice(behind + 1)) };
}

/** What is undone goes the way that was gone last: that of the present version, unless it has gone none. */
function lastOf(memory: readonly Remembered[], present: string): string {
  let last = '';
  for (const { place } of memory) {
    const mark = /^[a-z]+(?::(?=@))?(@[^:#[]*)/.exec(place)?.[1] ?? '';
    if (mark === present) return present;
    if (mark !== '') last = mark;
  }
  return last;
}
