/** Faults whose answer has the status 200, or whose headers are nonsense. */
import { describe, expect, test, vi } from 'vitest';
import type { FakeProvider, FakeProviderOptions, FaultName } from '../../src/providers/fake/index.ts';
import { anthropicOf, clientOf, failureOf, hello, helloAnthropic, post, postMessages, startProvider } from './fake-harness.ts';

const startOdd = (fault: FaultName, options: FakeProviderOptions = {}) =>
  startProvider({ faults: { [fault]: 1 }, answer: () => 'It is a lease.', ...options });

const openaiStream = async (provider: FakeProvider) =>
  Array.fromAsync(await clientOf(provider).chat.completions.create({ ...hello, stream: true, stream_options: { include_usage: true } }));
const anthropicStream = async (provider: FakeProvider) =>
  Array.fromAsync(await anthropicOf(provider).messages.create({ ...helloAnthropic, stream: true }));

async function rawStream(provider: FakeProvider): Promise<string> {
  const body = JSON.stringify({ ...hello, stream: true, stream_options: { include_usage: true } });
  return (await fetch(`${provider.url}/v1/chat/completions`, { method: 'POST', body })).text();
}

describe('headers of nonsense', () => {
  test.for([
    ['retryAfterYear', '31536000'],
    ['retryAfterPast', 'Wed, 21 Oct 2015 07:28:00 GMT'],
    ['retryAfterNegative', '-5'],
    ['retryAfterText', 'soon'],
  ] as const)('%s refuses with retry-after: %s, in both forms', async ([fault, value]) => {
    const provider = await startOdd(fault);
    const errors = await Promise.all([
      failureOf(clientOf(provider).chat.completions.create(hello)),
      failureOf(anthropicOf(provider).messages.create(helloAnthropic)),
    ]);
    for (const error of errors) {
      expect(error.status).toBe(429);
      expect(error.headers.get('retry-after')).toBe(value);
      expect(error.headers.get('retry-after-ms')).toBeNull();
    }
    expect(provider.stats()).toMatchObject({ accepted: 0, rejectedBy: { fault: 2 }, faults: { [fault]: 2 } });
  });

  test.for([
    ['limitHeadersText', 'abc'],
    ['limitHeadersNegative', '-1'],
  ] as const)('%s makes all rate-limit headers of a good answer %s', async ([fault, value]) => {
    const provider = await startOdd(fault, { limits: { requestsPerMinute: 6_000 } });
    const answers = [await post(provider), await postMessages(provider)];
    const counts = answers.map(({ status, headers }) => {
      expect(status).toBe(200);
      const rates = [...headers].filter(([name]) => name.includes('ratelimit'));
      expect(new Set(rates.map(([, said]) => said))).toEqual(new Set([value]));
      return rates.length;
    });
    expect(counts).toEqual([6, 12]);
  });
});

describe('a stream that is not as it should be', () => {
  test('stalls for ever after half of its text, and keeps its permit until the client gives up', async () => {
    const provider = await startOdd('stall');
    const abort = new AbortController();
    const stream = await clientOf(provider).chat.completions.create({ ...hello, stream: true }, { signal: abort.signal });
    let text = '';
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      if (text === 'It is a ') break;
    }
    abort.abort();
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    expect(provider.calls).toMatchObject([{ ended: 'fault:stall', sent: 'part', status: 200, completionTokens: 2 }]);
  });

  test('a plain answer stalls half-way too, and ends with the provider', async () => {
    const provider = await startOdd('stall');
    const answer = await fetch(`${provider.url}/v1/messages`, { method: 'POST', body: JSON.stringify(helloAnthropic) });
    expect(answer.status).toBe(200);
    const body = failureOf(answer.text());
    await provider.close();
    expect(await body).toBeInstanceOf(TypeError);
    expect(provider.calls).toMatchObject([{ ended: 'fault:stall', sent: 'part' }]);
  });

  test('ends quietly after half of its text: no finish reason, no usage, no [DONE]', async () => {
    const provider = await startOdd('quietEnd');
    const text = await rawStream(provider);
    expect(text).not.toContain('[DONE]');
    expect(text).not.toContain('"finish_reason":"stop"');
    expect(text).not.toContain('prompt_tokens');
    const events = await anthropicStream(provider);
    expect(events.at(-1)?.type).toBe('content_block_delta');
    expect(provider.calls).toMatchObject(Array.from({ length: 2 }, () => ({ ended: 'fault:quietEnd', sent: 'part', completionTokens: 2 })));
  });

  test('a plain answer that ends quietly does not parse', async () => {
    const { text, status } = await postMessages(await startOdd('quietEnd'));
    expect(status).toBe(200);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
  });

  test('has all of its text but neither usage nor the mark of the end', async () => {
    const provider = await startOdd('missingDone');
    const text = await rawStream(provider);
    expect(text).toContain('"finish_reason":"stop"');
    expect(text).not.toContain('[DONE]');
    expect(text).not.toContain('prompt_tokens');
    expect((await anthropicStream(provider)).at(-1)?.type).toBe('content_block_stop');
    expect(provider.stats().outputTokens).toBe(8);
  });

  test('brings an error after half of its text', async () => {
    const provider = await startOdd('errorMidStream');
    const error = await failureOf(openaiStream(provider));
    expect(error).toMatchObject({ type: 'overloaded_error' });
    expect(provider.calls).toMatchObject([{ ended: 'fault:errorMidStream', completionTokens: 2 }]);
    expect(await post(provider)).toMatchObject({ status: 529, body: { error: { type: 'overloaded_error' } } });
    expect(provider.calls[1]).toMatchObject({ usage: { outputTokens: 4 } });
  });

  test('is slow: so much more time for each token', async () => {
    const provider = await startOdd('slow', { latency: { baseMs: 0, slowTokenMs: 6 } });
    await openaiStream(provider);
    await post(provider);
    for (const call of provider.calls) {
      expect(call).toMatchObject({ ended: 'fault:slow', sent: 'all', completionTokens: 4 });
      expect(call.state === 'ended' && call.durationMs).toBeGreaterThanOrEqual(22);
    }
  });

  test('breaks in the middle in the form of Anthropic too', async () => {
    const provider = await startOdd('resetMidStream');
    expect(await failureOf(anthropicStream(provider))).toBeInstanceOf(Error);
    await vi.waitFor(() => expect(provider.calls).toMatchObject([{ ended: 'fault:resetMidStream', completionTokens: 2 }]));
  });
});

describe('an answer of 200 that is none', () => {
  test('is a web page, and uses no tokens', async () => {
    const provider = await startOdd('html');
    const { status, headers, text } = await postMessages(provider);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(text).toContain('<html>');
    expect(provider.stats()).toMatchObject({ accepted: 1, inputTokens: 0, inFlight: 0 });
    expect(provider.calls).toMatchObject([{ ended: 'fault:html' }]);
  });

  test('has no choice and no block, plain and streamed', async () => {
    const provider = await startOdd('emptyChoices', { reasoningTokens: 3 });
    expect((await clientOf(provider).chat.completions.create(hello)).choices).toEqual([]);
    expect((await anthropicOf(provider).messages.create(helloAnthropic)).content).toEqual([]);
    expect((await openaiStream(provider)).every(({ choices }) => choices.length === 0)).toBe(true);
    expect((await anthropicStream(provider)).map(({ type }) => type)).toEqual(['message_start', 'message_delta', 'message_stop']);
    expect(provider.stats().outputTokens).toBe(0);
  });

  test('has an empty text', async () => {
    const provider = await startOdd('emptyText');
    expect((await clientOf(provider).chat.completions.create(hello)).choices[0]?.message.content).toBe('');
    expect((await anthropicOf(provider).messages.create(helloAnthropic)).content).toMatchObject([{ text: '' }]);
    expect(provider.stats().outputTokens).toBe(0);
  });

  test('refuses politely; Anthropic says so in its stop reason too', async () => {
    const provider = await startOdd('refusal');
    const { message, finish_reason } = (await clientOf(provider).chat.completions.create({ ...hello, max_tokens: 50 })).choices[0]!;
    expect(message.content).toMatch(/sorry|cannot|not able/);
    expect(finish_reason).toBe('stop');
    expect((await anthropicOf(provider).messages.create({ ...helloAnthropic, max_tokens: 50 })).stop_reason).toBe('refusal');
  });

  test.for([
    [40, 40, 'length'],
    [null, 256, 'stop'],
  ] as const)('repeats itself; with a maximum of %o for %i tokens', async ([max_tokens, tokens, finish]) => {
    const provider = await startOdd('repeated');
    const { choices, usage } = await clientOf(provider).chat.completions.create({ ...hello, max_tokens });
    expect(usage?.completion_tokens).toBe(tokens);
    expect(choices[0]?.finish_reason).toBe(finish);
    expect(choices[0]?.message.content?.split('and so it goes on ').length).toBeGreaterThan(tokens / 5);
  });

  test('does not tell its usage, and is charged all the same', async () => {
    const provider = await startOdd('missingUsage');
    expect(await clientOf(provider).chat.completions.create(hello)).not.toHaveProperty('usage');
    expect(await anthropicOf(provider).messages.create(helloAnthropic)).not.toHaveProperty('usage');
    expect((await openaiStream(provider)).some((chunk) => 'usage' in chunk)).toBe(false);
    expect(JSON.stringify(await anthropicStream(provider))).not.toContain('usage');
    expect(provider.stats()).toMatchObject({ inputTokens: 8, outputTokens: 16 });
  });
});
