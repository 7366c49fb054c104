/** Agents as statecharts: a machine in place of a run, whose operations are remembered like any other. */
import { describe, expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { agent, operation } from 'drover';
import { Testbed } from './harness.ts';
import type { Service } from './harness.ts';
import { orderMachine } from './order-machine.ts';

function orders(service: Service) {
  return agent({ uses: { service: service.dependency }, machine: orderMachine() });
}

const RESULT = ['left x', 'right x', 'check x'];

describe('a machine in place of run', () => {
  test('gets the input of the task and gives its result, each operation performed once', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const fleet = await bed.start({ agents: { work: orders(service) } });
    const from = bed.nowMs;
    expect(await bed.run(fleet, 'work', { text: 'x' }, { id: 'o' })).toEqual(RESULT);
    expect(service.calls.map(({ key }) => key)).toEqual([
      'o/call:service#1/left#1',
      'o/call:service#1/right#1',
      'o/call:service#1/check#1',
    ]);
    expect(bed.nowMs - from).toBeGreaterThanOrEqual(60_000);
    // It parked while it rested: it held no worker.
    expect(fleet.stats.parked).toBe(1);
  });
});

describe('a process that dies', () => {
  /** Runs an order over deaths at the commit points that `dies` names. */
  async function ordered(dies: (commit: number) => 'dies-before' | 'dies-after' | undefined) {
    await using bed = new Testbed();
    const service = bed.service();
    const kept = new Set<string>();
    const again: string[] = [];
    const work = orders(service);
    let commits = 0;
    let deaths = 0;
    let isDead = false;
    bed.faults.fault = (command) => (['start', 'remember', 'settle'].includes(command) ? dies((commits += 1)) : undefined);
    bed.faults.die = () => {
      isDead = true;
      deaths += 1;
    };
    bed.faults.committed = (command, items) => {
      if (command === 'remember') for (const { place } of items as { readonly place: string }[]) kept.add(`o/${place}`);
    };
    service.respond = ({ request, key }) => {
      if (kept.has(key)) again.push(key);
      return { reply: request };
    };
    const start = () => bed.start({ agents: { work } });
    let fleet = await start();
    let handle = await bed.drive(fleet.submit('work', { text: 'x' }, { id: 'o' }));
    for (;;) {
      const result = handle.result();
      let isOver = false;
      result.then(
        () => (isOver = true),
        () => {},
      );
      await bed.until(() => isDead || isOver);
      if (!isDead) return { result: await result, again, deaths, commits, keys: new Set(service.calls.map(({ key }) => key)) };
      isDead = false;
      bed.kill();
      service.disconnect();
      fleet = await start();
      handle = await bed.drive(fleet.submit('work', { text: 'x' }, { id: 'o' }));
    }
  }

  test.each(['dies-before', 'dies-after'] as const)(
    'at any commit (%s) comes to the same result, and performs nothing that is remembered',
    async (when) => {
      const { commits } = await ordered(() => undefined);
      expect(commits).toBeGreaterThan(8);
      for (let at = 1; at <= commits; at += 1) {
        const run = await ordered((commit) => (commit === at ? when : undefined));
        expect(run, `died at commit ${at}`).toMatchObject({ result: RESULT, again: [], deaths: 1 });
        expect(run.keys.size).toBe(3);
      }
    },
  );

  test('again and again, after each commit, still gets through', async () => {
    const run = await ordered((commit) => (commit % 2 === 0 && commit < 20 ? 'dies-after' : undefined));
    expect(run).toMatchObject({ result: RESULT, again: [] });
    expect(run.deaths).toBeGreaterThan(4);
    expect(run.keys.size).toBe(3);
  });

  test('between two transitions performs each operation exactly once', async () => {
    for (let stop = 1; stop <= 12; stop += 1) {
      await using bed = new Testbed();
      const service = bed.service();
      const work = orders(service);
      const fleet = await bed.start({ agents: { work } });
      await bed.drive(fleet.submit('work', { text: 'x' }, { id: 'o' }));
      // Calls take ten milliseconds: never while one is in flight.
      for (let at = 0; at < stop || service.inFlight > 0; at += 1) await bed.advance(3);
      bed.kill();
      const next = await bed.start({ agents: { work } });
      const handle = await bed.drive(next.submit('work', { text: 'x' }, { id: 'o' }));
      expect(await bed.drive(handle.result())).toEqual(RESULT);
      expect(service.calls).toHaveLength(3);
    }
  });
});

describe('a delay', () => {
  test('that is half over when the process dies ends when it was to end', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const work = orders(service);
    const from = bed.nowMs;
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', { text: 'x' }, { id: 'o' }));
    await bed.advance(30_000);
    bed.kill();
    await bed.advance(10_000);
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', { text: 'x' }, { id: 'o' }));
    expect(await bed.drive(handle.result())).toEqual(RESULT);
    expect(bed.nowMs - from).toBeGreaterThanOrEqual(60_000);
    expect(bed.nowMs - from).toBeLessThan(61_000);
  });

  test('that was over while nobody was there is over at once', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    const work = orders(service);
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', { text: 'x' }, { id: 'o' }));
    await bed.advance(1_000);
    await bed.close(fleet);
    await bed.advance(120_000);
    const from = bed.nowMs;
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', { text: 'x' }, { id: 'o' }));
    await bed.drive(handle.result());
    expect(bed.nowMs - from).toBeLessThan(1_000);
  });

  test('of a state leaves it: what was under way is given up, and entered again it is another one', async () => {
    await using bed = new Testbed();
    const service = bed.service();
    service.respond = () => ({ afterMs: service.calls.length === 1 ? 5_000 : 10, reply: service.calls.length });
    const ask = operation((_input: undefined, ctx) => ctx.call('service', 'x') as Promise<number>);
    const machine = setup({ actors: { ask }, types: { context: {} as { said: number }, output: {} as number } }).createMachine({
      id: 'hurry',
      context: { said: 0 },
      initial: 'asking',
      states: {
        asking: {
          invoke: { id: 'ask', src: 'ask', onDone: { target: 'asked', actions: assign({ said: ({ event }) => event.output }) } },
          after: { 1_000: 'tired' },
        },
        tired: { after: { 10_000: 'asking' } },
        asked: { type: 'final' },
      },
      output: ({ context }) => context.said,
    });
    const work = agent({ uses: { service: service.dependency }, machine });
    const fleet = await bed.start({ agents: { work } });
    await bed.drive(fleet.submit('work', undefined, { id: 'o' }));
    await bed.advance(3_000);
    expect(service.calls[0]!.aborted).toBeDefined();
    expect(await fleet.task('o')).toMatchObject({ status: 'parked', parkedFor: 'sleep' });
    bed.kill();
    const next = await bed.start({ agents: { work } });
    const handle = await bed.drive(next.submit('work', undefined, { id: 'o' }));
    expect(await bed.drive(handle.result())).toBe(2);
    expect(service.calls.map(({ key }) => key)).toEqual(['o/call:service#1/ask#1', 'o/call:service#1/ask#2']);
  });
});
