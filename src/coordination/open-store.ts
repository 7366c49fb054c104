/** Opens a store for whoever has no fleet. */
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { Store } from '../../actors/ports/store.ts';

/**
 * Opens a store that no fleet opens: for locks, leaders, gates, or a budget that is kept. Disposed, it is closed.
 *
 * @throws what the store refuses with (`DROVER_STORE_*`)
 * @example
 * await using store = await openStore(sqlite('locks.db'));
 */
export async function openStore<S extends Store>(store: S, options: { readonly clock?: Clock } = {}): Promise<S & AsyncDisposable> {
  const clock = options.clock ?? systemClock();
  await store.open({ nowMs: clock.nowMs(), maxUnfinished: Number.MAX_SAFE_INTEGER });
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
