/** Budgets in running fleets: a ceiling suspends, never kills; a crash never overspends; a task that asks for too much is refused. */
import { describe, expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import type { DependencySpec, Fleet, WorkerInfo } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';

const MINUTE_MS = 60_000;
const http = (status: number) => Object.assign(new Error(`status ${status}`), { status });

/** Reserves a hundred tokens, which are a dollar, and uses as many as the reply says. */
const COSTS: Partial<DependencySpec<unknown, unknown>> = {
  estimate: () => 100,
  usage: (reply) => ({ inputTokens: (reply as { tokens: number }).tokens, outputTokens: 0 }),
  price: ({ inputTokens, outputTokens }) => (inputTokens + outputTokens) / 100,
};

function model(bed: Testbed, tokens = 100, spec: Partial<DependencySpec<unknown, unknown>> = {}): Service {
  return bed.service({ ...COSTS, ...spec }, () => ({ reply: { tokens } }));
}

const caller = (service: Service, spec: object = {}) =>
  agent({ uses: { model: service.dependency }, attempts: 1, ...spec, run: (input: unknown, ctx) => ctx.call('model', input) });

async function submit(bed: Testbed, fleet: Fleet<never>, kind: string, count: number): Promise<void> {
  await bed.drive(Promise.all(Array.from({ length: count }, (_, at) => (fleet as Fleet).submit(kind, `${kind} ${at}` as never))));
}

const suspended = (workers: readonly WorkerInfo[]): string[] =>
  workers.filter(({ at }) => at === 'suspended').map(({ worker, reasons }) => `${worker.split('/').slice(2).join('/')}: ${reasons.join()}`);

/** Calls by the period in which they began. */
function byPeriod({ calls }: Service, perMs = MINUTE_MS): number[] {
  const counts = new Map<number, number>();
  for (const { atMs } of calls) counts.set(Math.floor(atMs / perMs), (counts.get(Math.floor(atMs / perMs)) ?? 0) + 1);
  return [...counts.values()];
}

describe('a budget that has run out', () => {
  test('of a kind suspends its workers until the next period, uses no attempt, and leaves other kinds alone', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const spender = caller(service, { replicas: 3, budget: { tokens: 1_000, perMs: MINUTE_MS } });
    const fleet = await bed.start({ agents: { spender, other: caller(service) } });
    const events = bed.record(fleet, 'budget.exhausted', 'budget.replenished', 'worker.suspended');
    await submit(bed, fleet as never, 'spender', 25);
    await bed.until(() => events.filter(({ name }) => name === 'worker.suspended').length === 3);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['spender/0: budget', 'spender/1: budget', 'spender/2: budget']);
    // Suspended they hold nothing (S11).
    expect(fleet.load).toMatchObject({ running: 0 });
    expect(service.calls).toHaveLength(10);
    expect(await bed.run(fleet, 'other', 'still there')).toEqual({ tokens: 100 });
    service.calls.pop();
    expect(events[0]).toMatchObject({
      name: 'budget.exhausted',
      scope: 'kind:spender',
      limit: { tokens: 1_000 },
      spent: { tokens: 1_000 },
    });
    await bed.until(() => fleet.stats.completed === 26);
    expect(byPeriod(service)).toEqual([10, 10, 5]);
    expect(fleet.stats).toMatchObject({ dead: 0, failed: 0, retried: 0, lost: 0 });
    expect(events.filter(({ name }) => name === 'budget.replenished')).toHaveLength(2);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual([]);
  });

  test('without it, nobody is suspended', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({ agents: { spender: caller(service, { replicas: 3 }) } });
    const events = bed.record(fleet, 'budget.exhausted', 'worker.suspended', 'task.parked');
    await submit(bed, fleet as never, 'spender', 25);
    await bed.until(() => fleet.stats.completed === 25);
    expect(events).toEqual([]);
    expect(fleet.budgets()).toEqual([]);
  });

  test('of a worker suspends that one; its peers go on', async () => {
    await using bed = new Testbed();
    const service = model(bed, 100);
    const spender = caller(service, { replicas: 2, budget: { worker: { tokens: 500, perMs: MINUTE_MS } } });
    const fleet = await bed.start({ agents: { spender } });
    const exhausted = bed.record(fleet, 'budget.exhausted');
    // One of them alone has spent: its peer is suspended meanwhile.
    await bed.drive(fleet.suspend('test/agents/spender/1'));
    await submit(bed, fleet as never, 'spender', 7);
    await bed.until(() => exhausted.length === 1);
    await bed.advance(1_000);
    expect(exhausted).toMatchObject([{ scope: 'worker:test/agents/spender/0' }]);
    expect(service.calls).toHaveLength(5);
    await bed.drive(fleet.resume('test/agents/spender/1'));
    // The one that was refused, too: its peer has money.
    await bed.until(() => fleet.stats.completed === 7, 15_000);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['spender/0: budget']);
    await bed.advance(MINUTE_MS);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual([]);
  });

  test('of the fleet suspends everybody, and raising it lets everybody go on at once', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({ agents: { a: caller(service, { replicas: 2 }), b: caller(service) }, budget: { usd: 6 } });
    await submit(bed, fleet as never, 'a', 6);
    await submit(bed, fleet as never, 'b', 6);
    await bed.advance(MINUTE_MS);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['a/0: budget', 'a/1: budget', 'b/0: budget']);
    expect(service.calls).toHaveLength(6);
    expect(fleet.budgets()).toMatchObject([
      { scope: 'fleet', limit: { usd: 6, tokens: null }, spent: { usd: 6 }, reserved: { usd: 0 }, untilMs: null },
    ]);
    // Nothing changes by itself.
    await bed.advance(60 * MINUTE_MS);
    expect(service.calls).toHaveLength(6);
    fleet.raiseBudget('fleet', { usd: 20 });
    await bed.until(() => fleet.stats.completed === 12, 60_000);
    expect(service.calls).toHaveLength(12);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual([]);
    expect(fleet.stats).toMatchObject({ dead: 0, failed: 0, retried: 0 });
  });

  test('raised by too little it stays as it is', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({ agents: { a: caller(service) }, budget: { tokens: 200 } });
    await submit(bed, fleet as never, 'a', 4);
    await bed.advance(MINUTE_MS);
    fleet.raiseBudget('fleet', { tokens: 250 });
    await bed.advance(MINUTE_MS);
    expect(service.calls).toHaveLength(2);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['a/0: budget']);
    fleet.raiseBudget('fleet', { tokens: 400 });
    await bed.until(() => fleet.stats.completed === 4, 60_000);
    expect(service.calls).toHaveLength(4);
  });

  test('does not undo what a person has suspended', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({ agents: { a: caller(service) }, budget: { tokens: 200 } });
    await submit(bed, fleet as never, 'a', 3);
    await bed.advance(MINUTE_MS);
    await bed.drive(fleet.suspend('test/agents/a/0', 'operator'));
    fleet.raiseBudget('fleet', { tokens: 1_000 });
    await bed.advance(MINUTE_MS);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['a/0: operator']);
    expect(service.calls).toHaveLength(2);
    await bed.drive(fleet.resume('test/agents/a/0', 'operator'));
    await bed.until(() => fleet.stats.completed === 3);
  });

  test('parks a run in the middle of its work, which goes on over what it remembers', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const work = agent({
      uses: { model: service.dependency },
      attempts: 1,
      run: async (_input: null, ctx) => {
        for (let step = 0; step < 5; step += 1) await ctx.call('model', step);
        return 'done';
      },
    });
    const fleet = await bed.start({ agents: { work }, budget: { tokens: 200, perMs: MINUTE_MS } });
    const handle = await bed.drive(fleet.submit('work', null));
    expect(await bed.drive(handle.result())).toBe('done');
    expect(service.calls.map(({ request }) => request)).toEqual([0, 1, 2, 3, 4]);
    expect(byPeriod(service)).toEqual([2, 2, 1]);
    expect(fleet.stats).toMatchObject({ retried: 0, dead: 0 });
  });
});

describe('a task', () => {
  test('that has used up its own budget is refused, may catch that, and does not suspend its worker', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const work = agent({
      uses: { model: service.dependency },
      budget: { task: { tokens: 250 } },
      attempts: 3,
      run: async (_input: null, ctx) => {
        let calls = 0;
        try {
          for (; calls < 10; calls += 1) await ctx.call('model', calls);
        } catch (error) {
          const { cause } = error as { readonly cause: { readonly code: string; readonly detail: { readonly scope: string } } };
          return [calls, cause.code, cause.detail.scope];
        }
        return [calls];
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'greedy' }));
    expect(await bed.drive(handle.result())).toEqual([2, 'DROVER_BUDGET_EXCEEDED', 'task:greedy']);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual([]);
    // Another task has a budget of its own.
    expect(await bed.run(fleet, 'work', null)).toEqual([2, 'DROVER_BUDGET_EXCEEDED', expect.stringMatching(/^task:/)]);
    await bed.settle();
    expect(fleet.budgets(), 'those of tasks that have ended are forgotten').toEqual([]);
  });

  test('that does not catch it fails at once: trying again cannot help', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const work = caller(service, { budget: { task: { tokens: 50 } }, attempts: 5 });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1));
    expect((await bed.rejection(handle.result())).detail).toMatchObject({
      status: 'failed',
      error: {
        retryable: false,
        cause: { code: 'DROVER_BUDGET_EXCEEDED', message: expect.stringContaining('the whole budget is 50 tokens') as unknown },
      },
    });
    expect(service.calls).toEqual([]);
  });

  test('has its budget over all its runs', async () => {
    await using bed = new Testbed();
    const service = bed.service({ ...COSTS, attempts: 1 }, () =>
      service.calls.length === 1 ? { error: http(500) } : { reply: { tokens: 100 } },
    );
    const work = caller(service, { budget: { task: { tokens: 150 } }, attempts: 5, backoff: { baseMs: 10, capMs: 10 } });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1));
    // What the first one used nobody knows: its upper bound counts.
    expect((await bed.rejection(handle.result())).detail).toMatchObject({ error: { cause: { code: 'DROVER_BUDGET_EXCEEDED' } } });
    expect(service.calls).toHaveLength(1);
  });

  test('whose call is larger than the whole budget of its kind fails, and nobody is suspended for it', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({ agents: { work: caller(service, { budget: { tokens: 50, perMs: MINUTE_MS } }) } });
    const handle = await bed.drive(fleet.submit('work', 1));
    expect((await bed.rejection(handle.result())).detail).toMatchObject({
      status: 'failed',
      error: { cause: { code: 'DROVER_BUDGET_EXCEEDED' } },
    });
    expect(suspended(await bed.drive(fleet.workers()))).toEqual([]);
  });
});

describe('warnings', () => {
  test('come once a share and period, in order', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const fleet = await bed.start({
      agents: { a: caller(service) },
      budget: { tokens: 1_000, perMs: MINUTE_MS, warnAt: [0.9, 0.5] },
    });
    const warned = bed.record(fleet, 'budget.warned');
    await submit(bed, fleet as never, 'a', 20);
    await bed.until(() => fleet.stats.completed === 20);
    expect(warned.map(({ scope, share, spent }) => [scope, share, spent.tokens])).toEqual([
      ['fleet', 0.5, 500],
      ['fleet', 0.9, 900],
      ['fleet', 0.5, 500],
      ['fleet', 0.9, 900],
    ]);
  });
});

describe('a process that dies', () => {
  test('S5: never overspends, whenever it is killed: what it had in hand counts as spent', async () => {
    for (let seed = 0; seed < 15; seed += 1) {
      await using bed = new Testbed(seed);
      const service = model(bed, 60);
      const work = () =>
        caller(service, { replicas: 4, losses: 100, budget: { kind: { tokens: 3_000 }, task: { tokens: 1_000 } }, leaseMs: 1_000 });
      let fleet = await bed.start({ agents: { work: work() } });
      await submit(bed, fleet as never, 'work', 60);
      for (let kill = 0; kill < 4; kill += 1) {
        await bed.advance(bed.random.next() * 60);
        bed.kill();
        service.disconnect();
        fleet = await bed.start({ agents: { work: work() } });
      }
      await bed.advance(10 * MINUTE_MS);
      // Sixty tokens each have really been used by whatever was called.
      expect(service.calls.length * 60, `seed ${seed}`).toBeLessThanOrEqual(3_000);
      expect(service.calls.length).toBeGreaterThan(5);
      expect(suspended(await bed.drive(fleet.workers()))).toHaveLength(
        fleet.stats.dead + fleet.stats.failed > 0 || service.calls.length === 60 ? 0 : 4,
      );
    }
  });

  test('leaves the next one what it gave back in order', async () => {
    await using bed = new Testbed();
    const service = model(bed);
    const start = () => bed.start({ agents: { work: caller(service) }, budget: { tokens: 1_000 } });
    for (let life = 0; life < 3; life += 1) {
      const fleet = await start();
      await submit(bed, fleet as never, 'work', 3);
      await bed.until(() => fleet.stats.completed === 3);
      await bed.close(fleet);
      bed.fleets.pop();
    }
    const fleet = await start();
    await submit(bed, fleet as never, 'work', 3);
    await bed.advance(MINUTE_MS);
    expect(service.calls).toHaveLength(10);
    expect(suspended(await bed.drive(fleet.workers()))).toEqual(['work/0: budget']);
  });
});

describe('bad input', () => {
  const service = dependency({ perform: async (request: unknown) => request, unpriced: 'gpt-unheard-of' });
  const spend = (spec: object = {}) => agent({ uses: { model: service }, run: (input: unknown, ctx) => ctx.call('model', input), ...spec });

  test('an unknown price under a budget in money is refused, whichever budget it is', () => {
    const budgets: readonly [object, object][] = [
      [{}, { budget: { usd: 1 } }],
      [{ budget: { usd: 1 } }, {}],
      [{ budget: { kind: { usd: 1 } } }, {}],
      [{ budget: { worker: { usd: 1 } } }, {}],
      [{ budget: { task: { usd: 1 } } }, {}],
    ];
    for (const [ofKind, ofFleet] of budgets)
      expect(() => defineFleet({ name: 'test', agents: { work: spend(ofKind) }, ...ofFleet })).toThrow(
        expect.objectContaining({
          code: 'DROVER_TOPOLOGY',
          message: expect.stringMatching(/gpt-unheard-of[\s\S]*price|price[\s\S]*gpt-unheard-of/) as unknown,
        }),
      );
  });

  test('it is fine under a budget in tokens, and with a price of one’s own', () => {
    expect(() => defineFleet({ name: 'test', agents: { work: spend({ budget: { tokens: 100 } }) } })).not.toThrow();
    const priced = dependency({ ...service.spec, price: () => 0.01 });
    expect(() => defineFleet({ name: 'test', agents: { work: spend({ uses: { model: priced } }) }, budget: { usd: 1 } })).not.toThrow();
  });

  test.each([
    ['negative', { usd: -1 }],
    ['nothing', { usd: 0 }],
    ['no number', { usd: Number.NaN }],
    ['endless', { tokens: Infinity }],
    ['a part of a token', { tokens: 1.5 }],
    ['empty', {}],
    ['a period of no time', { usd: 1, perMs: 0 }],
    ['a warning at more than all', { usd: 1, warnAt: [1.5] }],
    ['a field of another name', { usd: 1, per: 'day' }],
  ])('a budget that is %s is refused, of a fleet and of a kind', (_name, budget) => {
    expect(() => defineFleet({ name: 'test', agents: { work: agent({ run: async () => 1 }) }, budget })).toThrow(/budget/);
    expect(() => agent({ run: async () => 1, budget })).toThrow(/budget/);
    expect(() => agent({ run: async () => 1, budget: { task: budget } })).toThrow(/budget/);
  });

  test('raising what is not there, or by nonsense, is refused', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { a: caller(model(bed)) }, budget: { tokens: 100 } });
    for (const [scope, budget] of [
      ['kind:b', { tokens: 5 }],
      ['fleet', {}],
      ['fleet', { tokens: -5 }],
      ['fleet', { tokens: 100, perMs: 5 }],
    ] as const)
      expect(() => fleet.raiseBudget(scope, budget)).toThrow(expect.objectContaining({ code: 'DROVER_BUDGET_INPUT' }));
  });
});
