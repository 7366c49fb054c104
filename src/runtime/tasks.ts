/**
 * Tasks: what an operator does to tasks. The store decides what may happen to a task where it stands; a run that has it
 * under lease is told to let go, and what was ordered is done when it has.
 */
import type { EventEmitter } from 'eventemitter3';
import type { Logger } from 'pino';
import { isTerminal } from '../../actors/ports/store.ts';
import type { SteerAction, SteerOutcome, Store, StoryEntry } from '../../actors/ports/store.ts';
import type { StoreInputError } from '../stores/check-values.ts';
import type { RunEngine } from './engine.ts';
import { whyCancelled } from './engine/why-cancelled.ts';
import type { WhyCancelled } from './engine/why-cancelled.ts';
import { announce } from './events.ts';
import type { FleetEvents } from './events.ts';
import type { ByOptions, Steered } from './handle.ts';
import { decode } from './payload.ts';
import { checkTaskId } from './task-id.ts';
import { lookAt } from './task-look.ts';
import type { TaskLook } from './task-look.ts';
import { checkFields, checkTaskQuery } from './task-query.ts';
import type { TaskQuery } from './task-query.ts';
import {
  OperatorInputError,
  TaskCancellingError,
  TaskEndedError,
  TaskNotPausedError,
  TaskNotRequeueableError,
  TaskUndoingError,
  UnknownTaskError,
} from './work-errors.ts';

export interface TasksOptions {
  readonly store: Store;
  readonly engine: RunEngine;
  readonly events: EventEmitter<FleetEvents>;
  readonly log: Logger;
}

/** What a person said to an approval, as its task's story has it. */
export interface StoryDecision {
  readonly approved: boolean;
  readonly by: string;
  readonly note: string | null;
}

/** One thing that happened to a task: when, and of a run by whom, in which life, under which fencing token. */
export type TaskStory =
  | Exclude<StoryEntry, { readonly at: 'run' | 'event' }>
  /** With who decided what, and their note, where it is the decision of an approval. A decision kept by a former version has no more than its name. */
  | (Omit<Extract<StoryEntry, { readonly at: 'event' }>, 'decision'> & Partial<StoryDecision>)
  | (Omit<Extract<StoryEntry, { readonly at: 'run' }>, 'worker'> & {
      /** Its address; null when it did not get as far as a worker. */
      readonly worker: string | null;
      /** How many lives the worker had had in its process, this one included. */
      readonly incarnation: number | null;
      /** A number that grows with each process that has had the store; null where a former version did not keep it. */
      readonly epoch: number | null;
    });

/** Who or why, as an operator may give it. */
const LONGEST_BY = 512;
const LONGEST_REASON = 4_096;

export class Tasks {
  readonly #options: TasksOptions;

  constructor(options: TasksOptions) {
    this.#options = options;
  }

  cancel(id: string, options?: ByOptions): Promise<Steered> {
    return this.#steer(id, 'cancel', options);
  }

  pause(id: string, options?: ByOptions): Promise<Steered> {
    return this.#steer(id, 'pause', options);
  }

  async unpause(id: string, options?: ByOptions): Promise<void> {
    await this.#steer(id, 'unpause', options);
  }

  async requeue(id: string, options?: ByOptions): Promise<void> {
    await this.#steer(id, 'requeue', options);
  }

  async look(id: string): Promise<TaskLook | undefined> {
    const [record] = await this.#options.store.get([checkTaskId(id)]);
    return record === undefined ? undefined : lookAt(record);
  }

  async list(query: TaskQuery): Promise<readonly TaskLook[]> {
    const checked = checkTaskQuery(query);
    const found = await this.#options.store.list(checked).catch((error: unknown) => {
      // Only the store knows whether it is there.
      const { code, detail } = error as Partial<StoreInputError>;
      if (code === 'DROVER_STORE_INPUT' && detail?.field === 'after') {
        throw new OperatorInputError(
          'after',
          'the id of a task in the store (where its retention is over, begin with the first page)',
          checked.after,
        );
      }
      throw error;
    });
    return found.map(lookAt);
  }

  async story(id: string): Promise<readonly TaskStory[]> {
    const entries = await this.#options.store.story(checkTaskId(id));
    if (entries.length === 0) throw new UnknownTaskError(id);
    return entries.map((entry) => {
      if (entry.at === 'run') return { ...entry, ...splitWorker(entry.worker) };
      if (entry.at !== 'event' || entry.decision === undefined) return entry;
      const { decision, ...event } = entry;
      return { ...event, ...(decode(decision) as StoryDecision) };
    });
  }

  /** By whom and why a cancelled task was cancelled, or the one that asked for it, or for that one. */
  whyCancelled(id: string): Promise<WhyCancelled> {
    return whyCancelled(this.#options.store, id);
  }

  async #steer(id: string, action: SteerAction, options: ByOptions = {}): Promise<Steered> {
    checkFields(options, 'options', ['by', 'reason']);
    const by = checkText(options.by ?? 'operator', 'by', LONGEST_BY);
    const reason = options.reason === undefined ? null : checkText(options.reason, 'reason', LONGEST_REASON);
    const { store, engine } = this.#options;
    const nowMs = engine.nowMs();
    const { outcomes, ready, ended, held } = await store
      .steer([{ id: checkTaskId(id), action, by, reason }], nowMs)
      .catch((error: unknown) => {
        // It may have happened all the same.
        engine.lookAgain([id], true);
        throw error;
      });
    for (const run of held) engine.letGo(run, action === 'cancel' ? 'cancelled' : 'paused');
    if (ended.length > 0) engine.lookAgain(ended);
    engine.ready(ready);
    const outcome = outcomes[0]!;
    if (outcome.at === 'unknown') throw new UnknownTaskError(id);
    // Twice is once, also where it is undone before it ends.
    if (outcome.at === 'refused' && outcome.why === 'undoing') {
      if (outcome.ends === 'cancelled') return 'noted';
      throw new TaskUndoingError({ id, status: outcome.status, ends: outcome.ends });
    }
    if (outcome.at === 'refused' && !(action === 'cancel' && outcome.status === 'cancelled')) throw refusalOf(id, action, outcome);
    if (outcome.at === 'refused') {
      // Of the first time nobody may have heard.
      engine.lookAgain([id], true);
      return 'done';
    }
    // What is to be undone first has not ended yet.
    const at = action === 'cancel' && outcome.at === 'done' && !isTerminal(outcome.status) ? 'noted' : outcome.at;
    await this.#tell(id, action, by, reason, at, nowMs);
    return at;
  }

  async #tell(id: string, action: SteerAction, by: string, reason: string | null, at: Steered, atMs: number): Promise<void> {
    const { store, events, log } = this.#options;
    if (events.listenerCount('task.steered') === 0 && events.listenerCount('task.paused') === 0) return;
    const [record] = await store.get([id]);
    if (record === undefined) return;
    const { kind, status } = record;
    announce(events, log, 'task.steered', () => ({ id, kind, atMs, action, by, reason, at }));
    if (action === 'pause' && at === 'done' && !isTerminal(status)) announce(events, log, 'task.paused', () => ({ id, kind, atMs }));
  }
}

type Refusal = Exclude<Extract<SteerOutcome, { readonly at: 'refused' }>, { readonly why: 'undoing' }>;

function refusalOf(id: string, action: SteerAction, refusal: Refusal): Error {
  const { why, status } = refusal;
  if (refusal.why === 'deadline') return new TaskNotRequeueableError({ id, status, undone: false, deadlineMs: refusal.deadlineMs });
  if (action === 'requeue') return new TaskNotRequeueableError({ id, status, undone: why === 'undone' });
  if (why === 'cancelling') return new TaskCancellingError(id, status);
  return why === 'not-paused' ? new TaskNotPausedError(id, status) : new TaskEndedError(id, status);
}

/** `inbox/agents/triage/0#3@7` is the third life of `inbox/agents/triage/0` in the seventh process that has the store. */
function splitWorker(life: string | null): {
  readonly worker: string | null;
  readonly incarnation: number | null;
  readonly epoch: number | null;
} {
  const [, worker, incarnation, epoch] = /^(.*)#(\d+)(?:@(\d+))?$/s.exec(life ?? '') ?? [];
  if (worker === undefined) return { worker: life, incarnation: null, epoch: null };
  return { worker, incarnation: Number(incarnation), epoch: epoch === undefined ? null : Number(epoch) };
}

/** @throws OperatorInputError */
export function checkText(text: unknown, argument: string, longest: number): string {
  if (typeof text === 'string' && text.length <= longest && text.isWellFormed()) return text;
  throw new OperatorInputError(argument, `a text of at most ${longest} characters of well-formed Unicode`, text);
}
