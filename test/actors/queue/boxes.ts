/** Boxes: what a store does for a queue that spills, command by command in the order of their box. */
import type { ActorId } from '../../../actors/kernel/effects.ts';
import type { ClaimedTask } from '../../../actors/ports/store.ts';

type Command =
  | { readonly at: 'spill'; readonly tasks: readonly ClaimedTask[] }
  | { readonly at: 'claim'; readonly limit: number }
  | { readonly at: 'unbox' };

export interface Fetched {
  readonly box: ActorId;
  readonly asked: number;
  readonly tasks: readonly ClaimedTask[];
}

export class Boxes {
  readonly #waiting = new Map<ActorId, ClaimedTask[]>();
  readonly #commands = new Map<ActorId, Command[]>();

  give(box: ActorId, command: Command): void {
    this.#commands.set(box, [...(this.#commands.get(box) ?? []), command]);
  }

  /** Boxes that somebody has asked for something of. */
  get asked(): readonly ActorId[] {
    return [...this.#commands].flatMap(([box, commands]) => (commands.some(({ at }) => at === 'claim') ? [box] : []));
  }

  /** How many claims of this box are under way. */
  claimsOf(box: ActorId): number {
    return (this.#commands.get(box) ?? []).filter(({ at }) => at === 'claim').length;
  }

  /** Does what this box was told, up to the next claim, and answers that one. @param unboxed hears what is for everybody again. */
  answer(box: ActorId, unboxed: (task: ClaimedTask) => void): Fetched | undefined {
    const commands = this.#commands.get(box) ?? [];
    const held = this.#waiting.get(box) ?? [];
    this.#waiting.set(box, held);
    for (let command = commands.shift(); command !== undefined; command = commands.shift()) {
      if (command.at === 'spill') held.push(...command.tasks);
      else if (command.at === 'unbox') held.splice(0).forEach(unboxed);
      else return { box, asked: command.limit, tasks: held.splice(0, command.limit) };
    }
    return undefined;
  }

  /** An operator cancels what waits in a box. */
  cancel(is: (task: ClaimedTask) => boolean): readonly ClaimedTask[] {
    const gone: ClaimedTask[] = [];
    for (const held of this.#waiting.values()) {
      gone.push(...held.filter(is));
      held.splice(0, held.length, ...held.filter((task) => !is(task)));
    }
    return gone;
  }

  /** Boxes that would still hold something if every command had been done. */
  get lasting(): readonly ActorId[] {
    return [...this.#commands].flatMap(([box, commands]) => {
      let left = this.#waiting.get(box)?.length ?? 0;
      for (const command of commands) {
        if (command.at === 'spill') left += command.tasks.length;
        else left = command.at === 'unbox' ? 0 : Math.max(0, left - command.limit);
      }
      return left > 0 ? [box] : [];
    });
  }
}
