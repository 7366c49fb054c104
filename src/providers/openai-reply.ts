/** How a chat completion is read, plain or streamed. What is no chat completion is said to be none. */
import { z } from 'zod';
import type { Usage } from '../topology/dependency.ts';
import { ProviderReplyError } from './errors.ts';

/** What a model answered. */
export interface ChatReply {
  /** The text; what it said to refuse, where it refused; empty where it said nothing. */
  readonly text: string;
  /** `stop`: it was done. `length`: it was cut at its maximum of tokens. Providers have others. */
  readonly finishReason: string;
  /** Null when the provider did not say; the estimate then stays charged. */
  readonly usage: Usage | null;
  /** The model that answered, as the provider names it. */
  readonly model: string;
  /** The provider's id of this completion. */
  readonly id: string;
}

const count = z.number().min(0);
const text = z.string().nullish();
const spoken = z.object({ content: text, refusal: text });
const usage = z
  .object({ prompt_tokens: count, completion_tokens: count })
  .transform(({ prompt_tokens, completion_tokens }): Usage => ({ inputTokens: prompt_tokens, outputTokens: completion_tokens }))
  .nullish()
  // A reply with an odd usage is still a reply.
  .catch(null);
const head = { id: z.string().catch(''), model: z.string().nullish(), usage };

const completion = z.object({ ...head, choices: z.array(z.object({ message: spoken, finish_reason: text })).min(1) });

const chunk = z.object({
  ...head,
  choices: z.array(z.object({ index: z.number().optional(), delta: spoken.nullish(), finish_reason: text })),
});

/** Reads a plain reply. @throws ProviderReplyError */
export function readCompletion(reply: unknown, model: string): ChatReply {
  const read = completion.safeParse(reply);
  if (!read.success) throw new ProviderReplyError({ model, expected: 'a chat completion with at least one choice', came: reply });
  const { id, usage: used, choices } = read.data;
  const { message, finish_reason } = choices[0]!;
  return {
    text: message.content ?? message.refusal ?? '',
    finishReason: finish_reason ?? 'stop',
    usage: used ?? null,
    model: read.data.model ?? model,
    id,
  };
}

/**
 * Puts the chunks of a stream together.
 *
 * @throws ProviderReplyError also when it ends before the model was done: clients end quietly when
 * a connection is closed in order, and a half answer must not pass for a whole one.
 */
export async function readStream(reply: unknown, model: string): Promise<ChatReply> {
  if (!isAsyncIterable(reply)) throw new ProviderReplyError({ model, expected: 'a stream of chat completion chunks', came: reply });
  let said = '';
  let refused = '';
  let finishReason: string | undefined;
  let last: { readonly id: string; readonly model: string } = { id: '', model };
  let used: Usage | null = null;
  for await (const item of reply) {
    const read = chunk.safeParse(item);
    if (!read.success) throw new ProviderReplyError({ model, expected: 'a chat completion chunk', came: item });
    const { data } = read;
    last = { id: data.id === '' ? last.id : data.id, model: data.model ?? last.model };
    used = data.usage ?? used;
    const choice = data.choices.find(({ index = 0 }) => index === 0);
    said += choice?.delta?.content ?? '';
    refused += choice?.delta?.refusal ?? '';
    finishReason = choice?.finish_reason ?? finishReason;
  }
  if (finishReason === undefined) {
    const came = `${said.length} characters and then its end`;
    throw new ProviderReplyError({ model, expected: 'a stream up to its finish_reason', came });
  }
  return { text: said === '' ? refused : said, finishReason, usage: used, ...last };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
