import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import { TopologyError } from 'drover';
import { openaiChat } from 'drover/openai';
import type { FakeProvider } from 'drover/fake-provider';
import { costOf } from '../../src/topology/dependency.ts';
import { classifyError } from '../../src/admission/failure.ts';
import { failureOf, startProvider } from './fake-harness.ts';
import { clientThatGets, hello, tryCall } from './openai-harness.ts';

/** With the client's own retries on, as a user's client has them. */
const clientOf = (provider: FakeProvider) => new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', logLevel: 'off' });

describe.each([{ stream: false }, { stream: true }])('a chat completion, stream $stream', ({ stream }) => {
  test('brings the text, why it ended, and the usage', async () => {
    const provider = await startProvider({ answer: () => 'A short answer.' });
    const reply = await tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream }));
    expect(reply).toEqual({
      text: 'A short answer.',
      toolCalls: [],
      finishReason: 'stop',
      usage: { inputTokens: 2, outputTokens: 4 },
      model: 'm',
      id: expect.stringMatching(/^chatcmpl-/),
    });
  });

  test('is cut at its maximum of tokens, and says so', async () => {
    const provider = await startProvider({ answer: () => 'A short answer.' });
    const reply = await tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream }), { ...hello, maxOutputTokens: 2 });
    expect(reply).toMatchObject({ text: 'A short ', finishReason: 'length', usage: { outputTokens: 2 } });
  });

  test('carries the idempotency key and the model', async () => {
    const provider = await startProvider();
    await tryCall(openaiChat({ client: clientOf(provider), model: 'm-1', stream }), hello, { idempotencyKey: 'mail-7/call:model#2' });
    expect(provider.calls).toMatchObject([{ key: 'mail-7/call:model#2', model: 'm-1', streamed: stream }]);
  });

  test.each([
    ['a 429', { rate429: 1 }, { at: 'rate-limited', retryAfterMs: 1_000 }],
    ['a 500', { rate500: 1 }, { at: 'transient' }],
    ['a 529', { rate529: 1 }, { at: 'overloaded' }],
    ['a lost connection', { reset: 1 }, { at: 'transient' }],
    ['a connection lost half-way', { resetMidStream: 1 }, { at: 'transient' }],
    ['JSON that stops half-way', { truncatedJson: 1 }, { at: 'transient' }],
  ])('%s is tried once, and is no permanent failure', async (_, faults, failure) => {
    const provider = await startProvider({ faults });
    const error = await failureOf(tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream })));
    expect(classifyError(error, Date.now())).toEqual(failure);
    expect(provider.stats().accepted + provider.stats().rejected429).toBe(1);
  });

  test('JSON that stops half-way is named as what it is', async () => {
    const provider = await startProvider({ faults: { truncatedJson: 1 } });
    const error = await failureOf(tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream })));
    expect(error).toMatchObject({ code: 'DROVER_PROVIDER_REPLY', retryable: true, detail: { expected: 'whole JSON' } });
  });

  test('a wrong request is a permanent failure', async () => {
    const provider = await startProvider({ models: ['other'] });
    const error = await failureOf(tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream })));
    expect(classifyError(error, Date.now())).toEqual({ at: 'permanent' });
  });

  test('nonsense in a well-formed reply is the caller’s to judge', async () => {
    const provider = await startProvider({ faults: { garbage: 1 } });
    const reply = await tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream }));
    expect(reply.text).not.toBe('');
  });

  test('no answer at all ends with the timeout', async () => {
    const provider = await startProvider({ faults: { hang: 1 } });
    const error = await failureOf(tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream, timeoutMs: 50 })));
    expect(error.name).toBe('Error');
    expect(error.message).toMatch(/timed out/i);
    expect(classifyError(error, Date.now())).toEqual({ at: 'transient' });
    await expect.poll(() => provider.stats().inFlight).toBe(0);
  });

  test.each([
    ['before its first byte', { baseMs: 60_000 }],
    ['half-way', { baseMs: 0, perOutputTokenMs: 1_000 }],
  ])('an abort %s ends it with the reason of the abort', async (_, latency) => {
    const provider = await startProvider({ latency });
    const abort = new AbortController();
    const call = failureOf(tryCall(openaiChat({ client: clientOf(provider), model: 'm', stream }), hello, { signal: abort.signal }));
    await expect.poll(() => provider.calls.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const reason = new Error('the run is over');
    abort.abort(reason);
    expect(await call).toBe(reason);
    await expect.poll(() => provider.calls[0]).toMatchObject({ ended: 'client-closed' });
  });
});

describe('a 200 that is no chat completion', () => {
  test.each([
    ['a web page', '<html>Sign in</html>', 'text/html', '"<html>Sign in</html>"'],
    ['null', 'null', 'application/json', 'null'],
    ['another object', '{"ok":true}', 'application/json', '{"ok":true}'],
    ['no choices', '{"id":"x","model":"m","choices":[]}', 'application/json', '{"id":"x","model":"m","choices":[]}'],
    ['an empty body', '', 'application/json', 'undefined'],
  ])('%s is an error that says what was expected and what came', async (_, body, contentType, came) => {
    const model = openaiChat({ client: await clientThatGets(body, contentType), model: 'm' });
    const error = await failureOf(tryCall(model));
    expect(error).toMatchObject({ code: 'DROVER_PROVIDER_REPLY', detail: { model: 'm', came } });
    expect(error.message).toContain('expected a chat completion with at least one choice, got ');
    expect(classifyError(error, 0)).toEqual({ at: 'transient' });
  });

  test.each([
    ['ends before the model was done', 'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hal"}}]}\n\ndata: [DONE]\n\n'],
    ['has no chunk', 'data: [DONE]\n\n'],
    ['is a web page', '<html>Sign in</html>'],
    ['has chunks of another kind', 'data: {"ok":true}\n\n'],
  ])('a stream that %s is an error', async (_, body) => {
    const model = openaiChat({ client: await clientThatGets(body, 'text/event-stream'), model: 'm', stream: true });
    expect(await failureOf(tryCall(model))).toMatchObject({ code: 'DROVER_PROVIDER_REPLY' });
  });
});

describe('a reply in a dialect', () => {
  const replied = async (body: object) => tryCall(openaiChat({ client: await clientThatGets(JSON.stringify(body)), model: 'm' }));
  const choice = { index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' };

  test('without usage leaves the estimate charged', async () => {
    const reply = await replied({ id: 'x', model: 'm', choices: [choice] });
    expect(reply).toMatchObject({ text: 'Yes.', usage: null });
    expect(openaiChat({ client: new OpenAI({ apiKey: 'any' }), model: 'm' }).spec.usage?.(reply, hello)).toBeUndefined();
  });

  test('with an odd usage is still a reply', async () => {
    expect(await replied({ choices: [choice], usage: { total: 'many' } })).toMatchObject({ text: 'Yes.', usage: null, model: 'm', id: '' });
  });

  test('that refuses says so in its text', async () => {
    const message = { role: 'assistant', content: null, refusal: 'I can’t help with that.' };
    expect(await replied({ choices: [{ message, finish_reason: 'stop' }] })).toMatchObject({ text: 'I can’t help with that.' });
  });

  test('that spent all its tokens on thought has an empty text', async () => {
    const message = { role: 'assistant', content: null };
    expect(await replied({ choices: [{ message, finish_reason: 'length' }] })).toMatchObject({ text: '', finishReason: 'length' });
  });
});

describe('what is sent', () => {
  test('holds the parameters of dependency and request, and the maximum under the name that is asked for', async () => {
    const bodies: unknown[] = [];
    const client = { chat: { completions: { create: async (body: unknown) => void bodies.push(body) } } };
    const model = openaiChat({
      client,
      model: 'm',
      maxOutputTokens: 9,
      maxTokensField: 'max_tokens',
      parameters: { temperature: 0, seed: 1 },
    });
    await failureOf(tryCall(model, { messages: hello.messages, parameters: { seed: 2 } }));
    expect(bodies).toEqual([{ temperature: 0, seed: 2, model: 'm', messages: hello.messages, max_tokens: 9 }]);
  });
});

describe('the estimate', () => {
  const client = new OpenAI({ apiKey: 'any' });
  const long = { messages: [{ role: 'user', content: 'x'.repeat(4_000) }] } as const;

  test('is characters / 4 and the most that may be answered', () => {
    expect(openaiChat({ client, model: 'm' }).spec.estimate?.({ ...long, maxOutputTokens: 200 })).toEqual({ input: 1_000, output: 200 });
    expect(openaiChat({ client, model: 'm', maxOutputTokens: 300 }).spec.estimate?.(long)).toEqual({ input: 1_000, output: 300 });
    expect(openaiChat({ client, model: 'm' }).spec.estimate?.(long)).toEqual({ input: 1_000, output: 1_000 });
  });

  test('follows the tokens that the provider counts', async () => {
    const usage = { prompt_tokens: 2_000, completion_tokens: 1 };
    const body = { choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }], usage };
    const model = openaiChat({ client: await clientThatGets(JSON.stringify(body)), model: 'm', maxOutputTokens: 100 });
    for (let call = 0; call < 20; call += 1) await tryCall(model, long);
    // 4,000 characters were 2,000 tokens each time.
    const { input } = costOf(model.spec.estimate?.(long));
    expect(input).toBeGreaterThan(1_900);
    expect(input).toBeLessThanOrEqual(2_000);
  });
});

describe('a wrong declaration', () => {
  const client = new OpenAI({ apiKey: 'any' });
  test.each([
    ['no client', { model: 'm' }, 'openaiChat.client: expected a client with chat.completions.create'],
    ['an empty model', { client, model: '' }, 'openaiChat.model: expected the name of a model'],
    ['no tokens', { client, model: 'm', maxOutputTokens: 0 }, 'openaiChat.maxOutputTokens: expected a whole number of tokens'],
    ['a wrong limit', { client, model: 'm', limits: { concurrency: 0 } }, 'limits.concurrency: expected a whole number of calls'],
    ['an unknown field', { client, model: 'm', retries: 3 }, 'retries'],
  ])('%s is refused with the field and what is allowed', (_, options, message) => {
    expect(() => openaiChat(options as never)).toThrow(TopologyError);
    expect(() => openaiChat(options as never)).toThrow(message);
  });
});

test('an exhausted account is permanent although it comes as a 429', async () => {
  const create = async () => {
    throw Object.assign(new Error('429 You exceeded your current quota'), {
      status: 429,
      code: 'insufficient_quota',
      headers: new Headers(),
    });
  };
  const error = await failureOf(tryCall(openaiChat({ client: { chat: { completions: { create } } }, model: 'm' })));
  expect(error).toMatchObject({ code: 'DROVER_PROVIDER_QUOTA', retryable: false });
  expect(classifyError(error, 0)).toEqual({ at: 'permanent' });
});
