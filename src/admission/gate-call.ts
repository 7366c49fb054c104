/** Gate call: what somebody asks for one call of a gate, and the check of it. */
import { z } from 'zod';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import type { PerformContext, Usage } from '../topology/dependency.ts';
import { AdmissionOptionError } from './call-errors.ts';

/** One call. */
export interface AdmittedCall<T> {
  /** Upper bounds of what it will use. Default 0. */
  readonly input?: number;
  readonly output?: number;
  /** What it really used. Default: as reported by the work, else unknown: the upper bound counts. */
  usage?(reply: T): Usage | undefined;
  /** US dollars of a usage. Default: the gate's. */
  price?(usage: Usage): number;
  /** Whom to be fair to. Default: nobody in particular. */
  readonly tenant?: string;
  readonly flow?: string;
  /** A whole number; higher goes sooner within its flow. Default 0. */
  readonly priority?: number;
  /** Gives up the place in the line, or the try that is under way. */
  readonly signal?: AbortSignal;
  /** Each try is admitted within this time, or refused. Default: waits as long as it takes. */
  readonly withinMs?: number;
  /** Told, once, when it has to wait in the line: how many go before it, and how long that takes, for all that is known. What it throws is dropped. */
  onWaiting?(where: { readonly position: number; readonly estimateMs: number }): void;
  /** While the breaker is open: to wait, or to be refused. Default `refuse`. */
  readonly whenShut?: 'wait' | 'refuse';
}

/** What a gate performs. */
export interface GateRequest {
  readonly work: (call: PerformContext) => Promise<unknown>;
  readonly call: AdmittedCall<unknown>;
}

const amount = z.number('tokens, at least 0').min(0, 'tokens, at least 0').optional();
const fn = z.custom((value) => typeof value === 'function', 'a function').optional();
const text = z.string('a text').optional();

const callShape = z.strictObject(
  {
    input: amount,
    output: amount,
    usage: fn,
    price: fn,
    tenant: text,
    flow: text,
    priority: z.int('a whole number').optional(),
    signal: z.custom((value) => value instanceof AbortSignal, 'an AbortSignal').optional(),
    withinMs: z.number('milliseconds, at least 0').min(0, 'milliseconds, at least 0').optional(),
    onWaiting: fn,
    whenShut: z.enum(['wait', 'refuse'], "'wait' or 'refuse'").optional(),
  },
  unknownOr('an object of options'),
);

/** @throws AdmissionOptionError */
export function checkWork(work: unknown): void {
  if (typeof work !== 'function')
    throw new AdmissionOptionError({ path: ['run', 'work'], value: work, expected: 'a function that gives a promise' });
}

/** What untroubled callers give needs no schema, and its cost. @throws AdmissionOptionError, and the reason of a signal that is aborted already */
export function checkCall(call: AdmittedCall<never>): void {
  if (!isPlain(call)) {
    const problem = checkShape(callShape, call);
    if (problem !== undefined) throw new AdmissionOptionError({ ...problem, path: ['run', ...problem.path] });
  }
  call.signal?.throwIfAborted();
}

function isPlain(call: AdmittedCall<never>): boolean {
  if (typeof call !== 'object' || (call as unknown) === null || Array.isArray(call)) return false;
  for (const field in call) {
    const value = call[field as keyof typeof call] as unknown;
    if (field === 'input' || field === 'output') {
      if (!Number.isFinite(value) || (value as number) < 0) return false;
    } else if (field !== 'usage' || typeof value !== 'function') return false;
  }
  return true;
}
