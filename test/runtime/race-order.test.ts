/** Operations side by side: whichever is remembered first is given first, in the run that brought it and in every later one. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import type { RememberItem } from '../../actors/ports/store.ts';
import { Testbed } from './harness.ts';

test('an end whose remembering failed and was sent again is given before those that were numbered after it', async () => {
  await using bed = new Testbed();
  const won: string[] = [];
  const work = agent({
    async run(_input: null, ctx) {
      const slow = async (name: string, ms: number): Promise<string> => {
        await ctx.step(name, () => new Promise<void>((resolve) => void bed.clock.wakeAt(bed.nowMs + ms, resolve)));
        return name;
      };
      const first = await Promise.race([slow('a', 100), slow('b', 110)]);
      await ctx.step(`after ${first}`, () => void won.push(first));
      await ctx.sleep(5_000);
      return first;
    },
  });
  let strikes = 1;
  bed.faults.fault = (command, items) => {
    const isFirst = command === 'remember' && (items as readonly RememberItem[]).some(({ place }) => place === 'step:a');
    return isFirst && (strikes -= 1) >= 0 ? 'before' : undefined;
  };
  const fleet = await bed.start({ agents: { work } });
  const handle = await bed.drive(fleet.submit('work', null));
  expect(await bed.drive(handle.result())).toBe('a');
  expect({ won, strikes }).toEqual({ won: ['a'], strikes: -1 });
});

test('an answer that comes while the run is being given another, which was there before, is beside it', async () => {
  const later = async (microtasks: number): Promise<void> => {
    for (let left = microtasks; left > 0; left -= 1) await Promise.resolve();
  };
  for (let microtasks = 0; microtasks < 300; microtasks += 1) {
    await using bed = new Testbed();
    const wins: string[] = [];
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const child = agent({
      replicas: 2,
      async run(input: string, ctx) {
        if (input === 'late') await ctx.step('wait', () => opened.then(() => later(microtasks)));
        return input;
      },
    });
    const work = agent({
      asks: { child },
      lingerMs: 0,
      async run(_input: null, ctx) {
        // The other child ends while this run is given what the first has brought.
        if (ctx.task.fence > 1) open();
        const first = await Promise.race([ctx.ask('child', 'late'), ctx.ask('child', 'early')]);
        wins.push(first);
        await ctx.step(`after ${first}`, () => undefined);
        await ctx.sleep(5_000);
        return first;
      },
    });
    const fleet = await bed.start({ agents: { work, child } });
    const handle = await bed.drive(fleet.submit('work', null));
    const result = await bed.drive(handle.result());
    expect({ microtasks, wins }).toEqual({ microtasks, wins: wins.map(() => result) });
  }
});
