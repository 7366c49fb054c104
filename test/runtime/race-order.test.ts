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
