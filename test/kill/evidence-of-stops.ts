/** Evidence of stops: a process that stood still for longer than its leases last has to find that out before it acts. */
import type { LoggedEffect } from './effects.ts';
import type { Snapshot } from './snapshot.ts';

/** A process that was stopped, and went on. Noted before it was told, so that it was neither stopped nor going on earlier. */
export interface Stop {
  readonly pid: number;
  readonly stoppedAtMs: number;
  readonly continuedAtMs: number;
}

/** The clock of a fleet is the wall's, read once. */
const LONGEST_BETWEEN_CLOCKS_MS = 20;

/** What a run that was begun before the stop decides after it comes to nothing. */
export function judgeStops(stops: readonly Stop[], end: Snapshot, effects: readonly LoggedEffect[]): string[] {
  return stops.flatMap(({ pid, stoppedAtMs, continuedAtMs }) => {
    const late = effects.filter((effect) => effect.pid === pid && effect.runAtMs < stoppedAtMs && effect.begunAtMs > continuedAtMs);
    // Nobody else owns the store meanwhile, and a claim after the stop is a newer one.
    const settled = [...end.tasks.values()].filter(
      ({ claimedMs, finishedMs }) =>
        claimedMs < stoppedAtMs - LONGEST_BETWEEN_CLOCKS_MS &&
        (finishedMs ?? 0) > continuedAtMs + LONGEST_BETWEEN_CLOCKS_MS &&
        claimedMs > 0,
    );
    return [
      ...late.map(({ key }) => `effect ${key}: begun after the stop of its run had outlasted its lease`),
      ...settled
        .filter(({ status }) => status === 'completed')
        .map(({ id }) => `task ${id}: completed by a run whose stop had outlasted its lease`),
    ];
  });
}
