/** A store as whoever looks into it or steers has it: when the fleet could not go on, or has closed, each call says so. */
import { StoreClosedError } from '../../actors/ports/store-errors.ts';
import type { Store } from '../../actors/ports/store.ts';

/** `refusal`: why nothing can be asked any more; undefined while it can. `closed`: said where the store is closed by now. */
export function refusingStore(store: Store, refusal: () => Error | undefined, closed: () => Error | undefined): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        const refused = refusal();
        if (refused !== undefined) return Promise.reject(refused);
        return (Reflect.apply(member, target, given) as Promise<unknown>).catch((error: unknown) => {
          throw error instanceof StoreClosedError ? (closed() ?? error) : error;
        });
      };
    },
  });
}
