/**
 * Recorder: watches one simulation, and writes down every step of it. It takes hold at the two places
 * where a simulation shows itself: facts, through an invariant that is never broken, and turns of
 * actors, through the logic that they are started with. It changes nothing of what happens, so the
 * trace has the same hash with it and without.
 */
import type { InspectionEvent } from 'xstate';
import type { ActorSpec, Host } from '../../../actors/host/host.ts';
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { QueueState } from '../../../actors/queue.ts';
import { observeTree } from '../../inspect/observe-tree.ts';
import { inspectionEventsOf } from '../../inspect/told.ts';
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
  'store.blocked',
  'store.remembered',
  'store.settled',
  'store.expired',
  'store.ended',
  'store.steered',
  'store.told',
  'store.wrote',
  'store.opened',
  'store.leased',
  'store.lease-released',
  'leader.elected',
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

/** Told of what XState's inspection shows of the fleet, at its virtual ms since the start. */
export interface InspectionObserver {
  inspected(atMs: number, event: InspectionEvent): void;
}

export class Recorder {
  readonly steps: Step[] = [];
  readonly #root: ActorId;
  readonly #observer: InspectionObserver | undefined;
  #lives = 0;

  /** `root`: the address at the top of the fleet. */
  constructor(root: ActorId, observer?: InspectionObserver) {
    this.#root = root;
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
    const observer = this.#observer;
    if (observer !== undefined)
      observeTree({
        host,
        root: this.#root,
        onTold: (told) => {
          for (const event of inspectionEventsOf(told)) observer.inspected(host.clock.nowMs() - START_MS, event);
        },
        // XState's own are counted per process, and a trace is the same in any.
        sessionOf: (id) => `${id}#${(this.#lives += 1)}`,
      });
    const { spawn } = host;
    host.spawn = (spec) => spawn.call(host, { ...spec, logic: this.#watched(spec, host) });
  }

  /** The same logic, seen at work. */
  #watched({ id, logic }: ActorSpec, host: Host): ActorSpec['logic'] {
    const nowMs = (): number => host.clock.nowMs() - START_MS;
    const { transition } = logic;
    const watched = Object.create(logic) as typeof logic;
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
