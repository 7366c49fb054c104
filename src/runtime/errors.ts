/** What the runtime refuses, and how tasks and calls fail. Codes are listed in the README. */
import { describe, DroverError, toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { TaskStatus } from '../../actors/ports/store.ts';

export * from './run/errors.ts';

/** A value does not fit the schema of its kind. */
export class PayloadInvalidError extends DroverError {
  readonly code = 'DROVER_PAYLOAD_INVALID';
  /** True for what a run has brought: a model may answer better next time. */
  readonly retryable: boolean;
  override readonly detail: { readonly what: string; readonly issues: readonly { readonly path: string; readonly message: string }[] };
  constructor(what: string, issues: PayloadInvalidError['detail']['issues'], value: unknown, retryable: boolean, options?: ErrorOptions) {
    const said = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
    super(`${what}: ${said}; got ${describe(value)}`, options);
    this.detail = { what, issues };
    this.retryable = retryable;
  }
}

/**
 * A value would not come back from JSON as it was given: NaN, Infinity, a Map, a Date, an instance of a class, a function, a
 * bigint, a cycle, a hole in an array, a field under a symbol; or it is nested more than 1,000 levels deep. It is no error
 * that fields which are undefined vanish, that undefined becomes null in an array, and -0 becomes 0.
 */
export class PayloadNotJsonError extends DroverError {
  readonly code = 'DROVER_PAYLOAD_NOT_JSON';
  readonly retryable = false;
  /** `path`: where in it, e.g. `items[3].price`; empty: the value itself. */
  override readonly detail: { readonly what: string; readonly path: string };
  /** `found`: what is there, in words. */
  constructor(detail: PayloadNotJsonError['detail'], found: string, options?: ErrorOptions) {
    const { what, path } = detail;
    super(`${what}${path === '' ? '' : `: ${path}`} is ${found}; only what JSON gives back as it was can be kept`, options);
    this.detail = detail;
  }
}

/** A value is larger than `bounds.payloadBytes`. Keep large things elsewhere and pass their address. */
export class PayloadTooLargeError extends DroverError {
  readonly code = 'DROVER_PAYLOAD_TOO_LARGE';
  readonly retryable = false;
  override readonly detail: { readonly what: string; readonly bytes: number; readonly maxBytes: number };
  constructor(detail: PayloadTooLargeError['detail']) {
    super(
      `${detail.what}: ${detail.bytes} bytes of JSON, at most ${detail.maxBytes} fit (bounds.payloadBytes); keep it elsewhere and pass its address`,
    );
    this.detail = detail;
  }
}

/** What was stored as JSON is none any more: somebody else has written to the store. A task whose run reads it is kept as it stands. */
export class PayloadUnreadableError extends DroverError {
  readonly code = 'DROVER_PAYLOAD_UNREADABLE';
  readonly retryable = false;
  constructor(options: ErrorOptions) {
    super(
      'what is stored here is no JSON any more: somebody else has written it; keep a copy of the files, then mend it, or restore a backup',
      options,
    );
  }
}

/** There is no agent of that name in this fleet. */
export class UnknownKindError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_KIND';
  readonly retryable = false;
  override readonly detail: { readonly kind: string; readonly kinds: readonly string[] };
  constructor(kind: string, kinds: readonly string[]) {
    super(`no agent is called ${describe(kind)}; there are ${kinds.join(', ')}`);
    this.detail = { kind, kinds };
  }
}

/** There is no worker at that address. */
export class UnknownWorkerError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_WORKER';
  readonly retryable = false;
  override readonly detail: { readonly worker: string };
  constructor(worker: string, expected: string) {
    super(`no worker is at ${describe(worker)}; an address is like ${expected}/0`);
    this.detail = { worker };
  }
}

/** There is no dependency of that name. */
export class UnknownDependencyError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_DEPENDENCY';
  readonly retryable = false;
  override readonly detail: { readonly dependency: string };
  constructor(dependency: string, known: readonly string[]) {
    super(`no dependency is called ${describe(dependency)}; there are ${known.join(', ') || 'none'}`);
    this.detail = { dependency };
  }
}

/** A kind cannot have so many workers. */
export class ReplicasError extends DroverError {
  readonly code = 'DROVER_REPLICAS';
  readonly retryable = false;
  override readonly detail: { readonly kind: string; readonly replicas: number; readonly least: number; readonly most: number };
  constructor(detail: ReplicasError['detail']) {
    const { kind, replicas, least, most } = detail;
    super(`${kind} can have ${least} to ${most} workers, as its replicas say; asked for ${describe(replicas)}`);
    this.detail = detail;
  }
}

/** A worker is not suspended for that: who would ever clear it? */
export class SuspendReasonError extends DroverError {
  readonly code = 'DROVER_SUSPEND_REASON';
  readonly retryable = false;
  override readonly detail: { readonly reason: unknown; readonly reasons: readonly string[] };
  constructor(reason: unknown, reasons: readonly string[]) {
    super(`no worker is suspended for ${describe(reason)}; there are ${reasons.join(', ')}`);
    this.detail = { reason, reasons };
  }
}

/** A suspended worker has not passed its health check. */
export class HealthCheckError extends DroverError {
  readonly code = 'DROVER_HEALTH_CHECK';
  readonly retryable = true;
  override readonly detail: { readonly worker: string };
  constructor(worker: string, why: string) {
    super(`health check of ${worker}: ${why}`);
    this.detail = { worker };
  }
}

/** An option of `submit` has a wrong value. */
export class SubmitOptionError extends DroverError {
  readonly code = 'DROVER_SUBMIT_OPTION';
  readonly retryable = false;
  override readonly detail: { readonly option: string };
  constructor(option: string, expected: string, value: unknown) {
    super(`submit: ${option}: expected ${expected}, got ${describe(value)}`);
    this.detail = { option };
  }
}

/** The id belongs to another task: other kind, or other input. */
export class TaskConflictError extends DroverError {
  readonly code = 'DROVER_TASK_CONFLICT';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly kind: string };
  constructor(id: string, kind: string, known: { readonly kind: string }) {
    super(
      `task ${id}: is there already with ${known.kind === kind ? 'another input' : `kind ${known.kind}`}; one id is one task, give another id`,
    );
    this.detail = { id, kind };
  }
}

/**
 * The fleet is closing or closed, or stopped because it could not go on (`cause`). What was accepted stays in the store, unless
 * the cause says that it is damaged or gone.
 */
export class FleetClosedError extends DroverError {
  readonly code = 'DROVER_FLEET_CLOSED';
  readonly retryable = false;
  constructor(fleet: string, options?: ErrorOptions) {
    const cause = options?.cause === undefined ? undefined : toErrorRecord(options.cause);
    const why = cause === undefined ? 'is closed' : `has stopped: ${cause.message}`;
    const isLost = cause?.code === 'DROVER_STORE_DAMAGED' || cause?.code === 'DROVER_STORE_REMOVED';
    super(`fleet ${fleet} ${why}${isLost ? '' : '; accepted tasks stay in its store and go on when it is started again'}`, options);
  }
}

/** The root of the supervision tree has ended: restarting has stopped helping. The supervisor that gave up is in the log. */
export class FleetGaveUpError extends DroverError {
  readonly code = 'DROVER_GAVE_UP';
  readonly retryable = true;
  constructor(fleet: string) {
    super(
      `fleet ${fleet}: its supervision tree gave up (more restarts than supervision.intensity allows); see what its workers ended with`,
    );
  }
}

/** A task ended without a result. `detail.error` is what its last run ended with. */
export class TaskFailedError extends DroverError {
  readonly code = 'DROVER_TASK_FAILED';
  readonly retryable = false;
  override readonly detail: { readonly id: string; readonly kind: string; readonly status: TaskStatus; readonly error: ErrorRecord | null };
  constructor(detail: TaskFailedError['detail']) {
    super(`task ${detail.id} (${detail.kind}) ended ${detail.status}: ${detail.error?.message ?? 'no error was recorded'}`);
    this.detail = detail;
  }
}

/** A child that this run asked for ended without a result. */
export class ChildFailedError extends DroverError {
  readonly code = 'DROVER_CHILD_FAILED';
  /** It has failed for good: asking again at the same place finds the same child. */
  readonly retryable = false;
  /** Of one that was cancelled: `by` whom, and for what `reason`; null where that cannot be found out, or was not said. */
  override readonly detail: TaskFailedError['detail'] & { readonly by?: string | null; readonly reason?: string | null };
  constructor(detail: ChildFailedError['detail']) {
    super(`child ${detail.id} (${detail.kind}) ended ${detail.status}: ${detail.error?.message ?? 'no error was recorded'}`);
    this.detail = detail;
  }
}

/** Somebody named a dependency, a kind or an event that the agent does not declare. */
export class UndeclaredError extends DroverError {
  readonly code = 'DROVER_UNDECLARED';
  readonly retryable = false;
  override readonly detail: { readonly kind: string; readonly field: 'uses' | 'asks' | 'events'; readonly name: string };
  /** `isOther`: it is in its uses, and no bulkhead; `declared` are those that are. */
  constructor(detail: UndeclaredError['detail'], declared: readonly string[], isOther = false) {
    const { kind, field, name } = detail;
    const there = `there are ${declared.join(', ') || 'none'}`;
    super(
      isOther
        ? `${kind}: ${describe(name)} of its uses is no bulkhead, whose places could be held; of those ${there}; a dependency is called (ctx.call)`
        : `${kind}: ${describe(name)} is not in its ${field}; ${there}`,
    );
    this.detail = detail;
  }
}

/** A run that holds a place of a bulkhead wants what could close a ring of waits. */
export class BulkheadOrderError extends DroverError {
  readonly code = 'DROVER_BULKHEAD_ORDER';
  readonly retryable = false;
  override readonly detail: { readonly kind: string; readonly held: string; readonly wanted: string };
  constructor(detail: BulkheadOrderError['detail']) {
    const { kind, held, wanted } = detail;
    super(
      `${kind}: holds a place of ${held} and wants ${wanted}; nested places rise in rank, and a child, an event or an approval is waited for without any`,
    );
    this.detail = detail;
  }
}

/** A run took longer than `runTimeoutMs`, or showed no life for `stallMs`. */
export class RunTimeoutError extends DroverError {
  readonly code = 'DROVER_RUN_TIMEOUT';
  readonly retryable = true;
  override readonly detail: { readonly id: string; readonly limit: 'runTimeoutMs' | 'stallMs'; readonly ms: number };
  constructor(detail: RunTimeoutError['detail']) {
    super(
      `task ${detail.id}: ${detail.limit === 'runTimeoutMs' ? 'the run took longer than' : 'the run did nothing on ctx for'} ${detail.ms} ms (${detail.limit})`,
    );
    this.detail = detail;
  }
}

/** A run is over although its promise is still pending: why `ctx.signal` has aborted. */
export class RunOverError extends DroverError {
  readonly code = 'DROVER_RUN_OVER';
  readonly retryable = true;
  override readonly detail: { readonly reason: RunOverReason };
  constructor(reason: RunOverReason) {
    super(`this run is over: ${reason}`);
    this.detail = { reason };
  }
}

/** ended: it has returned or thrown. The others leave its promise pending for ever. */
export type RunOverReason =
  | 'ended'
  | 'parked'
  | 'timeout'
  | 'stalled'
  | 'deadline'
  | 'cancelled'
  | 'paused'
  | 'lease-lost'
  | 'worker-gone'
  | 'shutdown';

/** Drover needs a newer Node than this one. */
export class NodeTooOldError extends DroverError {
  readonly code = 'DROVER_NODE_TOO_OLD';
  readonly retryable = false;
  override readonly detail: { readonly oldest: number; readonly found: string };
  constructor(detail: NodeTooOldError['detail']) {
    super(`expected Node ${detail.oldest} or newer, this is ${detail.found}; install a newer one`);
    this.detail = detail;
  }
}
