/** D6: the probe of a half-open breaker whose end nobody hears of. With a lease it is over some time, without one it is out for ever. */
import { agent, defineFleet, dependency } from 'drover';
import { limiterLogic } from '../../../actors/admission/limiter.ts';
import type { LimiterInput, LimiterMessage } from '../../../actors/admission/limiter.ts';
import type { Parts } from '../../../src/runtime/internals.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const LEASE_MS = 1_000;

const model = dependency({
  breaker: { failures: 1, resetAfterMs: 200, probeMs: LEASE_MS },
  perform: async (request: string) => request,
});

const topology = defineFleet({
  name: 'probes',
  staggerMs: 0,
  agents: {
    caller: agent({
      uses: { model },
      replicas: 2,
      run: async (text: string, ctx) => [await ctx.call('model', text), await ctx.call('model', `${text} again`)],
    }),
  },
});

/** The end of a probe is taken for that of some other call, and its lease is `probeMs`. */
const deaf = (probeMs: number): Parts['limiter'] =>
  ((clock: never) => {
    const real = limiterLogic(clock);
    return {
      ...real,
      getInitialSnapshot: (scope: never, input: LimiterInput) =>
        real.getInitialSnapshot(scope, { ...input, breaker: input.breaker && { ...input.breaker, probeMs } }),
      transition: (snapshot: never, message: LimiterMessage, scope: never) => {
        if (message.type !== 'limiter.settle') return real.transition(snapshot, message, scope);
        const items = message.items.map((home) => (home.permit.ticket > 0 ? { ...home, permit: { ...home.permit, ticket: 0 } } : home));
        return real.transition(snapshot, { ...message, items }, scope);
      },
    };
  }) as unknown as Parts['limiter'];

const subject = (probeMs: number): Subject =>
  performed(topology, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals: () => ({ parts: { limiter: deaf(probeMs) } }),
    provider: () => ({
      model: {
        latencyMs: 50,
        // The first call of each task fails once.
        reply: (request: string, { attempt, fail }) =>
          attempt === 1 && !request.endsWith('again') ? fail(Object.assign(new Error('overloaded'), { status: 503 })) : request,
      },
    }),
    work: (random) =>
      Array.from({ length: 1 + random.int(6) }, (_, at) => ({ kind: 'caller' as const, id: `t${at + 1}`, input: `hello ${at}` })),
  });

export const lostProbe: Plant = {
  code: 'D6',
  what: 'the end of a half-open probe is not heard of, and nothing ends its ticket',
  instead: 'the ticket is leased: a probe that is late has failed',
  faulty: subject(1e12),
  correct: subject(LEASE_MS),
  kind: 'deadlock',
  invariant: 'L1',
  says: /waits for a permit of model/,
  // Its first try fails, the second is the probe; its next call waits behind a probe that is out for ever.
  smallest: { tasks: 1, steps: 12 },
};
