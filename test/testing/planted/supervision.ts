/** D9: a supervisor and its child that wait for each other, when it starts and when it stops. */
import { setup } from 'xstate';
import { agent, defineFleet } from 'drover';
import { childStarted } from '../../../actors/kernel/child-spec.ts';
import type { ChildPolicy } from '../../../actors/kernel/child-spec.ts';
import type { DeciderSnapshot } from '../../../actors/kernel/decider.ts';
import { emit, send } from '../../../actors/kernel/effects.ts';
import type { ActorId, Message } from '../../../actors/kernel/effects.ts';
import type { WorkerInput, WorkerMessage } from '../../../actors/worker.ts';
import type { Parts } from '../../../src/runtime/internals.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import { supervisorLogic } from '../../../supervisors/supervisor.ts';
import type { SupervisorInput, SupervisorMessage, SupervisorState } from '../../../supervisors/state.ts';
import { born } from '../simulate/mutants.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const topology = defineFleet({ name: 'office', staggerMs: 0, agents: { clerk: agent({ run: async (text: string) => text }) } });

const subject = (parts: Partial<Parts>): Subject =>
  performed(topology, {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals: () => ({ parts }),
    work: (random) => Array.from({ length: 1 + random.int(6) }, (_, at) => ({ kind: 'clerk', id: `t${at + 1}`, input: 'hello' })),
  });

interface Question extends Message {
  readonly type: 'supervisor.asked';
  readonly from: ActorId;
}

function familyOf({ self }: WorkerInput): { readonly supervisor: ActorId; readonly child: string } {
  const cut = self.lastIndexOf('/');
  return { supervisor: self.slice(0, cut), child: self.slice(cut + 1) };
}

const worker = setup({
  types: {
    context: {} as WorkerInput,
    events: {} as WorkerMessage | { readonly type: 'supervisor.answered' },
    input: {} as WorkerInput,
  },
  actions: {
    ask: ({ context }) => emit(send(familyOf(context).supervisor, { type: 'supervisor.asked', from: context.self } as Question)),
    start: ({ context }) => emit(childStarted({ ...familyOf(context), life: context.incarnation })),
    join: ({ context: { queue, self, incarnation } }) =>
      emit(send(queue, { type: 'queue.joined', worker: self, incarnation } as Message, 'control')),
    leave: ({ context }) => emit(send(context.queue, { type: 'queue.leaving', worker: context.self } as Message, 'control')),
  },
});

/** A worker that asks its supervisor for something before it has started. */
const curious = worker.createMachine({
  id: 'curious',
  context: ({ input }) => input,
  initial: 'asking',
  states: {
    asking: { entry: 'ask', on: { 'supervisor.answered': { target: 'up', actions: ['start', 'join'] }, 'stop.requested': 'stopped' } },
    up: { on: { 'stop.requested': 'draining' } },
    draining: { entry: 'leave', on: { 'worker.drained': 'stopped' } },
    stopped: { type: 'final' },
  },
}) as unknown as Parts['worker'];

/** The policies of its children are others; `workers` says whether those are workers. */
const raising = (change: (policy: ChildPolicy, workers: boolean) => ChildPolicy): Parts['supervisor'] =>
  born<SupervisorInput>(supervisorLogic, (input) => {
    const workers = /\/agents\/[^/]+$/.test(input.self);
    return { ...input, children: input.children.map((child) => ({ ...child, policy: change(child.policy, workers) })) };
  });

/** A worker has started when it says so, in whatever time. */
const patient = raising((policy, workers) => (workers ? { ...policy, ready: 'signalled', startMs: Infinity } : policy));

type Asked = SupervisorState & { readonly asked?: readonly ActorId[] };

/** Answers its children: at any time, or only when all of them have started. */
const answering = (atAnyTime: boolean): Parts['supervisor'] =>
  ((clock: never) => {
    const real = patient(clock) as unknown as {
      transition(snapshot: DeciderSnapshot<Asked>, message: SupervisorMessage, scope: never): DeciderSnapshot<Asked>;
    };
    return {
      ...real,
      transition(snapshot: DeciderSnapshot<Asked>, message: SupervisorMessage | Question, scope: never) {
        const isQuestion = message.type === 'supervisor.asked';
        const next = isQuestion ? snapshot : real.transition(snapshot, message, scope);
        const asked = [...(next.state.asked ?? []), ...(isQuestion ? [message.from] : [])];
        if (!atAnyTime && next.state.phase.at === 'starting') return { ...next, state: { ...next.state, asked } };
        for (const from of asked) emit(send(from, { type: 'supervisor.answered' }));
        return { ...next, state: { ...next.state, asked: [] } };
      },
    };
  }) as unknown as Parts['supervisor'];

export const questionAtTheStart: Plant = {
  code: 'D9',
  what: 'a child asks its supervisor in its start, and that answers nobody before the child has started',
  instead: 'a supervisor takes messages while its children start',
  faulty: subject({ worker: curious, supervisor: answering(false) }),
  correct: subject({ worker: curious, supervisor: answering(true) }),
  kind: 'deadlock',
  invariant: 'L1',
  says: /the fleet does not start.*last actor to be started is office\/agents\/clerk\/0/s,
  // No work at all. Limiters and queues have started, which takes three messages, and the child asks.
  smallest: { tasks: 0, steps: 4 },
};

/** A worker that goes on whatever it is told. */
const deaf = worker.createMachine({
  id: 'deaf',
  context: ({ input }) => input,
  entry: 'join',
}) as unknown as Parts['worker'];

/** A supervisor that waits for its children to stop by themselves. */
const endless = raising((policy) => ({ ...policy, shutdownMs: Infinity }));

export const stopIgnored: Plant = {
  code: 'D9',
  what: 'a child ignores that it is to stop, and its supervisor waits for it without a deadline',
  instead: 'a deadline, and then it is killed',
  faulty: subject({ worker: deaf, supervisor: endless }),
  correct: subject({ worker: deaf }),
  kind: 'deadlock',
  invariant: 'L7',
  says: /the fleet does not close.*last one to be told to stop is office\/agents\/clerk\/0/s,
  // No work at all. Eight messages until everything has started; the queue hears what the store has, seven times alike; then it is
  // drained, the stop goes down four floors, and the queue is polled on and on.
  smallest: { tasks: 0, steps: 8 + 4 + 5 + 2 },
};
