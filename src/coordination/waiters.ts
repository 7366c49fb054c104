/**
 * Waiters: who in this process waits over one store object, by what they wait for. The store keeps the line and decides who
 * is next, but tells nobody: each waiter asks again now and then. So whoever gives something back here wakes one who waits
 * here, in the order in which they stand in the store. Woken, it asks at once, and waits on when the store has somebody
 * before it. Those who share the store by another object are not known here: they find out when they ask.
 */
import { ChurnMap } from '../../actors/kernel/churn-map.ts';

type Line = ChurnMap<Waiter, true>;

const lines = new WeakMap<object, ChurnMap<string, Line>>();

/** One place under `key` is free, as of what the store has answered: one more is woken. */
export function wakeNext(store: object, key: string): void {
  for (const waiter of lines.get(store)?.get(key)?.keys() ?? []) {
    if (waiter.isWoken) continue;
    waiter.wake();
    return;
  }
}

/** Somebody who waits, until it is disposed. */
export class Waiter implements Disposable {
  /** Has been woken, and not asked since. */
  isWoken = false;
  /** Told when it is woken, while it rests. */
  onWake: (() => void) | undefined;
  readonly #store: object;
  readonly #key: string;
  #placeUntilMs = -Infinity;

  constructor(store: object, key: string) {
    this.#store = store;
    this.#key = key;
  }

  /** Before it asks the store as of `sentMs`, which keeps its place until `untilMs` then. */
  asks(sentMs: number, untilMs: number): void {
    this.isWoken = false;
    // Whose place is forgotten there gets a new one, at the end.
    if (sentMs >= this.#placeUntilMs) {
      this.#leave();
      this.#stand();
    }
    this.#placeUntilMs = untilMs;
  }

  wake(): void {
    this.isWoken = true;
    this.onWake?.();
  }

  /** What it was woken for and has not asked about is the next one's. */
  [Symbol.dispose](): void {
    this.#leave();
    if (this.isWoken) wakeNext(this.#store, this.#key);
  }

  #stand(): void {
    let byKey = lines.get(this.#store);
    if (byKey === undefined) lines.set(this.#store, (byKey = new ChurnMap()));
    let line = byKey.get(this.#key);
    if (line === undefined) byKey.set(this.#key, (line = new ChurnMap()));
    line.set(this, true);
  }

  #leave(): void {
    const byKey = lines.get(this.#store);
    const line = byKey?.get(this.#key);
    line?.delete(this);
    if (line?.size === 0) byKey!.delete(this.#key);
  }
}
