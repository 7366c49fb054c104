/** In step: which step of a run the code that asks is a part of. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { OperationInStepError } from './errors.ts';

const storage = new AsyncLocalStorage<{ readonly run: object; readonly step: string }>();

/** Performs the function of a step, so that what it begins is known to be inside of it. */
export function inStep<T>(run: object, step: string, perform: () => T): T {
  return storage.run({ run, step }, perform);
}

/** The step of that run around the code that asks. */
export function stepAround(run: object): string | undefined {
  const around = storage.getStore();
  return around?.run === run ? around.step : undefined;
}

/**
 * For what a run may park at, or gives to the store when the task completes. A step keeps worker and locks until it has ended,
 * so nobody could park there: a child that wants the same locks would be waited for in vain. And a later run that remembers
 * the step does not come by it.
 *
 * @throws OperationInStepError when the code that asks is within a step. `operation`: as it is called on `ctx`.
 */
export function checkOutsideStep(run: { readonly task: { readonly id: string } }, operation: string): void {
  const step = stepAround(run);
  if (step !== undefined) throw new OperationInStepError({ id: run.task.id, step, operation });
}

/** How a step is called within itself: its name and its key, and the step around it. */
export function stepOf(place: string): string {
  return place.slice(place.indexOf(':') + 1);
}

/** What marks places within a step. */
const IN_STEP = '~in:';

/**
 * The name of a place: within a step it has counters of its own. When the step is remembered nothing in it is come by any
 * more, and what comes after it must not be numbered otherwise by that.
 */
export function placedIn(run: object, name: string): string {
  const step = stepAround(run);
  return step === undefined ? name : `${name}${IN_STEP}${step}`;
}

/** Whether a place is one within a step. */
export function isInStep(place: string): boolean {
  return place.includes(IN_STEP);
}
