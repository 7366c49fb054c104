/** Step: an effect of a run's own, made once and remembered under its name. */
import type { KeyOptions, StepContext } from '../../topology/context.ts';
import type { Run, Settle } from '../run.ts';
import { PayloadInvalidError } from '../errors.ts';
import { checkFunction } from '../payload.ts';
import { idempotencyKeyOf } from './idempotency-key.ts';
import { inStep, placedIn, stepOf } from './in-step.ts';
import { Pending } from './operation.ts';

const LONGEST_NAME = 512;

export function step<T>(
  run: Run,
  name: string,
  fn: (step: StepContext) => T | Promise<T>,
  { key }: KeyOptions,
  resolve: Settle,
  reject: Settle,
): void {
  checkName('a step', name);
  checkFunction(`step ${name}`, fn);
  const place = run.memory.once('step', placedIn(run, name), key);
  const known = run.memory.recall(place, '');
  if (known !== undefined) return run.give(known, resolve, reject);
  if (!run.mayAct(reject)) return;
  if (run.memory.isBefore(place)) return run.holdBack(place, () => perform(run, place, fn, resolve, reject), reject);
  perform(run, place, fn, resolve, reject);
}

function perform<T>(run: Run, place: string, fn: (step: StepContext) => T | Promise<T>, resolve: Settle, reject: Settle): void {
  run.engine.checkLeases(run.engine.nowMs());
  if (run.over !== undefined) return;
  const operation = run.opened(new Pending());
  run.engine.operated(run);
  const context = new Step(run, idempotencyKeyOf(run.task.id, place));
  new Promise<T>((settle) => settle(run.within(() => inStep(run, stepOf(place), () => fn(context))))).then(
    (value) => run.keep(operation, place, '', value, resolve, reject),
    (error: unknown) => run.keepFailure(operation, place, '', error, reject),
  );
}

/** @throws PayloadInvalidError unless it can be the name of a step, an approval, a compensation */
export function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME && name.isWellFormed()) return;
  const expected = `expected a text of 1 to ${LONGEST_NAME} characters of well-formed Unicode`;
  throw new PayloadInvalidError(`name of ${what}`, [{ path: '', message: expected }], name, false);
}

/** What the function of a step, or of a compensation, gets. */
export class Step implements StepContext {
  readonly idempotencyKey: string;
  readonly #run: { readonly signal: AbortSignal };

  constructor(run: { readonly signal: AbortSignal }, idempotencyKey: string) {
    this.#run = run;
    this.idempotencyKey = idempotencyKey;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }
}
