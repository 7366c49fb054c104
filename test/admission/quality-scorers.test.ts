import { readFileSync } from 'node:fs';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { empty, leastOf, matches, refusal, repeated, truncated } from '../../src/admission/quality.ts';
import type { Scorer, ScorerError } from '../../src/admission/quality.ts';

const ask = (scorer: Scorer, reply: unknown): number | undefined => scorer(reply, {});

/** Long, ordinary, and written by people. */
const PROSE = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8');

describe('empty', () => {
  test.each(['', '   \n\t ', '\u200B\u200D\uFEFF', '```\n```', '---', '**', '\u00A0', '\u0000'])('%j is empty', (text) => {
    expect(ask(empty(), text)).toBe(0);
  });

  test.each(['0', '.', 'ok', '👍', '是', '```\n1\n```', '- a'])('%j is not', (text) => {
    expect(ask(empty(), text)).toBe(1);
  });

  test('a reply that calls a tool need not speak', () => {
    for (const called of [{ toolCalls: [{}] }, { finishReason: 'tool-calls' }, { stop_reason: 'tool_use' }])
      expect(ask(empty(), { text: '', ...called })).toBeUndefined();
    expect(ask(empty(), { text: '', toolCalls: [] })).toBe(0);
  });

  test('nobody reads ten megabytes of spaces', () => {
    expect(ask(empty(), ' '.repeat(10_000_000))).toBe(0);
  });
});

describe('truncated', () => {
  test('by its reason to stop, wherever that stands, and whatever the text looks like', () => {
    const whole = 'This is whole.';
    for (const cut of [
      { finishReason: 'length' },
      { finish_reason: 'length' },
      { stopReason: 'max_tokens' },
      { stop_reason: 'MAX_TOKENS' },
    ])
      expect(ask(truncated(), { text: whole, ...cut })).toBe(0);
    expect(ask(truncated(), { text: whole, finishReason: { unified: 'length', raw: 'max_tokens' } })).toBe(0);
    for (const reason of ['stop', 'end_turn', 'stop_sequence', 'tool-calls'])
      expect(ask(truncated(), { text: '{"a": [1, 2', finishReason: reason })).toBe(1);
    expect(ask(truncated(), { text: '{"a": [1, 2', finishReason: 'who knows' })).toBe(0);
  });

  test.each(['{"a": 1, "b": [1, 2', '{"a": "text with } and ]', '[{"a": 1}, {"a"', '["one", "two', '{"quoted": "a \\" b", "x": {', '{'])(
    '%j is JSON that was cut',
    (text) => {
      expect(ask(truncated(), text)).toBe(0);
    },
  );

  test.each([
    '{"a": 1}',
    '[]',
    '{}',
    '{"a": "an open { in a text"}',
    '[1] Smith, 2019, says so',
    '[0, 1) is half-open',
    '{name} stands for a name',
    '[link](https://a.example)',
    '{"a": 1} is what I found',
  ])('%j is whole', (text) => {
    expect(ask(truncated(), text)).toBe(1);
  });

  test('JSON longer than what is looked at is judged by its last character', () => {
    const long = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ index })));
    expect(ask(truncated(), `${long}\n`)).toBe(1);
    expect(ask(truncated(), long.slice(0, -20))).toBe(0);
  });

  test('a code block that is never closed is cut', () => {
    expect(ask(truncated(), 'Here it is:\n```ts\nconst a = 1;\n')).toBe(0);
    expect(ask(truncated(), 'Here it is:\n```ts\nconst a = 1;\n```')).toBe(1);
  });

  const prose =
    'The harbour was quiet when the boats came in. Nobody had expected them before the evening, and the market was closed. '.repeat(2);

  test('prose that stops within a sentence is probably cut', () => {
    expect(ask(truncated(), `${prose}So the men went up the hill and`)).toBe(0.25);
    expect(ask(truncated(), `${prose}So the men went up the hill, and then,`)).toBe(0.25);
  });

  test.each([
    ['prose that ends', prose],
    ['with a quotation', `${prose}He said: "No."`],
    ['with a list', `${prose}\n\n- one\n- two`],
    ['with a numbered list', `${prose}\n1. one\n2. two`],
    ['with a table', `${prose}\n| a | b\n| 1 | 2`],
    ['with a signature', `${prose}\n\nBest regards,\nAnna`],
    ['with a signature below a rule', `${prose}\n-- \n"I don't take no stocks in mathematics, anyway" --Huckleberry Finn`],
    ['with a mail address', `${prose}\nMy permanent address, should you ever lose this one: anna@a.example`],
    ['with an address', `${prose}See https://a.example/harbour`],
    ['with a smile', `${prose}See you there 🙂`],
    ['a short answer', 'Paris'],
    ['a title', 'The quiet harbour'],
    ['code', `const harbour = 1\n${'    boats.push(harbour)\n'.repeat(20)}done`],
  ])('%s is not', (_, text) => {
    expect(ask(truncated(), text)).toBe(1);
  });

  test('nothing is said of an empty text', () => {
    expect(ask(truncated(), '  ')).toBeUndefined();
  });
});

describe('repeated', () => {
  test.each([
    ['a sentence over and over', 'The model is stuck in this sentence and will not leave it. '.repeat(30)],
    ['one word', 'the '.repeat(200)],
    ['one character', '!'.repeat(1_000)],
    ['without spaces', '他说他说不知道'.repeat(100)],
    ['a loop after a good beginning', `${PROSE.slice(0, 20_000)} ${'and then we went on, '.repeat(120)}`],
    ['a loop of characters after a good beginning', `${PROSE.slice(0, 5_000)}${'abc\n'.repeat(200)}`],
  ])('%s scores low', (_, text) => {
    expect(ask(repeated(), text)).toBeLessThan(0.2);
  });

  test('what says itself three times scores lower than what says itself twice', () => {
    const once = PROSE.slice(2_000, 2_700);
    const [one, two, three] = [1, 2, 3].map((times) => ask(repeated(), `${once}\n\n`.repeat(times))!);
    expect(one).toBe(1);
    expect(two).toBeLessThan(0.8);
    expect(two).toBeGreaterThan(0.4);
    expect(three).toBeLessThan(0.3);
  });

  test.each([
    ['prose', PROSE],
    ['its parts', PROSE.slice(5_000, 7_000)],
    ['code', readFileSync(new URL('../../actors/admission/wait-line.ts', import.meta.url), 'utf8')],
    [
      'JSON with the same keys',
      JSON.stringify(
        Array.from({ length: 60 }, (_, id) => ({ id, name: `name ${id * 7}`, price: id * 3.1 })),
        null,
        1,
      ),
    ],
    ['a rule at the end', `${PROSE.slice(0, 3_000)}\n${'-'.repeat(120)}`],
  ])('%s does not', (_, text) => {
    expect(ask(repeated(), text)).toBeGreaterThan(0.9);
  });

  test('nothing is said of what is too short to tell', () => {
    expect(ask(repeated(), 'no no no no no no')).toBeUndefined();
  });
});

describe('matches', () => {
  const schema = z.object({ total: z.number() });

  test.each([
    '{"total": 7}',
    '  {"total": 7, "more": true}\n',
    '```json\n{"total": 7}\n```',
    'Here you are:\n\n```\n{"total": 7}\n```\nAnything else?',
    'First:\n```json\n{"sum": 1}\n```\nthen:\n```json\n{"total": 7}\n```',
    'It is ```{"total": 7}```.',
  ])('%j matches', (text) => {
    expect(ask(matches(schema), text)).toBe(1);
  });

  test.each([
    '{"total": "7"}',
    '{"total": 7',
    '',
    'The total is 7.',
    '```json\n{"total": 7}',
    'It is {"total": 7}.',
    'null',
    '```json\n```',
  ])('%j does not', (text) => {
    expect(ask(matches(schema), text)).toBe(0);
  });

  test('nothing is said of a megabyte, or of a reply that calls a tool', () => {
    expect(ask(matches(schema), `{"total": 7}${' '.repeat(1_000_000)}`)).toBeUndefined();
    expect(ask(matches(schema), { text: '', finishReason: 'tool_calls' })).toBeUndefined();
  });

  test('a schema that gives a promise is a fault of the scorer, and its rejection goes nowhere', () => {
    const late: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('late')) } };
    const faults: ScorerError[] = [];
    expect(leastOf([matches(late)], (fault) => faults.push(fault))('{"total": 7}', {})).toBeUndefined();
    expect(faults).toMatchObject([{ code: 'DROVER_SCORER', detail: { scorer: 'matches' } }]);
  });
});

describe('refusal', () => {
  test.each([
    "I'm sorry, but I can't assist with that.",
    'I’m sorry, but I can’t help with that request.',
    'I cannot assist with this request.',
    "I can't help with that.",
    "I'm sorry, I can't help you with that",
    "Sorry, but I'm unable to help with that topic.",
    "I'm unable to comply with your request as it may cause harm.",
    'I apologize, but I cannot fulfill this request.',
    'Unfortunately, I am not able to assist with this.',
    'As an AI language model, I cannot comply with that request.',
    "I understand that you are curious, but I can't provide instructions for illegal activities.",
    'I must decline to answer that question.',
    'I have to respectfully decline this request.',
    "I won't be able to help with that, since it goes against the rules.",
    'I cannot generate content that is hateful or discriminatory.',
    "I'm not comfortable writing that. I can't create sexually explicit material.".replace(/^[^.]+\. /, ''),
    'This request violates our usage policies.',
    "**I'm sorry**, but I cannot assist with that.",
    'Thank you for your message. I’m sorry, but I can’t help with that.',
  ])('%j is one', (text) => {
    expect(ask(refusal(), text)).toBe(0);
  });

  test('a reply that says so itself is one', () => {
    expect(ask(refusal(), { text: '', stop_reason: 'refusal' })).toBe(0);
    expect(ask(refusal(), { text: 'Well', finishReason: 'content-filter' })).toBe(0);
    expect(ask(refusal(), { content: null, refusal: 'No, thanks.' })).toBe(0);
    expect(ask(refusal(), { text: 'Yes.', refusal: null, finishReason: 'stop' })).toBe(1);
  });

  test.each([
    "I'm sorry, but I can't make it on Friday.",
    "I'm sorry to hear that your package is late. It will arrive on Monday.",
    "I'm sorry, but I can't help with the move this weekend, since I am away.",
    "I can't help but notice that the third figure is off.",
    "I can't help with that on Friday, but Saturday is fine.",
    'Unfortunately, I am unable to attend the meeting. Could we move it?',
    'Unfortunately, the invoice has no date.',
    'Dear Anna, I have to decline your kind invitation.',
    'I must decline the offer, though it honours me.',
    'I cannot recommend this restaurant enough.',
    'I cannot find the total in the text, so I left it empty.',
    'I cannot provide a date, for the document names none.',
    'I cannot tell from the picture whether the light is on.',
    'I was unable to open the file; the path may be wrong.',
    'We are unable to ship to this address. Please choose another one.',
    'Sorry for the confusion! The answer is 42.',
    'Sorry, the earlier sum was wrong. It is 17.',
    'I apologize for the delay. Your refund is on its way.',
    'I am not able to reproduce the bug on version 3.',
    'As an AI researcher, I cannot overstate how useful this is.',
    'As an AI, I have no taste, but most people like the second one.',
    "As an AI language model, I can't see your screen, so tell me what it says.",
    'The user cannot assist with that request, says the manual.',
    'The request violates the schema: `total` is missing.',
    'This question goes to the heart of the matter.',
    'It is illegal to park here.',
    'The text says: the guard cannot help with that.',
    "You can't use `await` here, because the function is not asynchronous.",
    "I won't lie: it is a difficult exam.",
    'I will not repeat what was said above. The main point is the price.',
    'Thank you for asking. The shop opens at nine.',
    'No.',
    'Declined.',
    'I understand that you want a refund. I have started it.',
    'I can help with that! First, open the settings.',
    'Je ne peux pas vous aider.',
  ])('%j is none', (text) => {
    expect(ask(refusal(), text)).toBe(1);
  });

  test('no paragraph of a long text is one', () => {
    for (const paragraph of PROSE.split('\n\n')) expect(ask(refusal(), paragraph)).toBe(1);
  });

  test('a long text is none, however it begins', () => {
    expect(ask(refusal(), `I can't help with that. ${'But here is something else. '.repeat(100)}`)).toBe(1);
  });
});
