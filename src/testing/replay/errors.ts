/** What a replay refuses, and how it fails. None of these is a violation. */
import { DroverError } from '../../../actors/kernel/errors.ts';

/** There is no such file, or what is in it is no trace. */
export class TraceFileError extends DroverError {
  readonly code = 'DROVER_TRACE_FILE';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, why: string, options?: ErrorOptions) {
    super(`${file}: ${why}; expected a file that \`drover check --trace\` or \`drover simulate --trace\` wrote`, options);
    this.detail = { file };
  }
}

/** The trace was written by another version of Drover: the same seed may do something else there. */
export class TraceVersionError extends DroverError {
  readonly code = 'DROVER_TRACE_VERSION';
  readonly retryable = false;
  override readonly detail: { readonly file: string; readonly what: string; readonly theirs: string; readonly ours: string };
  constructor(detail: TraceVersionError['detail']) {
    super(`${detail.file}: expected ${detail.what} ${detail.ours}, got ${detail.theirs}; replay it with the version that wrote it`);
    this.detail = detail;
  }
}

/** The trace is of another topology, or this one has been changed since. */
export class TraceTopologyError extends DroverError {
  readonly code = 'DROVER_TRACE_TOPOLOGY';
  readonly retryable = false;
  override readonly detail: { readonly file: string; readonly theirs: string; readonly ours: string };
  constructor(
    file: string,
    theirs: { readonly name: string; readonly hash: string },
    ours: { readonly name: string; readonly hash: string },
  ) {
    const changed = `its plan was ${theirs.hash} and is ${ours.hash}: kinds, limits, bounds or supervision have been changed since`;
    super(
      `${file}: the trace is of ${theirs.name === ours.name ? `an earlier ${ours.name}: ${changed}` : `the topology ${theirs.name}, not of ${ours.name}`}`,
    );
    this.detail = { file, theirs: theirs.hash, ours: ours.hash };
  }
}

/** A replay did something else than what was recorded: code has changed, or does not do the same twice. */
export class ReplayDivergedError extends DroverError {
  readonly code = 'DROVER_TRACE_DIVERGED';
  readonly retryable = false;
  override readonly detail: { readonly seed: number | string; readonly afterEvents: number; readonly event: string | undefined };
  constructor(detail: ReplayDivergedError['detail'], clue: string | undefined) {
    const near = detail.event === undefined ? '' : `, near "${detail.event}"`;
    super(
      `seed ${detail.seed}: the replay is not what was recorded, from an event after the first ${detail.afterEvents}${near}; ` +
        (clue ?? 'the code of an agent, of the workload or of a stand-in has been changed, or does not do the same twice'),
    );
    this.detail = detail;
  }
}
