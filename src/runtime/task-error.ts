/** Task error: the error of a run as a row keeps it, and a failure as a run remembers it. */
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import { CallError } from '../admission/call-errors.ts';
import { fromWire, toWire } from '../isolation/wire.ts';
import { ChildFailedError } from './errors.ts';
import { decode } from './payload.ts';
import { WaitTimeoutError } from './run/errors.ts';

export function writeErrorRecord(error: unknown): string {
  return JSON.stringify(toErrorRecord(error));
}

export function readErrorRecord(text: string | null): ErrorRecord | null {
  return text === null ? null : (decode(text) as ErrorRecord);
}

/** Facts beyond this are left out: the record says the rest. */
const LONGEST_FAILURE = 65_536;

/** A failure that a later run is to see again. */
export function writeFailure(error: unknown): string {
  const wire = toWire(error);
  const text = JSON.stringify(wire);
  return text.length <= LONGEST_FAILURE ? text : JSON.stringify({ record: wire.record });
}

/** What operations of `ctx` fail with is of its own class in a later run too; of a step's own errors the class is lost, as in an isolated run. */
const KNOWN = new Map<unknown, object>([
  ['DROVER_CALL_FAILED', CallError.prototype],
  ['DROVER_CHILD_FAILED', ChildFailedError.prototype],
  ['DROVER_WAIT_TIMEOUT', WaitTimeoutError.prototype],
]);

export function readFailure(text: string): Error {
  const error = fromWire(decode(text) as Parameters<typeof fromWire>[0]);
  const known = KNOWN.get((error as { readonly code?: unknown }).code);
  if (known === undefined) return error;
  // Its prototype says it.
  Reflect.deleteProperty(error, 'name');
  return Object.setPrototypeOf(error, known) as Error;
}
