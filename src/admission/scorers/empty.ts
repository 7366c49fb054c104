import { callsTool, readingText, replyText } from './reply-text.ts';
import type { TextOptions } from './reply-text.ts';
import type { Scorer } from './scorer.ts';

/** Anything that can be seen: no space, no control or zero-width character, no mark that only formats. */
const VISIBLE = /[^\s\p{C}\p{Default_Ignorable_Code_Point}`*_#>~-]/u;

const LOOKED_AT = 16_384;

/**
 * 0 for a text in which there is nothing to see: spaces, invisible characters, the bare marks of
 * Markdown (an empty code block, a rule). 1 for any other. No opinion on a reply that calls a tool,
 * which need not speak.
 *
 * Limits: one visible character is enough. Looks at the first 16,384 characters.
 */
export function empty<Rep = unknown>(options: TextOptions<Rep> = {}): Scorer<Rep> {
  const { text = replyText } = options;
  return readingText(function emptyText(reply: Rep) {
    const said = text(reply);
    if (said === undefined || callsTool(reply)) return undefined;
    return VISIBLE.test(said.slice(0, LOOKED_AT)) ? 1 : 0;
  }, options);
}
