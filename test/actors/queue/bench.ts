/** A queue that tests tell one message after another. */
import type { ActorId, Exited, ExitReason } from '../../../actors/kernel/effects.ts';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { decide, initial } from '../../../actors/queue.ts';
import type { QueueEffect, QueueInput, QueueMessage, QueueState, Slot } from '../../../actors/queue.ts';
import { waitingIn } from '../../../actors/queue/line.ts';
import { hashOf, rendezvous } from '../../../actors/queue/rendezvous.ts';

export const task = (name: string | number, fence = 1, affinity: string | null = null): ClaimedTask => ({
  id: `t${name}`,
  kind: 'k',
  version: '1',
  input: '{}',
  priority: 0,
  rank: 0,
  fence,
  depth: 0,
  parentId: null,
  leaseUntilMs: 60_000,
  rootId: null,
  tenant: null,
  affinity,
  deadlineMs: null,
});

export const tasks = (count: number, from = 0): ClaimedTask[] => Array.from({ length: count }, (_, at) => task(from + at));

/** Tasks that all want the same worker. */
export const sticky = (affinity: string, count: number, from = 0): ClaimedTask[] =>
  Array.from({ length: count }, (_, at) => task(from + at, 1, affinity));

/** An affinity for which this worker is the one, among these. */
export function keyOf(worker: ActorId, ...others: readonly ActorId[]): string {
  const all = [worker, ...others];
  const hashes = Int32Array.from(all, hashOf);
  for (let at = 0; ; at += 1) {
    const heaviest = rendezvous(
      hashOf(`key ${at}`),
      hashes,
      all.map(() => true),
    );
    if (heaviest === 0) return `key ${at}`;
  }
}

/** So many tasks for each of those workers, which are all there are. */
export const forEach = (workers: readonly ActorId[], count: number): ClaimedTask[] =>
  workers.flatMap((worker, at) => sticky(keyOf(worker, ...workers.filter((other) => other !== worker)), count, at * count));

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const one of Object.values(value)) deepFreeze(one);
  return Object.freeze(value);
}

/** A queue that is told one message after another, its states and messages frozen. */
export class Bench {
  state: QueueState;
  effects: readonly QueueEffect[];
  nowMs = 0;
  /** So much time lies between two messages. */
  stepMs = 100;

  constructor(input: QueueInput) {
    [this.state, this.effects] = deepFreeze(initial(input));
  }

  tell(message: QueueMessage): readonly QueueEffect[] {
    this.nowMs += this.stepMs;
    [this.state, this.effects] = deepFreeze(decide(this.state, deepFreeze(message), this.nowMs));
    return this.effects;
  }

  join(worker: ActorId, incarnation = 1): readonly QueueEffect[] {
    return this.tell({ type: 'queue.joined', worker, incarnation });
  }

  leave(worker: ActorId): readonly QueueEffect[] {
    return this.tell({ type: 'queue.leaving', worker });
  }

  give(given: readonly ClaimedTask[], asked = given.length + 1): readonly QueueEffect[] {
    return this.tell({ type: 'queue.claimed', tasks: given, asked });
  }

  end(...runs: readonly ClaimedTask[]): readonly QueueEffect[] {
    return this.tell({ type: 'queue.ended', runs });
  }

  exit(worker: ActorId, incarnation = 1, reason: ExitReason = { at: 'killed' }): readonly QueueEffect[] {
    return this.tell(exited(worker, incarnation, reason));
  }

  slot(worker: ActorId): Slot {
    return this.state.slots.find((slot) => slot.worker === worker)!;
  }

  mailbox(worker: ActorId): string[] {
    return this.slot(worker).mailbox.map(({ id }) => id);
  }

  get line(): string[] {
    return waitingIn(this.state.line).map(({ id }) => id);
  }

  run(worker: ActorId): string | undefined {
    return this.slot(worker).run?.id;
  }
}

export function exited(worker: ActorId, incarnation: number, reason: ExitReason): Exited {
  return { type: 'exited', id: worker, incarnation, started: true, reason };
}

export const of = <T extends QueueEffect['type']>(effects: readonly QueueEffect[], type: T): Extract<QueueEffect, { type: T }>[] =>
  effects.filter((effect): effect is Extract<QueueEffect, { type: T }> => effect.type === type);

export const toldTo = (effects: readonly QueueEffect[], worker: ActorId): string[] =>
  of(effects, 'send').flatMap(({ to, message }) => (to === worker ? [message.type] : []));
