/**
 * Joining: how code far below a `perform` finds the try that it is a part of. A drop-in for a client
 * asks here first: inside a `ctx.call` it is paid and admitted already, and only tells what it sees.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { PerformContext } from '../topology/dependency.ts';

class Joining {
  #storage: AsyncLocalStorage<PerformContext | undefined> | undefined;

  /** Somebody may ask: without, a call does not pay for it. */
  get isUsed(): boolean {
    return this.#storage !== undefined;
  }

  /** To be called by whatever joins, when it is made. */
  use(): void {
    this.#storage ??= new AsyncLocalStorage();
  }

  /** `undefined`: what is performed is a part of nothing, whatever has set it off. */
  run<T>(tried: PerformContext | undefined, perform: () => T): T {
    return this.#storage === undefined ? perform() : this.#storage.run(tried, perform);
  }

  /** The try around the code that asks; undefined outside of any. */
  get current(): PerformContext | undefined {
    return this.#storage?.getStore();
  }
}

export const joining: Joining = new Joining();
