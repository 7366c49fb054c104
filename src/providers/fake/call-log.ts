/**
 * Log of accepted calls: bounded in memory, whole in a JSON-lines file.
 *
 * What the file holds, in the order in which it happened:
 *
 * 1. `{"line":"accepted", id, connection, atMs, key, ...}`, before anything of the answer is sent.
 * 2. `{"line":"ended", id, ended, sent, status, ...}`, when the answer was handed to the operating
 *    system as a whole, or can no longer be.
 * 3. `{"line":"connection-closed", connection, lastCallId, atMs}`, when that connection is gone.
 *
 * A line is written synchronously and reaches the page cache before the program goes on: it is there
 * after a kill -9 of the client, and of the provider too (after a power cut it may not be).
 *
 * Was a call in flight when its client died? A key was accepted twice; look at the first:
 *
 * - `sent` is `nothing` or `part`: in flight. The client cannot have had the answer.
 * - `sent` is `all`: the answer had left. The client may have died before it read it: then the
 *   connection closed within moments of `endedAtMs`, with this call as `lastCallId`. If another call
 *   followed on the connection, or it closed later than the client needs to remember an answer,
 *   the second call should not have been made.
 * - no `ended` line: the provider itself was killed, or has not yet seen that the client is gone.
 */
import { appendFileSync, closeSync, openSync } from 'node:fs';
import type { CallFault } from './faults/faults.ts';
import type { CallUsage } from './usage.ts';
import type { WireName } from './wire.ts';

/**
 * How an accepted call ended: `answered` as a whole; the client went away first; the provider was
 * closed; `options.answer` threw (the client sees a 500); or a fault.
 */
export type CallEnding = 'answered' | 'client-closed' | 'provider-closed' | 'answer-failed' | `fault:${CallFault}`;

/** How much of the answer was handed to the operating system. All of it does not mean that it was read. */
export type SentShare = 'nothing' | 'part' | 'all';

/** What is known about a call when it is accepted. */
export interface AcceptedCall {
  /** Also the `x-request-id`, at Anthropic the `request-id`. Unique over restarts of the provider. */
  readonly id: string;
  /** The TCP connection it came over. Unique over restarts of the provider. */
  readonly connection: string;
  /** When it was accepted, in milliseconds since 1970. */
  readonly atMs: number;
  /** The `idempotency-key` header, null without one. It is recorded and has no effect. */
  readonly key: string | null;
  readonly model: string;
  /** The whole prompt, cached or not. */
  readonly promptTokens: number;
  readonly streamed: boolean;
  /** The wire format. Lines of older log files have none: `openai`. */
  readonly wire?: WireName;
}

/** What is known about a call when it is over. */
export interface EndedCall extends AcceptedCall {
  readonly ended: CallEnding;
  readonly sent: SentShare;
  /** HTTP status that was sent, null when nothing was. */
  readonly status: number | null;
  /** Tokens of the answer that were sent, and those of its reasoning. */
  readonly completionTokens: number;
  /** What the call is charged for, to be compared with a client's accounting. Lines of older log files have none. */
  readonly usage?: CallUsage;
  readonly endedAtMs: number;
  readonly durationMs: number;
}

/** One accepted call in memory. */
export type CallRecord = ({ readonly state: 'in-flight' } & AcceptedCall) | ({ readonly state: 'ended' } & EndedCall);

/** One accepted call of a provider that runs: all is known. */
export type LoggedCall = ({ readonly state: 'in-flight' } & Required<AcceptedCall>) | ({ readonly state: 'ended' } & Required<EndedCall>);

/** One line of the log file. */
export type LogLine =
  | ({ readonly line: 'accepted' } & AcceptedCall)
  | ({ readonly line: 'ended' } & EndedCall)
  | {
      readonly line: 'connection-closed';
      readonly connection: string;
      /** The last call accepted over it: the only one that can have been in flight. */
      readonly lastCallId: string;
      readonly atMs: number;
    };

export class CallLog {
  readonly #calls = new Map<string, LoggedCall>();
  readonly #maxCalls: number;
  #file: number | null;

  /** @throws the error of the file system when `logFile` cannot be opened for appending. */
  constructor(maxCalls: number, logFile: string | null) {
    this.#maxCalls = maxCalls;
    this.#file = logFile === null ? null : openSync(logFile, 'a');
  }

  /** Oldest first, at most `maxCalls`. */
  get calls(): readonly LoggedCall[] {
    return [...this.#calls.values()];
  }

  accepted(call: Required<AcceptedCall>): void {
    this.#write({ line: 'accepted', ...call });
    this.#calls.set(call.id, { state: 'in-flight', ...call });
    if (this.#calls.size <= this.#maxCalls) return;
    const oldest = this.#calls.keys().next();
    if (!oldest.done) this.#calls.delete(oldest.value);
  }

  ended(call: Required<EndedCall>): void {
    this.#write({ line: 'ended', ...call });
    // A call that outlived its place in memory does not come back as the newest.
    if (this.#calls.has(call.id)) this.#calls.set(call.id, { state: 'ended', ...call });
  }

  connectionClosed(connection: string, lastCallId: string, atMs: number): void {
    this.#write({ line: 'connection-closed', connection, lastCallId, atMs });
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #write(line: LogLine): void {
    if (this.#file !== null) appendFileSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}
