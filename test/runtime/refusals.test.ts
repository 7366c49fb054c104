/** Small refusals and warnings: typed, and saying what to do. */
import { DatabaseSync } from 'node:sqlite';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agent, BoundReachedError } from 'drover';
import { adviceFor } from '../../src/stores/sqlite-file.ts';
import { toStoreError } from '../../src/stores/sqlite-thread.ts';
import { Testbed } from './harness.ts';

test.each([Infinity, Number.NaN, -1, new Date(Number.NaN), '5' as never])('ctx.sleep(%s) is refused', async (until) => {
  await using bed = new Testbed();
  const work = agent({ run: async (_input: null, ctx) => ctx.sleep(until) });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null));
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_PAYLOAD_INVALID' } } });
});

describe('an approval that has expired', () => {
  test('cannot be decided any more, and says so', async () => {
    await using bed = new Testbed();
    const work = agent({
      async run(_input: null, ctx) {
        const said = ctx.approval('pay', null, { withinMs: 60_000 }).catch((error: { code: string }) => error.code);
        await ctx.sleep(3_600_000);
        return said;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(60_000);
    expect(await bed.rejection(fleet.approve('x', 'pay'))).toMatchObject({
      code: expect.stringMatching(/^DROVER_APPROVAL_(EXPIRED|NOT_ASKED)$/) as unknown,
    });
    expect(await bed.drive(handle.result(), 7_200_000)).toBe('DROVER_WAIT_TIMEOUT');
  });
});

describe('a deadline', () => {
  test('of a parked task is met to the millisecond', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (_input: null, ctx) => ctx.sleep(3_600_000) });
    const fleet = await bed.start({ agents: { work } });
    const failed = bed.record(fleet, 'task.failed');
    const deadline = bed.nowMs + 5_300;
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x', deadline }));
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: { error: { code: 'DROVER_DEADLINE_PASSED', message: 'task x: had not ended by its deadline' } },
    });
    expect(failed.length + bed.nowMs - deadline).toBeLessThan(20);
  });

  test('and a priority that come with an id which is there already change nothing', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (_input: null, ctx) => ctx.sleep(60_000).then(() => 'done') });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    const again = await bed.drive(fleet.submit('work', null, { id: 'x', deadline: bed.nowMs + 1_000, priority: 9 }));
    expect(await bed.drive(again.result())).toBe('done');
  });
});

test('tasks of a kind that the topology does not have any more are named at the start', async () => {
  await using bed = new Testbed();
  const work = agent({ run: async (_input: null, ctx) => ctx.sleep(60_000) });
  const fleet = await bed.start({ agents: { old: work } });
  await bed.drive(fleet.submitMany('old', [{ input: null }, { input: null }]));
  await bed.close(fleet);
  const next = await bed.start({ agents: { renamed: work } });
  const told = bed.record(next, 'kind.unknown');
  await bed.advance(10);
  expect(told).toMatchObject([{ kind: 'old', unfinished: 2 }]);
  expect(await bed.drive(next.unknownKinds())).toEqual([{ kind: 'old', unfinished: 2 }]);
});

test('a bound that is no setting does not ask to be raised', () => {
  expect(new BoundReachedError({ id: 'x', bound: 'locks', limit: 1_000 }).message).toBe('task x: holds at most 1000 locks; split the task');
  expect(new BoundReachedError({ id: 'x', bound: 'fanOut', limit: 9 }).message).toBe(
    'task x: bounds.fanOut is 9; raise it, or split the task',
  );
});

describe('a database file', () => {
  const thrownBy = (act: () => void): unknown => {
    try {
      act();
    } catch (error) {
      return error;
    }
    return undefined;
  };

  test('that another process has locked names that as the likely cause', () => {
    const folder = mkdtempSync(join(tmpdir(), 'drover-refusals-'));
    const path = join(folder, 'tasks.db');
    const holder = new DatabaseSync(path);
    const other = new DatabaseSync(path);
    holder.exec('create table t (a); begin exclusive');
    const thrown = thrownBy(() => other.exec('insert into t values (1)'));
    const error = toStoreError({ at: 'failed', why: adviceFor(thrown), cause: thrown as Error }, 'sqlite:tasks.db', 'submit');
    expect(error.message).toMatch(/^sqlite:tasks\.db: submit failed: database is locked: another process holds it/);
    other.close();
    holder.close();
    rmSync(folder, { recursive: true });
  });

  test('that may only be read says what is to be looked at', () => {
    const folder = mkdtempSync(join(tmpdir(), 'drover-refusals-'));
    const path = join(folder, 'tasks.db');
    new DatabaseSync(path).close();
    chmodSync(path, 0o444);
    const reader = new DatabaseSync(path, { readOnly: true });
    expect(adviceFor(thrownBy(() => reader.exec('create table t (a)')))).toMatch(/readonly database: this process must be able to write/);
    reader.close();
    rmSync(folder, { recursive: true });
  });
});
