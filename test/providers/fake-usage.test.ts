/** Tokens told to clients, and the same tokens in the log. */
import { describe, expect, test, vi } from 'vitest';
import type { FakeProvider } from '../../src/providers/fake/index.ts';
import { anthropicOf, clientOf, hello, helloAnthropic, post, postMessages, standingClock, startProvider } from './fake-harness.ts';

/** 400 characters: 100 tokens. */
const long = [{ role: 'user' as const, content: 'x'.repeat(400) }];
const openaiLong = { ...hello, messages: long, max_tokens: 50 };
const anthropicLong = { ...helloAnthropic, messages: long, max_tokens: 50 };
const accounting = { cachedPrompt: 0.6, cacheWrites: 0.25, reasoningTokens: 7, answer: () => 'x'.repeat(20) };

const usageOf = (provider: FakeProvider) => provider.calls.map((call) => (call.state === 'ended' ? call.usage : null));

describe('usage', () => {
  const logged = { inputTokens: 100, cachedTokens: 60, cacheWriteTokens: 25, outputTokens: 12, reasoningTokens: 7 };

  test('in the form of OpenAI has cached tokens within the prompt and reasoning within the completion', async () => {
    const provider = await startProvider(accounting);
    const { usage } = await clientOf(provider).chat.completions.create(openaiLong);
    expect(usage).toMatchObject({
      prompt_tokens: 100,
      completion_tokens: 12,
      total_tokens: 112,
      prompt_tokens_details: { cached_tokens: 60 },
      completion_tokens_details: { reasoning_tokens: 7 },
    });
    expect(usageOf(provider)).toEqual([logged]);
  });

  test('in the form of Anthropic has cached tokens beside the input', async () => {
    const provider = await startProvider(accounting);
    const { usage } = await anthropicOf(provider).messages.create(anthropicLong);
    expect(usage).toMatchObject({ input_tokens: 15, cache_read_input_tokens: 60, cache_creation_input_tokens: 25, output_tokens: 12 });
    expect(usageOf(provider)).toEqual([logged]);
  });

  test('is the same streamed, in both forms', async () => {
    const provider = await startProvider(accounting);
    const chunks = await Array.fromAsync(
      await clientOf(provider).chat.completions.create({ ...openaiLong, stream: true, stream_options: { include_usage: true } }),
    );
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 100, completion_tokens: 12, prompt_tokens_details: { cached_tokens: 60 } });
    const { usage } = await anthropicOf(provider).messages.stream(anthropicLong).finalMessage();
    expect(usage).toMatchObject({ input_tokens: 15, cache_read_input_tokens: 60, output_tokens: 12 });
    expect(usageOf(provider)).toEqual([logged, logged]);
    expect(provider.stats()).toMatchObject({
      inputTokens: 200,
      cachedTokens: 120,
      cacheWriteTokens: 50,
      outputTokens: 24,
      reasoningTokens: 14,
    });
  });

  test('takes a function of the request', async () => {
    const provider = await startProvider({
      cachedPrompt: ({ messages }) => messages.length / 4,
      reasoningTokens: ({ model }) => model.length,
    });
    await post(provider, { ...openaiLong, messages: [...long, ...long] });
    expect(usageOf(provider)).toMatchObject([{ inputTokens: 200, cachedTokens: 100, reasoningTokens: 1 }]);
  });

  test.for([Number.NaN, -3, 7])('holds a share of %d to what a prompt has', async (share) => {
    const provider = await startProvider({ cachedPrompt: share, cacheWrites: share });
    await post(provider, openaiLong);
    expect(usageOf(provider)).toMatchObject([{ inputTokens: 100, cachedTokens: share > 1 ? 100 : 0, cacheWriteTokens: 0 }]);
  });

  test('of reasoning comes off the maximum, and may leave no text', async () => {
    const provider = await startProvider({ reasoningTokens: 9, answer: () => 'x'.repeat(400) });
    const ask = async (max_tokens: number) => (await clientOf(provider).chat.completions.create({ ...hello, max_tokens })).choices[0];
    expect(await ask(10)).toMatchObject({ finish_reason: 'length', message: { content: 'xxxx' } });
    expect(await ask(5)).toMatchObject({ finish_reason: 'length', message: { content: '' } });
    expect(usageOf(provider)).toMatchObject([{ outputTokens: 10 }, { outputTokens: 5, reasoningTokens: 5 }]);
  });

  test('of reasoning takes its time before the text', async () => {
    const provider = await startProvider({ reasoningTokens: 10, latency: { baseMs: 0, perOutputTokenMs: 3 }, answer: () => 'abcd' });
    const max = { ...hello, max_tokens: 20 };
    await post(provider, max);
    await Array.fromAsync(await clientOf(provider).chat.completions.create({ ...max, stream: true }));
    // Timers may fire a millisecond early, and the clock of the log has whole milliseconds.
    for (const call of provider.calls) expect(call.state === 'ended' && call.durationMs).toBeGreaterThanOrEqual(30);
  });

  test('of an aborted stream is what was sent of it, reasoning included', async () => {
    const provider = await startProvider({
      reasoningTokens: 7,
      latency: { baseMs: 0, perOutputTokenMs: 3 },
      answer: () => 'x'.repeat(40_000),
    });
    const stream = await clientOf(provider).chat.completions.create({ ...hello, max_tokens: 10_000, stream: true });
    let received = 0;
    for await (const chunk of stream) if ((chunk.choices[0]?.delta.content ?? '') !== '' && (received += 1) === 4) break;
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    const [used] = usageOf(provider);
    expect(used).toMatchObject({ inputTokens: 2, reasoningTokens: 7 });
    expect(used!.outputTokens).toBeGreaterThanOrEqual(11);
    expect(used!.outputTokens).toBeLessThan(200);
  });

  test('adds up to the log over many calls at once, in both forms', async () => {
    const provider = await startProvider({ ...accounting, reasoningTokens: ({ messages }) => messages.length });
    const chat = clientOf(provider).chat.completions;
    const { messages } = anthropicOf(provider);
    const told = await Promise.all(
      Array.from({ length: 120 }, async (_, index) => {
        const asked = Array.from({ length: 1 + (index % 3) }, () => long[0]!);
        if (index % 2 === 0) {
          const { usage } = await chat.create({ ...openaiLong, messages: asked });
          return [usage!.prompt_tokens, usage!.completion_tokens] as const;
        }
        const { usage } = await messages.create({ ...anthropicLong, messages: asked });
        const read = usage.cache_read_input_tokens ?? 0;
        return [usage.input_tokens + read + (usage.cache_creation_input_tokens ?? 0), usage.output_tokens] as const;
      }),
    );
    const total = (at: 0 | 1) => told.reduce((sum, tokens) => sum + tokens[at], 0);
    expect(provider.stats()).toMatchObject({ accepted: 120, inputTokens: total(0), outputTokens: total(1) });
  });
});

describe('limits on tokens', () => {
  test('do not count what Anthropic reads from the cache, and do at OpenAI', async () => {
    const clock = standingClock();
    const limits = { inputTokensPerMinute: 60_000, tokensPerMinute: 120_000 };
    const provider = await startProvider({ ...accounting, limits, nowMs: clock.nowMs });
    const left = async () => {
      const { headers } = await fetch(`${provider.url}/v1/messages/none`);
      return [headers.get('anthropic-ratelimit-input-tokens-remaining'), headers.get('anthropic-ratelimit-tokens-remaining')];
    };
    expect(await left()).toEqual(['1000', '2000']);
    await postMessages(provider, anthropicLong);
    expect(await left()).toEqual(['960', '1948']);
    await post(provider, openaiLong);
    expect(await left()).toEqual(['860', '1836']);
  });

  test('refuse by input and by output apart', async () => {
    const clock = standingClock();
    const provider = await startProvider({ limits: { outputTokensPerMinute: 600 }, answer: () => 'x'.repeat(400), nowMs: clock.nowMs });
    expect((await post(provider, { ...hello, max_tokens: 10 })).status).toBe(200);
    const refused = await post(provider, { ...hello, max_tokens: 10 });
    expect(refused).toMatchObject({ status: 429, body: { error: { type: 'output-tokens' } } });
    expect(provider.stats().rejectedBy).toMatchObject({ 'output-tokens': 1, 'input-tokens': 0 });
  });
});
