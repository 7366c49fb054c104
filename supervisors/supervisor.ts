/**
 * Supervisor: starts children in order, restarts those that end, stops all in reverse. One for one.
 *
 *     starting ── every child has started ──▶ running ── stop.requested ──▶ stopping ──▶ (exit: shutdown)
 *        │                                       │                             ▲
 *        └── a start failed ─▶ stopping ──▶ (exit: error)      intensity ──────┘
 *
 *     child:  idle ─▶ starting ─▶ running ─▶ (exited) ─▶ resting (backoff) ─▶ starting
 *                                    └─ stopping ─▶ gone
 *
 * 1. Children start one after the other; a start that fails undoes those before it.
 * 2. A child that ends and is to be restarted costs one restart, and so does each start that fails
 *    afterwards. Beyond the intensity, the children are stopped and the supervisor ends (`shutdown`).
 * 3. Between restarts the child rests: half of a doubling delay, and up to as much again by chance.
 *    A child that has run for a whole period is healthy: its delay starts anew.
 * 4. Stopping goes in reverse order of starting, each child gone before the next is told, each with
 *    its own deadline.
 *
 * News of an older incarnation is ignored: each start gives the child a new `life`, also when the
 * supervisor itself has been started again.
 *
 * @see Erlang/OTP, stdlib `supervisor`
 */
import { childStarted } from '../actors/kernel/child-spec.ts';
import type { Birth, ChildPolicy, ChildStarted } from '../actors/kernel/child-spec.ts';
import type { Clock } from '../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../actors/kernel/decider.ts';
import type { Decision } from '../actors/kernel/decider.ts';
import { exit, setTimer } from '../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason, HostEffect, StopRequested } from '../actors/kernel/effects.ts';
import { DroverError, toErrorRecord } from '../actors/kernel/errors.ts';
import { addRestart } from './restart-intensity.ts';
import type { RestartIntensity } from './restart-intensity.ts';

// 1. Messages

export type SupervisorMessage =
  | ChildStarted
  | Exited
  | StopRequested
  | { readonly type: 'child.restart-due'; readonly child: string; readonly life: number }
  | { readonly type: 'child.start-overdue'; readonly child: string; readonly life: number };

/** What a supervisor wants done, beside what every host understands. */
export type SupervisorEffect =
  | HostEffect
  | { readonly type: 'child.start'; readonly child: string; readonly life: number }
  | { readonly type: 'child.stop'; readonly child: string; readonly deadlineMs: number }
  /** For observers: nothing depends on it. */
  | { readonly type: 'supervisor.noted'; readonly fact: SupervisorFact };

export type SupervisorFact =
  | { readonly at: 'started'; readonly child: string; readonly life: number }
  | { readonly at: 'ended'; readonly child: string; readonly life: number; readonly reason: ExitReason }
  | { readonly at: 'restarting'; readonly child: string; readonly inMs: number }
  | { readonly at: 'intensity-exceeded'; readonly child: string; readonly intensity: number; readonly periodMs: number };

/** A child could not be started, so the supervisor was not either. */
export class StartFailedError extends DroverError {
  readonly code = 'DROVER_START_FAILED';
  readonly retryable = true;
  override readonly detail: { readonly supervisor: ActorId; readonly child: string };
  constructor(detail: StartFailedError['detail'], options?: ErrorOptions) {
    const why = options?.cause === undefined ? 'it ended' : toErrorRecord(options.cause).message;
    super(`${detail.supervisor}: child ${detail.child} did not start: ${why}`, options);
    this.detail = detail;
  }
}

// 2. State

export interface SupervisorInput {
  /** The supervisor's own address. Children live below it. */
  readonly self: ActorId;
  readonly children: readonly ChildPolicy[];
  readonly intensity: RestartIntensity;
  readonly backoff: { readonly baseMs: number; readonly capMs: number };
  /** Last lives of the children under a former incarnation of this supervisor. Default none. */
  readonly lives?: Readonly<Record<string, number>>;
  /** Who is told when every child has started. */
  readonly birth?: Birth;
}

export type ChildState = {
  readonly policy: ChildPolicy;
  /** Counts incarnations of this child. */
  readonly life: number;
  /** Ends in a row without a healthy stretch between them. */
  readonly failures: number;
} & ({ readonly at: 'idle' | 'resting' | 'gone' } | { readonly at: 'starting' | 'running' | 'stopping'; readonly sinceMs: number });

export interface SupervisorState {
  readonly at: 'starting' | 'running' | 'stopping';
  readonly input: Omit<SupervisorInput, 'children' | 'lives'>;
  /** In order of starting. */
  readonly children: readonly ChildState[];
  /** Times of restarts that still count, newest first. */
  readonly restarts: readonly number[];
  /** What to end with once the last child is gone. */
  readonly reason: ExitReason;
}

type Decided = Decision<SupervisorState, SupervisorEffect>;

// 3. Transitions

export function initial({ children, lives = {}, ...input }: SupervisorInput, nowMs: number): Decided {
  const state: SupervisorState = {
    at: 'starting',
    input,
    children: children.map((policy) => ({ policy, life: lives[policy.id] ?? 0, failures: 0, at: 'idle' })),
    restarts: [],
    reason: { at: 'shutdown' },
  };
  return startNext(state, nowMs, []);
}

export function decide(state: SupervisorState, message: SupervisorMessage, nowMs: number): Decided {
  switch (message.type) {
    case 'child.started':
      return started(state, message.child, message.life, nowMs);
    case 'exited':
      return exited(state, message, nowMs);
    case 'child.restart-due':
      return restartDue(state, message.child, message.life, nowMs);
    case 'child.start-overdue':
      return startOverdue(state, message.child, message.life);
    case 'stop.requested':
      return state.at === 'stopping' ? [state, NOTHING] : stopAll(state, { at: 'shutdown' }, nowMs, []);
    default:
      // A stray message must not end the children.
      return [state, NOTHING];
  }
}

function started(state: SupervisorState, name: string, life: number, nowMs: number): Decided {
  const child = find(state, name);
  if (child?.at !== 'starting' || child.life !== life) return [state, NOTHING];
  const running = replace(state, { ...child, at: 'running', sinceMs: nowMs });
  const noted: SupervisorEffect = { type: 'supervisor.noted', fact: { at: 'started', child: name, life } };
  return state.at === 'starting' ? startNext(running, nowMs, [noted]) : [running, [noted]];
}

/** Starts the first child that has not been, or says that all have. */
function startNext(state: SupervisorState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  // A sibling that crashed meanwhile is back before the one in line has spoken.
  if (state.children.some(startsFirst)) return [state, effects];
  const next = state.children.find((child) => child.at === 'idle');
  if (next !== undefined) return startChild(state, next, nowMs, effects);
  const { birth } = state.input;
  const ready: readonly SupervisorEffect[] = birth === undefined ? [] : [childStarted(birth)];
  return [{ ...state, at: 'running' }, [...effects, ...ready]];
}

/** In its first start; every later one follows a failure. */
function startsFirst(child: ChildState): boolean {
  return child.at === 'starting' && child.failures === 0;
}

function startChild(state: SupervisorState, child: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const { policy, failures } = child;
  const life = child.life + 1;
  const start: SupervisorEffect = { type: 'child.start', child: policy.id, life };
  const overdue: readonly SupervisorEffect[] =
    policy.ready === 'signalled' && policy.startMs !== Infinity
      ? [
          setTimer(`start/${policy.id}`, nowMs + policy.startMs, {
            type: 'child.start-overdue',
            child: policy.id,
            life,
          } as SupervisorMessage),
        ]
      : [];
  return [replace(state, { policy, life, failures, at: 'starting', sinceMs: nowMs }), [...effects, start, ...overdue]];
}

function startOverdue(state: SupervisorState, name: string, life: number): Decided {
  const child = find(state, name);
  if (child?.at !== 'starting' || child.life !== life) return [state, NOTHING];
  // Killed, it comes back as `exited`, and that is handled in one place.
  return [state, [{ type: 'child.stop', child: name, deadlineMs: 0 }]];
}

function exited(state: SupervisorState, message: Exited, nowMs: number): Decided {
  const name = message.id.slice(state.input.self.length + 1);
  const child = find(state, name);
  if (child === undefined || message.id !== `${state.input.self}/${name}` || child.life !== message.incarnation) return [state, NOTHING];
  if (child.at === 'idle' || child.at === 'resting' || child.at === 'gone') return [state, NOTHING];
  if (child.at === 'starting' && child.policy.ready === 'spawned' && message.started) {
    // It ended in its very first turn, but it did start.
    const [alive, first] = started(state, name, child.life, nowMs);
    const [ended, then] = exited(alive, message, nowMs);
    return [ended, [...first, ...then]];
  }
  const noted: SupervisorEffect = {
    type: 'supervisor.noted',
    fact: { at: 'ended', child: name, life: child.life, reason: message.reason },
  };
  if (state.at === 'stopping') return stopNext(replace(state, { ...bare(child), at: 'gone' }), nowMs, [noted]);
  if (state.at === 'starting' && startsFirst(child)) {
    const cause = message.reason.at === 'error' ? { cause: message.reason.error } : undefined;
    const error = new StartFailedError({ supervisor: state.input.self, child: name }, cause);
    return stopAll(replace(state, { ...bare(child), at: 'gone' }), { at: 'error', error }, nowMs, [noted]);
  }
  if (!restartsAfter(child, message.reason)) {
    const left = child.policy.restart === 'temporary' ? remove(state, name) : replace(state, { ...bare(child), at: 'gone' });
    return [left, [noted]];
  }
  return restart(state, child, nowMs, [noted]);
}

/** A failed restart attempt is an ending of its own: always tried again, whatever the restart type. */
function restartsAfter(child: ChildState, reason: ExitReason): boolean {
  if (child.policy.restart === 'temporary') return false;
  if (child.policy.restart === 'permanent' || child.at === 'starting') return true;
  return reason.at === 'error' || reason.at === 'killed';
}

function restart(state: SupervisorState, child: ChildState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  const name = child.policy.id;
  const { intensity, backoff } = state.input;
  const counted = addRestart(state.restarts, nowMs, intensity);
  if (counted.exceeded) {
    const fact: SupervisorFact = { at: 'intensity-exceeded', child: name, ...intensity };
    const given = replace({ ...state, restarts: counted.restarts }, { ...bare(child), at: 'gone' });
    return stopAll(given, { at: 'shutdown' }, nowMs, [...effects, { type: 'supervisor.noted', fact }]);
  }
  const healthy = child.at === 'running' && nowMs - child.sinceMs >= intensity.periodMs;
  const failures = healthy ? 1 : child.failures + 1;
  // Bounded, for 0 times an infinite power is no number.
  const delayMs = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(failures - 1, 60));
  const noted: SupervisorEffect = { type: 'supervisor.noted', fact: { at: 'restarting', child: name, inMs: delayMs } };
  const resting = replace({ ...state, restarts: counted.restarts }, { ...bare(child), failures, at: 'resting' });
  // Also without a delay the restart is a message of its own, so that a stop can come between.
  const due = { type: 'child.restart-due', child: name, life: child.life } as SupervisorMessage;
  return [resting, [...effects, noted, setTimer(`restart/${name}`, nowMs + delayMs / 2, due, delayMs / 2)]];
}

function restartDue(state: SupervisorState, name: string, life: number, nowMs: number): Decided {
  const child = find(state, name);
  if (state.at === 'stopping' || child?.at !== 'resting' || child.life !== life) return [state, NOTHING];
  return startChild(state, child, nowMs, []);
}

function stopAll(state: SupervisorState, reason: ExitReason, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  return stopNext({ ...state, at: 'stopping', reason }, nowMs, effects);
}

/** Tells the last child that is still there to stop; ends the supervisor when there is none. */
function stopNext(state: SupervisorState, nowMs: number, effects: readonly SupervisorEffect[]): Decided {
  if (state.children.some((child) => child.at === 'stopping')) return [state, effects];
  const last = state.children.findLast((child) => child.at === 'starting' || child.at === 'running');
  if (last === undefined) return [state, [...effects, exit(state.reason)]];
  const stopping = replace(state, { ...last, at: 'stopping', sinceMs: nowMs });
  return [stopping, [...effects, { type: 'child.stop', child: last.policy.id, deadlineMs: last.policy.shutdownMs }]];
}

function find(state: SupervisorState, name: string): ChildState | undefined {
  return state.children.find((child) => child.policy.id === name);
}

function replace(state: SupervisorState, next: ChildState): SupervisorState {
  return { ...state, children: state.children.map((child) => (child.policy.id === next.policy.id ? next : child)) };
}

function remove(state: SupervisorState, name: string): SupervisorState {
  return { ...state, children: state.children.filter((child) => child.policy.id !== name) };
}

function bare({ policy, life, failures }: ChildState): Pick<ChildState, 'policy' | 'life' | 'failures'> {
  return { policy, life, failures };
}

// 4. Logic

export const supervisorLogic = (clock: Clock) =>
  fromDecider<SupervisorState, SupervisorMessage, SupervisorInput, SupervisorEffect>({ initial, decide }, clock);
