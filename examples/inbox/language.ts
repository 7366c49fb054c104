/**
 * Language: a small language model that runs here, so that the example needs no
 * key and no network. It is asked in the same words as a large one and sees
 * nothing but the messages: it finds out from them which job is wanted.
 *
 *     messages ─▶ which job? ─┬─ triage  ▶ spam-filter.ts
 *                             ├─ extract ▶ note-taker.ts
 *                             ├─ digest  ▶ digest-writer.ts
 *                             └─ other   ▶ says what it can do
 */
import { writeDigest } from './digest-writer.ts';
import type { Mail } from './mails.ts';
import { takeNotes } from './note-taker.ts';
import { digestItem, TRIAGE_BODY_CHARS, triagePrompt, type ChatMessage, type DigestItem, type ShownMail } from './prompts.ts';
import { exampleOf, tokenizeMail, trainSpamFilter } from './spam-filter.ts';
import { createVocabulary } from './vocabulary.ts';

export interface Language {
  /** The answer to a chat, as text: JSON or Markdown where the chat asks for it. Pure after training, a few milliseconds. */
  answer(messages: readonly ChatMessage[]): string;
}

export interface LanguageOptions {
  /** The mails to learn from, of both labels: the training part of an inbox, never its run. */
  readonly trainOn: readonly Mail[];
}

/**
 * Trains on every given mail; 5,000 take about three seconds.
 * @throws RangeError if there are fewer than 50 mails of a label.
 */
export function createLanguage({ trainOn }: LanguageOptions): Language {
  const vocabulary = createVocabulary();
  // One mail at a time: the tokens of all of them together would fill hundreds of megabytes.
  const examples = trainOn.map((mail) => {
    // It learns from mails as prompts show them, cut where prompts cut.
    const tokenized = tokenizeMail(mailIn(triagePrompt(mail)));
    vocabulary.learn(tokenized, mail.label);
    return exampleOf(tokenized, mail.label);
  });
  const filter = trainSpamFilter(examples);
  return {
    answer(messages) {
      switch (jobOf(messages)) {
        case 'triage':
          return JSON.stringify(filter.judge(tokenizeMail(mailIn(messages))));
        case 'extract':
          return JSON.stringify(takeNotes(mailIn(messages), vocabulary));
        case 'digest':
          return writeDigest(notesIn(messages));
        case 'other': {
          const { summary, topics } = takeNotes(mailIn(messages), vocabulary);
          const about = topics.length === 0 ? '' : ` Your message seems to be about ${topics.join(', ')}. In short: ${summary}`;
          return `I am a small local model for mails: I tell spam from ham, take notes on a mail and write digests of notes.${about}`;
        }
      }
    },
  };
}

/** The job that the instructions describe: by the shape of answer they ask for. */
function jobOf(messages: readonly ChatMessage[]): 'triage' | 'extract' | 'digest' | 'other' {
  const instructions = messages
    .filter(({ role }) => role === 'system')
    .map(({ content }) => content)
    .join('\n');
  if (instructions.includes('"label"') && instructions.includes('"confidence"')) return 'triage';
  if (instructions.includes('"summary"') && instructions.includes('"asks"')) return 'extract';
  if (/\bdigest\b/i.test(instructions) && instructions.includes('<notes>')) return 'digest';
  return 'other';
}

/** The mail between the marks, or all that the user said as the text of one. */
function mailIn(messages: readonly ChatMessage[]): ShownMail {
  const said = messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content)
    .join('\n');
  const marked = /<mail>\n([\s\S]*?)\n<\/mail>/.exec(said)?.[1];
  if (marked === undefined) return { from: '', fromName: '', subject: '', date: null, text: said.slice(0, 4 * TRIAGE_BODY_CHARS) };
  const blank = marked.indexOf('\n\n');
  const head = blank === -1 ? marked : marked.slice(0, blank);
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(head)?.[1] ?? '';
  const sender = /^(.*) <([^<>]*)>$/.exec(field('From'));
  return {
    from: sender?.[2] ?? field('From'),
    fromName: sender?.[1] ?? '',
    subject: field('Subject'),
    date: field('Date') || null,
    text: blank === -1 ? '' : marked.slice(blank + 2).replace(/ \[…\]$/, ''),
  };
}

/** The notes between the marks; a line that is none is left out. */
function notesIn(messages: readonly ChatMessage[]): DigestItem[] {
  const said = messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => content)
    .join('\n');
  const lines = /<notes>\n([\s\S]*?)\n?<\/notes>/.exec(said)?.[1]?.split('\n') ?? [];
  return lines.flatMap((line) => {
    try {
      return [digestItem.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}
