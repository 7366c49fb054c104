/**
 * Scored reply: what scorers see of an answer, whoever gave it. The formats that the official clients give
 * back are read here: chat completions and completions, responses, messages, results of the AI SDK.
 */

/** What a model has said, to be scored. */
export interface ScoredReply {
  /** All of it; empty where it said nothing. */
  readonly text: string;
  /** Empty where it calls none. */
  readonly toolCalls: readonly unknown[];
  /** As the provider says it. */
  readonly finishReason?: string;
  /** What it said to refuse. */
  readonly refusal?: string;
}

/** A result of the AI SDK's that is still to come would begin to be read by being looked at. */
export function isLegible(reply: unknown): reply is Readonly<Record<string, unknown>> {
  return isRecord(reply) && !('textStream' in reply);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Reads an answer in a provider's own format; undefined: it is none of those. Of several answers, the first. */
export function scoredReply(reply: unknown): ScoredReply | undefined {
  if (!isLegible(reply)) return undefined;
  const { choices, output, completion } = reply;
  if (Array.isArray(choices) && (choices.length > 0 || 'object' in reply)) return chosen(choices[0] ?? { text: '' });
  if (Array.isArray(output) && (reply['object'] === 'response' || output.some(isTyped))) return responded(reply, output);
  if (typeof completion === 'string' && 'stop_reason' in reply)
    return { text: completion, toolCalls: [], ...reasonOf(reply['stop_reason']) };
  if (Array.isArray(reply['content']) && !('text' in reply)) return spokenParts(reply, reply['content']);
  return undefined;
}

function isTyped(item: unknown): boolean {
  return isRecord(item) && typeof item['type'] === 'string';
}

/** A text, or a list of parts, without what the model only thought. Null is an empty text; undefined: neither. */
export function spoken(said: unknown): string | undefined {
  if (typeof said === 'string') return said;
  if (said === null) return '';
  if (!Array.isArray(said)) return undefined;
  return said.map((part: unknown) => (typeof part === 'string' ? part : textOf(part))).join('');
}

const THOUGHTS: readonly unknown[] = ['thinking', 'redacted_thinking', 'reasoning'];

function textOf(part: unknown): string {
  return isRecord(part) && typeof part['text'] === 'string' && !THOUGHTS.includes(part['type']) ? part['text'] : '';
}

/** Of a chat completion, or a completion. */
function chosen(choice: unknown): ScoredReply | undefined {
  if (!isRecord(choice)) return undefined;
  const message = isRecord(choice['message']) ? choice['message'] : choice;
  const text = spoken(message['content']) ?? spoken(message['text']);
  const { tool_calls: calls, function_call: call, refusal } = message;
  const toolCalls: readonly unknown[] = Array.isArray(calls) ? calls : isRecord(call) ? [call] : [];
  if (text === undefined && toolCalls.length === 0 && typeof refusal !== 'string') return undefined;
  return { text: text ?? '', toolCalls, ...reasonOf(choice['finish_reason']), ...refusalOf(refusal) };
}

const ON_ITS_WAY: readonly unknown[] = ['queued', 'in_progress', 'cancelled'];

/** Of a response. One that is made in the background has nothing to say yet. */
function responded({ status, incomplete_details: details }: Readonly<Record<string, unknown>>, output: unknown[]): ScoredReply | undefined {
  if (ON_ITS_WAY.includes(status)) return undefined;
  const items = output.filter(isRecord);
  const parts = items.flatMap(({ type, content }) => (type === 'message' && Array.isArray(content) ? content.filter(isRecord) : []));
  const refused = parts.find(({ refusal }) => typeof refusal === 'string')?.['refusal'];
  const cut = isRecord(details) ? details['reason'] : undefined;
  return {
    text: spoken(parts)!,
    // Searching, drawing and the like need no word either.
    toolCalls: items.filter(({ type }) => type !== 'message' && type !== 'reasoning'),
    ...reasonOf(cut ?? status),
    ...refusalOf(refused),
  };
}

const CALLS: readonly unknown[] = ['tool_use', 'server_tool_use', 'mcp_tool_use', 'tool-call'];

/** Of a message of Anthropic's, or what a model of the AI SDK gives back. */
function spokenParts(reply: Readonly<Record<string, unknown>>, content: unknown[]): ScoredReply {
  const { stop_reason: stopped, finishReason: finished } = reply;
  return {
    text: spoken(content)!,
    toolCalls: content.filter((part) => isRecord(part) && CALLS.includes(part['type'])),
    ...reasonOf(stopped ?? (isRecord(finished) ? finished['unified'] : finished)),
  };
}

function reasonOf(reason: unknown): { readonly finishReason?: string } {
  return typeof reason === 'string' && reason !== '' ? { finishReason: reason } : {};
}

function refusalOf(refusal: unknown): { readonly refusal?: string } {
  return typeof refusal === 'string' && refusal !== '' ? { refusal } : {};
}
