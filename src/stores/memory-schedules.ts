/** MemorySchedules: recurring tasks. The store knows when each is due next and no more. */
import type { Firing, Schedule, Store } from '../../actors/ports/store.ts';
import { byCodePoints } from './code-points.ts';

export class MemorySchedules {
  readonly #schedules = new Map<string, Schedule>();
  /** None is due before this. */
  #nextAtMs = Infinity;

  /** When the next one is due that is not yet; Infinity: none is. */
  nextAfter(nowMs: number): number {
    if (nowMs < this.#nextAtMs) return this.#nextAtMs;
    let nextAtMs = Infinity;
    for (const schedule of this.#schedules.values()) if (schedule.nextAtMs > nowMs) nextAtMs = Math.min(nextAtMs, schedule.nextAtMs);
    return nextAtMs;
  }

  put(items: Parameters<Store['putSchedules']>[0]): void {
    for (const { name, plan, nextAtMs } of items) {
      const { lastId = null, lastAtMs = null } = this.#schedules.get(name) ?? {};
      this.#schedules.set(name, { name, plan, nextAtMs, lastId, lastAtMs });
    }
    this.#look();
  }

  remove(names: readonly string[]): void {
    for (const name of names) this.#schedules.delete(name);
    this.#look();
  }

  /** By name. */
  list(): readonly Schedule[] {
    return [...this.#schedules.values()].toSorted((a, b) => byCodePoints(a.name, b.name));
  }

  /** By time, then by name. */
  due(nowMs: number): readonly Schedule[] {
    if (nowMs < this.#nextAtMs) return [];
    return this.list()
      .filter(({ nextAtMs }) => nextAtMs <= nowMs)
      .toSorted((a, b) => a.nextAtMs - b.nextAtMs);
  }

  /** Whether it was due at that time still. */
  fire({ name, atMs, nextAtMs, tasks }: Firing): boolean {
    const schedule = this.#schedules.get(name);
    if (schedule?.nextAtMs !== atMs) return false;
    this.#schedules.set(name, { ...schedule, nextAtMs, lastAtMs: atMs, lastId: tasks.at(-1)?.id ?? schedule.lastId });
    this.#look();
    return true;
  }

  #look(): void {
    this.#nextAtMs = Infinity;
    for (const { nextAtMs } of this.#schedules.values()) this.#nextAtMs = Math.min(this.#nextAtMs, nextAtMs);
  }
}
