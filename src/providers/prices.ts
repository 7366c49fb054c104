/**
 * Prices: US dollars of a usage, from the tables of `@pydantic/genai-prices` or a user's own.
 *
 * An unknown model has no price. It is never free: where money is limited, whoever asks for it is refused.
 *
 * What is asked for at every call is worked out once for a model; of the few whose price depends on
 * the time of day or has a date from which it counts, again every minute.
 */
import { calcPrice } from '@pydantic/genai-prices';
import type { ModelPrice } from '@pydantic/genai-prices';
import { z } from 'zod';
import { unknownOr } from '../../actors/kernel/shape.ts';
import type { Usage } from '../topology/dependency.ts';

/** US dollars of a usage. */
export type Price = (usage: Usage) => number;

/** Prices of a user's own, in US dollars for a million tokens. */
export interface OwnPrices {
  /** Input that is neither read from the cache nor written to it. */
  readonly inputPerMillion: number;
  /** Output, that of reasoning among it. */
  readonly outputPerMillion: number;
  /** Input read from the cache. Default: `inputPerMillion`. */
  readonly cachedInputPerMillion?: number;
  /** Input written to the cache. Default: `inputPerMillion`. */
  readonly cacheWritePerMillion?: number;
}

/** What may be given wherever a price is asked for. */
export type PriceOption = Price | OwnPrices;

const DOLLARS = 'US dollars for a million tokens, at least 0';
const dollars = z.number(DOLLARS).min(0, DOLLARS);

/** The shape of a `PriceOption`. */
export const priceShape = z.union(
  [
    z.custom<Price>((value) => typeof value === 'function'),
    z.strictObject(
      {
        inputPerMillion: dollars,
        outputPerMillion: dollars,
        cachedInputPerMillion: dollars.optional(),
        cacheWritePerMillion: dollars.optional(),
      },
      unknownOr('prices'),
    ),
  ],
  'a function from usage to US dollars, or { inputPerMillion, outputPerMillion, cachedInputPerMillion, cacheWritePerMillion } in US dollars',
);

const MILLION = 1_000_000;
/** How long a price that depends on time is believed. */
const FRESH_MS = 60_000;
/** Names of models come from requests: what is remembered of them has a bound. */
const MOST_KNOWN = 256;
/** Tables know prices by these names. */
const PARTS = ['input', 'cache_read', 'cache_write', 'output'] as const;

/**
 * The price of a model, undefined when nobody knows it. `provider` is the one whose price list counts,
 * by its name in `@pydantic/genai-prices` (`openai`, `anthropic`, `google`, `azure`, ...) or what the AI SDK
 * calls it (`openai.chat`); without one, the provider is guessed from the name of the model.
 *
 * @example
 * const price = priceOf('gpt-4.1-mini', 'openai');
 * price?.({ inputTokens: 1_000_000, outputTokens: 0 }); // 0.4
 */
export function priceOf(model: string, provider?: string): Price | undefined {
  const key = `${provider ?? ''}/${model}`;
  if (known.has(key)) return known.get(key);
  if (known.size >= MOST_KNOWN) known.clear();
  const price = lookUp(model, provider);
  known.set(key, price);
  return price;
}

const known = new Map<string, Price | undefined>();

function lookUp(model: string, provider: string | undefined): Price | undefined {
  const listed = list(model, provider);
  if (listed === undefined) return undefined;
  let { prices } = listed;
  if (!listed.changes) return (usage) => usd(prices, usage);
  let untilMs = Date.now() + FRESH_MS;
  return (usage) => {
    if (Date.now() >= untilMs) {
      prices = list(model, provider)?.prices ?? prices;
      untilMs = Date.now() + FRESH_MS;
    }
    return usd(prices, usage);
  };
}

function list(model: string, provider: string | undefined): { readonly prices: ModelPrice; readonly changes: boolean } | undefined {
  const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, provider === undefined ? {} : { providerId: provider });
  if (found === null) return undefined;
  const { model_price: prices, model: listed } = found;
  // Priced by something else than tokens: images, hours of audio, requests.
  return PARTS.some((part) => prices[`${part}_mtok`] !== undefined) ? { prices, changes: Array.isArray(listed.prices) } : undefined;
}

function usd(prices: ModelPrice, usage: Usage): number {
  const { inputTokens, outputTokens } = usage;
  const { plain, cached, written } = partsOf(usage);
  const input = rate(prices, 'input', inputTokens) ?? 0;
  const sum =
    plain * input +
    cached * (rate(prices, 'cache_read', inputTokens) ?? input) +
    written * (rate(prices, 'cache_write', inputTokens) ?? input) +
    outputTokens * (rate(prices, 'output', inputTokens) ?? 0);
  return sum / MILLION;
}

/** The size of the whole input decides which step of a price counts. */
function rate(prices: ModelPrice, part: (typeof PARTS)[number], inputTokens: number): number | undefined {
  const price = prices[`${part}_mtok`];
  if (typeof price !== 'object') return price;
  let { base } = price;
  for (const { start, price: stepped } of price.tiers) if (inputTokens > start) base = stepped;
  return base;
}

/** The price that own prices or a function say. */
export function ownPrice(price: PriceOption): Price {
  if (typeof price === 'function') return price;
  const { inputPerMillion, outputPerMillion, cachedInputPerMillion = inputPerMillion, cacheWritePerMillion = inputPerMillion } = price;
  return (usage) => {
    const { plain, cached, written } = partsOf(usage);
    const input = plain * inputPerMillion + cached * cachedInputPerMillion + written * cacheWritePerMillion;
    return (input + usage.outputTokens * outputPerMillion) / MILLION;
  };
}

/** Input by where it comes from. What is said to be cached beyond the input does not count. */
function partsOf({ inputTokens, cachedInputTokens = 0, cacheWriteTokens = 0 }: Usage) {
  const cached = Math.min(sane(cachedInputTokens), inputTokens);
  const written = Math.min(sane(cacheWriteTokens), inputTokens - cached);
  return { plain: inputTokens - cached - written, cached, written };
}

function sane(tokens: number): number {
  return tokens > 0 ? tokens : 0;
}

/** What a dependency is told of its price: the given one, the listed one, or that there is none. */
export function pricing(
  model: string,
  provider: string | undefined,
  given: PriceOption | undefined,
): { price: Price } | { unpriced: string } {
  const price = given === undefined ? priceOf(model, provider) : ownPrice(given);
  return price === undefined ? { unpriced: model } : { price };
}
