/** What the tests of the drop-ins share: each official client behind one, called in one way, and what a gate was told. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import type { LanguageModelV4 } from '@ai-sdk/provider';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, streamText, wrapLanguageModel } from 'ai';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import { admission } from 'drover';
import type { Admission, AdmissionEvent, AdmissionSpec, Usage } from 'drover';
import { admissionMiddleware } from 'drover/ai-sdk';
import { anthropicFetch, anthropicMiddleware } from 'drover/anthropic';
import type { FakeProvider } from 'drover/fake-provider';
import { openaiFetch } from 'drover/openai';
import type { DropInOptions } from 'drover/openai';
import type { Random } from '../../actors/kernel/random.ts';

type Middleware = NonNullable<NonNullable<ConstructorParameters<typeof Anthropic>[0]>['middleware']>[number];

/** One question to a model, through whatever client. */
export interface Question {
  readonly text?: string;
  readonly model?: string;
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
  /** The client's own. */
  readonly timeoutMs?: number;
}

export interface Asking {
  /** The text of the answer. */
  ask(question?: Question): Promise<string>;
  /** How often the client turned to its drop-in: more than once a call means that it tried again. */
  readonly attempts: number;
}

const CLIENTS = ['openai', 'anthropic', 'anthropic-fetch', 'ai-sdk-openai', 'ai-sdk-anthropic'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** Each client, plain and streamed, as a table of cases. */
export const EVERY_CLIENT = CLIENTS.flatMap((client) => [false, true].map((stream) => ({ client, stream })));

/** A client with its own retries as they are by default, behind a drop-in. */
export function clientBehind(
  client: ClientName,
  stream: boolean,
  provider: FakeProvider,
  gate: Admission,
  options: DropInOptions = {},
): Asking {
  let attempts = 0;
  const counted =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      attempts += 1;
      return call(...args);
    };
  const ask = askThrough(client, stream, provider, gate, options, counted);
  return {
    ask: (question = {}) => ask({ text: 'hello', model: 'm', maxTokens: 32, ...question }),
    get attempts() {
      return attempts;
    },
  };
}

type Whole = Question & Required<Pick<Question, 'text' | 'model' | 'maxTokens'>>;
type Counted = <A extends readonly unknown[], R>(call: (...args: A) => R) => (...args: A) => R;

function askThrough(
  client: ClientName,
  stream: boolean,
  provider: FakeProvider,
  gate: Admission,
  options: DropInOptions,
  counted: Counted,
) {
  switch (client) {
    case 'openai': {
      const fetch = counted(openaiFetch(gate, options));
      return askOpenai(new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', logLevel: 'off', fetch }), stream);
    }
    case 'anthropic': {
      const admitting = anthropicMiddleware(gate, options);
      const middleware = [(...args: Parameters<Middleware>) => counted(() => admitting(args[0], args[1]))()];
      return askAnthropic(new Anthropic({ baseURL: provider.url, apiKey: 'any', logLevel: 'off', middleware }), stream);
    }
    case 'anthropic-fetch': {
      const fetch = counted(anthropicFetch(gate, options));
      return askAnthropic(new Anthropic({ baseURL: provider.url, apiKey: 'any', logLevel: 'off', fetch }), stream);
    }
    case 'ai-sdk-openai':
      return askAiSdk(
        (model) => createOpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any' }).chat(model),
        stream,
        gate,
        options,
        counted,
      );
    case 'ai-sdk-anthropic':
      return askAiSdk((model) => createAnthropic({ baseURL: `${provider.url}/v1`, apiKey: 'any' })(model), stream, gate, options, counted);
  }
}

function askOpenai(openai: OpenAI, stream: boolean) {
  return async ({ text, model, maxTokens, signal, timeoutMs }: Whole): Promise<string> => {
    const body = { model, messages: [{ role: 'user', content: text }], max_tokens: maxTokens } satisfies OpenAI.ChatCompletionCreateParams;
    const how = { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) };
    if (!stream) return (await openai.chat.completions.create(body, how)).choices[0]?.message.content ?? '';
    let said = '';
    for await (const { choices, usage } of await openai.chat.completions.create({ ...body, stream: true }, how)) {
      if (usage !== undefined && usage !== null) throw new Error('the caller sees a usage that it did not ask for');
      said += choices[0]?.delta.content ?? '';
    }
    return said;
  };
}

function askAnthropic(anthropic: Anthropic, stream: boolean) {
  return async ({ text, model, maxTokens, signal, timeoutMs }: Whole): Promise<string> => {
    const body = { model, messages: [{ role: 'user', content: text }], max_tokens: maxTokens } satisfies Anthropic.MessageCreateParams;
    const how = { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) };
    if (!stream)
      return (await anthropic.messages.create(body, how)).content.map((part) => (part.type === 'text' ? part.text : '')).join('');
    let said = '';
    for await (const event of await anthropic.messages.create({ ...body, stream: true }, how))
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') said += event.delta.text;
    return said;
  };
}

function askAiSdk(modelOf: (model: string) => LanguageModelV4, stream: boolean, gate: Admission, options: DropInOptions, counted: Counted) {
  const { wrapGenerate, wrapStream, ...middleware } = admissionMiddleware(gate, options);
  const counting = { ...middleware, wrapGenerate: counted(wrapGenerate!), wrapStream: counted(wrapStream!) };
  return async ({ text, model, maxTokens, signal }: Whole): Promise<string> => {
    const asked = {
      model: wrapLanguageModel({ model: modelOf(model), middleware: counting }),
      messages: [{ role: 'user' as const, content: text }],
      maxOutputTokens: maxTokens,
      ...(signal === undefined ? {} : { abortSignal: signal }),
    };
    if (!stream) return (await generateText(asked)).text;
    let said = '';
    for await (const part of streamText({ ...asked, onError: () => {} }).stream) {
      if (part.type === 'error') throw part.error;
      if (part.type === 'abort') throw signal?.reason;
      if (part.type === 'text-delta') said += part.text;
    }
    return said;
  };
}

/** Chance that never makes anybody rest longer than he must. */
const noJitter: Random = { next: () => 0, int: () => 0, fork: () => noJitter };

/** A gate that closes with its test, and all that it was told. */
export function gateOf(spec: AdmissionSpec = {}): {
  readonly gate: Admission;
  readonly events: readonly AdmissionEvent[];
  readonly used: () => Usage;
} {
  const events: AdmissionEvent[] = [];
  const gate = admission({ random: noJitter, ...spec, onEvent: (event) => void events.push(event) });
  onTestFinished(() => gate.close({ drain: false }));
  const used = (): Usage => {
    const sum = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
    for (const event of events) {
      if (event.at !== 'called') continue;
      for (const part of Object.keys(sum) as (keyof typeof sum)[]) sum[part] += event.usage[part] ?? 0;
    }
    return sum;
  };
  return { gate, events, used };
}

/** What the provider's own log says was used. */
export function loggedUsage({ calls }: FakeProvider): Usage {
  const sum = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };
  for (const call of calls) {
    if (call.state !== 'ended') continue;
    sum.inputTokens += call.usage.inputTokens;
    sum.outputTokens += call.usage.outputTokens;
    sum.cachedInputTokens += call.usage.cachedTokens;
    // Only Anthropic's format tells what was written.
    if (call.wire === 'anthropic') sum.cacheWriteTokens += call.usage.cacheWriteTokens;
    sum.reasoningTokens += call.usage.reasoningTokens;
  }
  return sum;
}
