/** What a reply says, found without knowing whose reply it is. */
import { isLegible, isRecord, scoredReply, spoken } from './scored-reply.ts';

export interface TextOptions<Rep> {
  /** The text of a reply; undefined: it has none, so nothing is said of it. Default: `replyText`. */
  readonly text?: (reply: Rep) => string | undefined;
}

/**
 * The text of a reply: the reply itself, or its `text`, or its `content`, which may be a list of parts
 * with a `text` each (thoughts apart); or that of the first of its `choices`, or of the messages in its
 * `output`, as OpenAI's client gives them. Null is an empty text. undefined: none of these, so nobody can
 * say: a `Response`, a stream.
 */
export function replyText(reply: unknown): string | undefined {
  if (typeof reply === 'string') return reply;
  if (!isLegible(reply)) return undefined;
  return spoken(reply['text']) ?? spoken(reply['content']) ?? scoredReply(reply)?.text;
}

/** Why the model stopped, in lower case with underscores (`end_turn`, `tool_calls`); undefined: the reply does not say. */
export function finishReason(reply: unknown): string | undefined {
  if (!isLegible(reply)) return undefined;
  for (const name of ['finishReason', 'finish_reason', 'stopReason', 'stop_reason']) {
    const given = reply[name];
    const reason = isRecord(given) ? given['unified'] : given;
    if (typeof reason === 'string' && reason !== '') return underscored(reason);
  }
  const reason = scoredReply(reply)?.finishReason;
  return reason === undefined ? undefined : underscored(reason);
}

function underscored(reason: string): string {
  return reason.toLowerCase().replaceAll('-', '_');
}

const TOOL_REASONS = new Set(['tool_calls', 'tool_use', 'function_call']);

/** Whether it calls a tool: then it need not say anything. */
export function callsTool(reply: unknown): boolean {
  if (!isLegible(reply)) return false;
  if (TOOL_REASONS.has(finishReason(reply) ?? '')) return true;
  if (['toolCalls', 'tool_calls'].some((name) => Array.isArray(reply[name]) && reply[name].length > 0)) return true;
  return (scoredReply(reply)?.toolCalls.length ?? 0) > 0;
}

/** Whether the model says itself that it refuses. */
export function saysRefusal(reply: unknown): boolean {
  const refusal = isLegible(reply) ? (reply['refusal'] ?? scoredReply(reply)?.refusal) : undefined;
  return typeof refusal === 'string' && refusal !== '';
}

const readers = new WeakSet<object>();

/** Notes a scorer that is given nothing but a reply to find the text in. */
export function readingText<S extends object>(scorer: S, { text }: TextOptions<never>): S {
  if (text === undefined || text === replyText) readers.add(scorer);
  return scorer;
}

/** Whether a scorer looks for the text of a reply itself, and so has nothing to say of one whose text cannot be found. */
export function readsText(scorer: object): boolean {
  return readers.has(scorer);
}
