/**
 * Placing: into whose mailbox a claimed task goes, and what becomes of it when there is no room.
 *
 *   - With an affinity: by rendezvous among the workers that take tasks. When that mailbox is full the
 *     task is spilled: it goes back to the store, into the worker's box, and is claimed from there when
 *     there is room. Behind a box that holds something everything new is spilled too, so that nobody
 *     is overtaken; hence a task is spilled once, and claimed twice, at most, unless its worker goes,
 *     the queue is told otherwise, or somebody more urgent takes its place.
 *   - Without, in mode `steal`: into the line. It is bound to nobody, so nobody is idle while it waits.
 *     In mode `dedicated`: into the shallowest mailbox; where all are full, into the box that has least before it.
 *   - `shared`: into the line.
 *
 * In a mailbox and in the line the more urgent goes first (`rank`). What finds no place at all, or comes while draining, is released.
 */
import type { ClaimedTask } from '../ports/store.ts';
import { lengthOf, waitingIn } from './line.ts';
import { joinedBy, passes } from './rank.ts';
import { hashOf, rendezvous } from './rendezvous.ts';
import { expectedBy, hasBox } from './state.ts';
import type { Slot, Turn } from './state.ts';

export function place(turn: Turn, tasks: readonly ClaimedTask[]): void {
  if (tasks.length === 0) return;
  const { mode } = turn.state.input;
  const unbound = mode === 'steal' ? tasks.filter(isUnbound) : mode === 'shared' ? tasks : NONE;
  const bound = mode === 'steal' ? tasks.filter((task) => !isUnbound(task)) : mode === 'shared' ? NONE : tasks;
  const homeless = [...intoLine(turn, unbound), ...intoMailboxes(turn, bound)];
  if (homeless.length > 0) turn.effects.push({ type: 'queue.release', tasks: homeless });
}

const NONE: readonly ClaimedTask[] = [];

export const isUnbound = ({ affinity }: ClaimedTask): boolean => affinity === null;

function intoLine(turn: Turn, tasks: readonly ClaimedTask[]): readonly ClaimedTask[] {
  if (tasks.length === 0) return NONE;
  const { state } = turn;
  const { line, slots, draining, input } = state;
  const open = draining ? [] : slots.filter(({ leaving }) => !leaving);
  const idle = open.filter(({ run }) => run === null).length;
  const room = open.length === 0 ? 0 : open.length * input.capacity + idle - lengthOf(line);
  const fits = tasks.slice(0, Math.max(0, room));
  state.line = { tasks: joinedBy(waitingIn(line), fits), taken: 0 };
  if (lengthOf(state.line) > open.length * input.capacity) turn.overfull = true;
  return tasks.slice(fits.length);
}

function intoMailboxes(turn: Turn, tasks: readonly ClaimedTask[]): readonly ClaimedTask[] {
  if (tasks.length === 0) return NONE;
  const { state } = turn;
  const { slots, draining, fetches } = state;
  const { capacity } = state.input;
  const open = slots.map(({ leaving }) => !leaving && !draining);
  const depths = slots.map(({ mailbox, run }) => mailbox.length + (run === null ? 0 : 1));
  if (fetches.length > 0) for (let at = 0; at < slots.length; at += 1) depths[at]! += expectedBy(state, slots[at]!.worker);
  const mailboxes: ClaimedTask[][] = [];
  const homeless: ClaimedTask[] = [];
  let hashes: Int32Array | undefined;
  for (const task of tasks) {
    let to: number;
    if (task.affinity === null) {
      to = shallowest(depths, open);
      if (to >= 0 && depths[to]! > capacity) {
        // Given back to the store it would be the first to be claimed again.
        to = shallowest(
          slots.map(({ spilled }, at) => depths[at]! + spilled + (turn.spills?.get(at)?.length ?? 0)),
          open,
        );
        spill(turn, to, task);
        continue;
      }
    } else {
      hashes ??= hashesOf(slots);
      to = rendezvous(hashOf(task.affinity), hashes, open);
      if (to >= 0 && hasBox(state, slots[to]!) && !isMoreUrgent(task, slots[to]!)) {
        spill(turn, to, task);
        continue;
      }
      if (to >= 0 && depths[to]! > capacity) turn.overfull = true;
    }
    if (to < 0) {
      homeless.push(task);
      continue;
    }
    (mailboxes[to] ??= []).push(task);
    depths[to]! += 1;
  }
  mailboxes.forEach((joining, at) => (slots[at] = { ...slots[at]!, mailbox: joinedBy(slots[at]!.mailbox, joining) }));
  return homeless;
}

function hashesOf(slots: readonly Slot[]): Int32Array {
  const hashes = new Int32Array(slots.length);
  for (let at = 0; at < slots.length; at += 1) hashes[at] = slots[at]!.hash;
  return hashes;
}

function shallowest(depths: readonly number[], open: readonly boolean[]): number {
  let found = -1;
  for (let at = 0; at < depths.length; at += 1) {
    if (open[at]! && (found < 0 || depths[at]! < depths[found]!)) found = at;
  }
  return found;
}

/** Than the last one that has a place. */
function isMoreUrgent(task: ClaimedTask, { mailbox }: Slot): boolean {
  const last = mailbox.at(-1);
  return last !== undefined && passes(task, last);
}

function spill(turn: Turn, at: number, task: ClaimedTask): void {
  turn.spills ??= new Map();
  const already = turn.spills.get(at);
  if (already === undefined) turn.spills.set(at, [task]);
  else already.push(task);
}

/** Cuts mailboxes and the line down to what fits, places that are kept for a claim under way included; how many were spilled. */
export function spillOver(turn: Turn): number {
  const { state, effects, spills } = turn;
  const released: ClaimedTask[] = turn.overfull ? beyondLine(turn) : [];
  let spilled = 0;
  for (let at = 0; at < state.slots.length; at += 1) {
    const slot = state.slots[at]!;
    const behind = spills?.get(at);
    const beyond = turn.overfull ? beyondRoom(turn, slot) : [];
    if (behind === undefined && beyond.length === 0) continue;
    const tasks = [...beyond.filter(({ affinity }) => affinity !== null), ...(behind ?? [])];
    // Any other worker will do for these.
    for (const task of beyond) if (task.affinity === null) released.push(task);
    const mailbox = slot.mailbox.slice(0, slot.mailbox.length - beyond.length);
    state.slots[at] = { ...slot, mailbox, spilled: slot.spilled + tasks.length };
    if (tasks.length === 0) continue;
    effects.push({ type: 'queue.spill', worker: slot.worker, tasks });
    turn.boxed = true;
    spilled += tasks.length;
  }
  if (released.length > 0) effects.push({ type: 'queue.release', tasks: released });
  return spilled;
}

function beyondLine({ state, taken }: Turn): ClaimedTask[] {
  const most = taken + state.input.capacity * state.slots.filter(({ leaving }) => !leaving).length;
  const waiting = waitingIn(state.line);
  if (waiting.length <= most) return [];
  state.line = { tasks: waiting.slice(0, most), taken: 0 };
  return waiting.slice(most);
}

function beyondRoom({ state }: Turn, { mailbox, worker }: Slot): readonly ClaimedTask[] {
  const { capacity } = state.input;
  if (state.fetches.length === 0 && mailbox.length <= capacity) return [];
  return mailbox.slice(Math.max(0, capacity - expectedBy(state, worker)));
}
