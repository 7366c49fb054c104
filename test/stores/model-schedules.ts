/** Schedules of the model. */
import type { Firing, Schedule } from '../../actors/ports/store.ts';

export class ScheduleModel {
  #schedules: Schedule[] = [];

  put(items: readonly { readonly name: string; readonly plan: string; readonly nextAtMs: number }[]): void {
    for (const item of items) {
      const known = this.#schedules.find(({ name }) => name === item.name);
      const { lastId, lastAtMs } = known ?? { lastId: null, lastAtMs: null };
      this.remove([item.name]);
      this.#schedules.push({ ...item, lastId, lastAtMs });
    }
  }

  remove(names: readonly string[]): void {
    this.#schedules = this.#schedules.filter(({ name }) => !names.includes(name));
  }

  all(): Schedule[] {
    return this.#schedules.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whether it was due at that time still. */
  fire({ name, atMs, nextAtMs, tasks }: Firing): boolean {
    const due = this.#schedules.find((schedule) => schedule.name === name && schedule.nextAtMs === atMs);
    if (due === undefined) return false;
    this.remove([name]);
    this.#schedules.push({ ...due, nextAtMs, lastId: tasks.at(-1)?.id ?? due.lastId, lastAtMs: atMs });
    return true;
  }
}
