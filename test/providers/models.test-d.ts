/** What users have in hand already fits where it is to go, without a cast. */
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { wrapLanguageModel } from 'ai';
import type { ModelMessage } from 'ai';
import OpenAI from 'openai';
import { expectTypeOf, test } from 'vitest';
import { admission } from 'drover';
import { admissionMiddleware, languageModel } from 'drover/ai-sdk';
import type { ModelRequest } from 'drover/ai-sdk';
import { anthropicFetch, anthropicMessages, anthropicMiddleware } from 'drover/anthropic';
import type { AnthropicMessage } from 'drover/anthropic';
import { openaiChat, openaiFetch } from 'drover/openai';
import type { ChatMessage, ChatReply } from 'drover/openai';

test('messages of the official clients are messages of the dependencies', () => {
  expectTypeOf<OpenAI.ChatCompletionMessageParam>().toExtend<ChatMessage>();
  expectTypeOf<Anthropic.MessageParam>().toExtend<AnthropicMessage>();
  expectTypeOf<ModelMessage[]>().toExtend<NonNullable<ModelRequest['messages']>>();
});

test('drop-ins fit into the clients', () => {
  const gate = admission();
  void new OpenAI({ fetch: openaiFetch(gate) });
  void new Anthropic({ fetch: anthropicFetch(gate) });
  void new Anthropic({ middleware: [anthropicMiddleware(gate)] });
  void createOpenAI({ fetch: openaiFetch(gate) });
  void createAnthropic({ fetch: anthropicFetch(gate) });
  void wrapLanguageModel({ model: createOpenAI()('m'), middleware: admissionMiddleware(gate) });
  expectTypeOf(openaiFetch(gate)).toExtend<typeof fetch>();
});

test('all dependencies reply in one shape', () => {
  const replies = [
    openaiChat({ client: new OpenAI(), model: 'm' }),
    anthropicMessages({ client: new Anthropic(), model: 'm' }),
    languageModel({ model: createOpenAI()('m') }),
  ].map(({ spec }) => spec);
  expectTypeOf<Awaited<ReturnType<(typeof replies)[number]['perform']>>>().toEqualTypeOf<ChatReply>();
});
