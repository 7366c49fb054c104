/** Versioned rows: read and remembered, written with the completion, never over somebody else's write. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';
import { killedAtEachCommit } from './killed.ts';

const counting = () =>
  agent({
    writes: (input: { key: string }) => [input.key],
    async run({ key }, ctx) {
      return ctx.state.update<number>(key, (count = 0) => count + 1);
    },
  });

describe('a row', () => {
  test('is written when the task completes, and not before', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['stock'],
      async run(_input: null, ctx) {
        const found = await ctx.state.get<number>('stock');
        await ctx.state.set('stock', 5, found?.version ?? null);
        expect(await ctx.state.get('stock')).toMatchObject({ value: 5 });
        await ctx.step('look', async () => bed.sleep(1_000));
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.advance(500);
    expect(await fleet.state.get('stock')).toBeUndefined();
    await bed.drive(handle.result());
    expect(await fleet.state.get('stock')).toMatchObject({ value: 5 });
  });

  test('that many tasks count up loses no update', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { count: { ...counting() } } });
    const handles = await bed.drive(Promise.all(Array.from({ length: 40 }, () => fleet.submit('count', { key: 'hits' }))));
    await bed.drive(Promise.all(handles.map((handle) => handle.result())));
    expect(await fleet.state.get('hits')).toMatchObject({ value: 40 });
  });

  test('is read again as it was first, in every run of the attempt', async () => {
    await using bed = new Testbed();
    const seen: unknown[] = [];
    const work = agent({
      async run(_input: null, ctx) {
        const row = await ctx.state.get('price');
        seen.push(row?.value);
        await ctx.sleep(10_000);
        return row?.value;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.state.set('price', 1, null));
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.advance(1_000);
    const { version } = (await fleet.state.get('price'))!;
    await bed.drive(fleet.state.set('price', 2, version));
    expect(await bed.drive(handle.result())).toBe(1);
    expect(seen).toEqual([1, 1]);
  });

  test('that somebody wrote while the run was parked is refused by set; uncaught, the task reads anew', async () => {
    await using bed = new Testbed();
    const attempts: unknown[] = [];
    const work = agent({
      writes: ['price'],
      backoff: () => 10,
      async run(_input: null, ctx) {
        const row = await ctx.state.get<number>('price');
        if (ctx.task.attempt === 1) await ctx.sleep(10_000);
        attempts.push([ctx.task.attempt, row!.value]);
        await ctx.state.set('price', row!.value * 10, row!.version);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const retrying = bed.record(fleet, 'task.retrying');
    await bed.drive(fleet.state.set('price', 1, null));
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.advance(1_000);
    await bed.drive(fleet.state.set('price', 2, (await fleet.state.get('price'))!.version));
    await bed.drive(handle.result());
    expect(retrying).toMatchObject([{ error: { code: 'DROVER_VERSION_CONFLICT' } }]);
    expect(attempts).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(await fleet.state.get('price')).toMatchObject({ value: 20 });
  });

  test('that is stale says so at set, in time for the run to read what there is now', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['price'],
      async run(_input: null, ctx) {
        const row = await ctx.state.get<number>('price');
        await ctx.sleep(10_000);
        const refusal = await ctx.state.set('price', 0, row!.version).catch((error: { code: string }) => error.code);
        await ctx.state.update<number>('price', (price = 0) => price * 10);
        return refusal;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.state.set('price', 1, null));
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(1_000);
    await bed.drive(fleet.state.set('price', 2, (await fleet.state.get('price'))!.version));
    expect(await bed.drive(handle.result())).toBe('DROVER_VERSION_CONFLICT');
    expect(await fleet.state.get('price')).toMatchObject({ value: 20 });
    expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
  });

  test('that somebody from outside writes before the commit is not overwritten: the task is tried again', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['price'],
      backoff: () => 10,
      async run(_input: null, ctx) {
        const row = await ctx.state.get<number>('price');
        await ctx.state.set('price', (row?.value ?? 0) + 100, row?.version ?? null);
        await ctx.step(`wait ${ctx.task.attempt}`, () => bed.sleep(1_000));
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(500);
    await bed.drive(fleet.state.set('price', 1, null));
    await bed.drive(handle.result());
    expect(await fleet.state.get('price')).toMatchObject({ value: 101 });
    expect(await fleet.task('x')).toMatchObject({ attempt: 2 });
    expect(fleet.load.running).toBe(0);
  });

  test.each([
    ['query', null],
    ['query', 5],
    ['query.prefx', { prefx: 'a' }],
    ['prefix', { prefix: 5 }],
    ['prefix', { prefix: '\ud800' }],
    ['after', { after: null }],
    ['limit', { limit: null }],
    ['limit', { limit: 0 }],
  ])('is not listed by a query with a wrong %s: %o', async (argument, query) => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { counting: counting() } });
    const refused = { code: 'DROVER_OPERATOR_INPUT', detail: { argument } };
    await expect(fleet.state.list(query as never)).rejects.toMatchObject(refused);
  });

  test('is deleted with the completion too', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['price'],
      async run(_input: null, ctx) {
        const row = await ctx.state.get('price');
        await ctx.state.delete('price', row!.version);
        return (await ctx.state.get('price')) === undefined;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.state.set('price', 1, null));
    expect(await bed.run(fleet, 'work', null)).toBe(true);
    expect(await fleet.state.get('price')).toBeUndefined();
  });

  test('is counted up exactly once wherever the process dies', async () => {
    await killedAtEachCommit(
      () => ({ agents: { count: agent({ ...counting().spec, leaseMs: 3_000 }) } }),
      async (mortal) => {
        await mortal.ask((fleet) => fleet.submit('count', { key: 'hits' }, { id: 'x' }));
        expect(await mortal.end('x')).toMatchObject({ status: 'completed' });
        expect(await mortal.ask((fleet) => fleet.state.get('hits'))).toMatchObject({ value: 1 });
      },
    );
  });
});

describe('bad input', () => {
  test.each([
    ['a key that the kind does not declare', 'DROVER_UNDECLARED_WRITE', { key: 'other', value: 1 }],
    ['a value that is none', 'DROVER_PAYLOAD_INVALID', { key: 'price', value: undefined }],
    ['a value that JSON cannot hold', 'DROVER_PAYLOAD_NOT_JSON', { key: 'price', value: 1n }],
    ['a value that is too large', 'DROVER_PAYLOAD_TOO_LARGE', { key: 'price', value: 'x'.repeat(2_000) }],
    ['no key', 'DROVER_PAYLOAD_INVALID', { key: '', value: 1 }],
  ])('%s rejects that write and no other', async (_name, code, { key, value }) => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['price'],
      async run(_input: null, ctx) {
        const refusal = await ctx.state.set(key, value, null).catch((error: { code: string }) => error.code);
        await ctx.state.set('price', 'fine', null);
        return refusal;
      },
    });
    const fleet = await bed.start({ agents: { work }, bounds: { payloadBytes: 1_000 } });
    expect(await bed.run(fleet, 'work', null)).toBe(code);
    expect(await fleet.state.get('price')).toMatchObject({ value: 'fine' });
  });

  test('a version that none has is refused at once: only a new row has null', async () => {
    await using bed = new Testbed();
    const work = agent({ writes: ['row'], run: (_input: null, ctx) => ctx.state.set('row', 1, 0) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.rejection(handle.result())).toMatchObject({
      detail: {
        error: { code: 'DROVER_PAYLOAD_INVALID', message: expect.stringContaining('or null for a row that is not there') as unknown },
      },
    });
    expect(fleet.stats.started).toBe(1);
    expect(await bed.rejection(fleet.state.set('row', 1, 0))).toMatchObject({
      code: 'DROVER_OPERATOR_INPUT',
      message: expect.stringContaining('or null where there was no row') as unknown,
    });
  });

  test('rows are not read or written in a step', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['price'],
      async run(_input: null, ctx) {
        const inside = ctx.step('look', () => ctx.state.get('price')).catch((error: { code: string }) => error.code);
        const written = ctx.step('write', () => ctx.state.set('price', 1, null)).catch((error: { code: string }) => error.code);
        return [await inside, await written, await ctx.state.get('price')];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toEqual(['DROVER_STATE_IN_STEP', 'DROVER_STATE_IN_STEP', null]);
  });
});
