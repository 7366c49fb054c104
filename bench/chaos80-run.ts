/** Run: plays, each in a thread, as many at a time as there are cores. What comes out depends on the play alone. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { playFleet } from './chaos80-fleet.ts';
import type { Outcome } from './chaos80-ledger.ts';
import { playNaive } from './chaos80-naive.ts';
import type { Play } from './chaos80-scene.ts';
import { World } from './chaos80-world.ts';

if (!isMainThread) parentPort?.on('message', (play: Play) => void playOut(play).then((outcome) => parentPort?.postMessage(outcome)));

async function playOut(play: Play): Promise<Outcome> {
  const world = new World(play);
  return play.fleet === 'naive' ? await playNaive(world) : await playFleet(world, play.fleet);
}

/** In the order of the plays. */
export async function playAll(plays: readonly Play[], onPlayed: (played: number) => void): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let [next, played] = [0, 0];
  const work = async (): Promise<void> => {
    const thread = new Worker(new URL(import.meta.url));
    for (let at = next++; at < plays.length; at = next++) {
      const answered = once(thread, 'message') as Promise<[Outcome]>;
      thread.postMessage(plays[at]);
      [outcomes[at]] = await answered;
      onPlayed((played += 1));
    }
    await thread.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), plays.length) }, work));
  return outcomes;
}
