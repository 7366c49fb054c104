/** D4: bounded mailboxes in a ring. Here a run waits, before it asks, for room in the mailbox of whom it asks. */
import { agent, contract, defineFleet } from 'drover';
import type { Store } from '../../../actors/ports/store.ts';
import { performed } from '../../../src/testing/deadlock/subject.ts';
import type { DrawnTask, Subject } from '../../../src/testing/deadlock/subject.ts';
import { HEAL_MS } from './plant.ts';
import type { Plant } from './plant.ts';

const RING = ['triage', 'research', 'writing'] as const;
const CAPACITY = 1;

/** What lies in the mailboxes of each kind, and who waits for room. */
class Room {
  readonly #capacity: number;
  #store: Store | undefined;
  #waiting: (() => void)[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  async in(kind: string): Promise<null> {
    for (;;) {
      const { queued = 0, leased = 0 } = (await this.#store!.counts())[kind] ?? {};
      if (queued + leased < this.#capacity) return null;
      await new Promise<void>((look) => this.#waiting.push(look));
    }
  }

  /** Looks again whenever a task has left a mailbox. */
  watch(store: Store): Store {
    this.#store = store;
    const changed = <T>(reply: T): T => {
      for (const look of this.#waiting.splice(0)) look();
      return reply;
    };
    return { ...store, start: async (items, nowMs) => changed(await store.start(items, nowMs)) };
  }
}

function subject(capacity: number): Subject {
  let room = new Room(capacity);
  /** Passes a request on to the next of the ring, so many times. */
  const member = (next: string) =>
    agent({
      asks: { [next]: contract<number, number, number, number>() },
      mailbox: { capacity: CAPACITY },
      run: async (hops: number, ctx): Promise<number> => {
        if (hops === 0) return 0;
        await ctx.step('room', () => room.in(next));
        return 1 + (await ctx.ask(next, hops - 1));
      },
    });
  const [triage, research, writing] = RING;
  const agents = { triage: member(research), research: member(writing), writing: member(triage) };
  return performed(defineFleet({ name: 'ring', staggerMs: 0, agents }), {
    durationMs: 2_000,
    healMs: HEAL_MS,
    internals: () => {
      room = new Room(capacity);
      return { store: (store) => room.watch(store) };
    },
    work: (random) =>
      Array.from({ length: 6 + random.int(7) }, (_, at) => ({
        kind: RING[random.int(RING.length)]!,
        id: `t${at + 1}`,
        input: random.int(3),
        atMs: 0,
      })),
    smaller: fewerHops,
  });
}

function* fewerHops(task: DrawnTask): Generator<DrawnTask> {
  for (let hops = 0; hops < (task.input as number); hops += 1) yield { ...task, input: hops };
}

export const ringOfMailboxes: Plant = {
  code: 'D4',
  what: 'a run that asks waits for room in a mailbox, and so round a ring',
  instead: 'what finds no room stays in the store',
  faulty: subject(CAPACITY),
  correct: subject(Infinity),
  kind: 'deadlock',
  invariant: 'L1',
  says: /(?:holds worker \S+ and is at ctx\.step\(room\).*){3}/s,
  // Of each kind one that was accepted, claimed and started and is in its step, and one that was accepted and claimed and fills
  // the mailbox: 18 steps. With two more of one kind than of another, one of them passes its request on before: 24.
  smallest: { tasks: 2 * RING.length, steps: 24 },
};
