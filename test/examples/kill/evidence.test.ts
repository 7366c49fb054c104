import { describe, expect, test } from 'vitest';
import type { LogLine } from 'drover/fake-provider';
import { judge } from './evidence.ts';
import type { Kill, Story } from './evidence.ts';
import type { Snapshot, SnapshotTask } from './snapshot.ts';

const KEY = 'section-001/triage#1/call:model#1';

function task(given: Partial<SnapshotTask> = {}): SnapshotTask {
  return {
    id: 'section-001/triage#1',
    kind: 'triage',
    status: 'completed',
    attempt: 1,
    losses: 0,
    fence: 4,
    input: '{"mailId":"m1"}',
    result: '{}',
    finishedMs: 9_000,
    ...given,
  };
}

const snapshot = (tasks: readonly SnapshotTask[], remembered: readonly string[] = []): Snapshot => ({
  tasks: new Map(tasks.map((each) => [each.id, each])),
  remembered: new Set(remembered),
});

const accepted = (id: string, connection: string, atMs: number, key = KEY): LogLine => ({
  line: 'accepted',
  id,
  connection,
  atMs,
  key,
  model: 'm',
  promptTokens: 1,
  streamed: false,
});
const ended = (call: LogLine, endedAtMs: number, how: 'answered' | 'client-closed' = 'answered'): LogLine => {
  const { line: _, ...facts } = call as Extract<LogLine, { line: 'accepted' }>;
  const sent = how === 'answered' ? 'all' : 'nothing';
  return {
    line: 'ended',
    ...facts,
    ended: how,
    sent,
    status: how === 'answered' ? 200 : null,
    completionTokens: 1,
    endedAtMs,
    durationMs: 1,
  };
};
const closed = (connection: string, lastCallId: string, atMs: number): LogLine => ({
  line: 'connection-closed',
  connection,
  lastCallId,
  atMs,
});

const running = task({ status: 'running', fence: 2, result: null, finishedMs: null });
const kill = (logLines: number, store: Snapshot): Kill => ({ atMs: 0, logLines, store });

/** A kill while the first call was under way; the second life made it again. */
const first = accepted('a', 'c1', 1_000);
const second = accepted('b', 'c2', 5_000);
const good: Story = {
  mailIds: ['m1'],
  kills: [kill(3, snapshot([running]))],
  end: snapshot([task()]),
  log: [first, ended(first, 1_500, 'client-closed'), closed('c1', 'a', 1_500), second, ended(second, 5_600)],
};

test('a call that was in flight at the kill is no violation', () => {
  const { violations, facts } = judge(good);
  expect(violations).toEqual([]);
  expect(Object.fromEntries(facts)).toMatchObject({
    kills: 1,
    'calls made again after a kill': 1,
    'of them not answered in full before the kill': 1,
  });
});

test('a call that was answered, and killed before it was remembered, is no violation', () => {
  const log = [first, ended(first, 1_500), closed('c1', 'a', 1_510), second, ended(second, 5_600)];
  const { violations, facts } = judge({ ...good, log });
  expect(violations).toEqual([]);
  expect(Object.fromEntries(facts)).toMatchObject({ 'longest time from such an answer to the end of its connection, ms': 10 });
});

describe('each broken promise is found', () => {
  test.each<[string, Partial<Story>, string]>([
    ['a mail without a task', { mailIds: ['m1', 'm2'] }, 'mail m2: expected one completed task, found none'],
    [
      'a mail with two tasks',
      { end: snapshot([task(), task({ id: 'section-002/triage#1' })]) },
      'mail m1: expected one completed task, found completed, completed',
    ],
    ['a mail that is not done', { end: snapshot([running]) }, 'mail m1: expected one completed task, found running'],
    ['a mail that is dead', { end: snapshot([task({ status: 'dead' })]) }, 'found dead'],
    ['a mail from elsewhere', { end: snapshot([task(), task({ id: 'x', input: '{"mailId":"m9"}' })]) }, 'mail m9: is no mail of this run'],
    ['a completed task that ran again', { kills: [kill(5, snapshot([task({ fence: 3 })]))] }, 'was completed at kill 1 and has run again'],
    ['a completed task that is gone', { kills: [kill(5, snapshot([task({ id: 'gone' })]))] }, 'task gone: was completed at kill 1'],
    ['a call for a completed task', { kills: [kill(3, snapshot([task()]))] }, `call ${KEY}: its task was completed at kill 1`],
    [
      'a call for what is remembered',
      { kills: [kill(3, snapshot([running], [KEY]))] },
      `call ${KEY}: was remembered at kill 1 and made again`,
    ],
    [
      'a call answered twice in one life',
      { kills: [], log: [first, ended(first, 1_500), second, ended(second, 5_600)] },
      'made again in the same life',
    ],
    [
      'a call whose answer was long there at the kill',
      { log: [first, ended(first, 1_500), closed('c1', 'a', 3_000), second, ended(second, 5_600)] },
      'was answered long before the kill',
    ],
    [
      'a call whose client lived on after the answer',
      {
        kills: [kill(4, snapshot([running]))],
        log: [
          first,
          ended(first, 1_500),
          accepted('x', 'c1', 1_600, 'other/call:model#1'),
          closed('c1', 'x', 1_700),
          second,
          ended(second, 5_600),
        ],
      },
      'was answered long before the kill',
    ],
  ])('%s', (_, broken, violation) => {
    expect(judge({ ...good, ...broken }).violations.join('\n')).toContain(violation);
  });
});
