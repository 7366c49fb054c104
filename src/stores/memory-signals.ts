/** How tasks of the memory store are told of events, and ask people. */
import { isTerminal, MOST_EVENTS } from '../../actors/ports/store.ts';
import type { ApprovalRequest, ApprovalWithdrawal, Decision, Signal, SignalOutcome } from '../../actors/ports/store.ts';
import { MemoryTold } from './memory-events.ts';
import type { MemoryMoves } from './memory-moves.ts';
import { tell } from './memory-story.ts';
import { moreOf } from './memory-task.ts';
import type { MemoryTask } from './memory-task.ts';
import { eventCame } from './memory-waits.ts';
import { APPROVAL_EVENT } from './task-status.ts';

const UNKNOWN: SignalOutcome = { at: 'unknown' };
const NOT_ASKED: SignalOutcome = { at: 'not-asked' };

interface Told {
  readonly outcomes: readonly SignalOutcome[];
  readonly ready: readonly string[];
}

/** `signal`. */
export function signal(moves: MemoryMoves, items: readonly Signal[], nowMs: number): Told {
  const outcomes = items.map(({ id, name, value, key }): SignalOutcome => {
    const task = moves.byId.get(id);
    if (task === undefined) return UNKNOWN;
    // Who tells an ended task once more is told that it knows.
    const known = key === undefined ? undefined : task.more?.told?.valueOf(name, key);
    if (known !== undefined) return { at: 'known', value: known };
    if (isTerminal(task.status)) return ended(task);
    if (task.more?.undo !== undefined) return { at: 'undoing', status: task.status, ends: task.more.undo.status };
    return tellOf(moves, task, { name, value, ...(key === undefined ? {} : { key }) }, nowMs);
  });
  return { outcomes, ready: moves.takeReady() };
}

/** `askApproval`. */
export function askApproval(moves: MemoryMoves, items: readonly ApprovalRequest[], nowMs: number): readonly boolean[] {
  return items.map((item) => {
    const task = moves.holding(item);
    if (task === undefined) return false;
    const approval = toldOf(task).ask(item, moves.approvals.nextNumber(), nowMs);
    if (approval !== undefined) moves.approvals.open(task, approval);
    return true;
  });
}

/** `withdrawApproval`. */
export function withdrawApproval(moves: MemoryMoves, items: readonly ApprovalWithdrawal[]): readonly boolean[] {
  return items.map((item) => {
    const task = moves.holding(item);
    if (task === undefined) return false;
    const withdrawn = task.more?.told?.withdraw(item.name);
    if (withdrawn !== undefined) moves.approvals.withdrawn(withdrawn);
    return true;
  });
}

/** `decideApproval`. */
export function decideApproval(moves: MemoryMoves, items: readonly Decision[], nowMs: number): Told {
  const outcomes = items.map(({ id, name, decision }): SignalOutcome => {
    const task = moves.byId.get(id);
    if (task === undefined) return UNKNOWN;
    if (isTerminal(task.status)) return ended(task);
    const known = task.more?.told?.valueOf(APPROVAL_EVENT + name, decision);
    if (known !== undefined) return { at: 'known', value: known };
    // Who is undone waits for nobody's word.
    if (task.more?.undo !== undefined) return NOT_ASKED;
    const approval = task.more?.told?.approvals.get(name);
    if (approval === undefined || approval.decided) return NOT_ASKED;
    const { expiresAtMs } = approval;
    if (expiresAtMs !== null && expiresAtMs <= nowMs) return { at: 'expired', expiresAtMs };
    const outcome = tellOf(moves, task, { name: APPROVAL_EVENT + name, value: decision, key: decision, decision }, nowMs);
    if (outcome.at === 'told') moves.approvals.decided(approval);
    return outcome;
  });
  return { outcomes, ready: moves.takeReady() };
}

interface Telling {
  readonly name: string;
  readonly value: string;
  readonly key?: string;
  /** It is one. */
  readonly decision?: string;
}

function tellOf(moves: MemoryMoves, task: MemoryTask, { name, value, key, decision }: Telling, nowMs: number): SignalOutcome {
  const told = toldOf(task);
  if (told.isFull) return { at: 'full', limit: MOST_EVENTS };
  const n = told.tell(name, value, key);
  tell(task, { at: 'event', atMs: nowMs, name, ...(decision === undefined ? {} : { decision }) });
  const wait = task.more?.wait;
  if (wait !== undefined) moves.arrived(task, eventCame(wait, name, n, nowMs), nowMs);
  moves.followUp(nowMs);
  return { at: 'told', n };
}

function toldOf(task: MemoryTask): MemoryTold {
  return (moreOf(task).told ??= new MemoryTold());
}

function ended({ status }: MemoryTask): SignalOutcome {
  return { at: 'ended', status };
}
