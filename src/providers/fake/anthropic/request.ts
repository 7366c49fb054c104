/** A request of Anthropic's messages: what is checked, and the same question in OpenAI's form. */
import { z } from 'zod';
import { countPromptTokens } from '../openai/request.ts';
import type { ChatRequest } from '../openai/request.ts';
import { invalidRequest } from '../wire.ts';
import type { Question, WireError } from '../wire.ts';

const textBlock = z.looseObject({ type: z.literal('text'), text: z.string() });

/** Any other block has no text of its own; that of a tool's result lies in its content. */
const otherBlock = z.looseObject({
  type: z.string().refine((type) => type !== 'text', 'a block of text needs a text'),
  content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).optional(),
});

const message = z.looseObject({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.union([z.string(), z.array(z.union([textBlock, otherBlock]))]),
});

const messagesRequest = z.looseObject({
  model: z.string().min(1),
  max_tokens: z.int().positive(),
  messages: z.array(message).min(1),
  system: z.union([z.string(), z.array(textBlock)]).optional(),
  stream: z.boolean().optional(),
});

type MessagesRequest = z.infer<typeof messagesRequest>;
type Content = MessagesRequest['messages'][number]['content'];

/** Checks a body. `models` null: any model. */
export function parseMessagesRequest(
  text: string,
  models: readonly string[] | null,
): { readonly question: Question } | { readonly error: WireError } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { error: invalidRequest('The request body is not valid JSON.') };
  }
  const parsed = messagesRequest.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = issue?.path.join('.') ?? '';
    return { error: invalidRequest(`${place === '' ? 'body' : place}: ${issue?.message ?? 'invalid value'}`) };
  }
  const { model, max_tokens, stream = false } = parsed.data;
  if (models !== null && !models.includes(model)) return { error: invalidRequest(`model: ${model}`, null, null, 404) };
  const request = inOpenaiForm(parsed.data);
  // A stream of Anthropic's always tells its usage.
  const question = { request, promptTokens: countPromptTokens(request), maxTokens: max_tokens, streamed: stream, includeUsage: true };
  return { question };
}

function inOpenaiForm(request: MessagesRequest): ChatRequest {
  const { system, messages, ...others } = request;
  const asked = messages.map(({ role, content }) => ({ role, content: textsOf(content) }));
  const instructions = system === undefined ? [] : [{ role: 'system', content: textsOf(system) }];
  return { ...others, messages: [...instructions, ...asked] };
}

function textsOf(content: Content): string | { type: 'text'; text: string }[] {
  if (typeof content === 'string') return content;
  return content.flatMap((block) => {
    if (block.type === 'text' && typeof block['text'] === 'string') return [{ type: 'text' as const, text: block['text'] }];
    const within = (block as z.infer<typeof otherBlock>).content ?? [];
    const texts = typeof within === 'string' ? [within] : within.map((part) => part['text']).filter((part) => typeof part === 'string');
    return texts.map((part) => ({ type: 'text' as const, text: part }));
  });
}
