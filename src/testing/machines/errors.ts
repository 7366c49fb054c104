/** What the tests of machines refuse, and how they say that a machine failed. */
import { describe, DroverError, toErrorRecord } from '../../../actors/kernel/errors.ts';

/** An option of `pathsOf` or `testMachine` has a wrong value, or there is no such option. */
export class MachineOptionError extends DroverError {
  readonly code = 'DROVER_MACHINE_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly option: string; readonly expected: string };
  constructor(option: string, expected: string, value: unknown, options?: ErrorOptions) {
    super(`machine: ${option}: expected ${expected}, got ${describe(value)}`, options);
    this.detail = { option, expected };
  }
}

/** An event was given that no state of the machine takes. */
export class MachineEventError extends DroverError {
  readonly code = 'DROVER_MACHINE_EVENT';
  readonly retryable = false;
  override readonly detail: { readonly machine: string; readonly event: string; readonly known: readonly string[] };
  constructor(detail: MachineEventError['detail']) {
    super(`${detail.machine}: no state takes the event ${detail.event}; there are ${detail.known.join(', ') || 'none'}`);
    this.detail = detail;
  }
}

/** The machine has more states than may be explored. `detail.grows` says what of its context has how many values. */
export class MachineUnboundedError extends DroverError {
  readonly code = 'DROVER_MACHINE_UNBOUNDED';
  readonly retryable = false;
  override readonly detail: {
    readonly machine: string;
    readonly what: 'states' | 'paths';
    readonly limit: number;
    readonly grows: readonly { readonly key: string; readonly values: number }[];
  };
  constructor(detail: MachineUnboundedError['detail']) {
    const grows = detail.grows.map(({ key, values }) => `context.${key} (${values} values)`).join(', ');
    const remedy =
      detail.what === 'states'
        ? 'leave it out with `identity`, or stop there with `within`'
        : "cover 'transitions', stop somewhere with `within`, or raise `mostPaths`";
    super(`${detail.machine}: more than ${detail.limit} ${detail.what}${grows === '' ? '' : `; what grows is ${grows}`}; ${remedy}`);
    this.detail = detail;
  }
}

/** A guard or an assignment of the machine threw while its states were explored. `cause` is what it threw. */
export class MachineThrewError extends DroverError {
  readonly code = 'DROVER_MACHINE_THREW';
  readonly retryable = false;
  override readonly detail: { readonly machine: string; readonly event: string };
  constructor(detail: MachineThrewError['detail'], options: ErrorOptions) {
    const said = toErrorRecord(options.cause).message;
    super(`${detail.machine}: ${detail.event} cannot be taken: ${said}; give a case of that event with the data it needs`, options);
    this.detail = detail;
  }
}

/** A path through the machine failed: a check threw, the machine did, or it went elsewhere. `cause` is what was thrown. */
export class MachineTestError extends DroverError {
  readonly code = 'DROVER_MACHINE_TEST';
  readonly retryable = false;
  override readonly detail: { readonly machine: string; readonly path: string; readonly step: number; readonly why: string };
  constructor(detail: MachineTestError['detail'], options?: ErrorOptions) {
    super(`${detail.machine}: after step ${detail.step} of ${detail.path}: ${detail.why}`, options);
    this.detail = detail;
  }
}

/** States were not reached, or transitions not taken, by any path. */
export class MachineUncoveredError extends DroverError {
  readonly code = 'DROVER_MACHINE_UNCOVERED';
  readonly retryable = false;
  override readonly detail: { readonly machine: string; readonly unreached: readonly string[]; readonly untaken: readonly string[] };
  constructor(detail: MachineUncoveredError['detail'], skipped: readonly string[]) {
    const said = [
      ...detail.unreached.map((state) => `  not reached: ${state}`),
      ...detail.untaken.map((transition) => `  not taken: ${transition}`),
      ...skipped.map((why) => `  skipped: ${why}`),
    ];
    super(`${detail.machine}: not everything is covered\n${said.join('\n')}`);
    this.detail = detail;
  }
}
