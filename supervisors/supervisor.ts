/**
 * Supervisor: starts children in order, restarts those that end, stops all in reverse.
 *
 *     starting ── every child has started ──▶ running ── stop.requested ──▶ stopping ──▶ (exit: shutdown)
 *        │  ▲                                  │   ▲                           ▲
 *        │  └── the culprit has rested ── regrouping  (one for all,            │
 *        │                                         rest for one)               │
 *        └── a first start failed ─▶ stopping ──▶ (exit: error)     intensity, └ automatic shutdown
 *
 *     child:  none ─▶ starting ─▶ running ─▶ (exited) ─▶ resting (backoff) ─▶ starting
 *                        │           ├─ stopping ─▶ none
 *                        │           └─ stopping ─▶ suspended ── the last reason goes ─▶ starting
 *                        └─ ignored ─▶ none
 *
 * 1. Children start one after the other; a start that fails undoes those before it.
 * 2. A child that ends and is to be restarted costs one restart, and so does each start that fails
 *    afterwards. Beyond the intensity, the children are stopped and the supervisor ends (`shutdown`).
 * 3. Between restarts the child rests: half of a doubling delay, and up to as much again by chance.
 *    A child that has run for a healthy stretch begins anew.
 * 4. Stopping goes in reverse order of starting, each child gone before the next is told, each with
 *    its own deadline. The instances of a dynamic supervisor are told all at once.
 * 5. While a group is restarted, news of the other children and calls that change something are
 *    held until it is done, as if the supervisor were busy. A stop is never held.
 * 6. A suspended child has no incarnation, only reasons. When the last of them goes it is started
 *    with a clean slate.
 *
 * News of an older incarnation is ignored: each start gives the child a new `life`, also when the
 * supervisor itself has been started again.
 *
 * Other than in OTP: starting is asynchronous, so looking (`which-children`) is answered at any
 * time; between an ending and the next start a child rests; a child's failure can be routed by its
 * error; a child may be suspended instead of its supervisor giving up.
 *
 * @see Erlang/OTP, stdlib `supervisor`
 */
import { outcomeOf } from '../actors/kernel/child-spec.ts';
import type { Clock } from '../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../actors/kernel/decider.ts';
import { reply } from '../actors/kernel/effects.ts';
import type { ActorId, Exited, ExitReason } from '../actors/kernel/effects.ts';
import { DroverError, toErrorRecord } from '../actors/kernel/errors.ts';
import { PersistentMap } from '../actors/kernel/persistent-map.ts';
import { answer, isEarly, nameOf } from './administration.ts';
import { EXHAUSTED, regrouped, restart, restartDue } from './restarting.ts';
import { ignored, started, startNext } from './starting.ts';
import { isAlive, isGrouped, newborn, noted, put, remove, retire } from './state.ts';
import type {
  ChildState,
  Decided,
  SupervisorCall,
  SupervisorEffect,
  SupervisorInput,
  SupervisorMessage,
  SupervisorState,
} from './state.ts';
import { endedBy, parted, stopAll, stopNext } from './stopping.ts';

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

export function initial({ self, settings, children, heritage, birth }: SupervisorInput, nowMs: number): Decided {
  const dynamic = settings.strategy === 'dynamic';
  const born = dynamic ? [] : children.map((child, at) => inherit(newborn(child, at, 0), heritage));
  const state: SupervisorState = {
    self,
    settings,
    birth,
    template: dynamic ? children[0] : undefined,
    phase: { at: 'starting', line: born.map(({ id }) => id), next: 0, boot: true },
    children: new PersistentMap(born.map((child) => [child.id, child])),
    order: born.length,
    instances: heritage?.instances ?? 0,
    floor: heritage?.floor ?? 0,
    restarts: [],
    held: [],
  };
  return startNext(state, nowMs, []);
}

/** What a child has from the supervisor's former incarnation: how often it lived, and why it is suspended. */
function inherit(child: ChildState, heritage: SupervisorInput['heritage']): ChildState {
  const life = heritage?.lives.get(child.id) ?? heritage?.floor ?? 0;
  // The supervisor has begun anew: what the child had used up of its intensity is forgotten.
  const reasons = heritage?.suspended.get(child.id)?.filter((reason) => reason !== EXHAUSTED) ?? [];
  return reasons.length === 0 ? { ...child, life } : { ...child, life, reasons, at: 'suspended' };
}

export function decide(state: SupervisorState, message: SupervisorMessage, nowMs: number): Decided {
  if (isHeld(state, message)) return [{ ...state, held: [...state.held, message] }, NOTHING];
  const decided = forgetting(state, message, () => take(state, message, nowMs));
  return decided[0].held.length === 0 ? decided : release(decided, nowMs);
}

/** Takes up what was held and need not be any more, in order. */
function release([first, given]: Decided, nowMs: number): Decided {
  let state = first;
  const effects = [...given];
  for (;;) {
    const at = state.held.findIndex((message) => !isHeld(state, message));
    if (at < 0) return [state, effects];
    const message = state.held[at]!;
    const taking = { ...state, held: state.held.toSpliced(at, 1) };
    const [next, more] = forgetting(taking, message, () => take(taking, message, nowMs));
    state = next;
    effects.push(...more);
  }
}

/** Says so when the child that the message was about is not kept. */
function forgetting(before: SupervisorState, message: SupervisorMessage, act: () => Decided): Decided {
  const child = subjectOf(before, message);
  const known = before.children.get(child);
  const decided = act();
  if (known === undefined || decided[0].children.get(child) !== undefined) return decided;
  return [decided[0], [...decided[1], { type: 'child.forgotten', child, instance: known.instance }]];
}

function subjectOf(state: SupervisorState, message: SupervisorMessage): string {
  if (message.type === 'exited') return exitedName(state, message);
  if (message.type.startsWith('child.')) return (message as { readonly child: string }).child;
  return message.type.startsWith('supervisor.') ? nameOf(state, message as SupervisorCall) : '';
}

function isHeld(state: SupervisorState, message: SupervisorMessage): boolean {
  switch (message.type) {
    case 'exited':
      return isBusy(state) && !isAwaited(state, exitedName(state, message));
    case 'child.restart-due':
      return isBusy(state);
    case 'child.started':
    case 'child.ignored':
    case 'child.start-overdue':
    case 'stop.requested':
      return false;
    default:
      return message.type.startsWith('supervisor.') && isEarly(state, message);
  }
}

/** A group is being started, or stopped to be started again. */
function isBusy(state: SupervisorState): boolean {
  return isGrouped(state) && (state.phase.at === 'starting' || state.phase.at === 'regrouping');
}

function isAwaited({ phase }: SupervisorState, id: string): boolean {
  if (phase.at === 'starting') return phase.line[phase.next] === id;
  return phase.at === 'regrouping' && phase.line.includes(id, phase.next);
}

function take(state: SupervisorState, message: SupervisorMessage, nowMs: number): Decided {
  switch (message.type) {
    case 'exited':
      return exited(state, message, nowMs);
    case 'stop.requested':
      return state.phase.at === 'stopping' ? [state, NOTHING] : stopAll(state, { at: 'shutdown' }, []);
    case 'child.started':
    case 'child.ignored':
    case 'child.start-overdue': {
      const child = state.children.get(message.child);
      if (child?.life !== message.life) return [state, NOTHING];
      // Told to stop meanwhile, one that never was is as good as gone.
      if (child.at === 'stopping' && message.type === 'child.ignored') return gone(state, child, { at: 'shutdown' }, nowMs, NOTHING);
      if (child.at !== 'starting') return [state, NOTHING];
      if (message.type === 'child.started') return started(state, child, nowMs);
      if (message.type === 'child.ignored') return ignored(state, child, nowMs);
      // Killed, it comes back as `exited`, and that is handled in one place.
      return [state, [{ type: 'child.stop', child: child.id, deadlineMs: 0 }]];
    }
    case 'child.restart-due': {
      const child = state.children.get(message.child);
      if (state.phase.at === 'stopping' || child?.at !== 'resting' || child.life !== message.life) return [state, NOTHING];
      return restartDue(state, child, nowMs);
    }
    case 'supervisor.start-child':
    case 'supervisor.start-instance':
    case 'supervisor.terminate-child':
    case 'supervisor.restart-child':
    case 'supervisor.delete-child':
    case 'supervisor.suspend-child':
    case 'supervisor.resume-child':
    case 'supervisor.which-children':
    case 'supervisor.count-children':
      return answer(state, message, nowMs);
    default:
      // A stray message must not end the children.
      return [state, NOTHING];
  }
}

function exited(state: SupervisorState, message: Exited, nowMs: number): Decided {
  const name = exitedName(state, message);
  const child = state.children.get(name);
  if (child === undefined || message.id !== `${state.self}/${name}`) return [state, NOTHING];
  if (child.life !== message.incarnation || !isAlive(child)) return [state, NOTHING];
  if (child.at === 'starting' && child.policy.ready === 'spawned' && message.started) {
    // It ended in its very first turn, but it did start.
    const [alive, first] = started(state, child, nowMs);
    const [after, then] = decide(alive, message, nowMs);
    return [after, [...first, ...then]];
  }
  const { reason } = message;
  const told = [noted({ at: 'ended', child: name, life: child.life, reason })];
  if (child.at === 'stopping' || state.phase.at === 'stopping' || state.phase.at === 'regrouping') {
    return gone(state, child, reason, nowMs, told);
  }
  if (child.at === 'starting') return notStarted(state, child, reason, nowMs, told);
  return ended(state, child, reason, nowMs, told);
}

/** A child that was to stop is gone. */
function gone(state: SupervisorState, child: ChildState, reason: ExitReason, nowMs: number, told: readonly SupervisorEffect[]): Decided {
  const [left, effects] = parted(state, child, reason);
  const [next, more] = stopNext(left, [...told, ...effects]);
  return regrouped(next, nowMs, more);
}

/** A start has failed. */
function notStarted(
  state: SupervisorState,
  child: ChildState,
  reason: ExitReason,
  nowMs: number,
  effects: readonly SupervisorEffect[],
): Decided {
  const { phase } = state;
  if (phase.at === 'starting' && phase.boot && phase.line[phase.next] === child.id) {
    const late = reason.at === 'killed' ? new Error(`it was not ready within ${child.policy.startMs} ms`) : undefined;
    const cause = reason.at === 'error' ? { cause: reason.error } : { cause: late };
    const error = new StartFailedError({ supervisor: state.self, child: child.id }, cause);
    return stopAll(put(state, { ...child, at: 'none' }), { at: 'error', error }, effects);
  }
  const { caller } = child;
  if (caller !== undefined) {
    // Whoever wanted it is told, and nobody tries again. What was never there is not kept.
    const without = caller.for === 'start' ? remove(state, child) : retire(state, child);
    return [without, [...effects, reply(caller.replyTo, endedBy(reason))]];
  }
  // A failed restart attempt is an ending of its own: tried again whatever the restart type.
  return child.policy.restart === 'temporary' ? [remove(state, child), effects] : restart(state, child, nowMs, effects);
}

/** A running child has ended by itself. */
function ended(
  state: SupervisorState,
  child: ChildState,
  reason: ExitReason,
  nowMs: number,
  effects: readonly SupervisorEffect[],
): Decided {
  const { policy } = child;
  const outcome = reason.at === 'error' ? outcomeOf(policy, reason.error) : 'restart';
  if (outcome === 'escalate') return stopAll(put(state, { ...child, at: 'none' }), reason, effects);
  if (outcome === 'suspend') {
    const reasons = [...new Set([...child.reasons, 'health'])].toSorted();
    const fact = noted({ at: 'suspended', child: child.id, reasons });
    return [put(state, { ...child, at: 'suspended', reasons }), [...effects, fact]];
  }
  const abnormal = reason.at === 'error' || reason.at === 'killed';
  const again = policy.restart === 'permanent' || (policy.restart === 'transient' && abnormal);
  if (again && outcome !== 'stop') return restart(state, child, nowMs, effects);
  const left = retire(state, child);
  if (!shutsDown(left, child)) return [left, effects];
  return stopAll(left, { at: 'shutdown' }, [...effects, noted({ at: 'auto-shutdown', child: child.id })]);
}

/** Whether the supervisor goes with a child that has ended by itself for good. */
function shutsDown({ settings: { autoShutdown }, children }: SupervisorState, { policy }: ChildState): boolean {
  if (autoShutdown === 'never' || !policy.significant) return false;
  return autoShutdown === 'any_significant' || children.values().every((child) => !child.policy.significant || child.at === 'none');
}

function exitedName(state: SupervisorState, { id }: Exited): string {
  return id.slice(state.self.length + 1);
}

// Logic

export const supervisorLogic = (clock: Clock) =>
  fromDecider<SupervisorState, SupervisorMessage, SupervisorInput, SupervisorEffect>({ initial, decide }, clock);
