/**
 * Memory: what earlier runs of a task have brought, by the place in the run where they did.
 *
 *     call:model#2      the second call of `model`             step:charge      a step, by its name
 *     ask:review#1@…    the first child of kind `review`       sleep#1          when it ends
 *     wait:paid#1       the event that it took                 until:…          when a wait ends
 *     approval:refund   what a person said                     state:stock#1    a row, as it was read
 *     compensate:charge registered to be undone                undo:charge      undone
 *     over:sleep#1      seen to be over, beside another one
 *
 * A kind that does not go on over what another version of its code has brought (`onVersionChange`) has
 * places of its own for each version: `call@2:model#1`.
 */
import { describe } from '../../../actors/kernel/errors.ts';
import type { ChildRecord, ClaimedTask, Remembered, TaskEvent } from '../../../actors/ports/store.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { DuplicateStepError, ReplayDivergedError } from './errors.ts';

/** What the store has of a task at the start of a run. */
export interface Known {
  readonly memory: readonly Remembered[];
  readonly children: readonly ChildRecord[];
  readonly events: readonly TaskEvent[];
}

/** A value that begins with it is a failure. No JSON does. */
const FAILED = '!';

/** Names that a run may use once, by the operation of their places. */
const WHAT = { step: 'step', approval: 'approval', compensate: 'compensation' } as const;

export class RunMemory {
  readonly events: readonly TaskEvent[];
  readonly #id: string;
  /** Of the code that runs now, where that is not the one that the task was begun under. */
  readonly version: string | undefined;
  readonly #begun: string;
  /** What marks places as those of this version. */
  readonly #mark: string;
  readonly #items: ReadonlyMap<string, Remembered> | undefined;
  readonly #children: ReadonlyMap<string, ChildRecord> | undefined;
  #counters: { readonly name: string; count: number }[] | undefined;
  #names: Set<string> | undefined;

  constructor(plan: KindPlan, { id, version }: Pick<ClaimedTask, 'id' | 'version'>, { memory, children, events }: Known) {
    this.#id = id;
    this.#begun = version;
    this.version = plan.version === version ? undefined : plan.version;
    this.#mark = this.version === undefined || plan.onVersionChange === 'replay' ? '' : `@${encodeURIComponent(plan.version)}`;
    this.#items = memory.length === 0 ? undefined : new Map(memory.map((item) => [item.place, item]));
    this.#children = children.length === 0 ? undefined : new Map(children.map((child) => [child.place, child]));
    this.events = events;
  }

  /** Nothing has been brought, asked for or told. */
  get isEmpty(): boolean {
    return this.#items === undefined && this.#children === undefined && this.events.length === 0;
  }

  /** A version other than the present one under which something was brought; undefined: none was. */
  get otherVersion(): string | undefined {
    if (this.version === undefined && this.#items === undefined) return undefined;
    const present = this.version ?? this.#begun;
    for (const { place, version = this.#begun } of this.#items?.values() ?? []) {
      // Whoever reads rows for runs does not know of versions.
      if (version !== present && !place.startsWith('state')) return version;
    }
    for (const place of this.#children?.keys() ?? []) if (this.#mark !== '' && !place.startsWith(`ask${this.#mark}:`)) return this.#begun;
    return undefined;
  }

  /** The next place of that name: its how-manieth. Names are few (those of `uses` and `asks`): a list is cheaper than a map. */
  next(name: string): string {
    return `${name}#${this.#count(name)}`;
  }

  /** The place of a name that is used once. @throws DuplicateStepError */
  once(operation: keyof typeof WHAT, name: string): string {
    const place = `${operation}:${name}`;
    this.#names ??= new Set();
    if (this.#names.has(place)) throw new DuplicateStepError({ id: this.#id, step: name, what: WHAT[operation] });
    this.#names.add(place);
    return place;
  }

  /** As the store knows the place. */
  stored(place: string): string {
    if (this.#mark === '' || place.startsWith('compensate:')) return place;
    // The store knows rows that were read by how their places begin.
    return place.startsWith('state:') ? `state:${this.#mark}:${place.slice(6)}` : place.replace(/^[a-z]+/, `$&${this.#mark}`);
  }

  /** The name of a child within its parent. */
  childName(name: string): string {
    return this.#mark === '' ? name : name.replace(/(?=#\d+$)/, this.#mark);
  }

  /** What stands at the place. `came`: what the run asks for there now. @throws ReplayDivergedError */
  recall(place: string, hash: string, came?: () => string): Remembered | undefined {
    if (this.#items === undefined) return undefined;
    const known = this.#items.get(this.stored(place));
    if (known === undefined || known.hash === hash || withoutNumber(known.hash) === hash) return known;
    const { version, value } = known;
    throw new ReplayDivergedError({
      id: this.#id,
      place,
      remembered: `asked for something else (${known.hash || 'without a request'}), which brought ${describe(value)}`,
      came: came === undefined ? hash : describe(came()),
      ...(version === undefined ? {} : { version }),
    });
  }

  has(place: string): boolean {
    return this.#items?.has(this.stored(place)) ?? false;
  }

  /** Everything whose place begins so, as the store has it. */
  *beginning(prefix: string): Iterable<Remembered> {
    for (const item of this.#items?.values() ?? []) if (item.place.startsWith(prefix)) yield item;
  }

  /** The highest number of an end that was remembered in order. */
  get lastNumber(): number {
    let last = 0;
    for (const { hash } of this.#items?.values() ?? []) last = Math.max(last, numberIn(hash) ?? 0);
    return last;
  }

  /** Failures, which a retry would forget. */
  *failures(): Iterable<Remembered> {
    for (const item of this.#items?.values() ?? []) if (item.failed === true) yield item;
  }

  child(place: string): ChildRecord | undefined {
    return this.#children?.get(this.stored(place));
  }

  /** A child of that id, which was asked for at another place or with another input. */
  otherChild(id: string): ChildRecord | undefined {
    for (const child of this.#children?.values() ?? []) if (child.id === id) return child;
    return undefined;
  }

  #count(name: string): number {
    this.#counters ??= [];
    for (const counter of this.#counters) if (counter.name === name) return (counter.count += 1);
    this.#counters.push({ name, count: 1 });
    return 1;
  }
}

/** What sets a hash apart from the number of an end. */
const NUMBER = ';';

/** A hash with the number of the end that is remembered with it. */
export function numbered(hash: string, number: number): string {
  return `${hash}${NUMBER}${number}`;
}

/** Undefined: its operation was alone. */
export function numberIn(hash: string): number | undefined {
  const at = hash.indexOf(NUMBER);
  return at < 0 ? undefined : Number(hash.slice(at + 1));
}

function withoutNumber(hash: string): string {
  const at = hash.indexOf(NUMBER);
  return at < 0 ? hash : hash.slice(0, at);
}

/** The value under which a failure is remembered. */
export function failedValue(failure: string): string {
  return FAILED + failure;
}

/** The failure that a remembered value is; undefined: it is none. */
export function failureIn(value: string): string | undefined {
  return value.startsWith(FAILED) ? value.slice(FAILED.length) : undefined;
}
