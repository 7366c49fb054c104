/**
 * Recorder: watches one simulation, and writes down every step of it. It takes hold at the two places
 * where a simulation shows itself: facts, through an invariant that is never broken, and turns of
 * actors, through the logic that they are started with. It changes nothing of what happens, so the
 * trace has the same hash with it and without.
 */
import type { ActorSpec, Host } from '../../../actors/host/host.ts';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { Fact } from '../invariants/fact.ts';
import type { Invariant } from '../invariants/invariant.ts';
import type { SimulationInternals } from '../simulate/internals.ts';
import { START_MS } from '../simulate/simulation.ts';
import { tellFact } from './words.ts';

/** Facts that are steps: what was committed, called, asked for and ended. */
export const SHOWN = [
  'store.accepted',
  'store.claimed',
  'store.started',
  'store.remembered',
  'store.settled',
  'store.expired',
  'store.opened',
  'client.told',
  'call.began',
  'call.ended',
  'step.began',
  'run.began',
  'run.ended',
  'actor.spawned',
  'worker.ended',
  'supervisor.restarting',
  'mailbox.stolen',
  'limiter.asked',
  'limiter.answered',
  'process.killed',
  'scene.healed',
  'scene.over',
] as const satisfies readonly Fact['at'][];

export type ShownFact = Extract<Fact, { readonly at: (typeof SHOWN)[number] }>;

/** Who is at work for a kind, after a turn of its queue. */
export interface QueueTurn {
  readonly kind: string;
  readonly slots: readonly { readonly worker: ActorId; readonly run: string | undefined; readonly mailbox: readonly string[] }[];
}

export type Seen =
  | ShownFact
  /** An actor has taken a message; `queue`: when it was a queue. */
  | { readonly at: 'turn'; readonly actor: ActorId; readonly message: string; readonly queue?: QueueTurn }
  | { readonly at: 'fault'; readonly fault: string };

/** One step of a simulation. */
export interface Step {
  /** Virtual ms since the start, by the clock of the process that is there. */
  readonly atMs: number;
  readonly says: string;
  readonly seen: Seen;
}

/** Told of every turn of every actor, with what XState's inspection shows of it. */
export interface TurnObserver {
  actor(atMs: number, actor: ActorRef, snapshot: unknown): void;
  turn(atMs: number, actor: ActorRef, event: { readonly type: string }, snapshot: unknown): void;
}

export interface ActorRef {
  readonly id: ActorId;
  /** Names this life of the actor. */
  readonly sessionId: string;
}

export class Recorder {
  readonly steps: Step[] = [];
  readonly #observer: TurnObserver | undefined;
  #lives = 0;

  constructor(observer?: TurnObserver) {
    this.#observer = observer;
  }

  /** To be checked beside the others. */
  readonly invariant: Invariant = {
    name: 'replay',
    promise: 'what happens is written down',
    check: () =>
      Object.fromEntries(
        SHOWN.map((at) => [at, (fact: ShownFact, atMs: number) => this.#add(atMs - START_MS, tellFact(fact), kept(fact))]),
      ),
  };

  readonly internals: SimulationInternals = { onHost: (host) => this.#watch(host) };

  #add(atMs: number, says: string, seen: Seen): void {
    this.steps.push({ atMs, says, seen });
  }

  #watch(host: Host): void {
    const { spawn } = host;
    host.spawn = (spec) => spawn.call(host, { ...spec, logic: this.#watched(spec, host) });
  }

  /** The same logic, seen at work. */
  #watched({ id, logic }: ActorSpec, host: Host): ActorSpec['logic'] {
    const actor: ActorRef = { id, sessionId: `${id}#${(this.#lives += 1)}` };
    const nowMs = (): number => host.clock.nowMs() - START_MS;
    const { getInitialSnapshot, transition } = logic;
    const watched = Object.create(logic) as typeof logic;
    watched.getInitialSnapshot = (scope, input) => {
      const first: unknown = getInitialSnapshot.call(logic, scope, input);
      this.#observer?.actor(nowMs(), actor, first);
      return first as never;
    };
    watched.transition = (snapshot, event, scope) => {
      const message = (event as { readonly type: string }).type;
      let next: unknown;
      try {
        next = transition.call(logic, snapshot, event, scope);
      } catch (error) {
        this.#add(nowMs(), `delivered: ${message} to ${id}, which throws`, { at: 'turn', actor: id, message });
        throw error;
      }
      if (message !== 'xstate.stop') {
        const queue = queueTurn(id, next);
        this.#add(nowMs(), `delivered: ${message} to ${id}`, { at: 'turn', actor: id, message, ...(queue === undefined ? {} : { queue }) });
        this.#observer?.turn(nowMs(), actor, event as { readonly type: string }, next);
      }
      return next as never;
    };
    return watched;
  }
}

/** Without what changes after it was seen. */
function kept(fact: ShownFact): ShownFact {
  return fact.at === 'scene.over' ? { ...fact, look: undefined as never } : fact;
}

function queueTurn(id: ActorId, snapshot: unknown): QueueTurn | undefined {
  const kind = /\/work\/([^/]+)$/.exec(id)?.[1];
  const slots = (snapshot as { readonly state?: Partial<QueueState> } | undefined)?.state?.slots;
  if (kind === undefined || slots === undefined) return undefined;
  return { kind, slots: slots.map(({ worker, run, mailbox }) => ({ worker, run: run?.id, mailbox: mailbox.map((task) => task.id) })) };
}
