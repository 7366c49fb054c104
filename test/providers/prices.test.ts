import { calcPrice, findProvider } from '@pydantic/genai-prices';
import { describe, expect, test, vi } from 'vitest';
import { ownPrice, priceOf } from '../../src/providers/prices.ts';

const PROVIDERS = ['openai', 'anthropic', 'google', 'aws', 'azure', 'deepseek', 'mistral', 'groq', 'openrouter', 'x-ai', 'cohere'];

describe('the price of a model', () => {
  test('is that of the table, for each of its models and each part of a usage', () => {
    const at = new Date('2026-11-22T10:00:00Z');
    vi.useFakeTimers({ now: at });
    let compared = 0;
    for (const providerId of PROVIDERS)
      for (const { id } of findProvider({ providerId })?.models ?? []) {
        const price = priceOf(id, providerId);
        if (price === undefined) continue;
        for (const inputTokens of [1_000, 150_000, 250_000, 1_100_000]) {
          const usage = { input_tokens: inputTokens, cache_read_tokens: 500, cache_write_tokens: 300, output_tokens: 700 };
          const listed = calcPrice(usage, id, { providerId, timestamp: at })!;
          const ours = price({ inputTokens, cachedInputTokens: 500, cacheWriteTokens: 300, outputTokens: 700 });
          expect(ours, `${providerId}/${id} of ${inputTokens}`).toBeCloseTo(listed.total_price, 9);
          compared += 1;
        }
      }
    vi.useRealTimers();
    expect(compared).toBeGreaterThan(3_000);
  });

  test.each([
    ['openai', 'nobody-knows-me'],
    ['nobody', 'gpt-4.1-mini'],
    [undefined, 'm'],
    ['openai', ''],
  ])('is unknown, not nothing, for %s %s', (provider, model) => {
    expect(priceOf(model, provider)).toBeUndefined();
  });

  test('is found without a provider, and under the names that the AI SDK has for them', () => {
    const usage = { inputTokens: 1_000_000, outputTokens: 0 };
    for (const provider of [undefined, 'openai', 'openai.chat', 'openai.responses'])
      expect(priceOf('gpt-4.1-mini', provider)?.(usage)).toBe(0.4);
    expect(priceOf('claude-haiku-4-5', 'anthropic.messages')?.(usage)).toBe(1);
  });

  test('follows the hour where it depends on that', () => {
    vi.useFakeTimers({ now: new Date('2025-03-01T12:00:00Z') });
    const price = priceOf('deepseek-chat', 'deepseek')!;
    const usage = { inputTokens: 1_000_000, outputTokens: 1_000_000 };
    for (const now of ['2025-03-01T12:00:00Z', '2025-03-01T18:00:00Z', '2026-01-01T12:00:00Z']) {
      vi.setSystemTime(new Date(now));
      const { total_price: listed } = calcPrice({ input_tokens: 1_000_000, output_tokens: 1_000_000 }, 'deepseek-chat', {
        providerId: 'deepseek',
        timestamp: new Date(now),
      })!;
      expect(price(usage)).toBeCloseTo(listed, 9);
    }
    vi.useRealTimers();
  });

  test('does not remember every name that it was ever asked for', () => {
    for (let at = 0; at < 2_000; at += 1) priceOf(`nobody-${at}`, 'openai');
    expect(priceOf('gpt-4.1-mini', 'openai')).toBeDefined();
  });
});

describe('own prices', () => {
  test('count cached and written input apart, and as input where they are not given', () => {
    const usage = { inputTokens: 1_000_000, cachedInputTokens: 400_000, cacheWriteTokens: 100_000, outputTokens: 10_000 };
    const whole = { inputPerMillion: 2, cachedInputPerMillion: 0.5, cacheWritePerMillion: 3, outputPerMillion: 8 };
    expect(ownPrice(whole)(usage)).toBeCloseTo(0.5 * 2 + 0.4 * 0.5 + 0.1 * 3 + 0.01 * 8, 12);
    expect(ownPrice({ inputPerMillion: 2, outputPerMillion: 8 })(usage)).toBeCloseTo(2 + 0.08, 12);
  });

  test('do not believe in more cache than there is input', () => {
    const price = ownPrice({ inputPerMillion: 2, cachedInputPerMillion: 0, outputPerMillion: 8 });
    expect(price({ inputTokens: 10, cachedInputTokens: 50, cacheWriteTokens: -3, outputTokens: 0 })).toBe(0);
  });
});
