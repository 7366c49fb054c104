/** Why cancelled: by whom a task was cancelled, and why, by its story. */
import type { Store } from '../../../actors/ports/store.ts';

/** Both null when that cannot be found out: its story is gone, or the store is. */
export interface WhyCancelled {
  readonly by: string | null;
  readonly reason: string | null;
}

/** No ask nests deeper than a bound that is smaller than this. */
const MOST_ANCESTORS = 1_000;

/** Of the task, or the one that asked for it, or for that one: whoever was cancelled. */
export async function whyCancelled(store: Pick<Store, 'story' | 'get'>, id: string): Promise<WhyCancelled> {
  try {
    let at: string | null = id;
    for (let steps = 0; at !== null && steps < MOST_ANCESTORS; steps += 1) {
      const order = (await store.story(at)).findLast((entry) => entry.at === 'steered' && entry.action === 'cancel');
      if (order?.at === 'steered') return { by: order.by, reason: order.reason };
      at = (await store.get([at]))[0]?.parentId ?? null;
    }
  } catch {
    // The store is closed, or away. That it was cancelled is known all the same.
  }
  return { by: null, reason: null };
}
