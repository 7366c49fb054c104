/**
 * Told: what a client could have that is told how much there is and when that changes, and paces its calls evenly at
 * a fixed share of it. Beside a neighbour whose calls fill a bucket of a tenth of a second it is the phase that
 * decides whether a call is refused, and of that nobody is told.
 */
import { outcomeOf } from './admission-scenes.ts';
import type { Scene } from './admission-scenes.ts';
import { inVirtualTime } from './admission-virtual.ts';

/** Shares of the whole: without the neighbour, and beside it, who leaves 0.6. */
const BEFORE = [0.95, 0.9, 0.85] as const;
const BESIDE = [0.54, 0.3, 0.1, 0.02] as const;

/** The best goodput of all of these with at most that share of refusals; NaN: none has so few. */
export function bestWhenTold(scene: Scene, seed: number, mostRefused: number): number {
  const { fallsMs, risesMs } = scene;
  const paced = (share: number) => ({ tokensPerMinute: scene.hidden * share, burstMs: 1, safetyMargin: 0 });
  const goodputs = BEFORE.flatMap((before) =>
    BESIDE.flatMap((beside) => {
      const changes = [
        { atMs: fallsMs, limits: paced(beside) },
        { atMs: risesMs, limits: paced(before) },
      ];
      const { goodput, refused } = outcomeOf(scene, inVirtualTime(scene, seed, paced(before), changes));
      return refused <= mostRefused ? [goodput] : [];
    }),
  );
  return goodputs.length === 0 ? NaN : Math.max(...goodputs);
}
