/**
 * Claiming: what is asked of the store, and when. One claim at a time of what is in no box, as many as
 * fit; and one of each box that holds something, for its worker, or for a thief.
 *
 * What has been claimed is behind the reach of whoever is more urgent and still in the store. So a line holds
 * one task for each worker, and more only when it has run dry before a claim was answered, or when claims
 * follow each other so fast that they cost more than the work: as many as hide that time. Where tasks have affinities the mailboxes are filled, for a worker's next one may be far back.
 *
 * A claim waits until half of the room is free, or somebody is idle, so that claims come in batches.
 * What is in no box may be more urgent than what is, or have begun, or be of a tenant whose turn it is. So where boxes
 * take every place that comes free, half as much is asked for beside them: it goes by its rank, into mailboxes or behind
 * boxes.
 *
 * Where the store had little for those with room, and much that had to be spilled, only who is idle
 * makes it look further: otherwise the whole backlog of one worker would be carried into its box to
 * fill the mailboxes of the others.
 */
import type { ActorId } from '../kernel/effects.ts';
import type { ClaimedTask } from '../ports/store.ts';
import { lengthOf } from './line.ts';
import { isUnbound, place } from './placing.ts';
import { joinedBy } from './rank.ts';
import { expectedBy, hasBox } from './state.ts';
import type { Slot, Turn } from './state.ts';

/** Asks for more where there is room. */
export function claimMore(turn: Turn): void {
  const { state, effects } = turn;
  if (state.draining) return;
  const ofBoxes = turn.boxed ? fetchOwn(turn) : 0;
  if (state.claiming || !state.more) return;
  const { capacity } = state.input;
  const boxes = turn.boxed || state.fetches.length > 0;
  let room = 0;
  let most = 0;
  let idle = 0;
  let open = 0;
  for (const slot of state.slots) {
    if (slot.leaving) continue;
    open += 1;
    // Where a box waits, its tasks have every place that comes free.
    if (boxes && hasBox(state, slot)) continue;
    most += capacity;
    room += capacity - slot.mailbox.length - (boxes ? expectedBy(state, slot.worker) : 0);
    if (slot.run === null) idle += 1;
  }
  if (isOfLine(turn)) room = most = lengthWanted(turn, open);
  room += idle - lengthOf(state.line);
  const isWorth = room > 0 && (idle > 0 || (!state.sparse && room * 2 >= most));
  const limit = isWorth ? room : Math.min(Math.ceil(ofBoxes / 2), open * capacity - lengthOf(state.line));
  if (limit <= 0) return;
  effects.push({ type: 'queue.claim', limit });
  state.claiming = true;
  state.hinted = false;
  state.early = isWorth && idle === 0;
}

/** Whether what comes will stand in the line, as far as one knows. */
const isOfLine = ({ state: { input, sticky } }: Turn): boolean => input.mode === 'shared' || (input.mode === 'steal' && !sticky);

const lengthWanted = ({ state: { input, ahead } }: Turn, open: number): number => Math.ceil(open * Math.min(ahead, input.capacity));

/** One in so many of what the line holds too much is given up with each claim: being too short costs more than being too long. */
const SLOWLY = 32;

/** Claims that follow each other faster are too many. What then waits in the line is soon over. */
const OFTEN_MS = 20;
/** What is rarer than that is as rare as that. */
export const RARELY_MS = 1_000;

/** Learns from the answer to a claim, before it is placed: whether the line was long enough, and what comes. */
export function learn(turn: Turn, tasks: readonly ClaimedTask[], asked: number, nowMs: number): void {
  const { state } = turn;
  if (state.claiming) {
    const sinceMs = Math.min(nowMs - state.answeredMs, RARELY_MS);
    // Some claims in one burst are not often.
    state.everyMs += (sinceMs - state.everyMs) / 4;
    state.answeredMs = nowMs;
    // Otherwise nothing was to be had earlier.
    if (state.early && tasks.length >= asked && isOfLine(turn)) fit(turn);
  }
  if (tasks.length > 0) state.sticky = tasks.some(({ affinity }) => affinity !== null);
}

/** Makes the line longer when it was too short, and shorter when half of what was there at the claim is there still. */
function fit(turn: Turn): void {
  const { state } = turn;
  const left = lengthOf(state.line);
  const open = state.slots.filter(({ leaving }) => !leaving);
  const isDry = left === 0 && open.some(({ run }) => run === null);
  if (isDry || state.everyMs < OFTEN_MS) {
    state.ahead = Math.min(2 * state.ahead, state.input.capacity);
    state.everyMs *= 2;
  } else if (left * 4 >= lengthWanted(turn, open.length) && state.everyMs >= 4 * OFTEN_MS)
    state.ahead = Math.max(1, state.ahead - state.ahead / SLOWLY);
}

/** Every worker with room whose box holds something asks for it. For how many. */
function fetchOwn(turn: Turn): number {
  const { state } = turn;
  const { capacity } = state.input;
  let asked = 0;
  for (const slot of state.slots) {
    if (slot.spilled === 0 || slot.leaving || isFetched(turn, slot) || expectedBy(state, slot.worker) > 0) continue;
    // No more than its mailbox holds: who is free may have got something else by then.
    const room = capacity - slot.mailbox.length;
    if (room <= 0 || (slot.run !== null && room * 2 < capacity)) continue;
    claimBox(turn, slot, slot.worker, room);
    asked += room;
  }
  return asked;
}

export const isFetched = ({ state }: Turn, { worker }: Slot): boolean => state.fetches.some(({ box }) => box === worker);

/** Claims from the box of `owner`, for `taker`. */
export function claimBox({ state, effects }: Turn, owner: Slot, taker: ActorId, limit: number): void {
  const { worker: box, spilled } = owner;
  effects.push({ type: 'queue.claim', limit, box });
  state.fetches = [...state.fetches, { box, taker, limit, spilled }];
  state.slots[state.slots.indexOf(owner)] = { ...owner, spilled: 0 };
}

/**
 * The answer to a claim of a box. A thief gets only what lies behind the threshold of the owner by now.
 *
 * @param more the box may hold more, for all that the answer says
 */
export function fetched(turn: Turn, box: ActorId, tasks: readonly ClaimedTask[], more: boolean): void {
  const { state, effects } = turn;
  const { slots } = state;
  const fetch = state.fetches.find((other) => other.box === box);
  const owner = slots.findIndex(({ worker, leaving }) => worker === box && !leaving);
  // Unasked: the answer to a former incarnation, or what has been taken for one. Neither proves the box empty.
  // Nor does a full answer, whatever was counted, or one that came too late.
  if (owner >= 0 && (fetch === undefined || more)) {
    const { spilled } = slots[owner]!;
    slots[owner] = { ...slots[owner]!, spilled: spilled + Math.max(1, (fetch?.spilled ?? 0) - tasks.length) };
  }
  if (fetch === undefined) return place(turn, tasks);
  state.fetches = state.fetches.filter((other) => other !== fetch);
  const taker = fetch.taker === box ? owner : slots.findIndex(({ worker, leaving }) => worker === fetch.taker && !leaving);
  const { mode, stealAbove, capacity } = state.input;
  const allowed = mode === 'steal' || (mode === 'dedicated' && taker === owner);
  if (taker < 0 || owner < 0 || state.draining || !allowed) return place(turn, tasks);
  const bound = mode === 'steal' ? tasks.filter((task) => !isUnbound(task)) : tasks;
  // Put there in another mode.
  if (bound.length < tasks.length) place(turn, tasks.filter(isUnbound));
  const { mailbox, run } = slots[owner]!;
  // An owner that is free starts its first at once. What its mailbox has no room for would only go back into the box.
  const keeps = Math.min(stealAbove, capacity) + (run === null ? 1 : 0);
  const own = taker === owner ? bound.length : Math.max(0, keeps - mailbox.length);
  append(turn, owner, bound.slice(0, own));
  if (bound.length <= own) return;
  append(turn, taker, bound.slice(own));
  effects.push({ type: 'queue.stole', thief: fetch.taker, victim: box, count: bound.length - own });
}

function append(turn: Turn, at: number, tasks: readonly ClaimedTask[]): void {
  if (tasks.length === 0) return;
  const slot = turn.state.slots[at]!;
  const mailbox = joinedBy(slot.mailbox, tasks);
  turn.state.slots[at] = { ...slot, mailbox };
  // It fitted when it was asked for; the capacity may have been changed since.
  if (mailbox.length > turn.state.input.capacity) turn.overfull = true;
}
