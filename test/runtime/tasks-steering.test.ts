import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import { Testbed } from './harness.ts';

/** Runs that wait for a service that never answers: they are held until somebody steers them. */
function held(bed: Testbed) {
  const slow = bed.service({}, () => ({ never: true }));
  return { slow, work: agent({ uses: { slow: slow.dependency }, run: async (n: number, ctx) => ctx.call('slow', n) }) };
}

const steps = (story: readonly { readonly at: string }[]): unknown[] =>
  story.map((entry) => ('action' in entry ? entry.action : 'outcome' in entry ? entry.outcome : entry.at));

describe('cancelling', () => {
  test('a waiting task ends it at once, and whoever awaits it hears by whom and why', async () => {
    await using bed = new Testbed();
    const { work } = held(bed);
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', 1));
    const handle = await bed.drive(fleet.submit('work', 2, { id: 'second', notBefore: bed.nowMs + 60_000 }));
    const events = bed.record(fleet, 'task.cancelled', 'task.steered');
    expect(await bed.drive(handle.cancel({ by: 'Ada', reason: 'not needed' }))).toBe('done');
    expect(await bed.rejection(handle.result())).toMatchObject({
      code: 'DROVER_TASK_CANCELLED',
      retryable: false,
      detail: { id: 'second', kind: 'work', by: 'Ada', reason: 'not needed' },
    });
    expect(await bed.drive(fleet.task('second'))).toMatchObject({ status: 'cancelled' });
    expect(events.map(({ name, id }) => [name, id]).toSorted()).toEqual([
      ['task.cancelled', 'second'],
      ['task.steered', 'second'],
    ]);
    expect(fleet.stats.cancelled).toBe(1);
    expect(steps(await bed.drive(fleet.story('second')))).toEqual(['submitted', 'cancel']);
  });

  test('a running task has its run let go, within the time that workers have to stop, and is done when that has', async () => {
    await using bed = new Testbed();
    const { slow, work } = held(bed);
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    await bed.until(() => slow.calls.length === 1);
    const orderedMs = bed.nowMs;
    expect(await bed.drive(fleet.cancel('first'))).toBe('noted');
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED', detail: { by: 'operator', reason: null } });
    expect(bed.nowMs - orderedMs).toBeLessThanOrEqual(5_000);
    expect(slow.calls[0]!.aborted).toBeDefined();
    expect(slow.inFlight).toBe(0);
    const story = await bed.drive(fleet.story('first'));
    expect(story.find(({ at }) => at === 'run')).toMatchObject({
      worker: 'test/agents/work/0',
      incarnation: 1,
      epoch: 1,
      fence: 1,
      claimedAtMs: expect.any(Number),
      startedAtMs: expect.any(Number),
    });
    expect(fleet.load).toMatchObject({ running: 0, held: 0 });
  });

  test('its story tells in which process each life of a worker was', async () => {
    await using bed = new Testbed();
    const { slow, work } = held(bed);
    await bed.drive((await bed.start({ agents: { work } })).submit('work', 1, { id: 'first' }));
    await bed.until(() => slow.calls.length === 1);
    bed.kill();
    const fleet = await bed.start({ agents: { work } });
    await bed.until(() => slow.calls.length === 2);
    await bed.drive(fleet.cancel('first'));
    await bed.advance(6_000);
    const runs = (await bed.drive(fleet.story('first'))).filter((entry) => entry.at === 'run');
    expect(runs).toMatchObject([
      { worker: 'test/agents/work/0', incarnation: 1, epoch: 1, outcome: 'owner-gone' },
      { worker: 'test/agents/work/0', incarnation: 1, epoch: 2 },
    ]);
  });

  test('a task that asked cancels those that it asked, wherever they are', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ never: true }));
    const child = agent({ uses: { slow: slow.dependency }, run: async (n: number, ctx) => ctx.call('slow', n) });
    const parent = agent({ asks: { child }, run: async (_: null, ctx) => Promise.all([1, 2, 3].map((n) => ctx.ask('child', n))) });
    const fleet = await bed.start({ agents: { parent, child } });
    const handle = await bed.drive(fleet.submit('parent', null, { id: 'parent' }));
    await bed.until(() => slow.calls.length === 1);
    await bed.advance(1_000);
    const asked = (await bed.drive(fleet.tasks({ kind: 'child', limit: 10 }))).map(({ id }) => id);
    expect(asked).toHaveLength(3);
    await bed.drive(handle.cancel({ by: 'Ada' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ detail: { by: 'Ada' } });
    await bed.advance(6_000);
    const children = await bed.drive(fleet.tasks({ kind: 'child', limit: 10 }));
    expect(children.map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    const again = await bed.drive(fleet.submit('child', 1, { id: asked[0]! }));
    expect(await bed.rejection(again.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED', detail: { by: 'Ada' } });
  });

  test('twice is once; what has ended otherwise is refused, and so is what is not there', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (n: number) => n });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', 1, { id: 'done' });
    await bed.drive(fleet.submit('work', 1, { id: 'later', notBefore: new Date(bed.nowMs + 1_000) }));
    await bed.drive(fleet.cancel('later'));
    expect(await bed.drive(fleet.cancel('later'))).toBe('done');
    expect(steps(await bed.drive(fleet.story('later')))).toEqual(['submitted', 'cancel']);
    expect(await bed.rejection(fleet.cancel('done'))).toMatchObject({
      code: 'DROVER_TASK_ENDED',
      detail: { id: 'done', status: 'completed' },
    });
    expect(await bed.rejection(fleet.cancel('nobody'))).toMatchObject({ code: 'DROVER_UNKNOWN_TASK', detail: { id: 'nobody' } });
    expect(await bed.rejection(fleet.story('nobody'))).toMatchObject({ code: 'DROVER_UNKNOWN_TASK' });
    expect(await bed.rejection(fleet.cancel('done', { by: 7 as never }))).toMatchObject({
      code: 'DROVER_OPERATOR_INPUT',
      detail: { argument: 'by' },
    });
  });

  test('survives a crash of the process before the run has let go', async () => {
    await using bed = new Testbed();
    const { slow, work } = held(bed);
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    await bed.until(() => slow.calls.length === 1);
    bed.faults.delays = (command) => (command === 'settle' ? [10_000, 0] : [0, 0]);
    void fleet.cancel('first', { by: 'Ada' }).catch(() => {});
    await bed.settle();
    bed.kill();
    bed.faults.delays = undefined;
    slow.disconnect();
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', 1, { id: 'first' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED', detail: { by: 'Ada' } });
    expect(slow.calls).toHaveLength(1);
  });

  test('undoes first what was registered to be undone', async () => {
    await using bed = new Testbed();
    const slow = bed.service({}, () => ({ never: true }));
    const undone: string[] = [];
    const work = agent({
      uses: { slow: slow.dependency },
      run: async (_: null, ctx) => {
        await ctx.compensate('give back', () => undone.push('give back'));
        await ctx.step('take', () => 'taken');
        return ctx.call('slow', 1);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', null, { id: 'first' }));
    await bed.until(() => slow.calls.length === 1);
    await bed.drive(handle.cancel({ by: 'Ada' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_CANCELLED', detail: { by: 'Ada' } });
    expect(undone).toEqual(['give back']);
    expect(await bed.rejection(fleet.requeue('first'))).toMatchObject({ code: 'DROVER_TASK_NOT_REQUEUEABLE', detail: { undone: true } });
  });
});

describe('pausing', () => {
  test('a waiting task keeps it from running until it is unpaused', async () => {
    await using bed = new Testbed();
    const ran: number[] = [];
    const work = agent({ run: async (n: number) => ran.push(n) });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', 1, { id: 'first', notBefore: bed.nowMs + 1_000 }));
    const events = bed.record(fleet, 'task.paused');
    expect(await bed.drive(fleet.pause('first'))).toBe('done');
    await bed.advance(60_000);
    expect(ran).toEqual([]);
    expect(events).toMatchObject([{ id: 'first', kind: 'work' }]);
    expect(await bed.drive(fleet.task('first'))).toMatchObject({ status: 'parked', parkedFor: 'operator' });
    await bed.drive(fleet.unpause('first', { by: 'Ada' }));
    await bed.until(() => ran.length === 1);
    await bed.advance(10);
    expect(steps(await bed.drive(fleet.story('first')))).toEqual(['submitted', 'pause', 'unpause', 'completed']);
  });

  test('a paused task that is cancelled is undone at once', async () => {
    await using bed = new Testbed();
    const undone: string[] = [];
    const work = agent({
      async run(_input: null, ctx) {
        await ctx.compensate('u', () => undone.push('u'));
        await ctx.sleep(3_600_000);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', null, { id: 'x' }));
    await bed.advance(10_000);
    await bed.drive(fleet.pause('x'));
    await bed.advance(10_000);
    expect(await bed.drive(fleet.cancel('x'))).toBe('noted');
    await bed.until(() => undone.length === 1);
    await bed.advance(1_000);
    expect(await bed.drive(fleet.task('x'))).toMatchObject({ status: 'cancelled', undone: true });
  });

  test('a running task lets its run go, uses no attempt, and pays nothing again', async () => {
    await using bed = new Testbed();
    const [first, second] = [bed.service(), bed.service({}, () => ({ never: true }))];
    const work = agent({
      uses: { first: first.dependency, second: second.dependency },
      run: async (n: number, ctx) => {
        await ctx.call('first', n);
        return ctx.call('second', ctx.task.attempt);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    await bed.until(() => second.calls.length === 1);
    const events = bed.record(fleet, 'task.paused');
    expect(await bed.drive(fleet.pause('first'))).toBe('noted');
    await bed.advance(60_000);
    expect(events).toHaveLength(1);
    expect(await bed.drive(fleet.task('first'))).toMatchObject({ status: 'parked', parkedFor: 'operator', attempt: 0 });
    second.respond = ({ request }) => ({ reply: request });
    await bed.drive(fleet.unpause('first'));
    expect(await bed.drive(handle.result())).toBe(1);
    expect(first.calls).toHaveLength(1);
  });

  test('lasts over a restart, and unpausing what is not paused is refused', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (n: number) => n });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', 1, { id: 'first', notBefore: bed.nowMs + 1_000 }));
    expect(await bed.rejection(fleet.unpause('first'))).toMatchObject({ code: 'DROVER_TASK_NOT_PAUSED', detail: { status: 'parked' } });
    await bed.drive(fleet.pause('first'));
    bed.kill();
    const next = await bed.start({ agents: { work } });
    await bed.advance(60_000);
    expect(await bed.drive(next.task('first'))).toMatchObject({ status: 'parked' });
    await bed.drive(next.unpause('first'));
    const handle = await bed.drive(next.submit('work', 1, { id: 'first' }));
    expect(await bed.drive(handle.result())).toBe(1);
  });
});

describe('putting back', () => {
  test('a dead task gives it all its attempts again, and what it remembers is not paid twice', async () => {
    await using bed = new Testbed();
    const paid = bed.service();
    let well = false;
    const work = agent({
      uses: { paid: paid.dependency },
      attempts: 2,
      run: async (n: number, ctx) => {
        await ctx.call('paid', n);
        if (!well) throw new Error('not today');
        return ctx.task.attempt;
      },
    });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    expect(await bed.rejection(handle.result())).toMatchObject({ code: 'DROVER_TASK_FAILED', detail: { status: 'dead' } });
    expect((await bed.drive(fleet.tasks({ status: 'dead', limit: 10 }))).map(({ id }) => id)).toEqual(['first']);
    well = true;
    await bed.drive(fleet.requeue('first', { by: 'Ada', reason: 'the disk is new' }));
    const again = await bed.drive(fleet.submit('work', 1, { id: 'first' }));
    expect(await bed.drive(again.result())).toBe(1);
    expect(paid.calls).toHaveLength(1);
    expect(steps(await bed.drive(fleet.story('first')))).toEqual(['submitted', 'retry', 'dead', 'requeue', 'completed']);
  });

  test('a task whose deadline has passed is refused: it would fail again at once', async () => {
    await using bed = new Testbed();
    const work = agent({ deadlineMs: 1_000, run: async (_input: null, ctx) => ctx.sleep(5_000) });
    const fleet = await bed.start({ agents: { work } });
    const deadlineMs = bed.nowMs + 1_000;
    const handle = await bed.drive(fleet.submit('work', null, { id: 'x', deadline: deadlineMs }));
    await bed.rejection(handle.result());
    const error = await bed.rejection(fleet.requeue('x'));
    expect(error).toMatchObject({ code: 'DROVER_TASK_NOT_REQUEUEABLE', detail: { status: 'failed', undone: false, deadlineMs } });
    expect(error.message).toContain('its deadline passed at 2025-06-15T');
  });

  test('is for what has ended without a result, and nothing else', async () => {
    await using bed = new Testbed();
    const work = agent({ run: async (n: number) => n });
    const fleet = await bed.start({ agents: { work } });
    await bed.run(fleet, 'work', 1, { id: 'done' });
    await bed.drive(fleet.submit('work', 1, { id: 'later', notBefore: bed.nowMs + 60_000 }));
    const refused = (status: string) => ({ code: 'DROVER_TASK_NOT_REQUEUEABLE', detail: { status, undone: false } });
    expect(await bed.rejection(fleet.requeue('done'))).toMatchObject(refused('completed'));
    expect(await bed.rejection(fleet.requeue('later'))).toMatchObject(refused('parked'));
    await bed.drive(fleet.cancel('later'));
    await bed.drive(fleet.requeue('later'));
    const handle = await bed.drive(fleet.submit('work', 1, { id: 'later' }));
    expect(await bed.drive(handle.result())).toBe(1);
  });
});

test('a closed fleet takes no orders', async () => {
  await using bed = new Testbed();
  const work = agent({ run: async (n: number) => n });
  const fleet = await bed.start({ agents: { work } });
  await bed.close(fleet);
  const closed = { code: 'DROVER_FLEET_CLOSED' };
  for (const order of [
    () => fleet.cancel('x'),
    () => fleet.pause('x'),
    () => fleet.requeue('x'),
    () => fleet.signal('x', 'y'),
    () => fleet.approve('x', 'y'),
    () => fleet.pauseKind('work'),
    () => fleet.schedule('x', { kind: 'work', everyMs: 1_000 }),
  ]) {
    expect(await bed.rejection(order())).toMatchObject(closed);
  }
});
