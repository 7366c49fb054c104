/** Supervision: when the parent of a fleet's process starts it again. Pure. */
import type { RestartIntensity } from '../../supervisors/restart-intensity.ts';
import { BLOCKED_EXIT_CODE } from '../isolation/watchdog-wire.ts';
import { EXITS } from './exit-codes.ts';
import type { Exit } from './exit-codes.ts';

/** How a process of the fleet ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** It got as far as a fleet that runs. */
  readonly started: boolean;
  /** It ended as a command ends, and not in the midst of something. */
  readonly concluded: boolean;
  /** It was told to end. */
  readonly asked: boolean;
}

export type Judgement = { readonly at: 'over'; readonly exit: Exit } | { readonly at: 'restart'; readonly why: string };

/**
 * What follows from an end. A run that has concluded is over, unless its fleet could not go on. What
 * ended in any other way is started again, once it had started at all: a topology that cannot be loaded
 * will not be loaded next time either.
 */
export function judge({ code, signal, started, concluded, asked }: ProcessEnd): Judgement {
  const known = exitWith(code);
  const why = signal === null ? (code === BLOCKED_EXIT_CODE ? 'its event loop was blocked' : `exit code ${code}`) : `ended by ${signal}`;
  if (asked) return { at: 'over', exit: known ?? 'interrupted' };
  if (!started) return { at: 'over', exit: known ?? 'failed' };
  if (concluded && known !== undefined && known !== 'failed' && known !== 'blocked') return { at: 'over', exit: known };
  return { at: 'restart', why };
}

function exitWith(code: number | null): Exit | undefined {
  return (Object.keys(EXITS) as Exit[]).find((exit) => EXITS[exit].code === code);
}

/** How long restarts are counted. A task that ends its process is dead after its `losses`, 10 by default. */
export const RESTARTS: RestartIntensity = { intensity: 20, periodMs: 600_000 };

/** A process that has run for so long is healthy: its delay starts anew. */
const HEALTHY_MS = 60_000;
const BASE_MS = 200;
const CAP_MS = 10_000;

/** Crashes in a row, this one among them. */
export function crashesInRow(before: number, ranMs: number): number {
  return ranMs >= HEALTHY_MS ? 1 : before + 1;
}

/** Doubling, half of it by chance. `chance`: from 0 to 1. */
export function restDelayMs(crashes: number, chance: number): number {
  return Math.min(CAP_MS, BASE_MS * 2 ** Math.min(crashes - 1, 30)) * (0.5 + 0.5 * chance);
}
