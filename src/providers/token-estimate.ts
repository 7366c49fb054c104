/**
 * Token estimate: how many tokens a text of so many characters will have.
 *
 * It begins with four characters a token and follows what providers really counted: tokenizers and
 * languages differ by a factor of four, and a limiter that believes too little is refused.
 */
import type { Usage } from '../topology/dependency.ts';
import type { Weight } from './weight.ts';

const FIRST_GUESS = 0.25;
/** A usage outside of these is a mistake of the provider's, not a language. */
const FEWEST_PER_CHARACTER = 1 / 16;
const MOST_PER_CHARACTER = 2;
/** How many characters the first guess weighs: real usage outweighs it after a few calls. */
const FIRST_WEIGHT = 4_000;
/** What each call leaves of the ones before it: about the last fifty count. */
const FADING = 0.98;

/** Learns tokens per character; one for each model. */
export class TokenEstimate {
  #tokens = FIRST_GUESS * FIRST_WEIGHT;
  #characters = FIRST_WEIGHT;

  /** Tokens of a text, rounded up. */
  of(characters: number): number {
    return Math.ceil((characters * this.#tokens) / this.#characters);
  }

  /** A text of `characters` really had `tokens`. */
  learn(characters: number, tokens: number): void {
    if (!(characters > 0 && tokens > 0)) return;
    const sensible = Math.min(Math.max(tokens, characters * FEWEST_PER_CHARACTER), characters * MOST_PER_CHARACTER);
    this.#tokens = this.#tokens * FADING + sensible;
    this.#characters = this.#characters * FADING + characters;
  }
}

/** Names of models come from requests: what is remembered of them has a bound. */
const MOST_MODELS = 64;

/** Estimates of input for many models: each learns for itself. */
export class TokenEstimates {
  readonly #models = new Map<string, TokenEstimate>();

  of(model: string): TokenEstimate {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MOST_MODELS) this.#models.clear();
    const estimate = new TokenEstimate();
    this.#models.set(model, estimate);
    return estimate;
  }
}

/** Tokens of an input. */
export function inputTokensOf(estimate: TokenEstimate, { characters, flatTokens }: Weight): number {
  return estimate.of(characters) + flatTokens;
}

/** An input really had so many tokens. One that was not all text teaches nothing about text. */
export function learnInput(estimate: TokenEstimate, { characters, flatTokens }: Weight, usage: Usage | null | undefined): void {
  if (flatTokens === 0 && usage !== null && usage !== undefined) estimate.learn(characters, usage.inputTokens);
}
