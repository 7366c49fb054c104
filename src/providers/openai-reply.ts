/** How a chat completion is read, plain or streamed. What is no chat completion is said to be none. */
import { z } from 'zod';
import { ProviderReplyError } from './errors.ts';
import { isAsyncIterable, readArguments } from './reply.ts';
import type { ChatReply, ToolCall } from './reply.ts';
import { openaiUsage } from './usage.ts';

export type { ChatReply } from './reply.ts';

const text = z.string().nullish();
const toolCall = z.object({
  index: z.number().optional(),
  id: text,
  function: z.object({ name: text, arguments: text }).nullish(),
  custom: z.object({ name: text, input: text }).nullish(),
});
const spoken = z.object({ content: text, refusal: text, tool_calls: z.array(toolCall).nullish() });
// A reply with an odd usage is still a reply.
const usage = z
  .unknown()
  .optional()
  .transform((said) => openaiUsage(said) ?? null);
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
  const tools = new ToolCalls();
  for (const [index, call] of (message.tool_calls ?? []).entries()) tools.add(call, index);
  return {
    text: message.content ?? message.refusal ?? '',
    toolCalls: tools.whole(),
    finishReason: finish_reason ?? 'stop',
    usage: used,
    model: read.data.model ?? model,
    id,
  };
}

/**
 * Puts the chunks of a stream together; `seen` is told of each.
 *
 * @throws ProviderReplyError also when it ends before the model was done: clients end quietly when
 * a connection is closed in order, and a half answer must not pass for a whole one.
 */
export async function readStream(reply: unknown, model: string, seen: (chunk: unknown) => void = () => {}): Promise<ChatReply> {
  if (!isAsyncIterable(reply)) throw new ProviderReplyError({ model, expected: 'a stream of chat completion chunks', came: reply });
  let said = '';
  let refused = '';
  let finishReason: string | undefined;
  let last: { readonly id: string; readonly model: string } = { id: '', model };
  let used: ChatReply['usage'] = null;
  const tools = new ToolCalls();
  for await (const item of reply) {
    const read = chunk.safeParse(item);
    if (!read.success) throw new ProviderReplyError({ model, expected: 'a chat completion chunk', came: item });
    seen(item);
    const { data } = read;
    last = { id: data.id === '' ? last.id : data.id, model: data.model ?? last.model };
    used = data.usage ?? used;
    const choice = data.choices.find(({ index = 0 }) => index === 0);
    said += choice?.delta?.content ?? '';
    refused += choice?.delta?.refusal ?? '';
    for (const [index, call] of (choice?.delta?.tool_calls ?? []).entries()) tools.add(call, index);
    finishReason = choice?.finish_reason ?? finishReason;
  }
  if (finishReason === undefined) {
    const came = `${said.length} characters and then its end`;
    throw new ProviderReplyError({ model, expected: 'a stream up to its finish_reason', came });
  }
  return { text: said === '' ? refused : said, toolCalls: tools.whole(), finishReason, usage: used, ...last };
}

/** Tool calls, whole or in pieces that say which one they belong to. */
class ToolCalls {
  readonly #calls = new Map<number, { id: string; name: string; arguments: string; isText: boolean }>();

  add({ index, id, function: called, custom }: z.infer<typeof toolCall>, at: number): void {
    const place = index ?? at;
    const call = this.#calls.get(place) ?? { id: '', name: '', arguments: '', isText: false };
    call.id = id ?? call.id;
    call.name += called?.name ?? custom?.name ?? '';
    call.arguments += called?.arguments ?? custom?.input ?? '';
    // A custom tool's input is a text, whatever it looks like.
    if (custom !== null && custom !== undefined) call.isText = true;
    this.#calls.set(place, call);
  }

  whole(): readonly ToolCall[] {
    return [...this.#calls.values()].map(({ id, name, arguments: said, isText }) => ({
      id,
      name,
      input: isText ? said : readArguments(said),
    }));
  }
}
