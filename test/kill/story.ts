/** A story in which every promise was kept, to be broken by tests. */
import type { LogLine } from 'drover/fake-provider';
import type { LoggedEffect } from './effects.ts';
import type { Story } from './evidence.ts';
import { ASKED_AT } from './outside.ts';
import type { Snapshot, SnapshotRow, SnapshotTask } from './snapshot.ts';
import type { Wanted } from './workload.ts';

/** A completed task. */
export function task(id: string, kind: string, given: Partial<SnapshotTask> = {}): SnapshotTask {
  return {
    id,
    kind,
    status: 'completed',
    attempt: 1,
    losses: 0,
    fence: 2,
    result: null,
    error: null,
    claimedMs: 1_000,
    finishedMs: 2_000,
    ...given,
  };
}

/** A store with these tasks and no others. */
export function snapshot(tasks: readonly SnapshotTask[], given: Partial<Snapshot> = {}): Snapshot {
  return {
    tasks: new Map(tasks.map((each) => [each.id, each])),
    remembered: new Set(),
    rows: new Map(),
    epoch: 1,
    token: 1,
    overtaken: [],
    miscounted: [],
    left: { lock: 0 },
    ...given,
  };
}

/** An accepted effect. */
export function effect(key: string, given: Partial<LoggedEffect> = {}): LoggedEffect {
  const id = key.slice(0, key.lastIndexOf('/'));
  return { key, task: id, fence: 1, payload: '{}', pid: 7, runAtMs: 1_000, begunAtMs: 1_100, atMs: 1_110, verdict: 'accepted', ...given };
}

/** A call that the provider has accepted. */
export function call(key: string, askedAtMs: number): LogLine {
  return {
    line: 'accepted',
    id: 'c',
    connection: 'k',
    atMs: 9_000,
    key,
    model: `${ASKED_AT}${askedAtMs}`,
    promptTokens: 1,
    streamed: false,
  };
}

const WANTED: readonly Wanted[] = [
  { id: 'order-0', kind: 'order', n: 0, account: 1, amount: 5, fate: 'completes', steered: undefined, acceptedMs: 1 },
  { id: 'order-1', kind: 'order', n: 1, account: 1, amount: 7, fate: 'fails', steered: undefined, acceptedMs: 1 },
  { id: 'order-2', kind: 'order', n: 2, account: 1, amount: 9, fate: 'cancelled', steered: 'done', acceptedMs: 1 },
  { id: 'transfer-3', kind: 'transfer', from: 1, to: 2, amount: 3, acceptedMs: 1 },
  { id: 'line-4', kind: 'ledger', key: 'a', n: 4, fails: false, acceptedMs: 1 },
  { id: 'line-5', kind: 'ledger', key: 'a', n: 5, fails: true, acceptedMs: 1 },
  { id: 'line-6', kind: 'ledger', key: 'a', n: 6, fails: false, acceptedMs: 1 },
  { id: 'errand-7', kind: 'errand', n: 7, sleepMs: 200, notBeforeMs: 1_000, approved: true, acceptedMs: 1 },
];

const TASKS: readonly SnapshotTask[] = [
  task('order-0', 'order', { result: '{"paid":5,"text":"yes"}' }),
  task('order-0/payment#1', 'payment'),
  task('order-0/send:note#1', 'note'),
  task('order-1', 'order', { status: 'dead' }),
  task('order-1/payment#1', 'payment'),
  task('order-2', 'order', { status: 'cancelled' }),
  task('transfer-3', 'transfer'),
  task('line-4', 'ledger'),
  task('line-5', 'ledger', { status: 'dead' }),
  task('line-6', 'ledger'),
  task('errand-7', 'errand', { result: '{"turns":[1,2],"decided":"approved by ann"}' }),
  task('schedule:every@1970-01-01T00:00:01.250Z', 'tick'),
  task('schedule:cron@1970-01-01T00:00:02.000Z', 'tick'),
];

const EFFECTS: readonly LoggedEffect[] = [
  effect('order-0/step:reserve'),
  effect('order-0/step:label', { payload: '{"text":"yes"}' }),
  effect('order-1/step:reserve'),
  effect('order-1/step:label'),
  effect('order-1/undo:label'),
  effect('order-1/undo:payment'),
  effect('order-1/undo:reserve'),
  effect('order-2/step:reserve'),
  effect('order-2/undo:reserve'),
  effect('transfer-3/step:transfer', { lock: { resource: 'account:2', fence: 4 } }),
  effect('line-4/step:append'),
  effect('line-6/step:append'),
  effect('errand-7/step:before'),
  effect('errand-7/step:awake', { begunAtMs: 1_300 }),
  effect('errand-7/step:after', { begunAtMs: 1_400 }),
  effect('schedule:every@1970-01-01T00:00:01.250Z/step:tick'),
  effect('schedule:cron@1970-01-01T00:00:02.000Z/step:tick'),
];

const ROWS: readonly (readonly [string, SnapshotRow])[] = [
  ['account:1', { version: 1, value: 9 }],
  ['account:2', { version: 2, value: 3 }],
  ['ledger:a', { version: 3, value: [4, 6] }],
];

/** Every promise was kept. */
export const GOOD: Story = {
  wanted: WANTED,
  end: snapshot(TASKS, { rows: new Map(ROWS) }),
  effects: EFFECTS,
  calls: [call('order-0/call:model#1', 1_100)],
  stops: [{ pid: 7, stoppedAtMs: 1_500, continuedAtMs: 3_000 }],
  endedAtMs: new Map([['order-0', 2_500]]),
  rememberedAtMs: new Map([
    ['order-0/step:reserve', 1_200],
    ['order-0/call:model#1', 1_200],
  ]),
  scheduled: { fromMs: 1_000, toMs: 2_500 },
};

/** The good story with one task other than it was. */
export function withTask(id: string, given: Partial<SnapshotTask>): Partial<Story> {
  const { end } = GOOD;
  return { end: { ...end, tasks: new Map([...end.tasks, [id, { ...(end.tasks.get(id) ?? task(id, 'note')), ...given }]]) } };
}

/** The good story with one effect other than it was. */
export function withEffect(key: string, given: Partial<LoggedEffect>): Partial<Story> {
  return { effects: GOOD.effects.map((each) => (each.key === key ? { ...each, ...given } : each)) };
}

/** The good story without one effect. */
export function withoutEffect(key: string): Partial<Story> {
  return { effects: GOOD.effects.filter((each) => each.key !== key) };
}

/** The good story with another value in one row. */
export function withRow(key: string, value: unknown): Partial<Story> {
  const { end } = GOOD;
  return { end: { ...end, rows: new Map([...end.rows, [key, { version: 9, value }]]) } };
}
