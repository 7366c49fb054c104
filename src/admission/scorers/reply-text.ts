/** What a reply says, found without knowing whose reply it is. */

export interface TextOptions<Rep> {
  /** The text of a reply; undefined: it has none, so nothing is said of it. Default: `replyText`. */
  readonly text?: (reply: Rep) => string | undefined;
}

/**
 * The text of a reply: the reply itself, or its `text`, or its `content`, which may be a list of parts
 * with a `text` each. Null is an empty text. undefined: none of these, so nobody can say.
 */
export function replyText(reply: unknown): string | undefined {
  if (typeof reply === 'string') return reply;
  if (!isRecord(reply)) return undefined;
  return spoken(reply['text']) ?? spoken(reply['content']);
}

function spoken(said: unknown): string | undefined {
  if (typeof said === 'string') return said;
  if (said === null) return '';
  if (!Array.isArray(said)) return undefined;
  return said
    .map((part: unknown) => (typeof part === 'string' ? part : isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
}

/** Why the model stopped, in lower case with underscores (`end_turn`, `tool_calls`); undefined: the reply does not say. */
export function finishReason(reply: unknown): string | undefined {
  if (!isRecord(reply)) return undefined;
  for (const name of ['finishReason', 'finish_reason', 'stopReason', 'stop_reason']) {
    const given = reply[name];
    const reason = isRecord(given) ? given['unified'] : given;
    if (typeof reason === 'string' && reason !== '') return reason.toLowerCase().replaceAll('-', '_');
  }
  return undefined;
}

const TOOL_REASONS = new Set(['tool_calls', 'tool_use', 'function_call']);

/** Whether it calls a tool: then it need not say anything. */
export function callsTool(reply: unknown): boolean {
  if (!isRecord(reply)) return false;
  if (TOOL_REASONS.has(finishReason(reply) ?? '')) return true;
  return ['toolCalls', 'tool_calls'].some((name) => Array.isArray(reply[name]) && reply[name].length > 0);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
