/** Events: which outside events a task was told of, and who takes which: its waits, or its statechart. */
import type { TaskEvent } from '../../../actors/ports/store.ts';
import { decode } from '../payload.ts';
import { failureIn } from './memory.ts';
import type { RunMemory } from './memory.ts';
import type { EventWait, Taken } from './waits.ts';

type EventRef = Pick<TaskEvent, 'name' | 'n'>;

interface Named {
  /** By their number; undefined: told, and not known here, or not told. */
  readonly values: (string | undefined)[];
  /** The how-manieth of all that are known each is. */
  readonly orders: number[];
  /** All before it are known. */
  next: number;
  /** Taken in an earlier run, or by a statechart: by their number. */
  readonly taken: Set<number>;
  /** Who waits for them now, in the order in which they began; a wait that has taken its event is among them. */
  readonly waits: EventWait[];
}

/** As a former statechart took events: by waits of its own, which its record has the truth of. */
const OF_MACHINE = '/machine';

export class RunEvents {
  /** Called when the task has been told of one while the run goes on. */
  onTold: ((event: TaskEvent) => void) | undefined;
  readonly #memory: RunMemory;
  readonly #names = new Map<string, Named>();
  /** Told while the run goes on. */
  readonly #told: TaskEvent[] = [];

  constructor(memory: RunMemory) {
    this.#memory = memory;
  }

  /** All that are known, in the order in which they were told. */
  get told(): readonly TaskEvent[] {
    return [...this.#memory.events, ...this.#told];
  }

  /** One that is told while the run goes on. False when it is known. */
  add(event: TaskEvent): boolean {
    const { values, orders } = this.#of(event.name);
    if (values[event.n] !== undefined) return false;
    values[event.n] = event.value;
    orders[event.n] = this.#memory.events.length + this.#told.length;
    this.#told.push(event);
    return true;
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
  release({ name, n }: EventRef): void {
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

  /** Nobody has taken it, or waits for it. */
  isFree({ name, n }: EventRef): boolean {
    const { taken, waits } = this.#of(name);
    return !taken.has(n) && !waits.some(({ event }) => event?.n === n);
  }

  /** It is taken, otherwise than by a wait. */
  take({ name, n }: EventRef): void {
    this.#of(name).taken.add(n);
  }

  isTaken({ name, n }: EventRef): boolean {
    return this.#of(name).taken.has(n);
  }

  valueOf({ name, n }: EventRef): string | undefined {
    return this.#of(name).values[n];
  }

  /** The how-manieth of all that are known it is; undefined: it is not. */
  orderOf({ name, n }: EventRef): number | undefined {
    return this.#of(name).orders[n];
  }

  /** A later one of its name is known, and it is not: what tells of events has passed the run by. */
  isMissing({ name, n }: EventRef): boolean {
    const { values } = this.#of(name);
    return n < values.length && values[n] === undefined;
  }

  /** The number of the first of that name that is not known. */
  nextOf(name: string): number {
    const named = this.#of(name);
    while (named.values[named.next] !== undefined) named.next += 1;
    return named.next;
  }

  /** How many of that name are known. */
  countOf(name: string): number {
    return this.#of(name).values.length;
  }

  #of(name: string): Named {
    let named = this.#names.get(name);
    if (named === undefined) {
      const values: string[] = [];
      const orders: number[] = [];
      for (const [at, event] of this.#memory.events.entries()) {
        if (event.name !== name) continue;
        values[event.n] = event.value;
        orders[event.n] = at;
      }
      named = { values, orders, next: 0, taken: this.#takenOf(name), waits: [] };
      this.#names.set(name, named);
    }
    return named;
  }

  #takenOf(name: string): Set<number> {
    const taken = new Set<number>();
    for (const after of ['#', '[', '~in:']) {
      for (const { place, value } of this.#memory.beginning(this.#memory.stored(`wait:${name}${after}`))) {
        if (failureIn(value) === undefined && !place.endsWith(OF_MACHINE)) taken.add((decode(value) as Taken).n);
      }
    }
    return taken;
  }
}
