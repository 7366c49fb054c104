/** Usage: what providers say that a call used, in one form. What makes no sense counts as not said. */
import { z } from 'zod';
import type { Usage } from '../topology/dependency.ts';

const count = z.number().min(0);
/** Details that make no sense are left out; the sums they belong to still count. */
const detail = count.optional().catch(undefined);

const openai = z.object({
  prompt_tokens: count.optional(),
  completion_tokens: count.optional(),
  input_tokens: count.optional(),
  output_tokens: count.optional(),
  prompt_tokens_details: z.object({ cached_tokens: detail }).nullish().catch(null),
  input_tokens_details: z.object({ cached_tokens: detail }).nullish().catch(null),
  completion_tokens_details: z.object({ reasoning_tokens: detail }).nullish().catch(null),
  output_tokens_details: z.object({ reasoning_tokens: detail }).nullish().catch(null),
});

/** Of OpenAI's chat completions, completions, embeddings (no output) and responses. Cached input is part of the input already. */
export function openaiUsage(said: unknown): Usage | undefined {
  const read = openai.safeParse(said);
  if (!read.success) return undefined;
  const { data } = read;
  const inputTokens = data.prompt_tokens ?? data.input_tokens;
  if (inputTokens === undefined) return undefined;
  return usageOf(inputTokens, data.completion_tokens ?? data.output_tokens ?? 0, {
    cachedInputTokens: (data.prompt_tokens_details ?? data.input_tokens_details)?.cached_tokens,
    reasoningTokens: (data.completion_tokens_details ?? data.output_tokens_details)?.reasoning_tokens,
  });
}

const anthropic = z.object({
  input_tokens: count.nullish(),
  output_tokens: count.nullish(),
  cache_read_input_tokens: count.nullish().catch(null),
  cache_creation_input_tokens: count.nullish().catch(null),
  output_tokens_details: z.object({ thinking_tokens: detail }).nullish().catch(null),
});
type AnthropicUsage = z.infer<typeof anthropic>;

/** Of Anthropic's messages, where what is read from the cache and written to it is not among the input tokens: here it is. */
export function anthropicUsage(...said: readonly unknown[]): Usage | undefined {
  // A stream says it twice: what comes later counts, and may leave out what has been said.
  const sum: Partial<AnthropicUsage> = {};
  for (const one of said) {
    const read = anthropic.safeParse(one);
    if (!read.success) continue;
    const told = Object.entries(read.data).filter(([, value]) => value !== null && value !== undefined);
    Object.assign(sum, Object.fromEntries(told));
  }
  const { input_tokens: fresh, output_tokens: output } = sum;
  if (typeof fresh !== 'number' || typeof output !== 'number') return undefined;
  const read = sum.cache_read_input_tokens ?? undefined;
  const written = sum.cache_creation_input_tokens ?? undefined;
  return usageOf(fresh + (read ?? 0) + (written ?? 0), output, {
    cachedInputTokens: read,
    cacheWriteTokens: written,
    reasoningTokens: sum.output_tokens_details?.thinking_tokens,
  });
}

const aiSdk = z.object({
  inputTokens: z.object({ total: count, cacheRead: detail, cacheWrite: detail }),
  outputTokens: z.object({ total: count, reasoning: detail }),
});

/** Of a language model of the AI SDK. */
export function modelUsage(said: unknown): Usage | undefined {
  const read = aiSdk.safeParse(said);
  if (!read.success) return undefined;
  const { inputTokens, outputTokens } = read.data;
  return usageOf(inputTokens.total, outputTokens.total, {
    cachedInputTokens: inputTokens.cacheRead,
    cacheWriteTokens: inputTokens.cacheWrite,
    reasoningTokens: outputTokens.reasoning,
  });
}

const aiSdkText = z.object({
  inputTokens: count,
  outputTokens: count,
  inputTokenDetails: z.object({ cacheReadTokens: detail, cacheWriteTokens: detail }).nullish().catch(null),
  outputTokenDetails: z.object({ reasoningTokens: detail }).nullish().catch(null),
});

/** Of `generateText` and `streamText`. */
export function textUsage(said: unknown): Usage | undefined {
  const read = aiSdkText.safeParse(said);
  if (!read.success) return undefined;
  const { inputTokens, outputTokens, inputTokenDetails, outputTokenDetails } = read.data;
  return usageOf(inputTokens, outputTokens, {
    cachedInputTokens: inputTokenDetails?.cacheReadTokens,
    cacheWriteTokens: inputTokenDetails?.cacheWriteTokens,
    reasoningTokens: outputTokenDetails?.reasoningTokens,
  });
}

type Details = { readonly [K in 'cachedInputTokens' | 'cacheWriteTokens' | 'reasoningTokens']?: number | undefined };

/** Details of nothing are left out. */
function usageOf(inputTokens: number, outputTokens: number, details: Details): Usage {
  const told = Object.entries(details).filter(([, tokens]) => tokens !== undefined && tokens > 0);
  return { inputTokens, outputTokens, ...Object.fromEntries(told) };
}

/** Two usages together. */
export function addUsage(a: Usage, b: Usage): Usage {
  return usageOf(a.inputTokens + b.inputTokens, a.outputTokens + b.outputTokens, {
    cachedInputTokens: (a.cachedInputTokens ?? 0) + (b.cachedInputTokens ?? 0),
    cacheWriteTokens: (a.cacheWriteTokens ?? 0) + (b.cacheWriteTokens ?? 0),
    reasoningTokens: (a.reasoningTokens ?? 0) + (b.reasoningTokens ?? 0),
  });
}
