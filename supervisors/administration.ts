/** Calls on a supervisor, with OTP's answers; and suspension, which OTP does not have. */
import { cancelTimer, reply } from '../actors/kernel/effects.ts';
import type { ReplyTo } from '../actors/kernel/effects.ts';
import type { RestartType } from '../actors/kernel/child-spec.ts';
import { restartOf } from './restarting.ts';
import { startChild } from './starting.ts';
import { inOrder, isAlive, newborn, noted, put, refOf, remove, retire } from './state.ts';
import type { ChildRef, ChildState, Decided, NewChild, SupervisorCall, SupervisorState } from './state.ts';
import { stopChild } from './stopping.ts';

export type StartChildAnswer =
  | { readonly ok: ChildRef | 'ignored' }
  | { readonly error: 'already_started'; readonly child: ChildRef }
  | { readonly error: 'already_present' }
  | { readonly error: 'dynamic' | 'not_dynamic' }
  | { readonly error: 'failed'; readonly cause: unknown };

export type TerminateChildAnswer = 'ok' | { readonly error: 'not_found' | 'dynamic' };

export type RestartChildAnswer =
  | { readonly ok: ChildRef | 'ignored' }
  | { readonly error: 'not_found' | 'running' | 'restarting' | 'dynamic' }
  | { readonly error: 'failed'; readonly cause: unknown };

export type DeleteChildAnswer = 'ok' | { readonly error: 'not_found' | 'running' | 'restarting' | 'dynamic' };

export type SuspendChildAnswer = 'ok' | { readonly error: 'not_found' };

export interface ChildInfo {
  readonly id: string;
  /** Its incarnation; or between two of them, suspended, or without any. */
  readonly child: ChildRef | 'restarting' | 'suspended' | 'none';
  readonly type: 'worker' | 'supervisor';
  readonly restart: RestartType;
  /** Why it is suspended, or about to be. */
  readonly reasons: readonly string[];
}

export interface ChildCounts {
  readonly specs: number;
  /** With an incarnation. */
  readonly active: number;
  readonly supervisors: number;
  readonly workers: number;
}

/** Whether a call has to wait until the child it names has started or stopped, or the supervisor has. */
export function isEarly(state: SupervisorState, call: SupervisorCall): boolean {
  if (call.type === 'supervisor.which-children' || call.type === 'supervisor.count-children') return false;
  if (state.phase.at !== 'running') return state.phase.at !== 'stopping';
  const child = state.children.get(nameOf(state, call));
  if (child === undefined) return false;
  if (child.at !== 'starting') return child.at === 'stopping';
  // Only a start that may take long is broken off; any other is over in a moment, and calls are answered in order.
  const breaksOff = call.type === 'supervisor.terminate-child' || call.type === 'supervisor.suspend-child';
  return !breaksOff || child.policy.ready === 'spawned';
}

export function answer(state: SupervisorState, call: SupervisorCall, nowMs: number): Decided {
  // Its children are going: whoever asks is told when it is gone.
  if (state.phase.at === 'stopping' && call.type !== 'supervisor.which-children' && call.type !== 'supervisor.count-children')
    return [state, []];
  switch (call.type) {
    case 'supervisor.start-child':
      return startNew(state, call.child, call.replyTo, nowMs);
    case 'supervisor.start-instance':
      return startInstance(state, call.input, call.replyTo, nowMs);
    case 'supervisor.terminate-child':
      return terminate(state, call);
    case 'supervisor.restart-child':
      return restartByHand(state, call, nowMs);
    case 'supervisor.delete-child':
      return [deleted(state, call.child), [reply(call.replyTo, deleteAnswer(state, call.child))]];
    case 'supervisor.suspend-child':
      return suspend(state, call);
    case 'supervisor.resume-child':
      return resume(state, call, nowMs);
    case 'supervisor.which-children':
      return [
        state,
        [
          reply(
            call.replyTo,
            inOrder(state).map((child) => infoOf(state, child)),
          ),
        ],
      ];
    case 'supervisor.count-children':
      return [state, [reply(call.replyTo, countsOf(state))]];
  }
}

function startNew(state: SupervisorState, child: NewChild, replyTo: ReplyTo, nowMs: number): Decided {
  if (state.template !== undefined) return [state, [reply(replyTo, { error: 'dynamic' })]];
  const known = state.children.get(child.policy.id);
  if (known !== undefined) {
    const there = { error: 'already_started', child: refOf(state, known) };
    return [state, [reply(replyTo, isAlive(known) ? there : { error: 'already_present' })]];
  }
  const added = newborn(child, state.order, state.floor);
  return startFor(state, added, replyTo, nowMs);
}

function startInstance(state: SupervisorState, input: unknown, replyTo: ReplyTo, nowMs: number): Decided {
  const { template } = state;
  if (template === undefined) return [state, [reply(replyTo, { error: 'not_dynamic' })]];
  const instances = state.instances + 1;
  const added = newborn(template, state.order, 0, instances, input);
  return startFor({ ...state, instances }, added, replyTo, nowMs);
}

function startFor(state: SupervisorState, child: ChildState, replyTo: ReplyTo, nowMs: number): Decided {
  const caller = { replyTo, for: 'start' } as const;
  return startChild({ ...state, order: state.order + 1 }, { ...child, caller }, nowMs, []);
}

function terminate(state: SupervisorState, call: SupervisorCall & { readonly type: 'supervisor.terminate-child' }): Decided {
  const { replyTo } = call;
  const byName = typeof call.child === 'string';
  // Instances of a template have no names of their own, and the children of any other supervisor have.
  if (byName !== (state.template === undefined)) return [state, [reply(replyTo, { error: byName ? 'dynamic' : 'not_found' })]];
  const child = state.children.get(nameOf(state, call));
  if (child === undefined || (typeof call.child !== 'string' && call.child.incarnation !== child.life)) {
    return [state, [reply(replyTo, typeof call.child !== 'string' && hasLived(state, call.child) ? 'ok' : { error: 'not_found' })]];
  }
  if (!isAlive(child)) {
    const rest = child.at === 'resting' ? [cancelTimer(restartOf(child.id))] : [];
    const fact = child.at === 'suspended' ? [noted({ at: 'suspended', child: child.id, reasons: [] })] : [];
    return [retire(state, { ...child, reasons: [] }), [...rest, ...fact, reply(replyTo, 'ok')]];
  }
  return breakOff(state, { ...child, reasons: [] }, { replyTo, for: 'terminate' });
}

/** Stops a child for a caller. One that was being started for somebody else has not started. */
function breakOff(state: SupervisorState, child: ChildState, caller: NonNullable<ChildState['caller']>): Decided {
  const before = child.caller === undefined ? [] : [reply(child.caller.replyTo, { error: 'failed', cause: { at: 'shutdown' } })];
  return stopChild(state, { ...child, caller }, before);
}

/** Whether an instance was one of this supervisor's. */
function hasLived({ self, template, instances }: SupervisorState, { actor }: ChildRef): boolean {
  const prefix = `${self}/${template?.policy.id}-`;
  if (!actor.startsWith(prefix)) return false;
  const number = Number(actor.slice(prefix.length));
  return Number.isInteger(number) && number >= 1 && number <= instances;
}

function restartByHand(
  state: SupervisorState,
  call: SupervisorCall & { readonly type: 'supervisor.restart-child' },
  nowMs: number,
): Decided {
  const { replyTo } = call;
  const refused = refusalOf(state, call.child);
  if (refused !== undefined) return [state, [reply(replyTo, { error: refused })]];
  const child = state.children.get(call.child)!;
  return startChild(state, { ...child, reasons: [], caller: { replyTo, for: 'restart' } }, nowMs, []);
}

function deleteAnswer(state: SupervisorState, name: string): DeleteChildAnswer {
  const refused = refusalOf(state, name);
  return refused === undefined ? 'ok' : { error: refused };
}

function deleted(state: SupervisorState, name: string): SupervisorState {
  return refusalOf(state, name) === undefined ? remove(state, state.children.get(name)!) : state;
}

/** Why a child is not to be started or deleted by hand. */
function refusalOf(state: SupervisorState, name: string): 'dynamic' | 'not_found' | 'restarting' | 'running' | undefined {
  if (state.template !== undefined) return 'dynamic';
  const child = state.children.get(name);
  if (child === undefined) return 'not_found';
  if (child.at === 'resting') return 'restarting';
  return isAlive(child) ? 'running' : undefined;
}

function suspend(state: SupervisorState, call: SupervisorCall & { readonly type: 'supervisor.suspend-child' }): Decided {
  const { replyTo, reason } = call;
  const child = state.children.get(call.child);
  if (child === undefined) return [state, [reply(replyTo, { error: 'not_found' })]];
  const reasons = child.reasons.includes(reason) ? child.reasons : [...child.reasons, reason].toSorted();
  if (isAlive(child)) return breakOff(state, { ...child, reasons }, { replyTo, for: 'suspend' });
  const rest = child.at === 'resting' ? [cancelTimer(restartOf(child.id))] : [];
  const fact = noted({ at: 'suspended', child: child.id, reasons });
  return [put(state, { ...child, at: 'suspended', reasons }), [...rest, fact, reply(replyTo, 'ok')]];
}

function resume(state: SupervisorState, call: SupervisorCall & { readonly type: 'supervisor.resume-child' }, nowMs: number): Decided {
  const { replyTo, reason } = call;
  const child = state.children.get(call.child);
  if (child === undefined) return [state, [reply(replyTo, { error: 'not_found' })]];
  const reasons = child.reasons.filter((other) => other !== reason);
  if (child.at !== 'suspended') return [put(state, { ...child, reasons }), [reply(replyTo, 'ok')]];
  if (reasons.length > 0) {
    return [put(state, { ...child, reasons }), [noted({ at: 'suspended', child: child.id, reasons }), reply(replyTo, 'ok')]];
  }
  // A clean slate: what failed before is forgotten.
  const clean: ChildState = { ...child, reasons, failures: 0, restarts: [] };
  return startChild(state, clean, nowMs, [noted({ at: 'resumed', child: child.id }), reply(replyTo, 'ok')]);
}

/** The child that a call is about; '' when it is about none. */
export function nameOf(state: SupervisorState, call: SupervisorCall): string {
  if (!('child' in call)) return '';
  if (typeof call.child === 'string') return call.child;
  return 'policy' in call.child ? call.child.policy.id : call.child.actor.slice(state.self.length + 1);
}

function infoOf(state: SupervisorState, child: ChildState): ChildInfo {
  const { id, policy, reasons, at } = child;
  const shown = { resting: 'restarting', suspended: 'suspended', none: 'none' } as const;
  return {
    id,
    child: at === 'resting' || at === 'suspended' || at === 'none' ? shown[at] : refOf(state, child),
    type: policy.type,
    restart: policy.restart,
    reasons,
  };
}

function countsOf(state: SupervisorState): ChildCounts {
  const children = state.children.values();
  const supervisors = children.filter(({ policy }) => policy.type === 'supervisor').length;
  return {
    specs: state.template === undefined ? children.length : 1,
    active: children.filter(isAlive).length,
    supervisors,
    workers: children.length - supervisors,
  };
}
