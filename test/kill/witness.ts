/** Witness: looks at the store between two lives, and says what one of them has taken back. */
import { isTerminal } from '../../actors/ports/store.ts';
import type { Snapshot, SnapshotTask } from './snapshot.ts';

/** Keeps the store before, to compare. */
export class Witness {
  readonly violations: string[] = [];
  /** When it was seen first that a task had ended, and that an effect was remembered. */
  readonly endedAtMs = new Map<string, number>();
  readonly rememberedAtMs = new Map<string, number>();
  #before: Snapshot | undefined;
  #looks = 0;

  get looks(): number {
    return this.#looks;
  }

  /** `accepted`: ids of tasks that somebody was told are accepted. */
  look(store: Snapshot | undefined, accepted: Iterable<string>, atMs: number): void {
    this.#looks += 1;
    const say = (violation: string): void => void this.violations.push(`look ${this.#looks}: ${violation}`);
    for (const id of accepted) if (store?.tasks.has(id) !== true) say(`task ${id}: was accepted and is not there`);
    if (store === undefined) {
      if (this.#before !== undefined) say('the store is gone');
      return;
    }
    for (const kind of store.miscounted) say(`kind ${kind}: the store counts its tasks wrongly`);
    if (this.#before !== undefined) compare(this.#before, store, say);
    for (const { id, status } of store.tasks.values()) if (isTerminal(status) && !this.endedAtMs.has(id)) this.endedAtMs.set(id, atMs);
    for (const key of store.remembered) if (!this.rememberedAtMs.has(key)) this.rememberedAtMs.set(key, atMs);
    this.#before = store;
  }
}

function compare(before: Snapshot, after: Snapshot, say: (violation: string) => void): void {
  for (const task of before.tasks.values()) {
    const now = after.tasks.get(task.id);
    if (now === undefined) say(`task ${task.id}: is gone`);
    else if (now.fence < task.fence) say(`task ${task.id}: its fence was ${task.fence} and is ${now.fence}`);
    else if (isTerminal(task.status) && !isSame(task, now)) say(`task ${task.id}: had ended ${task.status} and has changed`);
  }
  if (after.epoch < before.epoch) say(`the epoch was ${before.epoch} and is ${after.epoch}`);
  if (after.token < before.token) say(`the token of locks was ${before.token} and is ${after.token}`);
  for (const [key, { version }] of before.rows) {
    const now = after.rows.get(key);
    if (now === undefined) say(`row ${key}: is gone`);
    else if (now.version < version) say(`row ${key}: its version was ${version} and is ${now.version}`);
  }
}

function isSame(task: SnapshotTask, now: SnapshotTask): boolean {
  return (['status', 'fence', 'attempt', 'losses', 'result', 'error', 'finishedMs'] as const).every((field) => task[field] === now[field]);
}
