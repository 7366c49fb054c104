/**
 * Agents: three kinds that feed each other.
 *
 *     digest ── asks for each mail of its section ──▶ triage ── for ham, asks ──▶ extract
 *       └── of a long section, asks for its halves ──▶ digest
 *
 * Each asks the model through `ctx.call` and the other kinds through `ctx.ask`. Both are remembered,
 * so a run that is started again takes up where the one before it was cut off, and pays nothing twice.
 */
import { agent, contract } from 'drover';
import type { Dependency } from 'drover';
import type { ChatReply, ChatRequest } from 'drover/openai';
import { z } from 'zod';
import { replicasOf } from './job.ts';
import { loadCorpus } from './mails.ts';
import type { Mail } from './mails.ts';
import {
  digestPrompt,
  extractAnswer,
  extractPrompt,
  parseDigest,
  parseExtract,
  parseTriage,
  triageAnswer,
  triagePrompt,
} from './prompts.ts';

const mailInput = z.object({ mailId: z.string() });

export const triageResult = triageAnswer.extend({ mailId: z.string(), notes: extractAnswer.nullable() });
export type TriageResult = z.infer<typeof triageResult>;

const digestInput = z.object({ title: z.string(), mailIds: z.array(z.string()).min(1).readonly() });
export const digestResult = z.object({ title: z.string(), markdown: z.string(), ham: z.number(), spam: z.number(), failed: z.number() });

/** What each job may answer at most; a large model needs no more than the local one. */
const MOST_TOKENS = { triage: 120, extract: 400, digest: 1_200 };

/** How often a run asks again when it cannot read the answer. */
const QUESTIONS = 3;

/** A machine may be killed often; a mail is not to blame for that. */
const LOSSES = 1_000;

/** Notes of more mails do not fit into one prompt: such a section is digested in halves. */
const MOST_MAILS = 25;

/** A digest waits for many mails: it looks again once a second, not after each of them. */
const DIGEST_LINGER_MS = 1_000;

/** The kinds of the fleet, `agents` workers in all. */
export function inboxAgents(model: Dependency<ChatRequest, ChatReply>, agents: number) {
  const replicas = replicasOf(agents);

  const extract = agent({
    input: mailInput,
    output: extractAnswer,
    uses: { model },
    replicas: replicas.extract,
    losses: LOSSES,
    async run({ mailId }, ctx) {
      const messages = extractPrompt(mailOf(mailId));
      return readable(() => ctx.call('model', { messages, maxOutputTokens: MOST_TOKENS.extract }), parseExtract);
    },
  });

  const triage = agent({
    input: mailInput,
    output: triageResult,
    uses: { model },
    asks: { extract },
    replicas: replicas.triage,
    losses: LOSSES,
    async run({ mailId }, ctx) {
      const messages = triagePrompt(mailOf(mailId));
      const verdict = await readable(() => ctx.call('model', { messages, maxOutputTokens: MOST_TOKENS.triage }), parseTriage);
      const notes = verdict.label === 'ham' ? await ctx.ask('extract', { mailId }) : null;
      return { ...verdict, mailId, notes };
    },
  });

  const digest = agent({
    input: digestInput,
    output: digestResult,
    uses: { model },
    // Itself: only a contract can name what is not there yet.
    asks: { triage, digest: contract({ input: digestInput, output: digestResult }) },
    replicas: replicas.digest,
    losses: LOSSES,
    lingerMs: DIGEST_LINGER_MS,
    async run({ title, mailIds }, ctx) {
      if (mailIds.length > MOST_MAILS) {
        const parts = await Promise.all(halvesOf(mailIds).map((part) => ctx.ask('digest', { title, mailIds: part })));
        return joined(title, parts);
      }
      // One mail that failed for good must not take its section with it.
      const triaged = await Promise.all(mailIds.map((mailId) => ctx.ask('triage', { mailId }).catch(nullIfFailed)));
      const items = triaged.flatMap((result) => (result === null || result.notes === null ? [] : [itemOf(result.mailId, result.notes)]));
      const count = { ham: items.length, failed: triaged.filter((result) => result === null).length };
      const spam = mailIds.length - count.ham - count.failed;
      if (items.length === 0) return { title, markdown: '', spam, ...count };
      const messages = digestPrompt(items);
      const markdown = await readable(() => ctx.call('model', { messages, maxOutputTokens: MOST_TOKENS.digest }), parseDigest);
      return { title, markdown, spam, ...count };
    },
  });

  // In this order they start: the first work of all is a section's, which asks for the rest.
  return { digest, triage, extract };
}

/** The model gave no readable answer, however often it was asked. Its answers are remembered: another run reads the same. */
export class NoReadableAnswerError extends Error {
  readonly code = 'INBOX_NO_READABLE_ANSWER';
  readonly retryable = false;
  constructor(options: { readonly cause: unknown }) {
    super(`${QUESTIONS} answers of the model could not be read; the last: ${String(options.cause)}`, options);
    this.name = 'NoReadableAnswerError';
  }
}

/** Asks until the answer can be read. Each question is a call of its own, so a bad answer is not remembered in place of a good one. */
async function readable<T>(ask: () => Promise<ChatReply>, read: (text: string) => T): Promise<T> {
  for (let question = 1; ; question += 1) {
    const { text } = await ask();
    try {
      return read(text);
    } catch (cause) {
      if (question === QUESTIONS) throw new NoReadableAnswerError({ cause });
    }
  }
}

function halvesOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)];
}

/** The parts of a section, one after the other. A part of nothing but spam has no text. */
function joined(title: string, parts: readonly z.infer<typeof digestResult>[]): z.infer<typeof digestResult> {
  const sum = (count: 'ham' | 'spam' | 'failed'): number => parts.reduce((total, part) => total + part[count], 0);
  const markdown = parts.map((part) => part.markdown).filter((text) => text !== '');
  return { title, markdown: markdown.join('\n'), ham: sum('ham'), spam: sum('spam'), failed: sum('failed') };
}

function nullIfFailed(error: unknown): null {
  if ((error as { code?: unknown }).code === 'DROVER_CHILD_FAILED') return null;
  throw error;
}

function itemOf(mailId: string, notes: z.infer<typeof extractAnswer>) {
  const { from, fromName, subject } = mailOf(mailId);
  return { from: fromName || from, subject, notes };
}

let byId: ReadonlyMap<string, Mail> | undefined;

/** @throws RangeError when there is no such mail. */
export function mailOf(id: string): Mail {
  byId ??= new Map(loadCorpus().mails.map((mail) => [mail.id, mail]));
  const mail = byId.get(id);
  if (mail === undefined)
    throw Object.assign(new RangeError(`mailId: expected the id of a mail of the corpus, got ${JSON.stringify(id)}`), { retryable: false });
  return mail;
}
