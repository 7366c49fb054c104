import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { agent, defineFleet, startFleet } from 'drover';
import type { FakeProviderOptions } from 'drover/fake-provider';
import { openaiChat } from 'drover/openai';
import type { OpenaiChatOptions } from 'drover/openai';
import { startProvider } from './fake-harness.ts';

/** Twelve tasks of one call each, through a fleet of six. */
async function twelveCalls(given: { readonly provider?: FakeProviderOptions; readonly model?: Partial<OpenaiChatOptions> }) {
  const provider = await startProvider(given.provider);
  const client = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', logLevel: 'off' });
  const model = openaiChat({ client, model: 'm', ...given.model });
  const ask = agent({
    uses: { model },
    replicas: 6,
    backoff: { baseMs: 1, capMs: 1 },
    async run(text: string, ctx) {
      return (await ctx.call('model', { messages: [{ role: 'user', content: text }], maxOutputTokens: 64 })).text;
    },
  });
  await using fleet = await startFleet(defineFleet({ name: 'test', agents: { ask }, staggerMs: 0 }));
  const handles = await Promise.all(Array.from({ length: 12 }, (_, at) => fleet.submit('ask', `mail ${at}`, { id: `mail-${at}` })));
  const results = await Promise.all(handles.map((handle) => handle.result()));
  return { provider, stats: fleet.stats, results };
}

test('a fleet that keeps to the limits is never refused, and is charged what the provider counted', async () => {
  const limits = { concurrency: 3, tokensPerMinute: 60_000 };
  const { provider, stats, results } = await twelveCalls({
    provider: { limits, latency: { baseMs: 20 } },
    model: { limits, adapt: 'none' },
  });
  expect(results[3]).toBe('Echo of 2 words: mail 3');
  expect(provider.stats()).toMatchObject({ accepted: 12, rejected429: 0, peakInFlight: 3 });
  expect(stats).toMatchObject({
    calls: 12,
    rateLimited: 0,
    inputTokens: provider.stats().inputTokens,
    outputTokens: provider.stats().outputTokens,
  });
});

test('without limits of its own the same fleet is refused, and the retries go through Drover', async () => {
  const { provider, stats } = await twelveCalls({
    provider: { limits: { concurrency: 3 }, latency: { baseMs: 20 } },
    model: { adapt: 'none', breaker: false, attempts: 50 },
  });
  const { accepted, rejected429 } = provider.stats();
  expect(accepted).toBe(12);
  expect(rejected429).toBeGreaterThan(0);
  // Each refusal that the provider counted is one that the fleet has seen: the client did not retry by itself.
  expect(stats.rateLimited).toBe(rejected429);
});

test.each([{ stream: false }, { stream: true }])('faults of all kinds end in the right results, stream $stream', async ({ stream }) => {
  const faults = { rate500: 0.1, rate529: 0.1, reset: 0.1, resetMidStream: 0.1, truncatedJson: 0.1, hang: 0.05 };
  const { provider, results } = await twelveCalls({ provider: { faults, seed: 5 }, model: { stream, timeoutMs: 500, attempts: 20 } });
  expect(results.toSorted()).toEqual(Array.from({ length: 12 }, (_, at) => `Echo of 2 words: mail ${at}`).toSorted());
  // One key a call, however many tries it took, and each of them was answered.
  const answered = provider.calls.filter((call) => call.state === 'ended' && call.ended === 'answered');
  const keys = new Set(provider.calls.map(({ key }) => key));
  expect(keys.size).toBe(12);
  expect(new Set(answered.map(({ key }) => key))).toEqual(keys);
});
