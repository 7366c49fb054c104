import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { scorers } from 'drover';
import type { AdmissionEvent } from 'drover';
import { openaiFetch } from 'drover/openai';
import { clientBehind, EVERY_CLIENT, gateOf } from './drop-in-harness.ts';
import { startProvider } from './fake-harness.ts';

const quality = { below: 0.5, outOf: 3 };

function misread(events: readonly AdmissionEvent[]) {
  return events.filter(({ at }) => at === 'misread');
}

test.each(EVERY_CLIENT)('empty answers open the breaker: $client, stream: $stream', async ({ client, stream }) => {
  const provider = await startProvider({ faults: { emptyText: 1 } });
  const { gate, events } = gateOf({ breaker: { quality } });
  const { ask } = clientBehind(client, stream, provider, gate);
  for (let call = 0; call < 3; call += 1) await ask();
  expect(await gate.look()).toMatchObject({ breaker: { at: 'open', why: 'quality' } });
  expect(misread(events)).toEqual([]);
});

test.each(EVERY_CLIENT)('a scorer sees what was said: $client, stream: $stream', async ({ client, stream }) => {
  const provider = await startProvider({ answer: () => 'two words' });
  const seen: unknown[] = [];
  const scorer = (reply: unknown) => void seen.push(reply);
  const { gate } = gateOf({ breaker: { quality: { ...quality, scorers: [scorer] } } });
  await clientBehind(client, stream, provider, gate).ask();
  expect(seen).toMatchObject([{ text: 'two words', toolCalls: [], finishReason: expect.stringMatching(/stop|end_turn/) as string }]);
});

const page = () => new Response('<html>ready</html>', { headers: { 'content-type': 'text/html' } });
const reply = (body: object) => () => Response.json(body);
const events =
  (...data: object[]) =>
  () =>
    new Response(data.map((each) => `data: ${JSON.stringify(each)}\n\n`).join(''), { headers: { 'content-type': 'text/event-stream' } });
const tool = { type: 'function_call', name: 'look', arguments: '{}' };
const said = (text: string) => ({ type: 'message', content: [{ type: 'output_text', text }] });
const word = { type: 'response.output_text.delta', delta: 'word' };

test.each([
  ['a web page', page, 0],
  ['a completion without choices', reply({ object: 'chat.completion', choices: [] }), 0],
  ['a completion with a text', reply({ choices: [{ text: 'word', finish_reason: 'stop' }] }), 1],
  ['a refusal', reply({ choices: [{ message: { content: null, refusal: 'no' }, finish_reason: 'stop' }] }), 0],
  ['a tool', reply({ choices: [{ message: { content: null, tool_calls: [{ id: 'c' }] }, finish_reason: 'tool_calls' }] }), 1],
  ['a response that is cut', reply({ object: 'response', status: 'incomplete', output: [said('word')] }), 0],
  ['a response', reply({ object: 'response', status: 'completed', output: [said('word')] }), 1],
  ['a response without a word', reply({ object: 'response', status: 'completed', output: [said('')] }), 0],
  ['a response that calls', reply({ object: 'response', status: 'completed', output: [tool] }), 1],
  ['a response that is on its way', reply({ object: 'response', status: 'queued', output: [] }), undefined],
  [
    'a stream of a response',
    events(word, { type: 'response.completed', response: { object: 'response', status: 'completed', output: [] } }),
    1,
  ],
  ['an empty stream of a response', events({ type: 'response.completed', response: { object: 'response', output: [] } }), 0],
  [
    'thoughts only',
    reply({
      content: [
        { type: 'thinking', thinking: 'hm' },
        { type: 'reasoning', text: 'hm' },
      ],
      stop_reason: 'end_turn',
    }),
    0,
  ],
  ['an old completion', reply({ completion: 'word', stop_reason: 'stop_sequence' }), 1],
] as const)('what a provider answers is scored: %s', async (_, answer, score) => {
  const scores: unknown[] = [];
  const usual = scorers.leastOf(scorers.usualScorers());
  const scorer = (given: unknown, request: unknown) => void scores.push(usual(given, request));
  const { gate } = gateOf({ breaker: { quality: { ...quality, scorers: [scorer] } } });
  const answered = await openaiFetch(gate, { fetch: async () => answer() })('http://p/v1/responses', {
    method: 'POST',
    body: '{"model":"m"}',
  });
  await answered.text();
  await new Promise(setImmediate);
  expect(scores).toEqual([score]);
});

test('embeddings say nothing, and are not scored', async () => {
  const { gate, events: told } = gateOf({ breaker: { quality: { below: 0.5, outOf: 1 } } });
  const fetch = openaiFetch(gate, { fetch: async () => Response.json({ data: [] }) });
  await fetch('http://p/v1/embeddings', { method: 'POST', body: '{"model":"m","input":"word"}' });
  expect(misread(told)).toEqual([]);
  expect(await gate.look()).toMatchObject({ breaker: { at: 'closed' } });
});

test('what the official clients give back is scored in a run of a gate', async () => {
  const provider = await startProvider({ faults: { emptyText: 1 } });
  const openai = new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any' });
  const anthropic = new Anthropic({ baseURL: provider.url, apiKey: 'any' });
  const messages = [{ role: 'user' as const, content: 'hello' }];
  for (const ask of [
    () => openai.chat.completions.create({ model: 'm', messages }),
    () => anthropic.messages.create({ model: 'm', messages, max_tokens: 9 }),
  ]) {
    const { gate } = gateOf({ breaker: { quality } });
    for (let call = 0; call < 3; call += 1) await gate.run<unknown>(ask);
    expect(await gate.look()).toMatchObject({ breaker: { at: 'open', why: 'quality' } });
  }
});

test.each([
  ['a Response', async () => new Response('')],
  ['a ReadableStream', async () => new ReadableStream()],
  ['nothing', async () => {}],
] as const)('where no text can be seen that is said once: %s', async (_, work) => {
  const { gate, events: told } = gateOf({ breaker: { quality } });
  for (let call = 0; call < 3; call += 1) await gate.run<unknown>(work);
  expect(misread(told)).toMatchObject([{ field: 'quality', error: { code: 'DROVER_SCORER' } }]);
});

test('a work may tell what is to be scored', async () => {
  const { gate, events: told } = gateOf({ breaker: { quality } });
  for (let call = 0; call < 3; call += 1)
    await gate.run(async (tried) => {
      tried.report({ reply: '' });
      return new Response('');
    });
  expect(misread(told)).toEqual([]);
  expect(await gate.look()).toMatchObject({ breaker: { at: 'open', why: 'quality' } });
});

test("a result of the AI SDK's that is still to come is not touched", () => {
  const touched: string[] = [];
  const result = new Proxy({ textStream: null }, { get: (_, field) => void touched.push(String(field)) });
  expect(scorers.leastOf(scorers.usualScorers())(result, null)).toBeUndefined();
  expect(touched).toEqual([]);
});
