/** Child state: `ctx.state` of a run in a thread or process. Rows are read and kept by the fleet; what `update` makes of one happens here. */
import { StateInStepError } from '../../runtime/run/errors.ts';
import { stepAround } from '../../runtime/run/in-step.ts';
import { checkFunction, encode } from '../../runtime/payload.ts';
import type { State, StateValue } from '../../topology/context.ts';
import type { FromRun } from '../wire.ts';
import type { ChildRun } from './child-run.ts';

export class ChildState implements State {
  readonly #run: ChildRun;
  readonly #maxBytes: number;
  readonly #post: (said: FromRun) => void;

  constructor(run: ChildRun, maxBytes: number, post: (said: FromRun) => void) {
    this.#run = run;
    this.#maxBytes = maxBytes;
    this.#post = post;
  }

  get<T = unknown>(key: string): Promise<StateValue<T> | undefined> {
    return this.#run.operate('state.get', key, (ticket) => {
      this.#check('state.get');
      this.#post({ at: 'state-get', ticket, key });
    });
  }

  set(key: string, value: unknown, version: number | null): Promise<void> {
    return this.#run.operate('state.set', key, (ticket) => {
      this.#check('state.set');
      this.#post({ at: 'state-set', ticket, key, value: encode(value, `row ${key}`, this.#maxBytes), version });
    });
  }

  delete(key: string, version: number): Promise<void> {
    return this.#run.operate('state.delete', key, (ticket) => {
      this.#check('state.delete');
      this.#post({ at: 'state-delete', ticket, key, version });
    });
  }

  update<T = unknown>(key: string, change: (value: T | undefined) => T): Promise<T> {
    return this.#run.operate(
      'state.update',
      key,
      (ticket) => {
        this.#check('state.update');
        checkFunction(`change of ${key}`, change);
        this.#post({ at: 'state-update', ticket, key });
      },
      change,
    );
  }

  /** Checked where the step is. */
  #check(operation: string): void {
    const step = stepAround(this.#run);
    if (step !== undefined) throw new StateInStepError({ id: this.#run.task.id, step, operation });
  }
}
