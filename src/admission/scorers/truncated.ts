import { finishReason, readingText, replyText } from './reply-text.ts';
import type { TextOptions } from './reply-text.ts';
import type { Scorer } from './scorer.ts';

const CUT = new Set(['length', 'max_tokens', 'max_output_tokens', 'model_length', 'model_context_window_exceeded', 'incomplete']);
const DONE = new Set([
  'stop',
  'end_turn',
  'stop_sequence',
  'eos',
  'eos_token',
  'complete',
  'completed',
  'tool_calls',
  'tool_use',
  'function_call',
]);

const LOOKED_AT = 32_768;
const LEAST_PROSE = 200;
const SHORT_LINE = 40;
const CUT_SENTENCE = 0.25;

/**
 * 0 for a reply that was cut. When it says why it ended (`finishReason`, `stop_reason` and the like),
 * that alone decides. When it does not, or with a reason that is not known, the text is looked at:
 *
 *   - 0 for JSON whose brackets are never closed, and for a code block that is never closed;
 *   - 0.25 for prose that stops within a sentence: at least 200 characters with two sentences in
 *     them, and at its end a letter, a digit or a comma;
 *   - 1 otherwise; no opinion on an empty text.
 *
 * Limits: a reply cut exactly between two sentences, or within a list, a table, or a last line that is
 * short enough for a signature or stands below a rule, is not noticed. Sentences are those of languages that end them with
 * . ! ? or their full-width forms. Looks at 32,768 characters: the first for brackets (of longer JSON
 * it looks at the last character instead), the last for prose; code blocks of longer texts are not counted.
 */
export function truncated<Rep = unknown>(options: TextOptions<Rep> = {}): Scorer<Rep> {
  const { text = replyText } = options;
  return readingText(function truncatedText(reply: Rep) {
    const reason = finishReason(reply);
    if (reason !== undefined && CUT.has(reason)) return 0;
    if (reason !== undefined && DONE.has(reason)) return 1;
    const said = text(reply);
    return said === undefined ? undefined : completeness(said);
  }, options);
}

function completeness(text: string): number | undefined {
  const end = text.slice(-LOOKED_AT).trimEnd();
  if (end === '') return undefined;
  if (isCutJson(text, end) || hasOpenBlock(text)) return 0;
  return stopsInSentence(end) ? CUT_SENTENCE : 1;
}

/** Prose may begin with a bracket too: `[1] says`, `[0, 1) is`, `{name} stands for`. */
const JSON_START = /^\s*(?:\{\s*["}]|\[\s*["{[\]]|[{[]\s*$)/;

function isCutJson(text: string, end: string): boolean {
  if (!JSON_START.test(text.slice(0, 256))) return false;
  let depth = 0;
  let quoted = false;
  const until = Math.min(text.length, LOOKED_AT);
  for (let at = 0; at < until; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char === '\\') at += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') {
      depth -= 1;
      // Whatever follows, the JSON is whole.
      if (depth === 0) return false;
    }
  }
  return text.length <= LOOKED_AT || !/[}\]]$/.test(end);
}

function hasOpenBlock(text: string): boolean {
  if (text.length > LOOKED_AT) return false;
  return (text.match(/^ {0,3}```/gm)?.length ?? 0) % 2 === 1;
}

const SENTENCE_END = /[.!?。！？]["'”’)\]*_]*(?=\s|$)/g;
const IN_SENTENCE = /[\p{L}\p{N},]$/u;
/** A mail's signature, or a note below a rule. */
const AFTER_RULE = /\n-{2,} *\n/;
const LONGEST_SIGNATURE = 300;
const ADDRESS = /(?:https?:\/\/|www\.)\S+$|\S@\S+$/;
const STRUCTURED = /^(?:\s*(?:[-*+•|>#]|\d+[.)])|\s{4}|\t)/;

function stopsInSentence(end: string): boolean {
  if (end.length < LEAST_PROSE || !IN_SENTENCE.test(end)) return false;
  if ((end.match(SENTENCE_END)?.length ?? 0) < 2) return false;
  const lastLineAt = end.lastIndexOf('\n') + 1;
  const lastLine = end.slice(lastLineAt);
  const isSignature = (lastLineAt > 0 && lastLine.length < SHORT_LINE) || AFTER_RULE.test(end.slice(-LONGEST_SIGNATURE));
  return !isSignature && !ADDRESS.test(lastLine.slice(-2_048)) && !STRUCTURED.test(lastLine);
}
