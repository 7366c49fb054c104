/** One task of the model, and what can be read off it alone. */
import type {
  Approval,
  LockWant,
  NewTask,
  Remembered,
  SettledOutcome,
  StartOutcome,
  StateRow,
  TaskEvent,
  TaskRecord,
  TaskStatus,
} from '../../actors/ports/store.ts';
import { isTerminal } from '../../actors/ports/store.ts';

type Started = Extract<StartOutcome, { at: 'started' }>;
type Parked = Extract<SettledOutcome, { at: 'parked' }>;

/** Somebody in line for locks: since when, how many younger ones took what it wants, and when it was last told to try. */
export interface InLine {
  readonly sinceMs: number;
  passed: number;
  wokenAtMs: number | null;
}

/** One claim, for the story. */
export interface ModelRun {
  readonly fence: number;
  readonly claimedAtMs: number;
  startedAtMs: number | null;
  worker: string | null;
  outcome: string | null;
}

export interface ModelTask {
  readonly task: NewTask;
  /** Order of arrival. */
  readonly seq: number;
  /** Its order key, unless it runs on behalf of an ancestor that has the same. */
  readonly orderKey: string | null;
  readonly submittedAtMs: number;
  /** Submitted, or come due as a retry: from then on its waiting counts. */
  sinceMs: number;
  status: TaskStatus;
  resumed: boolean;
  attempt: number;
  losses: number;
  fence: number;
  leaseUntilMs: number;
  dueAtMs: number | null;
  /** What it is parked on; null: nothing but a time, or somebody's word. */
  waits: Pick<Parked, 'children' | 'events' | 'gatherMs'> | null;
  gathering: boolean;
  parkedFor: string | null;
  /** While it is paused: when it would have been tried again. */
  retryAtMs: number | null;
  box: string | null;
  result: string | null;
  error: string | null;
  finishedAtMs: number | null;
  memory: (Remembered & { readonly row?: StateRow | null })[];
  events: (TaskEvent & { readonly key: string | undefined })[];
  approvals: (Approval & { decided: string | undefined })[];
  /** Locks that it wants beside those it was submitted with. */
  grown: readonly LockWant[];
  /** The token of the locks that it holds; 0: it holds none. */
  lockFence: number;
  line: InLine | null;
  undo: Started['undo'];
  /** It has failed, and nothing of it is undone until somebody says what is to become of it. */
  kept: boolean;
  noted: 'cancel' | 'pause' | null;
  /** It was told to end, or has ended, with who had asked for it. */
  withParent: boolean;
  runs: ModelRun[];
}

export function modelTask(task: NewTask, seq: number, orderKey: string | null, nowMs: number): ModelTask {
  return {
    task,
    seq,
    orderKey,
    submittedAtMs: nowMs,
    sinceMs: nowMs,
    status: 'queued',
    resumed: false,
    attempt: 0,
    losses: 0,
    fence: 0,
    leaseUntilMs: 0,
    dueAtMs: null,
    waits: null,
    gathering: false,
    parkedFor: null,
    retryAtMs: null,
    box: null,
    result: null,
    error: null,
    finishedAtMs: null,
    memory: [],
    events: [],
    approvals: [],
    grown: [],
    lockFence: 0,
    line: null,
    undo: null,
    kept: false,
    noted: null,
    withParent: false,
    runs: [],
  };
}

export const isHeld = ({ status }: ModelTask): boolean => status === 'leased' || status === 'running';
export const hasEnded = ({ status }: ModelTask): boolean => isTerminal(status);
/** It is to be undone, and on its way to it: it has kept what it held. */
export const keepsLocks = ({ undo, status }: ModelTask): boolean => undo !== null && (status === 'queued' || status === 'retrying');
export const isCompensated = ({ memory }: ModelTask): boolean => memory.some(({ place }) => place.startsWith('compensate:'));

/** What it wants while it runs: of a resource once as a reader and once as a writer, the writer. */
export function wantsOf({ task, grown }: ModelTask): LockWant[] {
  const wants: LockWant[] = [];
  for (const want of [...(task.locks ?? []), ...grown]) {
    const known = wants.findIndex(({ resource }) => resource === want.resource);
    if (known < 0) wants.push(want);
    else if (want.mode === 'write') wants[known] = want;
  }
  return wants.toSorted((a, b) => (a.resource < b.resource ? -1 : 1));
}

export function toRecord(of: ModelTask): TaskRecord {
  const { id, kind, version, input, priority, maxAttempts, maxLosses, depth, parent } = of.task;
  const { status, result, error, attempt, losses, fence, parkedFor, submittedAtMs, finishedAtMs, kept, noted } = of;
  return {
    id,
    kind,
    version,
    status,
    input,
    result,
    error,
    priority,
    attempt,
    losses,
    maxAttempts,
    maxLosses,
    fence,
    depth,
    parentId: parent?.id ?? null,
    parkedFor,
    submittedAtMs,
    finishedAtMs,
    rootId: of.task.rootId ?? null,
    tenant: of.task.tenant ?? null,
    affinity: of.task.affinity ?? null,
    orderKey: of.task.orderKey ?? null,
    deadlineMs: of.task.deadlineMs ?? null,
    locks: wantsOf(of),
    dueAtMs: status === 'parked' || status === 'retrying' ? of.dueAtMs : null,
    undone: of.undo !== null && !(hasEnded(of) && isCompensated(of)),
    kept,
    noted,
  };
}
