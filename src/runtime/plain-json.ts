/**
 * Plain JSON: values that come back from their JSON as they were. `JSON.stringify` changes the others without a word:
 * NaN becomes null, a Map an empty object, a Date a text, a function nothing at all.
 *
 * Three things are let pass, as everybody expects of JSON: a field that is undefined vanishes, in an array it becomes null
 * (`Promise.all` over steps that return nothing makes such ones), and -0 becomes 0, which equals it.
 */

/** Arrays and objects within each other: whoever walks them must not run out of stack, wherever that happens. */
export const DEEPEST = 1_000;

/** Something that JSON would change: the path to it, e.g. `items[3].price`, and what is there, in words. */
export interface Odd {
  readonly path: string;
  readonly found: string;
}

/** The first thing in it that JSON would change, or that is nested too deep; undefined: nothing. A cycle is one that is too deep. */
export function changedByJson(value: unknown): Odd | undefined {
  return value === undefined || isPlain(value, DEEPEST) ? undefined : find(value, '', DEEPEST, NOTHING);
}

/** As `changedByJson`, of something that stands at a path, but for what `passes`. */
export function changedAt(value: unknown, path: string, passes: (value: object) => boolean = NOTHING): Odd | undefined {
  return value === undefined ? undefined : find(value, path, DEEPEST, passes);
}

const NOTHING = (): boolean => false;

/** One walk without paths: nearly every value is plain. `room`: so many levels there may still be. */
function isPlain(value: unknown, room: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      if (value === null) return true;
      if (room === 0) return false;
      return Array.isArray(value) ? isPlainArray(value, room - 1) : isPlainObject(value, room - 1);
    default:
      return false;
  }
}

function isPlainArray(values: readonly unknown[], room: number): boolean {
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (typeof value === 'string') continue;
    if (value === undefined ? !(at in values) : !isPlain(value, room)) return false;
  }
  return true;
}

function isPlainObject(object: object, room: number): boolean {
  if (!isRecord(object) || symbolIn(object) !== undefined) return false;
  for (const name of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value !== 'string' && value !== undefined && !isPlain(value, room)) return false;
  }
  return true;
}

/** No instance of a class. */
function isRecord(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === Object.prototype || isRoot(prototype);
}

/** Without a prototype, as rows of a database are, or from another realm. */
function isRoot(prototype: unknown): boolean {
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf'));
}

/** One that JSON would leave out though whoever copies the object takes it along. */
function symbolIn(object: object): symbol | undefined {
  const symbols = Object.getOwnPropertySymbols(object);
  return symbols.length === 0 ? undefined : symbols.find((symbol) => Object.prototype.propertyIsEnumerable.call(object, symbol));
}

function find(value: unknown, path: string, room: number, passes: (value: object) => boolean): Odd | undefined {
  if (typeof value === 'object' && value !== null && passes(value)) return undefined;
  const isHolder = typeof value === 'object' && value !== null && (Array.isArray(value) || isRecord(value));
  if (!isHolder) return value !== undefined && isPlain(value, room) ? undefined : { path, found: oddInWords(value) };
  if (room === 0) return { path: startOf(path), found: TOO_DEEP };
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      const inner: unknown = value[at];
      if (inner === undefined && !(at in value)) return { path: `${path}[${at}]`, found: 'a hole, which comes back as null; give null' };
      const odd = inner === undefined ? undefined : find(inner, `${path}[${at}]`, room - 1, passes);
      if (odd !== undefined) return odd;
    }
    return undefined;
  }
  const symbol = symbolIn(value);
  if (symbol !== undefined) return { path: `${path}[${String(symbol)}]`, found: 'a field under a symbol, which vanishes; give it a name' };
  for (const [name, inner] of Object.entries(value)) {
    const odd = inner === undefined ? undefined : find(inner, below(path, name), room - 1, passes);
    if (odd !== undefined) return odd;
  }
  return undefined;
}

export const TOO_DEEP = `nested more than ${DEEPEST} levels deep; give it flat, or as a text`;

/** Enough of it to find it by. */
function startOf(path: string): string {
  return path.length <= LONGEST_PATH ? path : `${path.slice(0, LONGEST_PATH)}…`;
}

const LONGEST_PATH = 100;

function below(path: string, name: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

/** In words, with what to give instead where there is something. */
export function oddInWords(value: unknown): string {
  if (value instanceof Date) return 'a Date, which comes back as a text; give its toISOString() or getTime()';
  if (value instanceof Map) return 'a Map; give Object.fromEntries(map), or its entries as an array';
  if (value instanceof Set) return 'a Set; give it as an array';
  switch (typeof value) {
    case 'undefined':
      return 'undefined';
    case 'bigint':
      return 'a bigint; give it as a text';
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    case 'number':
      return String(value);
    default: {
      const name = ((value as { readonly constructor?: { readonly name?: unknown } } | null)?.constructor?.name ?? '') as unknown;
      return `an instance of ${typeof name === 'string' && name !== '' ? name : 'a class'}; give a plain object`;
    }
  }
}
