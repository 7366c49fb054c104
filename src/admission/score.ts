/** Score: how good a reply is, by whatever scorers its dependency has; the least of them counts. */
import type { DependencySpec } from '../topology/dependency.ts';
import type { ReplyScore } from './caller.ts';
import { leastOf, replyText, ScorerError, usualScorers } from './quality.ts';
import type { Scorer } from './quality.ts';
import { callsTool, readsText } from './scorers/reply-text.ts';

/**
 * Undefined: nobody asks. A scorer that throws or gives nonsense has no opinion, and is reported once; so is, once, that
 * those who look for the text of a reply cannot find it, since the breaker then learns nothing.
 */
export function scoreOf(
  { breaker }: Pick<DependencySpec<never, never>, 'breaker'>,
  onFault: (error: ScorerError) => void,
): ReplyScore | undefined {
  if (breaker === undefined || breaker === false || breaker.quality === undefined) return undefined;
  const scorers = (breaker.quality.scorers as readonly Scorer[] | undefined) ?? usualScorers();
  const least = leastOf(scorers, onFault);
  let looksForText = scorers.some(readsText);
  return (reply, request) => {
    const score = least(reply, request);
    if (score === undefined && looksForText && replyText(reply) === undefined && !callsTool(reply)) {
      looksForText = false;
      onFault(new ScorerError({ scorer: 'of the text', problem: `found no text in ${kindOf(reply)}, so it is not scored; ${REMEDY}` }));
    }
    return score;
  };
}

const REMEDY =
  'give back what the client gave, or its text, or tell it with `report({ reply })`; or give scorers of your own, or the option `text`';

/** Not what is in it: that is the caller's. */
function kindOf(reply: unknown): string {
  const kind =
    typeof reply === 'object' && reply !== null ? (reply.constructor as { readonly name?: string } | undefined)?.name : undefined;
  return kind === undefined || kind === '' ? typeof reply : `a ${kind}`;
}
