/** A failure that a run has gone past is a part of its memory; what an attempt has ended with is tried anew. */
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { agent, CallError, defineFleet, operation, startFleet } from 'drover';
import type { Context } from 'drover';
import { memoryStore } from 'drover/stores/memory';
import { sqlite } from 'drover/stores/sqlite';
import { setup } from 'xstate';
import { Testbed } from './harness.ts';

type Ctx = Context<{}, {}, {}>;

/** What was done, in order, and a step that is declined the first time. */
class Till {
  readonly done: string[] = [];
  /** How often each is declined. */
  readonly declines: Map<string, number>;

  constructor(declines: Readonly<Record<string, number>>) {
    this.declines = new Map(Object.entries(declines));
  }

  charge(ctx: Pick<Ctx, 'step'>, name: string): Promise<string> {
    return ctx.step(name, () => this.pay(name));
  }

  pay(name: string): string {
    const left = this.declines.get(name) ?? 0;
    this.declines.set(name, left - 1);
    this.done.push(left > 0 ? `${name} declined` : name);
    if (left > 0) throw Object.assign(new RangeError(`${name} is declined`), { code: 'E_DECLINED' });
    return name;
  }
}

/** Charges A, and where that is declined B. */
async function either(till: Till, ctx: Pick<Ctx, 'step'>): Promise<string> {
  try {
    return await till.charge(ctx, 'A');
  } catch {
    return till.charge(ctx, 'B');
  }
}

async function started(bed: Testbed, run: (ctx: Ctx) => Promise<unknown>, attempts = 5, lines?: string[]) {
  const work = agent({ attempts, backoff: () => 10, run: (_input: null, ctx) => run(ctx as never) });
  const logger = lines === undefined ? {} : { logger: pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) }) };
  const fleet = await bed.start({ agents: { work } }, logger);
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  const requeued = async () => {
    await bed.drive(fleet.requeue('x'));
    return bed.drive(fleet.submit('work', null, { id: 'x' }));
  };
  return { fleet, handle, requeued };
}

describe.each([
  ['memory', () => memoryStore()],
  ['SQLite', () => sqlite(':memory:')],
] as const)('over %s', (_name, store) => {
  test('what was done in place of a failure is not done beside it when something else fails', async () => {
    const till = new Till({ A: 1, mail: 2 });
    const work = agent({
      backoff: () => 1,
      async run(_input: null, ctx) {
        const card = await either(till, ctx);
        await till.charge(ctx, 'mail');
        return card;
      },
    });
    await using fleet = await startFleet(defineFleet({ name: 'till', agents: { work } }), {
      store: store(),
      logger: pino({ level: 'silent' }),
    });
    expect(await (await fleet.submit('work', null)).result()).toBe('B');
    expect(till.done).toEqual(['A declined', 'B', 'mail declined', 'mail declined', 'mail']);
  });

  test('nor when an operator puts the task back', async () => {
    const till = new Till({ A: 1, mail: 1 });
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        const card = await either(till, ctx);
        await till.charge(ctx, 'mail');
        return card;
      },
    });
    await using fleet = await startFleet(defineFleet({ name: 'till', agents: { work } }), {
      store: store(),
      logger: pino({ level: 'silent' }),
    });
    await expect((await fleet.submit('work', null, { id: 'x' })).result()).rejects.toMatchObject({ detail: { status: 'dead' } });
    await fleet.requeue('x');
    expect(await (await fleet.submit('work', null, { id: 'x' })).result()).toBe('B');
    expect(till.done).toEqual(['A declined', 'B', 'mail declined', 'mail']);
  });

  test('nor is it done by a child that failed, and that the task has gone past', async () => {
    const charged: string[] = [];
    const down = new Set(['A', 'mail']);
    const charge = agent({
      attempts: 1,
      async run(card: string) {
        if (down.has(card)) throw new Error(`${card} is down`);
        charged.push(card);
        return card;
      },
    });
    const work = agent({
      attempts: 1,
      asks: { charge },
      async run(_input: null, ctx): Promise<unknown> {
        const card = await ctx.ask('charge', 'A').catch(() => ctx.ask('charge', 'B'));
        return [card, await ctx.ask('charge', 'mail')];
      },
    });
    await using fleet = await startFleet(defineFleet({ name: 'till', agents: { charge, work } }), {
      store: store(),
      logger: pino({ level: 'silent' }),
    });
    await expect((await fleet.submit('work', null, { id: 'x' })).result()).rejects.toThrow('mail is down');
    down.clear();
    await fleet.requeue('x');
    // The third child, for which the task has failed, is put back with it; the first one is not.
    expect(await (await fleet.submit('work', null, { id: 'x' })).result()).toEqual(['B', 'mail']);
    expect(charged).toEqual(['B', 'mail']);
    expect((await fleet.tasks({ kind: 'charge' })).map(({ status }) => status)).toEqual(['dead', 'completed', 'completed']);
  });
});

describe('a failure that the run has gone past', () => {
  test('stays one, however often the run ends with something else', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle, requeued } = await started(bed, async (ctx) => {
      await either(till, ctx);
      throw new Error('a bug');
    });
    await bed.rejection(handle.result());
    await bed.rejection((await requeued()).result());
    expect(till.done).toEqual(['A declined', 'B']);
  });

  test('stays one where a later attempt ends before it has come so far', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle } = await started(bed, async (ctx) => {
      const card = await till.charge(ctx, 'A').catch(() => 'none');
      if (ctx.task.attempt === 2) throw new Error('a bug');
      const other = await till.charge(ctx, 'B');
      if (ctx.task.attempt === 1) throw new Error('another bug');
      return [card, other];
    });
    expect(await bed.drive(handle.result())).toEqual(['none', 'B']);
    expect(till.done).toEqual(['A declined', 'B']);
  });

  test('is given again as it was', async () => {
    await using bed = new Testbed();
    const service = bed.service({ attempts: 1 }, () => ({ error: new Error('down') }));
    const seen: unknown[] = [];
    const work = agent({
      uses: { service: service.dependency },
      backoff: () => 10,
      async run(_input: null, ctx) {
        seen.push(await ctx.call('service', 1).catch((error: unknown) => error));
        await ctx.step('go on', () => null);
        if (ctx.task.attempt === 1) throw new Error('once');
        return 'done';
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('done');
    expect(service.calls).toHaveLength(1);
    for (const error of seen) expect(error).toBeInstanceOf(CallError);
    const [first, again] = seen.map((error) => {
      const { code, message, retryable, detail } = error as CallError;
      return { code, message, retryable, detail };
    });
    expect(again).toEqual(first);
  });

  test('stays one when the task is cancelled, and put back', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { fleet, handle, requeued } = await started(bed, async (ctx) => {
      const card = await either(till, ctx);
      await ctx.sleep(60_000);
      return card;
    });
    await bed.advance(10_000);
    await bed.drive(fleet.cancel('x'));
    await bed.rejection(handle.result());
    expect(await bed.drive((await requeued()).result())).toBe('B');
    expect(till.done).toEqual(['A declined', 'B']);
  });

  test('leads to what was registered because of it, when that is undone', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle } = await started(
      bed,
      async (ctx) => {
        const paid = async (name: string): Promise<void> => {
          await ctx.compensate(name, () => void till.done.push(`refund ${name}`));
          await till.charge(ctx, name);
        };
        await paid('A').catch(() => paid('B'));
        throw new Error('a bug');
      },
      2,
    );
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'dead', error: { message: 'a bug' } } });
    expect(till.done).toEqual(['A declined', 'B', 'refund B', 'refund A']);
  });

  test('of a branch stays one when another branch ends the run', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1, render: 1 });
    const { handle } = await started(bed, async (ctx) => {
      const render = async (): Promise<string> => {
        await ctx.sleep(500);
        return till.charge(ctx, 'render');
      };
      return Promise.all([either(till, ctx), render()]);
    });
    expect(await bed.drive(handle.result())).toEqual(['B', 'render']);
    expect(till.done).toEqual(['A declined', 'B', 'render declined', 'render']);
  });

  test('loses the same race again', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle } = await started(bed, async (ctx) => {
      const first = await Promise.race([till.charge(ctx, 'A'), ctx.sleep(5_000).then(() => 'late')]).catch(() => 'declined');
      const card = await till.charge(ctx, first === 'declined' ? 'B' : 'C');
      if (ctx.task.attempt === 1) throw new Error('once');
      return card;
    });
    expect(await bed.drive(handle.result())).toBe('B');
    expect(till.done).toEqual(['A declined', 'B']);
  });

  test('within one operation of a statechart stays one when the machine ends with something else', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1, mail: 1 });
    const pay = operation(async (_input: null, ctx: Ctx) => {
      const card = await either(till, ctx);
      await till.charge(ctx, 'mail');
      return card;
    });
    const machine = setup({ actors: { pay } }).createMachine({
      initial: 'paying',
      context: {},
      states: { paying: { invoke: { src: 'pay', input: null, onDone: 'paid' } }, paid: { type: 'final' } },
      output: ({ event }) => (event as { output?: unknown }).output ?? null,
    });
    const work = agent({ backoff: () => 10, machine });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', undefined);
    expect(till.done).toEqual(['A declined', 'B', 'mail declined', 'mail']);
  });
});

describe('a failure that an attempt has ended with is tried anew', () => {
  const told = async (ctx: Ctx, till: Till, end: (error: Error) => unknown): Promise<string> => {
    try {
      return await till.charge(ctx, 'A');
    } catch (error) {
      await till.charge(ctx, 'tell');
      throw end(error as Error);
    }
  };

  test.each<readonly [string, (error: Error) => unknown]>([
    ['thrown after something else was done', (error) => error],
    ['as a cause', (error) => new Error('no', { cause: error })],
    ['as the cause of a cause', (error) => new Error('no', { cause: new Error('why', { cause: error }) })],
    ['among others', (error) => new AggregateError([new Error('other'), error], 'no')],
    ['as what was suppressed', (error) => new SuppressedError(new Error('other'), error, 'no')],
    ['said again', (error) => new Error(error.message)],
    ['quoted', (error) => new Error(`could not charge: ${error.message}, sorry`)],
    ['in an error that holds itself', (error) => Object.assign(new Error('no', { cause: error }), { errors: [error] })],
  ])('%s', async (_how, end) => {
    await using bed = new Testbed();
    const till = new Till({ A: 2 });
    const { handle } = await started(bed, (ctx) => told(ctx, till, end), 3);
    expect(await bed.drive(handle.result())).toBe('A');
    expect(till.done).toEqual(['A declined', 'tell', 'A declined', 'A']);
  });

  test('also by a task that an operator has put back', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle, requeued } = await started(bed, (ctx) => told(ctx, till, (error) => error), 1);
    await bed.rejection(handle.result());
    expect(await bed.drive((await requeued()).result())).toBe('A');
    expect(till.done).toEqual(['A declined', 'tell', 'A']);
  });

  test('also by a statechart that ends with it', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const pay = operation(async (_input: null, ctx: Ctx) => told(ctx, till, (error) => error));
    const machine = setup({ actors: { pay } }).createMachine({
      initial: 'paying',
      context: {},
      states: { paying: { invoke: { src: 'pay', input: null, onDone: 'paid' } }, paid: { type: 'final' } },
    });
    const fleet = await bed.start({ agents: { work: agent({ backoff: () => 10, machine }) } });
    await bed.run(fleet, 'work', undefined);
    expect(till.done).toEqual(['A declined', 'tell', 'A']);
  });

  test('by its cause', async () => {
    await using bed = new Testbed();
    let isDown = true;
    const service = bed.service({ attempts: 1 }, () => (isDown ? { error: new Error('down') } : { reply: 'up' }));
    const work = agent({
      uses: { service: service.dependency },
      backoff: () => 10,
      async run(_input: null, ctx) {
        try {
          return await ctx.call('service', 1);
        } catch (error) {
          await ctx.step('tell', () => (isDown = false));
          throw (error as Error).cause;
        }
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('up');
  });

  test('whatever is thrown, where nothing was begun after it', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    const { handle } = await started(bed, async (ctx) => {
      const cards = await Promise.allSettled([till.charge(ctx, 'A'), till.charge(ctx, 'B')]);
      if (cards.some(({ status }) => status === 'rejected')) throw new Error('not all');
      return 'all';
    });
    expect(await bed.drive(handle.result())).toBe('all');
    expect(till.done.toSorted()).toEqual(['A', 'A declined', 'B']);
  });

  test('so too where a crash came in between', async () => {
    await using bed = new Testbed();
    const till = new Till({ A: 1 });
    let life = 0;
    const run = async (ctx: Ctx): Promise<unknown> => {
      life += 1;
      const card = await till.charge(ctx, 'A').catch(() => undefined);
      // Nothing of this shows on ctx.
      if (life === 1) await bed.sleep(60_000);
      if (card === undefined) throw new Error('none');
      return card;
    };
    await started(bed, run);
    await bed.until(() => life === 1);
    await bed.advance(100);
    bed.kill();
    const { handle } = await started(bed, run);
    expect(await bed.drive(handle.result())).toBe('A');
    expect(till.done).toEqual(['A declined', 'A']);
  });

  test('so too of a child: it is put back with the task', async () => {
    await using bed = new Testbed();
    let life = 0;
    let isDown = true;
    const child = agent({
      attempts: 1,
      async run(_input: null) {
        if (isDown) throw new Error('down');
        return 'up';
      },
    });
    const work = agent({
      attempts: 1,
      asks: { child },
      async run(_input: null, ctx) {
        const said = await ctx.ask('child', null).catch(() => undefined);
        life += 1;
        if (life === 1) await bed.sleep(60_000);
        if (said === undefined) throw new Error('none');
        return said;
      },
    });
    const first = await bed.start({ agents: { work, child } });
    await bed.drive(first.submit('work', null, { id: 'x' }));
    await bed.until(() => life === 1);
    await bed.advance(100);
    bed.kill();
    const fleet = await bed.start({ agents: { work, child } });
    await bed.rejection((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result());
    isDown = false;
    await bed.drive(fleet.requeue('x'));
    expect(await bed.drive((await bed.drive(fleet.submit('work', null, { id: 'x' }))).result())).toBe('up');
  });

  test('with what was in it: a step, and what failed within', async () => {
    await using bed = new Testbed();
    const till = new Till({ inner: 1 });
    const { handle } = await started(bed, (ctx) =>
      ctx.step('outer', async () => {
        try {
          return await till.charge(ctx, 'inner');
        } catch (error) {
          await till.charge(ctx, 'tell');
          throw error;
        }
      }),
    );
    expect(await bed.drive(handle.result())).toBe('inner');
    expect(till.done).toEqual(['inner declined', 'tell', 'inner']);
  });

  test('not where what is thrown only shares a word with it', async () => {
    await using bed = new Testbed();
    const done: string[] = [];
    const lines: string[] = [];
    const { handle } = await started(
      bed,
      async (ctx) => {
        await ctx
          .step('A', () => {
            done.push('A');
            throw new Error('no');
          })
          .catch(() => ctx.step('B', () => done.push('B')));
        throw new Error('nothing');
      },
      3,
      lines,
    );
    await bed.rejection(handle.result());
    expect(done).toEqual(['A', 'B']);
    // Each attempt but the first found all as it was: whoever wrote that is told.
    const warned = lines.map((line) => JSON.parse(line) as { readonly kept?: unknown; readonly msg: string }).filter(({ kept }) => kept);
    expect(warned).toHaveLength(2);
    expect(warned[0]).toMatchObject({ kept: ['step:A'], msg: expect.stringMatching(/cause/) as string });
  });
});
