/**
 * Vocabulary: what the training mails teach about words in general. In how many
 * mails a word stands tells how much it says about one of them, and the names of
 * the people who write tell which words are given names.
 */
import type { Label } from './mails.ts';
import type { TokenizedMail } from './spam-filter.ts';

/** Counts of words; what it answers grows with what it has learned. */
export interface Vocabulary {
  /** Counts one more mail. */
  learn(mail: TokenizedMail, label: Label): void;
  /** Inverse document frequency: 0 for a word in every mail, more the rarer it is. */
  rarity(normal: string): number;
  /** In how many training mails the word stands. */
  mailsWith(normal: string): number;
  /** Whether somebody who writes to this inbox is called so. Lower case. */
  isGivenName(normal: string): boolean;
}

/** An empty vocabulary. */
export function createVocabulary(): Vocabulary {
  let mails = 0;
  const written = new Map<string, number>();
  const writtenSmall = new Map<string, number>();
  const given = new Set<string>();
  const mailsWith = (normal: string) => written.get(normal) ?? 0;
  return {
    learn({ mail, subject, body }, label) {
      mails++;
      const small = new Set<string>();
      const seen = new Set<string>();
      for (const token of [...subject, ...body]) {
        if (token.type !== 'word') continue;
        seen.add(token.normal);
        if (token.value === token.normal) small.add(token.normal);
      }
      for (const word of seen) written.set(word, (written.get(word) ?? 0) + 1);
      for (const word of small) writtenSmall.set(word, (writtenSmall.get(word) ?? 0) + 1);
      // Spam signs with "Offer Manager"; only ham is trusted to know people.
      const name = /^(\p{Lu}\p{Ll}{2,}) (?:\p{Lu}\.? )?\p{Lu}[\p{L}'-]+$/u.exec(mail.fromName);
      if (label === 'ham' && name !== null) given.add(name[1]!.toLowerCase());
    },
    mailsWith,
    rarity: (normal) => Math.log((1 + mails) / (1 + mailsWith(normal))),
    // "Daily", of the Daily News, is mostly written small elsewhere; "Robert" is not.
    isGivenName: (normal) => given.has(normal) && (writtenSmall.get(normal) ?? 0) * 4 <= mailsWith(normal),
  };
}
