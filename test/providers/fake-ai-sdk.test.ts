/** The Vercel AI SDK reads both formats more strictly than the official clients do. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';
import { describe, expect, test } from 'vitest';
import type { FakeProvider } from '../../src/providers/fake/index.ts';
import { failureOf, startProvider } from './fake-harness.ts';

const modelsOf = ({ url }: FakeProvider) => ({
  openai: createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any' }).chat('m'),
  anthropic: createAnthropic({ baseURL: `${url}/v1`, apiKey: 'any' })('m'),
});

describe.each(['openai', 'anthropic'] as const)('the AI SDK over the format of %s', (wire) => {
  const options = { answer: () => 'It is a lease.', cachedPrompt: 0.5, reasoningTokens: 3 };
  const call = { prompt: 'hello there', maxOutputTokens: 20, maxRetries: 0 };
  // 11 characters: 3 tokens, of which 1 is cached.
  const usage = { inputTokens: 3, inputTokenDetails: { cacheReadTokens: 1 }, outputTokens: 7, outputTokenDetails: { reasoningTokens: 3 } };

  test('generates, and reads text and usage', async () => {
    const provider = await startProvider(options);
    const reply = await generateText({ ...call, model: modelsOf(provider)[wire] });
    expect(reply).toMatchObject({ text: 'It is a lease.', finishReason: 'stop', usage });
  });

  test('streams, and reads text and usage', async () => {
    const provider = await startProvider(options);
    const reply = streamText({ ...call, model: modelsOf(provider)[wire] });
    expect(await reply.text).toBe('It is a lease.');
    expect(await reply.usage).toMatchObject(usage);
    expect(provider.calls).toMatchObject([{ wire, streamed: true, usage: { inputTokens: 3, cachedTokens: 1, outputTokens: 7 } }]);
  });

  test.for([
    ['rate429', 429],
    ['rate529', 529],
  ] as const)('sees %s as a status of %i that may be tried again', async ([fault, statusCode]) => {
    const provider = await startProvider({ faults: { [fault]: 1 } });
    const error = await failureOf(generateText({ ...call, model: modelsOf(provider)[wire] }));
    expect(error).toMatchObject({ statusCode, isRetryable: true });
  });
});
