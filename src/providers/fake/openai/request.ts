/** A request of OpenAI's chat completions: what is checked, and what is counted. */
import { z } from 'zod';
import { tokensOfCharacters } from '../usage.ts';
import { invalidRequest } from '../wire.ts';
import type { Question, WireError } from '../wire.ts';

const textPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const chatMessage = z.looseObject({
  role: z.string().min(1),
  content: z.union([z.string(), z.array(textPart)]).nullish(),
});

const chatRequest = z.looseObject({
  model: z.string().min(1),
  messages: z.array(chatMessage).min(1),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
});

/** A request body that passed the checks. Fields unknown here are kept and have no effect. */
export type ChatRequest = z.infer<typeof chatRequest>;

/** Checks a body. `models` null: any model. */
export function parseChatRequest(
  text: string,
  models: readonly string[] | null,
): { readonly question: Question } | { readonly error: WireError } {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { error: invalidRequest('The body of your request is not valid JSON.') };
  }
  const parsed = chatRequest.safeParse(body);
  if (!parsed.success) return { error: describeIssue(body, parsed.error) };
  const request = parsed.data;
  if (models !== null && !models.includes(request.model)) {
    return { error: invalidRequest(`The model '${request.model}' does not exist.`, 'model', 'model_not_found') };
  }
  return {
    question: {
      request,
      promptTokens: countPromptTokens(request),
      maxTokens: request.max_completion_tokens ?? request.max_tokens ?? null,
      streamed: request.stream === true,
      includeUsage: request.stream_options?.include_usage === true,
    },
  };
}

/** Characters of all texts / 4, rounded up. */
export function countPromptTokens({ messages }: ChatRequest): number {
  let characters = 0;
  for (const { content } of messages) {
    if (typeof content === 'string') characters += content.length;
    else for (const part of content ?? []) characters += part.text?.length ?? 0;
  }
  return tokensOfCharacters(characters);
}

function describeIssue(body: unknown, error: z.ZodError): WireError {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const param = path.reduce<string>(
    (name, key) => (typeof key === 'number' ? `${name}[${key}]` : name === '' ? String(key) : `${name}.${String(key)}`),
    '',
  );
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], body);
  if (value === undefined) {
    return invalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');
  }
  const reason = issue?.message ?? 'invalid value';
  return invalidRequest(`Invalid value for '${param || 'body'}': ${reason}`, param || null, 'invalid_value');
}
