/**
 * Spam filter: a Naive Bayes classifier over what a prompt shows of a mail.
 *
 * The odds of Naive Bayes order mails well but overstate themselves, because
 * words are not independent of each other. So a fifth of the training mails is
 * held out first, and a logistic curve from odds to share of spam is fitted to
 * them (Platt scaling); the confidence in an answer is read from that curve.
 *
 * The features were chosen by cross-validation inside training parts only.
 * They leave out the date: the spam of the corpus was collected in other months
 * than its ham, which says something about the collector and nothing about spam.
 */
import naiveBayes from 'wink-naive-bayes-text-classifier';
import type { Label } from './mails.ts';
import type { ShownMail, TriageAnswer } from './prompts.ts';
import { normalSubject } from './threads.ts';
import { tokenize, type Token } from './wink.ts';

/** A mail as the filter sees it: what is shown, and its tokens. */
export interface TokenizedMail {
  readonly mail: ShownMail;
  readonly subject: readonly Token[];
  readonly body: readonly Token[];
}

/** What the filter keeps of a mail to learn from: much less than its tokens. */
export interface Example {
  readonly features: readonly string[];
  readonly label: Label;
  /** Whether the curve is fitted to it, so that the counts under the curve must not know it. */
  readonly isHeldOut: boolean;
}

/** A trained filter. */
export interface SpamFilter {
  /** Pure: the same mail gets the same answer. */
  judge(mail: TokenizedMail): TriageAnswer;
}

/** Added to every count. Below 1, so that a rare word still tells something. */
const SMOOTHING = 0.1;

/** One mail in so many is held out to fit the curve. */
const HOLD_OUT = 5;

/** With fewer mails of a label, neither the counts nor the curve mean anything. */
const MIN_MAILS_PER_LABEL = 50;

/** No answer of a model with this accuracy is certain. */
const MAX_CONFIDENCE = 0.999;

/** Cuts subject and body into tokens, once for the filter and the vocabulary. */
export const tokenizeMail = (mail: ShownMail): TokenizedMail => ({ mail, subject: tokenize(mail.subject), body: tokenize(mail.text) });

/** What there is to learn from one mail. */
export const exampleOf = (mail: TokenizedMail, label: Label): Example => ({
  features: featuresOf(mail),
  label,
  isHeldOut: isHeldOut(mail.mail),
});

/**
 * Learns from mails of both labels. Time grows with their number; 5,000 take about a second.
 * @throws RangeError if there are fewer than 50 mails of a label.
 */
export function trainSpamFilter(examples: readonly Example[]): SpamFilter {
  for (const label of ['spam', 'ham'] as const) {
    const count = examples.filter((example) => example.label === label).length;
    if (count < MIN_MAILS_PER_LABEL) {
      throw new RangeError(`training needs ${MIN_MAILS_PER_LABEL} mails of each label, got ${count} of ${label}`);
    }
  }
  const draft = learn(examples.filter((example) => !example.isHeldOut));
  const heldOut = examples.filter((example) => example.isHeldOut);
  const curve = fitCurve(heldOut.map(({ features, label }) => ({ odds: draft(features), label })));
  const spamOdds = learn(examples);
  return {
    judge(mail) {
      const features = featuresOf(mail);
      const spamShare = curve(spamOdds(features));
      const label = spamShare > 0.5 ? 'spam' : 'ham';
      return {
        label,
        confidence: Math.min(MAX_CONFIDENCE, Math.round(Math.max(spamShare, 1 - spamShare) * 1_000) / 1_000),
        reason: reasonFor(label, features, spamOdds),
      };
    },
  };
}

/** The base-2 logarithm of the odds for spam; 0 if nothing in the mail is known. */
type SpamOdds = (features: readonly string[]) => number;

function learn(examples: readonly Example[]): SpamOdds {
  const classifier = naiveBayes();
  classifier.definePrepTasks([]);
  classifier.defineConfig({ considerOnlyPresence: true, smoothingFactor: SMOOTHING });
  for (const { features, label } of examples) classifier.learn(features, label);
  classifier.consolidate();
  return (features) => classifier.computeOdds(features).find(([label]) => label === 'spam')?.[1] ?? 0;
}

// --- Features ----------------------------------------------------------------

/** Each feature once: which words are there tells more than how often. */
function featuresOf({ mail, subject, body }: TokenizedMail): string[] {
  const features = new Set<string>();
  let words = 0;
  let shouted = 0;
  let exclamations = 0;
  for (const token of body) {
    switch (token.type) {
      case 'word':
        words++;
        if (isShouted(token.value)) shouted++;
        if (token.normal.length > 1 && token.normal.length < 25) features.add(token.normal);
        break;
      case 'url':
        features.add('has:link').add(`link:${hostOf(token.normal)}`);
        break;
      case 'email':
        features.add(`address:${domainOf(token.normal)}`);
        break;
      case 'currency':
        features.add('has:money');
        break;
      case 'punctuation':
        if (token.value.startsWith('!')) exclamations++;
        break;
    }
  }
  for (const token of subject) {
    if (token.type === 'word') features.add(`subject:${token.normal}`);
    else features.add(token.type === 'number' ? 'subject:(number)' : `subject:${token.value.slice(0, 3)}`);
    if (token.type === 'word' && isShouted(token.value)) features.add('subject:(capitals)');
  }
  const domain = domainOf(mail.from);
  features.add(`sender:${domain}`).add(`sender:.${domain.split('.').at(-1)}`);
  for (const name of mail.fromName.toLowerCase().match(/[a-z]+/g) ?? []) features.add(`name:${name}`);
  features.add(`capitals:${Math.min(5, Math.ceil((10 * shouted) / Math.max(1, words)))}`);
  features.add(`exclamations:${Math.min(4, exclamations)}`);
  features.add(`length:${Math.min(8, Math.round(Math.log2(1 + mail.text.length) / 2))}`);
  if (/^>/m.test(mail.text)) features.add('has:quote');
  return [...features];
}

const isShouted = (word: string) => word.length > 2 && word === word.toUpperCase() && /[A-Z]/.test(word);

const hostOf = (url: string) => /^(?:https?:\/\/)?([^/:?#\s]+)/.exec(url)?.[1] ?? '';

const domainOf = (address: string) => address.slice(address.lastIndexOf('@') + 1);

// --- Confidence --------------------------------------------------------------

/** Replies share a subject, so a conversation is held out whole. */
function isHeldOut(mail: ShownMail): boolean {
  let hash = 7;
  for (const letter of normalSubject(mail.subject)) hash = (Math.imul(hash, 31) + letter.codePointAt(0)!) >>> 0;
  return hash % HOLD_OUT === 0;
}

/**
 * Fits share = 1 / (1 + exp(-(slope * odds + offset))) by Newton's method, with Platt's smoothed targets.
 * @see Platt, "Probabilistic outputs for support vector machines", 1999
 */
function fitCurve(points: readonly { readonly odds: number; readonly label: Label }[]): (odds: number) => number {
  const spam = points.filter((point) => point.label === 'spam').length;
  const target = { spam: (spam + 1) / (spam + 2), ham: 1 / (points.length - spam + 2) };
  // Odds run to hundreds; scaled to tens they keep the Newton steps tame.
  const scale = 1 / 20;
  let [slope, offset] = [1, 0];
  for (let step = 0; step < 25; step++) {
    // The ridge pulls gently to the start, and is all there is when nothing was held out.
    let [gradientSlope, gradientOffset, hessianSlope, hessianBoth, hessianOffset] = [slope - 1, offset, 1, 0, 1];
    for (const { odds, label } of points) {
      const x = odds * scale;
      const share = logistic(slope * x + offset);
      const weight = share * (1 - share);
      gradientSlope += (share - target[label]) * x;
      gradientOffset += share - target[label];
      hessianSlope += weight * x * x;
      hessianBoth += weight * x;
      hessianOffset += weight;
    }
    const determinant = hessianSlope * hessianOffset - hessianBoth * hessianBoth;
    slope -= (hessianOffset * gradientSlope - hessianBoth * gradientOffset) / determinant;
    offset -= (hessianSlope * gradientOffset - hessianBoth * gradientSlope) / determinant;
  }
  return (odds) => logistic(slope * scale * odds + offset);
}

const logistic = (x: number) => 1 / (1 + Math.exp(-x));

// --- Reason ------------------------------------------------------------------

/** The three features that moved the odds most in the direction of the label. */
function reasonFor(label: Label, features: readonly string[], spamOdds: SpamOdds): string {
  const direction = label === 'spam' ? 1 : -1;
  const telling = features
    .map((feature) => ({ feature, weight: direction * spamOdds([feature]) }))
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, 3);
  return `Typical of ${label}: ${telling.map(({ feature }) => inWords(feature)).join(', ')}.`;
}

function inWords(feature: string): string {
  const colon = feature.indexOf(':');
  const [kind, value] = [feature.slice(0, Math.max(0, colon)), feature.slice(colon + 1)];
  switch (kind) {
    case 'subject':
      return `"${value}" in the subject`;
    case 'sender':
      return `a sender at ${value}`;
    case 'name':
      return `the sender's name "${value}"`;
    case 'link':
      return `a link to ${value}`;
    case 'address':
      return `an address at ${value}`;
    case 'has':
      return value === 'quote' ? 'quoted lines' : value === 'link' ? 'links' : 'sums of money';
    case 'capitals':
      return 'the share of capitals';
    case 'exclamations':
      return 'the number of exclamation marks';
    case 'length':
      return 'its length';
    default:
      return `the word "${feature}"`;
  }
}
