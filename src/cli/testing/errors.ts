/** What the commands that test refuse, and what keeps them from a conclusion. None of these is a violation. */
import { describe, DroverError } from '../../../actors/kernel/errors.ts';

/** A simulation has no tasks to submit. */
export class NoWorkloadError extends DroverError {
  readonly code = 'DROVER_NO_WORKLOAD';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, kind: string) {
    super(
      `${file}: a simulation needs tasks; add to this module: export const simulation = { workload: [{ kind: ${JSON.stringify(kind)}, input: ... }] }; or give --workload MODULE, or --tasks FILE`,
    );
    this.detail = { file };
  }
}

/** There is no module where `--workload` says, or it could not be loaded. `cause` says why. */
export class WorkloadFileError extends DroverError {
  readonly code = 'DROVER_WORKLOAD_FILE';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, why: string, options: ErrorOptions) {
    super(`${file}: ${why}; expected a module (.ts, .js, .mjs) that exports \`simulation\` or \`workload\``, options);
    this.detail = { file };
  }
}

/** What a module exports for simulations has the wrong form. */
export class SimulationExportError extends DroverError {
  readonly code = 'DROVER_SIMULATION_EXPORT';
  readonly retryable = false;
  override readonly detail: { readonly file: string; readonly path: string };
  constructor(file: string, path: string, expected: string, value: unknown) {
    super(`${file}: ${path}: expected ${expected}, got ${describe(value)}`);
    this.detail = { file, path };
  }
}

/** The thread of a simulation gave no sign of life: a run that never yields. */
export class SimulationSilentError extends DroverError {
  readonly code = 'DROVER_SIMULATION_SILENT';
  readonly retryable = false;
  override readonly detail: { readonly seed: number | string; readonly silentMs: number; readonly last: string | undefined };
  constructor(detail: SimulationSilentError['detail']) {
    const last = detail.last === undefined ? 'before any run began' : `after ${detail.last}`;
    super(`seed ${detail.seed}: no sign of life for ${detail.silentMs} ms, ${last}: its code never yields (a loop without an await?)`);
    this.detail = detail;
  }
}

/** The thread of a simulation ended by itself: `process.exit` in a user's code, or out of memory. */
export class SimulationThreadError extends DroverError {
  readonly code = 'DROVER_SIMULATION_THREAD';
  readonly retryable = false;
  constructor(seed: number | string | undefined, why: string, options?: ErrorOptions) {
    super(`${seed === undefined ? 'loading the topology' : `seed ${seed}`}: its thread ended: ${why}`, options);
  }
}

/** Codes of what is wrong with what a simulation was given, though it shows only while it is simulated. */
const REFUSALS = ['DROVER_SIMULATION_OPTION', 'DROVER_SEED', 'DROVER_UNKNOWN_KIND', 'DROVER_PAYLOAD_INVALID', 'DROVER_TASK_CONFLICT'];

/** Whether what kept a simulation from going on is wrong usage. Errors of threads come as records. */
export function isRefusal(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' && REFUSALS.includes(code);
}
