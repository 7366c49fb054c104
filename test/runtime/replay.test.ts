/** A replay that takes another way is found out before it does anything, and named; what is no other way is left alone. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

/** A child that takes long enough for its parent to park. */
const leafOf = (bed: Testbed) =>
  agent({
    async run(input: number) {
      await bed.sleep(1_000);
      return input;
    },
  });

type Ctx = {
  step<T>(name: string, fn: () => T): Promise<T>;
  sleep(ms: number): Promise<void>;
  ask(kind: 'leaf' | 'leaf2', input: number): Promise<number>;
  call(name: 'service', request: unknown): Promise<unknown>;
  waitFor(name: 'go'): Promise<unknown>;
};

/** Runs `first` until it has parked, then `later`. */
async function replayed(bed: Testbed, first: (ctx: Ctx) => Promise<unknown>, later: (ctx: Ctx) => Promise<unknown>) {
  let runs = 0;
  const leaf = leafOf(bed);
  const leaf2 = leafOf(bed);
  const service = bed.service();
  const work = agent({
    asks: { leaf, leaf2 },
    uses: { service: service.dependency },
    events: { go: z.number() },
    async run(_input: null, ctx) {
      runs += 1;
      return (runs === 1 ? first : later)(ctx as never);
    },
  });
  const fleet = await bed.start({ agents: { work, leaf, leaf2 } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(20_000);
  return { fleet, service, error: async () => (await bed.rejection(handle.result())) as never, handle };
}

const diverged = (place: string, came: string) => ({
  detail: {
    status: 'failed',
    error: {
      code: 'DROVER_REPLAY_DIVERGED',
      message: expect.stringMatching(new RegExp(`^task x: at ${place}.*now came ${came};.*another version of its kind`)) as unknown,
    },
  },
});

test('what is called within a step has places of its own: a step that is remembered does not move those behind it', async () => {
  await using bed = new Testbed();
  const way = async (ctx: Ctx) => {
    const inside = await ctx.step('whole', () => Promise.all([ctx.call('service', 'same'), ctx.call('service', 'same')]));
    const outside = await ctx.call('service', 'same');
    await ctx.sleep(5_000);
    return [inside, outside, await ctx.call('service', 'same')];
  };
  const { service, handle } = await replayed(bed, way, way);
  expect(service.calls.map(({ key }) => key)).toEqual([
    'x/call:service~in:whole#1',
    'x/call:service~in:whole#2',
    'x/call:service#1',
    'x/call:service#2',
  ]);
  await bed.drive(handle.result());
});

test('a step with a key has its own places for what is called in it', async () => {
  await using bed = new Testbed();
  const way = async (ctx: Ctx) => {
    const got: unknown[] = [];
    for (const key of ['a', 'b']) {
      const one = ctx as unknown as { step(name: string, fn: () => Promise<unknown>, options: { key: string }): Promise<unknown> };
      got.push(await one.step('process', () => ctx.call('service', 'new ticket'), { key }));
      await ctx.sleep(1_000);
    }
    return got;
  };
  const { service, handle } = await replayed(bed, way, way);
  await bed.drive(handle.result());
  expect(service.calls.map(({ key }) => key)).toEqual(['x/call:service~in:process[a]#1', 'x/call:service~in:process[b]#1']);
});

test('what a step brought and JSON cannot hold is a failure that is come by again', async () => {
  await using bed = new Testbed();
  let made = 0;
  const way = async (ctx: Ctx) => {
    const bad = await ctx.step('bad', () => ((made += 1), new Map())).catch((error: { code: string }) => error.code);
    await ctx.step('instead', () => 1);
    await ctx.sleep(1_000);
    return bad;
  };
  const { handle } = await replayed(bed, way, way);
  expect(await bed.drive(handle.result())).toBe('DROVER_PAYLOAD_NOT_JSON');
  expect(made).toBe(1);
});

describe('a later run of the same version', () => {
  test('that comes to another step does not make it', async () => {
    await using bed = new Testbed();
    const effects: string[] = [];
    const way = (name: string) => async (ctx: Ctx) => {
      await ctx.step(name, () => effects.push(name));
      await ctx.sleep(1_000);
    };
    const { error } = await replayed(bed, way('left'), way('right'));
    expect(await error()).toMatchObject(diverged('step:left', 'step:right'));
    expect(effects).toEqual(['left']);
  });

  test('that leaves out a step and returns does not complete', async () => {
    await using bed = new Testbed();
    const { error } = await replayed(
      bed,
      async (ctx) => {
        await ctx.step('pay', () => 1);
        await ctx.sleep(1_000);
      },
      async (ctx) => ctx.sleep(1_000),
    );
    expect(await error()).toMatchObject(diverged('step:pay', 'the end of the run'));
  });

  test('that asks another kind asks nobody', async () => {
    await using bed = new Testbed();
    const { error, fleet } = await replayed(
      bed,
      async (ctx) => ctx.ask('leaf', 1),
      async (ctx) => ctx.ask('leaf2', 1),
    );
    expect(await error()).toMatchObject(diverged('ask:leaf#1@\\S+', 'ask:leaf2#1@\\S+'));
    expect((await bed.drive(fleet.counts()))['leaf2']?.completed ?? 0).toBe(0);
  });

  test('that asks where an earlier one called does not ask', async () => {
    await using bed = new Testbed();
    const { error } = await replayed(
      bed,
      async (ctx) => {
        await ctx.call('service', 1);
        await ctx.sleep(1_000);
      },
      async (ctx) => ctx.ask('leaf', 1),
    );
    expect(await error()).toMatchObject(diverged('call:service#1', 'ask:leaf#1@\\S+'));
  });

  test('that only waits for something else does not wait for ever', async () => {
    await using bed = new Testbed();
    const { error } = await replayed(
      bed,
      async (ctx) => {
        await ctx.step('pay', () => 1);
        await ctx.sleep(1_000);
      },
      async (ctx) => ctx.waitFor('go'),
    );
    expect(await error()).toMatchObject(diverged('step:pay', 'wait:go#1'));
  });

  test('may do in another order what was remembered', async () => {
    await using bed = new Testbed();
    const way = (names: readonly string[]) => async (ctx: Ctx) => {
      for (const name of names) await ctx.step(name, () => name);
      await ctx.sleep(1_000);
      return 'done';
    };
    const { handle } = await replayed(bed, way(['a', 'b']), way(['b', 'a']));
    expect(await bed.drive(handle.result())).toBe('done');
  });

  test('may begin something new in one branch while another is still on its way', async () => {
    await using bed = new Testbed();
    const both = async (ctx: Ctx): Promise<unknown> => {
      const slow = async (): Promise<unknown> => {
        await ctx.sleep(1_000);
        return ctx.step('after the park', () => 'slow');
      };
      const quick = async (): Promise<unknown> => {
        for (let at = 0; at < 5; at += 1) await ctx.step(`quick ${at}`, () => at);
        // Nothing of this shows on ctx.
        await bed.sleep(900);
        return ctx.step('last', () => 'quick');
      };
      return Promise.all([ctx.waitFor('go'), slow(), quick()]);
    };
    const { handle, fleet } = await replayed(bed, both, both);
    await bed.drive(fleet.signal('x', 'go', 7));
    expect(await bed.drive(handle.result())).toEqual([7, 'slow', 'quick']);
  });

  test('gives two waits for one event what it gave them before, whatever is beside them', async () => {
    await using bed = new Testbed();
    const waits = async (ctx: Ctx): Promise<unknown> => {
      const chain = async (): Promise<unknown> => {
        await ctx.step('a', () => 1);
        return ctx.step('b', () => 2);
      };
      const first = ctx.waitFor('go');
      const second = (ctx as unknown as { waitFor(name: string, options: object): Promise<unknown> }).waitFor('go', {
        withinMs: 3_600_000,
      });
      return Promise.all([first, second, chain()]);
    };
    const { handle, fleet } = await replayed(bed, waits, waits);
    await bed.drive(fleet.signal('x', 'go', 1));
    await bed.advance(5_000);
    await bed.drive(fleet.signal('x', 'go', 2));
    expect(await bed.drive(handle.result())).toEqual([1, 2, 2]);
  });
});

describe('another way is none', () => {
  test('after a failed attempt, for what it has ended with is tried anew', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const made: string[] = [];
    const work = agent({
      uses: { service: service.dependency },
      backoff: () => 1,
      async run(_input: null, ctx) {
        const flaky = ctx.step('flaky', () => {
          made.push('flaky');
          if (made.length === 1) throw new Error('not now');
          return 'straight';
        });
        return flaky.catch(async (cause: unknown) => {
          await ctx.step('fallback', () => made.push('fallback'));
          throw new Error('again', { cause });
        });
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', null)).toBe('straight');
    expect(made).toEqual(['flaky', 'fallback', 'flaky']);
  });

  test('when an operator has put the task back', async () => {
    await using bed = new Testbed();
    let broken = true;
    const work = agent({
      attempts: 1,
      async run(_input: null, ctx) {
        const flaky = ctx.step('flaky', () => {
          if (broken) throw new Error('not now');
          return 'straight';
        });
        const way = await flaky.catch(async (cause: unknown) => {
          await ctx.step('fallback', () => 1);
          throw new Error('no', { cause });
        });
        return ctx.step('next', () => way);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.rejection(handle.result());
    broken = false;
    await bed.drive(fleet.requeue('x'));
    const again = await bed.drive(fleet.submit('work', null, { id: 'x' }));
    expect(await bed.drive(again.result())).toBe('straight');
  });

  test('under another version of the code', async () => {
    await using bed = new Testbed();
    const under = (version: string, name: string) =>
      agent({
        version,
        async run(_input: null, ctx) {
          await ctx.step(name, () => name);
          await ctx.sleep(60_000);
          return name;
        },
      });
    const fleet = await bed.start({ agents: { work: under('1', 'old') } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(10_000);
    await bed.close(fleet);
    const next = await bed.start({ agents: { work: under('2', 'new') } });
    const handle = await bed.drive(next.submit('work', null, { id: 'x' }));
    expect(await bed.drive(handle.result())).toBe('new');
  });

  test('where a write finds after a park that somebody was faster', async () => {
    await using bed = new Testbed();
    const work = agent({
      writes: ['row'],
      async run(_input: null, ctx) {
        const row = await ctx.state.get<number>('row');
        const isLate = await ctx.state.set('row', 1, row?.version ?? null).then(
          () => false,
          () => true,
        );
        if (isLate) return 'late';
        await ctx.step('on time', () => 1);
        await ctx.sleep(60_000);
        return 'on time';
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null));
    await bed.advance(10_000);
    await bed.drive(fleet.state.set('row', 7, null));
    expect(await bed.drive(handle.result())).toBe('late');
  });
});

describe('a key', () => {
  test('is a place that no order changes', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    let runs = 0;
    const child = leafOf(bed);
    const work = agent({
      uses: { service: service.dependency },
      asks: { child },
      async run(_input: null, ctx) {
        runs += 1;
        const ids = runs % 2 === 1 ? ['b', 'a'] : ['a', 'b'];
        for (const id of ids) {
          await ctx.call('service', { id }, { key: id });
          await ctx.step('note', () => id, { key: id });
          await ctx.sleep(500, { key: id });
        }
        return Promise.all(ids.map(async (id) => ctx.ask('child', id.length, { key: id })));
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    expect(await bed.run(fleet, 'work', null, { id: 'x' })).toEqual([1, 1]);
    expect(runs).toBeGreaterThan(1);
    expect(service.calls.map(({ request, key }) => [request, key])).toEqual([
      [{ id: 'b' }, 'x/call:service[b]'],
      [{ id: 'a' }, 'x/call:service[a]'],
    ]);
    expect(await fleet.task('x/child[a]')).toMatchObject({ status: 'completed' });
  });

  test('is refused twice in one run, and when it is none', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const work = agent({
      uses: { service: service.dependency },
      async run(key: string, ctx) {
        await ctx.call('service', 1, { key });
        await ctx.step('one', () => 1, { key });
        return ctx.call('service', 1, { key }).catch((error: Error) => error.message);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    expect(await bed.run(fleet, 'work', 'a', { id: 'x' })).toBe(
      'task x: call:service has key "a" twice in one run; it is remembered by its key, give each its own',
    );
    const handle = await bed.drive(fleet.submit('work', ''));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_PAYLOAD_INVALID' } } });
  });
});

test('of what a run has not come by, what is like that which came is named, in whatever order the store gives it', async () => {
  for (const [later, place] of [
    [async (ctx: Ctx) => ctx.step('other', () => 1), 'step:a'],
    [async (ctx: Ctx) => ctx.call('service', 'new'), 'call:service#1'],
    [async () => 'at once', 'step:a'],
  ] as const) {
    await using bed = new Testbed();
    const first = async (ctx: Ctx): Promise<void> => {
      await ctx.sleep(1);
      await ctx.call('service', 'one');
      await ctx.call('service', 'two');
      await ctx.step('b', () => 1);
      await ctx.step('a', () => 1);
      await ctx.sleep(5_000);
    };
    const { error } = await replayed(bed, first, later);
    const came: unknown = expect.stringContaining(place.startsWith('call') ? `at ${place}` : `at ${place} an earlier run did something`);
    expect(await error()).toMatchObject({ detail: { error: { code: 'DROVER_REPLAY_DIVERGED', message: came } } });
  }
});
