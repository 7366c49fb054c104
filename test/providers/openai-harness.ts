/** What the tests of the OpenAI dependency share: one try of a call, and a server that answers anything. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { onTestFinished } from 'vitest';
import type { ChatReply, ChatRequest } from 'drover/openai';
import type { Dependency, PerformContext } from 'drover';

export const hello: ChatRequest = { messages: [{ role: 'user', content: 'hello' }], maxOutputTokens: 64 };

/** One try, as the runtime makes it. */
export function tryCall(
  model: Dependency<ChatRequest, ChatReply>,
  request = hello,
  call: Partial<PerformContext> = {},
): Promise<ChatReply> {
  return model.spec.perform(request, {
    signal: new AbortController().signal,
    idempotencyKey: 'task/call:model#1',
    attempt: 1,
    report: () => {},
    ...call,
  });
}

/** A client of a server that gives this answer to everything. Its retries are the client's default, two. */
export async function clientThatGets(body: string, contentType = 'application/json'): Promise<OpenAI> {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': contentType }).end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return new OpenAI({ baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, apiKey: 'any', logLevel: 'off' });
}
