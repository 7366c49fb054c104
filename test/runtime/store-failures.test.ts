/** A store that is slow, fails for a while, fails although it happened, or fails for good. */
import { describe, expect, test } from 'vitest';
import { agent } from 'drover';
import type { Fleet } from 'drover';
import { StoreClosedError } from '../../actors/ports/store-errors.ts';
import { memoryStore } from '../../src/stores/memory.ts';
import { faultyStore, Testbed } from './harness.ts';
import type { Command } from './harness.ts';

/** Everything that a task can do to a store: two calls, a step, a child, a retry, a sent task. */
function busyAgents(bed: Testbed) {
  const model = bed.service();
  const note = agent({ run: async (input: string) => input });
  const child = agent({
    uses: { model: model.dependency },
    run: async (input: string, ctx) => `${String(await ctx.call('model', input))}!`,
  });
  const parent = agent({
    uses: { model: model.dependency },
    asks: { child, note },
    backoff: () => 5,
    async run(input: string, ctx) {
      const said = await ctx.call('model', input);
      const stepped = await ctx.step('once', () => `${String(said)}?`);
      if (ctx.task.attempt === 1) throw new Error('the first time');
      ctx.send('note', stepped);
      return ctx.ask('child', stepped);
    },
  });
  return { model, agents: { parent, child, note } };
}

async function runsWell(bed: Testbed, fleet: Fleet<ReturnType<typeof busyAgents>['agents']>) {
  // A submit that failed is the submitter's to repeat: the id makes it one task.
  const submitted = async (id: string) => {
    for (;;) {
      try {
        return await fleet.submit('parent', id, { id });
      } catch {
        await bed.sleep(10);
      }
    }
  };
  const handles = await bed.drive(Promise.all(['a', 'b', 'c'].map(submitted)));
  const results = await bed.drive(Promise.all(handles.map((handle) => handle.result())), 600_000);
  expect(results).toEqual(['a?!', 'b?!', 'c?!']);
  // What was sent has no handle: it ends all the same.
  await bed.until(() => fleet.load.held === 0);
  await bed.advance(900_000);
  const counts = await bed.drive(fleet.counts());
  for (const kind of ['parent', 'child', 'note'])
    expect(counts[kind]).toMatchObject({ completed: 3, queued: 0, leased: 0, running: 0, retrying: 0, parked: 0, dead: 0, failed: 0 });
}

const COMMANDS = ['submit', 'claim', 'start', 'remember', 'settle', 'sweep', 'get'] as const;

describe.each(COMMANDS)('%s', (failing) => {
  test.each(['before', 'after'] as const)(
    'fails %s it happened, the first three times: nothing is lost, nothing is done twice',
    async (fault) => {
      await using bed = new Testbed();
      const { model, agents } = busyAgents(bed);
      let left = 3;
      bed.faults.fault = (command) => (command === failing && left-- > 0 ? fault : undefined);
      const fleet = await bed.start({ agents });
      await runsWell(bed, fleet);
      if (failing !== 'get') expect(left).toBeLessThanOrEqual(0);
      expect(model.calls).toHaveLength(6);
    },
  );

  test.each(['before', 'after'] as const)('fails %s it happened, every other time by chance', async (fault) => {
    await using bed = new Testbed();
    const { model, agents } = busyAgents(bed);
    bed.faults.fault = (command) => (command === failing && bed.random.next() < 0.5 ? fault : undefined);
    const fleet = await bed.start({ agents });
    await runsWell(bed, fleet);
    expect(model.calls).toHaveLength(6);
  });
});

test('every command is slow, and answers come in any order', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    await using bed = new Testbed(seed);
    const { model, agents } = busyAgents(bed);
    bed.faults.delays = () => [bed.random.next() * 300, bed.random.next() * 300];
    const fleet = await bed.start({ agents });
    await runsWell(bed, fleet);
    expect(model.calls).toHaveLength(6);
  }
});

test('a failed command is told to observers, and sent again with a growing, jittered delay', async () => {
  await using bed = new Testbed();
  const sentMs: number[] = [];
  bed.faults.fault = (command) => {
    if (command !== 'settle') return undefined;
    sentMs.push(bed.nowMs);
    return sentMs.length < 12 ? 'before' : undefined;
  };
  const echo = agent({ run: async (input: string) => input });
  const fleet = await bed.start({ agents: { echo } });
  const retrying = bed.record(fleet, 'store.retrying');
  expect(await bed.run(fleet, 'echo', 'x')).toBe('x');
  expect(retrying).toHaveLength(11);
  expect(retrying[0]).toMatchObject({ error: { code: 'DROVER_STORE_FAILED', retryable: true } });
  const delaysMs = sentMs.slice(1).map((atMs, at) => atMs - sentMs[at]!);
  for (const [tries, delayMs] of delaysMs.entries()) expect(delayMs).toBeLessThanOrEqual(Math.min(5_000, 50 * 2 ** tries));
  expect(new Set(delaysMs).size).toBe(delaysMs.length);
});

test('a submit that failed rejects, and the same id then finds whether it happened', async () => {
  await using bed = new Testbed();
  const echo = agent({ run: async (input: string) => input });
  let left = 1;
  bed.faults.fault = (command) => (command === 'submit' && left-- > 0 ? 'after' : undefined);
  const fleet = await bed.start({ agents: { echo } });
  expect(await bed.rejection(fleet.submit('echo', 'x', { id: 'x' }))).toMatchObject({ code: 'DROVER_STORE_FAILED' });
  expect(await bed.run(fleet, 'echo', 'x', { id: 'x' })).toBe('x');
  expect(await fleet.counts()).toMatchObject({ echo: { completed: 1 } });
});

test('a task that was stored by a submit whose answer was lost runs all the same', async () => {
  await using bed = new Testbed();
  const echo = agent({ run: async (input: string) => input });
  let left = 1;
  bed.faults.fault = (command) => (command === 'submit' && left-- > 0 ? 'after' : undefined);
  const fleet = await bed.start({ agents: { echo } });
  await bed.rejection(fleet.submit('echo', 'x', { id: 'x' }));
  await bed.advance(5_000);
  expect(await fleet.task('x')).toMatchObject({ status: 'completed' });
});

test('a task that another process put into the store is found without any hint', async () => {
  await using bed = new Testbed();
  const echo = agent({ run: async (input: string) => input });
  const fleet = await bed.start({ agents: { echo } });
  await bed.advance(100);
  bed.disk.tasks.submit(
    [{ id: 'x', kind: 'echo', version: '1', input: '"x"', priority: 0, maxAttempts: 5, maxLosses: 5, depth: 0 }],
    Infinity,
    bed.nowMs,
  );
  await bed.advance(5_000);
  expect(await fleet.task('x')).toMatchObject({ status: 'completed' });
});

test('claims whose answer was lost come back when their lease has run out, and no loss is counted', async () => {
  await using bed = new Testbed();
  const echo = agent({ leaseMs: 30_000, run: async (input: string) => input });
  let left = 1;
  bed.faults.fault = (command) => (command === 'claim' && left-- > 0 ? 'after' : undefined);
  const fleet = await bed.start({ agents: { echo } });
  const handle = await bed.drive(fleet.submit('echo', 'x', { id: 'x' }));
  // L2: time to live, and one sweep.
  expect(await bed.drive(handle.result(), 35_000)).toBe('x');
  expect(await fleet.task('x')).toMatchObject({ attempt: 1, losses: 0 });
});

describe('an answer that was lost', () => {
  const lose = (bed: Testbed, losing: Command): void => {
    let left = 1;
    bed.faults.fault = (command) => (command === losing && left-- > 0 ? 'after' : undefined);
  };

  test('of a completion: its handle still gets the result, observers see one completion and no lost lease', async () => {
    await using bed = new Testbed();
    let runs = 0;
    const echo = agent({
      async run(input: string) {
        runs += 1;
        return input;
      },
    });
    const fleet = await bed.start({ agents: { echo } });
    const events = bed.record(fleet, 'task.completed', 'lease.lost');
    lose(bed, 'settle');
    expect(await bed.drive(bed.run(fleet, 'echo', 'x', { id: 'x' }), 2_000)).toBe('x');
    expect(events).toMatchObject([{ name: 'task.completed', id: 'x', attempt: 1 }]);
    expect(fleet.stats).toMatchObject({ completed: 1, lost: 0 });
    expect(runs).toBe(1);
  });

  test('of the end of a dead task: its handle still gets the error', async () => {
    await using bed = new Testbed();
    const failing = agent({
      attempts: 1,
      async run(): Promise<never> {
        throw new Error('no');
      },
    });
    const fleet = await bed.start({ agents: { failing } });
    const failed = bed.record(fleet, 'task.failed');
    lose(bed, 'settle');
    const handle = await bed.drive(fleet.submit('failing', 1));
    expect(await bed.rejection(handle.result(), 5_000)).toMatchObject({ detail: { status: 'dead', error: { message: 'no' } } });
    expect(failed).toHaveLength(1);
    expect(fleet.stats).toMatchObject({ dead: 1, lost: 0 });
  });

  test('of a retry, or of a park: no lease counts as lost, and the task goes on', async () => {
    await using bed = new Testbed();
    const child = agent({ run: () => bed.sleep(5_000) });
    const work = agent({
      asks: { child },
      backoff: () => 5_000,
      async run(_input: null, ctx) {
        if (ctx.task.attempt === 1) throw new Error('again');
        await ctx.ask('child', null);
        return ctx.task.attempt;
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    const lost = bed.record(fleet, 'lease.lost');
    let settles = 0;
    bed.faults.fault = (command) => (command === 'settle' && (settles += 1) % 2 === 1 ? 'after' : undefined);
    expect(await bed.run(fleet, 'work', null, { id: 'x' })).toBe(2);
    expect(await fleet.task('x')).toMatchObject({ attempt: 2, losses: 0 });
    expect(lost).toEqual([]);
  });

  test('of a child: its parent still gets its result', async () => {
    await using bed = new Testbed();
    const child = agent({ run: async (input: string) => input });
    const parent = agent({ asks: { child }, run: (input: string, ctx) => ctx.ask('child', input) });
    const fleet = await bed.start({ agents: { parent, child } });
    let submits = 0;
    bed.faults.fault = (command) => (command === 'submit' && (submits += 1) === 2 ? 'after' : undefined);
    expect(await bed.drive(bed.run(fleet, 'parent', 'x'), 5_000)).toBe('x');
    expect(submits).toBe(3);
  });

  test('of a sweep that found a task dead: its handle still hears of it, and so do observers, once', async () => {
    await using bed = new Testbed();
    const hung = agent({ losses: 1, leaseMs: 2_000, run: () => new Promise<never>(() => {}) });
    const fleet = await bed.start({ agents: { hung } });
    const handle = await bed.drive(fleet.submit('hung', 1, { id: 'x' }));
    const failed = bed.record(fleet, 'task.failed');
    await bed.advance(10);
    let swept = false;
    bed.faults.fault = (command) => {
      if (command === 'renew') return 'before';
      if (command !== 'sweep' || swept || bed.disk.tasks.get(['x'])[0]!.status !== 'running') return undefined;
      swept = bed.nowMs >= bed.disk.tasks.get(['x'])[0]!.submittedAtMs + 2_000;
      return swept ? 'after' : undefined;
    };
    expect(await bed.rejection(handle.result(), 10_000)).toMatchObject({ detail: { status: 'dead', error: { code: 'DROVER_RUN_LOST' } } });
    expect(swept).toBe(true);
    expect(failed).toMatchObject([{ id: 'x', status: 'dead', error: { code: 'DROVER_RUN_LOST' } }]);
    expect(fleet.stats).toMatchObject({ dead: 1, lost: 1 });
  });

  test('of a claim, and it comes after the lease has run out: the claim is void', async () => {
    await using bed = new Testbed();
    const runs: number[] = [];
    const work = agent({
      leaseMs: 2_000,
      async run(_input: number, ctx) {
        runs.push(ctx.task.fence);
        await bed.sleep(5_000);
      },
    });
    const fleet = await bed.start({ agents: { work } });
    await bed.advance(1);
    let claims = 0;
    bed.faults.delays = (command) => (command === 'claim' && (claims += 1) === 1 ? [0, 4_000] : [0, 0]);
    await bed.run(fleet, 'work', 1, { id: 'x' });
    expect(runs).toEqual([2]);
    expect(await fleet.task('x')).toMatchObject({ fence: 2, losses: 0, attempt: 1 });
  });
});

describe('a store that fails for good', () => {
  test.each(['claim', 'start', 'remember', 'settle', 'renew', 'sweep'] as const)(
    'at %s: the fleet says so, and every handle rejects with the cause',
    async (failing) => {
      await using bed = new Testbed();
      const model = bed.service({}, () => ({ afterMs: 50_000 }));
      const work = agent({
        uses: { model: model.dependency },
        leaseMs: 3_000,
        async run(input: string, ctx) {
          await ctx.step('first', () => 1);
          return input === 'quick' ? input : ctx.call('model', input);
        },
      });
      const fatal = Object.assign(new Error('the disk is gone'), { retryable: false });
      const fleet = await bed.start({ agents: { work }, supervision: { shutdownMs: 1_000 } });
      const failed = bed.record(fleet, 'fleet.failed');
      await bed.advance(100);
      const before = await bed.drive(fleet.submit('work', 'slow', { id: 'slow' }));
      const rejected = bed.rejection(before.result());
      await bed.settle();
      bed.faults.fault = (command) => (command === failing ? fatal : undefined);
      const late = bed.rejection(fleet.submit('work', 'quick').then((handle) => handle.result()));
      expect(await rejected).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: fatal });
      expect(await late).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: fatal });
      expect(failed).toMatchObject([{ error: { message: 'the disk is gone' } }]);
      expect(await bed.rejection(fleet.submit('work', 'late'))).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: fatal });
      await bed.close(fleet);
      await bed.close(fleet);
      expect(model.inFlight).toBe(0);
    },
  );

  test('a fatal failure while closing does not keep the fleet from closing', async () => {
    await using bed = new Testbed();
    const model = bed.service({}, () => ({ afterMs: 500 }));
    const work = agent({ uses: { model: model.dependency }, run: (input: string, ctx) => ctx.call('model', input) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 'x'));
    await bed.advance(10);
    const closing = fleet.close();
    const rejected = bed.rejection(handle.result());
    bed.faults.fault = (command) => (command === 'remember' ? new StoreClosedError('gone') : undefined);
    await bed.drive(closing, 20_000);
    expect(await rejected).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
  });
});

describe('opening', () => {
  test('a store that refuses to open leaves nothing behind', async () => {
    await using bed = new Testbed();
    const echo = agent({ run: async (input: string) => input });
    const refused = new Error('not yours');
    bed.faults.fault = (command) => (command === 'open' ? refused : undefined);
    await expect(bed.start({ agents: { echo } })).rejects.toBe(refused);
    expect(bed.clock.pending).toBe(0);
    expect(bed.disk.owner).toBeUndefined();
  });

  test('a store that somebody else owns is refused, and its owner is not disturbed', async () => {
    await using bed = new Testbed();
    const echo = agent({ run: async (input: string) => input });
    const first = await bed.start({ agents: { echo } });
    await expect(bed.start({ agents: { echo } })).rejects.toMatchObject({ code: 'DROVER_STORE_OWNED' });
    expect(await bed.run(first, 'echo', 'x')).toBe('x');
  });

  test('a slow store is waited for', async () => {
    await using bed = new Testbed();
    const echo = agent({ run: async (input: string) => input });
    const slow = faultyStore(
      memoryStore(bed.disk),
      { delays: (command: Command) => (command === 'open' ? [2_000, 2_000] : [0, 0]) },
      (ms) => bed.sleep(ms),
    );
    const fleet = await bed.start({ agents: { echo } }, { store: slow });
    expect(await bed.run(fleet, 'echo', 'x')).toBe('x');
  });
});

describe('an outage', () => {
  test('tasks wait it out; what was under way goes on', async () => {
    await using bed = new Testbed();
    const { model, agents } = busyAgents(bed);
    const fleet = await bed.start({ agents });
    const handle = await bed.drive(fleet.submit('parent', 'a', { id: 'a' }));
    await bed.until(() => model.inFlight > 0);
    bed.faults.fault = () => 'before';
    await bed.advance(20_000);
    bed.faults.fault = undefined;
    expect(await bed.drive(handle.result())).toBe('a?!');
    expect(model.calls).toHaveLength(2);
  });

  test('that outlasts the leases costs runs, not tasks', async () => {
    await using bed = new Testbed();
    const { agents } = busyAgents(bed);
    const fleet = await bed.start({ agents });
    const handles = await bed.drive(Promise.all(['a', 'b', 'c'].map((id) => fleet.submit('parent', id, { id }))));
    await bed.advance(15);
    bed.faults.fault = () => 'before';
    await bed.advance(200_000);
    bed.faults.fault = undefined;
    expect(await bed.drive(Promise.all(handles.map((handle) => handle.result())))).toEqual(['a?!', 'b?!', 'c?!']);
  });

  test('does not keep a fleet from closing: what could not be written, the next owner takes back', async () => {
    await using bed = new Testbed();
    const model = bed.service();
    const work = agent({ uses: { model: model.dependency }, run: (input: string, ctx) => ctx.call('model', input) });
    const fleet = await bed.start({ agents: { work } });
    const handle = await bed.drive(fleet.submit('work', 'x', { id: 'x' }));
    await bed.until(() => model.inFlight > 0);
    bed.faults.fault = (command) => (command === 'close' ? undefined : 'before');
    const rejected = bed.rejection(handle.result());
    await bed.drive(fleet.close({ deadlineMs: 1_000 }), 30_000);
    expect(await rejected).toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
    bed.faults.fault = undefined;
    const next = await bed.start({ agents: { work } });
    expect(await bed.run(next, 'work', 'x', { id: 'x' })).toBe('x');
  });
});
