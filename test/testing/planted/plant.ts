/** Plant: a fault of one class of deadlock, made on purpose, and the same fleet without it. */
import type { Subject } from '../../../src/testing/deadlock/subject.ts';
import { refute } from '../../../src/testing/deadlock/refute.ts';
import type { Refutation } from '../../../src/testing/deadlock/refute.ts';
import { sample } from '../../../src/testing/deadlock/sample.ts';
import type { Sampled } from '../../../src/testing/deadlock/sample.ts';

export interface Plant {
  /** The class, as in the table of deadlocks. */
  readonly code: `D${number}`;
  /** What is wrong with the faulty variant. */
  readonly what: string;
  /** What the other one has instead. */
  readonly instead: string;
  readonly faulty: Subject;
  /** The same topology and work, with the construction. */
  readonly correct: Subject;
  readonly kind: Refutation['kind'];
  readonly invariant: string;
  /** What the circle, or what is broken, is told to be. */
  readonly says: RegExp;
  /** Size of the smallest trace; the plant says why there is no smaller one. */
  readonly smallest: { readonly tasks: number; readonly steps: number };
}

/** Runs of each variant, with the seeds from 1: a plant is found within so many, and the correct variant passes all of them. */
export const RUNS = 40;

/** So many of the runs that fail are shrunk. */
export const FINDS = 2;

/**
 * What is allowed for healing here, in virtual ms. A run that waits for admission parks after 30 s, and one
 * that is silent is given up after minutes: what lives only by those does not live here.
 */
export const HEAL_MS = 12_000;

/** Samples the real machines until something breaks, and shrinks what did. */
export async function hunt(subject: Subject): Promise<{ readonly sampled: Sampled; readonly refutation: Refutation | undefined }> {
  const sampled = await sample(subject, { seed: 1, runs: RUNS, finds: FINDS });
  return { sampled, refutation: sampled.found.length === 0 ? undefined : await refute(subject, sampled.found) };
}
