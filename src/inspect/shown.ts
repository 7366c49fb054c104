/**
 * Shown: what an inspector is given of a value. It is data, a copy, and bounded, whatever the value is:
 * an actor may hold ten thousand tasks, and an inspector turns what it gets into JSON.
 *
 * How a value is cut:
 *   - Breadth first, so that what lies at the surface is there whole before anything deep is.
 *   - Of a list, an object, a Map or a Set the first `items` entries, and then how many more there are.
 *   - Text to `characters`, and then how long it is.
 *   - Of a persistent map nothing when it is larger than that: its values can only be had together.
 *   - Below `depth`, or once there are `values` values, what there is in words: `[12 items]`.
 *
 * A field that is called like a secret is not shown.
 */
import type { Snapshot } from 'xstate';
import { PersistentMap } from '../../actors/kernel/persistent-map.ts';
import { itemsOf } from '../../actors/sorted-set.ts';
import type { SortedNode } from '../../actors/sorted-set.ts';

/** Bounds of what is shown of one value. */
export const SHOWN = { items: 50, characters: 300, depth: 7, values: 600 } as const;

const SECRET = /^(?:api[-_]?key|authorization|password|passphrase|secret|token|access[-_]?token|refresh[-_]?token|cookie)$/i;

type Entry = readonly [key: string, value: unknown];

/** The first entries of something that has entries, and how many it has. */
interface Contents {
  readonly isList: boolean;
  readonly size: number;
  entries(most: number): readonly Entry[];
}

interface Open {
  readonly contents: Contents;
  readonly into: Record<string, unknown> | unknown[];
  readonly depth: number;
}

/** A bounded copy, made of what JSON can carry. Never throws. */
export function shown(value: unknown): unknown {
  try {
    return copied(value);
  } catch {
    // A getter or a proxy of the user's own.
    return '[cannot be shown]';
  }
}

/**
 * A snapshot as an inspector shows it. That of a machine stays one, with its context cut; the state of a
 * decider is its context, and the `at` of that state, or of its phase, is its value.
 */
export function shownSnapshot(snapshot: unknown): Snapshot<unknown> {
  if (typeof snapshot !== 'object' || snapshot === null) return { status: 'active', output: undefined, error: undefined };
  const { status, output, error, state, context, input, value, machine } = snapshot as Record<string, unknown>;
  const common = { status: status ?? 'active', output: shown(output), error: shown(error) };
  if (machine !== undefined)
    return { ...snapshot, ...common, context: shown(context), historyValue: historyOf(snapshot) } as unknown as Snapshot<unknown>;
  if (state !== undefined) {
    const { phase, at = phase?.at } = state as { readonly at?: unknown; readonly phase?: { readonly at?: unknown } };
    return { ...common, ...(typeof at === 'string' ? { value: at } : {}), context: shown(state) } as unknown as Snapshot<unknown>;
  }
  const rest = { context: shown(context), input: shown(input), value: shown(value) };
  const there = Object.fromEntries(Object.entries(rest).filter(([, part]) => part !== undefined));
  return { ...common, ...there } as unknown as Snapshot<unknown>;
}

/** Whether a snapshot is that of a decider. */
export function isDeciders(snapshot: unknown): boolean {
  return typeof snapshot === 'object' && snapshot !== null && 'state' in snapshot;
}

/**
 * A snapshot that can be shown later. A persistent map is quick to read as long as it is the newest, so of
 * the maps in the state of a decider it takes out now what would be shown.
 */
export function kept(snapshot: unknown): unknown {
  const { state } = (snapshot ?? {}) as { readonly state?: unknown };
  if (typeof state !== 'object' || state === null) return snapshot;
  let copy: Record<string, unknown> | undefined;
  for (const key in state) {
    const field = (state as Record<string, unknown>)[key];
    if (field instanceof PersistentMap) (copy ??= { ...state })[key] = valuesOf(field);
  }
  return copy === undefined ? snapshot : { ...(snapshot as object), state: copy };
}

/** A large one would have to be copied whole. */
function valuesOf(map: PersistentMap<unknown>): unknown {
  return map.size <= SHOWN.items ? map.values() : `[${map.size} items]`;
}

/** State nodes by their ids: themselves they hold the whole machine. */
function historyOf(snapshot: object): unknown {
  const { historyValue = {} } = snapshot as { readonly historyValue?: Readonly<Record<string, readonly { readonly id: string }[]>> };
  return Object.fromEntries(Object.entries(historyValue).map(([name, nodes]) => [name, nodes.map(({ id }) => ({ id }))]));
}

/** A message as an inspector shows it, its type whole. */
export function shownEvent<E extends { readonly type: string }>(event: E): E {
  const copy = shown(event);
  return (typeof copy === 'object' && copy !== null ? { ...copy, type: event.type } : { type: event.type }) as E;
}

function copied(value: unknown): unknown {
  const open: Open[] = [];
  let left: number = SHOWN.values;
  const copy = (inner: unknown, depth: number): unknown => {
    const plain = plainOf(inner);
    if (typeof plain !== 'object' || plain === null) return plain;
    const contents = contentsOf(plain);
    if (contents.size > 0 && (depth > SHOWN.depth || left <= 0)) return `[${contents.size} ${contents.isList ? 'items' : 'fields'}]`;
    const into = contents.isList ? [] : {};
    left -= Math.min(contents.size, SHOWN.items);
    open.push({ contents, into, depth: depth + 1 });
    return into;
  };
  const root = copy(value, 0);
  for (let next = 0; next < open.length; next += 1) {
    const { contents, into, depth } = open[next]!;
    for (const [key, inner] of contents.entries(SHOWN.items)) {
      const part = SECRET.test(key) && inner !== undefined ? '[redacted]' : copy(inner, depth);
      if (Array.isArray(into)) into.push(part);
      // As a field of its own, also when it is called `__proto__`.
      else Object.defineProperty(into, key, { value: part, enumerable: true, configurable: true, writable: true });
    }
    const more = contents.size - SHOWN.items;
    if (more <= 0) continue;
    if (Array.isArray(into)) into.push(`... ${more} more`);
    else into['...'] = `${more} more`;
  }
  return root;
}

/** What is no container as what JSON can carry, and containers that stand for one value as that value. */
function plainOf(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
      return value.length <= SHOWN.characters ? value : `${value.slice(0, SHOWN.characters)}... (${value.length} characters)`;
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'bigint':
      return `${value}n`;
    case 'function':
      return `[function ${value.name}]`;
    case 'symbol':
      return String(value);
    case 'object':
      return value === null ? null : plainObjectOf(value);
    default:
      return value;
  }
}

function plainObjectOf(value: object): unknown {
  if (value instanceof Date || value instanceof URL || value instanceof RegExp) return String(value);
  if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`;
  if (value instanceof PersistentMap) return valuesOf(value);
  if (value instanceof Error) {
    const { name, message, cause } = value;
    return Object.assign({ name, message }, cause === undefined ? {} : { cause }, Object.fromEntries(Object.entries(value)));
  }
  const { sessionId, id, getSnapshot } = value as Record<string, unknown>;
  // Another actor: what it holds is shown where it is shown.
  if (typeof sessionId === 'string' && typeof getSnapshot === 'function') return { actor: id, sessionId };
  return isOpaque(value) ? `[${value.constructor.name}]` : value;
}

/** A promise, a socket: nothing of its own to show but what it is. */
function isOpaque(value: object): boolean {
  if (value instanceof Map || value instanceof Set || Array.isArray(value) || Object.keys(value).length > 0) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype !== null && prototype !== Object.prototype;
}

function contentsOf(value: object): Contents {
  if (Array.isArray(value)) return list(value.length, (most) => value.slice(0, most));
  if (value instanceof Set) return list(value.size, (most) => firstOf(value, most));
  if (isSortedSet(value)) return list(value.size, (most) => firstOf(itemsOf(value), most));
  if (value instanceof Map) return fields(value.size, (most) => firstOf(value, most).map(([key, inner]) => [wordOf(key), inner]));
  const keys = Object.keys(value);
  return fields(keys.length, (most) => keys.slice(0, most).map((key) => [key, (value as Record<string, unknown>)[key]]));
}

function list(size: number, items: (most: number) => readonly unknown[]): Contents {
  return { isList: true, size, entries: (most) => items(most).map((item) => ['', item]) };
}

function fields(size: number, entries: (most: number) => readonly Entry[]): Contents {
  return { isList: false, size, entries };
}

function firstOf<T>(items: Iterable<T>, most: number): readonly T[] {
  const first: T[] = [];
  if (most <= 0) return first;
  for (const item of items) if (first.push(item) >= most) break;
  return first;
}

function wordOf(key: unknown): string {
  return typeof key === 'object' && key !== null ? Object.prototype.toString.call(key) : String(key);
}

/** The tree of `sorted-set.ts`, which a person wants to see as what is in it. */
function isSortedSet(value: object): value is SortedNode<unknown> {
  return 'item' in value && 'left' in value && 'right' in value && typeof (value as Partial<SortedNode<unknown>>).size === 'number';
}
