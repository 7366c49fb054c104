/** Score: how often a spam filter is right, and in which way it is wrong. */
import type { Label } from './mails.ts';

/** What was said about one mail, and what is true. */
export interface Judgement {
  readonly predicted: Label;
  readonly actual: Label;
}

/** `count` out of `of`; the rate is 0 where there is nothing to be wrong about. */
export interface ErrorRate {
  readonly count: number;
  readonly of: number;
  readonly rate: number;
}

export interface Score {
  readonly mails: number;
  readonly correct: number;
  /** Share of right answers, in [0, 1]. */
  readonly accuracy: number;
  /** The accuracy of always giving the more frequent label: the line to beat. */
  readonly majorityShare: number;
  /** Ham called spam, out of all ham: the mails a reader would miss. */
  readonly falsePositives: ErrorRate;
  /** Spam called ham, out of all spam: the mails a reader has to delete. */
  readonly falseNegatives: ErrorRate;
}

/** @throws RangeError if there is nothing to score. */
export function score(judgements: readonly Judgement[]): Score {
  if (judgements.length === 0) throw new RangeError('score: expected at least one judgement, got none');
  const count = (predicted: Label, actual: Label) =>
    judgements.filter((each) => each.predicted === predicted && each.actual === actual).length;
  const [rightHam, lostHam] = [count('ham', 'ham'), count('spam', 'ham')];
  const [rightSpam, missedSpam] = [count('spam', 'spam'), count('ham', 'spam')];
  const [ham, spam] = [rightHam + lostHam, rightSpam + missedSpam];
  return {
    mails: judgements.length,
    correct: rightHam + rightSpam,
    accuracy: (rightHam + rightSpam) / judgements.length,
    majorityShare: Math.max(ham, spam) / judgements.length,
    falsePositives: errorRate(lostHam, ham),
    falseNegatives: errorRate(missedSpam, spam),
  };
}

const errorRate = (count: number, of: number): ErrorRate => ({ count, of, rate: of === 0 ? 0 : count / of });
