/**
 * Placing: into whose mailbox a claimed task goes, and what becomes of it when there is no room.
 *
 *   - With an affinity: by rendezvous among the workers that take tasks. When that mailbox is full the
 *     task is spilled: it goes back to the store, into the worker's box, and is claimed from there when
 *     there is room. Behind a box that holds something everything new is spilled too, so that nobody
 *     is overtaken; hence a task is spilled once, and claimed twice, at most, unless its worker goes
 *     or the queue is told otherwise.
 *   - Without: into the shallowest mailbox.
 *   - `shared`: to the end of the line.
 *
 * What finds no place at all, or comes while draining, is released.
 */
import type { ClaimedTask } from '../ports/store.ts';
import { lengthOf } from './line.ts';
import { hashOf, rendezvous } from './rendezvous.ts';
import { expectedBy, hasBox } from './state.ts';
import type { Slot, Turn } from './state.ts';

export function place(turn: Turn, tasks: readonly ClaimedTask[]): void {
  if (tasks.length === 0) return;
  const homeless = turn.state.input.mode === 'shared' ? intoLine(turn, tasks) : intoMailboxes(turn, tasks);
  if (homeless.length > 0) turn.effects.push({ type: 'queue.release', tasks: homeless });
}

function intoLine({ state }: Turn, tasks: readonly ClaimedTask[]): readonly ClaimedTask[] {
  const { line, slots, draining, input } = state;
  const open = draining ? [] : slots.filter(({ leaving }) => !leaving);
  const idle = open.filter(({ run }) => run === null).length;
  const room = open.length === 0 ? 0 : open.length * input.capacity + idle - lengthOf(line);
  const fits = tasks.slice(0, Math.max(0, room));
  state.line = { tasks: [...line.tasks, ...fits], taken: line.taken };
  return tasks.slice(fits.length);
}

function intoMailboxes(turn: Turn, tasks: readonly ClaimedTask[]): readonly ClaimedTask[] {
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
      if (to >= 0 && depths[to]! > capacity) to = -1;
    } else {
      hashes ??= hashesOf(slots);
      to = rendezvous(hashOf(task.affinity), hashes, open);
      if (to >= 0 && hasBox(state, slots[to]!)) {
        spill(turn, to, task);
        continue;
      }
      if (to >= 0 && depths[to]! > capacity) turn.overfull = true;
    }
    if (to < 0) {
      homeless.push(task);
      continue;
    }
    (mailboxes[to] ??= [...slots[to]!.mailbox]).push(task);
    depths[to]! += 1;
  }
  mailboxes.forEach((mailbox, at) => (slots[at] = { ...slots[at]!, mailbox }));
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

function spill(turn: Turn, at: number, task: ClaimedTask): void {
  turn.spills ??= new Map();
  const already = turn.spills.get(at);
  if (already === undefined) turn.spills.set(at, [task]);
  else already.push(task);
}

/** Cuts mailboxes down to what fits, places that are kept for a claim under way included; how many were spilled. */
export function spillOver(turn: Turn): number {
  const { state, effects, spills } = turn;
  const released: ClaimedTask[] = [];
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

function beyondRoom({ state }: Turn, { mailbox, worker }: Slot): readonly ClaimedTask[] {
  const { capacity } = state.input;
  if (state.fetches.length === 0 && mailbox.length <= capacity) return [];
  return mailbox.slice(Math.max(0, capacity - expectedBy(state, worker)));
}
