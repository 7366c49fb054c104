/** In step: which step of a run the code that asks is a part of. */
import { AsyncLocalStorage } from 'node:async_hooks';

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
