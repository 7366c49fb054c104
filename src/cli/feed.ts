/**
 * Feed: lines of input become tasks of a fleet, no more at a time than may be unfinished here.
 *
 *     chunk ─▶ lines ─▶ task ─▶ submit ─┬─▶ accepted or known ─▶ its end ─▶ the place is free
 *                                       ├─▶ full: waits for a task to end ─▶ submit again
 *                                       ├─▶ the store failed: waits ─▶ submit again
 *                                       └─▶ refused: told with its line number ─▶ the place is free
 *
 * A line holds its place from when it is read until its task has ended, so a million lines cost no
 * more memory than `limit` of them. Stopped, it reads and submits nothing more.
 */
import type { ErrorRecord } from '../../actors/kernel/errors.ts';
import type { Fleet } from '../runtime/fleet.ts';
import type { TaskHandle } from '../runtime/handle.ts';
import { TaskLineError, TasksFileError } from './errors.ts';
import { LineSplitter } from './lines.ts';
import type { Line } from './lines.ts';
import { deriveId, parseTaskLine } from './task-line.ts';
import type { TaskLine } from './task-line.ts';
import type { TaskSource } from './task-source.ts';

/** A task of a line, when it is over. */
export interface EndedTask {
  readonly id: string;
  readonly kind: string;
  readonly status: 'completed' | 'failed' | 'cancelled' | 'dead';
  readonly result?: unknown;
  readonly error?: ErrorRecord | null;
}

export interface FeedOptions {
  readonly fleet: Pick<Fleet, 'submit' | 'events' | 'topology'>;
  /** Tasks of lines that may be unfinished at once. */
  readonly limit: number;
  readonly onRefused: (line: number, error: unknown) => void;
  /** Once for each task of a line that is over, also when it was over before this run. */
  readonly onEnded: (task: EndedTask) => void;
  /** What waits for a slow reader of this program's output, or undefined. */
  readonly backlog: () => Promise<void> | undefined;
  /** Calls `fire` after so many ms; returns what cancels it. */
  readonly after: (ms: number, fire: () => void) => () => void;
}

/** Sums so far. */
export interface FeedTally {
  /** Lines that are not blank. */
  lines: number;
  /** Lines whose task the store did not have before. */
  submitted: number;
  /** Lines whose task the store had already, ended or not. */
  known: number;
  refused: number;
  /** Known ones that were over before. */
  endedBefore: number;
  /** Of these, the ones without a result. */
  endedBadlyBefore: number;
  bytesRead: number;
  readAll: boolean;
}

const STORE_RETRY_MS = 500;

/** JSON may write each byte of a payload as six characters; the rest is for the other fields. */
const longestLine = (payloadBytes: number): number => payloadBytes * 6 + 8_192;

export class Feed {
  readonly tally: FeedTally = {
    lines: 0,
    submitted: 0,
    known: 0,
    refused: 0,
    endedBefore: 0,
    endedBadlyBefore: 0,
    bytesRead: 0,
    readAll: false,
  };
  readonly #options: FeedOptions;
  /** Ids of lines under way, and whether their task was seen to end now. */
  readonly #open = new Map<string, { lines: number; endedNow: boolean }>();
  /** Lines that found the store full or failing, first come first served. */
  readonly #again = new Set<() => void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #longestLine: number;
  #source: TaskSource | undefined;
  #taken = 0;
  #held = 0;
  #stopped = false;
  #roomy: (() => void) | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => {});
    const { events, topology } = options.fleet;
    this.#longestLine = longestLine(topology.bounds.payloadBytes);
    events.on('task.submitted', ({ id }) => {
      if (this.#open.has(id)) this.tally.submitted += 1;
    });
    const ended = ({ id }: { readonly id: string }): void => {
      const open = this.#open.get(id);
      if (open !== undefined) open.endedNow = true;
      for (const again of this.#again) return again();
    };
    events.on('task.completed', ended);
    events.on('task.failed', ended);
  }

  /** Whether a line with this id is under way: then its end comes through `onEnded`. */
  owns(id: string): boolean {
    return this.#open.has(id);
  }

  /**
   * Resolves when every line is read and its task is over, or when the feed was stopped.
   *
   * @throws TasksFileError when the input broke off; what was read by then is over
   * @throws what the store says when it takes nothing more
   */
  async run(source: TaskSource): Promise<void> {
    this.#source = source;
    await Promise.race([this.#read(source), this.#failed.promise]);
  }

  /** Reads and submits nothing more; tasks that run go on. */
  stop(): void {
    this.#stopped = true;
    this.#source?.close();
    for (const again of this.#again) again();
    this.#roomy?.();
  }

  async #read(source: TaskSource): Promise<void> {
    const splitter = new LineSplitter(this.#longestLine);
    let broken: TasksFileError | undefined;
    try {
      for await (const chunk of source.chunks) {
        this.tally.bytesRead += chunk.length;
        await this.#take(source, splitter.push(chunk));
        if (this.#stopped) return;
      }
      await this.#take(source, splitter.end());
      this.tally.readAll = true;
    } catch (cause) {
      if (this.#stopped) return;
      broken = new TasksFileError(source.name, `reading broke off after ${this.tally.bytesRead} bytes`, { cause });
    }
    while (this.#held > 0 && !this.#stopped) await this.#room();
    if (broken !== undefined) throw broken;
  }

  async #take(source: TaskSource, lines: readonly Line[]): Promise<void> {
    for (const line of lines) {
      while (this.#held >= this.#options.limit && !this.#stopped) await this.#room();
      // No turn is given away when nothing waits: lines of one chunk then reach the store in one batch.
      const backlog = this.#options.backlog();
      if (backlog !== undefined) await backlog;
      if (this.#stopped) return;
      this.tally.lines += 1;
      this.#begin(source, line);
    }
  }

  #begin(source: TaskSource, line: Line): void {
    let task: TaskLine;
    try {
      if ('problem' in line) throw new TaskLineError(`JSON in UTF-8, of at most ${this.#longestLine} bytes`, line.problem);
      task = parseTaskLine(line.text);
    } catch (error) {
      return this.#refuse(line.number, error);
    }
    const id = task.id ?? deriveId(source.origin, line.number, task);
    const open = this.#open.get(id);
    if (open === undefined) this.#open.set(id, { lines: 1, endedNow: false });
    else open.lines += 1;
    this.#held += 1;
    this.#submit(line.number, task, id, open === undefined).then(() => this.#release(id), this.#failed.reject);
  }

  /** Resolves when the line is done with: its task is over, it was refused, or the fleet is closing. */
  async #submit(line: number, { kind, input, priority }: TaskLine, id: string, first: boolean): Promise<void> {
    while (!this.#stopped) {
      try {
        const handle = await this.#options.fleet.submit(kind, input, { id, ...(priority === undefined ? {} : { priority }) });
        this.#taken += 1;
        this.tally.known = this.#taken - this.tally.submitted;
        return await this.#untilOver(handle, first);
      } catch (error) {
        const reaction = reactionTo(error);
        if (reaction === 'closing') return;
        if (reaction === 'refuse') return this.#refuse(line, error);
        if (reaction === 'fail') throw error;
        await this.#anEnd(reaction.retryAfterMs);
      }
    }
  }

  async #untilOver(handle: TaskHandle, first: boolean): Promise<void> {
    const { id, kind } = handle;
    let ended: EndedTask;
    try {
      ended = { id, kind, status: 'completed', result: await handle.result() };
    } catch (error) {
      const { code, detail } = error as { code?: unknown; detail?: { status: EndedTask['status']; error: ErrorRecord | null } };
      // The fleet closed first: the task stays in the store.
      if (code !== 'DROVER_TASK_FAILED') return;
      ended = { id, kind, status: detail!.status, error: detail!.error };
    }
    // Two lines with one id are one task.
    if (!first) return;
    if (this.#open.get(id)?.endedNow !== true) {
      this.tally.endedBefore += 1;
      if (ended.status !== 'completed') this.tally.endedBadlyBefore += 1;
    }
    this.#options.onEnded(ended);
  }

  #refuse(line: number, error: unknown): void {
    this.tally.refused += 1;
    this.#options.onRefused(line, error);
  }

  #release(id: string): void {
    const open = this.#open.get(id)!;
    open.lines -= 1;
    if (open.lines === 0) this.#open.delete(id);
    this.#held -= 1;
    this.#roomy?.();
  }

  /** Resolves when a line is done with, or the feed stops. */
  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#roomy = resolve;
    });
  }

  /** Resolves when a task has ended, after `ms` at the latest, or when the feed stops. */
  #anEnd(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const again = (): void => {
        cancel();
        this.#again.delete(again);
        resolve();
      };
      const cancel = this.#options.after(ms, again);
      this.#again.add(again);
    });
  }
}

/** What to do with a line whose submission was rejected. */
function reactionTo(error: unknown): 'closing' | 'refuse' | 'fail' | { readonly retryAfterMs: number } {
  const { code, retryable, detail } = (error ?? {}) as { code?: unknown; retryable?: unknown; detail?: { retryAfterMs?: number } };
  if (code === 'DROVER_FLEET_CLOSED') return 'closing';
  if (code === 'DROVER_FLEET_FULL') return { retryAfterMs: detail?.retryAfterMs ?? STORE_RETRY_MS };
  // The store may have the task or not: the same id may be submitted again.
  if (typeof code === 'string' && code.startsWith('DROVER_STORE_') && code !== 'DROVER_STORE_INPUT') {
    return retryable === true ? { retryAfterMs: STORE_RETRY_MS } : 'fail';
  }
  return 'refuse';
}
