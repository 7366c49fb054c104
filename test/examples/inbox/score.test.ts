import { expect, test } from 'vitest';
import { score, type Judgement } from '../../../examples/inbox/score.ts';

const times = (count: number, predicted: Judgement['predicted'], actual: Judgement['actual']): Judgement[] =>
  Array.from({ length: count }, () => ({ predicted, actual }));

test('the score counts each kind of error against the mails it could happen to', () => {
  expect(score([...times(6, 'ham', 'ham'), ...times(2, 'spam', 'ham'), ...times(1, 'ham', 'spam'), ...times(3, 'spam', 'spam')])).toEqual({
    mails: 12,
    correct: 9,
    accuracy: 0.75,
    majorityShare: 8 / 12,
    falsePositives: { count: 2, of: 8, rate: 0.25 },
    falseNegatives: { count: 1, of: 4, rate: 0.25 },
  });
});

test('calling everything ham scores the majority share', () => {
  const result = score([...times(7, 'ham', 'ham'), ...times(3, 'ham', 'spam')]);
  expect(result.accuracy).toBe(result.majorityShare);
});

test('a label that does not occur has no error rate, and no mails have no score', () => {
  expect(score(times(2, 'ham', 'ham')).falseNegatives).toEqual({ count: 0, of: 0, rate: 0 });
  expect(() => score([])).toThrow(RangeError);
});
