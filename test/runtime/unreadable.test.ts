/** What is stored and is no JSON any more: its task alone is kept as it stands, who asks is told, and the fleet goes on. */
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { z } from 'zod';
import { agent, operation } from 'drover';
import type { Store } from '../../actors/ports/store.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { Testbed } from './harness.ts';

const POISON = 'poison';

/** A store in which every JSON text that says poison has been written over. */
function damaged(bed: Testbed): Store {
  const store = memoryStore(bed.disk);
  return new Proxy(store, {
    get(target, name) {
      const found = Reflect.get(target, name) as unknown;
      if (typeof found !== 'function') return found;
      return (...given: readonly unknown[]): unknown => {
        const answered = (found as (...given: readonly unknown[]) => unknown).apply(target, given as unknown[]);
        return answered instanceof Promise ? answered.then(writtenOver) : answered;
      };
    },
  });
}

function writtenOver(value: unknown): unknown {
  if (typeof value === 'string') return /^[!"{[].*poison/s.test(value) ? `${value.startsWith('!') ? '!' : ''}{"a": no` : value;
  if (Array.isArray(value)) return value.map(writtenOver);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, writtenOver(inner)]));
}

const unreadable = { code: 'DROVER_PAYLOAD_UNREADABLE' };
const echo = agent({ run: async (input: unknown) => input });

describe('a task of which something is no JSON any more is kept as it stands, and the fleet goes on', () => {
  const done: string[] = [];
  const paid = async (ctx: { compensate: (name: string, undo: () => unknown) => Promise<void>; sleep: (ms: number) => Promise<void> }) => {
    await ctx.compensate('pay', () => done.push('undone'));
  };
  const events = { go: z.string() };
  const step = agent({
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.step('it', () => POISON);
      await ctx.sleep(60_000);
    },
  });
  const failure = agent({
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.step('it', () => Promise.reject(new Error(POISON))).catch(() => ctx.step('other', () => 1));
      await ctx.sleep(60_000);
    },
  });
  const event = agent({
    events,
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.waitFor('go');
      await ctx.sleep(60_000);
    },
  });
  const answer = agent({
    asks: { echo },
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.ask('echo', POISON);
      await ctx.sleep(60_000);
    },
  });
  const row = agent({
    writes: ['stock'],
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.sleep(60_000);
      await ctx.state.get('stock');
    },
  });
  const change = agent({
    writes: ['stock'],
    async run(_: string, ctx) {
      await paid(ctx);
      await ctx.sleep(60_000);
      await ctx.state.update('stock', () => 1);
    },
  });
  const machine = agent({
    machine: createMachine({
      context: { at: POISON },
      initial: 'pay',
      states: { pay: { invoke: { src: 'pays', onDone: 'wait' } }, wait: { after: { 60_000: 'end' } }, end: { type: 'final' } },
    } as never).provide({ actors: { pays: operation(async (_: unknown, ctx) => paid(ctx)) } }) as never,
  });
  const agents = { echo, step, failure, event, answer, row, change, machine };

  test.each(['echo', 'step', 'failure', 'event', 'answer', 'row', 'change', 'machine'] as const)('%s', async (kind) => {
    await using bed = new Testbed();
    const former = await bed.start({ agents });
    await bed.drive(former.state.set('stock', POISON, null));
    const input = kind === 'echo' ? POISON : 'x';
    await bed.drive(former.submit(kind as 'step', input, { id: 'o', notBefore: bed.nowMs + (kind === 'echo' ? 30_000 : 0) }));
    if (kind === 'event') await bed.drive(former.signal('o', 'go', POISON));
    await bed.advance(10_000);
    await bed.close(former);
    const next = await bed.start({ agents }, { store: damaged(bed) });
    await bed.advance(120_000);
    expect(next.failure).toBeUndefined();
    expect(await bed.run(next, 'echo', 'well')).toBe('well');
    const found = (await bed.drive(next.tasks({ status: 'failed' }))).map((look) => ({
      id: look.id,
      input: look.input,
      what: look.unreadable,
    }));
    expect(found).toEqual([{ id: 'o', ...(kind === 'echo' ? { input: undefined, what: ['input'] } : { input: 'x', what: [] }) }]);
    await bed.close(next);
    const repaired = await bed.start({ agents });
    expect(await repaired.task('o')).toMatchObject({ status: 'failed', kept: true, undone: false, error: unreadable });
    await bed.drive(repaired.requeue('o'));
    await bed.advance(120_000);
    expect(await repaired.task('o')).toMatchObject({ status: 'completed' });
    expect(done).toEqual([]);
  });
});

test('who submits what is there and no JSON any more is told, and so is everybody in the same batch', async () => {
  await using bed = new Testbed();
  const later = { notBefore: bed.nowMs + 3_600_000 };
  const former = await bed.start({ agents: { echo } });
  await bed.drive(former.submit('echo', POISON, { id: 'o', ...later }));
  await bed.close(former);
  const fleet = await bed.start({ agents: { echo } }, { store: damaged(bed) });
  const all = Promise.allSettled([fleet.submit('echo', 'x', { id: 'o' }), fleet.submit('echo', 'x', { id: 'fine' })]);
  const [refused, fine] = await bed.drive(all);
  expect(refused).toMatchObject({ status: 'rejected', reason: unreadable });
  expect(fine).toMatchObject({ status: 'fulfilled' });
  expect(await bed.drive(fleet.task('o'))).toMatchObject({ status: 'parked', input: undefined, unreadable: ['input'] });
  expect(fleet.failure).toBeUndefined();
});

test('whose result or error is no JSON any more has a handle that says so', async () => {
  await using bed = new Testbed();
  const fails = agent({ attempts: 1, run: async () => Promise.reject(new Error(POISON)) });
  const agents = { echo, fails };
  const former = await bed.start({ agents });

  await bed.rejection(bed.run(former, 'fails', undefined, { id: 'p' }));
  await bed.close(former);
  const fleet = await bed.start({ agents }, { store: damaged(bed) });
  const handle = await bed.drive(fleet.submit('fails', undefined, { id: 'p' }));
  expect(await bed.rejection(handle.result())).toMatchObject(unreadable);
  expect(await bed.drive(fleet.task('p'))).toMatchObject({ status: 'dead', error: null, unreadable: ['error'] });
  expect(fleet.failure).toBeUndefined();
});
