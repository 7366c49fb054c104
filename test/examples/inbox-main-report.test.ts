import { describe, expect, test } from 'vitest';
import type { TaskStatus } from 'drover';
import type { CallRecord } from 'drover/fake-provider';
import type { TriageResult } from '../../examples/inbox/agents.ts';
import { writeInboxDigest } from '../../examples/inbox/inbox-digest.ts';
import type { Label, Mail } from '../../examples/inbox/mails.ts';
import { printReport, reportOf } from '../../examples/inbox/report.ts';
import type { JobTask, ReportInput } from '../../examples/inbox/report.ts';

const STARTED = 10_000;

function record(given: Pick<JobTask, 'id' | 'input' | 'status'> & Partial<JobTask>): JobTask {
  return { result: undefined, parentId: null, submittedAtMs: 1_000, finishedAtMs: STARTED + 500, ...given };
}

const mail = (id: string, label: Label = 'ham', given: Partial<Mail> = {}): Mail => ({
  id,
  label,
  from: 'ann@example.com',
  fromName: 'Ann',
  subject: `Subject of ${id}`,
  date: '2002-08-01T00:00:00.000Z',
  text: '',
  ...given,
});

const notes = (given: Partial<NonNullable<TriageResult['notes']>> = {}) => ({
  summary: 'A summary.',
  people: [],
  topics: [],
  dates: [],
  asks: [],
  urgency: 'normal' as const,
  ...given,
});

function triaged(mailId: string, label: Label = 'ham', given: Partial<JobTask> = {}, result: Partial<TriageResult> = {}): JobTask {
  const said: TriageResult = { mailId, label, confidence: 1, reason: 'Because.', notes: label === 'ham' ? notes() : null, ...result };
  return record({
    id: `section-001/triage#${mailId}`,
    input: { mailId },
    status: 'completed',
    result: said,
    ...given,
  });
}

const section = (mailIds: readonly string[], status: TaskStatus = 'completed', markdown = '# Inbox\n\n- News'): JobTask =>
  record({
    id: 'section-001',
    status,
    input: { title: 'August', mailIds },
    result: status === 'completed' ? { title: 'August', markdown, ham: 1, spam: 1, failed: 0 } : undefined,
  });

const input = (given: Partial<ReportInput>): ReportInput => ({
  mails: [mail('a'), mail('b', 'spam')],
  tasks: { triage: [triaged('a'), triaged('b', 'spam')], digest: [section(['a', 'b'])] },
  calls: [],
  usage: { calls: 3, rejected429: 0, inputTokens: 100, outputTokens: 10 },
  restarts: 0,
  interrupted: false,
  startedAtMs: STARTED,
  wallMs: 1_000,
  ...given,
});

describe('the report', () => {
  test('of a job that is done has every mail completed, once, and its label scored', () => {
    expect(reportOf(input({}))).toEqual({
      submitted: 2,
      completed: 2,
      failed: 0,
      dead: 0,
      unfinished: 0,
      resumed: 0,
      duplicates: 0,
      lost: 0,
      calls: 3,
      rejected429: 0,
      inputTokens: 100,
      outputTokens: 10,
      restarts: 0,
      accuracy: 1,
      majorityShare: 0.5,
      falsePositives: 0,
      falseNegatives: 0,
      ham: 1,
      spam: 1,
      interrupted: false,
      wallMs: 1_000,
    });
  });

  test('tells the two kinds of error apart', () => {
    const tasks = { triage: [triaged('a', 'spam'), triaged('b', 'ham')], digest: [section(['a', 'b'])] };
    expect(reportOf(input({ tasks }))).toMatchObject({ accuracy: 0, falsePositives: 1, falseNegatives: 1 });
  });

  test('says which were done before this process began', () => {
    const tasks = { triage: [triaged('a', 'ham', { finishedAtMs: STARTED - 1 }), triaged('b', 'spam')], digest: [section(['a', 'b'])] };
    expect(reportOf(input({ tasks }))).toMatchObject({ completed: 2, resumed: 1 });
  });

  test('counts a mail as lost that nobody has and whose section is over', () => {
    const tasks = { triage: [triaged('a')], digest: [section(['a', 'b'])] };
    expect(reportOf(input({ tasks }))).toMatchObject({ completed: 1, lost: 1, unfinished: 0 });
  });

  test('counts a mail as lost whose section is not in the store at all', () => {
    expect(reportOf(input({ tasks: { triage: [], digest: [] } }))).toMatchObject({ lost: 2, accuracy: null, majorityShare: null });
  });

  test('counts a mail as unfinished that its section has yet to ask for, or that waits by itself', () => {
    const tasks = {
      triage: [triaged('a', 'ham', { status: 'queued', result: undefined, finishedAtMs: null })],
      digest: [section(['a', 'b'], 'parked')],
    };
    expect(reportOf(input({ tasks, interrupted: true }))).toMatchObject({ completed: 0, lost: 0, unfinished: 2 });
  });

  test('counts failed and dead mails as what they are', () => {
    const tasks = {
      triage: [triaged('a', 'ham', { status: 'failed' }), triaged('b', 'ham', { status: 'dead' })],
      digest: [section(['a', 'b'])],
    };
    expect(reportOf(input({ tasks }))).toMatchObject({ completed: 0, failed: 1, dead: 1, lost: 0 });
  });

  test('counts a mail that two tasks completed as a duplicate', () => {
    const tasks = { triage: [triaged('a'), triaged('a', 'ham', { id: 'other' }), triaged('b', 'spam')], digest: [section(['a', 'b'])] };
    expect(reportOf(input({ tasks }))).toMatchObject({ completed: 2, duplicates: 1 });
  });

  test('is readable', () => {
    expect(printReport(reportOf(input({ usage: { calls: 200, rejected429: 2, inputTokens: 1, outputTokens: 2 } })))).toContain(
      '200, of which 2 refused with 429 (1.0 %)',
    );
    expect(printReport(reportOf(input({ tasks: { triage: [], digest: [] } })))).toContain('nothing to score');
  });
});

describe('a call that the provider answered twice', () => {
  let count = 0;
  const call = (given: Partial<CallRecord>): CallRecord => ({
    state: 'ended',
    id: `req_${(count += 1)}`,
    connection: 'c1',
    atMs: STARTED + 100,
    key: 'section-001/triage#a/call:model#1',
    model: 'm',
    promptTokens: 1,
    streamed: false,
    ended: 'answered',
    sent: 'all',
    status: 200,
    completionTokens: 1,
    endedAtMs: STARTED + 200,
    durationMs: 100,
    ...given,
  });
  const again = call({ connection: 'c2', atMs: STARTED + 300 });

  test.each<[string, readonly CallRecord[], number]>([
    ['in this process is a duplicate', [call({}), again], 1],
    ['is none when its first answer was cut off', [call({ sent: 'part', ended: 'fault:resetMidStream' }), again], 0],
    ['is none when an earlier process may have died before it read the first', [call({ atMs: STARTED - 100 }), again], 0],
    [
      'is one when that process went on over the same connection',
      [call({ atMs: STARTED - 100 }), call({ atMs: STARTED - 50, key: 'section-001/triage#b/call:model#1' }), again],
      1,
    ],
    ['is none when the first was asked for another store', [call({ atMs: 500 }), again], 0],
    ['is none when it is of another job', [call({ key: 'other/call:model#1' }), call({ key: 'other/call:model#1', connection: 'c2' })], 0],
  ])('%s', (_, calls, duplicates) => {
    expect(reportOf(input({ calls }))).toMatchObject({ duplicates });
  });
});

describe('the digest of the inbox', () => {
  const urgent = triaged('a', 'ham', {}, { notes: notes({ asks: ['Please call me.'], urgency: 'high', dates: ['Monday'] }) });

  test('has what is urgent first, then the sections, then the spam', () => {
    const tasks = { triage: [urgent, triaged('b', 'spam', {}, { confidence: 0.7 })], digest: [section(['a', 'b'])] };
    expect(writeInboxDigest([mail('a'), mail('b', 'spam', { fromName: '' })], tasks)).toBe(`# Inbox digest: 2 mails

- **1** worth reading; 1 of them ask for something, **1** urgently
- **1** put aside as spam

## Answer these first

- **Ann**, "Subject of a", 2002-08-01: Please call me. _(Monday)_

## What happened, newest first

### August

_1 to read, 1 spam._

- News

## Spam: 1 mail

Look again, the model was not sure:

- **ann@example.com**, "Subject of b", 70 % sure. Because.

`);
  });

  test('says what could not be done', () => {
    const text = writeInboxDigest([mail('a'), mail('b')], { triage: [triaged('a')], digest: [section(['a', 'b'], 'dead')] });
    expect(text).toContain('- **1** not read: the fleet could not finish them');
    expect(text).toContain('This section is not done: the task section-001 is dead.');
  });

  test('lets no mail and no model put HTML, links or pictures into it', () => {
    const subject = '<img src=x> ![pixel](http://evil) [click](http://evil)\n# Heading';
    const spam = triaged('b', 'spam', {}, { confidence: 0.5, reason: '<b>' });
    const text = writeInboxDigest([mail('a'), mail('b', 'spam', { subject })], {
      triage: [urgent, spam],
      digest: [section(['a', 'b'], 'completed', '# Inbox\n\n- <script> and ![pixel](http://evil)')],
    });
    expect(text).toContain('"\\<img src=x\\> !\\[pixel\\](http://evil) \\[click\\](http://evil) \\# Heading"');
    expect(text).toContain('- \\<script> and !\\[pixel\\](http://evil)');
    expect(text).not.toMatch(/(?<!\\)[<[]/);
  });
});
