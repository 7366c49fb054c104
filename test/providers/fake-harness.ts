/** What the tests of the fake provider share: a client that does not retry, and requests in a hurry. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import { startFakeProvider } from '../../src/providers/fake/index.ts';
import type { FakeProvider, FakeProviderOptions } from '../../src/providers/fake/index.ts';

/** A provider that closes with its test. */
export async function startProvider(options: FakeProviderOptions = {}): Promise<FakeProvider> {
  const provider = await startFakeProvider(options);
  onTestFinished(() => provider.close());
  return provider;
}

/** The official client, without its retries. */
export function clientOf(provider: FakeProvider): OpenAI {
  return new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'any', maxRetries: 0, logLevel: 'off' });
}

/** Anthropic's official client, without its retries. */
export function anthropicOf(provider: FakeProvider): Anthropic {
  return new Anthropic({ baseURL: provider.url, apiKey: 'any', maxRetries: 0, logLevel: 'off' });
}

/** A prompt of 5 characters: 2 tokens; with `max_tokens` 8 it is estimated at 10. */
export const hello: OpenAI.ChatCompletionCreateParamsNonStreaming = {
  model: 'm',
  messages: [{ role: 'user', content: 'hello' }],
  max_tokens: 8,
};

/** One call without a client, to see status, headers and body as they come. */
export async function post(provider: FakeProvider, body: unknown = hello, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${provider.url}/v1/chat/completions`, { method: 'POST', headers, body: text });
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

/** The same prompt for Anthropic: 2 tokens, estimated at 10 with its maximum. */
export const helloAnthropic: Anthropic.MessageCreateParamsNonStreaming = {
  model: 'm',
  messages: [{ role: 'user', content: 'hello' }],
  max_tokens: 8,
};

/** The same for Anthropic's route; the body as text, for it may be a stream. */
export async function postMessages(provider: FakeProvider, body: unknown = helloAnthropic) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${provider.url}/v1/messages`, { method: 'POST', body: text });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** What `promise` rejects with. */
// oxlint-disable-next-line typescript/no-explicit-any -- whatever was thrown
export async function failureOf(promise: PromiseLike<unknown>): Promise<any> {
  return promise.then(
    () => {
      throw new Error('expected a rejection');
    },
    (error: unknown) => error,
  );
}

/** A clock that stands still until the test moves it. */
export function standingClock() {
  let nowMs = 1_000_000;
  return { nowMs: () => nowMs, advance: (ms: number) => void (nowMs += ms) };
}
