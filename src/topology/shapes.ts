/** Shapes: what each field of a topology may hold, as zod schemas. One table, so that one error speaks for all. */
import { z } from 'zod';
import { unknownOr } from '../../actors/kernel/shape.ts';
import { adaptShape, breakerShape, budgetShape, kindBudgetShape, limitsShape, retriesShape, weightsShape } from './admission-shapes.ts';

const fn = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'a function');
const ms = (least: number, what: string) => z.number(what).min(least, what);
const count = (least: number, what: string) => z.int(what).min(least, what);
/** Whether it is one, of whatever library. */
export function isSchema(value: unknown): boolean {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value;
}

const standardSchema = z.custom(isSchema, 'a Standard Schema (zod, valibot, arktype)');
const RETENTION = 'milliseconds, at least 60,000';
const retention = z.custom<number>((value) => typeof value === 'number' && value >= 60_000, RETENTION).optional();

const named = z.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object of names',
);

export const dependencyShape = z.strictObject(
  {
    perform: fn,
    limits: limitsShape.optional(),
    adapt: adaptShape.optional(),
    breaker: breakerShape.optional(),
    retries: retriesShape.optional(),
    weights: weightsShape.optional(),
    waiting: count(1, 'a whole number of calls, at least 1').optional(),
    whenFull: z.enum(['refuse', 'shed'], "'refuse' or 'shed'").optional(),
    cachedInputIsFree: z.boolean('true or false').optional(),
    unpriced: z.string('the name of what has no price').optional(),
    slots: fn.optional(),
    rank: z.int('a whole number').optional(),
    safetyMargin: z.number('a share from 0 to 0.9').min(0, 'a share from 0 to 0.9').max(0.9, 'a share from 0 to 0.9').optional(),
    burstMs: ms(1, 'milliseconds, at least 1').optional(),
    estimate: fn.optional(),
    usage: fn.optional(),
    price: fn.optional(),
    classify: fn.optional(),
    timeoutMs: ms(1, 'milliseconds, at least 1').optional(),
    attempts: count(1, 'a whole number of tries, at least 1').optional(),
  },
  unknownOr('an object with `perform`'),
);

const REPLICAS = 'a whole number of workers, at least 1, or { min, max } with min <= max';
const replicas = z.union(
  [
    count(1, REPLICAS),
    z
      .strictObject(
        {
          min: count(1, REPLICAS),
          max: count(1, REPLICAS),
          up: z.unknown().optional(),
          down: z.unknown().optional(),
          admissionShare: z.unknown().optional(),
        },
        REPLICAS,
      )
      .refine(({ min, max }) => min <= max, REPLICAS),
  ],
  REPLICAS,
);

const RESOURCES = 'a list of names of at most 512 characters, or a function from input to such a list';
const resources = z.union([fn, z.array(z.string(RESOURCES).max(512, RESOURCES), RESOURCES)], RESOURCES);
const WEIGHTS = 'tenants with a weight above 0 each';

const BACKOFF = '{ baseMs, capMs } of at least 1 ms, or a function from attempt to milliseconds (negative: give up)';
const backoff = z.union([fn, z.strictObject({ baseMs: ms(1, BACKOFF).optional(), capMs: ms(1, BACKOFF).optional() }, BACKOFF)], BACKOFF);

/** What waits for a worker is under lease, in memory, and renewed: more than this belongs in the store. */
const MOST_CAPACITY = 10_000;
const CAPACITY = `a whole number of tasks, 1 to ${MOST_CAPACITY}`;

export const mailboxShape = z.strictObject(
  {
    mode: z.enum(['shared', 'dedicated', 'steal'], "'shared', 'dedicated' or 'steal'").optional(),
    capacity: count(1, CAPACITY).max(MOST_CAPACITY, CAPACITY).optional(),
    stealAbove: count(1, 'a whole number of tasks, at least 1').optional(),
  },
  unknownOr('{ mode, capacity, stealAbove }'),
);

export const agentShape = z.strictObject(
  {
    input: standardSchema.optional(),
    output: standardSchema.optional(),
    uses: named.optional(),
    asks: named.optional(),
    events: named.optional(),
    run: fn.optional(),
    machine: z.unknown().optional(),
    replicas: replicas.optional(),
    mailbox: mailboxShape.optional(),
    affinity: fn.optional(),
    orderKey: fn.optional(),
    writes: resources.optional(),
    reads: resources.optional(),
    onConflict: z.enum(['queue', 'reject'], "'queue' or 'reject'").optional(),
    deadlineMs: ms(1, 'milliseconds, at least 1').optional(),
    backlog: count(1, 'a whole number of tasks, at least 1').optional(),
    tenantBacklog: count(1, 'a whole number of tasks, at least 1').optional(),
    tenantWeights: z.record(z.string(), z.number(WEIGHTS).positive(WEIGHTS), WEIGHTS).optional(),
    onVersionChange: z.enum(['replay', 'restart', 'refuse'], "'replay', 'restart' or 'refuse'").optional(),
    attempts: count(1, 'a whole number of runs, at least 1').optional(),
    losses: count(1, 'a whole number of runs, at least 1').optional(),
    backoff: backoff.optional(),
    leaseMs: ms(100, 'milliseconds, at least 100').optional(),
    runTimeoutMs: ms(1, 'milliseconds, at least 1').optional(),
    stallMs: ms(1, 'milliseconds, at least 1').optional(),
    lingerMs: ms(0, 'milliseconds, at least 0').optional(),
    healthCheck: fn.optional(),
    onRejection: z.enum(['retry', 'restart'], "'retry' or 'restart'").optional(),
    isolation: z.enum(['inline', 'thread', 'process'], "'inline', 'thread' or 'process'").optional(),
    heartbeatMs: ms(500, 'milliseconds, at least 500').optional(),
    memoryMb: count(32, 'a whole number of megabytes, at least 32').optional(),
    budget: kindBudgetShape.optional(),
    tenant: fn.optional(),
    version: z
      .string('a text of 1 to 64 characters')
      .min(1, 'a text of 1 to 64 characters')
      .max(64, 'a text of 1 to 64 characters')
      .optional(),
  },
  unknownOr('an object with `run` or `machine`'),
);

/** Of fleets, kinds and dependencies: they are parts of addresses, ids and places. */
export const NAME = /^[a-zA-Z][\w-]{0,63}$/;
export const NAMED = 'a name of at most 64 letters, digits, _ and -, a letter first';

const STRATEGY = "'one_for_one', 'one_for_all' or 'rest_for_one'";
const KINDS = 'a list of the names of kinds';

export const fleetShape = z.strictObject(
  {
    name: z.string(NAMED).regex(NAME, NAMED),
    module: z.string('a module URL, such as import.meta.url').optional(),
    agents: named,
    supervision: z
      .strictObject(
        {
          strategy: z.enum(['one_for_one', 'one_for_all', 'rest_for_one'], STRATEGY).optional(),
          children: z.array(z.string(KINDS), KINDS).optional(),
          intensity: count(0, 'a whole number of restarts, at least 0').optional(),
          periodMs: ms(1, 'milliseconds, at least 1').optional(),
          backoff: z
            .strictObject(
              { baseMs: ms(0, 'milliseconds, at least 0').optional(), capMs: ms(0, 'milliseconds, at least 0').optional() },
              unknownOr('{ baseMs, capMs }'),
            )
            .optional(),
          suspendAboveShare: z.number('a share from 0 to 1').min(0, 'a share from 0 to 1').max(1, 'a share from 0 to 1').optional(),
          shutdownMs: ms(0, 'milliseconds, at least 0').optional(),
        },
        unknownOr('{ strategy, children, intensity, periodMs, backoff, suspendAboveShare, shutdownMs }'),
      )
      .optional(),
    budget: budgetShape.optional(),
    metaAgent: z.unknown().optional(),
    wakeGate: z.strictObject({ most: count(1, 'a whole number of runs, at least 1') }, unknownOr('{ most }')).optional(),
    staggerMs: ms(0, 'milliseconds between the starts of two workers, at least 0').optional(),
    agingMs: ms(1, 'milliseconds, at least 1').optional(),
    schedules: named.optional(),
    bounds: z
      .strictObject(
        {
          unfinished: count(1, 'a whole number of tasks').optional(),
          payloadBytes: count(1, 'a whole number of bytes').optional(),
          fanOut: count(1, 'a whole number of child tasks').optional(),
          depth: count(1, 'a whole number of nested asks').optional(),
          operations: count(1, 'a whole number of operations a run').optional(),
          family: count(1, 'a whole number of tasks').optional(),
        },
        unknownOr('{ unfinished, payloadBytes, fanOut, depth, operations, family }'),
      )
      .optional(),
    retention: z
      .strictObject(
        { completedMs: retention, failedMs: retention, cancelledMs: retention, deadMs: retention },
        unknownOr('{ completedMs, failedMs, cancelledMs, deadMs }'),
      )
      .optional(),
  },
  unknownOr('an object with `name` and `agents`'),
);
