/** Endings: a task has ended; whoever waits for it, observers and sums are told. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { ChildRecord, TaskRecord, TaskStatus } from '../../../actors/ports/store.ts';
import type { Run } from '../run.ts';
import { readErrorRecord } from '../task-error.ts';
import { refOf } from './core.ts';
import type { EngineCore } from './core.ts';

interface Named {
  readonly id: string;
  readonly kind: string;
}

export class Endings {
  readonly #core: EngineCore;
  /** Told first of each end. */
  readonly #onEnded: (id: string) => void;

  constructor(core: EngineCore, onEnded: (id: string) => void) {
    this.#core = core;
    this.#onEnded = onEnded;
  }

  completed(id: string, result: string | null, run: Run, atMs: number): void {
    const { plan, worker, startedMs, quality, task } = run;
    this.#core.stats.completed += 1;
    const scored = quality === undefined ? {} : { quality };
    this.#core.emit('task.completed', () => ({
      id,
      kind: plan.kind,
      atMs,
      attempt: task.attempt,
      ms: atMs - startedMs,
      worker,
      ...scored,
    }));
    this.tell({ id, place: '', status: 'completed', result, error: null });
  }

  /** It has ended without a result. */
  ended(task: Named, status: TaskStatus, error: string | null): void {
    const atMs = this.#core.nowMs();
    if (status === 'failed' || status === 'dead') {
      this.#core.stats[status] += 1;
      this.#core.emit('task.failed', () => ({ ...refOf(task), atMs, status, error: readErrorRecord(error) }));
    } else if (status === 'cancelled') {
      this.#core.stats.cancelled += 1;
      this.#core.emit('task.cancelled', () => ({ ...refOf(task), atMs }));
    }
    this.tell({ id: task.id, place: '', status, result: null, error });
  }

  /** As the store has it; nothing when it has not ended. */
  found(task: TaskRecord): void {
    if (!isTerminal(task.status)) return;
    if (task.status !== 'completed') return this.ended(task, task.status, task.error);
    this.tell({ id: task.id, place: '', status: task.status, result: task.result, error: null });
  }

  /** Only those who wait for it: observers know. */
  tell(child: ChildRecord): void {
    this.#onEnded(child.id);
    this.#core.listeners.tell(child);
  }
}
