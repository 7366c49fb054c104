/** Small refusals and warnings: typed, and saying what to do. */
import { DatabaseSync } from 'node:sqlite';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { agent, BoundReachedError } from 'drover';
import type { Context } from 'drover';
import { z } from 'zod';
import { adviceFor } from '../../src/stores/sqlite-advice.ts';
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
    const message = `task x: had not ended by its deadline, ${new Date(deadline).toISOString()}`;
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_DEADLINE_PASSED', message } } });
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

  test.each([13, 778, 4_874])('that is full (%i) says what to do', (errcode) => {
    expect(adviceFor(Object.assign(new Error('disk I/O error'), { errcode }))).toMatch(/the disk is full, or .* size limit .*; make room/);
  });

  test('that cannot be opened says which folder is read-only', () => {
    const folder = mkdtempSync(join(tmpdir(), 'drover-refusals-'));
    chmodSync(folder, 0o555);
    const thrown = Object.assign(new Error('unable to open database file'), { errcode: 14 });
    const advice = adviceFor(thrown, join(folder, 'tasks.db-owner'));
    // Nothing is read-only for the superuser.
    if (process.getuid?.() === 0) expect(advice).toBe('unable to open database file');
    else expect(advice).toContain(`the folder ${folder} is read-only for this process`);
    rmSync(folder, { recursive: true });
  });
});

test.each([
  ['call', (ctx: Context) => ctx.call('service' as never, 1, { rember: false } as never)],
  ['step', (ctx: Context) => ctx.step('s', () => 1, { timeoutMs: 5 } as never)],
  ['ask', (ctx: Context) => ctx.ask('leaf' as never, 1, { withinMs: 5 } as never)],
  ['sleep', (ctx: Context) => ctx.sleep(5, null as never)],
  ['waitFor', (ctx: Context) => ctx.waitFor('go' as never, { within: 5 } as never)],
  ['approval', (ctx: Context) => ctx.approval('a', null, { by: 'Ada' } as never)],
])('an option that ctx.%s does not have is refused, and the run is not tried again', async (operation, run) => {
  await using bed = new Testbed();
  const leaf = agent({ run: async (input: unknown) => input });
  const service = bed.service();
  const uses = { service: service.dependency };
  const work = agent({
    uses,
    asks: { leaf },
    events: { go: z.any() },
    run: async (_input: null, ctx) => run(ctx as never) as Promise<unknown>,
  });
  const fleet = await bed.start({ agents: { work, leaf } });
  const handle = await bed.drive(fleet.submit('work', null));
  const error = await bed.rejection(handle.result());
  expect(error).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_PAYLOAD_INVALID' } } });
  expect(error.message).toContain(`options of ${operation}: `);
});

test('a signal with an empty key, or an option that there is not, is refused', async () => {
  await using bed = new Testbed();
  const work = agent({ events: { go: z.any() }, run: async (_input: null, ctx) => ctx.waitFor('go') as Promise<unknown> });
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null));
  for (const options of [{ key: '' }, { Key: 'a' }]) {
    expect(await bed.rejection(handle.signal('go', 1, options as never))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT' });
  }
  await bed.drive(handle.signal('go', 1, { key: 'a' }));
  expect(await bed.drive(handle.result())).toBe(1);
});

test('the same input with a default spelt out is the same task', async () => {
  await using bed = new Testbed();
  const work = agent({ input: z.object({ n: z.number(), times: z.number().default(2) }), run: async ({ n, times }) => n * times });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', { n: 3 }, { id: 'x' }));
  const again = await bed.drive(fleet.submit('work', { n: 3, times: 2 }, { id: 'x' }));
  expect(await bed.drive(again.result())).toBe(6);
  expect(await bed.rejection(fleet.submit('work', { n: 3, times: 3 }, { id: 'x' }))).toMatchObject({ code: 'DROVER_TASK_CONFLICT' });
});

test('a row that the kind declares only since the task was submitted is refused with why', async () => {
  await using bed = new Testbed();
  const agents = (row: string) => ({
    work: agent({
      writes: () => [row],
      async run(_input: null, ctx) {
        await ctx.sleep(10_000);
        await ctx.state.update(row, () => 1);
      },
    }),
  });
  const old = await bed.start({ agents: agents('old') });
  await bed.drive(old.submit('work', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(old);
  const fleet = await bed.start({ agents: agents('new') });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  const error = await bed.rejection(handle.result());
  expect(error.message).toContain(
    '"new" is not in what this task writes (old); its kind declares it by now, but what a task writes is fixed',
  );
});
