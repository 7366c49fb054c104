/** What a queue is told, and what it wants done. */
import type { ActorId, Exited, ExitReason, HostEffect } from '../kernel/effects.ts';
import type { ClaimedTask, Held } from '../ports/store.ts';

/**
 * `dedicated`: a mailbox for each worker, and nobody else touches it. `shared`: one line for all, whose
 * head goes to whoever is free. `steal`: what has an affinity is in the mailbox of its worker, where an idle
 * one takes from behind the threshold; all else is in the line.
 */
export type QueueMode = 'shared' | 'dedicated' | 'steal';

/** How tasks wait for their workers. */
export interface Mailboxes {
  readonly mode: QueueMode;
  /** How many tasks one mailbox holds, at least 1; of a line, how many there are at most for each worker: it is as long as hides the time of a claim. */
  readonly capacity: number;
  /** A mailbox is robbed of nothing that stands before this place, counted from 0. */
  readonly stealAbove: number;
}

export interface QueueInput {
  /** Default `steal`. */
  readonly mode?: QueueMode;
  readonly capacity: number;
  readonly stealAbove: number;
  /** How long waiting makes up for one level of priority. Default: that of a store. */
  readonly agingMs?: number;
  /** Tasks have tenants, which take turns by these weights. Default: tasks have none. */
  readonly tenantWeights?: Readonly<Record<string, number>>;
  /** Of the choice of victims. Default 0. */
  readonly seed?: number;
  /** Workers that may have joined a former incarnation, which this one knows nothing of. Default none. */
  readonly workers?: readonly ActorId[];
}

export type QueueMessage =
  /** A worker's incarnation is ready for tasks. */
  | { readonly type: 'queue.joined'; readonly worker: ActorId; readonly incarnation: number }
  /** A worker takes nothing more; it is told `worker.drained` when its slot is empty. */
  | { readonly type: 'queue.leaving'; readonly worker: ActorId }
  /** The store may have something: a hint. */
  | { readonly type: 'queue.ready' }
  /** Every box may hold something of which nobody knows: the answer to a spill was lost. Who has nothing else to do looks. */
  | { readonly type: 'queue.probe' }
  /** The answer to one `queue.claim`, of the same box. `late`: some leases that it brought were over by then, so those tasks are not here. */
  | {
      readonly type: 'queue.claimed';
      readonly tasks: readonly ClaimedTask[];
      readonly asked: number;
      readonly box?: ActorId;
      readonly late?: boolean;
    }
  /** Runs that are over, however they ended. */
  | { readonly type: 'queue.ended'; readonly runs: readonly Held[] }
  /** Leases that are gone: the tasks are somebody else's, or have been cancelled. */
  | { readonly type: 'queue.revoked'; readonly tasks: readonly Held[] }
  /** Those tasks have inherited a priority: somebody more urgent waits for them. */
  | { readonly type: 'queue.raised'; readonly tasks: readonly (Held & { readonly priority: number })[] }
  /** Changes what is given, from now on. Nothing is lost: what no longer fits goes back to the store. */
  | ({ readonly type: 'queue.configure' } & Partial<Mailboxes>)
  /** Claims nothing more and gives back what waits. What runs may end. */
  | { readonly type: 'queue.drain' }
  /** Claims again, after a drain. */
  | { readonly type: 'queue.reopen' }
  | Exited;

/**
 * Commands about one box must reach the store in the order of their effects: a claim, or `unbox`, that
 * overtakes a spill would leave tasks behind that nobody asks for any more.
 */
export type QueueEffect =
  | HostEffect
  /** `box`: of what was spilled into the box of this worker; absent: of what is in none. */
  | { readonly type: 'queue.claim'; readonly limit: number; readonly box?: ActorId }
  | { readonly type: 'queue.start'; readonly starts: readonly Start[] }
  | { readonly type: 'queue.release'; readonly tasks: readonly ClaimedTask[] }
  /** Goes back to the store, into the box of this worker, whose mailbox is full. */
  | { readonly type: 'queue.spill'; readonly worker: ActorId; readonly tasks: readonly ClaimedTask[] }
  /** What is in the box of this worker is for everybody again. The queue is to be told `queue.ready` then. */
  | { readonly type: 'queue.unbox'; readonly worker: ActorId }
  /** The worker of these runs is gone; `reason` says whether the run counts as lost. */
  | { readonly type: 'queue.orphan'; readonly tasks: readonly ClaimedTask[]; readonly reason: ExitReason }
  /** Also of what the thief has claimed out of the victim's box. */
  | { readonly type: 'queue.stole'; readonly thief: ActorId; readonly victim: ActorId; readonly count: number };

export interface Start {
  readonly worker: ActorId;
  readonly incarnation: number;
  readonly task: ClaimedTask;
}
