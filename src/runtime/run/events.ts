/** Events: which outside events a task was told of, and which of its waits takes which. */
import { decode } from '../payload.ts';
import { failureIn } from './memory.ts';
import type { RunMemory } from './memory.ts';
import type { EventWait, Taken } from './waits.ts';

interface Named {
  readonly values: readonly string[];
  /** Taken in an earlier run: by their number. */
  readonly taken: ReadonlySet<number>;
  /** Who waits for them now, in the order in which they began; a wait that has taken its event is among them. */
  readonly waits: EventWait[];
}

export class RunEvents {
  readonly #memory: RunMemory;
  readonly #names = new Map<string, Named>();

  constructor(memory: RunMemory) {
    this.#memory = memory;
  }

  /** The number of the next event that is nobody's: it is this wait's now. */
  claim(name: string, wait: EventWait): number {
    const named = this.#of(name);
    named.waits.push(wait);
    const claimed = new Set(named.waits.map(({ event }) => event?.n));
    let n = 0;
    while (named.taken.has(n) || claimed.has(n)) n += 1;
    return n;
  }

  /** A wait has given up: those that came after it move up. */
  release({ name, n }: { readonly name: string; readonly n: number }): void {
    const named = this.#of(name);
    const at = named.waits.findIndex((wait) => wait.event!.n === n);
    named.waits.splice(at, 1);
    let free = n;
    for (const wait of named.waits.slice(at)) {
      if (wait.settling) continue;
      const next = wait.event!.n;
      wait.moved(free);
      free = next;
    }
  }

  valueOf({ name, n }: { readonly name: string; readonly n: number }): string | undefined {
    return this.#of(name).values[n];
  }

  /** How many of that name are known. */
  countOf(name: string): number {
    return this.#of(name).values.length;
  }

  #of(name: string): Named {
    let named = this.#names.get(name);
    if (named === undefined) {
      const values: string[] = [];
      for (const event of this.#memory.events) if (event.name === name) values[event.n] = event.value;
      named = { values, taken: this.#takenOf(name), waits: [] };
      this.#names.set(name, named);
    }
    return named;
  }

  #takenOf(name: string): ReadonlySet<number> {
    const taken = new Set<number>();
    for (const after of ['#', '[', '~in:']) {
      for (const { value } of this.#memory.beginning(this.#memory.stored(`wait:${name}${after}`))) {
        if (failureIn(value) === undefined) taken.add((decode(value) as Taken).n);
      }
    }
    return taken;
  }
}
