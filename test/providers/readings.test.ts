/** How usage, quota and the size of a request are read. */
import { describe, expect, test } from 'vitest';
import { readQuota, tellQuota } from '../../src/providers/quota.ts';
import { addUsage, anthropicUsage, modelUsage, openaiUsage, textUsage } from '../../src/providers/usage.ts';
import { weightOf } from '../../src/providers/weight.ts';

const NOW = Date.parse('2026-11-22T10:00:00Z');

describe('what the headers say is left', () => {
  test('of OpenAI: limit, rest, and a duration', () => {
    const headers = new Headers({
      'x-ratelimit-limit-requests': '500',
      'x-ratelimit-remaining-requests': '499',
      'x-ratelimit-reset-requests': '120ms',
      'x-ratelimit-limit-tokens': '200000',
      'x-ratelimit-remaining-tokens': '100000',
      'x-ratelimit-reset-tokens': '6m0.5s',
    });
    expect(readQuota(headers, NOW)).toEqual({
      requests: { limit: 500, left: 499, resetMs: 120 },
      tokens: { limit: 200_000, left: 100_000, resetMs: 360_500 },
    });
  });

  test('of Anthropic: four dimensions, and a moment', () => {
    const headers = {
      'anthropic-ratelimit-input-tokens-limit': '40000',
      'anthropic-ratelimit-input-tokens-remaining': '0',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-22T10:00:30Z',
      'anthropic-ratelimit-output-tokens-limit': '8000',
      'anthropic-ratelimit-output-tokens-remaining': '8000',
      'anthropic-ratelimit-output-tokens-reset': '2026-11-22T10:00:00Z',
    };
    expect(readQuota(headers, NOW)).toEqual({
      input: { limit: 40_000, left: 0, resetMs: 30_000 },
      output: { limit: 8_000, left: 8_000, resetMs: 0 },
    });
  });

  test.each([
    ['abc', '10', '1s'],
    ['-1', '-1', '-1'],
    ['', '', ''],
    ['100', '200', '1s'],
    ['100', '10', 'soon'],
    ['100', '10', ''],
    ['Infinity', 'NaN', '1s'],
    ['0', '0', '1s'],
  ])('limit %j, rest %j and reset %j say nothing', (limit, left, reset) => {
    expect(
      readQuota({ 'x-ratelimit-limit-tokens': limit, 'x-ratelimit-remaining-tokens': left, 'x-ratelimit-reset-tokens': reset }, NOW),
    ).toBeUndefined();
  });

  test.each([
    ['1h2m3s', 3_723_000],
    ['1d', 86_400_000],
    ['2', 2_000],
    ['0s', 0],
  ])('a reset of %j is %i ms', (reset, ms) => {
    const headers = { 'x-ratelimit-limit-tokens': '10', 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': reset };
    expect(readQuota(headers, NOW)?.tokens?.resetMs).toBe(ms);
  });

  test('a Retry-After counts for a failure only, and where it makes sense', () => {
    const told: unknown[] = [];
    const call = { signal: new AbortController().signal, idempotencyKey: 'k', attempt: 1, report: (seen: unknown) => void told.push(seen) };
    tellQuota(call, { 'retry-after': '3' });
    tellQuota(call, { 'retry-after': '3' }, true);
    for (const nonsense of ['31536000', '-5', 'soon', 'Wed, 21 Oct 2015 07:28:00 GMT']) tellQuota(call, { 'retry-after': nonsense }, true);
    expect(told).toEqual([{ quota: undefined, retryAfterMs: 3_000 }]);
  });
});

describe('a usage', () => {
  test.each([
    [null],
    [undefined],
    ['many'],
    [{}],
    [{ prompt_tokens: -1 }],
    [{ prompt_tokens: NaN, completion_tokens: 1 }],
    [{ input_tokens: '3' }],
  ])('%j is none', (said) => {
    for (const read of [openaiUsage, anthropicUsage, modelUsage, textUsage]) expect(read(said)).toBeUndefined();
  });

  test('with odd details still counts in sum', () => {
    expect(
      openaiUsage({ prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: -3 }, completion_tokens_details: 'x' }),
    ).toEqual({ inputTokens: 5, outputTokens: 1 });
    expect(anthropicUsage({ input_tokens: 5, output_tokens: 1, cache_read_input_tokens: 'x' })).toEqual({
      inputTokens: 5,
      outputTokens: 1,
    });
    expect(modelUsage({ inputTokens: { total: 5, cacheRead: -1 }, outputTokens: { total: 1 } })).toEqual({
      inputTokens: 5,
      outputTokens: 1,
    });
  });

  test('of Anthropic counts what is read from the cache and written to it among the input', () => {
    const said = { input_tokens: 10, cache_read_input_tokens: 20, cache_creation_input_tokens: 5, output_tokens: 7 };
    expect(anthropicUsage(said)).toEqual({ inputTokens: 35, outputTokens: 7, cachedInputTokens: 20, cacheWriteTokens: 5 });
  });

  test('that comes in two parts is the later one, with what only the first has said', () => {
    const start = { input_tokens: 10, cache_read_input_tokens: 20, output_tokens: 1 };
    expect(anthropicUsage(start, { output_tokens: 7 })).toEqual({ inputTokens: 30, outputTokens: 7, cachedInputTokens: 20 });
    expect(anthropicUsage(start, { input_tokens: 12, output_tokens: 7, cache_read_input_tokens: null })).toMatchObject({ inputTokens: 32 });
  });

  test('and another are their sum, part by part', () => {
    const a = { inputTokens: 1, outputTokens: 2, cachedInputTokens: 1 };
    expect(addUsage(a, { inputTokens: 10, outputTokens: 20, reasoningTokens: 5 })).toEqual({
      inputTokens: 11,
      outputTokens: 22,
      cachedInputTokens: 1,
      reasoningTokens: 5,
    });
  });
});

describe('the weight of a request', () => {
  test('is the characters of its texts, wherever they stand, and not the words of the format', () => {
    expect(
      weightOf('four', [{ role: 'user', content: 'four' }], [{ type: 'text', text: 'four', cache_control: { type: 'ephemeral' } }]),
    ).toEqual({ characters: 12, flatTokens: 0 });
    expect(weightOf([{ type: 'tool_use', id: 'toolu_1', name: 'look', input: { at: 12, deep: ['four'] } }])).toEqual({
      characters: 10,
      flatTokens: 0,
    });
  });

  test.each([
    ['an image of OpenAI', { type: 'image_url', image_url: { url: 'x'.repeat(99) } }, 1_600],
    ['an image of Anthropic', { type: 'image', source: { type: 'base64', data: 'x'.repeat(99) } }, 1_600],
    ['an image of the AI SDK', { type: 'file', mediaType: 'image/png', data: new Uint8Array(99) }, 1_600],
    ['a file', { type: 'file', file: { file_data: 'x' } }, 6_000],
    ['a document', { type: 'document', source: { type: 'base64', data: 'x' } }, 6_000],
    ['sound', { type: 'input_audio', input_audio: { data: 'x' } }, 6_000],
  ])('of %s is a flat guess', (_, part, flatTokens) => {
    expect(weightOf([part])).toEqual({ characters: 0, flatTokens });
  });

  test('of a document that is a text is its characters', () => {
    expect(weightOf([{ type: 'document', source: { type: 'text', data: 'four' } }])).toEqual({ characters: 4, flatTokens: 0 });
  });

  test('of what turns in a ring comes to an end', () => {
    const ring: Record<string, unknown> = { text: 'four' };
    ring['again'] = ring;
    expect(weightOf(ring).characters).toBeLessThan(1_000);
  });
});
