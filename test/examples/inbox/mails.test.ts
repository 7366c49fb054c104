import { fc, test as property } from '@fast-check/vitest';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadCorpus, loadInbox, splitInbox, type Corpus, type Inbox } from '../../../examples/inbox/mails.ts';
import { bodyKey, groupThreads, normalSubject, type Linkable } from '../../../examples/inbox/threads.ts';

const linkable = (id: string, given: Partial<Linkable> = {}): Linkable => ({
  id,
  subject: '',
  text: '',
  messageId: null,
  answers: [],
  ...given,
});

describe('threads', () => {
  const threadsOf = (...mails: Linkable[]) => new Set(groupThreads(mails).values()).size;

  test('a reply belongs to what it answers, and two replies to a mail nobody has belong together', () => {
    expect(threadsOf(linkable('1', { messageId: 'a@x' }), linkable('2', { answers: ['a@x'] }))).toBe(1);
    expect(threadsOf(linkable('1', { answers: ['gone@x'] }), linkable('2', { answers: ['gone@x'] }))).toBe(1);
    expect(threadsOf(linkable('1', { messageId: 'a@x' }), linkable('2', { messageId: 'b@x' }))).toBe(2);
  });

  test('the same subject links mails, and no subject links none', () => {
    expect(threadsOf(linkable('1', { subject: 'Falcons' }), linkable('2', { subject: 'Re: [list] falcons' }))).toBe(1);
    expect(threadsOf(linkable('1'), linkable('2', { subject: 'Re: ' }))).toBe(2);
  });

  test('copies of a campaign belong together, whatever their subjects', () => {
    const text = 'Dear friend, this letter will surprise you because we have not met, but I was told that you are honest. '.repeat(2);
    const copies = [linkable('1', { subject: 'one', text: `${text} 4711` }), linkable('2', { subject: 'two', text: `${text} end` })];
    expect(threadsOf(...copies)).toBe(1);
  });

  test.each([
    ['Re: [ILUG] AW: Fwd: Hello  World!', 'hello world'],
    ['Re[2]: Ouch...', 'ouch'],
    ['[use Perl] Stories for 2002-10-08', 'stories for'],
    ['RE: ', ''],
  ])('the subject %s is normally %j', (subject, normal) => expect(normalSubject(subject)).toBe(normal));

  test('bodies that differ in digits, spacing, links and addresses are one body, short ones only with the same subject', () => {
    const body = 'This is an offer that nobody in this room will want to refuse';
    const copy = `${body.replaceAll(' ', '\n')} 99 x@y.example`;
    expect(bodyKey({ subject: 'a', text: `${body} 12 http://a.example/1` })).toBe(bodyKey({ subject: 'b', text: copy }));
    expect(bodyKey({ subject: 'a', text: 'thanks!' })).not.toBe(bodyKey({ subject: 'b', text: 'thanks!' }));
  });
});

describe('the corpus', () => {
  let corpus: Corpus;
  let bodies: Map<string, string>;
  beforeAll(() => {
    corpus = loadCorpus();
    bodies = new Map(corpus.mails.map((mail) => [mail.id, bodyKey(mail)]));
  }, 30_000);

  test('has nearly all mails with a sender, a date and text, under ids that do not tell the label', () => {
    const share = (has: (mail: Corpus['mails'][number]) => boolean) => corpus.mails.filter(has).length / corpus.mails.length;
    expect(corpus.mails.length).toBeGreaterThan(5_000);
    expect(corpus.mails.length + corpus.duplicates).toBe(6_046);
    expect(new Set(corpus.mails.map(({ id }) => id)).size).toBe(corpus.mails.length);
    expect(corpus.mails.every(({ id }) => /^[0-9a-f]{12}$/.test(id))).toBe(true);
    expect(share(({ from }) => from.includes('@'))).toBeGreaterThan(0.99);
    expect(share(({ date }) => date !== null)).toBeGreaterThan(0.99);
    expect(share(({ text }) => text.length > 20)).toBeGreaterThan(0.99);
    expect(share(({ text }) => text.includes('\ufffd'))).toBeLessThan(0.001);
  });

  property.prop([fc.integer(), fc.integer({ min: 2, max: 1_500 })], { numRuns: 25 })(
    'no thread and no body is on both sides of a split, whatever the seed and the size',
    (seed, mails) => {
      const { run, training, threads, spamShare } = loadInbox({ seed, mails });
      const runThreads = new Set(run.map(({ id }) => threads.get(id)));
      const runBodies = new Set(run.map(({ id }) => bodies.get(id)));
      expect(training.filter(({ id }) => runThreads.has(threads.get(id)))).toEqual([]);
      expect(training.filter(({ id }) => runBodies.has(bodies.get(id)))).toEqual([]);
      expect(new Set([...run, ...training]).size).toBe(corpus.mails.length);
      expect(run.length).toBe(mails);
      expect(run.filter(({ label }) => label === 'spam').length).toBe(Math.round(mails * spamShare));
    },
    30_000,
  );

  test('a seed gives the same split again, and another seed another one', () => {
    const ids = (inbox: Inbox) => inbox.run.map(({ id }) => id);
    expect(ids(loadInbox({ seed: 7 }))).toEqual(ids(loadInbox({ seed: 7 })));
    expect(ids(loadInbox({ seed: 7 }))).not.toEqual(ids(loadInbox({ seed: 8 })));
    expect(loadInbox()).toEqual(loadInbox({ mails: 600, seed: 1 }));
  });

  test('the split without threads would leak: replies would lie on both sides', () => {
    const alone = new Map(corpus.mails.map(({ id }) => [id, id]));
    const { run, training } = splitInbox({ ...corpus, threads: alone });
    const runThreads = new Set(run.map(({ id }) => corpus.threads.get(id)));
    expect(training.some(({ id }) => runThreads.has(corpus.threads.get(id)))).toBe(true);
  });

  test.each([0, 1, 2.5, 5_000, Number.NaN])('a run of %d mails is refused', (mails) => {
    expect(() => loadInbox({ mails })).toThrow(RangeError);
  });
});
