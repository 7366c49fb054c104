/** What the testing kit refuses. None of these is a violation: those are data, in the result. */
import { describe, DroverError, toErrorRecord } from '../../actors/kernel/errors.ts';

/** An option of `simulate`, or of another part of the kit, has a wrong value, or there is no such option. */
export class SimulationOptionError extends DroverError {
  readonly code = 'DROVER_SIMULATION_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly option: string; readonly expected: string };
  constructor(option: string, expected: string, value: unknown) {
    super(`${option}: expected ${expected}, got ${describe(value)}`);
    this.detail = { option, expected };
  }
}

/** A seed has the wrong form. */
export class SeedError extends DroverError {
  readonly code = 'DROVER_SEED';
  readonly retryable = false;
  constructor(value: unknown) {
    super(`seed: expected a whole number from 0, or a text of 1 to 200 characters, got ${describe(value)}`);
  }
}

/** A function that the simulation was given threw: the workload, or how a dependency replies. `cause` is what it threw. */
export class SimulationCallbackError extends DroverError {
  readonly code = 'DROVER_SIMULATION_CALLBACK';
  readonly retryable = false;
  override readonly detail: { readonly callback: string; readonly place: string | undefined };
  constructor(detail: SimulationCallbackError['detail'], options: ErrorOptions) {
    super(
      `${detail.callback} threw${detail.place === undefined ? '' : ` at ${detail.place}`}: ${toErrorRecord(options.cause).message}`,
      options,
    );
    this.detail = detail;
  }
}

/** So much happened at one virtual instant that time would never pass: a run that loops over operations on `ctx`, say. */
export class SimulationStuckError extends DroverError {
  readonly code = 'DROVER_SIMULATION_STUCK';
  readonly retryable = false;
  override readonly detail: { readonly atMs: number; readonly what: string; readonly limit: number; readonly place: string | undefined };
  constructor(detail: SimulationStuckError['detail']) {
    const place = detail.place === undefined ? '' : `, at ${detail.place}`;
    super(`${detail.what}${place}: more than ${detail.limit} at one virtual instant (${detail.atMs} ms); time would never pass`);
    this.detail = detail;
  }
}

/** A simulation was not clean. `detail` has everything that its result has about it. */
export class SimulationViolatedError extends DroverError {
  readonly code = 'DROVER_SIMULATION_VIOLATED';
  readonly retryable = false;
  override readonly detail: { readonly seed: number | string; readonly invariants: readonly string[]; readonly replay: string };
  constructor(message: string, detail: SimulationViolatedError['detail']) {
    super(message);
    this.detail = detail;
  }
}
