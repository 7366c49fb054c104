/**
 * Plain JSON: values that come back from their JSON as they were. `JSON.stringify` changes the others without a word:
 * NaN becomes null, a Map an empty object, a Date a text, a function nothing at all.
 *
 * Three things are let pass, as everybody expects of JSON: a field that is undefined vanishes, in an array it becomes null
 * (`Promise.all` over steps that return nothing makes such ones), and -0 becomes 0, which equals it.
 */

/** The first thing in it that JSON would change, and the path to it, e.g. `items[3].price`; undefined: nothing. Knows no cycles: ask `JSON.stringify` first. */
export function changedByJson(value: unknown): { readonly path: string; readonly value: unknown } | undefined {
  return value === undefined || isPlain(value) ? undefined : find(value, '');
}

/** One walk without paths: nearly every value is plain. */
function isPlain(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value);
    case 'object':
      return value === null || (Array.isArray(value) ? isPlainArray(value) : isPlainObject(value));
    default:
      return false;
  }
}

function isPlainArray(values: readonly unknown[]): boolean {
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at];
    if (typeof value !== 'string' && value !== undefined && !isPlain(value)) return false;
  }
  return true;
}

function isPlainObject(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && !isRoot(prototype)) return false;
  for (const name of Object.keys(object)) {
    const value = (object as Record<string, unknown>)[name];
    if (typeof value !== 'string' && value !== undefined && !isPlain(value)) return false;
  }
  return true;
}

/** Without a prototype, as rows of a database are, or from another realm. */
function isRoot(prototype: unknown): boolean {
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf'));
}

function find(value: unknown, path: string): ReturnType<typeof changedByJson> {
  if (isPlain(value)) return undefined;
  if (Array.isArray(value)) {
    for (const [at, inner] of value.entries()) {
      const found = inner === undefined ? undefined : find(inner, `${path}[${at}]`);
      if (found !== undefined) return found;
    }
  } else if (
    typeof value === 'object' &&
    value !== null &&
    (Object.getPrototypeOf(value) === Object.prototype || isRoot(Object.getPrototypeOf(value)))
  ) {
    for (const [name, inner] of Object.entries(value)) {
      const found = inner === undefined ? undefined : find(inner, below(path, name));
      if (found !== undefined) return found;
    }
  }
  return { path, value };
}

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
