/** Which try the code far below a call belongs to: that of its own run, and of no other. */
import { expect, test } from 'vitest';
import { agent, bulkhead, dependency } from 'drover';
import { joining } from '../../src/admission/joining.ts';
import { Testbed } from './harness.ts';

test('a run that was set off from within a call of another one is no part of that call', async () => {
  await using bed = new Testbed();
  joining.use();
  const seen: unknown[] = [];
  let submit: () => Promise<unknown> = () => Promise.resolve();
  const service = dependency({
    perform: async (request: string) => {
      seen.push(['below', joining.current !== undefined]);
      await submit();
      await bed.sleep(100);
      return request;
    },
  });
  const work = agent({ uses: { service }, run: (input: string, ctx) => ctx.call('service', input) });
  const other = agent({
    run: async () => {
      seen.push(['other', joining.current !== undefined]);
      return 'done';
    },
  });
  const fleet = await bed.start({ agents: { work, other } });
  submit = () => fleet.submit('other', null);
  await bed.run(fleet, 'work', 'x');
  await bed.until(() => fleet.stats.completed === 2);
  expect(seen).toEqual([
    ['below', true],
    ['other', false],
  ]);
});

test('what is done with a place of a bulkhead is no part of a call, and what it calls is', async () => {
  await using bed = new Testbed();
  joining.use();
  const service = dependency({ perform: async () => joining.current !== undefined });
  const work = agent({
    uses: { service, tool: bulkhead({ concurrency: 1 }) },
    run: (_input: null, ctx) =>
      ctx.hold('tool', async () => [joining.current !== undefined, await ctx.call('service', null), joining.current !== undefined]),
  });
  expect(await bed.run(await bed.start({ agents: { work } }), 'work', null)).toEqual([false, true, false]);
});
