/**
 * Quality: scores of outputs, from 0 (garbage) to 1, for a breaker that opens while the status is
 * 200. A scorer looks at one reply; several together give the least of what they say.
 *
 *     leastOf([...usualScorers(), matches(invoice), ownScorer], report)
 *
 * A scorer never breaks a call: one that throws, or gives anything but a number from 0 to 1 or
 * undefined, has no opinion, and an observer is told once.
 */
import { describe } from '../../actors/kernel/errors.ts';
import { ScorerError } from './scorers/scorer-error.ts';
import { empty } from './scorers/empty.ts';
import { refusal } from './scorers/refusal.ts';
import { repeated } from './scorers/repeated.ts';
import type { TextOptions } from './scorers/reply-text.ts';
import type { Scorer } from './scorers/scorer.ts';
import { truncated } from './scorers/truncated.ts';

export { ScorerError } from './scorers/scorer-error.ts';
export { empty } from './scorers/empty.ts';
export { matches } from './scorers/matches.ts';
export { refusal } from './scorers/refusal.ts';
export { repeated } from './scorers/repeated.ts';
export { replyText } from './scorers/reply-text.ts';
export type { TextOptions } from './scorers/reply-text.ts';
export { scoredReply } from './scorers/scored-reply.ts';
export type { ScoredReply } from './scorers/scored-reply.ts';
export type { Scorer } from './scorers/scorer.ts';
export { truncated } from './scorers/truncated.ts';

/** Those that fit any text: `empty`, `truncated`, `repeated` and `refusal`. */
export function usualScorers<Rep = unknown>(options: TextOptions<Rep> = {}): readonly Scorer<Rep>[] {
  return [empty(options), truncated(options), repeated(options), refusal(options)];
}

/**
 * One scorer out of many: the least of their scores; undefined when none has an opinion. It never throws.
 *
 * @param scorers all are asked, and a fault of one does not silence the others
 * @param onFault told of a scorer's first fault, once for each scorer; what it throws is dropped
 */
export function leastOf<Rep = unknown, Req = unknown>(
  scorers: readonly Scorer<Rep, Req>[],
  onFault?: (error: ScorerError) => void,
): Scorer<Rep, Req> {
  const reported = new Set<number>();
  const report = (index: number, error: ScorerError): void => {
    if (reported.has(index)) return;
    reported.add(index);
    try {
      onFault?.(error);
    } catch {
      // An observer that fails is no reason to fail a call.
    }
  };
  return (reply, request) => {
    let least: number | undefined;
    for (const [index, scorer] of scorers.entries()) {
      const score = opinion(scorer, reply, request, (error) => report(index, error));
      if (score !== undefined && (least === undefined || score < least)) least = score;
    }
    return least;
  };
}

function opinion<Rep, Req>(scorer: Scorer<Rep, Req>, reply: Rep, request: Req, report: (error: ScorerError) => void): number | undefined {
  const name = scorer.name === '' ? 'without a name' : scorer.name;
  let score: unknown;
  try {
    score = scorer(reply, request);
  } catch (thrown) {
    report(
      thrown instanceof ScorerError ? thrown : new ScorerError({ scorer: name, problem: `threw ${describe(thrown)}` }, { cause: thrown }),
    );
    return undefined;
  }
  if (score === undefined || (typeof score === 'number' && score >= 0 && score <= 1)) return score;
  // An asynchronous scorer: nobody waits for it, and its rejection must not end the process.
  if (score instanceof Promise) score.catch(() => {});
  report(new ScorerError({ scorer: name, problem: `expected a number from 0 to 1, or undefined, got ${describe(score)}` }));
  return undefined;
}
