/** A run that ends with a failure, though not at once, may go another way when it is tried again: what it asks in the same words is not paid again. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

interface Ctx {
  readonly task: { readonly attempt: number };
  call(name: 'model', request: string, options?: { readonly remember?: boolean; readonly key?: string }): Promise<string>;
  sleep(ms: number): Promise<void>;
  ask(kind: 'leaf', input: null): Promise<unknown>;
}

/** A model that refuses whatever is listed, for good; what it is asked, and under which key. */
function modelOf(bed: Testbed, down: Set<string>) {
  const model = bed.service({ classify: () => ({ at: 'permanent' as const }) }, ({ request }) =>
    down.has(request as string) ? { error: new Error(`${request as string} is down`) } : { reply: `${request as string}!` },
  );
  const asked = (): string[] => model.calls.map(({ request, key }) => `${request as string} ${key.replace(/^x\/call:model/, '')}`);
  return { model, asked };
}

async function started(bed: Testbed, down: Set<string>, attempts: number, run: (ctx: Ctx) => Promise<unknown>) {
  const { model, asked } = modelOf(bed, down);
  const leaf = agent({
    input: z.null(),
    async run() {
      await bed.sleep(1_000);
      return null;
    },
  });
  const work = agent({
    uses: { model: model.dependency },
    asks: { leaf },
    attempts,
    run: (_input: null, ctx) => run(ctx as never),
  });
  const fleet = await bed.start({ agents: { work, leaf } });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  return { fleet, handle, asked };
}

/** Asks the large model, else the small one; then something that comes after. `why`: of a run that ends with what the large one failed with. */
const withFallback =
  (after: (ctx: Ctx, draft: string, why: ErrorOptions) => Promise<unknown>) =>
  async (ctx: Ctx): Promise<unknown> => {
    let draft: string;
    let why: ErrorOptions = {};
    try {
      draft = await ctx.call('model', 'large');
    } catch (cause) {
      draft = await ctx.call('model', 'small');
      why = { cause };
    }
    return after(ctx, draft, why);
  };

test('the large model is well again when the task is tried again: what came after the small one is asked at a place of its own', async () => {
  await using bed = new Testbed();
  const down = new Set(['large']);
  const way = withFallback(async (ctx, draft, why) => {
    const sum = await ctx.call('model', `sum of ${draft}`);
    down.clear();
    if (ctx.task.attempt === 1) throw new Error('once', why);
    return sum;
  });
  const { handle, asked } = await started(bed, down, 3, way);
  expect(await bed.drive(handle.result())).toBe('sum of large!!');
  expect(asked()).toEqual(['large #1', 'small #2', 'sum of small! #3', 'large #1', 'sum of large! #4']);
});

test('what is asked in the same words is not paid again, wherever it stood', async () => {
  await using bed = new Testbed();
  const down = new Set(['large']);
  const way = withFallback(async (ctx, _draft, why) => {
    const facts = await ctx.call('model', 'facts');
    down.clear();
    if (ctx.task.attempt === 1) throw new Error('once', why);
    return facts;
  });
  const { handle, asked } = await started(bed, down, 3, way);
  expect(await bed.drive(handle.result())).toBe('facts!');
  expect(asked()).toEqual(['large #1', 'small #2', 'facts #3', 'large #1']);
});

test('one who asks the same twice gets two answers, and each is paid once', async () => {
  await using bed = new Testbed();
  const down = new Set(['large']);
  const way = withFallback(async (ctx, _draft, why) => {
    const votes = [await ctx.call('model', 'vote'), await ctx.call('model', 'vote')];
    down.clear();
    if (ctx.task.attempt === 1) throw new Error('once', why);
    return [...votes, await ctx.call('model', 'vote')];
  });
  const { handle, asked } = await started(bed, down, 3, way);
  expect(await bed.drive(handle.result())).toEqual(['vote!', 'vote!', 'vote!']);
  expect(asked()).toEqual(['large #1', 'small #2', 'vote #3', 'vote #4', 'large #1', 'vote #5']);
});

test('a call that is not remembered gets a key that no other has', async () => {
  await using bed = new Testbed();
  const down = new Set(['large']);
  const way = withFallback(async (ctx, _draft, why) => {
    await ctx.call('model', 'quick', { remember: false });
    const sum = await ctx.call('model', 'sum');
    down.clear();
    if (ctx.task.attempt === 1) throw new Error('once', why);
    return sum;
  });
  const { handle, asked } = await started(bed, down, 3, way);
  expect(await bed.drive(handle.result())).toBe('sum!');
  expect(asked()).toEqual(['large #1', 'small #2', 'quick #3', 'sum #4', 'large #1', 'quick #3']);
});

test('a run of the second attempt that has parked comes by what that has brought, and by nothing else', async () => {
  await using bed = new Testbed();
  const down = new Set(['large']);
  let runs = 0;
  const way = withFallback(async (ctx, draft, why) => {
    runs += 1;
    const sum = await ctx.call('model', `sum of ${draft}`);
    down.clear();
    if (ctx.task.attempt === 1) throw new Error('once', why);
    await ctx.ask('leaf', null);
    return [sum, await ctx.call('model', 'title')];
  });
  const { handle, asked } = await started(bed, down, 3, way);
  expect(await bed.drive(handle.result())).toEqual(['sum of large!!', 'title!']);
  expect(runs).toBe(3);
  expect(asked()).toEqual(['large #1', 'small #2', 'sum of small! #3', 'large #1', 'sum of large! #4', 'title #5']);
});

test('a task that is put back may go another way than it went before', async () => {
  await using bed = new Testbed();
  const down = new Set(['large', 'sum of small!']);
  const { fleet, handle, asked } = await started(
    bed,
    down,
    1,
    withFallback(async (ctx, draft, { cause }) => {
      const facts = await ctx.call('model', 'facts');
      const sum = ctx.call('model', `sum of ${draft}`);
      return [facts, await sum.catch((error: unknown) => Promise.reject(new AggregateError([cause, error], 'neither')))];
    }),
  );
  await bed.rejection(handle.result());
  down.clear();
  const putBackMs = bed.nowMs;
  await bed.drive(fleet.requeue('x'));
  const again = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(again.result())).toEqual(['facts!', 'sum of large!!']);
  expect(bed.nowMs - putBackMs).toBeLessThan(500);
  expect(asked()).toEqual(['large #1', 'small #2', 'facts #3', 'sum of small! #4', 'large #1', 'sum of large! #4']);
});

test('another request at the place of a first attempt stays another way of the run', async () => {
  await using bed = new Testbed();
  let runs = 0;
  const { handle, asked } = await started(bed, new Set(), 3, async (ctx) => {
    runs += 1;
    await ctx.call('model', `run ${runs}`);
    return ctx.ask('leaf', null);
  });
  expect(await bed.rejection(handle.result())).toMatchObject({ detail: { error: { code: 'DROVER_REPLAY_DIVERGED' } } });
  expect(asked()).toEqual(['run 1 #1']);
});
