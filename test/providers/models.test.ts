/** What the ready-made dependencies of all providers have in common. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { agent, defineFleet, startFleet, TopologyError } from 'drover';
import type { Dependency, PerformContext } from 'drover';
import { languageModel } from 'drover/ai-sdk';
import { anthropicMessages } from 'drover/anthropic';
import type { FakeProvider } from 'drover/fake-provider';
import { openaiChat } from 'drover/openai';
import type { ChatReply, ModelOptions } from 'drover/openai';
import { classifyError } from '../../src/admission/failure.ts';
import { costOf } from '../../src/topology/dependency.ts';
import { failureOf, startProvider } from './fake-harness.ts';

interface Request {
  readonly messages: readonly { readonly role: 'user'; readonly content: string }[];
  readonly maxOutputTokens?: number;
}
type Model = Dependency<Request, ChatReply>;

/** Clients with the retries that they have by default. */
const MAKERS: Readonly<Record<string, (url: string, options: ModelOptions, model?: string) => Model>> = {
  openaiChat: (url, options, model = 'm') =>
    openaiChat({ client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', logLevel: 'off' }), model, ...options }),
  anthropicMessages: (url, options, model = 'm') =>
    anthropicMessages({ client: new Anthropic({ baseURL: url, apiKey: 'any', logLevel: 'off' }), model, ...options }),
  'languageModel over OpenAI': (url, options, model = 'm') =>
    languageModel({ model: createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any' }).chat(model), ...options }) as unknown as Model,
  'languageModel over Anthropic': (url, options, model = 'm') =>
    languageModel({ model: createAnthropic({ baseURL: `${url}/v1`, apiKey: 'any' })(model), ...options }) as unknown as Model,
};
const CASES = Object.keys(MAKERS).flatMap((name) => [false, true].map((stream) => ({ name, stream })));

const hello: Request = { messages: [{ role: 'user', content: 'hello there you' }], maxOutputTokens: 64 };

/** One try, and what it told on its way. */
function tryCall(model: Model, request = hello, signal = new AbortController().signal) {
  const told: Parameters<PerformContext['report']>[0][] = [];
  const call = { signal, idempotencyKey: 'task/call:model#1', attempt: 1, report: (seen: (typeof told)[number]) => void told.push(seen) };
  return { reply: model.spec.perform(request, call), told };
}

describe.each(CASES)('$name, stream $stream', ({ name, stream }) => {
  const make = (provider: FakeProvider, options: ModelOptions = {}, model?: string) =>
    MAKERS[name]!(provider.url, { stream, ...options }, model);

  test('brings text, tool calls, why it ended, and usage, under one idempotency key', async () => {
    const provider = await startProvider({ answer: () => 'A short answer.', cachedPrompt: 0.5, cacheWrites: 0.25, reasoningTokens: 3 });
    const reply = await tryCall(make(provider)).reply;
    const written = name.includes('nthropic') ? { cacheWriteTokens: 1 } : {};
    expect(reply).toEqual({
      text: 'A short answer.',
      toolCalls: [],
      finishReason: expect.stringMatching(/^(?:stop|end_turn)$/),
      usage: { inputTokens: 4, outputTokens: 7, cachedInputTokens: 2, ...written, reasoningTokens: 3 },
      model: 'm',
      id: expect.stringMatching(/^(?:chatcmpl-|msg_)/),
    });
    expect(provider.calls).toMatchObject([{ key: 'task/call:model#1', streamed: stream }]);
  });

  test('is remembered as JSON, and holds the own object of the provider only where that is wanted', async () => {
    const provider = await startProvider();
    const reply = await tryCall(make(provider, { raw: true })).reply;
    expect(JSON.parse(JSON.stringify(reply))).toHaveProperty('raw');
    expect(JSON.stringify(reply.raw)).toContain('Echo');
  });

  test('is cut at its maximum of tokens, and says so', async () => {
    const provider = await startProvider({ answer: () => 'A short answer.' });
    const reply = await tryCall(make(provider, { maxOutputTokens: 2 }), { messages: hello.messages }).reply;
    expect(reply).toMatchObject({ text: 'A short ', usage: { outputTokens: 2 } });
    expect(reply.finishReason).toMatch(/length|max_tokens/);
  });

  test('tells what the headers say is left', async () => {
    const provider = await startProvider({ limits: { requestsPerMinute: 600, tokensPerMinute: 60_000 } });
    const { reply, told } = tryCall(make(provider));
    await reply;
    const requests = { limit: 600, left: 9, resetMs: expect.any(Number) };
    expect(told).toMatchObject([{ quota: { requests, tokens: { limit: 60_000 } } }]);
  });

  test.each([
    ['rate429', 'rate-limited'],
    ['rate500', 'transient'],
    ['rate529', 'overloaded'],
    ['reset', 'transient'],
    ['resetMidStream', 'transient'],
    ['html', 'transient'],
  ] as const)('%s is tried once, and is %s', async (fault, at) => {
    const provider = await startProvider({ faults: { [fault]: 1 } });
    const error = await failureOf(tryCall(make(provider)).reply);
    expect(classifyError(error, Date.now())).toMatchObject({ at });
    expect(provider.stats().accepted + provider.stats().rejected429).toBe(1);
  });

  test('an answer that ends before the model was done is no answer', async () => {
    const provider = await startProvider({ faults: { quietEnd: 1 } });
    const error = await failureOf(tryCall(make(provider)).reply);
    expect(classifyError(error, Date.now())).toMatchObject({ at: 'transient' });
  });

  test('an abort ends it with the reason of the abort', async () => {
    const provider = await startProvider({ latency: { baseMs: 0, perOutputTokenMs: 1_000 } });
    const abort = new AbortController();
    const failing = failureOf(tryCall(make(provider), hello, abort.signal).reply);
    await vi.waitFor(() => expect(provider.calls.length).toBe(1));
    const reason = new Error('the run is over');
    abort.abort(reason);
    expect(await failing).toBe(reason);
  });

  test('charges an upper bound of input and output apart', async () => {
    const provider = await startProvider();
    // 15 characters.
    expect(costOf(make(provider).spec.estimate?.(hello))).toEqual({ input: 4, output: 64 });
  });

  test('has a price by its model, own prices where they are given, and none where nobody knows', async () => {
    const provider = await startProvider();
    const listed = name.includes('nthropic') ? 'claude-haiku-4-5' : 'gpt-4.1-mini';
    const usage = { inputTokens: 1_000_000, outputTokens: 0 };
    expect(make(provider, {}, listed).spec.price?.(usage, hello)).toBe(name.includes('nthropic') ? 1 : 0.4);
    expect(make(provider, { price: { inputPerMillion: 7, outputPerMillion: 8 } }).spec.price?.(usage, hello)).toBe(7);
    expect(make(provider, { price: () => 3 }).spec.price?.(usage, hello)).toBe(3);
    expect(make(provider).spec).toMatchObject({ unpriced: 'm' });
    expect(make(provider).spec.price).toBeUndefined();
  });

  test('of an unknown price is refused under a budget of money, when the fleet is defined', async () => {
    const provider = await startProvider();
    const define = (model: Model) =>
      defineFleet({ name: 'test', budget: { usd: 1 }, agents: { ask: agent({ uses: { model }, run: async () => 1 }) } });
    expect(() => define(make(provider))).toThrow(TopologyError);
    expect(() => define(make(provider))).toThrow('a model with a known price');
    define(make(provider, { price: { inputPerMillion: 1, outputPerMillion: 1 } }));
  });

  test('learns its limits and stops calls to what fails, unless it is told otherwise', async () => {
    const provider = await startProvider();
    const { spec } = make(provider);
    expect(spec).toMatchObject({ adapt: 'aimd', breaker: {} });
    // What Anthropic reads from its cache does not count for its rates.
    expect(spec.cachedInputIsFree ?? false).toBe(name.includes('nthropic'));
    expect(make(provider, { adapt: 'none', breaker: false }).spec).toMatchObject({ adapt: 'none', breaker: false });
  });

  test('an unknown field is refused by its name', async () => {
    const provider = await startProvider();
    expect(() => make(provider, { colour: 'red' } as ModelOptions)).toThrow('colour: expected no such field');
  });
});

describe('in a fleet', () => {
  test.each(CASES)('$name, stream $stream, is charged what the provider counted', async ({ name, stream }) => {
    const limits = { requestsPerMinute: 6_000, concurrency: 4 };
    const provider = await startProvider({ limits, latency: { baseMs: 2 }, reasoningTokens: 2 });
    const model = MAKERS[name]!(provider.url, { stream, limits, adapt: 'none' });
    const ask = agent({
      uses: { model },
      replicas: 8,
      run: async (text: string, ctx) =>
        (await ctx.call('model', { messages: [{ role: 'user', content: text }], maxOutputTokens: 32 })).text,
    });
    await using fleet = await startFleet(defineFleet({ name: 'test', agents: { ask }, staggerMs: 0 }));
    const handles = await Promise.all(Array.from({ length: 24 }, (_, at) => fleet.submit('ask', `mail ${at}`)));
    await Promise.all(handles.map((handle) => handle.result()));
    const { accepted, rejected429, inputTokens, outputTokens } = provider.stats();
    expect({ accepted, rejected429 }).toEqual({ accepted: 24, rejected429: 0 });
    expect(fleet.stats).toMatchObject({ calls: 24, inputTokens, outputTokens });
  });
});

describe('a wrong declaration', () => {
  test.each([
    [
      'anthropicMessages',
      () => anthropicMessages({ model: 'm' } as never),
      'anthropicMessages.client: expected a client with messages.create',
    ],
    [
      'anthropicMessages',
      () => anthropicMessages({ client: new Anthropic({ apiKey: 'any' }), model: '' }),
      'anthropicMessages.model: expected the name',
    ],
    ['languageModel', () => languageModel({} as never), 'languageModel.model: expected a language model of the AI SDK'],
    [
      'languageModel',
      () => languageModel({ model: 'openai/gpt-4.1-mini', price: -1 as never }),
      'languageModel.price: expected a function',
    ],
  ])('of %s is refused with the field and what is allowed', (_, declare, message) => {
    expect(declare).toThrow(TopologyError);
    expect(declare).toThrow(message);
  });

  test('a model of the gateway is priced by the provider in its name', () => {
    const { spec } = languageModel({ model: 'openai/gpt-4.1-mini' });
    expect(spec.price?.({ inputTokens: 1_000_000, outputTokens: 0 }, {})).toBe(0.4);
  });
});
