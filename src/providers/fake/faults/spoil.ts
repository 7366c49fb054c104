/** What faults put in place of what should be there: texts and headers. */
import type { Random } from '../../../../actors/kernel/random.ts';
import type { Completion } from '../wire.ts';
import type { CallFault, RefusalFault } from './faults.ts';

const A_YEAR_IN_SECONDS = 31_536_000;
const LONG_AGO = 'Wed, 21 Oct 2015 07:28:00 GMT';
const REPEATED_WORDS = 'and so it goes on ';
const REFUSALS = [
  "I'm sorry, but I can't help with that.",
  'I cannot assist with that request.',
  "As an AI language model, I'm not able to provide this.",
] as const;

/** A page such as gateways show, with the status 200. */
export const HTML_PAGE = '<!doctype html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n';

/** Tokens of `repeated` for a request that names no maximum. */
const REPEATED_TOKENS = 256;
const CHARACTERS_PER_TOKEN = 4;

/** The text that a fault answers with, null where it leaves the text alone. */
export function spoiledText(fault: CallFault | null, maxTokens: number | null, random: Random): string | null {
  switch (fault) {
    case 'garbage':
      return garbageText(random);
    case 'emptyChoices':
    case 'emptyText':
      return '';
    case 'refusal':
      return REFUSALS[random.int(REFUSALS.length)]!;
    case 'repeated': {
      // One character more than fits, so that a maximum cuts it as it would cut one without an end.
      const characters = (maxTokens ?? REPEATED_TOKENS) * CHARACTERS_PER_TOKEN;
      return REPEATED_WORDS.repeat(Math.ceil(characters / REPEATED_WORDS.length) + 1).slice(0, characters + (maxTokens === null ? 0 : 1));
    }
    default:
      return null;
  }
}

/** The answer as its fault has it. */
export function spoiledCompletion(fault: CallFault | null, completion: Completion): Completion {
  switch (fault) {
    case 'emptyChoices':
      return { ...completion, pieces: null };
    case 'missingUsage':
      return { ...completion, tellsUsage: false };
    case 'refusal':
      return { ...completion, finishReason: 'refusal' };
    default:
      return completion;
  }
}

/** What takes the place of the rate-limit headers. */
export function spoiledRateHeaders(fault: CallFault | null, names: readonly string[]): Record<string, string> {
  if (fault !== 'limitHeadersText' && fault !== 'limitHeadersNegative') return {};
  return Object.fromEntries(names.map((name) => [name, fault === 'limitHeadersText' ? 'abc' : '-1']));
}

/** `retry-after` of a refusal; null: the true one. */
export function spoiledRetryAfter(fault: RefusalFault): string | null {
  switch (fault) {
    case 'rate429':
      return null;
    case 'retryAfterYear':
      return String(A_YEAR_IN_SECONDS);
    case 'retryAfterPast':
      return LONG_AGO;
    case 'retryAfterNegative':
      return '-5';
    case 'retryAfterText':
      return 'soon';
  }
}

/** Text that no sensible reader of answers accepts: neither JSON nor prose. */
function garbageText(random: Random): string {
  const alphabet = '}{][#~^|\\<>;%$@&*x0Zq\u0007\ufffd';
  const length = 24 + random.int(72);
  return Array.from({ length }, () => alphabet.charAt(random.int(alphabet.length))).join('');
}
