/** What arbitraries and virtual fleets refuse, and how a fleet that is not as its model says is told of. */
import { describe, DroverError } from '../../../actors/kernel/errors.ts';

/** An option of an arbitrary, a virtual fleet or a test of the kit has a wrong value, or there is no such option. */
export class ArbitraryOptionError extends DroverError {
  readonly code = 'DROVER_ARBITRARY_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly option: string; readonly expected: string };
  constructor(option: string, expected: string, value: unknown) {
    super(`${option}: expected ${expected}, got ${describe(value)}`);
    this.detail = { option, expected };
  }
}

/** No process of the virtual fleet is there: it was killed, was closed, or gave up. Call `restart()`. */
export class VirtualFleetDownError extends DroverError {
  readonly code = 'DROVER_VIRTUAL_FLEET_DOWN';
  readonly retryable = true;
  override readonly detail: { readonly fleet: string; readonly atMs: number };
  constructor(detail: VirtualFleetDownError['detail']) {
    super(`${detail.fleet}: no process is there at ${detail.atMs} ms; start one with restart()`);
    this.detail = detail;
  }
}

/** What was waited for did not come within so much virtual time. */
export class VirtualFleetLateError extends DroverError {
  readonly code = 'DROVER_VIRTUAL_FLEET_LATE';
  readonly retryable = false;
  override readonly detail: { readonly fleet: string; readonly awaited: string; readonly withinMs: number; readonly seed: number | string };
  constructor(detail: VirtualFleetLateError['detail']) {
    super(`${detail.fleet}, seed ${detail.seed}: not within ${detail.withinMs} ms of virtual time: ${detail.awaited}`);
    this.detail = detail;
  }
}

/** The fleet is not as the model has it. */
export class FleetModelError extends DroverError {
  readonly code = 'DROVER_FLEET_MODEL';
  readonly retryable = false;
  override readonly detail: { readonly command: string; readonly task: string | undefined };
  constructor(detail: FleetModelError['detail'], expected: string, found: unknown) {
    super(`${detail.command}: expected ${expected}, found ${describe(found)}`);
    this.detail = detail;
  }
}
