/** What the tests of the arbitraries have in common: a small fleet, and what a property was shrunk to. */
import * as fc from 'fast-check';
import { agent, defineFleet, dependency } from 'drover';

export const model = dependency({ limits: { concurrency: 2 }, perform: async (request: number): Promise<unknown> => request });

const digest = agent({ uses: { model }, replicas: 2, run: async (mail: number, ctx) => ctx.call('model', mail) });
const triage = agent({
  uses: { model },
  asks: { digest },
  replicas: 2,
  run: async (mail: number, ctx) => [await ctx.call('model', mail), await ctx.ask('digest', mail)],
});

/** Mails are triaged, and each is digested by a child. It survives whatever is done to it. */
export const inbox = defineFleet({ name: 'inbox', agents: { triage, digest }, supervision: { intensity: 1_000 } });

export interface Shrunk<T> {
  readonly smallest: T;
  readonly steps: number;
  readonly error: Error;
}

/** The smallest value for which the property fails. */
export async function shrunk<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => Promise<void>, seed = 1): Promise<Shrunk<T>> {
  const details = await fc.check(fc.asyncProperty(arbitrary, property), { seed, numRuns: 200 });
  if (!details.failed || details.counterexample === null) throw new Error('the planted fault was not found');
  return { smallest: details.counterexample[0], steps: details.numShrinks, error: details.errorInstance as Error };
}
