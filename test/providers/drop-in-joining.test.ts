import { setImmediate } from 'node:timers/promises';
import OpenAI from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { agent, defineFleet, dependency, startFleet } from 'drover';
import type { Usage } from 'drover';
import { openaiChat, openaiFetch } from 'drover/openai';
import { clientBehind, EVERY_CLIENT, gateOf, loggedUsage } from './drop-in-harness.ts';
import type { ClientName } from './drop-in-harness.ts';
import { failureOf, startProvider } from './fake-harness.ts';
import type { FakeProviderOptions } from 'drover/fake-provider';

interface Given {
  readonly client: ClientName;
  readonly stream: boolean;
  readonly provider?: FakeProviderOptions;
  readonly questions?: number;
  readonly attempts?: number;
  readonly timeoutMs?: number;
  readonly outside?: Parameters<typeof gateOf>[0];
}

/** One task of a fleet whose dependency uses a client behind a drop-in, `questions` times a call. */
async function oneTask({ client, stream, provider: options, questions = 1, attempts = 1, timeoutMs = 10_000, outside = {} }: Given) {
  const provider = await startProvider({ cachedPrompt: 0.5, reasoningTokens: 1, ...options });
  const { gate, events } = gateOf(outside);
  const asking = clientBehind(client, stream, provider, gate);
  const told: Usage[] = [];
  const model = dependency({
    attempts,
    timeoutMs,
    limits: { concurrency: 1 },
    estimate: () => 40,
    // What the drop-in has seen counts, since nothing is said here.
    price: (usage) => (told.push(usage), 0),
    perform: async (text: string) => {
      let said = '';
      for (let at = 0; at < questions; at += 1) said = await asking.ask({ text });
      return said;
    },
  });
  const ask = agent({ uses: { model }, attempts: 1, run: async (text: string, ctx) => ctx.call('model', text) });
  await using fleet = await startFleet(defineFleet({ name: 'test', agents: { ask }, staggerMs: 0 }));
  const handle = await fleet.submit('ask', 'hello');
  const result = await handle.result().catch((error: unknown) => error);
  return { provider, gate, events, asking, told, result, stats: fleet.stats };
}

describe.each(EVERY_CLIENT)('inside a call of a fleet, $client, stream $stream', ({ client, stream }) => {
  test('is admitted and paid there alone, and tells what was used', async () => {
    const { provider, gate, events, result, stats, told } = await oneTask({
      client,
      stream,
      outside: { limits: { concurrency: 1 }, budget: { tokens: 1 } },
    });
    expect(result).toBe('Echo of 1 words: hello');
    const { inputTokens, outputTokens, cachedInputTokens, reasoningTokens } = loggedUsage(provider);
    expect(stats).toMatchObject({ calls: 1, inputTokens, outputTokens });
    expect(told).toMatchObject([{ inputTokens, outputTokens, cachedInputTokens, reasoningTokens }]);
    expect(events).toEqual([]);
    expect(await gate.look()).toMatchObject({ granted: 0, budget: { spent: { tokens: 0 } } });
  });

  test('three requests in one call count in sum', async () => {
    const { provider, stats } = await oneTask({ client, stream, questions: 3 });
    const { inputTokens, outputTokens } = loggedUsage(provider);
    expect(provider.stats().accepted).toBe(3);
    expect(stats).toMatchObject({ calls: 1, inputTokens, outputTokens });
  });

  test('ends when the time of the call is over, although nobody gave it a signal', async () => {
    const { provider, result, asking } = await oneTask({ client, stream, provider: { faults: { stall: 1 } }, timeoutMs: 400 });
    expect(result).toMatchObject({ detail: { error: { cause: { code: 'DROVER_CALL_TIMEOUT' } } } });
    await vi.waitFor(() => expect(provider.stats()).toMatchObject({ accepted: 1, inFlight: 0 }));
    expect(asking.attempts).toBe(1);
  });

  test('what fails is tried again by the fleet, not by the client', async () => {
    const { provider, asking, stats } = await oneTask({ client, stream, provider: { faults: { rate529: 1 } }, attempts: 2 });
    expect(asking.attempts).toBe(2);
    expect(provider.stats().accepted).toBe(2);
    expect(stats).toMatchObject({ calls: 2, callRetries: 1 });
  });
});

describe('inside the work of a gate', () => {
  test.each(EVERY_CLIENT)('$client, stream $stream, is paid once, even where one permit is all there is', async ({ client, stream }) => {
    const provider = await startProvider();
    const { gate, used } = gateOf({ limits: { concurrency: 1 }, budget: { tokens: 1_000 } });
    const asking = clientBehind(client, stream, provider, gate);
    const answer = await gate.run(() => asking.ask(), { input: 10, output: 32 });
    expect(answer).toBe('Echo of 1 words: hello');
    expect(used()).toEqual(loggedUsage(provider));
    expect(await gate.look()).toMatchObject({ granted: 1, inFlight: 0 });
  });

  test('a client that cannot reach its provider does not try again', async () => {
    const provider = await startProvider();
    await provider.close();
    const { gate } = gateOf({ attempts: 1 });
    const asking = clientBehind('openai', false, provider, gate);
    const error = await failureOf(gate.run(() => asking.ask()));
    expect(error).toMatchObject({ status: 502, code: 'ECONNREFUSED' });
    expect(asking.attempts).toBe(1);
  });
});

test('a ready-made dependency whose client has a drop-in of its own is charged once', async () => {
  const provider = await startProvider();
  const { gate, events } = gateOf();
  const client = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', logLevel: 'off', fetch: openaiFetch(gate) });
  const model = openaiChat({ client, model: 'm' });
  const ask = agent({
    uses: { model },
    run: async (text: string, ctx) => (await ctx.call('model', { messages: [{ role: 'user', content: text }], maxOutputTokens: 8 })).text,
  });
  await using fleet = await startFleet(defineFleet({ name: 'test', agents: { ask }, staggerMs: 0 }));
  await (await fleet.submit('ask', 'hello')).result();
  expect(fleet.stats).toMatchObject({ calls: 1, inputTokens: 2, outputTokens: 6 });
  expect(events).toEqual([]);
});

test('inside the work of another gate a drop-in is admitted and paid by its own', async () => {
  const provider = await startProvider();
  const tools = gateOf({ limits: { concurrency: 4 } });
  const model = gateOf({ budget: { tokens: 1 } });
  const asking = clientBehind('openai', false, provider, model.gate);
  const error = await tools.gate.run(() => asking.ask({ text: 'hello' })).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ status: 429, code: 'DROVER_BUDGET_EXCEEDED' });
  expect(provider.calls).toEqual([]);
});

test('what the work of a gate leaves behind is admitted by itself once that is over', async () => {
  const provider = await startProvider();
  const { gate } = gateOf({ limits: { concurrency: 4 } });
  const asking = clientBehind('openai', false, provider, gate);
  let later: Promise<unknown> | undefined;
  await gate.run(async () => {
    later = setImmediate().then(() => asking.ask({ text: 'hello' }));
  });
  await later;
  expect(await gate.look()).toMatchObject({ granted: 2, inFlight: 0 });
});
