import { readingText, replyText } from './reply-text.ts';
import type { TextOptions } from './reply-text.ts';
import type { Scorer } from './scorer.ts';

const LOOKED_AT = 16_384;
const RUN = 4;
/** More than there can be in what is looked at, with a space between two. */
const MOST_WORDS = 8_193;
const LEAST_WORDS = 40;
const LAST_WORDS = 200;

const TAIL = 2_048;
const LEAST_LOOP = 400;
const LEAST_TURNS = 8;

/**
 * Near 0 for a text that is caught in a loop, 1 for one that is not. Looks at the share of its runs of
 * four words that were there before:
 *
 *   - over all of it: up to 0.3 is fine, 0.75 is 0, straight between. A text that says itself twice
 *     has 0.5, three times 0.67;
 *   - over its last 200 words, where loops are: up to 0.6 is fine, 0.9 is 0;
 *
 * and, words or not, 0 when its last 400 characters or more are the same thing eight times or oftener.
 * No opinion on what is shorter than 40 words and than 400 characters.
 *
 * Limits: what is meant to repeat itself (a table of few words, a refrain, test data) scores low too:
 * leave it out for such replies. Words are what stands between spaces, whatever their case. Looks at
 * the last 16,384 characters, and at 2,048 characters for what repeats without words.
 */
export function repeated<Rep = unknown>(options: TextOptions<Rep> = {}): Scorer<Rep> {
  const { text = replyText } = options;
  return readingText(function repeatedText(reply: Rep) {
    const said = text(reply);
    return said === undefined ? undefined : variety(said.slice(-LOOKED_AT).trim());
  }, options);
}

function variety(text: string): number | undefined {
  if (endsInLoop(text.slice(-TAIL))) return 0;
  const words = numbered(text.toLowerCase().split(/\s+/));
  if (words.length < LEAST_WORDS) return text.length < LEAST_LOOP ? undefined : 1;
  const all = falling(repeatedShare(words), 0.3, 0.75);
  return words.length <= LAST_WORDS ? all : Math.min(all, falling(repeatedShare(words.slice(-LAST_WORDS)), 0.6, 0.9));
}

/** 1 up to `fine`, 0 from `bad` on. */
function falling(share: number, fine: number, bad: number): number {
  return Math.min(1, Math.max(0, (bad - share) / (bad - fine)));
}

/** Words by number, the same word by the same one. */
function numbered(words: readonly string[]): number[] {
  const numbers = new Map<string, number>();
  return words.map((word) => {
    const known = numbers.get(word);
    if (known !== undefined) return known;
    numbers.set(word, numbers.size);
    return numbers.size - 1;
  });
}

/** Of the runs of four, those that were there before. A run is one whole number below 2 ** 53. */
function repeatedShare(words: readonly number[]): number {
  const seen = new Set<number>();
  const runs = words.length - RUN + 1;
  for (let at = 0; at < runs; at += 1) {
    let run = 0;
    for (let next = at; next < at + RUN; next += 1) run = run * MOST_WORDS + words[next]!;
    seen.add(run);
  }
  return 1 - seen.size / runs;
}

/**
 * Whether a stretch up to the end repeats one period. Read backwards, the prefix function gives the
 * shortest period of every such stretch in one pass.
 * @see Knuth, Morris & Pratt, "Fast pattern matching in strings", SIAM J. Comput. 1977
 */
function endsInLoop(text: string): boolean {
  const length = text.length;
  const border = new Int32Array(length);
  for (let at = 1; at < length; at += 1) {
    const char = text.charCodeAt(length - 1 - at);
    let matched = border[at - 1]!;
    while (matched > 0 && text.charCodeAt(length - 1 - matched) !== char) matched = border[matched - 1]!;
    if (text.charCodeAt(length - 1 - matched) === char) matched += 1;
    border[at] = matched;
    const stretch = at + 1;
    if (stretch >= LEAST_LOOP && (stretch - matched) * LEAST_TURNS <= stretch) return true;
  }
  return false;
}
