/**
 * Holders: people and scripts beside a simulated fleet that share its store by `drover/coordination`, in the fleet's own
 * process. Before whatever rests on a lease they look whether they have it, and say under which token: what they say is
 * checked against what the store has given.
 */
import type { Random } from '../../../actors/kernel/random.ts';
import { countingIds } from '../../../actors/kernel/ids.ts';
import { leader } from '../../coordination/leader.ts';
import { locks } from '../../coordination/locks.ts';
import type { CoordinationOptions } from '../../coordination/tools.ts';
import type { SimulatedProcess } from './process.ts';
import type { Scene } from './scene.ts';

/** Somebody waits for a lock, relies on it for `holdMs`, and releases it. Whose process dies meanwhile begins anew in the next. */
export interface LockAct {
  readonly at: 'lock';
  readonly name: string;
  readonly holdMs: number;
  /** At least 10, at most a day. Default: that of `lock`. */
  readonly ttlMs?: number;
}

/** Somebody stands for an office for `forMs`, and resigns after each `termMs` in it. */
export interface StandAct {
  readonly at: 'stand';
  readonly name: string;
  readonly forMs: number;
  readonly termMs: number;
  /** At least 10, at most a day. Default: that of `leader`. */
  readonly ttlMs?: number;
}

export interface Holder {
  readonly by: SimulatedProcess;
  readonly scene: Scene;
  readonly random: Random;
  /** Of no other holder, in this process or before. */
  readonly id: string;
}

/** So often it does something that rests on what it holds. */
const RELIES = 4;

/** Resolves when it has had the lock; rejects as `lock` does. */
export async function holdLock({ name, holdMs, ttlMs }: LockAct, holder: Holder): Promise<void> {
  const lock = await locks(holder.by.store!, toolsOf(holder)).lock(name, ttlMs === undefined ? {} : { ttlMs });
  await rely(holder, `lock:${name}`, lock.fence, holdMs, () => lock.isHeld);
  await lock.release();
}

/** Resolves `leftMs` later, when it stands no more. */
export async function standFor({ name, termMs, ttlMs }: StandAct, leftMs: number, holder: Holder): Promise<void> {
  if (leftMs <= 0) return;
  const { by, scene } = holder;
  const candidate = leader(by.store!, name, {
    ...toolsOf(holder),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    onElected: async (epoch) => {
      if (by.isAlive) scene.see({ at: 'leader.elected', office: name, epoch });
      await rely(holder, `leader:${name}`, epoch, termMs, () => candidate.epoch === epoch);
      await candidate.resign();
    },
  });
  await pause(by, leftMs);
  await candidate.close();
}

/** `name` as the store has it. */
async function rely({ by, scene }: Holder, name: string, fence: number, forMs: number, isHeld: () => boolean): Promise<void> {
  for (let left = RELIES; left > 0 && by.isAlive && isHeld(); left -= 1) {
    scene.see({ at: 'lease.relied-on', name, fence });
    await pause(by, forMs / RELIES);
  }
}

function toolsOf({ by, random, id }: Holder): CoordinationOptions {
  return { clock: by.clock, random, ids: countingIds(id) };
}

/** Never over for one whose process has died. */
function pause(by: SimulatedProcess, ms: number): Promise<void> {
  return new Promise((resolve) => by.after(ms, resolve));
}
