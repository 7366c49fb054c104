/**
 * Errors: each has a code that never changes, says whether trying again can help, and keeps its
 * facts in `detail`. Match on `code`, not with `instanceof`: two copies of a package can meet.
 */
export abstract class DroverError extends Error {
  abstract readonly code: `DROVER_${string}`;
  /** Whether the same operation may succeed later without anybody changing anything. */
  abstract readonly retryable: boolean;
  readonly detail: Readonly<Record<string, unknown>> = {};

  override get name(): string {
    return this.constructor.name;
  }
}

/** An assumption of Drover's own was broken: a bug, please report it. On in production. */
export class InvariantError extends DroverError {
  readonly code = 'DROVER_INVARIANT';
  readonly retryable = false;
}

/** Throws unless `condition` holds. For what must be true, never for what a caller may get wrong. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(`broken invariant: ${message}`);
}

/** An error as plain data: what a task's row, a message or a log line keeps. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly retryable?: boolean;
  readonly stack?: string;
  readonly cause?: ErrorRecord;
}

const LONGEST_NAME = 256;
const LONGEST_MESSAGE = 4_096;
const LONGEST_STACK = 8_192;
const DEEPEST_CAUSE = 4;

/** Turns whatever was thrown into data, cut to a size that a row can keep. Never throws. */
export function toErrorRecord(thrown: unknown): ErrorRecord {
  try {
    return readError(thrown, 0);
  } catch {
    // A getter or a proxy that throws when it is looked at.
    return { name: 'NonError', message: 'something was thrown that cannot be read' };
  }
}

function readError(thrown: unknown, depth: number): ErrorRecord {
  if (!(thrown instanceof Error)) return { name: 'NonError', message: describe(thrown).slice(0, LONGEST_MESSAGE) };
  // What a library hangs on an error need not have the type that `Error` promises.
  const { name, message, code, retryable, stack, cause } = thrown as { readonly [K in keyof ErrorRecord]: unknown };
  return {
    name: asText(name).slice(0, LONGEST_NAME),
    message: asText(message).slice(0, LONGEST_MESSAGE),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: String(code).slice(0, LONGEST_NAME) } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(typeof stack === 'string' ? { stack: stack.slice(0, LONGEST_STACK) } : {}),
    ...(cause === undefined || depth >= DEEPEST_CAUSE ? {} : { cause: readError(cause, depth + 1) }),
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : describe(value);
}

/** What came, in words short enough for a message. Never throws. */
export function describe(value: unknown): string {
  try {
    return inWords(value);
  } catch {
    return 'something that cannot be read';
  }
}

function inWords(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value);
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (typeof value === 'bigint') return `${value}n (a bigint)`;
  if (typeof value !== 'object' || value === null) return String(value);
  const text = asJson(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function asJson(value: object): string {
  try {
    return JSON.stringify(value) ?? 'undefined';
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message.split('\n')[0] : 'it cannot be written as JSON';
    return `${Object.prototype.toString.call(value)} (${why})`;
  }
}
