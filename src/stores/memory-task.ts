/** MemoryTask: one task as the memory store keeps it, with what finds it again in constant time. */
import type { ChildRecord, ClaimedTask, Remembered, StartOutcome, TaskRecord, TaskStatus } from '../../actors/ports/store.ts';
import type { ReadyQueue } from './ready-queue.ts';

const NOTHING: readonly never[] = [];

/** What the memory store keeps of a kind: one object that all its tasks share. */
export interface MemoryKind {
  readonly name: string;
  readonly ready: ReadyQueue;
  readonly counts: Record<TaskStatus, number>;
}

/** One task and where it is. Only `MemoryTasks` and its lists change it. */
export interface MemoryTask {
  /** Order of arrival, from 0 without gaps. */
  readonly seq: number;
  readonly id: string;
  readonly kind: MemoryKind;
  readonly version: string;
  readonly input: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly maxLosses: number;
  readonly depth: number;
  readonly parent: MemoryTask | undefined;
  /** Where in the parent's run it was asked for; empty without a parent. */
  readonly place: string;
  readonly submittedAtMs: number;
  status: TaskStatus;
  /** Goes ahead of new work when it is queued. */
  resumed: boolean;
  attempt: number;
  losses: number;
  fence: number;
  /** End of the lease, or when it comes due; `Infinity` when nothing waits for a time. */
  untilMs: number;
  /** Where it stands among those that come due, -1 when it is not one of them. */
  slot: number;
  parkedFor: string | null;
  finishedAtMs: number | null;
  result: string | null;
  error: string | null;
  remembered: Map<string, Remembered> | undefined;
  children: MemoryTask[] | undefined;
}

/** The task as it can be looked at. */
export function toRecord(task: MemoryTask): TaskRecord {
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
  };
}

/** Tasks of several kinds in the order that the port promises. */
export function bestFirst(a: MemoryTask, b: MemoryTask): number {
  if (a.resumed !== b.resumed) return a.resumed ? -1 : 1;
  return b.priority - a.priority || a.seq - b.seq;
}

/** The task as the run that has just claimed it sees it. */
export function toClaimed(task: MemoryTask): ClaimedTask {
  return {
    id: task.id,
    kind: task.kind.name,
    version: task.version,
    input: task.input,
    priority: task.priority,
    fence: task.fence,
    depth: task.depth,
    parentId: task.parent === undefined ? null : task.parent.id,
    leaseUntilMs: task.untilMs,
  };
}

/** The task as a run that starts sees it. */
export function toStarted(task: MemoryTask): StartOutcome {
  return {
    at: 'started',
    attempt: task.attempt,
    losses: task.losses,
    memory: task.remembered === undefined ? NOTHING : [...task.remembered.values()],
    children: task.children === undefined ? NOTHING : task.children.map(toChild),
  };
}

function toChild({ id, place, status, result, error }: MemoryTask): ChildRecord {
  return { id, place, status, result, error };
}
