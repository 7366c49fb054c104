/**
 * Places: those of one invocation, in the memory of its run. A restored machine performs only the
 * operations that were under way, so the how-manieth call of a run would not be the same: each
 * invocation counts for itself, and its label ends every place.
 *
 *     call:model#1/summarise#2     the first call of `model` by the second `summarise`
 *
 * A `/` of a name is written `%2F`, as in a label: else the step `save/letter` of `save` and the step `save` of the `save`
 * within `letter` would stand at one place, and what one has brought would be the other's.
 */
import type { ChildRecord, Remembered } from '../../../actors/ports/store.ts';
import type { RunMemory } from '../run/memory.ts';

export class InvocationPlaces implements Pick<
  RunMemory,
  | 'next'
  | 'nextCall'
  | 'elsewhere'
  | 'once'
  | 'stored'
  | 'askedPlace'
  | 'childName'
  | 'approvalName'
  | 'approvalsOfOthers'
  | 'recall'
  | 'has'
  | 'child'
  | 'version'
  | 'isBefore'
  | 'passed'
> {
  readonly #memory: RunMemory;
  readonly #label: string;
  readonly #counts = new Map<string, number>();

  constructor(memory: RunMemory, label: string) {
    this.#memory = memory;
    this.#label = label;
  }

  /** A machine is restored where it was: what its former operations have brought is not come by again. */
  isBefore(): boolean {
    return false;
  }

  passed(): void {}

  get version(): string | undefined {
    return this.#memory.version;
  }

  next(name: string, key?: string): string {
    // Each key once in an invocation.
    if (key !== undefined) return this.#memory.next(name, key, this.#label);
    return this.named(`${name}#${this.#count(name)}`);
  }

  nextCall(name: string, hash: string | undefined, key?: string): string {
    if (key !== undefined) return this.next(name, key);
    return this.#memory.callAt((n) => this.named(`${name}#${n}`), this.#count(name), hash);
  }

  elsewhere(place: string, hash: string): string {
    return this.#memory.elsewhere(place, hash);
  }

  #count(name: string): number {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return count;
  }

  /** A name within this invocation, as the run has it. */
  named(name: string): string {
    return `${name.replaceAll(/[%/]/g, encodeURIComponent)}/${this.#label}`;
  }

  once(operation: Parameters<RunMemory['once']>[0], name: string, key?: string): string {
    return this.#memory.once(operation, name, key);
  }

  stored(place: string): string {
    return this.#memory.stored(this.#own(place));
  }

  askedPlace(place: string): string {
    return this.#memory.askedPlace(place);
  }

  approvalName(place: string): string {
    return this.#memory.approvalName(place);
  }

  approvalsOfOthers(place: string): readonly string[] {
    return this.#memory.approvalsOfOthers(place);
  }

  childName(name: string): string {
    return this.#memory.childName(name);
  }

  recall(place: string, hash: string, came?: () => string): Remembered | undefined {
    return this.#memory.recall(this.#own(place), hash, came);
  }

  has(place: string): boolean {
    return this.#memory.has(this.#own(place));
  }

  child(place: string): ChildRecord | undefined {
    return this.#memory.child(place);
  }

  /** Rows that were read count by themselves: their places do not have the label yet. */
  #own(place: string): string {
    return place.startsWith('state') ? this.named(place) : place;
  }
}
