/** What a supervisor hears, wants done, and remembers. */
import type { Birth, ChildPolicy, ChildStarted } from '../actors/kernel/child-spec.ts';
import type { Decision } from '../actors/kernel/decider.ts';
import type { ActorId, Exited, ExitReason, HostEffect, ReplyTo, StopRequested } from '../actors/kernel/effects.ts';
import { PersistentMap } from '../actors/kernel/persistent-map.ts';
import type { RestartIntensity } from './restart-intensity.ts';

// 1. Messages

/** A child as its supervisor knows it: what decisions see of its spec, and what makes it, unseen. */
export interface NewChild {
  readonly policy: ChildPolicy;
  /** Opaque to decisions: it is handed back with `child.start`. */
  readonly maker: unknown;
}

/** One incarnation of a child: what Erlang calls a pid. */
export interface ChildRef {
  readonly actor: ActorId;
  readonly incarnation: number;
}

/** Calls. Each is answered once; by silence when the supervisor is gone, which its asker is told. */
export type SupervisorCall =
  | { readonly type: 'supervisor.start-child'; readonly replyTo: ReplyTo; readonly child: NewChild }
  /** Of a dynamic supervisor: one more of its template. */
  | { readonly type: 'supervisor.start-instance'; readonly replyTo: ReplyTo; readonly input: unknown }
  | { readonly type: 'supervisor.terminate-child'; readonly replyTo: ReplyTo; readonly child: string | ChildRef }
  | { readonly type: 'supervisor.restart-child'; readonly replyTo: ReplyTo; readonly child: string }
  | { readonly type: 'supervisor.delete-child'; readonly replyTo: ReplyTo; readonly child: string }
  | { readonly type: 'supervisor.suspend-child'; readonly replyTo: ReplyTo; readonly child: string; readonly reason: string }
  | { readonly type: 'supervisor.resume-child'; readonly replyTo: ReplyTo; readonly child: string; readonly reason: string }
  | { readonly type: 'supervisor.which-children'; readonly replyTo: ReplyTo }
  | { readonly type: 'supervisor.count-children'; readonly replyTo: ReplyTo };

export type SupervisorMessage =
  | ChildStarted
  /** It was to be started and had nothing to do: no failure, and no incarnation. */
  | { readonly type: 'child.ignored'; readonly child: string; readonly life: number }
  | Exited
  | StopRequested
  | { readonly type: 'child.restart-due'; readonly child: string; readonly life: number }
  | { readonly type: 'child.start-overdue'; readonly child: string; readonly life: number }
  | SupervisorCall;

/** What a supervisor wants done, beside what every host understands. */
export type SupervisorEffect =
  | HostEffect
  | { readonly type: 'child.start'; readonly child: ChildState }
  | { readonly type: 'child.stop'; readonly child: string; readonly deadlineMs: number }
  /** It is gone for good, and its spec with it. */
  | { readonly type: 'child.forgotten'; readonly child: string; readonly instance: number }
  /** For observers: nothing depends on it. */
  | { readonly type: 'supervisor.noted'; readonly fact: SupervisorFact };

export type SupervisorFact =
  | { readonly at: 'started'; readonly child: string; readonly life: number }
  | { readonly at: 'ended'; readonly child: string; readonly life: number; readonly reason: ExitReason }
  /** It was told to stop and ended in another way: killed at its deadline, with an error, or a permanent child as if it were done. */
  | { readonly at: 'stop-error'; readonly child: string; readonly life: number; readonly reason: ExitReason }
  | { readonly at: 'restarting'; readonly child: string; readonly inMs: number }
  | { readonly at: 'intensity-exceeded'; readonly child: string; readonly intensity: number; readonly periodMs: number }
  /** A significant child has ended, and the supervisor with it. */
  | { readonly at: 'auto-shutdown'; readonly child: string }
  /** Also when only the reasons of one that is suspended have changed. None: it was terminated, and is not suspended any more. */
  | { readonly at: 'suspended'; readonly child: string; readonly reasons: readonly string[] }
  | { readonly at: 'resumed'; readonly child: string };

// 2. State

export type Strategy = 'one_for_one' | 'one_for_all' | 'rest_for_one' | 'dynamic';

/** Every field is filled in; `supervisorSettings` knows the defaults. */
export interface SupervisorSettings {
  readonly strategy: Strategy;
  readonly intensity: RestartIntensity;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  /** A child that has run so long is healthy: its backoff begins anew. */
  readonly healthyMs: number;
  readonly autoShutdown: 'never' | 'any_significant' | 'all_significant';
  /**
   * What becomes of a child beyond the intensity. `shutdown`: the supervisor gives up, as in OTP.
   * Otherwise restarts are counted for each child by itself; an exhausted one is suspended, and the
   * supervisor gives up when more than that share of its children is.
   */
  readonly exhausted: 'shutdown' | { readonly suspendAboveShare: number };
}

/** What a supervisor's next incarnation must know of the one before. */
export interface Heritage {
  /** Last life of each child. */
  readonly lives: ReadonlyMap<string, number>;
  /** Lives of forgotten children were no higher. */
  readonly floor: number;
  /** How many instances a dynamic supervisor has named. */
  readonly instances: number;
  /** Who is suspended, and why. */
  readonly suspended: ReadonlyMap<string, readonly string[]>;
}

export interface SupervisorInput {
  /** The supervisor's own address. Children live below it. */
  readonly self: ActorId;
  readonly settings: SupervisorSettings;
  /** In order of starting; of a dynamic supervisor the template alone. */
  readonly children: readonly NewChild[];
  readonly heritage?: Heritage;
  /** Who is told when every child has started. */
  readonly birth?: Birth;
}

/** Whose call made a child start or stop. */
export interface Caller {
  readonly replyTo: ReplyTo;
  readonly for: 'start' | 'restart' | 'terminate' | 'suspend';
}

export interface ChildState extends NewChild {
  readonly id: string;
  /** Of an instance: its number, and what it was started with. Otherwise 0. */
  readonly instance: number;
  readonly input: unknown;
  /** Younger siblings have higher ones: they start later and stop earlier. */
  readonly order: number;
  /** Counts incarnations of this child. */
  readonly life: number;
  /** Ends in a row without a healthy stretch between them. */
  readonly failures: number;
  /** Times of its own restarts, where each child is counted by itself. */
  readonly restarts: readonly number[];
  /** Why it is suspended, or about to be. */
  readonly reasons: readonly string[];
  readonly caller: Caller | undefined;
  /** none: not started, or ended and not to be restarted. resting: between an end and the next start. */
  readonly at: 'none' | 'starting' | 'running' | 'stopping' | 'resting' | 'suspended';
  /** Since when it is `running`. */
  readonly sinceMs: number;
}

/** What the supervisor is at. Lines are names of children; `next` is the one that is being waited for. */
export type Phase =
  /** One after the other, in order: all at the first start (`boot`), or a group that is restarted. */
  | { readonly at: 'starting'; readonly line: readonly string[]; readonly next: number; readonly boot: boolean }
  | { readonly at: 'running' }
  /** The siblings of a failed child are stopped in reverse order; when `due` they are then started with it. */
  | { readonly at: 'regrouping'; readonly line: readonly string[]; readonly next: number; readonly culprit: string; readonly due: boolean }
  /** For good. The children of a dynamic supervisor stop all at once: then `next` counts those that are gone. */
  | { readonly at: 'stopping'; readonly line: readonly string[]; readonly next: number; readonly reason: ExitReason };

export interface SupervisorState {
  readonly self: ActorId;
  readonly settings: SupervisorSettings;
  readonly birth: Birth | undefined;
  /** Of a dynamic supervisor. */
  readonly template: NewChild | undefined;
  readonly phase: Phase;
  readonly children: PersistentMap<ChildState>;
  /** Of the next new child. */
  readonly order: number;
  readonly instances: number;
  readonly floor: number;
  /** Times of restarts that still count, newest first. */
  readonly restarts: readonly number[];
  /** What cannot be answered or judged before the phase is over. */
  readonly held: readonly SupervisorMessage[];
}

export type Decided = Decision<SupervisorState, SupervisorEffect>;

// 3. Children

export function newborn({ policy, maker }: NewChild, order: number, life: number, instance = 0, input?: unknown): ChildState {
  return {
    policy,
    maker,
    id: instance === 0 ? policy.id : `${policy.id}-${instance}`,
    instance,
    input,
    order,
    life,
    failures: 0,
    restarts: NO_TIMES,
    reasons: NO_REASONS,
    caller: undefined,
    at: 'none',
    sinceMs: 0,
  };
}

const NO_TIMES: readonly number[] = [];
const NO_REASONS: readonly string[] = [];

export function isAlive({ at }: ChildState): boolean {
  return at === 'starting' || at === 'running' || at === 'stopping';
}

export function refOf(state: SupervisorState, child: ChildState): ChildRef {
  return { actor: `${state.self}/${child.id}`, incarnation: child.life };
}

export function put(state: SupervisorState, child: ChildState): SupervisorState {
  return { ...state, children: state.children.with(child.id, child) };
}

/** Forgets a child. One of the same name that comes later lives a later life. */
export function remove(state: SupervisorState, { id, life }: ChildState): SupervisorState {
  return { ...state, children: state.children.without(id), floor: Math.max(state.floor, life) };
}

/** In order of starting. */
export function inOrder(state: SupervisorState): ChildState[] {
  return state.children.values().toSorted((a, b) => a.order - b.order);
}

/** A child without an incarnation that is not to get one by itself: its spec is kept, unless it is temporary or an instance. */
export function retire(state: SupervisorState, child: ChildState): SupervisorState {
  if (child.policy.restart === 'temporary' || state.template !== undefined) return remove(state, child);
  return put(state, { ...child, at: 'none', caller: undefined });
}

export function isGrouped({ settings: { strategy } }: SupervisorState): boolean {
  return strategy === 'one_for_all' || strategy === 'rest_for_one';
}

export const noted = (fact: SupervisorFact): SupervisorEffect => ({ type: 'supervisor.noted', fact });
