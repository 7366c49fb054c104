import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { empty, leastOf, matches, refusal, repeated, replyText, truncated, usualScorers } from '../../src/admission/quality.ts';
import type { Scorer, ScorerError } from '../../src/admission/quality.ts';
import type { ChatReply } from '../../src/providers/openai-reply.ts';

const ask = (scorer: Scorer, reply: unknown): number | undefined => scorer(reply, {});

/** Long, ordinary, and written by people. */
const PROSE = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8');

describe('the text of a reply', () => {
  test('is the reply, its text or its content, in parts or whole', () => {
    expect(replyText('hello')).toBe('hello');
    expect(replyText({ text: 'hello', content: 'other' })).toBe('hello');
    expect(replyText({ content: 'hello' })).toBe('hello');
    const parts = [{ type: 'text', text: 'hel' }, 'l', { type: 'tool_use', id: '7' }, { type: 'text', text: 'o' }, null];
    expect(replyText({ content: parts })).toBe('hello');
    expect(replyText({ content: null })).toBe('');
  });

  test('is nowhere else, and then nothing is said of it', () => {
    const scorers = [empty(), truncated(), repeated(), refusal(), matches(z.string())];
    for (const reply of [undefined, null, 7, true, {}, { text: 7 }, { body: 'hello' }, () => 'hello']) {
      expect(replyText(reply)).toBeUndefined();
      expect(scorers.map((scorer) => ask(scorer, reply))).toEqual([undefined, undefined, undefined, undefined, undefined]);
    }
  });

  test('is what the given function finds, for each of them', () => {
    const text = (reply: { readonly body: { readonly said: string } }) => reply.body.said;
    expect(empty({ text })({ body: { said: '' } }, {})).toBe(0);
    expect(refusal({ text })({ body: { said: 'I cannot assist with that.' } }, {})).toBe(0);
    expect(matches(z.number(), { text })({ body: { said: '7' } }, {})).toBe(1);
    const usual = leastOf(usualScorers({ text }));
    const scores = ['', '{"cut": ', 'no '.repeat(500), 'I must decline to answer.', 'Yes.'].map((said) => usual({ body: { said } }, {}));
    expect(scores).toEqual([0, 0, 0, 0, 1]);
  });
});

describe('several scorers', () => {
  const always = (score: unknown): Scorer => (() => score) as Scorer;

  test('give the least of what they say', () => {
    expect(leastOf([always(0.9), always(undefined), always(0.4), always(0.7)])('', {})).toBe(0.4);
    expect(leastOf([always(0), always(1)])('', {})).toBe(0);
  });

  test('give nothing when none has an opinion, or there is none', () => {
    expect(leastOf([always(undefined)])('', {})).toBeUndefined();
    expect(leastOf([])('', {})).toBeUndefined();
  });

  test('see the request too', () => {
    const answers: Scorer<string, { readonly word: string }> = (reply, { word }) => (reply.includes(word) ? 1 : 0.5);
    expect(leastOf([answers])('a dog', { word: 'dog' })).toBe(1);
    expect(leastOf([answers])('a cat', { word: 'dog' })).toBe(0.5);
  });

  test('one that throws has no opinion, and the others keep theirs', () => {
    const cause = new Error('broken');
    const broken: Scorer = () => {
      throw cause;
    };
    const faults: ScorerError[] = [];
    const scorer = leastOf([broken, always(0.8)], (fault) => faults.push(fault));
    expect([scorer('', {}), scorer('', {})]).toEqual([0.8, 0.8]);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ code: 'DROVER_SCORER', retryable: false, detail: { scorer: 'broken' }, cause });
  });

  test.each([[Number.NaN], [7], [-0.1], ['x'], [null], [true], [{}], [1n], [Symbol('s')]])('%s is no score', (nonsense) => {
    const faults: ScorerError[] = [];
    expect(leastOf([always(nonsense), always(1)], (fault) => faults.push(fault))('', {})).toBe(1);
    expect(faults[0]!.message).toContain('expected a number from 0 to 1');
  });

  test('nor is a promise, and its rejection goes nowhere', async () => {
    const faults: ScorerError[] = [];
    expect(leastOf([always(Promise.reject(new Error('late')))], (fault) => faults.push(fault))('', {})).toBeUndefined();
    await Promise.resolve();
    expect(faults).toHaveLength(1);
  });

  test('each is reported once', () => {
    const faults: ScorerError[] = [];
    const scorer = leastOf([always(7), always(8), always(0.5)], (fault) => faults.push(fault));
    for (let reply = 0; reply < 10; reply += 1) scorer('', {});
    expect(faults).toHaveLength(2);
  });

  test('an observer that throws, or is not there, breaks nothing', () => {
    const scorer = leastOf([always(7), always(0.5)], () => {
      throw new Error('observer');
    });
    expect(scorer('', {})).toBe(0.5);
    expect(leastOf([always(7)])('', {})).toBeUndefined();
  });

  test('a reply whose fields cannot be read breaks nothing', () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    const all = [empty(), truncated(), repeated(), refusal(), matches(z.string())];
    const faults: ScorerError[] = [];
    expect(leastOf(all, (fault) => faults.push(fault))(hostile, {})).toBeUndefined();
    expect(faults).toHaveLength(all.length);
  });

  test('the usual ones together let a good chat reply pass, and no garbage', () => {
    const scorer = leastOf<ChatReply>(usualScorers());
    const reply = (text: string, finishReason = 'stop'): ChatReply => ({
      text,
      toolCalls: [],
      finishReason,
      usage: null,
      model: 'm',
      id: '1',
    });
    expect(scorer(reply('The capital of France is Paris.'), {})).toBe(1);
    expect(scorer(reply(PROSE), {})).toBe(1);
    expect(scorer(reply(''), {})).toBe(0);
    expect(scorer(reply('The capital of', 'length'), {})).toBe(0);
    expect(scorer(reply('la la la la '.repeat(100)), {})).toBeLessThan(0.1);
    expect(scorer(reply("I'm sorry, but I can't assist with that."), {})).toBe(0);
  });
});

describe('any reply whatever', () => {
  test('gets a score from 0 to 1 or none, and is no fault of the scorers', () => {
    const markup = fc.array(
      fc.constantFrom(
        '```',
        '{"a":',
        '[',
        ']',
        '}',
        '"',
        '\\',
        '\n',
        '. ',
        'word ',
        "i'm sorry, but ",
        "i can't help with that",
        '—',
        '\ud800',
      ),
      {
        maxLength: 60,
      },
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      markup.map((pieces) => pieces.join('')),
    );
    const reply = fc.oneof(
      text,
      fc.anything(),
      fc.record(
        { text: fc.oneof(text, fc.anything()), finishReason: fc.oneof(fc.string(), fc.anything()), refusal: fc.anything() },
        { requiredKeys: [] },
      ),
      fc.record({ content: fc.array(fc.oneof(fc.anything(), fc.record({ text }))) }),
    );
    fc.assert(
      fc.property(reply, (said) => {
        for (const scorer of [...usualScorers(), matches(z.object({ a: z.number() }))]) {
          const score = scorer(said, {});
          expect(score === undefined || (score >= 0 && score <= 1)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('texts made to be slow', () => {
  const MEGABYTES = 5_000_000;
  const filled = (piece: string): string => piece.repeat(Math.ceil(MEGABYTES / piece.length));

  test.each([
    ' ',
    'a',
    'ab',
    '{',
    '[',
    '{"a":',
    '```',
    '```\n',
    '. ',
    '! ',
    'a,',
    '\n',
    '- ',
    "i'm sorry, but ",
    'thank you ',
    'http://',
    '"',
    '\\',
  ])(
    'five megabytes of %j take a moment',
    (piece) => {
      const text = filled(piece);
      const scorer = leastOf([...usualScorers(), matches(z.string())]);
      const score = scorer(text, {});
      expect(score === undefined || (score >= 0 && score <= 1)).toBe(true);
    },
    1_000,
  );
});
