/** MemoryTask: one task as the memory store keeps it, with what finds it again in constant time. */
import { isTerminal } from '../../actors/ports/store.ts';
import type {
  ChildRecord,
  ClaimedTask,
  LockWant,
  Remembered,
  SteerAction,
  StartOutcome,
  StoryEntry,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import type { MemoryTold } from './memory-events.ts';
import type { OrderLine } from './memory-order.ts';
import type { MemoryWait } from './memory-waits.ts';
import type { ReadyQueue } from './ready-queue.ts';
import { COMPENSATION_PLACE } from './task-status.ts';

const NOTHING: readonly never[] = [];

/** What the memory store keeps of a kind: one object that all its tasks share. */
export interface MemoryKind {
  readonly name: string;
  /** What is in no box. */
  readonly ready: ReadyQueue;
  readonly boxes: Map<string, ReadyQueue>;
  readonly counts: Record<TaskStatus, number>;
  unfinished: number;
  maxUnfinished: number;
  /** Unfinished tasks by their tenant. */
  readonly ofTenants: Map<string, number>;
  maxOfTenant: number;
  /** Shares of tenants. */
  weights: ReadonlyMap<string, number>;
}

/** How a task will end once it has been undone. */
export interface Undo {
  readonly status: 'failed' | 'cancelled' | 'dead';
  readonly error: string | null;
}

/** What an operator wants of a task once its run lets go. */
export interface Note {
  readonly action: Extract<SteerAction, 'cancel' | 'pause'>;
  readonly by: string;
  readonly reason: string | null;
  /** A cancel that comes from the end of the task that asked for it. */
  readonly withParent?: boolean;
}

/** What most tasks have not. */
export interface MemoryMore {
  readonly orderKey: string | null;
  /** The line of its key; undefined: it has none, or an ancestor has it already. */
  line: OrderLine | undefined;
  /** What it wants while it runs, grown ones included. */
  locks: readonly LockWant[];
  readonly rejects: boolean;
  /** Of the locks that it holds; 0 without. */
  lockToken: number;
  /** -Infinity: at once. */
  readonly notBeforeMs: number;
  readonly deadlineMs: number | null;
  /** Where it was spilled to. */
  box: string | undefined;
  undo: Undo | undefined;
  noted: Note | undefined;
  /** While it is paused: when it would have been tried again. */
  retryAtMs: number | undefined;
  /** It has failed, and nothing of it is undone until somebody says what is to become of it. */
  kept: boolean;
  /** It has ended cancelled since the task that asked for it ended: it is put back with that. */
  fellWithParent: boolean;
  told: MemoryTold | undefined;
  /** What it is parked for, while it waits for children or events. */
  wait: MemoryWait | undefined;
}

/** One task and where it is. Only `MemoryMoves` and its lists change it. */
export interface MemoryTask {
  /** Order of arrival, from 0. */
  readonly seq: number;
  readonly id: string;
  readonly kind: MemoryKind;
  readonly version: string;
  readonly input: string;
  /** As submitted, or inherited. */
  priority: number;
  /** Lowest first: by `sinceMs`, less what its priority is worth. */
  rank: number;
  /** Submitted; or when its latest retry came due. */
  sinceMs: number;
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly depth: number;
  readonly parent: MemoryTask | undefined;
  /** Where in the parent's run it was asked for; empty without a parent. */
  readonly place: string;
  readonly rootId: string | null;
  readonly tenant: string | null;
  readonly affinity: string | null;
  readonly submittedAtMs: number;
  status: TaskStatus;
  /** Goes ahead of new work when it is queued. */
  resumed: boolean;
  attempt: number;
  losses: number;
  fence: number;
  /** End of the lease, or when it comes due; `Infinity` when nothing waits for a time. */
  untilMs: number;
  /** Where it stands in the ready queue, or among those that come due. -1: it is in neither. */
  slot: number;
  parkedFor: string | null;
  finishedAtMs: number | null;
  result: string | null;
  error: string | null;
  /** Of its latest run. */
  worker: string | null;
  claimedAtMs: number;
  startedAtMs: number | null;
  remembered: Map<string, Remembered> | undefined;
  children: MemoryTask[] | undefined;
  /** What is not told by the fields above, in order. */
  story: StoryEntry[] | undefined;
  more: MemoryMore | undefined;
}

/** What a task has that has nothing special. */
export const NOTHING_MORE: Readonly<MemoryMore> = {
  orderKey: null,
  line: undefined,
  locks: NOTHING,
  rejects: false,
  lockToken: 0,
  notBeforeMs: -Infinity,
  deadlineMs: null,
  box: undefined,
  undo: undefined,
  noted: undefined,
  retryAtMs: undefined,
  kept: false,
  fellWithParent: false,
  told: undefined,
  wait: undefined,
};

/** To be changed. */
export function moreOf(task: MemoryTask): MemoryMore {
  return (task.more ??= { ...NOTHING_MORE });
}

/** Whether a run has it under lease. */
export function isHeld({ status }: MemoryTask): boolean {
  return status === 'leased' || status === 'running';
}

/** Something that it has registered is to be undone. */
export function hasCompensations({ remembered }: MemoryTask): boolean {
  if (remembered === undefined) return false;
  for (const place of remembered.keys()) if (place.startsWith(COMPENSATION_PLACE)) return true;
  return false;
}

/** The task as it can be looked at. */
export function toRecord(task: MemoryTask): TaskRecord {
  const { orderKey, deadlineMs, locks, undo, kept, noted } = task.more ?? NOTHING_MORE;
  const waits = task.status === 'retrying' || task.status === 'parked';
  return {
    id: task.id,
    kind: task.kind.name,
    version: task.version,
    status: task.status,
    input: task.input,
    result: task.result,
    error: task.error,
    priority: task.priority,
    attempt: task.attempt,
    losses: task.losses,
    maxAttempts: task.maxAttempts,
    maxLosses: task.maxLosses,
    fence: task.fence,
    depth: task.depth,
    parentId: task.parent === undefined ? null : task.parent.id,
    parkedFor: task.parkedFor,
    submittedAtMs: task.submittedAtMs,
    finishedAtMs: task.finishedAtMs,
    rootId: task.rootId,
    tenant: task.tenant,
    affinity: task.affinity,
    orderKey,
    deadlineMs,
    locks,
    dueAtMs: waits && task.slot >= 0 ? task.untilMs : null,
    undone: undo !== undefined && !(isTerminal(task.status) && hasCompensations(task)),
    kept,
    noted: noted === undefined ? null : noted.action,
  };
}

/** Whether `a` is claimed before `b`, both at the head of the queues of their kinds. */
export function goesAhead(a: MemoryTask, b: MemoryTask): boolean {
  if (a.resumed !== b.resumed) return a.resumed;
  return a.rank === b.rank ? a.seq < b.seq : a.rank < b.rank;
}

/** The task as the run that has just claimed it sees it. */
export function toClaimed(task: MemoryTask): ClaimedTask {
  return {
    id: task.id,
    kind: task.kind.name,
    version: task.version,
    input: task.input,
    priority: task.priority,
    rank: task.rank,
    fence: task.fence,
    depth: task.depth,
    parentId: task.parent === undefined ? null : task.parent.id,
    leaseUntilMs: task.untilMs,
    rootId: task.rootId,
    tenant: task.tenant,
    affinity: task.affinity,
    deadlineMs: task.more === undefined ? null : task.more.deadlineMs,
  };
}

/** The task as a run that starts sees it. */
export function toStarted(task: MemoryTask): StartOutcome {
  const { told, locks, lockToken, undo } = task.more ?? NOTHING_MORE;
  return {
    at: 'started',
    attempt: task.attempt,
    losses: task.losses,
    memory: task.remembered === undefined ? NOTHING : [...task.remembered.values()],
    children: task.children === undefined ? NOTHING : task.children.map(toChild),
    events: told === undefined ? NOTHING : told.events(),
    locks,
    lockFence: lockToken,
    undo: undo ?? null,
  };
}

function toChild({ id, place, status, result, error }: MemoryTask): ChildRecord {
  return { id, place, status, result, error };
}
