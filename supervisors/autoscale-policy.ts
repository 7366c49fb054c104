/** Autoscale policy: between which bounds, and how fast, a kind grows and shrinks. */
import { z } from 'zod';
import { check, count, fieldsOr, ms, number } from './meta-agent/check.ts';

/** As an owner of a fleet writes it. */
export interface AutoscaleSpec {
  /** At least 1. */
  readonly min: number;
  readonly max: number;
  readonly up?: {
    /** Tasks that wait for each worker before it takes more of them. Default 2. */
    readonly queuedPerWorker?: number;
    /** Age of the oldest task that waits, beyond which it takes more workers, however few wait. Default 5,000. */
    readonly ageMs?: number;
    /** How long that must last. Default 3,000. */
    readonly forMs?: number;
    /** Time between two growths. Default 15,000. */
    readonly everyMs?: number;
    /** A growth makes at most so many times as many. Default 2. */
    readonly factor?: number;
    /** Time between two new workers. Default 250. */
    readonly staggerMs?: number;
  };
  readonly down?: {
    /** What is there to do must keep at most this share of the workers busy that would be left. Default 0.6. */
    readonly busyShare?: number;
    /** How long that must last. Longer, up to 16 times, where shrinking was regretted. Default 60,000. */
    readonly afterMs?: number;
    /** Time between two workers that go. Default 10,000. */
    readonly everyMs?: number;
  };
  /** When this share of the busy workers waits for admission, one more would only wait too. Default 0.2. */
  readonly admissionShare?: number;
}

/** A policy, checked and complete. */
export interface AutoscalePolicy {
  readonly min: number;
  readonly max: number;
  readonly up: Required<NonNullable<AutoscaleSpec['up']>>;
  readonly down: Required<NonNullable<AutoscaleSpec['down']>>;
  readonly admissionShare: number;
}

const UP = { queuedPerWorker: 2, ageMs: 5_000, forMs: 3_000, everyMs: 15_000, factor: 2, staggerMs: 250 };
const DOWN = { busyShare: 0.6, afterMs: 60_000, everyMs: 10_000 };
const WORKERS = 'a whole number of workers, at least 1';
const SHARE = 'a share above 0, at most 1';
const share = number(0.001, 1, SHARE);

const shape = z
  .strictObject(
    {
      min: count(1, WORKERS),
      max: count(1, WORKERS),
      up: z
        .strictObject(
          {
            queuedPerWorker: number(0.1, Number.MAX_VALUE, 'a number of tasks, at least 0.1').optional(),
            ageMs: ms(1).optional(),
            forMs: ms(0).optional(),
            everyMs: ms(0).optional(),
            factor: number(1.01, 100, 'a factor above 1, at most 100').optional(),
            staggerMs: ms(0).optional(),
          },
          fieldsOr('an object of speeds', ...Object.keys(UP)),
        )
        .optional(),
      down: z
        .strictObject(
          { busyShare: share.optional(), afterMs: ms(0).optional(), everyMs: ms(0).optional() },
          fieldsOr('an object of speeds', ...Object.keys(DOWN)),
        )
        .optional(),
      admissionShare: share.optional(),
    },
    fieldsOr('{ min, max } and speeds', 'min', 'max', 'up', 'down', 'admissionShare'),
  )
  .refine(({ min, max }) => min <= max, { path: ['max'], message: `${WORKERS}, and not less than min` });

/** Checks what an owner wrote and fills in the rest. Throws a `PolicyError` that names the field. */
export function defineAutoscale(spec: AutoscaleSpec, root = 'autoscale'): AutoscalePolicy {
  check(shape, spec, root);
  const { min, max, up, down, admissionShare = 0.2 } = spec;
  return { min, max, up: { ...UP, ...up }, down: { ...DOWN, ...down }, admissionShare };
}
