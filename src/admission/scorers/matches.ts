import type { StandardSchemaV1 } from '@standard-schema/spec';
import { callsTool, readingText, replyText } from './reply-text.ts';
import type { TextOptions } from './reply-text.ts';
import { ScorerError } from './scorer-error.ts';
import type { Scorer } from './scorer.ts';

const LONGEST = 1_000_000;
const MOST_BLOCKS = 8;
const FENCE = '```';

/**
 * 1 for a text that is JSON and matches a schema (zod, valibot, arktype: any Standard Schema), whole
 * or in a code block between other words; 0 for any other. Of several blocks one has to match. No
 * opinion on a reply that calls a tool.
 *
 * Limits: JSON between other words and without a code block is not looked for. Only the first 8 code
 * blocks are tried, and only a schema that validates at once: one that gives a promise is a fault of
 * the scorer (`ScorerError`). No opinion on more than 1,000,000 characters.
 */
export function matches<Rep = unknown>(schema: StandardSchemaV1, options: TextOptions<Rep> = {}): Scorer<Rep> {
  const { text = replyText } = options;
  return readingText(function matchesSchema(reply: Rep) {
    const said = text(reply);
    if (said === undefined || said.length > LONGEST || callsTool(reply)) return undefined;
    if (isValid(schema, said)) return 1;
    return blocksOf(said).some((block) => isValid(schema, block)) ? 1 : 0;
  }, options);
}

function isValid(schema: StandardSchemaV1, text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  const result = schema['~standard'].validate(value);
  if (!('then' in result)) return result.issues === undefined;
  // Nobody waits for it: its rejection must not end the process.
  Promise.resolve(result).catch(() => {});
  throw new ScorerError({ scorer: 'matches', problem: 'its schema validates asynchronously; give one that does not' });
}

/** What stands between pairs of fences, without the language. */
function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let at = text.indexOf(FENCE);
  while (at >= 0 && blocks.length < MOST_BLOCKS) {
    const line = text.indexOf('\n', at);
    const end = text.indexOf(FENCE, at + FENCE.length);
    if (end < 0) break;
    // A block may stand within one line, and then has no language.
    blocks.push(line >= 0 && line < end ? text.slice(line + 1, end) : text.slice(at + FENCE.length, end));
    at = text.indexOf(FENCE, end + FENCE.length);
  }
  return blocks;
}
