/**
 * Wire: what an isolated run and its fleet say to each other.
 *
 *     fleet ── load ─▶ child                     once; answered ready | unable
 *     fleet ── ping ─▶ child ── pong ─▶ fleet    from the child's event loop
 *     fleet ── run ──▶ child ── what it does on `ctx`: call, step, ask, sleep, state, ... ─▶ fleet
 *     fleet ── do-undo ─▶ child                  what a compensation has registered; it ends as a step does
 *     fleet ◀── returned | threw ── child        the run has ended
 *     fleet ── over ─▶ child                     the run is over, whoever ended it
 *
 * A run has a number, and each of its operations a ticket. What concerns a run that is over is ignored
 * on both sides. Inputs, results and what steps bring travel as JSON texts, as the store keeps them;
 * requests and replies of dependencies are copied by structured clone.
 */
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { AskOptions, CallOptions, Context, HoldOptions, KeyOptions, WaitOptions } from '../topology/context.ts';

/** What a child is started for. */
export interface ChildPurpose {
  readonly fleet: string;
  readonly module: string;
  readonly kind: string;
}

export interface RunOrder {
  readonly run: number;
  readonly task: Context['task'];
  /** As the store has it. */
  readonly input: string;
  /** How deep below a submitted task this one is. */
  readonly depth: number;
  readonly priority: number;
}

export type ToChild =
  | { readonly at: 'load'; readonly purpose: ChildPurpose }
  | ({ readonly at: 'run' } & RunOrder)
  | { readonly at: 'resolved'; readonly run: number; readonly ticket: number; readonly value: unknown }
  | { readonly at: 'rejected'; readonly run: number; readonly ticket: number; readonly error: WireError }
  /** No earlier run has done this step: do it. */
  | { readonly at: 'do-step'; readonly run: number; readonly ticket: number; readonly idempotencyKey: string }
  /** The task is to be undone: do what was registered under that name. Tickets of these are below 0. */
  | { readonly at: 'do-undo'; readonly run: number; readonly ticket: number; readonly name: string; readonly idempotencyKey: string }
  /** What the row is, for the change that the child makes of it: answered as a step is. */
  | { readonly at: 'do-change'; readonly run: number; readonly ticket: number; readonly value: string }
  /** Its signal aborts; what it does may still end, and is heard. */
  | { readonly at: 'stop'; readonly run: number; readonly error: WireError }
  | { readonly at: 'over'; readonly run: number; readonly error: WireError }
  | { readonly at: 'ping' }
  | { readonly at: 'end' };

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** What a run says. `within`: in which of its steps. */
export type FromRun = Spoken & { readonly within?: string };

type Spoken =
  | { readonly at: 'call'; readonly ticket: number; readonly name: string; readonly request: unknown; readonly options: CallOptions }
  | { readonly at: 'step'; readonly ticket: number; readonly name: string; readonly options: KeyOptions }
  /** Answered by `do-step` once there is a place; ends as a step does. */
  | { readonly at: 'hold'; readonly ticket: number; readonly name: string; readonly options: HoldOptions }
  | { readonly at: 'step-done'; readonly ticket: number; readonly value: string }
  /** `of`: tickets of the operations that were rejected with what it holds. */
  | { readonly at: 'step-failed'; readonly ticket: number; readonly error: WireError; readonly of: readonly number[] }
  | { readonly at: 'ask'; readonly ticket: number; readonly kind: string; readonly input: string; readonly options: AskOptions }
  | { readonly at: 'send'; readonly kind: string; readonly input: string; readonly options: AskOptions }
  | { readonly at: 'sleep'; readonly ticket: number; readonly until: number | Date; readonly options: KeyOptions }
  | { readonly at: 'wait-for'; readonly ticket: number; readonly name: string; readonly options: WaitOptions }
  /** `request`: JSON. */
  | { readonly at: 'approval'; readonly ticket: number; readonly name: string; readonly request: string; readonly options: WaitOptions }
  /** What undoes a step stays in the child, by this name. */
  | { readonly at: 'compensate'; readonly ticket: number; readonly name: string }
  | { readonly at: 'widen'; readonly ticket: number; readonly resources: readonly string[] }
  | { readonly at: 'state-get'; readonly ticket: number; readonly key: string }
  /** `value`: JSON. */
  | { readonly at: 'state-set'; readonly ticket: number; readonly key: string; readonly value: string; readonly version: number | null }
  | { readonly at: 'state-delete'; readonly ticket: number; readonly key: string; readonly version: number }
  /** Answered by `do-change` with the row as it is. */
  | { readonly at: 'state-update'; readonly ticket: number; readonly key: string }
  | { readonly at: 'score'; readonly quality: number }
  | { readonly at: 'progress'; readonly done: number; readonly total: number | undefined }
  | { readonly at: 'log'; readonly level: Level; readonly facts: object; readonly message: string | undefined }
  | { readonly at: 'returned'; readonly result: string }
  /** `of`: as above. */
  | { readonly at: 'threw'; readonly error: WireError; readonly of: readonly number[] };

export type FromChild =
  | { readonly at: 'ready' }
  | { readonly at: 'unable'; readonly error: WireError }
  /** `externalBytes`: memory outside of the JavaScript heap, which no limit of V8's covers. */
  | { readonly at: 'pong'; readonly externalBytes: number }
  /** A promise was rejected and nobody looked at it. */
  | { readonly at: 'stray'; readonly error: WireError }
  | { readonly at: 'run'; readonly run: number; readonly said: FromRun };

/** An error on its way, with the facts that Drover's own keep in `detail`. */
export interface WireError {
  readonly record: ErrorRecord;
  readonly detail?: unknown;
}

/** Never throws. */
export function toWire(thrown: unknown): WireError {
  const record = toErrorRecord(thrown);
  try {
    const detail = (thrown as { readonly detail?: unknown } | null | undefined)?.detail;
    const text = detail === undefined ? undefined : JSON.stringify(detail);
    return text === undefined ? { record } : { record, detail: JSON.parse(text) as unknown };
  } catch {
    // What cannot be written as JSON stays behind; the record says the rest.
    return { record };
  }
}

/** The error as its receiver sees it: name, message, code, stack and `retryable` as they were, the class lost. Match on `code`. */
export function fromWire({ record, detail }: WireError): Error {
  const { name, message, stack, code, retryable, cause } = record;
  const error = new Error(message, cause === undefined ? undefined : { cause: fromWire({ record: cause }) });
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true });
  Object.defineProperty(error, 'stack', { value: stack ?? `${name}: ${message}`, configurable: true, writable: true });
  return Object.assign(error, {
    ...(code === undefined ? {} : { code }),
    ...(retryable === undefined ? {} : { retryable }),
    ...(detail === undefined ? {} : { detail }),
  });
}

/** Facts of a log line that can travel: errors as records, the rest as JSON, what is neither in words. */
export function toFacts(facts: object): object {
  const found: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(facts)) found[name] = value instanceof Error ? toErrorRecord(value) : asPlain(value);
  return found;
}

function asPlain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value === 'function' || typeof value === 'symbol' ? undefined : value;
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null') as unknown;
  } catch {
    return Object.prototype.toString.call(value);
  }
}
