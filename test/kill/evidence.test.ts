import { describe, expect, test } from 'vitest';
import { judge } from './evidence.ts';
import type { Story } from './evidence.ts';
import { call, effect, GOOD, snapshot, withEffect, withoutEffect, withRow, withTask } from './story.ts';

test('a story in which everything was kept has no violation', () => {
  expect(judge(GOOD)).toEqual([]);
});

test('an effect that is made again before it is remembered is no violation', () => {
  const again = effect('errand-7/step:before', { verdict: 'known', fence: 2, begunAtMs: 1_150 });
  expect(judge({ ...GOOD, effects: [...GOOD.effects, again] })).toEqual([]);
});

const { effects } = GOOD;
const undone = (names: readonly string[]): Partial<Story> => ({
  effects: [...effects.filter(({ key }) => !key.startsWith('order-1/undo:')), ...names.map((name) => effect(`order-1/undo:${name}`))],
});

describe('each broken promise is found', () => {
  test.each<[string, Partial<Story>, string]>([
    [
      'a task that is lost',
      { end: snapshot([...GOOD.end.tasks.values()].filter(({ id }) => id !== 'line-4')) },
      'task line-4: is not there',
    ],
    ['a task that has not ended', withTask('line-4', { status: 'parked' }), 'task line-4: has not ended but is parked'],
    ['a lock that is left', { end: { ...GOOD.end, left: { lock: 2 } } }, '2 rows are left in lock'],
    ['a lock with two holders', { end: { ...GOOD.end, overtaken: ['line-4'] } }, 'task line-4: was overtaken while it held its lease'],
    ['a task that nobody wanted', withTask('line-9', {}), 'task line-9: nobody wanted it'],
    ['an order that has completed and was to fail', withTask('order-1', { status: 'completed', result: '{"paid":7}' }), 'was to fail'],
    ['an order that has completed after it was cancelled', withTask('order-2', { status: 'completed' }), 'had been cancelled'],
    ['an order that is dead', withTask('order-0', { status: 'dead' }), 'order-0 (dead): was to complete'],
    ['an order with a step that was not made', withoutEffect('order-0/step:reserve'), 'order-0 (completed): lacks reserve'],
    [
      'an order with the result of another replay',
      withEffect('order-0/step:label', { payload: '{"text":"no"}' }),
      'another answer than its label',
    ],
    ['an order paid twice', withTask('order-0/payment#2', { kind: 'payment' }), 'order-0 (completed): has asked for two payments'],
    ['an order with two notes', withTask('order-0/send:note#2', {}), 'order-0 (completed): has sent two notes'],
    ['a note of an order that has failed', withTask('order-1/send:note#1', {}), 'order-1 (dead): has sent a note'],
    [
      'a completed order that is undone',
      { effects: [...effects, effect('order-0/undo:reserve')] },
      'order-0 (completed): has undone reserve',
    ],
    ['a compensation that was not made', undone(['label', 'reserve']), 'order-1 (dead): has undone only label, reserve'],
    ['a step that was made and not undone', withoutEffect('order-2/undo:reserve'), 'order-2 (cancelled): has made reserve and undone'],
    ['compensations in the wrong order', undone(['reserve', 'payment', 'label']), 'has undone reserve, payment, label in this order'],
    ['a lost update', withRow('account:1', 4), 'row account:1: expected 9, found 4'],
    ['a transfer that is half done', withRow('account:2', 0), 'row account:2: expected 3, found 0'],
    ['a line that is lost', withRow('ledger:a', [4]), 'ledger a: expected 4,6, found 4'],
    ['lines in the wrong order', withRow('ledger:a', [6, 4]), 'ledger a: expected 4,6, found 6,4'],
    [
      'lines that were made in the wrong order',
      { effects: [effect('line-6/step:append'), ...effects.filter(({ key }) => key !== 'line-6/step:append')] },
      'ledger a: its lines were made in the order 6,4',
    ],
    ['a failed line with an effect', { effects: [...effects, effect('line-5/step:append')] }, 'line-5 (dead): has an effect'],
    ['an event that was told twice', withTask('errand-7', { result: '{"turns":[1,1]}' }), 'errand-7 (completed): has been told'],
    [
      'an errand before its time',
      withEffect('errand-7/step:before', { begunAtMs: 900 }),
      'errand-7 (completed): has begun before its time',
    ],
    ['a sleep that was too short', withEffect('errand-7/step:awake', { begunAtMs: 1_250 }), 'errand-7 (completed): has slept too short'],
    ['an effect that was accepted twice', { effects: [...effects, effects[0]!] }, 'order-0/step:reserve: was accepted twice'],
    [
      'an effect with another payload',
      withEffect('line-4/step:append', { verdict: 'differs' }),
      'line-4/step:append: was made with two payloads',
    ],
    [
      'an effect that was remembered',
      { effects: [...effects, effect('order-0/step:reserve', { verdict: 'known', begunAtMs: 1_300 })] },
      'order-0/step:reserve: was remembered and made again',
    ],
    [
      'an effect of a task that had ended',
      { effects: [...effects, effect('order-0/step:label', { verdict: 'known', begunAtMs: 2_600 })] },
      'order-0/step:label: its task had ended',
    ],
    [
      'an effect under an older fence',
      { effects: [effect('line-4/step:other', { fence: 3 }), ...effects] },
      'line-4/step:append: accepted under an older fence',
    ],
    [
      'an effect under an older token',
      { effects: [effect('line-4/step:other', { lock: { resource: 'account:2', fence: 5 } }), ...effects] },
      'transfer-3/step:transfer: accepted under an older token of account:2',
    ],
    [
      'an effect without its lock',
      withEffect('transfer-3/step:transfer', { lock: { resource: 'account:2', fence: 0 } }),
      'older token of account:2',
    ],
    ['a call that was remembered', { calls: [call('order-0/call:model#1', 1_300)] }, 'order-0/call:model#1: was remembered and made again'],
    ['a call of a task that had ended', { calls: [call('order-0/call:model#2', 2_600)] }, 'order-0/call:model#2: its task had ended'],
    ['a turn that did nothing', withoutEffect('schedule:cron@1970-01-01T00:00:02.000Z/step:tick'), 'a turn is one effect'],
    [
      'a turn between two turns',
      withTask('schedule:cron@1970-01-01T00:00:02.100Z', { kind: 'tick' }),
      'schedule cron: fired between two turns',
    ],
    ['a turn when there was none', withTask('schedule:cron@1970-01-01T00:00:05.000Z', { kind: 'tick' }), 'when it was not there'],
    [
      'a schedule that has not fired',
      { end: snapshot([...GOOD.end.tasks.values()].filter(({ kind }) => kind !== 'tick')) },
      'schedule every: has not fired',
    ],
    [
      'an effect that was begun after a stop',
      { effects: [...effects, effect('order-0/step:label', { verdict: 'known', begunAtMs: 3_100 })] },
      'order-0/step:label: begun after the stop of its run had outlasted its lease',
    ],
    [
      'a completion by a run that was stopped',
      withTask('line-4', { finishedMs: 3_100 }),
      'line-4: completed by a run whose stop had outlasted its lease',
    ],
  ])('%s', (_, broken, violation) => {
    expect(judge({ ...GOOD, ...broken }).join('\n')).toContain(violation);
  });
});

test('a run that was claimed after the stop may complete', () => {
  const later = withTask('line-4', { claimedMs: 3_050, finishedMs: 3_100 });
  expect(judge({ ...GOOD, ...later })).toEqual([]);
});
