/** A task that was begun under another version of its kind: it goes on, begins again, or is refused, and is never mixed in silence. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { z } from 'zod';
import { Testbed } from './harness.ts';

/** Version 1 makes a step and asks a child, then waits; version 2 does the same with other inputs. */
function versions(onVersionChange: 'replay' | 'restart' | 'refuse') {
  const made: string[] = [];
  const child = agent({ run: async (name: string) => name });
  const at = (version: string, name: string) =>
    agent({
      version,
      onVersionChange,
      asks: { child },
      async run(_input: null, ctx) {
        const step = await ctx.step('make', ({ idempotencyKey }) => {
          made.push(`${version} ${idempotencyKey}`);
          return version;
        });
        const said = await ctx.ask('child', name);
        await ctx.sleep(10_000);
        return [step, said, version];
      },
    });
  return { made, old: { work: at('1', 'first'), child }, next: (name: string) => ({ work: at('2', name), child }) };
}

async function begun(bed: Testbed, agents: ReturnType<typeof versions>['old']): Promise<void> {
  const fleet = await bed.start({ agents });
  await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(fleet);
}

test('`replay` goes on over what is remembered', async () => {
  await using bed = new Testbed();
  const { made, old, next } = versions('replay');
  await begun(bed, old);
  const fleet = await bed.start({ agents: next('first') });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toEqual(['1', 'first', '2']);
  expect(made).toEqual(['1 x/step:make']);
});

test('`replay` over what does not fit any more is told where', async () => {
  await using bed = new Testbed();
  const { old, next } = versions('replay');
  await begun(bed, old);
  const fleet = await bed.start({ agents: next('second') });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  const error = await bed.rejection(handle.result());
  expect(error).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_REPLAY_DIVERGED' } } });
  expect(error.message).toMatch(/ask:child#1.*first.*second/);
});

test('`restart` begins again as if nothing had been, costs no attempt, and is not begun again in the same version', async () => {
  await using bed = new Testbed();
  const { made, old, next } = versions('restart');
  await begun(bed, old);
  const fleet = await bed.start({ agents: next('second') });
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toEqual(['2', 'second', '2']);
  // The same effect is the same for whoever it is made on.
  expect(made).toEqual(['1 x/step:make', '2 x/step:make']);
  expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
});

test('`refuse` fails the task and keeps what it remembers: put back under the old version, it goes on', async () => {
  await using bed = new Testbed();
  const { made, old, next } = versions('refuse');
  await begun(bed, old);
  let fleet = await bed.start({ agents: next('first') });
  const refused = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.rejection(refused.result())).toMatchObject({
    detail: { status: 'failed', error: { code: 'DROVER_VERSION_REFUSED' } },
  });
  await bed.close(fleet);
  fleet = await bed.start({ agents: old });
  await bed.drive(fleet.requeue('x'));
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toEqual(['1', 'first', '1']);
  expect(made).toEqual(['1 x/step:make']);
});

test('`refuse` lets go on what has been begun by no version', async () => {
  await using bed = new Testbed();
  const { old, next } = versions('refuse');
  let fleet = await bed.start({ agents: old });
  await bed.drive(fleet.pauseKind('work'));
  await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.close(fleet);
  fleet = await bed.start({ agents: next('second') });
  await bed.drive(fleet.unpauseKind('work'));
  const handle = await bed.drive(fleet.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toEqual(['2', 'second', '2']);
});

test('an older version goes on over what a newer one has asked for and read meanwhile', async () => {
  await using bed = new Testbed();
  const child = agent({ run: async (name: string) => name });
  const at = (version: string) =>
    agent({
      version,
      asks: { child },
      writes: ['row'],
      async run(_input: null, ctx) {
        await ctx.step('make', () => version);
        await ctx.sleep(5_000);
        if (version === '2') {
          await ctx.state.get('row');
          await ctx.ask('child', 'new');
          await ctx.step('more', () => null);
        }
        await ctx.sleep(5_000);
        return version;
      },
    });
  const [old, newer] = [
    { work: at('1'), child },
    { work: at('2'), child },
  ];
  await begun(bed, old as never);
  const fleet = await bed.start({ agents: newer });
  await bed.advance(5_000);
  await bed.close(fleet);
  const again = await bed.start({ agents: old });
  const handle = await bed.drive(again.submit('work', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toBe('1');
});

/** Fails for good after two steps, each of which can be undone. The first version does not come to the end of undoing the first. */
function undoable(bed: Testbed, onVersionChange: 'replay' | 'restart' | 'refuse') {
  const undone: string[] = [];
  const at = (version: string, prefix = '') =>
    agent({
      version,
      onVersionChange,
      async run(_input: null, ctx) {
        for (const name of [`${prefix}a`, `${prefix}b`]) {
          await ctx.compensate(name, async () => {
            if (version === '1' && name === 'a') await bed.sleep(60_000);
            undone.push(`${name} by ${version}`);
          });
          await ctx.step(name, () => null);
        }
        if (prefix !== '' && version === '2') await ctx.sleep(20_000);
        throw Object.assign(new Error('no'), { retryable: false });
      },
    });
  return { undone, at };
}

test.each(['replay', 'restart', 'refuse'] as const)(
  'what has begun to be undone is undone to its end under a version that would `%s`',
  async (how) => {
    await using bed = new Testbed();
    const { undone, at } = undoable(bed, how);
    const fleet = await bed.start({ agents: { work: at('1') } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.until(() => undone.length === 1);
    await bed.advance(1_000);
    bed.kill();
    const next = await bed.start({ agents: { work: at('2') } });
    const handle = await bed.drive(next.submit('work', null, { id: 'x' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { status: 'failed' } });
    expect(undone).toEqual(['b by 1', 'a by 2']);
  },
);

test('what a version that begins again has done is undone the way that it went, under a newer one too', async () => {
  await using bed = new Testbed();
  const { undone, at } = undoable(bed, 'restart');
  await begun(bed, {
    work: agent({ version: '1', run: async (_: null, ctx) => [await ctx.step('old', () => null), await ctx.sleep(3_000)] }),
  } as never);
  await begun(bed, { work: at('2', 'new ') } as never);
  const fleet = await bed.start({ agents: { work: at('3', 'new ') } });
  await bed.drive(fleet.cancel('x'));
  await bed.until(() => undone.length === 2);
  expect(undone).toEqual(['new b by 3', 'new a by 3']);
  expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'cancelled' });
});

/** A parent that gets the answer of a child once more, after its process has been restarted. */
async function answeredAcross(bed: Testbed, before: z.ZodType, after: z.ZodType, brings: unknown) {
  const agents = (output: z.ZodType) => {
    const child = agent({ output, run: async (_input: null) => brings as never });
    const parent = agent({
      asks: { child },
      async run(_input: null, ctx) {
        const said: unknown = await ctx.ask('child', null);
        await ctx.sleep(10_000);
        return said;
      },
    });
    return { child, parent };
  };
  const old = await bed.start({ agents: agents(before) });
  await bed.drive(old.submit('parent', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(old);
  const fleet = await bed.start({ agents: agents(after) });
  return { fleet, result: (await bed.drive(fleet.submit('parent', null, { id: 'x' }))).result() };
}

test('an answer of a child that does not fit its schema any more is refused, not given to code that expects another', async () => {
  await using bed = new Testbed();
  const { fleet, result } = await answeredAcross(bed, z.object({ r: z.number() }), z.object({ r: z.string().default('') }), { r: 1 });
  const error = await bed.rejection(result);
  expect(error).toMatchObject({ detail: { status: 'failed', error: { code: 'DROVER_PAYLOAD_INVALID' } } });
  expect(error.message).toContain('output of child, which was brought before its schema was changed: r: ');
  expect(await fleet.task('x')).toMatchObject({ attempt: 1 });
});

test('an answer that its schema has made, and would not take, is given as it was', async () => {
  await using bed = new Testbed();
  const length = z.string().transform((text) => text.length);
  const { result } = await answeredAcross(bed, length, length, 'four');
  expect(await bed.drive(result)).toBe(4);
});

/** Version 1 charges, and then waits; version 2 has the steps of `steps`, of which a new one has no effect here. */
async function charged(bed: Testbed, steps: readonly string[]) {
  const at = (version: string, names: readonly string[]) =>
    agent({
      version,
      async run(_input: null, ctx) {
        for (const name of names) await ctx.step(name, () => version);
        await ctx.sleep(10_000);
        return version;
      },
    });
  const old = await bed.start({ agents: { pay: at('1', ['charge']) } });
  await bed.drive(old.submit('pay', null, { id: 'x' }));
  await bed.advance(2_000);
  await bed.close(old);
  const fleet = await bed.start({ agents: { pay: at('2', steps) } });
  const told = bed.record(fleet, 'task.left-aside');
  const handle = await bed.drive(fleet.submit('pay', null, { id: 'x' }));
  expect(await bed.drive(handle.result())).toBe('2');
  return told;
}

test('`replay` tells what another version has brought and this one does not come by: a step with another name is made twice', async () => {
  await using bed = new Testbed();
  const ref = { id: 'x', kind: 'pay', version: '2', of: '1', places: ['step:charge'] };
  expect(await charged(bed, ['charge card'])).toMatchObject([
    { ...ref, did: 'step:charge card' },
    { ...ref, did: null },
  ]);
});

test('`replay` is silent where all that another version has brought is come by', async () => {
  await using bed = new Testbed();
  expect(await charged(bed, ['charge', 'receipt'])).toEqual([]);
});

test.each(['input', 'event', 'answer'] as const)(
  'a task whose %s does not fit a schema of the code that runs now is kept as it stands, and goes on when the old one is back',
  async (what) => {
    await using bed = new Testbed();
    const done: string[] = [];
    const agents = (changed: boolean) => {
      const shape = (name: string) =>
        (changed && name === what ? z.object({ n: z.string() }) : z.object({ n: z.number() })) as z.ZodType<{ n: number }>;
      const child = agent({ output: shape('answer'), run: async (_input: null) => ({ n: 2 }) });
      const parent = agent({
        input: shape('input'),
        events: { go: shape('event') },
        asks: { child },
        async run({ n }, ctx) {
          await ctx.compensate('pay', () => void done.push('undone'));
          await ctx.step('pay', () => void done.push('paid'));
          const { n: answer } = await ctx.ask('child', null);
          await ctx.sleep(10_000);
          return n + answer + (await ctx.waitFor('go')).n;
        },
      });
      return { child, parent };
    };
    const old = await bed.start({ agents: agents(false) });
    await bed.drive(old.submit('parent', { n: 1 }, { id: 'x' }));
    await bed.drive(old.signal('x', 'go', { n: 3 }));
    await bed.advance(2_000);
    await bed.close(old);
    const changed = await bed.start({ agents: agents(true) });
    await bed.advance(20_000);
    expect(await changed.task('x')).toMatchObject({ status: 'failed', kept: true, undone: false });
    expect((await changed.task('x'))!.error).toMatchObject({ code: 'DROVER_PAYLOAD_INVALID' });
    await bed.close(changed);
    const back = await bed.start({ agents: agents(false) });
    await bed.drive(back.requeue('x'));
    const handle = await bed.drive(back.submit('parent', { n: 1 }, { id: 'x' }));
    expect(await bed.drive(handle.result())).toBe(6);
    expect(done).toEqual(['paid']);
  },
);
