/** Starting: who is free gets what waits for it, in its mailbox or in the line. */
import { send } from '../kernel/effects.ts';
import { goesBefore } from './rank.ts';
import type { Slot, Turn } from './state.ts';
import { afterStart, firstInTurn, turnOf } from './turns.ts';

interface Idle {
  /** Somebody who leaves has nothing left. */
  readonly left: boolean;
  /** Somebody has found nothing. */
  readonly idle: boolean;
}

/** Everybody who is free starts something. The line is first for those who have nothing in a mailbox, so that nobody is idle for want of it. */
export function startIdle(turn: Turn): Idle {
  const { slots } = turn.state;
  let left = false;
  let idle = false;
  let owners = false;
  for (let at = 0; at < slots.length; at += 1) {
    const slot = slots[at]!;
    if (slot.spilled > 0) turn.boxed = true;
    if (slot.run !== null) continue;
    if (slot.leaving) {
      turn.effects.push(send(slot.worker, { type: 'worker.drained' }));
      left = true;
    } else if (slot.mailbox.length > 0) owners = true;
    else if (!startNext(turn, at)) idle = true;
  }
  if (!owners) return { left, idle };
  for (let at = 0; at < slots.length; at += 1) if (isOwner(slots[at]!)) startNext(turn, at);
  return { left, idle };
}

const isOwner = ({ run, leaving, mailbox }: Slot): boolean => run === null && !leaving && mailbox.length > 0;

/** Starts what comes first for this worker, in its mailbox or in the line; false when there is nothing. */
export function startNext(turn: Turn, at: number): boolean {
  const { state, starts } = turn;
  const { turns } = state;
  const slot = state.slots[at]!;
  const head = state.line.taken + turn.taken;
  const inMailbox = turns === undefined ? 0 : Math.max(0, firstInTurn(turns, slot.mailbox));
  const inLine = turns === undefined ? head : Math.max(head, firstInTurn(turns, state.line.tasks, head));
  const own = slot.mailbox[inMailbox];
  const next = state.line.tasks[inLine];
  const task = own === undefined || (next !== undefined && isNext()) ? next : own;
  if (task === undefined) return false;
  if (task === own) state.slots[at] = { ...slot, mailbox: slot.mailbox.toSpliced(inMailbox, 1), run: task };
  else {
    if (inLine === head) turn.taken += 1;
    else state.line = { ...state.line, tasks: state.line.tasks.toSpliced(inLine, 1) };
    state.slots[at] = { ...slot, run: task };
  }
  if (turns !== undefined) state.turns = afterStart(turns, task);
  starts.push({ worker: slot.worker, incarnation: slot.incarnation, task });
  return true;

  /** One too many, placed for who is free, would have to be spilled. */
  function isNext(): boolean {
    if (slot.mailbox.length > state.input.capacity) return false;
    const sooner = turns === undefined ? 0 : turnOf(turns, next!) - turnOf(turns, own!);
    return sooner === 0 ? goesBefore(next!, own!) : sooner < 0;
  }
}
