/** Said: puts together what a streamed answer says, for scorers. */
import type { ScoredReply } from '../admission/quality.ts';

/** Longer answers are cut: scorers look at no more. */
const LONGEST = 1_000_000;
const MOST_CALLS = 1_000;

export class Said {
  #text = '';
  #refusal = '';
  #finishReason: string | undefined;
  #toolCalls: unknown[] = [];

  add(text: unknown): void {
    if (typeof text === 'string' && this.#text.length < LONGEST) this.#text += text;
  }

  refuses(text: unknown): void {
    if (typeof text === 'string' && this.#refusal.length < LONGEST) this.#refusal += text;
  }

  /** It calls a tool: what it calls it with is nobody's to score. */
  calls(tool: unknown): void {
    if (this.#toolCalls.length < MOST_CALLS) this.#toolCalls.push(tool);
  }

  ended(reason: unknown): void {
    if (typeof reason === 'string') this.#finishReason = reason;
  }

  get isEmpty(): boolean {
    return this.#text === '' && this.#refusal === '' && this.#toolCalls.length === 0;
  }

  get reply(): ScoredReply {
    return {
      text: this.#text,
      toolCalls: this.#toolCalls,
      ...(this.#finishReason === undefined ? {} : { finishReason: this.#finishReason }),
      ...(this.#refusal === '' ? {} : { refusal: this.#refusal }),
    };
  }
}
