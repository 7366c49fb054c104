/** Score: how good a reply is, by whatever scorers its dependency has; the least of them counts. */
import type { DependencySpec } from '../topology/dependency.ts';
import type { ReplyScore } from './caller.ts';
import { leastOf, usualScorers } from './quality.ts';
import type { Scorer, ScorerError } from './quality.ts';

/** Undefined: nobody asks. A scorer that throws or gives nonsense has no opinion, and is reported once. */
export function scoreOf(
  { breaker }: Pick<DependencySpec<never, never>, 'breaker'>,
  onFault: (error: ScorerError) => void,
): ReplyScore | undefined {
  if (breaker === undefined || breaker === false || breaker.quality === undefined) return undefined;
  return leastOf((breaker.quality.scorers as readonly Scorer[] | undefined) ?? usualScorers(), onFault);
}
