/** What the command line refuses, and how errors look on a screen. */
import { inspect } from 'node:util';
import { describe, DroverError, toErrorRecord } from '../../actors/kernel/errors.ts';
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import { printable } from './text.ts';

/** An option or argument is wrong. */
export class UsageError extends DroverError {
  readonly code = 'DROVER_USAGE';
  readonly retryable = false;
}

/** A command waits for something that can no longer happen. */
export class StuckError extends DroverError {
  readonly code = 'DROVER_STUCK';
  readonly retryable = false;
}

/** There is no topology file where the command line says. */
export class TopologyFileError extends DroverError {
  readonly code = 'DROVER_TOPOLOGY_FILE';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, why: string, options?: ErrorOptions) {
    super(`${file}: ${why}; expected a module (.ts, .js, .mjs) that exports a topology, relative to the current folder`, options);
    this.detail = { file };
  }
}

/** The module of the topology threw, or could not be parsed. `cause` says why. */
export class TopologyLoadError extends DroverError {
  readonly code = 'DROVER_TOPOLOGY_LOAD';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, place: string | undefined, options: ErrorOptions) {
    const unplaced = options.cause instanceof SyntaxError ? ' (`node` with this file alone, or with what it imports, shows where)' : '';
    super(`${file}: loading it failed${place === undefined ? unplaced : ` at ${place}`}`, options);
    this.detail = { file };
  }
}

/** The module has loaded, but what it exports is no topology. */
export class NoTopologyError extends DroverError {
  readonly code = 'DROVER_NO_TOPOLOGY';
  readonly retryable = false;
  override readonly detail: { readonly file: string; readonly exports: readonly string[] };
  constructor(file: string, exports: readonly string[]) {
    const found = exports.length === 0 ? 'exports nothing' : `exports ${exports.join(', ')}`;
    super(`${file}: expected what defineFleet(...) returns as its default export, or as export \`topology\`; it ${found}`);
    this.detail = { file, exports };
  }
}

/** The topology was made by a copy of Drover that is too different from this one. */
export class TopologyVersionError extends DroverError {
  readonly code = 'DROVER_TOPOLOGY_VERSION';
  readonly retryable = false;
  override readonly detail: { readonly file: string; readonly missing: readonly string[] };
  constructor(file: string, missing: readonly string[]) {
    super(
      `${file}: its topology has no ${missing.join(', ')}: it was made by another version of drover than this command; install one version of both`,
    );
    this.detail = { file, missing };
  }
}

/** The input cannot be opened, or broke off. */
export class TasksFileError extends DroverError {
  readonly code = 'DROVER_TASKS_FILE';
  readonly retryable = false;
  override readonly detail: { readonly file: string };
  constructor(file: string, why: string, options?: ErrorOptions) {
    super(`${file}: ${why}`, options);
    this.detail = { file };
  }
}

/** A line of the input is no task. */
export class TaskLineError extends DroverError {
  readonly code = 'DROVER_TASK_LINE';
  readonly retryable = false;
  constructor(expected: string, found: string, options?: ErrorOptions) {
    super(`expected ${expected}, got ${found}`, options);
  }

  /** With what came, in words short enough for a message. */
  static of(expected: string, found: unknown, options?: ErrorOptions): TaskLineError {
    return new TaskLineError(expected, describe(found), options);
  }
}

/**
 * An error in lines for people: code and message, then each cause's. The stack only with
 * `DROVER_DEBUG`, where it is the whole truth.
 */
export function formatError(error: unknown, debug: boolean): string {
  if (debug) return inspect(error, { depth: 6 });
  const lines: string[] = [];
  let record: ErrorRecord | undefined = isRecord(error) ? error : toErrorRecord(error);
  for (; record !== undefined; record = record.cause) {
    const message = printable(record.message);
    // Many messages quote their cause already.
    if (lines.some((line) => line.endsWith(message))) continue;
    lines.push(
      `${lines.length === 0 ? '' : '  cause: '}${record.code === undefined || message.startsWith(record.code) ? '' : `${record.code}: `}${message}`,
    );
  }
  return lines.join('\n');
}

/** An error that has become data already, as events carry it. */
function isRecord(error: unknown): error is ErrorRecord {
  return !(error instanceof Error) && typeof (error as { message?: unknown } | null | undefined)?.message === 'string';
}
