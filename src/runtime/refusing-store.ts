/** A store as whoever looks into it or steers has it: when the fleet could not go on, each call says why. */
import type { Store } from '../../actors/ports/store.ts';

/** `refusal`: why nothing can be asked any more; undefined while it can. */
export function refusingStore(store: Store, refusal: () => Error | undefined): Store {
  return new Proxy(store, {
    get(target, name): unknown {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]): unknown => {
        const refused = refusal();
        return refused === undefined ? Reflect.apply(member, target, given) : Promise.reject(refused);
      };
    },
  });
}
