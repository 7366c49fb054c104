/**
 * D2: permits that are held while another one is waited for. A run cannot do that by itself, for a
 * permit belongs to a call; here a runtime lets it go only with the end of the run.
 */
import { agent, defineFleet, dependency } from 'drover';
import type { Host } from '../../../actors/host/host.ts';
import type { LimiterReply } from '../../../actors/admission/limiter.ts';
import type { Held } from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const bulkhead = () => dependency({ limits: { concurrency: 1 }, perform: async (request: string) => request });
const model = bulkhead();
const crm = bulkhead();

const topology = defineFleet({
  name: 'permits',
  staggerMs: 0,
  agents: {
    writer: agent({
      uses: { model, crm },
      run: async (text: string, ctx) => [await ctx.call('model', text), await ctx.call('crm', text)],
    }),
    reader: agent({
      uses: { model, crm },
      run: async (text: string, ctx) => [await ctx.call('crm', text), await ctx.call('model', text)],
    }),
  },
});

const subject = (internals: () => SimulationInternals): Subject =>
  performed(topology, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals,
    provider: () => ({ model: { latencyMs: 100 }, crm: { latencyMs: 100 } }),
    work: (random) =>
      Array.from({ length: 2 + random.int(9) }, (_, at) => ({
        kind: random.int(2) === 0 ? ('writer' as const) : ('reader' as const),
        id: `t${at + 1}`,
        input: 'hello',
      })),
  });

/** Permits come home when the run is over that got them. */
function permitsOfRuns(host: Host): void {
  const { send, expect, tellTogether } = host;
  const holders = new Map<string, string>();
  const kept: { readonly worker: string; readonly home: () => void }[] = [];
  host.expect = (asker) => {
    const { who } = asker as typeof asker & { readonly who: string };
    return expect.call(host, {
      who,
      asked: asker.asked,
      lost: () => asker.lost?.(),
      answered: (reply: LimiterReply) => {
        if (reply.at === 'granted') holders.set(asker.asked, who);
        asker.answered(reply as never);
      },
    } as never);
  };
  host.tellTogether = (to, type, item) => {
    const worker = holders.get(to);
    const home = (): void => tellTogether.call(host, to, type, item);
    if (type !== 'limiter.settle' || worker === undefined) return home();
    kept.push({ worker, home });
  };
  host.send = (to, message, ...rest) => {
    if (message.type === 'queue.ended') {
      const { slots } = (host.snapshotOf(to) as { readonly state: QueueState }).state;
      for (const { id } of (message as unknown as { readonly runs: readonly Held[] }).runs) {
        const worker = slots.find(({ run }) => run?.id === id)?.worker;
        for (const { home } of kept.filter((permit) => permit.worker === worker)) home();
        kept.splice(0, kept.length, ...kept.filter((permit) => permit.worker !== worker));
      }
    }
    send.call(host, to, message, ...rest);
  };
}

export const nestedPermits: Plant = {
  code: 'D2',
  what: 'a permit comes home with its run, and runs take two in opposite orders',
  instead: 'a permit comes home with its call',
  faulty: subject(() => ({ onHost: permitsOfRuns })),
  correct: subject(() => ({})),
  kind: 'deadlock',
  invariant: 'L1',
  says: /holds worker \S+ and waits for a permit of (?:crm|model).*last one went to/s,
  // One of each kind. Each is accepted, claimed and started, makes its first call, is answered, and remembers it: then both wait.
  smallest: { tasks: 2, steps: 12 },
};
