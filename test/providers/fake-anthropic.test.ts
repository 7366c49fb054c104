import { describe, expect, test, vi } from 'vitest';
import type { FakeProvider } from '../../src/providers/fake/index.ts';
import { anthropicOf, failureOf, helloAnthropic, postMessages, standingClock, startProvider } from './fake-harness.ts';

const streamOf = async (provider: FakeProvider) =>
  Array.fromAsync(await anthropicOf(provider).messages.create({ ...helloAnthropic, stream: true }));

describe('the official client of Anthropic', () => {
  test('gets a plain answer with usage', async () => {
    const provider = await startProvider({ answer: () => 'It is a lease.' });
    const { data: message, request_id: requestId } = await anthropicOf(provider).messages.create(helloAnthropic).withResponse();
    expect(message).toMatchObject({ type: 'message', role: 'assistant', model: 'm', stop_reason: 'end_turn', stop_sequence: null });
    expect(message.content).toMatchObject([{ type: 'text', text: 'It is a lease.' }]);
    expect(message.usage).toMatchObject({ input_tokens: 2, output_tokens: 4, cache_read_input_tokens: 0 });
    expect(requestId).toBe(provider.calls[0]?.id);
    expect(provider.calls).toMatchObject([{ wire: 'anthropic', model: 'm', promptTokens: 2, completionTokens: 4, ended: 'answered' }]);
  });

  test('gets a stream: start with the usage of the prompt, block, deltas, cumulative usage, stop', async () => {
    const provider = await startProvider({ answer: () => 'It is a lease.' });
    const events = await streamOf(provider);
    expect(events.map(({ type }) => type)).toEqual([
      'message_start',
      'content_block_start',
      ...Array.from({ length: 4 }, () => 'content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
    expect(events[0]).toMatchObject({ message: { content: [], stop_reason: null, usage: { input_tokens: 2, output_tokens: 1 } } });
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'end_turn' }, usage: { input_tokens: 2, output_tokens: 4 } });
  });

  test('puts a stream together with its own helper', async () => {
    const provider = await startProvider({ answer: () => 'It is a lease.' });
    const message = await anthropicOf(provider).messages.stream(helloAnthropic).finalMessage();
    expect(message).toMatchObject({ content: [{ text: 'It is a lease.' }], usage: { input_tokens: 2, output_tokens: 4 } });
  });

  test('sends a ping that clients pass over', async () => {
    const provider = await startProvider();
    const { text } = await postMessages(provider, { ...helloAnthropic, stream: true });
    expect(text).toContain('event: ping\ndata: {"type":"ping"}\n\n');
  });

  test('gets an answer cut at its maximum of tokens', async () => {
    const provider = await startProvider({ answer: () => 'abcdefghij' });
    const message = await anthropicOf(provider).messages.create({ ...helloAnthropic, max_tokens: 2 });
    expect(message).toMatchObject({ stop_reason: 'max_tokens', content: [{ text: 'abcdefgh' }] });
  });

  test.for([
    ['text', 'Be brief.', 'hello'],
    ['blocks', [{ type: 'text', text: 'Be brief.' }], [{ type: 'text', text: 'hello' }]],
    ['a result of a tool', 'Be brief.', [{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'hello' }] }]],
  ] as const)('asks with system and content as %s, and the answer function sees both in order', async ([, system, content]) => {
    const seen: unknown[] = [];
    const provider = await startProvider({ answer: ({ messages }) => (seen.push(messages), 'ok') });
    await postMessages(provider, { ...helloAnthropic, system, messages: [{ role: 'user', content }] });
    const texts = (seen[0] as { role: string; content: string | { text: string }[] }[]).map(({ role, content: said }) => [
      role,
      typeof said === 'string' ? said : said.map(({ text }) => text).join(''),
    ]);
    expect(texts).toEqual([
      ['system', 'Be brief.'],
      ['user', 'hello'],
    ]);
    // 14 characters.
    expect(provider.calls).toMatchObject([{ promptTokens: 4 }]);
  });

  test('frees its permit when it goes away in the middle of a stream, and is charged for what it was sent', async () => {
    const latency = { baseMs: 0, perOutputTokenMs: 3 };
    const provider = await startProvider({ latency, answer: () => 'x'.repeat(40_000) });
    const stream = await anthropicOf(provider).messages.create({ ...helloAnthropic, max_tokens: 10_000, stream: true });
    let received = 0;
    for await (const { type } of stream) if (type === 'content_block_delta' && (received += 1) === 4) break;
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    const [call] = provider.calls;
    expect(call).toMatchObject({ ended: 'client-closed', sent: 'part', status: 200, usage: { inputTokens: 2 } });
    expect(provider.stats().outputTokens).toBeGreaterThanOrEqual(4);
    expect(provider.stats().outputTokens).toBeLessThan(200);
    expect(call?.state === 'ended' && call.usage.outputTokens).toBe(provider.stats().outputTokens);
  });
});

describe('an error in the form of Anthropic', () => {
  test.for([
    ['not JSON', '{"model":', 400, 'invalid_request_error'],
    ['no max_tokens', { ...helloAnthropic, max_tokens: undefined }, 400, 'invalid_request_error'],
    ['an unknown role', { ...helloAnthropic, messages: [{ role: 'tool', content: 'x' }] }, 400, 'invalid_request_error'],
    ['an unknown model', { ...helloAnthropic, model: 'gone' }, 404, 'not_found_error'],
  ] as const)('%s is refused and costs nothing', async ([, body, status, type]) => {
    const provider = await startProvider({ models: ['m'], limits: { requestsPerMinute: 60 } });
    const answer = await postMessages(provider, body);
    expect(answer.status).toBe(status);
    const error = { type: 'error', error: { type, message: expect.any(String) }, request_id: answer.headers.get('request-id') };
    expect(JSON.parse(answer.text)).toEqual(error);
    expect(answer.headers.get('anthropic-ratelimit-requests-remaining')).toBe('1');
    expect(provider.stats().accepted).toBe(0);
  });

  test('names the field that is wrong', async () => {
    const provider = await startProvider();
    const { text } = await postMessages(provider, { ...helloAnthropic, max_tokens: 0 });
    expect(JSON.parse(text).error.message).toMatch(/^max_tokens: /);
  });

  test('a body that is too large is request_too_large, an unknown path not_found_error', async () => {
    const provider = await startProvider({ maxBodyBytes: 10 });
    expect(await postMessages(provider)).toMatchObject({ status: 413, text: expect.stringContaining('"request_too_large"') });
    const unknown = await fetch(`${provider.url}/v1/messages/batches`);
    expect(await unknown.json()).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
  });

  test('too many requests are a rate_limit_error with whole seconds to wait', async () => {
    const clock = standingClock();
    const provider = await startProvider({ limits: { requestsPerMinute: 40 }, nowMs: clock.nowMs });
    await anthropicOf(provider).messages.create(helloAnthropic);
    const error = await failureOf(anthropicOf(provider).messages.create(helloAnthropic));
    expect(error.constructor.name).toBe('RateLimitError');
    expect(error).toMatchObject({ status: 429, type: 'rate_limit_error' });
    expect(error.requestID).toMatch(/^req_/);
    expect(error.headers.get('retry-after')).toBe('2');
    expect(error.headers.get('retry-after-ms')).toBeNull();
    clock.advance(1_500);
    await anthropicOf(provider).messages.create(helloAnthropic);
    expect(provider.stats()).toMatchObject({ accepted: 2, rejected429: 1, rejectedBy: { requests: 1 } });
  });

  test.for([
    ['rate529', 529, 'overloaded_error'],
    ['rate500', 500, 'api_error'],
  ] as const)('%s is a %i %s that uses no tokens', async ([fault, status, type]) => {
    const provider = await startProvider({ faults: { [fault]: 1 } });
    expect(await failureOf(anthropicOf(provider).messages.create(helloAnthropic))).toMatchObject({ status, type });
    expect(provider.stats()).toMatchObject({ accepted: 1, inFlight: 0, inputTokens: 0, outputTokens: 0 });
  });

  test('an overload in the middle of a stream is an event', async () => {
    const provider = await startProvider({ faults: { errorMidStream: 1 } });
    expect(await failureOf(streamOf(provider))).toMatchObject({ type: 'overloaded_error' });
  });
});

describe('the headers of Anthropic', () => {
  test('tell of four dimensions, each with a moment of RFC 3339 at which it is whole again', async () => {
    const clock = standingClock();
    const limits = { requestsPerMinute: 600, tokensPerMinute: 60_000, inputTokensPerMinute: 6_000, outputTokensPerMinute: 600 };
    const provider = await startProvider({ limits, answer: () => 'abcd', nowMs: clock.nowMs });
    const { headers } = await postMessages(provider);
    const rates = [...headers].filter(([name]) => name.includes('ratelimit'));
    // The clock stands at 1 000 s after 1970. Charged are 2 tokens in and 8 out: the estimate.
    const second = (count: number) => `1970-01-01T00:16:4${count}Z`;
    expect(Object.fromEntries(rates)).toEqual({
      'anthropic-ratelimit-requests-limit': '600',
      'anthropic-ratelimit-requests-remaining': '9',
      'anthropic-ratelimit-requests-reset': second(1),
      'anthropic-ratelimit-tokens-limit': '60000',
      'anthropic-ratelimit-tokens-remaining': '990',
      'anthropic-ratelimit-tokens-reset': second(1),
      'anthropic-ratelimit-input-tokens-limit': '6000',
      'anthropic-ratelimit-input-tokens-remaining': '98',
      'anthropic-ratelimit-input-tokens-reset': second(1),
      'anthropic-ratelimit-output-tokens-limit': '600',
      'anthropic-ratelimit-output-tokens-remaining': '2',
      'anthropic-ratelimit-output-tokens-reset': second(1),
    });
  });

  test('tell nothing of a dimension without a limit', async () => {
    const provider = await startProvider({ limits: { outputTokensPerMinute: 600 } });
    const names = [...(await postMessages(provider)).headers.keys()].filter((name) => name.includes('ratelimit'));
    expect(names.every((name) => name.includes('output-tokens'))).toBe(true);
  });
});
