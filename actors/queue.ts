/**
 * Queue: the mailboxes of all workers of one kind, on one node.
 *
 *     store ── claim ──▶ mailbox of a worker ── start ──▶ its run ── ended ──▶ next
 *                            │      ▲
 *                            └ steal ┘  an idle peer, past the threshold
 *
 * A mailbox holds tasks under lease and nothing else: no lock, no permit. Claims are asked for when
 * a worker could use them, one at a time, as many as fit; what does not fit stays in the store.
 *
 * Stealing: a worker without work takes from the deepest mailbox when that is deeper than
 * `stealAbove`, and only from behind the threshold: the older half of that excess, rounded up. The
 * lease, the fence and the id of a stolen task stay as they are.
 *
 * Invariant: a task is in one mailbox or one slot, never in two.
 */
import { fromDecider, NOTHING } from './kernel/decider.ts';
import type { Decision } from './kernel/decider.ts';
import { send } from './kernel/effects.ts';
import type { ActorId, Exited, ExitReason, HostEffect } from './kernel/effects.ts';
import type { Clock } from './kernel/clock.ts';
import type { ClaimedTask, Held } from './ports/store.ts';

// 1. Messages

export type QueueMessage =
  /** A worker's incarnation is ready for tasks. */
  | { readonly type: 'queue.joined'; readonly worker: ActorId; readonly incarnation: number }
  /** A worker takes nothing more; it is told `worker.drained` when its slot is empty. */
  | { readonly type: 'queue.leaving'; readonly worker: ActorId }
  /** The store may have something: a hint. */
  | { readonly type: 'queue.ready' }
  | { readonly type: 'queue.claimed'; readonly tasks: readonly ClaimedTask[]; readonly asked: number }
  /** Runs that are over, however they ended. */
  | { readonly type: 'queue.ended'; readonly runs: readonly Held[] }
  /** Leases that are gone: the tasks are somebody else's. */
  | { readonly type: 'queue.revoked'; readonly tasks: readonly Held[] }
  /** Claims nothing more and gives back what waits. What runs may end. */
  | { readonly type: 'queue.drain' }
  | Exited;

export type QueueEffect =
  | HostEffect
  | { readonly type: 'queue.claim'; readonly limit: number }
  | { readonly type: 'queue.start'; readonly starts: readonly Start[] }
  | { readonly type: 'queue.release'; readonly tasks: readonly ClaimedTask[] }
  /** The worker of these runs is gone; `reason` says whether the run counts as lost. */
  | { readonly type: 'queue.orphan'; readonly tasks: readonly ClaimedTask[]; readonly reason: ExitReason }
  | { readonly type: 'queue.stole'; readonly thief: ActorId; readonly victim: ActorId; readonly count: number };

export interface Start {
  readonly worker: ActorId;
  readonly incarnation: number;
  readonly task: ClaimedTask;
}

// 2. State

export interface QueueInput {
  readonly capacity: number;
  readonly stealAbove: number;
  /** Workers that may have joined a former incarnation, which this one knows nothing of. Default none. */
  readonly workers?: readonly ActorId[];
}

export interface Slot {
  readonly worker: ActorId;
  readonly incarnation: number;
  readonly leaving: boolean;
  readonly mailbox: readonly ClaimedTask[];
  readonly run: ClaimedTask | null;
  /** What the worker was told last: its machine moves when its condition changes, not for every task. */
  readonly busy: boolean;
}

export interface QueueState {
  readonly input: Omit<QueueInput, 'workers'>;
  readonly slots: readonly Slot[];
  /** One claim at a time; `hinted` remembers that more came while it was under way. */
  readonly claiming: boolean;
  readonly hinted: boolean;
  /** The last claim got all it asked for, so there may be more. */
  readonly more: boolean;
  readonly draining: boolean;
}

type Decided = Decision<QueueState, QueueEffect>;

// 3. Transitions

export function initial({ workers = [], ...input }: QueueInput): Decided {
  const opened = workers.map((worker) => send(worker, { type: 'queue.opened' }));
  return [{ input, slots: [], claiming: false, hinted: false, more: true, draining: false }, opened];
}

export function decide(state: QueueState, message: QueueMessage): Decided {
  switch (message.type) {
    case 'queue.joined':
      return joined(state, message.worker, message.incarnation);
    case 'queue.leaving':
      return leaving(state, message.worker);
    case 'queue.ready':
      return state.claiming ? [{ ...state, hinted: true }, NOTHING] : settle({ ...state, more: true }, []);
    case 'queue.claimed':
      return claimed(state, message.tasks, message.asked);
    case 'queue.ended':
      return ended(state, message.runs);
    case 'queue.revoked':
      return revoked(state, message.tasks);
    case 'queue.drain':
      return drain(state);
    case 'exited':
      return workerExited(state, message);
    default:
      return [state, NOTHING];
  }
}

function joined(state: QueueState, worker: ActorId, incarnation: number): Decided {
  const former = state.slots.find((slot) => slot.worker === worker);
  if (former !== undefined && former.incarnation >= incarnation) return [state, NOTHING];
  const slot: Slot = { worker, incarnation, leaving: false, mailbox: [], run: null, busy: false };
  const slots = [...state.slots.filter((other) => other !== former), slot];
  // The news of its former life's end is still on its way.
  const orphan: readonly QueueEffect[] =
    former === undefined || former.run === null ? [] : [{ type: 'queue.orphan', tasks: [former.run], reason: { at: 'killed' } }];
  return place({ ...state, slots }, former?.mailbox ?? [], orphan);
}

function leaving(state: QueueState, worker: ActorId): Decided {
  const slot = state.slots.find((candidate) => candidate.worker === worker);
  // It never joined, or has left already: nothing of it is here.
  if (slot === undefined) return [state, [send(worker, { type: 'worker.drained' })]];
  const slots = state.slots.map((other) => (other === slot ? { ...slot, leaving: true, mailbox: [] } : other));
  return place({ ...state, slots }, slot.mailbox, []);
}

function claimed(state: QueueState, tasks: readonly ClaimedTask[], asked: number): Decided {
  // Unasked: the answer to a claim of a former incarnation. It may be older than the last hint.
  const known = state.hinted || (!state.claiming && state.more);
  const next = { ...state, claiming: false, hinted: false, more: known || tasks.length >= asked };
  return place(next, tasks, []);
}

function ended(state: QueueState, runs: readonly Held[]): Decided {
  // A burst is as long as there are slots: comparing all costs less than an index of them.
  const slots = state.slots.map((slot) => (slot.run !== null && isAmong(runs, slot.run) ? { ...slot, run: null } : slot));
  return settle({ ...state, slots }, []);
}

function revoked(state: QueueState, tasks: readonly Held[]): Decided {
  const kept = (task: ClaimedTask): boolean => !isAmong(tasks, task);
  const slots = state.slots.map((slot) => (slot.mailbox.every(kept) ? slot : { ...slot, mailbox: slot.mailbox.filter(kept) }));
  return settle({ ...state, slots }, []);
}

function drain(state: QueueState): Decided {
  const waiting = state.slots.flatMap((slot) => slot.mailbox);
  const slots = state.slots.map((slot) => (slot.mailbox.length === 0 ? slot : { ...slot, mailbox: [] }));
  const release: readonly QueueEffect[] = waiting.length === 0 ? [] : [{ type: 'queue.release', tasks: waiting }];
  return settle({ ...state, slots, draining: true }, release);
}

function workerExited(state: QueueState, message: Exited): Decided {
  const slot = state.slots.find((candidate) => candidate.worker === message.id && candidate.incarnation === message.incarnation);
  if (slot === undefined) return [state, NOTHING];
  const orphan: readonly QueueEffect[] = slot.run === null ? [] : [{ type: 'queue.orphan', tasks: [slot.run], reason: message.reason }];
  return place({ ...state, slots: state.slots.filter((other) => other !== slot) }, slot.mailbox, orphan);
}

/** Puts tasks into the shallowest mailboxes; what finds no place, or comes while draining, goes back. */
function place(state: QueueState, tasks: readonly ClaimedTask[], effects: readonly QueueEffect[]): Decided {
  if (tasks.length === 0) return settle(state, effects);
  const open = state.slots.map((slot) => !slot.leaving && !state.draining);
  const depths = state.slots.map((slot) => slot.mailbox.length + (slot.run === null ? 0 : 1));
  const mailboxes: ClaimedTask[][] = [];
  const homeless: ClaimedTask[] = [];
  for (const task of tasks) {
    let shallowest = -1;
    for (let at = 0; at < depths.length; at += 1) {
      if (open[at]! && (shallowest < 0 || depths[at]! < depths[shallowest]!)) shallowest = at;
    }
    if (shallowest < 0 || depths[shallowest]! > state.input.capacity) {
      homeless.push(task);
      continue;
    }
    (mailboxes[shallowest] ??= [...state.slots[shallowest]!.mailbox]).push(task);
    depths[shallowest]! += 1;
  }
  const slots = state.slots.map((slot, at) => (mailboxes[at] === undefined ? slot : { ...slot, mailbox: mailboxes[at] }));
  const release: readonly QueueEffect[] = homeless.length === 0 ? [] : [{ type: 'queue.release', tasks: homeless }];
  return settle({ ...state, slots }, [...effects, ...release]);
}

/** After any change: fills idle slots, steals for those still idle, asks for more, and tells workers. */
function settle(before: QueueState, given: readonly QueueEffect[]): Decided {
  const slots = [...before.slots];
  const effects: QueueEffect[] = [...given];
  const starts: Start[] = [];
  let left = false;
  let idle = false;
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at]!;
    if (slot.run !== null) continue;
    if (slot.leaving) {
      effects.push(send(slot.worker, { type: 'worker.drained' }));
      left = true;
    } else if (!startNext(slots, at, starts)) idle = true;
  }
  // Only now, so that nobody is robbed of what it is about to start itself.
  if (idle && !before.draining) {
    for (let at = 0; at < slots.length; at += 1) {
      if (slots[at]!.run !== null || slots[at]!.leaving) continue;
      steal(slots, at, before.input.stealAbove, effects);
      startNext(slots, at, starts);
    }
  }
  if (starts.length > 0) effects.push({ type: 'queue.start', starts });
  const state = claimMore({ ...before, slots: left ? slots.filter((slot) => !slot.leaving || slot.run !== null) : slots }, effects);
  return [tell(state, effects), effects];
}

/** Starts the first task of a mailbox; false when there is none. */
function startNext(slots: Slot[], at: number, starts: Start[]): boolean {
  const slot = slots[at]!;
  const task = slot.mailbox[0];
  if (task === undefined) return false;
  slots[at] = { ...slot, mailbox: slot.mailbox.slice(1), run: task };
  starts.push({ worker: slot.worker, incarnation: slot.incarnation, task });
  return true;
}

/** Workers whose condition has changed. With a claim under way nobody is idle yet. */
function tell(state: QueueState, effects: QueueEffect[]): QueueState {
  let slots: Slot[] | undefined;
  for (let at = 0; at < state.slots.length; at += 1) {
    const slot = state.slots[at]!;
    const busy = slot.run !== null;
    if (busy === slot.busy || (!busy && state.claiming)) continue;
    slots ??= [...state.slots];
    slots[at] = { ...slot, busy };
    effects.push(send(slot.worker, { type: busy ? 'worker.busy' : 'worker.idle' }));
  }
  return slots === undefined ? state : { ...state, slots };
}

/** Takes the older half of what lies behind the threshold of the deepest mailbox. */
function steal(slots: Slot[], thief: number, stealAbove: number, effects: QueueEffect[]): void {
  let deepest = -1;
  for (let at = 0; at < slots.length; at += 1) {
    if (slots[at]!.mailbox.length > stealAbove && (deepest < 0 || slots[at]!.mailbox.length > slots[deepest]!.mailbox.length)) deepest = at;
  }
  if (deepest < 0) return;
  const victim = slots[deepest]!;
  const count = Math.ceil((victim.mailbox.length - stealAbove) / 2);
  const stolen = victim.mailbox.slice(stealAbove, stealAbove + count);
  slots[deepest] = { ...victim, mailbox: victim.mailbox.toSpliced(stealAbove, count) };
  slots[thief] = { ...slots[thief]!, mailbox: stolen };
  effects.push({ type: 'queue.stole', thief: slots[thief].worker, victim: victim.worker, count });
}

/** Asks for as many as fit once half of the room is free, so that claims come in batches. */
function claimMore(state: QueueState, effects: QueueEffect[]): QueueState {
  if (state.claiming || state.draining || !state.more) return state;
  let room = 0;
  let capacity = 0;
  let idle = false;
  for (const slot of state.slots) {
    if (slot.leaving) continue;
    capacity += state.input.capacity;
    room += state.input.capacity - slot.mailbox.length + (slot.run === null ? 1 : 0);
    if (slot.run === null) idle = true;
  }
  if (room <= 0 || (!idle && room * 2 < capacity)) return state;
  effects.push({ type: 'queue.claim', limit: room });
  return { ...state, claiming: true, hinted: false };
}

function isAmong(tasks: readonly Held[], { id, fence }: Held): boolean {
  for (const task of tasks) if (task.fence === fence && task.id === id) return true;
  return false;
}

// 4. Logic

export const queueLogic = (clock: Clock) => fromDecider<QueueState, QueueMessage, QueueInput, QueueEffect>({ initial, decide }, clock);
