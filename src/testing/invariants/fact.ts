/**
 * Facts: what a simulation has seen, in the order in which it was seen. Invariants are checked over
 * them and over nothing else. Times are `atMs` of the process's clock.
 */
import type { ExitReason } from '../../../actors/kernel/effects.ts';
import type { LimiterReply, LimiterState } from '../../../actors/admission/limiter.ts';
import type {
  ClaimedTask,
  Firing,
  Held,
  LeaseHeld,
  NewTask,
  RememberItem,
  RenewItem,
  Settlement,
  SettleOutcome,
  Signal,
  StartOutcome,
  StateRow,
  SteerOutcome,
  Steering,
  TaskCounts,
  TaskRecord,
  TaskStatus,
} from '../../../actors/ports/store.ts';
import type { QueueState } from '../../../actors/queue.ts';
import type { FleetEvents } from '../../runtime/events.ts';
import type { MailboxOptions } from '../../runtime/kinds.ts';
import type { WaitScene } from '../waits/wait-graph.ts';

/** What may be looked at while nothing moves: the store as it is, and the states of actors. */
export interface Look {
  /** How many tasks are in which status, by kind. */
  counts(): Readonly<Record<string, TaskCounts>>;
  task(id: string): TaskRecord | undefined;
  limiter(dependency: string): LimiterState | undefined;
  queue(kind: string): QueueState | undefined;
  /** Tasks that the store has accepted and that have not ended. */
  readonly unfinished: ReadonlySet<string>;
  /** Who waits for whom now. */
  waits(): WaitScene;
  readonly load: { readonly running: number; readonly held: number } | undefined;
}

/** What was still there after a fleet had closed. */
export interface Leftovers {
  readonly messages: number;
  readonly timers: number;
  readonly asks: number;
  readonly actors: number;
  /** Wake-ups of the process's clock. */
  readonly wakes: number;
}

/** Committed by the store, as its replies say, each item by itself. */
export type StoreFact =
  /** `isThere`: the store does have it. */
  | { readonly at: 'store.accepted'; readonly task: NewTask; readonly isThere: boolean }
  | { readonly at: 'store.claimed'; readonly task: ClaimedTask }
  /** `nowMs`: the time that the command said. */
  | {
      readonly at: 'store.started';
      readonly held: Held;
      readonly start: Extract<StartOutcome, { readonly at: 'started' }>;
      readonly nowMs: number;
    }
  /** Somebody has what it wants: it does not start, and holds nothing. */
  | {
      readonly at: 'store.blocked';
      readonly held: Held;
      readonly resource: string;
      readonly holder: string;
      /** It still holds its lease, to be settled as failed. */
      readonly rejected: boolean;
      /** It stands in line; not when it was paused or cancelled meanwhile. */
      readonly waits: boolean;
      readonly nowMs: number;
    }
  | { readonly at: 'store.remembered'; readonly item: RememberItem }
  | { readonly at: 'store.renewed'; readonly item: RenewItem }
  | { readonly at: 'store.settled'; readonly settlement: Settlement; readonly outcome: SettleOutcome & { readonly at: 'settled' } }
  | { readonly at: 'store.expired'; readonly held: Held & { readonly status: TaskStatus } }
  /** It ended without being held: cancelled, or past its deadline. */
  | { readonly at: 'store.ended'; readonly id: string; readonly status: TaskStatus }
  /** It had ended long enough ago, by the topology's `retention`: nothing of it is kept, and its id may come again as another task. */
  | { readonly at: 'store.forgot'; readonly id: string; readonly kind: string; readonly parent: string | undefined }
  | { readonly at: 'store.steered'; readonly steering: Steering; readonly outcome: SteerOutcome & { readonly at: 'done' | 'noted' } }
  /** A task was told of an event it did not know of: the next of that name. */
  | { readonly at: 'store.told'; readonly signal: Signal }
  /** A row was read: by a run, at that place, or from outside. */
  | {
      readonly at: 'store.read';
      readonly key: string;
      readonly row: StateRow | null;
      readonly task: string | undefined;
      readonly place?: string;
    }
  /** A row was written, where its version was `before`. `after`: the new one, where that is known. */
  | {
      readonly at: 'store.wrote';
      readonly key: string;
      readonly value: string | null;
      readonly before: number | null;
      readonly after: number | undefined;
      readonly task: string | undefined;
    }
  /** A schedule was made, or changed: its next turn is due then. */
  | { readonly at: 'store.scheduled'; readonly name: string; readonly nextAtMs: number }
  | { readonly at: 'store.unscheduled'; readonly name: string }
  /** The turn of `firing.atMs` has been taken, at the time that the command said. */
  | { readonly at: 'store.fired'; readonly firing: Firing; readonly nowMs: number }
  /** Somebody has a name to himself, or is told so again; `nowMs`: the time that the command said. */
  | { readonly at: 'store.leased'; readonly lease: LeaseHeld; readonly untilMs: number; readonly nowMs: number }
  /** A command about leases, whatever comes of it, said that it was `nowMs`; what it did is seen after that. */
  | { readonly at: 'store.leases-asked'; readonly nowMs: number }
  | { readonly at: 'store.lease-renewed'; readonly lease: LeaseHeld; readonly untilMs: number; readonly nowMs: number }
  | { readonly at: 'store.lease-released'; readonly lease: LeaseHeld }
  /**
   * A new owner has opened the store: every lease of the one before has been taken back, and what was noted of those tasks is
   * done. `paused`: tasks that wait for an operator since then, or since long. `nowMs`: by the clock of the new owner.
   */
  | { readonly at: 'store.opened'; readonly epoch: number; readonly nowMs: number; readonly paused: readonly string[] };

/** Told to whoever submitted. */
export type ClientFact =
  | { readonly at: 'client.acknowledged'; readonly id: string; readonly look: Look }
  | { readonly at: 'client.told'; readonly id: string; readonly outcome: 'completed' | 'failed' | 'cancelled'; readonly value: unknown };

/** Seen where runs and dependencies meet the world. */
export type EffectFact =
  | {
      readonly at: 'call.began';
      readonly dependency: string;
      /** The idempotency key. */
      readonly key: string;
      readonly task: string;
      /** Under which the run acts that makes the call; undefined when no run of the task is known. */
      readonly fence: number | undefined;
      /** The estimate. */
      readonly tokens: number;
      /** Calls of this dependency that are in flight, this one among them. */
      readonly inFlight: number;
    }
  | {
      readonly at: 'call.ended';
      readonly dependency: string;
      readonly key: string;
      readonly task: string;
      readonly tokens: number;
      /** Tokens really used; undefined: unknown. */
      readonly used: number | undefined;
      /** It was given up: its caller did not want it any more, or not so long. */
      readonly aborted: boolean;
    }
  /** `key`: of this task's sleeps the how-manieth, or the one with that key; `untilMs`: by the clock, as this run sees it. */
  | { readonly at: 'sleep.began'; readonly key: string; readonly task: string; readonly untilMs: number }
  | { readonly at: 'sleep.ended'; readonly key: string; readonly task: string }
  /** A step, or a compensation. */
  | { readonly at: 'step.began'; readonly key: string; readonly task: string; readonly fence: number }
  | { readonly at: 'run.began'; readonly task: string; readonly kind: string; readonly fence: number; readonly worker: string }
  | { readonly at: 'run.ended'; readonly task: string; readonly kind: string; readonly fence: number };

/** Said by whoever shares the store by `drover/coordination`. */
export type CoordinationFact =
  /** It has looked whether it has the lease of that name, as the store calls it, and does something that rests on it. */
  | { readonly at: 'lease.relied-on'; readonly name: string; readonly fence: number }
  | { readonly at: 'leader.elected'; readonly office: string; readonly epoch: number };

/** Done by the host, or by actors on it. */
export type HostFact =
  | { readonly at: 'actor.spawned'; readonly id: string; readonly incarnation: number; readonly wasAlive: boolean }
  /** Somebody was told to stop; `later`: siblings that were started after it and still live. */
  | { readonly at: 'actor.stopping'; readonly id: string; readonly later: readonly string[] }
  | { readonly at: 'supervisor.restarting'; readonly supervisor: string; readonly child: string }
  /** It has no incarnation any more; `running`: runs of it that are not over. */
  | { readonly at: 'worker.suspended'; readonly worker: string; readonly running: number }
  /** After a suspension: with a clean slate. */
  | { readonly at: 'worker.resumed'; readonly worker: string }
  | { readonly at: 'worker.ended'; readonly worker: string; readonly reason: ExitReason }
  | {
      readonly at: 'mailbox.stolen';
      readonly kind: string;
      readonly steal: Parameters<FleetEvents['mailbox.stolen']>[0];
      /** What is left in the victim's mailbox. */
      readonly left: number;
    }
  /** Tasks of a kind are to wait for its workers in another way from now on. */
  | { readonly at: 'mailboxes.configured'; readonly kind: string; readonly mailboxes: MailboxOptions }
  /** The breaker of a dependency is in another condition now. */
  | { readonly at: 'breaker.moved'; readonly dependency: string; readonly to: 'closed' | 'open' | 'half-open' | 'isolated' }
  /** A limiter took the question. */
  | {
      readonly at: 'limiter.asked';
      readonly dependency: string;
      readonly ask: number;
      /** By which it is known while it waits. */
      readonly ticket: number;
      /** The worker, where one calls. */
      readonly who: string;
      readonly tenant: string;
      readonly flow: string;
      readonly priority: number;
      readonly tokens: number;
    }
  /** Whoever waits with that ticket, if anybody does, has at least this priority from now on. */
  | { readonly at: 'limiter.raised'; readonly dependency: string; readonly ticket: number; readonly priority: number }
  | { readonly at: 'limiter.answered'; readonly dependency: string; readonly ask: number; readonly reply: LimiterReply };

/** The simulation's own doing. */
export type SceneFact =
  /** A process begins; `versions`: by kind, that of the code that it runs. */
  | { readonly at: 'process.started'; readonly versions: Readonly<Record<string, string>> }
  /** A process is gone: what it knew is lost, its calls are broken off. */
  | { readonly at: 'process.killed' }
  /** Nothing moves; seen often, though not after every step. */
  | { readonly at: 'scene.still'; readonly look: Look }
  /** Faults have stopped. */
  | { readonly at: 'scene.healed' }
  /** Time to heal is over: every task has ended, or the time for it is up. */
  | {
      readonly at: 'scene.over';
      readonly look: Look;
      readonly untold: readonly string[];
      /** Submissions that the process has been given and has not answered. */
      readonly unanswered: readonly string[];
      readonly callsInFlight: Readonly<Record<string, number>>;
    }
  | { readonly at: 'scene.closed'; readonly left: Leftovers; readonly hung: boolean };

export type Fact = StoreFact | ClientFact | EffectFact | CoordinationFact | HostFact | SceneFact;
