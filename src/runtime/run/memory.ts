/**
 * Memory: what earlier runs of a task have brought, by the place in the run where they did.
 *
 *     call:model#2      the second call of `model`             step:charge      a step, by its name
 *     ask:review#1@…    the first child of kind `review`       sleep#1          when it ends
 *     wait:paid#1       the event that it took                 until:…          when a wait ends
 *     approval:refund   what a person said                     asked:…          what that person was asked
 *     state:stock#1     a row, as it was read
 *     compensate:charge registered to be undone                undo:charge      undone
 *     over:sleep#1      seen to be over, beside another one
 *     over:ask:…        seen to have failed, also where the failure is forgotten
 *     call:model[m-7]   the call of `model` with that key: wherever it is in the run
 *     call:model~in:charge#1   the first call of `model` within that step
 */
import { describe } from '../../../actors/kernel/errors.ts';
import { isTerminal } from '../../../actors/ports/store.ts';
import type { ChildRecord, ClaimedTask, Remembered, TaskEvent } from '../../../actors/ports/store.ts';
import type { KindPlan } from '../../topology/fleet.ts';
import { PayloadInvalidError } from '../errors.ts';
import { CallPlaces } from './call-places.ts';
import type { PlaceAt } from './call-places.ts';
import { isInStep } from './in-step.ts';
import { DuplicateKeyError, DuplicateStepError, ReplayDivergedError } from './errors.ts';
import { LeftAside } from './left-aside.ts';
import { numberIn, withoutNumber } from './order.ts';
import { readAsked, VersionMark } from './version-mark.ts';

/** What the store has of a task at the start of a run. */
export interface Known {
  readonly memory: readonly Remembered[];
  readonly children: readonly ChildRecord[];
  readonly events: readonly TaskEvent[];
  readonly attempt: number;
  readonly losses: number;
  readonly undo: object | null;
}

/** A child, and which version of the code asked for it; absent: that of the task. */
type AskedChild = ChildRecord & { readonly version?: string };

/** A value that begins with it is a failure. No JSON does. */
const FAILED = '!';

/** Of a child that was seen to have failed, and was put back with its task: it has yet to end again. */
export const PUT_BACK = '0';

/** Names that a run may use once, by the operation of their places. */
const WHAT = { step: 'step', approval: 'approval', compensate: 'compensation' } as const;

export class RunMemory {
  readonly events: readonly TaskEvent[];
  readonly #id: string;
  /** Of the code that runs now, where that is not the one that the task was begun under. */
  readonly version: string | undefined;
  readonly #begun: string;
  readonly #isMachine: boolean;
  readonly #mark: VersionMark;
  readonly #items: ReadonlyMap<string, Remembered> | undefined;
  readonly #children: ReadonlyMap<string, AskedChild> | undefined;
  #counters: { readonly name: string; count: number }[] | undefined;
  #names: Set<string> | undefined;
  /** Undefined: nothing has been brought, and a call stands where it is counted. */
  readonly #calls: CallPlaces | undefined;
  /** What earlier runs have brought and this one has yet to come by; undefined: nothing. */
  #left: Set<string> | undefined;
  #comeBy: (() => void) | undefined;
  /** As the store knows them: places at which this run has found something. */
  #found: Set<string> | undefined;
  /** What another version has brought; undefined: nothing, or it does not matter. */
  readonly leftAside: LeftAside | undefined;
  /** The same of the operations of a statechart that are under way, by their labels. */
  #leftAsideOf: Map<string, LeftAside> | undefined;

  constructor(plan: KindPlan, { id, version }: Pick<ClaimedTask, 'id' | 'version'>, known: Known) {
    const { memory, children, events } = known;
    this.#id = id;
    this.#begun = version;
    this.#isMachine = (plan.agent.spec.machine as unknown) !== undefined;
    this.version = plan.version === version ? undefined : plan.version;
    this.#mark = new VersionMark(plan, version, known);
    this.#items = memory.length === 0 ? undefined : new Map(memory.map((item) => [item.place, item]));
    this.#children = children.length === 0 ? undefined : new Map(children.map((child) => [readAsked(child.place).place, asked(child)]));
    this.events = events;
    const items = this.#items;
    if (items !== undefined) {
      const find = (place: string): Remembered | undefined => items.get(this.stored(place));
      this.#calls = new CallPlaces(find, () => items.keys(), known.attempt - known.losses > 1);
    }
    if (memory.length > 0 || children.length > 0) this.#left = this.#leftOf(known);
    // Who begins again does so over nothing, and who is undone goes only as far as it must.
    if (memory.length === 0 || plan.onVersionChange !== 'replay' || known.undo !== null) return;
    const isRestored = this.#isMachine && items?.has('machine') === true;
    if (!isRestored) this.leftAside = LeftAside.of(memory, version, plan.version, (place) => this.#plain(place, true));
  }

  /** Nothing has been brought, asked for or told. */
  get isEmpty(): boolean {
    return this.#items === undefined && this.#children === undefined && this.events.length === 0;
  }

  /** Something has been asked for. */
  get hasChildren(): boolean {
    return this.#children !== undefined;
  }

  /** A version other than the present one under which something was brought; undefined: none was. */
  get otherVersion(): string | undefined {
    if (this.version === undefined && this.#items === undefined) return undefined;
    const present = this.version ?? this.#begun;
    for (const { place, version = this.#begun } of this.#items?.values() ?? []) {
      // Whoever reads rows for runs does not know of versions.
      if (version !== present && !place.startsWith('state')) return version;
    }
    for (const place of this.#children?.keys() ?? [])
      if (!this.#mark.isNone && !place.startsWith(`ask${this.#mark.text}:`)) return this.#begun;
    return undefined;
  }

  /**
   * The next place of that name: its how-manieth, or that of its key. Names are few (those of `uses` and `asks`): a list is
   * cheaper than a map.
   *
   * @throws DuplicateKeyError, PayloadInvalidError
   */
  next(name: string, key?: string, label?: string): string {
    return key === undefined ? `${name}#${this.#count(name)}` : this.#keyed(name, key, label);
  }

  /**
   * The place of a call that asks with that hash; undefined: one that is not remembered.
   *
   * @throws DuplicateKeyError, PayloadInvalidError
   */
  nextCall(name: string, hash: string | undefined, key?: string): string {
    return key === undefined ? this.callAt((n) => `${name}#${n}`, this.#count(name), hash) : this.#keyed(name, key);
  }

  callAt(at: PlaceAt, n: number, hash: string | undefined): string {
    return this.#calls === undefined ? at(n) : this.#calls.place(at, n, hash);
  }

  /** Where a call stands instead: the task has been put back, and its run may go another way than earlier ones did. */
  elsewhere(place: string, hash: string): string {
    this.forgive();
    return this.#calls!.elsewhere(place, hash);
  }

  /** The place of a name that is used once, or once with each key. @throws DuplicateStepError, DuplicateKeyError, PayloadInvalidError */
  once(operation: keyof typeof WHAT, name: string, key?: string): string {
    const place = `${operation}:${name}`;
    if (key !== undefined) return this.#keyed(place, key);
    if (!this.#isFirst(place)) throw new DuplicateStepError({ id: this.#id, step: name, what: WHAT[operation] });
    return place;
  }

  /** `label`: of the invocation, each of which has keys of its own. */
  #keyed(name: string, key: string, label?: string): string {
    const place = `${name}[${checkKey(key)}]${label === undefined ? '' : `/${label}`}`;
    if (!this.#isFirst(place)) throw new DuplicateKeyError({ id: this.#id, operation: name, key });
    return place;
  }

  #isFirst(place: string): boolean {
    this.#names ??= new Set();
    if (this.#names.has(place)) return false;
    this.#names.add(place);
    return true;
  }

  /** As the store knows the place. */
  stored(place: string): string {
    return this.#mark.stored(place);
  }

  /** The place of a child that is asked for now, as the store keeps it. */
  askedPlace(place: string): string {
    return this.#mark.asked(place, this.version);
  }

  /** The name of a child within its parent. */
  /** Under which name a person is asked what is asked at that place. */
  approvalName(place: string): string {
    return this.#mark.approval(place);
  }

  /** The names under which other versions have asked that, where this one has begun anew. */
  approvalsOfOthers(place: string): readonly string[] {
    return this.#mark.isNone ? [] : this.#mark.approvalsOfOthers(place, this.#items?.values() ?? []);
  }

  childName(name: string): string {
    return this.#mark.childName(name);
  }

  /** What stands at the place. `came`: what the run asks for there now. @throws ReplayDivergedError */
  recall(place: string, hash: string, came?: () => string): Remembered | undefined {
    this.passed(place);
    if (this.#items === undefined) return undefined;
    const known = this.#items.get(this.stored(place));
    if (known !== undefined) this.#notes(known.place);
    if (known === undefined || known.hash === hash || withoutNumber(known.hash) === hash) return known;
    const { version, value } = known;
    throw new ReplayDivergedError({
      id: this.#id,
      place,
      remembered: `asked for something else, which brought ${describe(value)}`,
      came: came === undefined ? hash : describe(came()),
      ...(version === undefined ? {} : { version }),
    });
  }

  // ── What is left to come by ──────────────────────────────────────────────────────────────────

  /**
   * Earlier runs have brought something that this one has yet to come by before it does something new at that place. What
   * has a key may come in any order, or not at all.
   */
  isBefore(place: string): boolean {
    return this.#left !== undefined && !isKeyed(place);
  }

  /** A statechart is restored where it was: of what another version has brought it comes by that of these operations. */
  performs(labels: readonly string[], onVersionChange: KindPlan['onVersionChange']): void {
    if (onVersionChange !== 'replay' || this.#items === undefined) return;
    const items = [...this.#items.values()];
    const found = labels.flatMap((label) => {
      const own = items.filter(({ place }) => place.endsWith(`/${label}`));
      const left = LeftAside.of(own, this.#begun, this.version ?? this.#begun, (place) => this.#plain(place, true));
      return left === undefined ? [] : [[label, left] as const];
    });
    if (found.length > 0) this.#leftAsideOf = new Map(found);
  }

  /** Of the operation with that label. */
  leftAsideOf(label: string): LeftAside | undefined {
    return this.#leftAsideOf?.get(label);
  }

  /** That which the place is of: the run's, or that of an operation of its statechart. */
  leftAsideAt(place: string): LeftAside | undefined {
    if (this.#leftAsideOf === undefined) return this.leftAside;
    for (const [label, left] of this.#leftAsideOf) if (place.endsWith(`/${label}`)) return left;
    return undefined;
  }

  /** The run has come by that place. */
  passed(place: string): void {
    this.leftAsideAt(place)?.passed(place);
    if (this.#left?.delete(place) === true && this.#left.size === 0) this.forgive();
  }

  /** It need not come by the rest. */
  forgive(): void {
    this.#left = undefined;
    this.#comeBy?.();
  }

  /**
   * It has found all that earlier runs have done: but for what lies within steps, what was read of rows, and what stands apart
   * for another version. A statechart has, being restored where it was.
   */
  get hasComeByAll(): boolean {
    if (this.#isMachine && this.has('machine')) return true;
    const isOpen = ({ place }: { readonly place: string }): boolean => {
      const own = this.#mark.named(place);
      return this.#found?.has(place) !== true && own !== undefined && !/^(?:state|until|asked|over:ask)/.test(own) && !isInStep(place);
    };
    return ![...(this.#items?.values() ?? []), ...(this.#children?.values() ?? [])].some(isOpen);
  }

  /** Calls back once nothing is left. */
  whenComeBy(comeBy: () => void): void {
    this.#comeBy = comeBy;
  }

  /** The error of a run that came to something new, or to its end, before it had come by everything. */
  divergence(came: string): ReplayDivergedError {
    // A store gives what is remembered in an order of its own.
    const [place = ''] = [...(this.#left ?? [])].toSorted((a, b) => byTelling(a, b, came));
    const stored = this.stored(place);
    const item = this.#items?.get(stored);
    const { version } = item ?? this.#children?.get(stored) ?? {};
    const remembered = item === undefined ? 'did something' : `did something that brought ${describe(item.value)}`;
    return new ReplayDivergedError({ id: this.#id, place, remembered, came, ...(version === undefined ? {} : { version }) });
  }

  /**
   * A run of the same code over the same memory comes by all of it. Not so
   *   - after a failed attempt: what it has ended with is tried anew, and what follows from that may be another way;
   *   - over what another version of the code has brought;
   *   - when the task is undone, which goes only as far as it must;
   *   - of a statechart, which is restored where it was, while it is one.
   */
  #leftOf({ attempt, losses, undo }: Known): Set<string> | undefined {
    if (attempt - losses > 1 || undo !== null) return undefined;
    const present = this.version ?? this.#begun;
    const left = new Set<string>();
    const add = (place: string, version = this.#begun): void => {
      if (this.#mark.isNone && version !== present) return;
      const plain = this.#plain(place);
      if (plain !== undefined) left.add(plain);
    };
    for (const { place, version } of this.#items?.values() ?? []) {
      if (this.#isMachine && place.startsWith('machine')) return undefined;
      add(place, version);
    }
    for (const [place, { version }] of this.#children ?? []) add(place, version);
    return left.size === 0 ? undefined : left;
  }

  /** As the run names the place, without what is noted beside it; undefined: it need not come by that, as by what has a key. */
  #plain(stored: string, keyed = false): string | undefined {
    const own = this.#mark.named(stored);
    if (own === undefined) return undefined;
    const place = own.replace(/^(?:until|over|asked):/, '');
    return /^(?:ask|approval|call|compensate|state|step|wait):|^sleep#/.test(place) && (keyed || !isKeyed(place)) && !isInStep(place)
      ? place
      : undefined;
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

  child(place: string): ChildRecord | undefined {
    this.passed(place);
    const child = this.#children?.get(this.stored(place));
    if (child !== undefined) this.#notes(child.place);
    return child;
  }

  /** By their ids: children that have not ended. */
  get unfinishedChildren(): readonly string[] {
    return [...(this.#children?.values() ?? [])].flatMap(({ id, status }) => (isTerminal(status) ? [] : [id]));
  }

  /** A child of that id, which was asked for at another place or with another input. */
  otherChild(id: string): ChildRecord | undefined {
    for (const child of this.#children?.values() ?? []) if (child.id === id) return child;
    return undefined;
  }

  #notes(found: string): void {
    this.#found ??= new Set();
    this.#found.add(found);
  }

  #count(name: string): number {
    this.#counters ??= [];
    for (const counter of this.#counters) if (counter.name === name) return (counter.count += 1);
    this.#counters.push({ name, count: 1 });
    return 1;
  }
}

function asked(child: ChildRecord): AskedChild {
  const { version } = readAsked(child.place);
  return version === undefined ? child : { ...child, version };
}

const LONGEST_KEY = 200;

/** Names tell more than numbers, and a time tells the least. */
const TELLING = ['step', 'approval', 'compensate', 'ask', 'call', 'wait', 'state', 'sleep'];

/** Which of two places that a run has not come by says more of where it went another way: what is like that which `came`, and early. */
function byTelling(a: string, b: string, came: string): number {
  const operation = (place: string): string => place.slice(0, place.search(/[:#]/));
  const rank = (place: string): number => (operation(place) === operation(came) ? -1 : TELLING.indexOf(operation(place)));
  const nth = (place: string): number => Number(/#(\d+)(?:@|$)/.exec(place)?.[1] ?? 0);
  return rank(a) - rank(b) || nth(a) - nth(b) || (a < b ? -1 : 1);
}

/** That of a child ends with the hash of what it was asked. */
function isKeyed(place: string): boolean {
  return /\](?:@[\d.]+)?$/.test(place);
}

/** @throws PayloadInvalidError unless it can be the key of an operation */
function checkKey(key: unknown): string {
  if (typeof key === 'string' && key !== '' && key.length <= LONGEST_KEY && key.isWellFormed()) return key;
  const message = `expected a text of 1 to ${LONGEST_KEY} characters of well-formed Unicode`;
  throw new PayloadInvalidError('key of an operation', [{ path: '', message }], key, false);
}

/** The value under which a failure is remembered. */
export function failedValue(failure: string): string {
  return FAILED + failure;
}

/** The failure that a remembered value is; undefined: it is none. */
export function failureIn(value: string): string | undefined {
  return value.startsWith(FAILED) ? value.slice(FAILED.length) : undefined;
}
