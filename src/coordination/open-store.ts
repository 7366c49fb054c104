/** Opens a store for whoever has no fleet. */
import { systemClock } from '../../actors/kernel/clock.ts';
import type { Clock } from '../../actors/kernel/clock.ts';
import type { Store } from '../../actors/ports/store.ts';
import { checkClock, checkOptions, checkStore } from './tools.ts';

/**
 * Opens a store that no fleet opens: for locks, leaders, gates, or a budget that is kept. Disposed, it is closed.
 *
 * @throws CoordinationOptionError; what the store refuses with (`DROVER_STORE_*`)
 * @example
 * await using store = await openStore(sqlite('locks.db'));
 */
export async function openStore<S extends Store>(store: S, options: { readonly clock?: Clock } = {}): Promise<S & AsyncDisposable> {
  checkStore(store, ['open', 'close']);
  checkOptions(options, ['clock']);
  const { clock = systemClock() } = options;
  await store.open({ nowMs: checkClock(clock).nowMs(), maxUnfinished: Number.MAX_SAFE_INTEGER });
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
