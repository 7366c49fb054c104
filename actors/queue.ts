/**
 * Queue: the mailboxes of all workers of one kind, on one node.
 *
 *     store ── claim ──▶ line of all ───────────▶ start ──▶ a run ── ended ──▶ next
 *       │                                           ▲
 *       └─── claim ──▶ mailbox of a worker ─────────┘
 *       ▲ │                  │ │      ▲
 *       │ └─── its box ◀─────┘ └ steal ┘  an idle peer, past the threshold
 *       └───── release           a full mailbox spills, and claims again when there is room
 *
 * A mailbox holds tasks under lease and nothing else: no lock, no permit. Claims are asked for when
 * a worker could use them, as many as fit; what does not fit stays in the store. Three modes: a
 * mailbox for each worker (`dedicated`), one line for all (`shared`), or both (`steal`): mailboxes for what
 * has an affinity, with stealing, and the line for what any worker will do for. Who is free takes the more
 * urgent, or older, of the head of its mailbox and that of the line, or where tasks have tenants that of whose turn it is (`turns`); who has no mailbox to look into comes
 * first to the line; who finds nothing steals. What waits moves when the mode changes; what runs stays where
 * it is.
 *
 * The rooms of one turn, in this order: something happens (here), tasks are placed (`placing`), idle
 * workers start what they have and steal (`stealing`), what is too much is spilled, more is asked for
 * (`claiming`), and workers are told how they stand.
 *
 * Invariant: a task is in one mailbox, the line, or one slot, never in two.
 */
import { fromDecider, NOTHING } from './kernel/decider.ts';
import type { Decision } from './kernel/decider.ts';
import { send } from './kernel/effects.ts';
import type { ActorId, Exited } from './kernel/effects.ts';
import type { Clock } from './kernel/clock.ts';
import { AGING_MS } from './ports/store.ts';
import type { ClaimedTask, Held } from './ports/store.ts';
import { claimMore, fetched, learn, RARELY_MS } from './queue/claiming.ts';
import { EMPTY, waitingIn, without } from './queue/line.ts';
import type { Mailboxes, QueueEffect, QueueInput, QueueMessage } from './queue/messages.ts';
import { isUnbound, place, spillOver } from './queue/placing.ts';
import { withRaised } from './queue/rank.ts';
import { hashOf } from './queue/rendezvous.ts';
import { startIdle, startNext } from './queue/starting.ts';
import { among, begin, isAmong, unbox } from './queue/state.ts';
import type { QueueState, Slot, Turn } from './queue/state.ts';
import { stealForIdle } from './queue/stealing.ts';
import { newTurns } from './queue/turns.ts';

export type { Mailboxes, QueueEffect, QueueInput, QueueMessage, QueueMode, Start } from './queue/messages.ts';
export type { QueueState, Slot } from './queue/state.ts';

type Decided = Decision<QueueState, QueueEffect>;
type Claimed = Extract<QueueMessage, { readonly type: 'queue.claimed' }>;

// 1. Transitions

export function initial(given: QueueInput): Decided {
  const { workers = [], mode = 'steal', capacity, stealAbove, agingMs = AGING_MS, tenantWeights, seed = 0 } = given;
  const state: QueueState = {
    input: { mode, capacity, stealAbove },
    agingMs,
    slots: [],
    line: EMPTY,
    ahead: 1,
    answeredMs: -Infinity,
    everyMs: RARELY_MS,
    early: false,
    sticky: false,
    claiming: false,
    hinted: false,
    more: true,
    sparse: false,
    fetches: [],
    draining: false,
    turns: tenantWeights === undefined ? undefined : newTurns(tenantWeights),
    chance: seed | 0,
  };
  // What a former incarnation spilled nobody knows of any more.
  const opened = workers.flatMap((worker): QueueEffect[] => [{ type: 'queue.unbox', worker }, send(worker, { type: 'queue.opened' })]);
  return [state, opened];
}

export function decide(state: QueueState, message: QueueMessage, nowMs: number): Decided {
  switch (message.type) {
    case 'queue.joined':
      return joined(state, message.worker, message.incarnation);
    case 'queue.leaving':
      return leaving(state, message.worker);
    case 'queue.ready':
      return state.claiming ? [{ ...state, hinted: true }, NOTHING] : lookedAgain(state);
    case 'queue.probe':
      return probed(state);
    case 'queue.claimed':
      return claimed(state, message, nowMs);
    case 'queue.ended':
      return ended(state, message.runs);
    case 'queue.revoked':
      return revoked(state, message.tasks);
    case 'queue.raised':
      return raised(state, message.tasks);
    case 'queue.configure':
      return configured(state, message);
    case 'queue.drain':
      return drain(state);
    case 'queue.reopen':
      return reopened(state);
    case 'exited':
      return workerExited(state, message);
    default:
      return [state, NOTHING];
  }
}

function joined(before: QueueState, worker: ActorId, incarnation: number): Decided {
  const former = before.slots.find((slot) => slot.worker === worker);
  if (former !== undefined && former.incarnation >= incarnation) return [before, NOTHING];
  const turn = begin({ ...before, slots: before.slots.filter((other) => other !== former) });
  const { mailbox = [], spilled = 0 } = former ?? {};
  turn.state.slots.push({ worker, incarnation, leaving: false, mailbox, run: null, busy: false, spilled, hash: hashOf(worker) });
  // The news of its former life's end is still on its way.
  const run = former?.run ?? null;
  if (run !== null) turn.effects.push({ type: 'queue.orphan', tasks: [run], reason: { at: 'killed' } });
  return settle(turn);
}

function leaving(before: QueueState, worker: ActorId): Decided {
  const at = before.slots.findIndex((candidate) => candidate.worker === worker);
  // It never joined, or has left already: nothing of it is here.
  if (at < 0) return [before, [send(worker, { type: 'worker.drained' })]];
  const turn = begin(before);
  const slot = before.slots[at]!;
  unbox(turn, slot);
  turn.state.slots[at] = { ...slot, leaving: true, mailbox: [], spilled: 0 };
  place(turn, slot.mailbox);
  // The line may be too long for those who are left.
  turn.overfull = true;
  return settle(turn);
}

function lookedAgain(before: QueueState): Decided {
  const turn = begin(before);
  turn.state.more = true;
  return settle(turn);
}

function probed(before: QueueState): Decided {
  if (before.input.mode === 'shared' || before.draining) return [before, NOTHING];
  const turn = begin(before);
  const { slots } = turn.state;
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at]!;
    if (slot.run === null && slot.mailbox.length === 0 && !slot.leaving && slot.spilled === 0) slots[at] = { ...slot, spilled: 1 };
  }
  return settle(turn);
}

function claimed(before: QueueState, { tasks, asked, box, late = false }: Claimed, nowMs: number): Decided {
  const turn = begin(before);
  const { state } = turn;
  if (box === undefined) {
    // Unasked: the answer to a claim of a former incarnation. It may be older than the last hint.
    const known = before.hinted || (!before.claiming && before.more);
    learn(turn, tasks, asked, nowMs);
    state.claiming = false;
    state.hinted = false;
    state.more = known || late || tasks.length >= asked;
    turn.arrived = tasks.length;
    place(turn, tasks);
  } else fetched(turn, box, tasks, late || tasks.length >= asked);
  return settle(turn);
}

function ended(before: QueueState, runs: readonly Held[]): Decided {
  const turn = begin(before);
  const { slots } = turn.state;
  const isEnded = among(runs);
  for (let at = 0, left = runs.length; left > 0 && at < slots.length; at += 1) {
    const slot = slots[at]!;
    if (slot.run === null || !isEnded(slot.run)) continue;
    slots[at] = { ...slot, run: null };
    left -= 1;
  }
  return settle(turn);
}

function revoked(before: QueueState, tasks: readonly Held[]): Decided {
  const turn = begin(before);
  const { slots } = turn.state;
  const kept = (task: ClaimedTask): boolean => !isAmong(tasks, task);
  for (const [at, slot] of slots.entries()) {
    if (!slot.mailbox.every(kept)) slots[at] = { ...slot, mailbox: slot.mailbox.filter(kept) };
  }
  const waiting = waitingIn(before.line);
  if (!waiting.every(kept)) turn.state.line = { tasks: waiting.filter(kept), taken: 0 };
  return settle(turn);
}

function raised(before: QueueState, tasks: readonly (Held & { readonly priority: number })[]): Decided {
  const { line, agingMs } = before;
  const slots = before.slots.map((slot) => {
    const mailbox = withRaised(slot.mailbox, tasks, agingMs);
    return mailbox === slot.mailbox ? slot : { ...slot, mailbox };
  });
  return [{ ...before, slots, line: { tasks: withRaised(waitingIn(line), tasks, agingMs), taken: 0 } }, NOTHING];
}

/** Within a mode nothing moves but what no longer fits. Another one places anew what it cannot leave where it is. */
function configured(before: QueueState, change: Partial<Mailboxes>): Decided {
  const { mode = before.input.mode, capacity = before.input.capacity, stealAbove = before.input.stealAbove } = change;
  const turn = begin(before);
  const { state } = turn;
  state.input = { mode, capacity, stealAbove };
  // There may be more room.
  state.more = true;
  turn.overfull = true;
  if (mode === before.input.mode) return settle(turn);
  const moving = mode === 'shared' ? emptied(turn) : mode === 'steal' ? unbound(turn) : [];
  state.line = EMPTY;
  place(turn, [...waitingIn(before.line), ...moving]);
  return settle(turn);
}

function drain(before: QueueState): Decided {
  const turn = begin(before);
  const waiting = [...emptied(turn), ...waitingIn(before.line)];
  turn.state.line = EMPTY;
  turn.state.draining = true;
  if (waiting.length > 0) turn.effects.push({ type: 'queue.release', tasks: waiting });
  return settle(turn);
}

function reopened(before: QueueState): Decided {
  const turn = begin(before);
  turn.state.draining = false;
  turn.state.more = true;
  // The answer to a claim that is under way may be from before.
  turn.state.hinted = turn.state.claiming;
  return settle(turn);
}

function workerExited(before: QueueState, message: Exited): Decided {
  const slot = before.slots.find((candidate) => candidate.worker === message.id && candidate.incarnation === message.incarnation);
  if (slot === undefined) return [before, NOTHING];
  const turn = begin({ ...before, slots: before.slots.filter((other) => other !== slot) });
  if (slot.run !== null) turn.effects.push({ type: 'queue.orphan', tasks: [slot.run], reason: message.reason });
  unbox(turn, slot);
  place(turn, slot.mailbox);
  turn.overfull = true;
  return settle(turn);
}

/** Takes out of mailboxes what any worker will do for. */
function unbound({ state: { slots } }: Turn): ClaimedTask[] {
  const tasks = slots.flatMap(({ mailbox }) => mailbox.filter(isUnbound));
  if (tasks.length === 0) return tasks;
  for (const [at, slot] of slots.entries()) slots[at] = { ...slot, mailbox: slot.mailbox.filter((task) => !isUnbound(task)) };
  return tasks;
}

/** Takes everything out of mailboxes and boxes: the heads of all first, then what is second, and so on. */
function emptied(turn: Turn): ClaimedTask[] {
  const { slots } = turn.state;
  const waiting: ClaimedTask[] = [];
  const deepest = Math.max(0, ...slots.map(({ mailbox }) => mailbox.length));
  for (let nth = 0; nth < deepest; nth += 1) {
    for (const { mailbox } of slots) if (nth < mailbox.length) waiting.push(mailbox[nth]!);
  }
  for (const [at, slot] of slots.entries()) {
    unbox(turn, slot);
    if (slot.mailbox.length > 0 || slot.spilled > 0) slots[at] = { ...slot, mailbox: [], spilled: 0 };
  }
  return waiting;
}

/** After any change: fills idle slots, steals for those still idle, spills, asks for more, and tells workers. */
function settle(turn: Turn): Decided {
  const { state, effects, starts } = turn;
  const { slots } = state;
  const { left, idle } = startIdle(turn);
  // Only now, so that nobody is robbed of what it is about to start itself.
  if (idle && !state.draining && state.input.mode === 'steal') stealForIdle(turn, startNext);
  const spilled = turn.overfull || turn.spills !== undefined ? spillOver(turn) : 0;
  if (turn.arrived > 0) state.sparse = spilled * 2 > turn.arrived;
  if (starts.length > 0) effects.push({ type: 'queue.start', starts });
  if (left) slots.splice(0, slots.length, ...slots.filter((slot) => !slot.leaving || slot.run !== null));
  state.line = without(state.line, turn.taken);
  turn.taken = 0;
  claimMore(turn);
  tell(turn);
  return [state, effects];
}

/** Workers whose condition has changed. Who has asked for something is not idle yet. */
function tell({ state, effects }: Turn): void {
  const { slots, claiming, fetches } = state;
  for (let at = 0; at < slots.length; at += 1) {
    const slot: Slot = slots[at]!;
    const busy = slot.run !== null;
    if (busy === slot.busy || (!busy && (claiming || fetches.some(({ taker }) => taker === slot.worker)))) continue;
    slots[at] = { ...slot, busy };
    effects.push(send(slot.worker, { type: busy ? 'worker.busy' : 'worker.idle' }));
  }
}

// 2. Logic

export const queueLogic = (clock: Clock) => fromDecider<QueueState, QueueMessage, QueueInput, QueueEffect>({ initial, decide }, clock);
