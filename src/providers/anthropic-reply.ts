/** How a message of Anthropic's is read, plain or streamed. What is no message is said to be none. */
import { z } from 'zod';
import { ProviderReplyError } from './errors.ts';
import { isAsyncIterable, readArguments } from './reply.ts';
import type { ChatReply, ToolCall } from './reply.ts';
import { anthropicUsage } from './usage.ts';

const text = z.string().nullish();
const block = z.looseObject({ type: z.string(), id: text, name: text, text, input: z.unknown().optional() });

const message = z.looseObject({
  id: z.string().catch(''),
  model: text,
  content: z.array(block),
  stop_reason: text,
  usage: z.unknown().optional(),
});

/** Reads a plain reply. @throws ProviderReplyError */
export function readMessage(reply: unknown, model: string): ChatReply {
  const read = message.safeParse(reply);
  if (!read.success) throw new ProviderReplyError({ model, expected: 'a message with a list of content', came: reply });
  const { id, content, stop_reason, usage } = read.data;
  return {
    text: content.map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join(''),
    toolCalls: content.flatMap((part) => (part.type === 'tool_use' ? [toolCallOf(part, part.input)] : [])),
    finishReason: stop_reason ?? 'end_turn',
    usage: anthropicUsage(usage) ?? null,
    model: read.data.model ?? model,
    id,
  };
}

const event = z.looseObject({
  type: z.string(),
  index: z.number().optional(),
  message: z.looseObject({ id: z.string().catch(''), model: text, usage: z.unknown().optional() }).nullish(),
  content_block: block.nullish(),
  delta: z.looseObject({ type: text, text, partial_json: text, stop_reason: text }).nullish(),
  usage: z.unknown().optional(),
});

/**
 * Puts the events of a stream together; `seen` is told of each.
 *
 * @throws ProviderReplyError also when it ends before the model was done.
 */
export async function readEvents(reply: unknown, model: string, seen: (event: unknown) => void = () => {}): Promise<ChatReply> {
  if (!isAsyncIterable(reply)) throw new ProviderReplyError({ model, expected: 'a stream of events of a message', came: reply });
  let said = '';
  let finishReason: string | undefined;
  let head: { readonly id: string; readonly model: string } = { id: '', model };
  const used: unknown[] = [];
  let isCounted = false;
  const tools = new Map<number, { readonly block: z.infer<typeof block>; arguments: string }>();
  for await (const item of reply) {
    const read = event.safeParse(item);
    if (!read.success) throw new ProviderReplyError({ model, expected: 'an event of a message', came: item });
    seen(item);
    const { type, index = 0, message: begun, content_block: begins, delta, usage } = read.data;
    switch (type) {
      case 'message_start':
        head = { id: begun?.id ?? '', model: begun?.model ?? model };
        used.push(begun?.usage);
        break;
      case 'content_block_start':
        if (begins?.type === 'tool_use') tools.set(index, { block: begins, arguments: '' });
        if (begins?.type === 'text') said += begins.text ?? '';
        break;
      case 'content_block_delta': {
        if (delta?.type === 'text_delta') said += delta.text ?? '';
        const tool = tools.get(index);
        if (tool !== undefined && delta?.type === 'input_json_delta') tool.arguments += delta.partial_json ?? '';
        break;
      }
      case 'message_delta':
        finishReason = delta?.stop_reason ?? finishReason;
        if (usage !== undefined && usage !== null) {
          used.push(usage);
          isCounted = true;
        }
        break;
      default:
    }
  }
  if (finishReason === undefined) {
    const came = `${said.length} characters and then its end`;
    throw new ProviderReplyError({ model, expected: 'a stream up to its stop_reason', came });
  }
  const toolCalls = [...tools.values()].map(({ block: begun, arguments: json }) =>
    toolCallOf(begun, json === '' ? begun.input : readArguments(json)),
  );
  return { text: said, toolCalls, finishReason, usage: (isCounted ? anthropicUsage(...used) : undefined) ?? null, ...head };
}

function toolCallOf({ id, name }: z.infer<typeof block>, input: unknown): ToolCall {
  return { id: id ?? '', name: name ?? '', input: input ?? {} };
}
