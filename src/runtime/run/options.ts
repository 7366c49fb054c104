/** Options: those of an operation on `ctx`. A field that there is not is a slip of the pen, and would change nothing in silence. */
import { PayloadInvalidError } from '../errors.ts';

const FIELDS = {
  call: ['remember', 'key'],
  hold: ['slots', 'key'],
  step: ['key'],
  ask: ['priority', 'key'],
  send: ['priority', 'key'],
  sleep: ['key'],
  waitFor: ['withinMs', 'key'],
  approval: ['withinMs', 'key'],
} as const;

/** @throws PayloadInvalidError naming the first field that the operation does not have */
export function checkOptions(operation: keyof typeof FIELDS, options: unknown): void {
  if (typeof options !== 'object' || options === null) throw wrong(operation, 'expected an object', options);
  const known: readonly string[] = FIELDS[operation];
  for (const name in options) {
    if (!known.includes(name)) throw wrong(operation, `${name}: no such option; there are ${known.join(', ')}`, options);
  }
}

function wrong(operation: string, message: string, options: unknown): PayloadInvalidError {
  return new PayloadInvalidError(`options of ${operation}`, [{ path: '', message }], options, false);
}
