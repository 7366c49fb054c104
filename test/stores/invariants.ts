/** What is true after every command, whatever the model says: looked at in an adapter's own answers. */
import { expect } from 'vitest';
import type {
  ClaimedTask,
  Held,
  LockWant,
  Settlement,
  SettleOutcome,
  StartOutcome,
  Steering,
  Store,
  TaskCounts,
  TaskRecord,
} from '../../actors/ports/store.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import { overlap } from './model-locks.ts';

export class Invariants {
  readonly #fences = new Map<string, number>();
  /** Of tasks that were forgotten. */
  readonly #formerFences = new Map<string, number>();
  readonly #completed = new Set<string>();
  /** By an operator: such a one goes on, whatever has become of its parent. */
  readonly #putBack = new Set<string>();
  readonly #starts = new Map<string, { readonly locks: readonly LockWant[]; readonly token: number }>();
  #lastToken = 0;

  /** S3: fences only grow. */
  claimed(tasks: readonly ClaimedTask[]): void {
    for (const { id, fence } of tasks) {
      expect(fence, `S3: the fence of ${id}`).toBeGreaterThan(this.#fences.get(id) ?? this.#formerFences.get(id) ?? 0);
      this.#fences.set(id, fence);
    }
  }

  /** S3 for locks: each start's token is greater than every one before. */
  started(items: readonly Held[], outcomes: readonly StartOutcome[]): void {
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.at !== 'started') continue;
      const run = `${items[at]!.fence} ${items[at]!.id}`;
      const known = this.#starts.get(run);
      if (known === undefined && outcome.lockFence !== 0) {
        expect(outcome.lockFence, 'S3: the token of locks').toBeGreaterThan(this.#lastToken);
        this.#lastToken = outcome.lockFence;
      } else if (known !== undefined) expect(outcome.lockFence).toBe(known.token);
      this.#starts.set(run, { locks: outcome.lockFence === 0 ? [] : outcome.locks, token: outcome.lockFence });
    }
  }

  /** S2: at most one committed completion. */
  settled(items: readonly Settlement[], outcomes: readonly SettleOutcome[]): void {
    for (const [at, { id, outcome }] of items.entries()) {
      const answer = outcomes[at]!;
      if (outcome.at !== 'completed' || answer.at !== 'settled' || answer.status !== 'completed') continue;
      expect(this.#completed.has(id), `S2: ${id} has completed before`).toBe(false);
      this.#completed.add(id);
    }
  }

  /** All but these: who comes under such an id is another task, and his fences are greater. */
  forgot(left: readonly string[]): void {
    for (const [id, fence] of this.#fences) {
      if (left.includes(id)) continue;
      this.#formerFences.set(id, fence);
      for (const known of [this.#fences, this.#completed, this.#putBack]) known.delete(id);
    }
  }

  steered(items: readonly Steering[]): void {
    for (const { id, action } of items) if (action === 'requeue') this.#putBack.add(id);
  }

  /** `unused`: those whose rows need not tell of their last claim. */
  async look(store: Store, unused: ReadonlySet<string> = new Set()): Promise<readonly TaskRecord[]> {
    const tasks = await store.list({ limit: 1_000 });
    expect(new Set(tasks.map(({ id }) => id)).size, 'S13: each task is there once').toBe(tasks.length);
    countsAgree(tasks, await store.counts());
    this.#noTwoWriters(tasks);
    keysAreKept(tasks);
    this.#familiesAreClosed(tasks);
    for (const { id, fence } of tasks) {
      const last = this.#fences.get(id) ?? 0;
      if (unused.has(id)) expect(fence, `S3: the fence of ${id}`).toBeLessThanOrEqual(last);
      else expect(fence, `S3: the fence of ${id}`).toBe(last);
    }
    for (const id of this.#completed) expect(tasks.find((task) => task.id === id)?.status, `S2: ${id}`).toBe('completed');
    return tasks;
  }

  /** Nobody goes on for a task that has ended without success, but to be undone or to let go. */
  #familiesAreClosed(tasks: readonly TaskRecord[]): void {
    for (const { id, parentId, status, undone, noted } of tasks) {
      if (isTerminal(status) || undone || noted === 'cancel' || this.#putBack.has(id)) continue;
      const parent = tasks.find((task) => task.id === parentId);
      const isAsked = parent === undefined || parent.status === 'completed' || parent.kept || !isTerminal(parent.status);
      expect(isAsked, `${id} is asked by nobody`).toBe(true);
    }
  }

  /** S10: no two runs hold what excludes one another. */
  #noTwoWriters(tasks: readonly TaskRecord[]): void {
    const running = tasks.flatMap(({ id, fence, status }) => {
      const start = status === 'running' ? this.#starts.get(`${fence} ${id}`) : undefined;
      return start === undefined ? [] : [{ id, locks: start.locks }];
    });
    for (const [at, a] of running.entries())
      for (const b of running.slice(at + 1)) expect(overlap(a.locks, b.locks), `S10: ${a.id} and ${b.id}`).toEqual([]);
  }
}

/** S14: what was submitted is in exactly one place, and the counts say where. */
function countsAgree(tasks: readonly TaskRecord[], counts: Readonly<Record<string, TaskCounts>>): void {
  const counted = Object.entries(counts).flatMap(([kind, by]) =>
    Object.entries(by).map(([status, n]): [string, number] => [`${kind} ${status}`, n]),
  );
  for (const [place, n] of counted)
    expect(tasks.filter(({ kind, status }) => `${kind} ${status}` === place).length, `S14: ${place}`).toBe(n);
  expect(
    counted.reduce((sum, [, n]) => sum + n, 0),
    'S14',
  ).toBe(tasks.length);
}

/** S13: of one key there is one that could run, and nobody older that does not wait for somebody else. */
function keysAreKept(tasks: readonly TaskRecord[]): void {
  for (const key of new Set(tasks.map(({ orderKey }) => orderKey))) {
    if (key === null) continue;
    const line = tasks.filter((task) => task.orderKey === key && !isTerminal(task.status) && !runsOnBehalf(task, tasks));
    const able = line.filter(({ status }) => status === 'queued' || status === 'leased' || status === 'running');
    expect(able.length, `order key ${key}: ${able.map(({ id }) => id).join(' ')}`).toBeLessThanOrEqual(1);
    const waiting = line.find(({ parkedFor }) => parkedFor === null || !['child', 'event', 'approval'].includes(parkedFor));
    expect(waiting?.parkedFor === 'order' && able.length === 0, `order key ${key}: nobody lets ${waiting?.id} go`).toBe(false);
  }
}

function runsOnBehalf(task: TaskRecord, tasks: readonly TaskRecord[]): boolean {
  for (let above = parentOf(task, tasks); above !== undefined; above = parentOf(above, tasks))
    if (above.orderKey === task.orderKey) return true;
  return false;
}

function parentOf(task: TaskRecord, tasks: readonly TaskRecord[]): TaskRecord | undefined {
  return tasks.find(({ id }) => id === task.parentId);
}
