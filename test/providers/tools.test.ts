import { jsonSchema, tool } from 'ai';
import { describe, expect, test } from 'vitest';
import { languageModel } from 'drover/ai-sdk';
import { anthropicMessages } from 'drover/anthropic';
import { openaiChat } from 'drover/openai';

const call = { signal: new AbortController().signal, idempotencyKey: 'k', attempt: 1, report: () => {} };

async function* parts(...chunks: readonly unknown[]): AsyncGenerator {
  yield* chunks;
}

describe('tools go to the provider as they are, and what the model wants of them comes back', () => {
  const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object', properties: { at: { type: 'number' } } } } }];
  const messages = [
    { role: 'user', content: [{ type: 'text', text: 'Look.' }] },
    { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }] },
    { role: 'tool', tool_call_id: 'a', content: 'nothing' },
  ] as const;
  const wanted = [
    { id: 'c1', name: 'look', input: { at: 1 } },
    { id: 'c2', name: 'say', input: 'not JSON' },
    { id: 'c3', name: 'grep', input: '42' },
  ];

  test('at OpenAI, plain', async () => {
    const sent: object[] = [];
    const tool_calls = [
      { id: 'c1', type: 'function', function: { name: 'look', arguments: '{"at":1}' } },
      { id: 'c2', type: 'function', function: { name: 'say', arguments: 'not JSON' } },
      { id: 'c3', type: 'custom', custom: { name: 'grep', input: '42' } },
    ];
    const answer = { id: 'x', model: 'm', choices: [{ message: { content: null, tool_calls }, finish_reason: 'tool_calls' }] };
    const client = { chat: { completions: { create: async (body: object) => (sent.push(body), answer) } } };
    const reply = await openaiChat({ client, model: 'm', parameters: { tools } }).spec.perform(
      { messages, parameters: { tool_choice: 'auto' } },
      call,
    );
    expect(sent).toEqual([{ model: 'm', messages, tools, tool_choice: 'auto' }]);
    expect(reply).toMatchObject({ text: '', toolCalls: wanted, finishReason: 'tool_calls', usage: null });
  });

  test('at OpenAI, streamed in pieces', async () => {
    const delta = (tool_calls: object[], finish_reason: string | null = null) => ({
      id: 'x',
      model: 'm',
      choices: [{ index: 0, delta: { tool_calls }, finish_reason }],
    });
    const chunks = parts(
      delta([{ index: 0, id: 'c1', function: { name: 'look', arguments: '{"a' } }]),
      delta([{ index: 1, id: 'c2', function: { name: 'say', arguments: 'not' } }]),
      delta([
        { index: 0, function: { arguments: 't":1}' } },
        { index: 1, function: { arguments: ' JSON' } },
      ]),
      delta([{ index: 2, id: 'c3', custom: { name: 'grep', input: '42' } }], 'tool_calls'),
    );
    const client = { chat: { completions: { create: async () => chunks } } };
    const reply = await openaiChat({ client, model: 'm', stream: true }).spec.perform({ messages }, call);
    expect(reply).toMatchObject({ toolCalls: wanted, finishReason: 'tool_calls' });
  });

  test('at Anthropic, plain', async () => {
    const sent: object[] = [];
    const content = [
      { type: 'text', text: 'I look.' },
      { type: 'tool_use', id: 'c1', name: 'look', input: { at: 1 } },
    ];
    const answer = {
      id: 'x',
      model: 'm',
      content,
      stop_reason: 'tool_use',
      usage: { input_tokens: 5, cache_read_input_tokens: 3, output_tokens: 2 },
    };
    const client = { messages: { create: async (body: object) => (sent.push(body), answer) } };
    const blocks = [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', data: 'AAAA' } }] }] as const;
    const system = [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }];
    const reply = await anthropicMessages({ client, model: 'm' }).spec.perform({ system, messages: blocks, parameters: { tools } }, call);
    expect(sent).toEqual([{ model: 'm', system, messages: blocks, tools, max_tokens: 4_096 }]);
    expect(reply).toMatchObject({
      text: 'I look.',
      toolCalls: [wanted[0]],
      finishReason: 'tool_use',
      usage: { inputTokens: 8, cachedInputTokens: 3 },
    });
  });

  test('at Anthropic, streamed in pieces', async () => {
    const events = parts(
      { type: 'message_start', message: { id: 'x', model: 'm', usage: { input_tokens: 5, output_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'c1', name: 'look', input: {} } },
      { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '{"at"' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: ':1}' } },
      { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: 'c2', name: 'now', input: {} } },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 9 } },
      { type: 'message_stop' },
    );
    const client = { messages: { create: async () => events } };
    const reply = await anthropicMessages({ client, model: 'm', stream: true }).spec.perform({ messages: [] }, call);
    expect(reply).toMatchObject({
      toolCalls: [wanted[0], { id: 'c2', name: 'now', input: {} }],
      finishReason: 'tool_use',
      usage: { inputTokens: 5, outputTokens: 9 },
    });
  });

  test('in the AI SDK, and none of them runs by itself', async () => {
    const usage = { inputTokens: { total: 5, noCache: 5, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 2, text: 2, reasoning: 0 } };
    const content = [{ type: 'tool-call' as const, toolCallId: 'c1', toolName: 'look', input: '{"at":1}' }];
    const asked: { readonly tools?: unknown }[] = [];
    const model = {
      specificationVersion: 'v4' as const,
      provider: 'test',
      modelId: 'm',
      supportedUrls: {},
      doGenerate: async (params: object) => (
        asked.push(params),
        { content, finishReason: { unified: 'tool-calls' as const, raw: 'x' }, usage, warnings: [] }
      ),
      doStream: async () => {
        throw new Error('not streamed');
      },
    };
    const look = tool({
      description: 'Looks.',
      inputSchema: jsonSchema<{ at: number }>({ type: 'object', properties: { at: { type: 'number' } } }),
    });
    const { spec } = languageModel({ model, parameters: { tools: { look } } });
    const reply = await spec.perform({ prompt: 'Look.' }, call);
    expect(asked).toMatchObject([{ tools: [{ name: 'look', description: 'Looks.' }] }]);
    expect(reply).toMatchObject({ toolCalls: [wanted[0]], finishReason: 'tool-calls', usage: { inputTokens: 5, outputTokens: 2 } });
  });
});

test('the description of tools counts for the estimate', () => {
  const client = { chat: { completions: { create: async () => ({}) } } };
  const tools = [{ type: 'function', function: { name: 'x'.repeat(400) } }];
  const { spec } = openaiChat({ client, model: 'm', parameters: { tools } });
  const { input } = spec.estimate!({ messages: [], maxOutputTokens: 1 }) as { readonly input: number };
  expect(input).toBeGreaterThan(100);
});
