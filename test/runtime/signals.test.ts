import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

const paid = z.object({ cents: z.int() });

const waiting = agent({
  events: { paid },
  lingerMs: 5,
  run: async (count: number, ctx) => {
    let sum = 0;
    for (let n = 0; n < count; n += 1) sum += (await ctx.waitFor('paid')).cents;
    return sum;
  },
});

describe('an event from outside', () => {
  test('reaches a run that waits in memory, one that has parked, and one that comes by later', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting } });
    const told = bed.record(fleet, 'task.signalled');
    const handle = await bed.drive(fleet.submit('waiting', 3));
    await bed.drive(handle.signal('paid', { cents: 1 }));
    await bed.advance(5_000);
    expect(await bed.drive(fleet.task(handle.id))).toMatchObject({ status: 'parked', parkedFor: 'event' });
    await bed.drive(fleet.signal(handle.id, 'paid', { cents: 10 }));
    await bed.drive(fleet.signal(handle.id, 'paid', { cents: 100 }));
    expect(await bed.drive(handle.result())).toBe(111);
    expect(told).toHaveLength(3);
  });

  test('under the same key is told once', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting } });
    const told = bed.record(fleet, 'task.signalled');
    const handle = await bed.drive(fleet.submit('waiting', 2));
    for (let again = 0; again < 3; again += 1) await bed.drive(handle.signal('paid', { cents: 1 }, { key: 'invoice-7' }));
    await bed.advance(5_000);
    expect(await bed.drive(fleet.task(handle.id))).toMatchObject({ status: 'parked' });
    expect(told).toHaveLength(1);
    await bed.drive(handle.signal('paid', { cents: 1 }, { key: 'invoice-8' }));
    expect(await bed.drive(handle.result())).toBe(2);
  });

  test('under the same key with another payload is refused, and told of once; the order of fields is none', async () => {
    await using bed = new Testbed();
    const either = agent({
      events: { paid: z.object({ cents: z.number(), by: z.string().default('card') }) },
      run: async (_input: null, ctx) => ctx.waitFor('paid').then(() => ctx.waitFor('paid', { withinMs: 60_000 })),
    });
    const fleet = await bed.start({ agents: { either } });
    const handle = await bed.drive(fleet.submit('either', null, { id: 'x' }));
    const pay = (payload: { readonly cents: number; readonly by?: string }) => handle.signal('paid', payload, { key: 'invoice-7' });
    await bed.drive(pay({ cents: 1, by: 'card' }));
    await bed.drive(pay({ by: 'card', cents: 1 }));
    await bed.drive(pay({ cents: 1 }));
    expect(await bed.rejection(pay({ cents: 2 }))).toMatchObject({
      code: 'DROVER_SIGNAL_CONFLICT',
      detail: { id: 'x', name: 'paid', key: 'invoice-7' },
    });
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_WAIT_TIMEOUT' } } });
  });

  test('is told over a crash of the process', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting } });
    await bed.drive(fleet.submit('waiting', 1, { id: 'first' }));
    await bed.advance(1_000);
    await bed.drive(fleet.signal('first', 'paid', { cents: 5 }));
    bed.kill();
    const next = await bed.start({ agents: { waiting } });
    const handle = await bed.drive(next.submit('waiting', 1, { id: 'first' }));
    expect(await bed.drive(handle.result())).toBe(5);
  });

  test('is refused that the kind does not declare, that does not fit, or that comes too late', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting }, bounds: { payloadBytes: 1_000 } });
    const handle = await bed.drive(fleet.submit('waiting', 1, { id: 'first' }));
    const refusal = (...args: Parameters<typeof fleet.signal>) => bed.rejection(fleet.signal(...args));
    expect(await refusal('first', 'lost', 1)).toMatchObject({ code: 'DROVER_UNDECLARED', detail: { field: 'events', name: 'lost' } });
    expect(await refusal('first', 'paid', { cents: 'many' })).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID' });
    expect(await refusal('first', 'paid', { cents: 1, note: 'x'.repeat(2_000) })).toMatchObject({ code: 'DROVER_PAYLOAD_TOO_LARGE' });
    expect(await refusal('first', 'paid', { cents: 1 }, { key: 'x'.repeat(513) })).toMatchObject({ code: 'DROVER_OPERATOR_INPUT' });
    expect(await refusal('nobody', 'paid', { cents: 1 })).toMatchObject({ code: 'DROVER_UNKNOWN_TASK' });
    await bed.drive(handle.signal('paid', { cents: 1 }));
    await bed.drive(handle.result());
    expect(await refusal('first', 'paid', { cents: 1 })).toMatchObject({ code: 'DROVER_TASK_ENDED', detail: { status: 'completed' } });
  });

  test('comes once more under its key when the task has completed, and is known: only another payload is refused', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting } });
    const handle = await bed.drive(fleet.submit('waiting', 1, { id: 'first' }));
    await bed.drive(handle.signal('paid', { cents: 1 }, { key: 'invoice' }));
    await bed.drive(handle.result());
    await bed.drive(handle.signal('paid', { cents: 1 }, { key: 'invoice' }));
    const refusal = (cents: number, key: string) => bed.rejection(fleet.signal('first', 'paid', { cents }, { key }));
    expect(await refusal(2, 'invoice')).toMatchObject({ code: 'DROVER_SIGNAL_CONFLICT' });
    expect(await refusal(1, 'another')).toMatchObject({ code: 'DROVER_TASK_ENDED' });
  });

  test('too many of them for one task are refused, and the task is as it was', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { waiting } });
    await bed.drive(fleet.submit('waiting', 1, { id: 'first', notBefore: bed.nowMs + 10_000 }));
    const signals = Array.from({ length: 10_000 }, () => ({ id: 'first', name: 'paid', value: '{"cents":1}' }));
    await bed.drive(fleet.pause('first'));
    await bed.disk.owner!.signal(signals, bed.nowMs);
    expect(await bed.rejection(fleet.signal('first', 'paid', { cents: 1 }))).toMatchObject({
      code: 'DROVER_EVENTS_FULL',
      detail: { id: 'first', limit: 10_000 },
    });
    const handle = await bed.drive(fleet.submit('waiting', 1, { id: 'first' }));
    await bed.drive(fleet.unpause('first'));
    expect(await bed.drive(handle.result())).toBe(1);
  });
});

describe('an approval', () => {
  const transfer = agent({
    lingerMs: 5,
    run: async (cents: number, ctx) => {
      const { by, note } = await ctx.approval('spend', { cents }, { withinMs: 60_000 });
      return `${by}: ${note}`;
    },
  });

  test('is listed with what is asked, and given by a person', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { transfer } });
    const events = bed.record(fleet, 'approval.asked', 'approval.decided');
    const handle = await bed.drive(fleet.submit('transfer', 500, { id: 'first' }));
    await bed.advance(1_000);
    const [asked, ...others] = await bed.drive(fleet.approvals());
    expect(others).toEqual([]);
    expect(asked).toMatchObject({ id: 'first', kind: 'transfer', name: 'spend', request: { cents: 500 } });
    expect(asked!.expiresAtMs! - asked!.askedAtMs).toBe(60_000);
    await bed.drive(fleet.approve('first', 'spend', { by: 'Ada', note: 'fine' }));
    expect(await bed.drive(handle.result())).toBe('Ada: fine');
    expect(await bed.drive(fleet.approvals())).toEqual([]);
    expect(events).toMatchObject([
      { id: 'first', kind: 'transfer', name: 'spend', expiresAtMs: asked!.expiresAtMs },
      { id: 'first', kind: 'transfer', name: 'spend', approved: true, by: 'Ada' },
    ]);
  });

  test('given again by whoever did not hear that it had been taken is the same; another word is not', async () => {
    await using bed = new Testbed();
    const twice = agent({
      run: async (_input: null, ctx) => {
        const { by } = await ctx.approval('first', null);
        await ctx.approval('second', null);
        return by;
      },
    });
    const fleet = await bed.start({ agents: { twice } });
    const handle = await bed.drive(fleet.submit('twice', null, { id: 'x' }));
    await bed.advance(1_000);
    await bed.drive(fleet.approve('x', 'first', { by: 'Ada' }));
    const events = bed.record(fleet, 'approval.decided');
    await bed.drive(fleet.approve('x', 'first', { by: 'Ada' }));
    expect(events).toEqual([]);
    for (const [word, by] of [
      ['approve', 'Bob'],
      ['reject', 'Ada'],
    ] as const) {
      expect(await bed.rejection(fleet[word]('x', 'first', { by }))).toMatchObject({ code: 'DROVER_APPROVAL_NOT_ASKED' });
    }
    await bed.drive(fleet.approve('x', 'second'));
    expect(await bed.drive(handle.result())).toBe('Ada');
  });

  test('with a key is asked for, listed and decided under both', async () => {
    await using bed = new Testbed();
    const shipping = agent({
      run: (items: readonly string[], ctx) =>
        Promise.all(items.map(async (item) => `${item} by ${(await ctx.approval('ship', { item }, { key: item })).by}`)),
    });
    const fleet = await bed.start({ agents: { shipping } });
    const handle = await bed.drive(fleet.submit('shipping', ['tea', 'rum'], { id: 'first' }));
    await bed.advance(1_000);
    const asked = await bed.drive(fleet.approvals());
    expect(asked.map(({ name, request }) => [name, request])).toEqual([
      ['ship[tea]', { item: 'tea' }],
      ['ship[rum]', { item: 'rum' }],
    ]);
    await bed.drive(fleet.approve('first', 'ship[rum]', { by: 'Ada' }));
    await bed.drive(fleet.approve('first', 'ship[tea]', { by: 'Bob' }));
    expect(await bed.drive(handle.result())).toEqual(['tea by Bob', 'rum by Ada']);
  });

  describe.each(['replay', 'restart'] as const)('to another question than the one that was asked (%s)', (onVersionChange) => {
    const asking = (version: string, cents: number) =>
      agent({
        version,
        onVersionChange,
        lingerMs: 0,
        run: async (_input: null, ctx) => `${cents} paid, said ${(await ctx.approval('pay', { cents })).by}`,
      });

    test.each(['before', 'after'] as const)('is none, decided %s the other version runs', async (when) => {
      await using bed = new Testbed();
      const first = await bed.start({ agents: { paying: asking('1', 10) } });
      await bed.drive(first.submit('paying', null, { id: 'x' }));
      await bed.advance(1_000);
      if (when === 'before') {
        await bed.drive(first.pauseKind('paying'));
        await bed.drive(first.approve('x', 'pay', { by: 'Eve' }));
      }
      await bed.close(first);
      const next = await bed.start({ agents: { paying: asking('2', 9_999) } });
      const handle = await bed.drive(next.submit('paying', null, { id: 'x' }));
      if (when === 'before') await bed.drive(next.unpauseKind('paying'));
      else await bed.drive(next.approve('x', 'pay', { by: 'Eve' }));
      await bed.advance(10_000);
      if (onVersionChange === 'replay')
        return expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_REPLAY_DIVERGED' } } });
      expect(await bed.drive(next.approvals())).toMatchObject([{ id: 'x', name: 'pay@2', request: { cents: 9_999 } }]);
      await bed.drive(next.approve('x', 'pay@2', { by: 'Ada' }));
      expect(await bed.drive(handle.result())).toBe('9999 paid, said Ada');
    });
  });

  test('that is refused fails the run with who and why', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { transfer } });
    const handle = await bed.drive(fleet.submit('transfer', 500, { id: 'first' }));
    await bed.advance(1_000);
    await bed.drive(fleet.reject('first', 'spend', { by: 'Ada', note: 'too much' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_APPROVAL_REJECTED' } } });
  });

  test.each(['approve', 'reject'] as const)('%sd, is in the story with by whom, and the note', async (decide) => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { transfer } });
    await bed.drive(fleet.submit('transfer', 500, { id: 'first' }));
    await bed.advance(1_000);
    await bed.drive(fleet[decide]('first', 'spend', { by: 'Ada', note: 'I know him' }));
    const decided = (await bed.drive(fleet.story('first'))).find(({ at }) => at === 'event');
    expect(decided).toEqual({
      at: 'event',
      atMs: bed.nowMs,
      name: 'approval:spend',
      approved: decide === 'approve',
      by: 'Ada',
      note: 'I know him',
    });
  });

  test('is decided once, over a crash too, and not where nobody asks', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { transfer } });
    await bed.drive(fleet.submit('transfer', 500, { id: 'first' }));
    await bed.advance(1_000);
    expect(await bed.rejection(fleet.approve('first', 'other'))).toMatchObject({
      code: 'DROVER_APPROVAL_NOT_ASKED',
      detail: { name: 'other' },
    });
    await bed.drive(fleet.approve('first', 'spend'));
    bed.kill();
    const next = await bed.start({ agents: { transfer } });
    const handle = await bed.drive(next.submit('transfer', 500, { id: 'first' }));
    expect(await bed.drive(handle.result())).toBe('operator: null');
    expect(await bed.rejection(next.reject('first', 'spend'))).toMatchObject({ code: 'DROVER_TASK_ENDED' });
    expect(await bed.rejection(next.approve('nobody', 'spend'))).toMatchObject({ code: 'DROVER_UNKNOWN_TASK' });
    expect(await bed.rejection(next.approvals({ limit: 0 }))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT' });
    expect(await bed.rejection(next.approvals({ after: -1 }))).toMatchObject({ code: 'DROVER_OPERATOR_INPUT' });
  });
});
