/** Task error: the error of a run as a row keeps it. */
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';

export function writeErrorRecord(error: unknown): string {
  return JSON.stringify(toErrorRecord(error));
}

export function readErrorRecord(text: string | null): ErrorRecord | null {
  return text === null ? null : (JSON.parse(text) as ErrorRecord);
}
