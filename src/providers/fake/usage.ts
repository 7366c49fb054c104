/** Tokens of a call, as a client's accounting should have them. */
import type { TokenCost } from './admission/limits.ts';
import type { ChatRequest } from './openai/request.ts';

/** Tokens of a prompt. */
export interface PromptUsage {
  /** The whole prompt, cached or not. */
  readonly inputTokens: number;
  /** Of these, read from the provider's cache. */
  readonly cachedTokens: number;
  /** Of these, written to the cache. Only Anthropic's format tells. */
  readonly cacheWriteTokens: number;
}

/** Tokens of a call: what its prompt has, and what of the answer was sent. */
export interface CallUsage extends PromptUsage {
  /** All of the answer that was made, reasoning too. Of an aborted stream, up to the last token sent. */
  readonly outputTokens: number;
  /** Of these, reasoning that nobody gets to see. */
  readonly reasoningTokens: number;
}

/** A number, or one for each request. */
export type PerRequest = number | ((request: ChatRequest) => number);

/** The usage of a call that was charged nothing. */
export const NO_USAGE: CallUsage = { inputTokens: 0, cachedTokens: 0, cacheWriteTokens: 0, outputTokens: 0, reasoningTokens: 0 };

const CHARACTERS_PER_TOKEN = 4;

/** Characters / 4, rounded up. */
export function tokensOfCharacters(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

/** Cuts a text into tokens of four characters, at most so many. */
export function piecesOf(text: string, most: number): { readonly pieces: readonly string[]; readonly isCut: boolean } {
  const pieces: string[] = [];
  let from = 0;
  for (; from < text.length && pieces.length < most; from += CHARACTERS_PER_TOKEN) {
    pieces.push(text.slice(from, from + CHARACTERS_PER_TOKEN));
  }
  return { pieces, isCut: from < text.length };
}

/** Shares of a prompt as whole tokens, rounded down; the cache cannot hold more than the prompt. */
export function promptUsage(request: ChatRequest, inputTokens: number, cachedShare: PerRequest, writtenShare: PerRequest): PromptUsage {
  const cachedTokens = Math.floor(inputTokens * held(perRequest(cachedShare, request), 1));
  const cacheWriteTokens = Math.min(inputTokens - cachedTokens, Math.floor(inputTokens * held(perRequest(writtenShare, request), 1)));
  return { inputTokens, cachedTokens, cacheWriteTokens };
}

/** Whole tokens of reasoning, 0 or more. */
export function reasoningFor(request: ChatRequest, tokens: PerRequest): number {
  return Math.floor(held(perRequest(tokens, request), Number.MAX_SAFE_INTEGER));
}

/** What counts towards the limits. `cachedCounts`: whether prompt tokens from the cache do. */
export function costOf({ inputTokens, cachedTokens, outputTokens }: CallUsage, cachedCounts: boolean): TokenCost {
  return { inputTokens: cachedCounts ? inputTokens : inputTokens - cachedTokens, outputTokens };
}

/** Two usages together. */
export function addUsage(a: CallUsage, b: CallUsage): CallUsage {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    cachedTokens: a.cachedTokens + b.cachedTokens,
    cacheWriteTokens: a.cacheWriteTokens + b.cacheWriteTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    reasoningTokens: a.reasoningTokens + b.reasoningTokens,
  };
}

function perRequest(given: PerRequest, request: ChatRequest): number {
  return typeof given === 'function' ? given(request) : given;
}

/** A test's own function may say anything; what is no number counts as nothing. */
function held(value: number, most: number): number {
  return value > 0 ? Math.min(value, most) : 0;
}
