/**
 * Worker: one replica of a kind of agent, as a person wants to see it.
 *
 *     starting ── stagger over ──▶ idle ◀── queue: nothing left ──┐
 *        │                          │                             │
 *        │                          └── queue: has work ──▶ working
 *        │                          │                             │
 *        │                          └──── stop.requested ─────────┘
 *        │                                      │
 *        │                                  draining
 *        │                                      │
 *        └──── stop.requested ─────▶ stopped ◀──┴── queue: drained
 *
 * The machine moves when the worker's condition changes, not for every task: tasks flow through the
 * queue, in batches. A queue that has crashed and come back is joined, or left, once more.
 * `worker.fail` ends the incarnation with its error, which is the supervisor's business.
 * (Suspended joins these states with its own issue.)
 */
import { setup } from 'xstate';
import type { ActorId, Message, StopRequested } from './kernel/effects.ts';
import { emit, send } from './kernel/effects.ts';

export type WorkerMessage =
  | StopRequested
  /** From the queue: it has been started again and knows nobody. */
  | { readonly type: 'queue.opened' }
  /** From the queue: the mailbox, or the slot, holds something. */
  | { readonly type: 'worker.busy' }
  /** From the queue: nothing left. */
  | { readonly type: 'worker.idle' }
  /** From the queue: nothing left, and nothing more will come. */
  | { readonly type: 'worker.drained' }
  /** Ends this incarnation. */
  | { readonly type: 'worker.fail'; readonly error: unknown }
  | { readonly type: 'effect.failed'; readonly error: unknown };

export interface WorkerInput {
  readonly self: ActorId;
  readonly queue: ActorId;
  readonly incarnation: number;
  /** Time before it takes its first task, so that a fleet does not wake as a herd. */
  readonly staggerMs: number;
}

export const workerMachine = setup({
  types: { context: {} as WorkerInput, events: {} as WorkerMessage, input: {} as WorkerInput },
  // XState takes an event without a delay at once, and sets no timer: what it keeps of one would be a tenth of an idle worker.
  delays: { stagger: ({ context }) => (context.staggerMs > 0 ? context.staggerMs : (undefined as never)) },
  actions: {
    // Beside `leave`, and beside the news of its end: none of the three may overtake another.
    join: ({ context }) => emit(send(context.queue, joined(context), 'control')),
    leave: ({ context }) => emit(send(context.queue, { type: 'queue.leaving', worker: context.self } as Message, 'control')),
    fail: ({ event }) => {
      throw (event as { readonly error: unknown }).error;
    },
  },
}).createMachine({
  id: 'worker',
  context: ({ input }) => input,
  initial: 'starting',
  on: {
    'worker.fail': { actions: 'fail' },
    'effect.failed': { actions: 'fail' },
    'stop.requested': { target: '.draining' },
  },
  states: {
    starting: { after: { stagger: { target: 'idle', actions: 'join' } }, on: { 'stop.requested': 'stopped' } },
    idle: { on: { 'worker.busy': 'working', 'queue.opened': { actions: 'join' } } },
    working: { on: { 'worker.idle': 'idle', 'queue.opened': { target: 'idle', actions: 'join' } } },
    draining: { entry: 'leave', on: { 'worker.drained': 'stopped', 'queue.opened': { actions: 'leave' }, 'stop.requested': {} } },
    stopped: { type: 'final' },
  },
});

function joined(context: WorkerInput): Message {
  return { type: 'queue.joined', worker: context.self, incarnation: context.incarnation } as Message;
}
