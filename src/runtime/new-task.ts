/** New task: what the store is given of one task, with all that its kind derives from the input. */
import { toErrorRecord } from '../../actors/kernel/errors.ts';
import type { LockWant, NewTask } from '../../actors/ports/store.ts';
import type { KindPlan } from '../topology/fleet.ts';
import { PayloadInvalidError } from './errors.ts';

/** What whoever submits says of it. */
export interface TaskGiven {
  readonly id: string;
  readonly priority: number;
  readonly depth: number;
  readonly rootId?: string | undefined;
  readonly notBeforeMs?: number | undefined;
  /** Absolute. */
  readonly deadlineMs?: number | undefined;
}

type DerivedField = 'tenant' | 'affinity' | 'orderKey' | 'writes' | 'reads';

/** How many resources one task may write and read. */
export const MOST_LOCKS = 1_000;
/** Of a tenant, an affinity, an order key, a resource. */
const LONGEST_NAME = 512;

/**
 * `parsed` is what the kind's schema makes of the input, `input` its text.
 *
 * @throws PayloadInvalidError naming the field of the kind that throws, or gives what makes no sense
 */
export function newTask(plan: KindPlan, parsed: unknown, input: string, given: TaskGiven, nowMs: number): NewTask {
  const { kind, version, attempts, losses } = plan;
  const { id, priority, depth, rootId, notBeforeMs } = given;
  const { spec } = plan.agent;
  const task: { -readonly [K in keyof NewTask]: NewTask[K] } = {
    id,
    kind,
    version,
    input,
    priority,
    maxAttempts: attempts,
    maxLosses: losses,
    depth,
  };
  if (rootId !== undefined) task.rootId = rootId;
  if (notBeforeMs !== undefined) task.notBeforeMs = notBeforeMs;
  const deadlineMs = Math.min(given.deadlineMs ?? Infinity, plan.deadlineMs === undefined ? Infinity : nowMs + plan.deadlineMs);
  if (deadlineMs !== Infinity) task.deadlineMs = deadlineMs;
  if (spec.tenant !== undefined) {
    const tenant = nameOf(plan, 'tenant', parsed);
    if (tenant !== undefined) task.tenant = tenant;
  }
  if (spec.affinity !== undefined) {
    const affinity = nameOf(plan, 'affinity', parsed);
    if (affinity !== undefined) task.affinity = affinity;
  }
  if (spec.orderKey !== undefined) {
    const key = nameOf(plan, 'orderKey', parsed);
    if (key !== undefined) task.orderKey = `${kind}:${key}`;
  }
  if (spec.writes !== undefined || spec.reads !== undefined) {
    const locks = locksOf(plan, parsed);
    if (locks.length > 0) {
      task.locks = locks;
      if (plan.onConflict === 'reject') task.onConflict = 'reject';
    }
  }
  return task;
}

/** Whether a kind derives anything from the input of its tasks. */
export function derives({ agent: { spec } }: KindPlan): boolean {
  return (
    spec.tenant !== undefined ||
    spec.affinity !== undefined ||
    spec.orderKey !== undefined ||
    typeof spec.writes === 'function' ||
    typeof spec.reads === 'function'
  );
}

/** Of kinds that always lock the same. */
const fixed = new WeakMap<KindPlan, readonly LockWant[]>();

/** What a task of a kind locks: sorted, no resource twice. What it both writes and reads, it writes. */
function locksOf(plan: KindPlan, parsed: unknown): readonly LockWant[] {
  const { writes, reads } = plan.agent.spec;
  const isFixed = typeof writes !== 'function' && typeof reads !== 'function';
  const known = isFixed ? fixed.get(plan) : undefined;
  if (known !== undefined) return known;
  const writing = resourcesOf(plan, 'writes', parsed);
  const reading = resourcesOf(plan, 'reads', parsed);
  // Most have one.
  if (writing.length === 1 && reading.length === 0 && !isFixed) return [{ resource: writing[0]!, mode: 'write' }];
  const wants = new Map<string, LockWant>();
  for (const resource of reading) wants.set(resource, { resource, mode: 'read' });
  for (const resource of writing) wants.set(resource, { resource, mode: 'write' });
  if (wants.size > MOST_LOCKS)
    throw refused(plan, 'writes', `expected at most ${MOST_LOCKS} resources, those read included`, [...wants.keys()]);
  const locks = sortLocks([...wants.values()]);
  if (isFixed) fixed.set(plan, locks);
  return locks;
}

/** In one order for all. */
export function sortLocks(locks: readonly LockWant[]): readonly LockWant[] {
  return locks.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
}

/** Whether it can name a resource, a tenant and such. */
export function isName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= LONGEST_NAME && name.isWellFormed();
}

function resourcesOf(plan: KindPlan, field: 'writes' | 'reads', parsed: unknown): readonly string[] {
  const declared: unknown = plan.agent.spec[field];
  const names = typeof declared === 'function' ? derive(plan, field, parsed) : (declared ?? []);
  const sound = Array.isArray(names) && names.every((name) => isName(name) && name !== '');
  if (sound) return names as readonly string[];
  throw refused(plan, field, `expected a list of names of 1 to ${LONGEST_NAME} characters of well-formed Unicode`, names);
}

function nameOf(plan: KindPlan, field: 'tenant' | 'affinity' | 'orderKey', parsed: unknown): string | undefined {
  const name = derive(plan, field, parsed);
  if (name === undefined || isName(name)) return name;
  throw refused(plan, field, `expected a text of at most ${LONGEST_NAME} characters of well-formed Unicode`, name);
}

function derive(plan: KindPlan, field: DerivedField, parsed: unknown): unknown {
  try {
    return (plan.agent.spec[field] as (input: unknown) => unknown)(parsed);
  } catch (cause) {
    const issue = { path: '', message: `expected a function that does not throw, it threw: ${toErrorRecord(cause).message}` };
    throw new PayloadInvalidError(`${field} of ${plan.kind}`, [issue], parsed, false, { cause });
  }
}

function refused(plan: KindPlan, field: DerivedField, message: string, value: unknown): PayloadInvalidError {
  return new PayloadInvalidError(`${field} of ${plan.kind}`, [{ path: '', message }], value, false);
}
