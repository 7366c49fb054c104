/**
 * One accepted call, from the permit to the last line in the log.
 *
 *     accepted ── begin ──▶ answering ── end ──▶ settled ── last byte with the OS ──▶ ended
 *         └──────── client gone, or cut by a fault or by close() ───────────────────────▲
 *
 * 1. The log line is on file before anything else happens.
 * 2. The permit goes home just before the last bytes are sent, not after: a client that has read the
 *    answer may start its next call at once and must find the permit free.
 * 3. The response says when the last byte was handed over (`finish`) or that it never will (`close`);
 *    the first of the two ends the call, and clears its timers.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TokenCost } from './admission/limits.ts';
import type { AcceptedCall, CallEnding, CallLog, SentShare } from './call-log.ts';
import type { CallFault } from './faults/faults.ts';
import type { Limiter } from './limiter.ts';
import { costOf, NO_USAGE } from './usage.ts';
import type { CallUsage, PromptUsage } from './usage.ts';
import type { Wire } from './wire.ts';

/** What a call needs from its provider. */
export interface CallHost {
  readonly limiter: Limiter;
  readonly log: CallLog;
  readonly openCalls: Set<Call>;
  readonly nowMs: () => number;
}

/** What is known of a call when it is accepted. */
export interface CallPlan {
  readonly wire: Wire;
  readonly facts: Omit<Required<AcceptedCall>, 'wire' | 'promptTokens'>;
  readonly prompt: PromptUsage;
  /** What it was let in for. */
  readonly estimate: TokenCost;
  readonly fault: CallFault | null;
}

export class Call {
  readonly fault: CallFault | null;
  readonly #host: CallHost;
  readonly #plan: CallPlan;
  readonly #facts: Required<AcceptedCall>;
  readonly #response: ServerResponse;
  readonly #over = new AbortController();
  #status: number | null = null;
  #cutBy: CallEnding | null = null;
  #finishedAs: CallEnding = 'answered';
  #wholeAnswer: SentShare = 'all';
  #usesTokens = true;
  #outputTokens = 0;
  #reasoningTokens = 0;
  #settled = false;

  /** Writes the `accepted` line. The limiter has said yes already. */
  constructor(host: CallHost, plan: CallPlan, response: ServerResponse) {
    const { wire, facts, prompt, fault } = plan;
    this.#host = host;
    this.#plan = plan;
    this.#facts = { ...facts, wire: wire.name, promptTokens: prompt.inputTokens };
    this.#response = response;
    this.fault = fault;
    if (fault !== null) this.#finishedAs = `fault:${fault}`;
    host.log.accepted(this.#facts);
    host.openCalls.add(this);
    response.once('finish', () => this.#end());
    response.once('close', () => this.#end());
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Waits in real time. Rejects with an AbortError when the call is over before. */
  async pause(ms: number): Promise<void> {
    this.#over.signal.throwIfAborted();
    if (ms > 0) await sleep(ms, undefined, { signal: this.#over.signal });
  }

  /** Sends status and headers. */
  begin(status: number, headers: Record<string, string>): void {
    this.#status = status;
    this.#response.writeHead(status, headers);
  }

  /** Sends a part of the body; resolves when the client keeps up. Rejects when the call is over before. */
  async write(text: string): Promise<void> {
    this.#over.signal.throwIfAborted();
    if (!this.#response.write(text)) await once(this.#response, 'drain', { signal: this.#over.signal });
  }

  /** So many tokens of the text are sent from now on, and these of the reasoning before it are made. */
  count(textTokens: number, reasoningTokens = 0): void {
    this.#reasoningTokens += reasoningTokens;
    this.#outputTokens += textTokens + reasoningTokens;
  }

  /** Sends the last of the body, or all of it. `share` is `part` when it is less than was meant. */
  end(text: string, share: SentShare = 'all'): void {
    this.#wholeAnswer = share;
    this.#settle();
    this.#response.end(text);
  }

  /** The call fails without using tokens: the request is charged, the tokens are not. */
  fail(status: number, headers: Record<string, string>, body: string): void {
    this.#usesTokens = false;
    if (this.fault === null) this.#finishedAs = 'answer-failed';
    this.begin(status, headers);
    this.end(body);
  }

  /** From now on it is known why no answer comes, whoever closes the connection. */
  cut(ending: CallEnding): void {
    this.#cutBy ??= ending;
  }

  /** Resets the connection: the client sees ECONNRESET, not an orderly end. */
  reset(ending: CallEnding): void {
    this.cut(ending);
    this.#settle();
    this.#response.socket?.resetAndDestroy();
  }

  get #usage(): CallUsage {
    if (!this.#usesTokens) return NO_USAGE;
    return { ...this.#plan.prompt, outputTokens: this.#outputTokens, reasoningTokens: this.#reasoningTokens };
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    const { estimate, wire } = this.#plan;
    const usage = this.#usage;
    this.#host.limiter.leave(estimate, usage, costOf(usage, wire.cachedCounts));
  }

  #end(): void {
    if (this.isOver) return;
    const finished = this.#response.writableFinished;
    this.#settle();
    this.#host.openCalls.delete(this);
    this.#over.abort();
    const endedAtMs = this.#host.nowMs();
    this.#host.log.ended({
      ...this.#facts,
      ended: finished ? this.#finishedAs : (this.#cutBy ?? 'client-closed'),
      sent: finished ? this.#wholeAnswer : this.#status === null ? 'nothing' : 'part',
      status: this.#status,
      completionTokens: this.#outputTokens,
      usage: this.#usage,
      endedAtMs,
      durationMs: endedAtMs - this.#facts.atMs,
    });
  }
}
