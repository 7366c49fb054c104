/** Spec: a supervisor as a person writes it, checked and completed. */
import type { AnyActorLogic } from 'xstate';
import { z } from 'zod';
import type { ActorSpec } from '../actors/host/host.ts';
import { childPolicy } from '../actors/kernel/child-spec.ts';
import type { Birth, ChildPolicy, FailureRule, RestartType } from '../actors/kernel/child-spec.ts';
import { describe, DroverError } from '../actors/kernel/errors.ts';
import { checkShape, unknownOr } from '../actors/kernel/shape.ts';
import type { Problem } from '../actors/kernel/shape.ts';
import type { NewChild, Strategy, SupervisorSettings } from './state.ts';

/** One incarnation of a child that is being made. */
export interface Newborn extends Birth {
  /** Says that a `signalled` child is ready. Too late, or twice, it means nothing. */
  started(): void;
}

/** How one incarnation of a child is made. */
export type Made = Pick<ActorSpec, 'logic' | 'input' | 'graceful' | 'lazy' | 'perform' | 'monitors'>;

/** How a supervisor treats its children. Every field has OTP's default. */
export interface SupervisorSpec {
  /**
   * one_for_one: a child that ends is restarted alone. one_for_all: all are. rest_for_one: it and
   * those started after it. dynamic: instances of one template, started by `startChild`; OTP's
   * simple_one_for_one. Default `one_for_one`.
   */
  readonly strategy?: Strategy;
  /** Restarts within `periodMs`, failed attempts among them; one more and the supervisor gives up. Default 1. */
  readonly intensity?: number;
  /** Default 5,000. */
  readonly periodMs?: number;
  /** Whether the supervisor ends when one, or the last, of its significant children has ended by itself. Default `never`. */
  readonly autoShutdown?: 'never' | 'any_significant' | 'all_significant';
  /** Jittered delay before a restart, doubling from `baseMs` to `capMs`. Defaults 0 and 10,000: at once, as in OTP. */
  readonly backoff?: { readonly baseMs?: number; readonly capMs?: number };
  /** A child that has run so long is healthy: its backoff begins anew. Default `periodMs`. */
  readonly healthyMs?: number;
  /**
   * What becomes of a child beyond the intensity. `shutdown`: the supervisor gives up, as in OTP.
   * Otherwise restarts are counted for each child, an exhausted one is suspended (`intensity`), and
   * the supervisor gives up when more than that share of its children is. Default `shutdown`.
   */
  readonly exhausted?: 'shutdown' | { readonly suspendAboveShare: number };
  /** In order of starting. Of a dynamic supervisor exactly one, the template. */
  readonly children: readonly ChildSpec[];
}

/** A child: what it is, when it is restarted, and how it stops. One of `logic`, `start`, `supervisor` says what it is. */
export interface ChildSpec {
  /** Unique among its siblings; no `/`. */
  readonly id: string;
  /** Any XState logic: a machine, a promise, a callback, a transition. */
  readonly logic?: AnyActorLogic;
  /** The logic's input; a function is called for each incarnation. Of an instance: what `startChild` was given is the second argument. */
  readonly input?: unknown;
  /** Whether it is asked to stop (`{ type: 'stop.requested' }`) and killed only at its deadline. Default: it is stopped at once. */
  readonly graceful?: boolean;
  /**
   * Whether it waits for its first event before it is created, and costs a fraction until then. It counts
   * as started, has no snapshot, and an error of its first state is that of a running child. One without
   * an event so far is not asked to stop. Only with `logic`. Default false.
   */
  readonly lazy?: boolean;
  /** Instead of `logic`: makes each incarnation. `ignore`: there is nothing to do. What it throws is a failed start. */
  readonly start?: (birth: Newborn, input: unknown) => Made | 'ignore';
  /** Instead of `logic`: a supervisor below this one. A function is called for each incarnation. */
  readonly supervisor?: SupervisorSpec | ((input: unknown) => SupervisorSpec | 'ignore');
  /** Default `permanent`. */
  readonly restart?: RestartType;
  /** Time to stop before it is killed, in ms; 0 kills at once, Infinity waits. Default 5,000; Infinity for a supervisor. */
  readonly shutdownMs?: number;
  /** Default `worker`; `supervisor` for one. */
  readonly type?: 'worker' | 'supervisor';
  /** See `autoShutdown`. Not for permanent children. Default false. */
  readonly significant?: boolean;
  /** Ready once spawned, or once somebody calls `birth.started()`. Default `spawned`; a supervisor says it itself. */
  readonly ready?: 'spawned' | 'signalled';
  /** How long a `signalled` child may take, in ms. Default 30,000; Infinity for a supervisor. */
  readonly startMs?: number;
  /** Chooses by error: restart, resume in place, suspend, stop or escalate. The first rule that fits decides. Default: restart. */
  readonly onFailure?: readonly FailureRule[];
}

/** What a supervisor works with. */
export interface SupervisorPlan {
  readonly settings: SupervisorSettings;
  readonly children: readonly NewChild[];
}

/** A supervisor, or a child of one, is specified wrongly: which field, what it holds, and what is allowed there. */
export class SupervisorSpecError extends DroverError {
  readonly code = 'DROVER_SUPERVISOR_SPEC';
  readonly retryable = false;
  override readonly detail: { readonly path: readonly string[]; readonly value: unknown; readonly expected: string };
  constructor(detail: SupervisorSpecError['detail'], options?: ErrorOptions) {
    super(`${detail.path.join('.')}: expected ${detail.expected}, got ${describe(detail.value)}`, options);
    this.detail = detail;
  }
}

const MS = 'milliseconds, at least 0';
const ms = z.union([z.number(MS).min(0, MS), z.literal(Infinity)], MS);
const oneOf = <const T extends string>(...allowed: readonly T[]) =>
  z.enum(allowed as readonly [T, ...T[]], allowed.map((value) => `'${value}'`).join(', '));
const fn = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'a function');
const ID = 'a text of 1 to 512 characters without /';
const RULE = '{ when, outcome }';

const failureRule = z.strictObject(
  { when: fn.optional(), outcome: oneOf('restart', 'resume', 'suspend', 'stop', 'escalate') },
  unknownOr(RULE),
);

const childShape = z.strictObject(
  {
    id: z.string(ID).regex(/^[^/]{1,512}$/, ID),
    logic: z
      .custom<AnyActorLogic>(
        (value) => typeof (value as { transition?: unknown } | null | undefined)?.transition === 'function',
        'XState logic, such as setup(...).createMachine(...) or fromPromise(...)',
      )
      .optional(),
    input: z.unknown().optional(),
    graceful: z.boolean('true or false').optional(),
    lazy: z.boolean('true or false').optional(),
    start: fn.optional(),
    supervisor: z
      .custom(
        (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
        'a supervisor spec, or a function that gives one',
      )
      .optional(),
    restart: oneOf('permanent', 'transient', 'temporary').optional(),
    shutdownMs: ms.optional(),
    type: oneOf('worker', 'supervisor').optional(),
    significant: z.boolean('true or false').optional(),
    ready: oneOf('spawned', 'signalled').optional(),
    startMs: ms.optional(),
    onFailure: z.array(failureRule, `a list of ${RULE}`).optional(),
  },
  unknownOr('a child spec with `id` and one of `logic`, `start`, `supervisor`'),
);

const SHARE = "'shutdown', or { suspendAboveShare } from 0 to 1";
const INTENSITY = 'a whole number of restarts, at least 0';
const PERIOD = 'milliseconds, at least 1';

const supervisorShape = z.strictObject(
  {
    strategy: oneOf('one_for_one', 'one_for_all', 'rest_for_one', 'dynamic').optional(),
    intensity: z.int(INTENSITY).min(0, INTENSITY).optional(),
    periodMs: z.number(PERIOD).min(1, PERIOD).optional(),
    autoShutdown: oneOf('never', 'any_significant', 'all_significant').optional(),
    backoff: z
      .strictObject(
        { baseMs: z.number(MS).min(0, MS).optional(), capMs: z.number(MS).min(0, MS).optional() },
        unknownOr('{ baseMs, capMs }'),
      )
      .optional(),
    healthyMs: ms.optional(),
    exhausted: z
      .union([z.literal('shutdown'), z.strictObject({ suspendAboveShare: z.number(SHARE).min(0, SHARE).max(1, SHARE) }, SHARE)], SHARE)
      .optional(),
    children: z.array(z.unknown(), 'a list of child specs'),
  },
  unknownOr('a supervisor spec with `children`'),
);

/**
 * Checks a supervisor spec and fills in every default.
 *
 * @throws SupervisorSpecError
 */
export function planSupervisor(spec: SupervisorSpec): SupervisorPlan {
  const problem = checkSupervisor(spec);
  if (problem !== undefined) throw new SupervisorSpecError({ ...problem, path: ['supervisor', ...problem.path] });
  const periodMs = spec.periodMs ?? 5_000;
  const settings: SupervisorSettings = {
    strategy: spec.strategy ?? 'one_for_one',
    intensity: { intensity: spec.intensity ?? 1, periodMs },
    backoff: { baseMs: spec.backoff?.baseMs ?? 0, capMs: spec.backoff?.capMs ?? 10_000 },
    healthyMs: spec.healthyMs ?? periodMs,
    autoShutdown: spec.autoShutdown ?? 'never',
    exhausted: spec.exhausted ?? 'shutdown',
  };
  return { settings, children: spec.children.map((child) => planned(child)) };
}

/**
 * Checks one more child of a supervisor with these settings.
 *
 * @throws SupervisorSpecError
 */
export function planChild(child: ChildSpec, autoShutdown: SupervisorSettings['autoShutdown']): NewChild {
  const problem = checkChild(child, autoShutdown);
  if (problem !== undefined) throw new SupervisorSpecError({ ...problem, path: ['child', ...problem.path] });
  return planned(child);
}

function planned(child: ChildSpec): NewChild {
  const { id, restart, shutdownMs, significant, ready, startMs, onFailure } = child;
  const type = child.type ?? (child.supervisor === undefined ? 'worker' : 'supervisor');
  const patient = type === 'supervisor' ? Infinity : undefined;
  const policy: ChildPolicy = childPolicy({
    id,
    type,
    ...given({ restart, significant, onFailure }),
    ...given({ shutdownMs: shutdownMs ?? patient, startMs: startMs ?? patient }),
    ...given({ ready: ready ?? (child.supervisor === undefined ? undefined : 'signalled') }),
  });
  return { policy, maker: child };
}

/** Without the fields that are undefined, which would hide a default. */
function given<T extends object>(fields: T): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  // Not by way of `Object.fromEntries`, whose objects are hash tables: there is one for each child.
  const kept: { [K in keyof T]?: T[K] } = {};
  for (const field in fields) if (fields[field] !== undefined) kept[field] = fields[field];
  return kept as never;
}

function checkSupervisor(spec: SupervisorSpec): Problem | undefined {
  return checkShape(supervisorShape, spec) ?? checkChildren(spec);
}

function checkChildren({ strategy, children, autoShutdown = 'never' }: SupervisorSpec): Problem | undefined {
  if (strategy === 'dynamic' && children.length !== 1) {
    return { path: ['children'], value: children, expected: 'exactly one child, the template, under the strategy dynamic' };
  }
  const ids = new Set<string>();
  for (const [at, child] of children.entries()) {
    const problem = checkChild(child, autoShutdown);
    if (problem !== undefined) return { ...problem, path: ['children', String(at), ...problem.path] };
    if (ids.has(child.id)) return { path: ['children', String(at), 'id'], value: child.id, expected: 'an id that no sibling has' };
    ids.add(child.id);
  }
  return undefined;
}

function checkChild(child: ChildSpec, autoShutdown: SupervisorSettings['autoShutdown']): Problem | undefined {
  const problem = checkShape(childShape, child);
  if (problem !== undefined) return problem;
  const made = [child.logic, child.start, child.supervisor].filter((way) => way !== undefined).length;
  if (made !== 1) return { path: made === 0 ? ['start'] : [], value: child.start, expected: 'one of `logic`, `start` and `supervisor`' };
  if (typeof child.supervisor === 'object') {
    const below = checkSupervisor(child.supervisor);
    if (below !== undefined) return { ...below, path: ['supervisor', ...below.path] };
  }
  if (child.lazy === true && (child.logic === undefined || child.ready === 'signalled')) {
    return {
      path: ['lazy'],
      value: true,
      expected: 'false: only a child with `logic` that is ready once spawned can wait for its first event',
    };
  }
  if (child.significant !== true) return undefined;
  if (autoShutdown === 'never') {
    return { path: ['significant'], value: true, expected: 'false: the autoShutdown of its supervisor is never' };
  }
  if ((child.restart ?? 'permanent') === 'permanent') {
    return { path: ['significant'], value: true, expected: 'false: a permanent child never ends for good' };
  }
  return undefined;
}
