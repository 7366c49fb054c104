import { describe, expect, test, vi } from 'vitest';
import { clientOf, failureOf, hello, post, standingClock, startProvider } from './fake-harness.ts';

describe('the official client', () => {
  test('gets a plain answer with usage', async () => {
    const provider = await startProvider({ answer: () => 'It is a lease.' });
    const completion = await clientOf(provider).chat.completions.create(hello);
    expect(completion.choices[0]?.message).toMatchObject({ role: 'assistant', content: 'It is a lease.' });
    expect(completion.choices[0]?.finish_reason).toBe('stop');
    expect(completion.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 4, total_tokens: 6 });
    expect(completion).toMatchObject({ object: 'chat.completion', model: 'm' });
  });

  test('gets a stream: role, text, finish reason, and usage in a last chunk without choices', async () => {
    const provider = await startProvider({ answer: () => 'It is a lease.' });
    const stream = await clientOf(provider).chat.completions.create({
      ...hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    const deltas = chunks.map((chunk) => chunk.choices[0]?.delta);
    expect(deltas[0]?.role).toBe('assistant');
    expect(deltas.slice(1, 5).map((delta) => delta?.content)).toEqual(['It i', 's a ', 'leas', 'e.']);
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 2, completion_tokens: 4 } });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  test('gets no usage in a stream when it does not ask for it', async () => {
    const provider = await startProvider();
    const stream = await clientOf(provider).chat.completions.create({ ...hello, stream: true });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  test('gets an answer cut at its maximum of tokens', async () => {
    const provider = await startProvider({ answer: () => 'abcdefghij' });
    const completion = await clientOf(provider).chat.completions.create({ ...hello, max_tokens: 2 });
    expect(completion.choices[0]).toMatchObject({ finish_reason: 'length', message: { content: 'abcdefgh' } });
  });

  test('gets an answer that waits for an answer function, and a 500 when it throws', async () => {
    let failing = false;
    const provider = await startProvider({
      answer: async (request) => (failing ? Promise.reject(new Error('no idea')) : `${request.messages.length} message`),
    });
    const client = clientOf(provider);
    expect((await client.chat.completions.create(hello)).choices[0]?.message.content).toBe('1 message');
    failing = true;
    expect(await failureOf(client.chat.completions.create(hello))).toMatchObject({ status: 500, type: 'server_error' });
    expect(provider.calls.at(-1)).toMatchObject({ ended: 'answer-failed', sent: 'all' });
  });

  test('gets the same default answer for the same prompt', async () => {
    const provider = await startProvider();
    const ask = async () => (await clientOf(provider).chat.completions.create(hello)).choices[0]?.message.content;
    expect(await ask()).toBe('Echo of 1 words: hello');
    expect(await ask()).toBe('Echo of 1 words: hello');
  });
});

describe('a request that is wrong', () => {
  test.for([
    ['not JSON', '{"model":', { param: null, code: null }],
    ['no messages', { model: 'm' }, { param: 'messages', code: 'missing_required_parameter' }],
    ['no model', { messages: hello.messages }, { param: 'model', code: 'missing_required_parameter' }],
    ['no role', { model: 'm', messages: [{ content: 'x' }] }, { param: 'messages[0].role' }],
    ['max_tokens 0', { ...hello, max_tokens: 0 }, { param: 'max_tokens', code: 'invalid_value' }],
    ['an array', [], { code: 'invalid_value' }],
    ['an unknown model', { ...hello, model: 'gone' }, { param: 'model', code: 'model_not_found' }],
  ] as const)('%s gets 400 and costs nothing', async ([, body, error]) => {
    const provider = await startProvider({ models: ['m'], limits: { requestsPerMinute: 60 } });
    const answer = await post(provider, body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({ type: 'invalid_request_error', message: expect.any(String), ...error });
    expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(provider.stats().accepted).toBe(0);
  });

  test('a body that is too large gets 413, and the connection stays usable', async () => {
    const provider = await startProvider({ maxBodyBytes: 1_000 });
    const large = { ...hello, messages: [{ role: 'user', content: 'x'.repeat(300_000) }] };
    expect((await post(provider, large)).status).toBe(413);
    expect((await post(provider)).status).toBe(200);
  });

  test('an unknown path or method gets 404', async () => {
    const provider = await startProvider();
    const statusOf = async (path: string) => (await fetch(`${provider.url}${path}`)).status;
    expect(await Promise.all(['/', '/v1/completions', '/v1/chat/completions'].map(statusOf))).toEqual([404, 404, 404]);
  });
});

describe('limits', () => {
  test('every answer carries the rate-limit headers, an id and a processing time', async () => {
    const clock = standingClock();
    const limits = { requestsPerMinute: 600, tokensPerMinute: 60_000 };
    const provider = await startProvider({ limits, answer: () => 'abcd', nowMs: clock.nowMs });
    const { headers } = await post(provider);
    expect(headers.get('x-request-id')).toBe(provider.calls[0]?.id);
    expect(headers.get('openai-processing-ms')).toBe('0');
    const rates = [...headers].filter(([name]) => name.startsWith('x-ratelimit-'));
    expect(Object.fromEntries(rates)).toEqual({
      'x-ratelimit-limit-requests': '600',
      'x-ratelimit-remaining-requests': '9',
      'x-ratelimit-reset-requests': '100ms',
      'x-ratelimit-limit-tokens': '60000',
      'x-ratelimit-remaining-tokens': '990',
      'x-ratelimit-reset-tokens': '10ms',
    });
  });

  test('too many requests get 429 with the exact wait, and enter once it is over', async () => {
    const clock = standingClock();
    const provider = await startProvider({ limits: { requestsPerMinute: 40 }, nowMs: clock.nowMs });
    const client = clientOf(provider);
    await client.chat.completions.create(hello);
    const error = await failureOf(client.chat.completions.create(hello));
    expect(error).toMatchObject({ status: 429, type: 'requests', code: 'rate_limit_exceeded' });
    expect(error.headers.get('retry-after')).toBe('2');
    expect(error.headers.get('retry-after-ms')).toBe('1500');
    expect(error.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(error.headers.get('x-ratelimit-reset-requests')).toBe('1.5s');
    clock.advance(1_499);
    expect((await post(provider)).status).toBe(429);
    clock.advance(1);
    expect((await post(provider)).status).toBe(200);
    expect(provider.stats()).toMatchObject({ accepted: 2, rejected429: 2, rejectedBy: { requests: 2, tokens: 0 } });
  });

  test('too many tokens get 429, and the real usage comes back after the answer', async () => {
    const clock = standingClock();
    const limits = { tokensPerMinute: 900 }; // a burst of 15
    const provider = await startProvider({ limits, answer: () => 'abcd', nowMs: clock.nowMs });
    await post(provider); // 10 estimated, 3 used: 12 are left
    await post(provider, { ...hello, max_tokens: 10 });
    const { status, headers, body } = await post(provider, { ...hello, max_tokens: 10 });
    expect(status).toBe(429);
    expect(body.error.type).toBe('tokens');
    expect(headers.get('retry-after-ms')).toBe('200');
    expect(provider.stats()).toMatchObject({ inputTokens: 4, outputTokens: 2 });
  });

  test('calls in flight are limited, and an answered client finds its permit free at once', async () => {
    const provider = await startProvider({ limits: { concurrency: 2 }, latency: { baseMs: 15 } });
    const statuses = await Promise.all([post(provider), post(provider), post(provider)]);
    expect(statuses.map(({ status }) => status).toSorted()).toEqual([200, 200, 429]);
    const rejected = statuses.find(({ status }) => status === 429);
    expect(rejected?.body.error.type).toBe('concurrency');
    expect(rejected?.headers.get('retry-after')).toBe('1');
    expect(provider.stats()).toMatchObject({ inFlight: 0, peakInFlight: 2, rejectedBy: { concurrency: 1 } });
  });

  test('two clients that start the next call when the last is answered are never refused by a limit of two', async () => {
    const provider = await startProvider({ limits: { concurrency: 2 } });
    const worker = async () => {
      const statuses: number[] = [];
      for (let call = 0; call < 100; call += 1) {
        statuses.push((await post(provider, { ...hello, max_tokens: 200 })).status);
      }
      return statuses;
    };
    const statuses = (await Promise.all([worker(), worker()])).flat();
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  test('a hidden capacity is enforced, not shown, and can change while running', async () => {
    const clock = standingClock();
    const limits = { requestsPerMinute: 600, concurrency: 50 };
    const provider = await startProvider({ limits, hidden: { requestsPerMinute: 60 }, nowMs: clock.nowMs });
    expect((await post(provider)).status).toBe(200);
    const refused = await post(provider);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-ratelimit-limit-requests')).toBe('600');
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('9');
    provider.setHidden({});
    clock.advance(1_000);
    expect((await post(provider)).status).toBe(200);
    expect((await post(provider)).status).toBe(200);
  });

  test('latency grows with the tokens of the answer', async () => {
    const provider = await startProvider({ latency: { baseMs: 5, perOutputTokenMs: 2 }, answer: () => 'x'.repeat(40) });
    await post(provider, { ...hello, max_tokens: 10 });
    await clientOf(provider)
      .chat.completions.create({ ...hello, max_tokens: 10, stream: true })
      .then(Array.fromAsync);
    // Timers may fire a millisecond early, and the clock of the log has whole milliseconds.
    for (const call of provider.calls) {
      expect(call).toMatchObject({ state: 'ended', completionTokens: 10 });
      expect(call.state === 'ended' && call.durationMs).toBeGreaterThanOrEqual(23);
    }
  });
});

describe('a client that goes away', () => {
  test.for([{ stream: false }, { stream: true }])('frees its permit, and the log says so: %j', async ({ stream }) => {
    const provider = await startProvider({ limits: { concurrency: 1 }, latency: { baseMs: 60_000 } });
    const abort = new AbortController();
    const call = clientOf(provider).chat.completions.create({ ...hello, stream }, { signal: abort.signal });
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(1), { interval: 2 });
    abort.abort();
    await failureOf(call);
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    expect(provider.calls).toMatchObject([
      { state: 'ended', ended: 'client-closed', sent: 'nothing', status: null, completionTokens: 0, streamed: stream },
    ]);
  });

  test('in the middle of a stream is charged for what it was sent', async () => {
    const latency = { baseMs: 0, perOutputTokenMs: 3 };
    const provider = await startProvider({ latency, answer: () => 'x'.repeat(40_000) });
    const stream = await clientOf(provider).chat.completions.create({ ...hello, max_tokens: 10_000, stream: true });
    let received = 0;
    for await (const _ of stream) if ((received += 1) === 4) break;
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    expect(provider.calls[0]).toMatchObject({ ended: 'client-closed', sent: 'part', status: 200 });
    expect(provider.stats().outputTokens).toBeGreaterThanOrEqual(3);
    expect(provider.stats().outputTokens).toBeLessThan(100);
  });

  test('while the answer function still works frees its permit, and the late answer is dropped', async () => {
    const answer = Promise.withResolvers<string>();
    const provider = await startProvider({ answer: () => answer.promise });
    const abort = new AbortController();
    const call = clientOf(provider).chat.completions.create(hello, { signal: abort.signal });
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(1), { interval: 2 });
    abort.abort();
    await failureOf(call);
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    answer.resolve('too late');
    expect((await fetch(`${provider.url}/healthz`)).status).toBe(200);
    expect(provider.calls).toMatchObject([{ ended: 'client-closed' }]);
  });
});
