/**
 * How good the local model is: `npx node examples/inbox/evaluate.ts [--mails 600] [--seed 1]`.
 * Prints the split, the times, the score on the run, and one answer of each kind.
 */
import { parseArgs } from 'node:util';
import { createLanguage } from './language.ts';
import { loadCorpus, loadInbox } from './mails.ts';
import {
  digestPrompt,
  extractPrompt,
  parseDigest,
  parseExtract,
  parseTriage,
  triagePrompt,
  type ChatMessage,
  type DigestItem,
} from './prompts.ts';
import { score, type ErrorRate } from './score.ts';

const { values } = parseArgs({ options: { mails: { type: 'string', default: '600' }, seed: { type: 'string', default: '1' } } });
const [mails, seed] = [Number(values.mails), Number(values.seed)];

const [corpus, loadMs] = timed(loadCorpus);
const inbox = loadInbox({ mails, seed });
const [language, trainMs] = timed(() => createLanguage({ trainOn: inbox.training }));

const [triaged, triageMs] = timed(() => inbox.run.map((mail) => ask(triagePrompt(mail), mail)));
const answers = triaged.map(({ mail, answer }) => ({ mail, ...parseTriage(answer) }));
const kept = answers.filter(({ label }) => label === 'ham').map(({ mail }) => mail);
const [extracted, extractMs] = timed(() => kept.map((mail) => ask(extractPrompt(mail), mail)));
const items = extracted.map(({ mail, answer }): DigestItem => ({
  from: mail.fromName || mail.from,
  subject: mail.subject,
  notes: parseExtract(answer),
}));
const digestMessages = digestPrompt(items.slice(0, 20));
const [digest, digestMs] = timed(() => parseDigest(language.answer(digestMessages)));

const result = score(answers.map(({ mail, label }) => ({ predicted: label, actual: mail.label })));
const spamInRun = inbox.run.filter(({ label }) => label === 'spam').length;
print('corpus', `${corpus.mails.length} mails without ${corpus.duplicates} duplicates, ${percent(inbox.spamShare)} spam`);
print('split', `${inbox.run.length} in the run (${spamInRun} spam), ${inbox.training.length} for training, seed ${seed}`);
print(
  'times',
  `load ${ms(loadMs)}, train ${ms(trainMs)}; a triage ${ms(triageMs / triaged.length)}, \
an extract ${ms(extractMs / Math.max(1, kept.length))}, a digest ${ms(digestMs)}`,
);
print('tokens', `triage ${tokens(triaged)}, extract ${tokens(extracted)} a call in the mean, of characters / 4`);
print(
  'accuracy',
  `${percent(result.accuracy)} (${result.correct} of ${result.mails}); always "ham" would be ${percent(result.majorityShare)}`,
);
print('ham lost', rate(result.falsePositives));
print('spam kept', rate(result.falseNegatives));
print('confidence', bands());
// A mail that fits on a screen and wants something shows the most.
const sample = extracted.find(({ mail }, index) => mail.text.length < 800 && items[index]!.notes.asks.length > 0) ?? extracted[0];
if (sample !== undefined) {
  console.log(`\n${sample.prompt.at(-1)!.content}`);
  print('\ntriage', triaged.find(({ mail }) => mail === sample.mail)!.answer);
  print('\nextract', JSON.stringify(parseExtract(sample.answer), null, 2));
}
console.log(`\n${digest}`);

function ask(prompt: ChatMessage[], mail: (typeof inbox.run)[number]) {
  return { mail, prompt, answer: language.answer(prompt) };
}

function timed<T>(work: () => T): [T, number] {
  const start = performance.now();
  return [work(), performance.now() - start];
}

/** Whether the model knows what it does not know: accuracy by confidence. */
function bands(): string {
  return [
    [0.5, 0.9],
    [0.9, 0.99],
    [0.99, 1.01],
  ]
    .map(([from, to]) => {
      const inBand = answers.filter(({ confidence }) => confidence >= from! && confidence < to!);
      const right = inBand.filter(({ label, mail }) => label === mail.label).length;
      return `from ${from}: ${right} of ${inBand.length} right`;
    })
    .join(', ');
}

function tokens(calls: readonly { prompt: ChatMessage[]; answer: string }[]): number {
  const texts = calls.flatMap(({ prompt, answer }) => [...prompt.map(({ content }) => content), answer]);
  return Math.round(texts.reduce((sum, text) => sum + text.length, 0) / 4 / Math.max(1, calls.length));
}

function print(name: string, text: string) {
  console.log(`${name.padEnd(12)}${text}`);
}

function ms(milliseconds: number): string {
  return milliseconds < 100 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds / 1_000).toFixed(2)} s`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function rate({ count, of, rate: share }: ErrorRate): string {
  return `${count} of ${of} (${percent(share)})`;
}
