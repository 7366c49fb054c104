/** Simulate plan: what a command line says about a simulation, and the line that says it again. */
import type { Sampler } from '../testing/transports.ts';
import { UsageError } from './errors.ts';
import { shellWord } from './text.ts';

/** Plain data: it crosses to threads. What is absent is as the topology's module says, or the default. */
export interface SimulatePlan {
  readonly topology: string;
  readonly cwd: string;
  readonly workload?: string;
  readonly tasks?: string;
  readonly durationMs?: number;
  readonly faults?: 'none' | 'drawn';
  readonly sampler?: Sampler;
  readonly nondeterminism?: 'report' | 'allow';
}

export type Seed = number | string;

const LONGEST_SEED = 200;

/**
 * A seed as written: digits are a number, anything else is a text.
 *
 * @throws UsageError for what is neither: a text that looks like another number was meant as one.
 */
export function parseSeed(text: string): Seed {
  const isNumber = /^\d+$/.test(text);
  const isOther = !isNumber && text.trim() !== '' && Number.isFinite(Number(text));
  if (isOther || text === '' || text.length > LONGEST_SEED || (isNumber && !Number.isSafeInteger(Number(text)))) {
    throw new UsageError(
      `--seed: expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, or a text of 1 to ${LONGEST_SEED} characters, got ${JSON.stringify(text)}`,
    );
  }
  return isNumber ? Number(text) : text;
}

/** The seeds of a command: from a number on, or a text with a number behind it. */
export function* seedsFrom(first: Seed, count: number): Generator<Seed> {
  for (let at = 0; at < count; at += 1) yield typeof first === 'number' ? first + at : count === 1 ? first : `${first}/${at}`;
}

/** The command that does one seed again, step by step. */
export function replayLine(plan: SimulatePlan, seed: Seed): string {
  const { topology, workload, tasks, durationMs, faults, sampler } = plan;
  const given = { seed, workload, tasks, 'duration-ms': durationMs, faults, sampler };
  const options = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, shellWord(String(value))]));
  return ['drover replay', shellWord(topology), ...options].join(' ');
}
