/** Supervision subjects: the trees that `supervision` measures, and what each is measured against. */
import { createActor, setup } from 'xstate';
import type { AnyActor } from 'xstate';
import { Host } from '../actors/host/host.ts';
import { fifoTransport } from '../actors/host/transport.ts';
import { systemClock } from '../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../actors/kernel/decider.ts';
import { send } from '../actors/kernel/effects.ts';
import type { HostEffect, Message } from '../actors/kernel/effects.ts';
import { systemRandom } from '../actors/kernel/random.ts';
import { workerMachine } from '../actors/worker.ts';
import { createSupervisor } from '../supervisors/create-supervisor.ts';
import type { Supervisor } from '../supervisors/create-supervisor.ts';
import type { ChildSpec } from '../supervisors/spec.ts';

/** An agent as a user writes one: it waits, works, and may break. */
export const agentMachine = setup({
  types: { context: {} as { readonly name: string }, input: {} as { readonly name: string } },
  actions: {
    fail: () => {
      throw new Error('the agent is broken');
    },
  },
}).createMachine({
  id: 'agent',
  context: ({ input }) => input,
  initial: 'idle',
  on: { break: { actions: 'fail' } },
  states: { idle: { on: { begin: 'working' } }, working: { on: { finish: 'idle' } } },
});

/** Actors that can be crashed and come back. */
export interface Registry {
  /** Lets each of these fail, and resolves when all have another incarnation. */
  crash(children: readonly number[]): Promise<void>;
  stop(): Promise<void>;
}

const nameOf = (child: number): string => `agent-${child}`;

/** What one writes in an evening: a Map, and another XState root in the place of one that has failed. */
export function bareRegistry(size: number): Registry & { readonly actors: ReadonlyMap<string, AnyActor> } {
  const actors = new Map<string, AnyActor>();
  const start = (name: string): void => {
    const actor = createActor(agentMachine, { input: { name } });
    actor.subscribe({ error: () => start(name) });
    actors.set(name, actor);
    actor.start();
  };
  for (let child = 0; child < size; child += 1) start(nameOf(child));
  return {
    actors,
    crash: async (children) => {
      for (const child of children) actors.get(nameOf(child))!.send({ type: 'break' });
    },
    stop: async () => {
      for (const actor of actors.values()) actor.stop();
    },
  };
}

/** Never exceeded, and short enough to count but the restarts of one burst. */
const UNLIMITED = { intensity: 1_000_000_000, periodMs: 1 };

/** The same under a supervisor, started again at once. */
export async function supervisedRegistry(
  size: number,
  more: Partial<ChildSpec> = {},
): Promise<Registry & { readonly supervisor: Supervisor }> {
  let awaited = 0;
  let settle = (): void => {};
  const supervisor = await createSupervisor(
    { ...UNLIMITED, children: agents(size, more) },
    {
      onFact: (_supervisor, { at }) => {
        if (at === 'started' && (awaited -= 1) === 0) settle();
      },
    },
  );
  return {
    supervisor,
    crash: (children) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      awaited = children.length;
      settle = resolve;
      for (const child of children) supervisor.send(nameOf(child), { type: 'break' });
      return promise;
    },
    stop: () => supervisor.stop().then(() => {}),
  };
}

function agents(size: number, more: Partial<ChildSpec> = {}): ChildSpec[] {
  return Array.from({ length: size }, (_, child) => ({ id: nameOf(child), logic: agentMachine, input: { name: nameOf(child) }, ...more }));
}

/** A dynamic supervisor, which has `size` instances. */
export async function pool(size: number, more: Partial<ChildSpec> = {}): Promise<Supervisor> {
  const template: ChildSpec = { id: 'agent', logic: agentMachine, restart: 'temporary', ...more };
  const supervisor = await createSupervisor({ strategy: 'dynamic', ...UNLIMITED, children: [template] });
  await Promise.all(Array.from({ length: size }, (_, child) => supervisor.startChild({ name: nameOf(child) })));
  return supervisor;
}

/** Workers of a fleet, made as a fleet makes them, before a queue that has nothing for anybody. */
export async function workers(size: number): Promise<Supervisor> {
  const clock = systemClock();
  const host = new Host({ clock, random: systemRandom, transport: fifoTransport() });
  const queue = 'queue';
  host.spawn({ id: queue, logic: emptyQueue(clock) });
  const children = Array.from({ length: size }, (_, replica): ChildSpec => {
    return {
      id: String(replica),
      shutdownMs: 30_000,
      start({ supervisor, child, life }) {
        const input = { self: `${supervisor}/${child}`, queue, incarnation: life, staggerMs: 0 };
        return { logic: workerMachine, input, graceful: true, monitors: [queue] };
      },
    };
  });
  return createSupervisor({ ...UNLIMITED, children }, { host });
}

/** Lets go of whoever leaves. */
const emptyQueue = (clock: ReturnType<typeof systemClock>) =>
  fromDecider<null, Message & { readonly worker?: string }, undefined, HostEffect>(
    {
      initial: () => [null, NOTHING],
      decide: (state, { type, worker }) => [
        state,
        type === 'queue.leaving' ? [send(worker!, { type: 'worker.drained' }, 'control')] : NOTHING,
      ],
    },
    clock,
  );
