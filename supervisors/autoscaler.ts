/**
 * Autoscaler: as many workers of a kind as its queue needs, between bounds.
 *
 *     steady ── pressed for a while ──▶ climbing ── at the goal, or more would only wait ──▶ steady
 *       │  ▲
 *       └──┘ one less, when there was little to do for a while
 *
 * Pressed: more tasks wait than each worker should have waiting, or the oldest waits too long. Idle
 * workers are counted first. Low: all there is to do would keep but a share of one worker less busy.
 * Between the two lies a wide band in which nothing changes, so that noise does not make it flap.
 *
 * 1. Growth at most doubles, one new worker after the other, and rests before it doubles again.
 * 2. Shrinking takes one at a time, and only while it has been low without a break. When growth
 *    follows soon, shrinking was a mistake: the next one waits twice as long.
 * 3. It never grows while one more worker would only wait at admission. Parked parents hold no
 *    worker and count for nothing; suspended ones do no work, but count towards the bounds.
 *
 * @see Kubernetes, "Horizontal Pod Autoscaling": stabilization window, scaling policies
 */
import type { Clock } from '../actors/kernel/clock.ts';
import { fromDecider, NOTHING } from '../actors/kernel/decider.ts';
import type { Decision } from '../actors/kernel/decider.ts';
import { cancelTimer, setTimer } from '../actors/kernel/effects.ts';
import type { HostEffect, Message } from '../actors/kernel/effects.ts';
import type { AutoscalePolicy } from './autoscale-policy.ts';
import type { OperatorAnswered, OperatorCommand } from './meta-agent/operator.ts';

// 1. Messages

/** One kind at one moment; about once a second. */
export interface KindObserved extends Message {
  readonly type: 'kind.observed';
  readonly kind: string;
  /** Tasks that could run now: not those that are parked, nor those whose retry is not due. */
  readonly queued: number;
  /** How long the oldest of them has waited; 0 when there is none. */
  readonly oldestAgeMs: number;
  /** Workers with a run, those that wait for admission included. */
  readonly running: number;
  readonly waitingForAdmission: number;
  /** Permits free at the tightest dependency of the kind; absent when nothing limits it. */
  readonly permitsFree?: number;
  /** Tasks that are parked: told for completeness, and not counted. */
  readonly parked: number;
  /** Workers there are, suspended ones included. */
  readonly replicas: number;
  readonly suspended: number;
}

export type AutoscalerMessage = KindObserved | OperatorAnswered | { readonly type: 'replica.due'; readonly kind: string };

export type AutoscalerEffect = HostEffect | Extract<OperatorCommand, { readonly type: 'operator.scale' }>;

// 2. State

export interface AutoscalerInput {
  /** By kind. Others are left alone. */
  readonly policies: Readonly<Record<string, AutoscalePolicy>>;
}

export type KindState = {
  readonly policy: AutoscalePolicy;
  /** The last command, until the fleet shows it. */
  readonly asked: { readonly id: number; readonly replicas: number; readonly atMs: number } | undefined;
  readonly pressedSinceMs: number | undefined;
  readonly lowSinceMs: number | undefined;
  readonly grownAtMs: number;
  readonly shrunkAtMs: number;
  readonly regrettedAtMs: number;
  /** How many times as long it waits before it shrinks: 1 to 16. */
  readonly patience: number;
} & ({ readonly at: 'steady' } | { readonly at: 'climbing'; readonly replicas: number; readonly goal: number; readonly why: string });

export interface AutoscalerState {
  readonly kinds: ReadonlyMap<string, KindState>;
  readonly lastId: number;
}

type Decided = Decision<AutoscalerState, AutoscalerEffect>;

/** A command that the fleet does not show after this time is forgotten. */
const SETTLE_MS = 10_000;
const MOST_PATIENCE = 16;
/** Growth that follows shrinking within so many times its waiting time is a regret; without one for ten times that, all is forgotten. */
const REGRET = 10;

// 3. Transitions

export function initial({ policies }: AutoscalerInput): Decided {
  const begun = (policy: AutoscalePolicy): KindState => ({
    at: 'steady',
    policy,
    asked: undefined,
    pressedSinceMs: undefined,
    lowSinceMs: undefined,
    grownAtMs: -Infinity,
    shrunkAtMs: -Infinity,
    regrettedAtMs: -Infinity,
    patience: 1,
  });
  return [{ kinds: new Map(Object.entries(policies).map(([kind, policy]) => [kind, begun(policy)])), lastId: 0 }, NOTHING];
}

export function decide(state: AutoscalerState, message: AutoscalerMessage, nowMs: number): Decided {
  switch (message.type) {
    case 'kind.observed': {
      const kind = state.kinds.get(message.kind);
      return kind === undefined ? [state, NOTHING] : observed(state, kind, message, nowMs);
    }
    case 'replica.due': {
      const kind = state.kinds.get(message.kind);
      return kind?.at === 'climbing' ? climb(state, kind, message.kind, nowMs) : [state, NOTHING];
    }
    case 'operator.answered':
      return message.done ? [state, NOTHING] : refused(state, message.id, nowMs);
    default:
      return [state, NOTHING];
  }
}

function observed(state: AutoscalerState, before: KindState, seen: KindObserved, nowMs: number): Decided {
  const { policy } = before;
  const replicas = replicasNow(before, seen, nowMs);
  if (replicas > policy.max) return ask(state, steady(before), seen.kind, policy.max, `${replicas} are more than max`, nowMs);
  const wanted = wantedBy(seen, replicas, policy);
  const pressed = wanted > replicas;
  const low = isLow(seen, replicas, policy);
  const kind: KindState = {
    ...before,
    pressedSinceMs: pressed ? (before.pressedSinceMs ?? nowMs) : undefined,
    lowSinceMs: low ? (before.lowSinceMs ?? nowMs) : undefined,
  };
  if (kind.at === 'climbing') {
    // Up to its least number it goes whatever happens.
    if (kind.replicas < policy.min || (!mustStop(seen, policy) && !low)) return [put(state, seen.kind, kind), NOTHING];
    return [put(state, seen.kind, steady(kind)), [cancelTimer(timerOf(seen.kind))]];
  }
  if (replicas < policy.min) return grow(state, kind, seen.kind, replicas, policy.min, `${replicas} are fewer than min`, nowMs);
  if (pressed && nowMs - kind.pressedSinceMs! >= policy.up.forMs && nowMs - kind.grownAtMs >= policy.up.everyMs) {
    const why = `${seen.queued} tasks wait for ${replicas - seen.suspended} workers, the oldest for ${Math.round(seen.oldestAgeMs)} ms`;
    return grow(state, regretting(kind, nowMs), seen.kind, replicas, wanted, why, nowMs);
  }
  const lastMs = Math.max(kind.grownAtMs, kind.shrunkAtMs);
  if (low && nowMs - kind.lowSinceMs! >= policy.down.afterMs * kind.patience && nowMs - lastMs >= policy.down.everyMs) {
    const why = `${seen.running} of ${replicas} workers are busy, and ${seen.queued} tasks wait`;
    return ask(state, { ...kind, shrunkAtMs: nowMs }, seen.kind, replicas - 1, why, nowMs);
  }
  return [put(state, seen.kind, kind), NOTHING];
}

/** What was asked for, while the fleet is still on its way there. */
function replicasNow({ asked }: KindState, { replicas }: KindObserved, nowMs: number): number {
  return asked === undefined || nowMs - asked.atMs >= SETTLE_MS ? replicas : asked.replicas;
}

/**
 * How many workers this load calls for, never less than there are: a function of the moment alone,
 * that only grows with what waits, and how long.
 */
export function wantedBy(seen: KindObserved, replicas: number, { max, up, admissionShare }: AutoscalePolicy): number {
  if (replicas >= max || mustStop(seen, { admissionShare })) return replicas;
  const active = Math.max(0, replicas - seen.suspended);
  const backlog = seen.queued - Math.max(0, active - seen.running);
  if (backlog <= 0) return replicas;
  const byDepth = seen.queued > up.queuedPerWorker * active ? Math.ceil(seen.queued / up.queuedPerWorker) - active : 0;
  const byAge = seen.oldestAgeMs >= up.ageMs ? backlog : 0;
  const more = Math.min(Math.max(byDepth, byAge), backlog, seen.permitsFree ?? Infinity);
  return Math.min(replicas + more, Math.max(replicas + 1, Math.floor(replicas * up.factor)), max);
}

/** One more worker would only wait at admission. */
function mustStop(seen: KindObserved, { admissionShare }: Pick<AutoscalePolicy, 'admissionShare'>): boolean {
  return seen.permitsFree === 0 || (seen.waitingForAdmission > 0 && seen.waitingForAdmission >= admissionShare * seen.running);
}

function isLow(seen: KindObserved, replicas: number, { min, down }: AutoscalePolicy): boolean {
  if (replicas <= min) return false;
  const left = replicas - seen.suspended - 1;
  return seen.running + seen.queued <= down.busyShare * left;
}

/** It has to grow: was it a mistake to shrink? Each time is counted once. */
function regretting(kind: KindState, nowMs: number): KindState {
  const { patience, shrunkAtMs, regrettedAtMs, policy } = kind;
  const regretMs = policy.down.afterMs * REGRET * patience;
  if (shrunkAtMs > regrettedAtMs && nowMs - shrunkAtMs < regretMs) {
    return { ...kind, patience: Math.min(MOST_PATIENCE, patience * 2), regrettedAtMs: nowMs };
  }
  return nowMs - regrettedAtMs < regretMs * 10 ? kind : { ...kind, patience: 1 };
}

function grow(state: AutoscalerState, kind: KindState, name: string, replicas: number, goal: number, why: string, nowMs: number): Decided {
  return climb(state, { ...kind, at: 'climbing', replicas, goal, why }, name, nowMs);
}

/** One more. The rest between two growths begins with the last of them. */
function climb(state: AutoscalerState, kind: KindState & { readonly at: 'climbing' }, name: string, nowMs: number): Decided {
  const replicas = kind.replicas + 1;
  const grown: KindState = { ...kind, replicas, grownAtMs: nowMs };
  if (replicas >= kind.goal) return ask(state, steady(grown), name, replicas, kind.why, nowMs);
  const [after, effects] = ask(state, grown, name, replicas, kind.why, nowMs);
  const due = { type: 'replica.due', kind: name } as Message;
  return [after, [...effects, setTimer(timerOf(name), nowMs + kind.policy.up.staggerMs, due)]];
}

function ask(state: AutoscalerState, kind: KindState, name: string, replicas: number, why: string, nowMs: number): Decided {
  const id = state.lastId + 1;
  const asking: KindState = { ...kind, asked: { id, replicas, atMs: nowMs } };
  return [{ ...put(state, name, asking), lastId: id }, [{ type: 'operator.scale', kind: name, replicas, id, why }]];
}

/** Whoever refused has a reason: it rests before it asks again. */
function refused(state: AutoscalerState, id: number, nowMs: number): Decided {
  for (const [name, kind] of state.kinds) {
    if (kind.asked?.id !== id) continue;
    const resting: KindState = { ...steady(kind), asked: undefined, grownAtMs: nowMs };
    return [put(state, name, resting), kind.at === 'climbing' ? [cancelTimer(timerOf(name))] : NOTHING];
  }
  return [state, NOTHING];
}

function steady({ policy, asked, pressedSinceMs, lowSinceMs, grownAtMs, shrunkAtMs, regrettedAtMs, patience }: KindState): KindState {
  return { at: 'steady', policy, asked, pressedSinceMs, lowSinceMs, grownAtMs, shrunkAtMs, regrettedAtMs, patience };
}

function put(state: AutoscalerState, name: string, kind: KindState): AutoscalerState {
  return { ...state, kinds: new Map(state.kinds).set(name, kind) };
}

const timerOf = (kind: string): string => `climb/${kind}`;

// 4. Logic

export const autoscalerLogic = (clock: Clock) =>
  fromDecider<AutoscalerState, AutoscalerMessage, AutoscalerInput, AutoscalerEffect>({ initial, decide }, clock);
