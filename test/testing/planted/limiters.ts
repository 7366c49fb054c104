/** D7: a large request among small ones, for a limiter that is not fair, and for one that lets wait what can never go. */
import { agent, defineFleet, dependency } from 'drover';
import type { Limits } from 'drover';
import { fromDecider, NOTHING } from '../../../actors/kernel/decider.ts';
import type { DeciderSnapshot } from '../../../actors/kernel/decider.ts';
import { emit, reply } from '../../../actors/kernel/effects.ts';
import type { Clock } from '../../../actors/kernel/clock.ts';
import { limiterLogic } from '../../../actors/admission/limiter.ts';
import type { LimiterInput, LimiterMessage, LimiterState } from '../../../actors/admission/limiter.ts';
import type { Parts } from '../../../src/runtime/internals.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import type { SimulationInternals } from '../../../src/testing/simulate/internals.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

type Acquire = Extract<LimiterMessage, { readonly type: 'limiter.acquire' }>;

const SMALL_TOKENS = 10;
const LARGE_TOKENS = 2_000;

function subject(limits: Limits, internals: SimulationInternals): Subject {
  const model = dependency({ limits, estimate: (tokens: number) => tokens, perform: async (tokens: number) => tokens });
  const topology = defineFleet({
    name: 'sizes',
    staggerMs: 0,
    agents: {
      small: agent({ uses: { model }, replicas: 2, run: async (tokens: number, ctx) => ctx.call('model', tokens) }),
      large: agent({ uses: { model }, run: async (tokens: number, ctx) => ctx.call('model', tokens) }),
    },
  });
  return performed(topology, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals: () => internals,
    provider: () => ({ model: { latencyMs: 100 } }),
    work: (random) =>
      Array.from({ length: 1 + random.int(10) }, (_, at) => {
        const kind = random.int(4) === 0 ? ('large' as const) : ('small' as const);
        return { kind, id: `t${at + 1}`, input: kind === 'large' ? LARGE_TOKENS : SMALL_TOKENS, atMs: 20 * random.int(10) };
      }),
  });
}

interface Line {
  readonly inFlight: number;
  readonly waiting: readonly Acquire[];
  readonly line: { readonly size: number };
}

/** One permit, and whoever asks for the least goes first. */
const smallestFirst = ((clock: Clock) => {
  const stateOf = (inFlight: number, waiting: readonly Acquire[]): Line => ({ inFlight, waiting, line: { size: waiting.length } });
  const granted = ({ replyTo, input, output }: Acquire) =>
    reply(replyTo, { at: 'granted', input, output, slots: 1, ticket: 0, waitedMs: 0, grantedMs: 0, book: undefined });
  return fromDecider<Line, LimiterMessage, LimiterInput, ReturnType<typeof reply>>(
    {
      initial: ({ inFlight = 0 }) => [stateOf(inFlight, []), NOTHING],
      decide(state, message) {
        const { inFlight, waiting } = state;
        switch (message.type) {
          case 'limiter.acquire':
            if (inFlight === 0) return [stateOf(1, waiting), [granted(message)]];
            return [
              stateOf(
                inFlight,
                [...waiting, message].toSorted((a, b) => a.input - b.input),
              ),
              NOTHING,
            ];
          case 'limiter.cancel':
            return [
              stateOf(
                inFlight,
                waiting.filter(({ ticket }) => ticket !== message.ticket),
              ),
              NOTHING,
            ];
          case 'limiter.settle':
            return waiting[0] === undefined ? [stateOf(0, []), NOTHING] : [stateOf(1, waiting.slice(1)), [granted(waiting[0])]];
          default:
            return [state, NOTHING];
        }
      },
    },
    clock,
  );
}) as unknown as Parts['limiter'];

export const unfairLine: Plant = {
  code: 'D7',
  what: 'whoever asks for the least goes first',
  instead: 'a line that is fair by cost',
  faulty: subject({ concurrency: 1 }, { parts: { limiter: smallestFirst } }),
  correct: subject({ concurrency: 1 }, {}),
  kind: 'starvation',
  invariant: 'L5',
  says: /waits with 0 before it, and \S+ passed it/,
  // One has the permit, the large one waits, another small one comes later and goes first, as one of another kind may once, and
  // then a second one does: all four are accepted, claimed and started, three of them call and two are answered. Those two
  // remember, complete and end.
  smallest: { tasks: 4, steps: 4 * 3 + 5 + 2 * 3 },
};

type Blocked = LimiterState & { readonly blocked?: readonly Acquire[] };

/** Takes what is too large into its line, and keeps the line in order. */
const neverRefusing = ((clock: Clock) => {
  const real = limiterLogic(clock);
  return {
    ...real,
    transition(snapshot: DeciderSnapshot<Blocked>, message: LimiterMessage, scope: never) {
      const { blocked = [], regulator } = snapshot.state;
      const { largestTokens } = regulator.plan;
      const blockedBy = (waiting: readonly Acquire[], before: DeciderSnapshot<Blocked>) => ({
        ...before,
        state: { ...before.state, blocked: waiting },
      });
      if (message.type === 'limiter.acquire' && (blocked.length > 0 || message.input > largestTokens))
        return blockedBy([...blocked, message], snapshot);
      const gone = message.type === 'limiter.cancel' ? blocked.find(({ ticket }) => ticket === message.ticket) : undefined;
      if (gone === undefined) return real.transition(snapshot, message, scope);
      emit(reply(gone.replyTo, { at: 'cancelled' }));
      const rest = blocked.filter((other) => other !== gone);
      const head = rest.findIndex(({ input }) => input > largestTokens);
      const free = head < 0 ? rest : rest.slice(0, head);
      let next = snapshot;
      for (const waiter of free) next = real.transition(next, waiter, scope);
      return blockedBy(rest.slice(free.length), next);
    },
  };
}) as unknown as Parts['limiter'];

const TOKENS = { tokensPerMinute: 1_000 };

export const nothingRefused: Plant = {
  code: 'D7',
  what: 'a request that is larger than the limit waits at the head of the line for ever',
  instead: 'it is refused when it comes',
  faulty: subject(TOKENS, { parts: { limiter: neverRefusing } }),
  correct: subject(TOKENS, {}),
  kind: 'deadlock',
  invariant: 'L1',
  says: /holds worker \S+ and waits for a permit of model/,
  // The task is accepted, claimed and started, and asks.
  smallest: { tasks: 1, steps: 3 },
};
