/**
 * The digest of the whole inbox as Markdown: what is urgent, what happened day by day, the spam.
 *
 * What models and mails say is material: it must not become a heading, a picture that calls home, or
 * HTML in the reader's viewer.
 */
import { digestResult } from './agents.ts';
import type { TriageResult } from './agents.ts';
import { dayOf } from './job.ts';
import type { Section } from './job.ts';
import type { Mail } from './mails.ts';
import { resultsOf } from './report.ts';
import type { JobTask, JobTasks } from './report.ts';

interface Sorted {
  readonly mail: Mail;
  readonly result: TriageResult;
}

const MOST_URGENT = 20;
/** Below this the model did not know well, and a mail that it put aside deserves a look. */
const SURE = 0.95;
/** Lines of spam that the model was sure of. */
const MOST_SPAM = 25;
const LONGEST_SUBJECT = 80;
const LONGEST_ASK = 240;

/** Pure: the same tasks give the same text. */
export function writeInboxDigest(mails: readonly Mail[], tasks: JobTasks): string {
  const results = resultsOf(tasks);
  const sorted = mails.flatMap((mail) => (results.has(mail.id) ? [{ mail, result: results.get(mail.id)! }] : []));
  const { ham = [], spam = [] } = Object.groupBy(sorted, ({ result }) => result.label);
  const open = ham.filter(({ result }) => result.notes !== null && result.notes.asks.length > 0);
  const urgent = open.filter(({ result }) => result.notes!.urgency === 'high').toSorted(newestFirst);
  const undone = mails.length - sorted.length;
  return [
    `# Inbox digest: ${plural(mails.length, 'mail')}`,
    [
      `- **${ham.length}** worth reading; ${open.length} of them ask for something${urgent.length === 0 ? '' : `, **${urgent.length}** urgently`}`,
      `- **${spam.length}** put aside as spam`,
      ...(undone === 0 ? [] : [`- **${undone}** not read: the fleet could not finish them`]),
    ].join('\n'),
    ...urgentPart(urgent),
    '## What happened, newest first',
    ...tasks.digest
      .filter(({ parentId }) => parentId === null)
      .toReversed()
      .map(sectionPart),
    ...spamPart(spam),
    '',
  ].join('\n\n');
}

function urgentPart(urgent: readonly Sorted[]): string[] {
  if (urgent.length === 0) return [];
  const shown = urgent.slice(0, MOST_URGENT);
  const more = urgent.length > shown.length ? [`And ${urgent.length - shown.length} more; they come first in their days below.`] : [];
  return ['## Answer these first', shown.map(urgentLine).join('\n'), ...more];
}

function urgentLine({ mail, result }: Sorted): string {
  const { asks, dates } = result.notes!;
  const when = dates.length === 0 ? '' : ` _(${plain(dates.slice(0, 2).join(', '), LONGEST_SUBJECT)})_`;
  return `- **${senderOf(mail)}**, "${subjectOf(mail)}"${onDay(mail)}: ${plain(asks[0]!, LONGEST_ASK)}${when}`;
}

/** A section as its model wrote it, under our own heading. Its urgent mails stand first there too. */
function sectionPart(task: JobTask): string {
  const { title } = task.input as Section;
  if (task.status !== 'completed') return `### ${plain(title)}\n\nThis section is not done: the task ${task.id} is ${task.status}.`;
  const { markdown, ham, spam, failed } = digestResult.parse(task.result);
  const counts = [`${ham} to read`, `${spam} spam`, ...(failed === 0 ? [] : [`${failed} not read`])].join(', ');
  const bullets = markdown
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .trim();
  return `### ${plain(title)}\n\n_${counts}._${bullets === '' ? '' : `\n\n${tame(bullets)}`}`;
}

/** A reader looks here for what should not be here: the least sure come first, and the surest need no line. */
function spamPart(spam: readonly Sorted[]): string[] {
  if (spam.length === 0) return [];
  const inOrder = spam.toSorted((a, b) => a.result.confidence - b.result.confidence);
  const doubtful = inOrder.filter(({ result }) => result.confidence < SURE);
  const sure = inOrder.slice(doubtful.length);
  const listed = sure.slice(0, MOST_SPAM);
  return [
    `## Spam: ${plural(spam.length, 'mail')}`,
    ...(doubtful.length === 0 ? [] : ['Look again, the model was not sure:', doubtful.map(doubtfulLine).join('\n')]),
    ...(listed.length === 0
      ? []
      : [
          doubtful.length === 0 ? 'The least sure:' : 'Surer:',
          listed.map(({ mail }) => `- ${senderOf(mail)}: ${subjectOf(mail)}`).join('\n'),
        ]),
    ...(sure.length > listed.length ? [`And ${sure.length - listed.length} more, surer still.`] : []),
  ];
}

const doubtfulLine = ({ mail, result }: Sorted) =>
  `- **${senderOf(mail)}**, "${subjectOf(mail)}", ${percent(result.confidence)} sure. ${plain(result.reason, LONGEST_ASK)}`;

const newestFirst = (a: Sorted, b: Sorted) =>
  (dayOf(b.mail) ?? '').localeCompare(dayOf(a.mail) ?? '') || a.mail.id.localeCompare(b.mail.id);
const senderOf = ({ fromName, from }: Mail) => plain(fromName || from || 'nobody', LONGEST_SUBJECT);
const subjectOf = ({ subject }: Mail) => plain(subject.trim() === '' ? '(no subject)' : subject, LONGEST_SUBJECT);
const onDay = (mail: Mail) => (dayOf(mail) === null ? '' : `, ${dayOf(mail)}`);
const percent = (share: number) => `${Math.round(100 * share)} %`;
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Text of a mail on one line, with nothing left that Markdown would read as its own. */
function plain(text: string, most = Infinity): string {
  const line = text.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  const cut =
    line.length > most
      ? `${line
          .slice(0, most - 1)
          .toWellFormed()
          .trimEnd()}…`
      : line;
  return cut.replace(/[\\`*_[\]<>#|~]/g, '\\$&');
}

/** Markdown of a model stays Markdown, but without HTML, pictures and links to wherever. */
const tame = (markdown: string) => markdown.replace(/</g, '\\<').replace(/[[\]]/g, '\\$&');
