/** Schedule: a recurring task, as the topology or an operator declares it. */
import { Cron } from 'croner';
import { z } from 'zod';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import type { Schema } from './contract.ts';
import type { AgentMap } from './fleet.ts';
import { NAME, NAMED } from './shapes.ts';
import { TopologyError } from './topology-error.ts';

export interface ScheduleSpec<N extends string = string, In = unknown> {
  /** The kind that it makes tasks of. */
  readonly kind: N;
  /** Of each of them. Default: none. */
  readonly input?: In;
  /** Five or six fields, the first of six being seconds; or a name such as `@daily`. Exactly one of `cron` and `everyMs`. */
  readonly cron?: string;
  /** Of the cron expression, e.g. `Europe/Zurich`. Default `UTC`. */
  readonly timezone?: string;
  /** At least 1,000, counted from when the schedule was made. */
  readonly everyMs?: number;
  /** Each turn's task may begin so much later, by chance, so that many schedules are no herd. Default 0. */
  readonly spreadMs?: number;
  /** What to do for turns that were missed while no fleet ran: one task for all of them, or none. Default `once`. */
  readonly missed?: 'once' | 'skip';
  /** What to do when the task of the turn before has not ended: make another one, or let this turn pass. Default `skip`. */
  readonly overlap?: 'skip' | 'allow';
  /** Of the tasks. Default 0. */
  readonly priority?: number;
}

/** Complete, as the store keeps it, in JSON. */
export interface SchedulePlan {
  readonly kind: string;
  readonly input: unknown;
  readonly cron: string | null;
  readonly timezone: string;
  readonly everyMs: number | null;
  readonly spreadMs: number;
  readonly missed: 'once' | 'skip';
  readonly overlap: 'skip' | 'allow';
  readonly priority: number;
}

const TIMEZONE = 'a time zone, such as Europe/Zurich';
const RECURRING = 'a cron expression, which comes again and again; for one moment submit a task with notBefore';

const shape = z.strictObject(
  {
    kind: z.string('the name of a kind'),
    input: z.unknown().optional(),
    cron: z.string('a cron expression').optional(),
    timezone: z.string(TIMEZONE).optional(),
    everyMs: z.number('milliseconds, at least 1,000').min(1_000, 'milliseconds, at least 1,000').optional(),
    spreadMs: z.number('milliseconds, at least 0').min(0, 'milliseconds, at least 0').optional(),
    missed: z.enum(['once', 'skip'], "'once' or 'skip'").optional(),
    overlap: z.enum(['skip', 'allow'], "'skip' or 'allow'").optional(),
    priority: z.int('a whole number').optional(),
  },
  unknownOr('{ kind, input, cron, timezone, everyMs, spreadMs, missed, overlap, priority }'),
);

/** Each checked and complete. @throws TopologyError */
export function planSchedules(specs: Readonly<Record<string, ScheduleSpec>>, agents: AgentMap): Record<string, SchedulePlan> {
  return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, planSchedule(name, spec, agents)]));
}

/** @throws TopologyError naming the field, the value and what is allowed */
export function planSchedule(name: string, spec: ScheduleSpec, agents: AgentMap): SchedulePlan {
  const path = ['schedules', name];
  if (!NAME.test(name)) throw new TopologyError({ path, value: name, expected: NAMED });
  const problem = checkShape(shape, spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: [...path, ...problem.path] });
  const { kind, cron, everyMs, timezone = 'UTC' } = spec;
  if (!Object.hasOwn(agents, kind)) {
    throw new TopologyError({ path: [...path, 'kind'], value: kind, expected: `the name of a kind: ${Object.keys(agents).join(', ')}` });
  }
  if ((cron === undefined) === (everyMs === undefined)) {
    throw new TopologyError({ path, value: spec, expected: 'exactly one of `cron` and `everyMs`' });
  }
  if (!isTimezone(timezone)) throw new TopologyError({ path: [...path, 'timezone'], value: timezone, expected: TIMEZONE });
  if (cron !== undefined && firstTurn(path, cron, timezone) === null) {
    throw new TopologyError({ path: [...path, 'cron'], value: cron, expected: 'a cron expression whose time comes at all' });
  }
  const wrong = checkInput(agents[kind]!.input, spec.input);
  if (wrong !== undefined)
    throw new TopologyError({ path: [...path, 'input'], value: spec.input, expected: `an input of ${kind}: ${wrong}` });
  return {
    kind,
    input: spec.input,
    cron: cron ?? null,
    timezone,
    everyMs: everyMs ?? null,
    spreadMs: spec.spreadMs ?? 0,
    missed: spec.missed ?? 'once',
    overlap: spec.overlap ?? 'skip',
    priority: spec.priority ?? 0,
  };
}

/** When it is due next after `afterMs`; Infinity: never again. */
export function nextTurn(plan: SchedulePlan, afterMs: number, originMs: number): number {
  if (plan.everyMs !== null) return originMs + (Math.floor((afterMs - originMs) / plan.everyMs) + 1) * plan.everyMs;
  return parseCron(plan.cron!, plan.timezone).nextRun(new Date(afterMs))?.getTime() ?? Infinity;
}

function isTimezone(timezone: string): boolean {
  try {
    return parseCron('@yearly', timezone).nextRun(new Date(0)) !== null;
  } catch {
    return false;
  }
}

/** @throws TopologyError when it is no cron expression */
function firstTurn(path: readonly string[], cron: string, timezone: string): Date | null {
  // To the parser it is a date, which would be over for ever at the next start.
  if (cron.includes(':')) throw new TopologyError({ path: [...path, 'cron'], value: cron, expected: RECURRING });
  try {
    return parseCron(cron, timezone).nextRun(new Date(0));
  } catch (cause) {
    const expected = `a cron expression: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TopologyError({ path: [...path, 'cron'], value: cron, expected }, { cause });
  }
}

/** What is wrong with an input, in words; undefined: nothing. */
function checkInput(schema: Schema | undefined, input: unknown): string | undefined {
  if (schema === undefined) return undefined;
  const result = schema['~standard'].validate(input);
  if (result instanceof Promise) {
    result.catch(() => {});
    return 'an asynchronous schema cannot be used here';
  }
  return result.issues?.map(({ message }) => message).join('; ');
}

function parseCron(cron: string, timezone: string): Cron {
  return new Cron(cron, { timezone, paused: true });
}
