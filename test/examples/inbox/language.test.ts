import { beforeAll, describe, expect, test } from 'vitest';
import { createLanguage, type Language } from '../../../examples/inbox/language.ts';
import { loadInbox, type Inbox, type Mail } from '../../../examples/inbox/mails.ts';
import {
  digestPrompt,
  extractPrompt,
  parseDigest,
  parseExtract,
  parseTriage,
  triagePrompt,
  type DigestItem,
  type ShownMail,
} from '../../../examples/inbox/prompts.ts';
import { seeded, shuffled } from '../../../examples/inbox/random.ts';
import { score, type Score } from '../../../examples/inbox/score.ts';

let inbox: Inbox;
let language: Language;
beforeAll(() => {
  inbox = loadInbox({ seed: 42 });
  language = createLanguage({ trainOn: inbox.training });
}, 60_000);

const mail = (given: Partial<ShownMail>): ShownMail => ({
  from: 'ann@example.com',
  fromName: 'Ann Lee',
  subject: 'Server',
  date: null,
  text: 'Hello.',
  ...given,
});

function scoreOf(judge: Language): Score {
  return score(inbox.run.map((each) => ({ predicted: parseTriage(judge.answer(triagePrompt(each))).label, actual: each.label })));
}

const notesOn = (given: Partial<ShownMail>) => parseExtract(language.answer(extractPrompt(mail(given))));

describe('on real mails', () => {
  test('fifty answers of each kind are in the form that was asked for', () => {
    const mails = inbox.run.slice(0, 50);
    for (const each of mails) parseTriage(language.answer(triagePrompt(each)));
    const items = mails.map((each): DigestItem => {
      return { from: each.from, subject: each.subject, notes: parseExtract(language.answer(extractPrompt(each))) };
    });
    const digest = parseDigest(language.answer(digestPrompt(items)));
    expect(digest.match(/^- /gm)!.length).toBeLessThanOrEqual(12);
    expect(items.every(({ notes }) => notes.summary !== '' && notes.topics.length <= 5)).toBe(true);
  });

  test('the accuracy on the run is far above the majority share', () => {
    const { accuracy, majorityShare } = scoreOf(language);
    expect(majorityShare).toBeLessThan(0.75);
    expect(accuracy).toBeGreaterThan(0.95);
  });

  test('trained on shuffled labels it is no better than the majority share: the labels of the run reach it nowhere', () => {
    const sample = shuffled(inbox.training, seeded(1)).slice(0, 1_500);
    const labels = shuffled(
      sample.map(({ label }) => label),
      seeded(2),
    );
    const trainOn = sample.map((each, index): Mail => ({ ...each, label: labels[index]! }));
    const { accuracy, majorityShare } = scoreOf(createLanguage({ trainOn }));
    expect(accuracy).toBeLessThan(majorityShare + 0.05);
  });

  test('the answer depends on what the prompt shows and on nothing else', () => {
    const { label, ...shown } = inbox.run[0]!;
    const flipped = { ...shown, id: 'other', label: label === 'spam' ? ('ham' as const) : ('spam' as const) };
    expect(language.answer(triagePrompt(flipped))).toBe(language.answer(triagePrompt(inbox.run[0]!)));
  });

  test('an answer takes well under 20 ms in the mean', () => {
    const mails = inbox.run.slice(0, 200);
    const start = performance.now();
    for (const each of mails) language.answer(extractPrompt(each));
    expect((performance.now() - start) / mails.length).toBeLessThan(20);
  });
});

describe('triage', () => {
  test('says which words made it decide, and doubts a mail that says nothing', () => {
    const judge = (given: Partial<ShownMail>) => parseTriage(language.answer(triagePrompt(mail({ from: '', fromName: '', ...given }))));
    const sure = judge({ subject: 'FREE MONEY!!!', text: 'Click here to remove yourself. Viagra, guaranteed, order now!!!' });
    const unsure = judge({ subject: '', text: '' });
    expect(sure).toMatchObject({ label: 'spam' });
    expect(sure.reason).toMatch(/^Typical of spam: .+, .+, .+\.$/);
    expect(unsure.confidence).toBeLessThan(sure.confidence);
  });
});

describe('extract', () => {
  test('finds people, dates, asks and urgency, and leaves quoted lines and signatures alone', () => {
    const notes = notesOn({
      subject: 'Re: [ops] database backup',
      text: `On Thu, 5 Sep 2002, Justin Mason wrote:
> Please paint the office green.

Hi Justin,

the database backup on the old server failed again. Could you please replace the
disk by Friday? The vendor visits us on September 12, 2002 at 10:30 am.

--
Ann
Please join our fan club.`,
    });
    expect(notes.people).toEqual(expect.arrayContaining(['Ann Lee', 'Justin Mason']));
    expect(notes.asks).toEqual(['Could you please replace the disk by Friday?']);
    expect(notes.dates).toEqual(['September 12, 2002', 'Friday', '10:30 am']);
    expect(notes.topics[0]).toContain('backup');
    expect(notes.summary).toContain('backup');
    expect(notes.urgency).toBe('high');
  });

  test('a mail that wants nothing has no asks and no urgency', () => {
    expect(notesOn({ text: 'The meeting went well and everybody liked the new design.' })).toMatchObject({ asks: [], urgency: 'low' });
  });

  test.each(['', '>', '> only\n> quoted', '--', '\n\n', '????', '😀'.repeat(500), '['.repeat(2_000), 'a'.repeat(2_000)])(
    'the odd body %j gives notes in the right form',
    (text) => expect(notesOn({ text, subject: '', fromName: '' }).summary).not.toBe(''),
  );
});

describe('digest', () => {
  const item = (from: string, urgency: DigestItem['notes']['urgency'], asks: string[], topics = ['backup']): DigestItem => ({
    from,
    subject: `From ${from}`,
    notes: { summary: `${from} reports.`, people: [], topics, dates: [], asks, urgency },
  });

  test('puts what is urgent first, then what needs an answer, then the rest by topic', () => {
    const digest = parseDigest(
      language.answer(
        digestPrompt([
          item('Ann', 'low', []),
          item('Bob', 'normal', ['Shall we?']),
          item('Cid', 'high', ['Fix it today!']),
          item('Dan', 'low', []),
          item('Eve', 'low', [], ['party']),
        ]),
      ),
    );
    expect(digest.split('\n')).toEqual([
      '# Inbox: 5 mails, 2 to answer, 1 urgent',
      '',
      '- **Urgent** Cid on "From Cid": Fix it today!',
      '- **To answer** Bob on "From Bob": Shall we?',
      '- **backup** (2 mails, Ann, Dan): Ann reports.',
      '- Eve on "From Eve": Eve reports.',
    ]);
  });

  test('stays short, counts what it leaves out, and has a form for no mails', () => {
    const many = Array.from({ length: 40 }, (_, index) => item(`P${index}`, 'low', index % 2 === 0 ? ['Really now?'] : [], [`t${index}`]));
    const digest = parseDigest(language.answer(digestPrompt(many)));
    expect(digest.match(/^- /gm)).toHaveLength(12);
    expect(digest).toMatch(/- And 29 more mails: /);
    expect(parseDigest(language.answer(digestPrompt([])))).toContain('Nothing new.');
  });
});

describe('any other chat', () => {
  test.each([
    ['a question', [{ role: 'user' as const, content: 'Who are you?' }]],
    ['nothing', []],
    ['a system prompt alone', [{ role: 'system' as const, content: 'Be kind.' }]],
  ])('%s gets an answer that says what the model can do', (_, messages) => {
    expect(language.answer(messages)).toContain('small local model for mails');
  });

  test('a request to repair an answer is still answered for the same mail', () => {
    const asked = triagePrompt(inbox.run[0]!);
    const first = language.answer(asked);
    const repair = [
      { role: 'assistant' as const, content: 'hm' },
      { role: 'user' as const, content: 'Answer with JSON only.' },
    ];
    expect(language.answer([...asked, ...repair])).toBe(first);
  });
});

test('training without enough mails of both labels is refused', () => {
  expect(() => createLanguage({ trainOn: inbox.training.slice(0, 60) })).toThrow('50 mails of each label');
});
