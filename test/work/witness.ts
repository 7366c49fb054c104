/**
 * Witness: what is seen of runs by the world outside, which no crash of the fleet reaches. It knows nothing of the store,
 * and says at once what must never be seen.
 */
import type { Program } from './programs.ts';

export type Promised = 'S1' | 'S2' | 'S3' | 'S4' | 'S10' | 'S13' | 'S14' | 'L1' | 'L2' | 'L5' | 'undo' | 'family' | 'end';

/** A promise that was not kept. */
export class BrokenError extends Error {
  readonly promise: Promised;
  constructor(promise: Promised, what: string) {
    super(`${promise}: ${what}`);
    this.promise = promise;
  }
}

/** A run that may have effects. */
interface Live {
  readonly id: string;
  readonly fence: number;
  readonly writes: Set<string>;
  readonly reads: ReadonlySet<string>;
  readonly key: string | undefined;
}

export class Witness {
  readonly broken: BrokenError[] = [];
  /** Values that operations gave to a run, by task and operation. */
  readonly given = new Map<string, string>();
  /** Compensations that a task has registered, in order. */
  readonly registered = new Map<string, string[]>();
  /** Compensations that were made, in order of their first time. */
  readonly undone = new Map<string, string[]>();
  /** Tasks that were rejected once already. */
  readonly rejected = new Set<string>();
  /** Order keys: tasks in order of their first start. */
  readonly started = new Set<string>();
  executions = 0;
  /** What compensations need is there again. */
  isMended = false;
  /** Tasks that were put back, to be undone: those of which something could not be. */
  readonly putBack = new Set<string>();
  readonly #failedOnce = new Set<string>();
  readonly #live = new Set<Live>();
  readonly #tokens = new Map<string, number>();
  /** Told when a task starts for the first time. */
  onFirstStart: ((id: string, program: Program) => void) | undefined;

  breaks(promise: Promised, what: string): void {
    this.broken.push(new BrokenError(promise, what));
  }

  /** A run begins; the answer ends it. */
  enters(task: { readonly id: string; readonly fence: number; readonly lockFence: number }, program: Program): Live {
    const { id, fence, lockFence } = task;
    const live: Live = { id, fence, writes: new Set(program.writes), reads: new Set(program.reads), key: program.key };
    for (const other of this.#live) {
      if (other.id === id) this.breaks('S13', `${id} runs under fence ${other.fence} and ${fence} at a time`);
      else if (live.key !== undefined && live.key === other.key) this.breaks('S13', `${id} and ${other.id} of ${live.key} run at a time`);
    }
    this.#lookForConflicts(live);
    for (const row of live.writes) {
      const last = this.#tokens.get(row) ?? 0;
      if (lockFence <= last) this.breaks('S3', `${id} has ${row} under token ${lockFence}, after ${last}`);
      this.#tokens.set(row, Math.max(last, lockFence));
    }
    this.#live.add(live);
    if (!this.started.has(id)) {
      this.started.add(id);
      this.onFirstStart?.(id, program);
    }
    return live;
  }

  leaves(live: Live): void {
    this.#live.delete(live);
  }

  widens(live: Live, rows: readonly string[]): void {
    if (!this.#live.has(live)) return;
    for (const row of rows) live.writes.add(row);
    this.#lookForConflicts(live);
  }

  /** The process is gone, and its runs with it. */
  allGone(): void {
    this.#live.clear();
  }

  /** An operation has brought `value`: the same in every run of the task. */
  gets(id: string, op: string, value: string): void {
    const place = `${id} ${op}`;
    const before = this.given.get(place);
    if (before !== undefined && before !== value) this.breaks('S4', `${place} brought ${before}, and then ${value}`);
    this.given.set(place, value);
  }

  registers(id: string, name: string): void {
    append(this.registered, id, name);
  }

  /** @throws as the program says */
  triesToUndo(id: string, name: string, fails: 'once' | 'until mended' | undefined): void {
    const place = `${id} ${name}`;
    if (fails === 'until mended' && !this.isMended) throw new Error(`${place} cannot be undone yet`);
    if (fails !== 'once' || this.#failedOnce.has(place)) return;
    this.#failedOnce.add(place);
    throw new Error(`${place} is not undone at the first time`);
  }

  undoes(id: string, name: string): void {
    // What could not be undone in its time is when it is put back: nobody waits for that.
    if (!this.putBack.has(id)) {
      for (let above = parentOf(id); above !== undefined; above = parentOf(above))
        if (this.undone.has(above)) this.breaks('undo', `${id} is undone (${name}), and ${above}, which asked for it, was before`);
    }
    append(this.undone, id, name);
  }

  #lookForConflicts(live: Live): void {
    for (const other of this.#live) {
      if (other === live || other.id === live.id) continue;
      const rows = [...live.writes].filter((row) => other.writes.has(row) || other.reads.has(row));
      rows.push(...[...other.writes].filter((row) => live.reads.has(row)));
      if (rows.length > 0) this.breaks('S10', `${live.id} and ${other.id} have ${rows.join(', ')} at a time`);
    }
  }
}

/** The task that asked for it. */
function parentOf(id: string): string | undefined {
  const at = id.lastIndexOf('/');
  return at < 0 ? undefined : id.slice(0, at);
}

/** Each name once. */
function append(lists: Map<string, string[]>, id: string, name: string): void {
  const list = lists.get(id) ?? [];
  if (!list.includes(name)) list.push(name);
  lists.set(id, list);
}
