import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { anthropicFetch, anthropicMiddleware } from 'drover/anthropic';
import { openaiFetch } from 'drover/openai';
import type { OpenaiFetchOptions } from 'drover/openai';
import { clientBehind, gateOf } from './drop-in-harness.ts';
import { failureOf, startProvider } from './fake-harness.ts';

const completion = { id: 'x', model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }] };

/** A client of a provider that is a function, and what reached it. */
function clientOf(
  answer: (url: string, init: RequestInit) => Response,
  options: OpenaiFetchOptions = {},
  spec: Parameters<typeof gateOf>[0] = {},
) {
  const { gate, events, used } = gateOf(spec);
  const reached: { readonly url: string; readonly body: unknown }[] = [];
  const send = async (url: string | URL | Request, init: RequestInit = {}) => {
    if (typeof url !== 'string') throw new Error('an address was expected');
    reached.push({ url, body: typeof init.body === 'string' && init.body !== '{' ? JSON.parse(init.body) : init.body });
    return answer(url, init);
  };
  const fetch = openaiFetch(gate, { ...options, fetch: send });
  const client = new OpenAI({ baseURL: 'http://provider.test/v1', apiKey: 'any', logLevel: 'off', fetch });
  return { gate, events, used, reached, client, fetch };
}

const said = (usage?: object) => () => Response.json({ ...completion, ...(usage === undefined ? {} : { usage }) });

describe('a request', () => {
  test('with tools, images and whatever else reaches the provider as it was', async () => {
    const { client, reached } = clientOf(said());
    const body = {
      model: 'm',
      temperature: 0,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'look', arguments: '{"at":1}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: 'a lease' },
      ],
      tools: [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }],
      tool_choice: 'auto',
    } satisfies OpenAI.ChatCompletionCreateParams;
    await client.chat.completions.create(body);
    expect(reached).toEqual([{ url: 'http://provider.test/v1/chat/completions', body }]);
  });

  test.each([
    ['a text by its characters', [{ role: 'user', content: 'x'.repeat(400) }], 100],
    ['an image by 1,600 tokens', [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x'.repeat(10_000) } }] }], 1_600],
    ['a file by 6,000 tokens', [{ role: 'user', content: [{ type: 'file', file: { file_data: 'x'.repeat(10_000) } }] }], 6_000],
  ] as const)('is estimated: %s', async (_, messages, input) => {
    const { client, gate } = clientOf(said(), {}, { budget: { tokens: 100_000 } });
    await client.chat.completions.create({ model: 'm', messages: messages as never, max_completion_tokens: 50 });
    // No usage was told, so the estimate stays charged.
    expect((await gate.look()).budget?.spent.tokens).toBe(input + 50);
  });

  test.each([
    ['no maximum: 1,000 tokens', {}, {}, 1_000],
    ['no maximum, and the drop-in has one', {}, { maxOutputTokens: 70 }, 70],
    ['three answers', { max_tokens: 50, n: 3 }, {}, 150],
  ] as const)('is charged for its answer before it comes: %s', async (_, body, options, output) => {
    const { client, gate } = clientOf(said(), options, { budget: { tokens: 100_000 } });
    await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hell' }], ...body });
    expect((await gate.look()).budget?.spent.tokens).toBe(1 + output);
  });

  test('is estimated by what the provider has counted before', async () => {
    const { client, gate } = clientOf(said({ prompt_tokens: 2_000, completion_tokens: 0 }), {}, { budget: { tokens: 1_000_000 } });
    const messages = [{ role: 'user' as const, content: 'x'.repeat(4_000) }];
    for (let call = 0; call < 20; call += 1) await client.chat.completions.create({ model: 'm', messages, max_tokens: 1 });
    gate.raiseBudget({ tokens: 40_000 + 1_900 });
    expect(await failureOf(client.chat.completions.create({ model: 'm', messages, max_tokens: 1 }))).toMatchObject({
      code: 'DROVER_BUDGET_EXCEEDED',
    });
  });

  test.each([
    ['a list', () => new Request('http://provider.test/v1/models')],
    ['an upload', () => new Request('http://provider.test/v1/files', { method: 'POST', body: new FormData() })],
    ['a count of tokens', () => post('responses/input_tokens', { model: 'm', input: 'hello' })],
    ['what is no JSON', () => new Request('http://provider.test/v1/x', { method: 'POST', body: '{' })],
    ['what names no model', () => post('x', { messages: [] })],
  ])('that asks no model passes by: %s', async (_, request) => {
    const { fetch, gate, reached } = clientOf(() => Response.json({ data: [] }));
    expect((await fetch(request())).status).toBe(200);
    expect(reached).toHaveLength(1);
    expect((await gate.look()).granted).toBe(0);
  });

  test('given as a Request is admitted all the same', async () => {
    const { fetch, used } = clientOf(said({ prompt_tokens: 7, completion_tokens: 1 }));
    await fetch(post('chat/completions', { model: 'm', messages: [{ role: 'user', content: 'hello' }] }));
    expect(used()).toMatchObject({ inputTokens: 7, outputTokens: 1 });
  });
});

function post(path: string, body: object): Request {
  return new Request(`http://provider.test/v1/${path}`, { method: 'POST', body: JSON.stringify(body) });
}

describe('the usage', () => {
  test('of responses is read, plain and streamed', async () => {
    const usage = {
      input_tokens: 30,
      input_tokens_details: { cached_tokens: 20 },
      output_tokens: 8,
      output_tokens_details: { reasoning_tokens: 6 },
    };
    const events = [{ type: 'response.created' }, { type: 'response.completed', response: { id: 'r', output: [], usage } }];
    const { client, used, reached } = clientOf((_, { body }) =>
      typeof body === 'string' && body.includes('"stream":true')
        ? new Response(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''), {
            headers: { 'content-type': 'text/event-stream' },
          })
        : Response.json({ id: 'r', object: 'response', output: [], usage }),
    );
    await client.responses.create({ model: 'm', input: 'hello' });
    for await (const event of await client.responses.create({ model: 'm', input: 'hello', stream: true })) void event;
    expect(used()).toEqual({ inputTokens: 60, outputTokens: 16, cachedInputTokens: 40, cacheWriteTokens: 0, reasoningTokens: 12 });
    // A field that responses do not know is not sent.
    expect(reached[1]?.body).not.toHaveProperty('stream_options');
  });

  test('of embeddings is read, and no output is charged', async () => {
    const { client, gate } = clientOf(
      () => Response.json({ data: [], usage: { prompt_tokens: 9, total_tokens: 9 } }),
      {},
      { budget: { tokens: 10 } },
    );
    await client.embeddings.create({ model: 'm', input: 'hello' });
    expect((await gate.look()).budget?.spent.tokens).toBe(9);
  });

  test('that a caller asks a stream for is shown to him', async () => {
    const provider = await startProvider();
    const { gate, used } = gateOf();
    const openai = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', fetch: openaiFetch(gate) });
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const stream = await openai.chat.completions.create({ model: 'm', messages, stream: true, stream_options: { include_usage: true } });
    const chunks = await Array.fromAsync(stream);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: used().inputTokens } });
  });

  test('is not asked for where the server refuses that', async () => {
    const provider = await startProvider();
    const { gate } = gateOf({ budget: { tokens: 1_000 } });
    const openai = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', fetch: openaiFetch(gate, { includeUsage: false }) });
    const stream = await openai.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      max_tokens: 32,
    });
    await Array.fromAsync(stream);
    await vi.waitFor(async () => expect((await gate.look()).budget?.spent.tokens).toBe(34));
  });

  test.each([
    ['negative', { prompt_tokens: -5, completion_tokens: 3 }],
    ['no number', { prompt_tokens: 'many', completion_tokens: 3 }],
    ['not there', undefined],
  ])('that is %s is unknown, and the estimate stays charged', async (_, usage) => {
    const { client, gate } = clientOf(said(usage), {}, { budget: { tokens: 1_000 } });
    await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hell' }], max_tokens: 50 });
    expect((await gate.look()).budget?.spent.tokens).toBe(51);
  });
});

describe('money', () => {
  const ask = (client: OpenAI, model: string) =>
    client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hell' }], max_tokens: 50 });
  const usage = { prompt_tokens: 1_000, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 400 } };

  test('is counted by the listed price of the model that was asked for', async () => {
    const { client, gate } = clientOf(said(usage), {}, { budget: { usd: 1 } });
    await ask(client, 'gpt-4.1-mini');
    // 0.4, 0.1 and 1.6 dollars for a million.
    expect((await gate.look()).budget?.spent.usd).toBeCloseTo((600 * 0.4 + 400 * 0.1 + 100 * 1.6) / 1e6, 9);
  });

  test('is counted by prices that are given', async () => {
    const price = { inputPerMillion: 10, cachedInputPerMillion: 1, outputPerMillion: 100 };
    const { client, gate } = clientOf(said(usage), { price }, { budget: { usd: 1 } });
    await ask(client, 'nobody-knows-me');
    expect((await gate.look()).budget?.spent.usd).toBeCloseTo((600 * 10 + 400 * 1 + 100 * 100) / 1e6, 9);
  });

  test('is counted by a function of usage and model', async () => {
    const { client, gate } = clientOf(said(usage), { price: (_, model) => (model === 'a' ? 0.25 : 0.5) }, { budget: { usd: 2 } });
    await ask(client, 'a');
    await ask(client, 'b');
    expect((await gate.look()).budget?.spent.usd).toBeCloseTo(0.75, 9);
  });

  test('of an unknown model is a clear error where it is limited, also when that came later', async () => {
    const { client, gate } = clientOf(said(usage), {}, { budget: { tokens: 10_000 } });
    await ask(client, 'nobody-knows-me');
    gate.raiseBudget({ usd: 1, tokens: 10_000 });
    const error = await failureOf(ask(client, 'nobody-knows-me'));
    expect(error).toMatchObject({ status: 400, code: 'DROVER_UNKNOWN_PRICE' });
    expect(error.message).toContain('nobody knows the price of nobody-knows-me');
  });
});

describe('the timeout of a client', () => {
  test.each(['openai', 'anthropic-fetch', 'anthropic'] as const)(
    'of %s, when it ends a call on its way, sends nothing twice',
    async (name) => {
      const provider = await startProvider({ faults: { hang: 1 } });
      const { gate } = gateOf();
      const asking = clientBehind(name, false, provider, gate);
      await failureOf(asking.ask({ timeoutMs: 300 }));
      expect(provider.stats().accepted).toBe(1);
      expect(await gate.look()).toMatchObject({ inFlight: 0 });
    },
  );

  test('counts the time in the line behind a fetch, which is said in so many words', async () => {
    const provider = await startProvider();
    const { gate } = gateOf({ limits: { concurrency: 1 } });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const holding = gate.run(() => over);
    const error = await failureOf(clientBehind('openai', false, provider, gate).ask({ timeoutMs: 300 }));
    expect(error).toMatchObject({ status: 408, code: 'DROVER_CLIENT_TIMEOUT' });
    expect(error.message).toContain('give the client a longer timeout');
    expect(provider.stats().accepted).toBe(0);
    end();
    await holding;
  });

  test('does not count the time in the line behind a middleware', async () => {
    const provider = await startProvider();
    const { gate } = gateOf({ limits: { concurrency: 1 } });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const holding = gate.run(() => over);
    const answer = clientBehind('anthropic', false, provider, gate).ask({ timeoutMs: 300 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    end();
    await holding;
    expect(await answer).toBe('Echo of 1 words: hello');
  });

  test('of an earlier call does not stand in the way of the same question asked anew', async () => {
    const provider = await startProvider({ faults: { hang: 1 } });
    const { gate } = gateOf();
    const asking = clientBehind('openai', false, provider, gate);
    await failureOf(asking.ask({ timeoutMs: 300 }));
    provider.setFaults({});
    expect(await asking.ask()).toBe('Echo of 1 words: hello');
  });
});

describe('a stream that nobody reads', () => {
  test.each([
    [
      'openai',
      (gate: ReturnType<typeof gateOf>['gate'], url: string) =>
        new OpenAI({ baseURL: `${url}/v1`, apiKey: 'any', fetch: openaiFetch(gate) }).chat.completions.create({
          model: 'm',
          messages: [{ role: 'user', content: 'hello' }],
          max_tokens: 32,
          stream: true,
        }),
    ],
    [
      'anthropic',
      (gate: ReturnType<typeof gateOf>['gate'], url: string) =>
        new Anthropic({ baseURL: url, apiKey: 'any', fetch: anthropicFetch(gate) }).messages.create({
          model: 'm',
          messages: [{ role: 'user', content: 'hello' }],
          max_tokens: 32,
          stream: true,
        }),
    ],
  ] as const)('of %s gives its permit back when the time of the gate is over', async (_, ask) => {
    const provider = await startProvider();
    const { gate, events } = gateOf({ timeoutMs: 1_000, attempts: 1, budget: { tokens: 1_000 } });
    const stream = await ask(gate, provider.url);
    expect(await gate.look()).toMatchObject({ inFlight: 1 });
    await vi.waitFor(async () => expect(await gate.look()).toMatchObject({ inFlight: 0, budget: { spent: { tokens: 34 } } }), {
      interval: 20,
      timeout: 5_000,
    });
    expect(events).toMatchObject([{ at: 'failed', again: false, error: { code: 'DROVER_CALL_TIMEOUT' } }]);
    // Who comes late is told why.
    expect(await failureOf(Array.fromAsync(stream as AsyncIterable<unknown>))).toMatchObject({ code: 'DROVER_CALL_TIMEOUT' });
  });
});

test('an account that is used up is told at once, and not taken for a rate limit', async () => {
  const body = { error: { message: 'You exceeded your current quota', code: 'insufficient_quota' } };
  const { client, reached, events } = clientOf(() => Response.json(body, { status: 429 }));
  const error = await failureOf(client.chat.completions.create({ model: 'm', messages: [] }));
  expect(error).toMatchObject({ status: 429, code: 'insufficient_quota' });
  expect(reached).toHaveLength(1);
  expect(events).toMatchObject([{ at: 'failed', failure: 'permanent', again: false }]);
});

describe('nothing that a model answers gets past a gate', () => {
  const ask = { model: 'gpt-4.1', input: 'hi' };
  const bytes = new TextEncoder().encode(JSON.stringify(ask));
  const sent = (path: string, body: NonNullable<RequestInit['body']> | null): [string, RequestInit] => [
    `http://provider.test/v1/${path}`,
    { method: 'POST', body, ...(body instanceof ReadableStream ? { duplex: 'half' } : {}) },
  ];
  const streamed = () => new Blob([bytes]).stream();

  test.each([
    ['a stored prompt', () => sent('responses', JSON.stringify({ prompt: { id: 'pmpt_1' } }))],
    ['a stored prompt and an input', () => sent('responses', JSON.stringify({ prompt: { id: 'pmpt_1' }, input: 'hi' }))],
    ['an earlier response', () => sent('responses', JSON.stringify({ model: 'gpt-4.1', previous_response_id: 'resp_1' }))],
    ['a conversation', () => sent('responses', JSON.stringify({ model: 'gpt-4.1', conversation: 'conv_1' }))],
    ['bytes', () => sent('responses', bytes)],
    ['a buffer', () => sent('responses', bytes.buffer)],
    ['a blob', () => sent('responses', new Blob([bytes]))],
    ['a stream', () => sent('responses', streamed())],
    ['a form', () => sent('responses', new FormData())],
    ['what is no JSON', () => sent('responses', '{')],
    ['nothing', () => sent('responses', null)],
    ['a Request', (): [Request] => [new Request(...sent('responses', bytes))]],
    ['a slash at the end', () => sent('responses/', bytes)],
    ['a query', () => sent('responses?api-version=1', bytes)],
    ['a compaction', () => sent('responses/compact', bytes)],
  ] as const)('%s', async (_, request) => {
    const { gate, fetch, reached } = clientOf(said());
    gate.isolate();
    const answer = await fetch(...(request() as Parameters<typeof fetch>));
    expect([answer.status, reached]).toEqual([503, []]);
    expect(await answer.json()).toMatchObject({ error: { code: 'DROVER_BREAKER_OPEN' } });
  });

  test('and what came as a stream is sent again when the provider fails', async () => {
    let calls = 0;
    const { fetch, reached } = clientOf(() => ((calls += 1) === 1 ? new Response('', { status: 500 }) : said()()));
    expect((await fetch(...sent('responses', streamed()))).status).toBe(200);
    expect(reached.map(({ body }) => body)).toEqual([ask, ask]);
  });

  test('a request that names no model is refused where money is limited, and never sent for free', async () => {
    const { fetch, reached } = clientOf(said(), {}, { budget: { usd: 1 } });
    const answer = await fetch(...sent('responses', JSON.stringify({ prompt: { id: 'pmpt_1' } })));
    expect([answer.status, reached]).toEqual([400, []]);
    expect(await answer.json()).toMatchObject({ error: { code: 'DROVER_UNKNOWN_PRICE' } });
  });

  test.each([
    [
      'a stored prompt, an earlier response and a conversation by 2,000 tokens each',
      { prompt: { id: 'p' }, previous_response_id: 'r', conversation: 'c' },
      6_000,
    ],
    ['a stored prompt and what goes with it', { prompt: { id: 'p' }, input: 'x'.repeat(400) }, 2_100],
  ] as const)('what the provider keeps itself is estimated: %s', async (_, body, input) => {
    const { fetch, gate } = clientOf(said(), {}, { budget: { tokens: 100_000 } });
    await fetch(...sent('responses', JSON.stringify({ ...body, max_output_tokens: 50 })));
    expect((await gate.look()).budget?.spent.tokens).toBe(input + 50);
  });

  test.each([
    ['messages', 503],
    ['messages/', 503],
    ['messages?beta=true', 503],
    ['complete', 503],
    ['messages/count_tokens', 200],
    ['messages/batches', 200],
  ] as const)("of Anthropic's addresses: %s", async (path, status) => {
    const { gate } = gateOf();
    gate.isolate();
    const fetch = anthropicFetch(gate, { fetch: async () => Response.json({}) });
    expect((await fetch(...sent(path, bytes))).status).toBe(status);
  });
});

test('options of a drop-in that are none are refused', () => {
  const { gate } = gateOf();
  for (const dropIn of [openaiFetch, anthropicFetch, anthropicMiddleware])
    expect(() => dropIn(gate, null as never)).toThrow(expect.objectContaining({ code: 'DROVER_TOPOLOGY' }) as Error);
});
