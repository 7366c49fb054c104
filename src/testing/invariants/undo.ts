/** Invariant of compensation: what was registered is undone, in reverse, before the task ends. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';

const REGISTERED = 'compensate:';
const UNDONE = 'undo:';

interface Registry {
  /** Names, in the order in which they were registered. */
  readonly names: string[];
  /** Those that have been undone, in that order. */
  readonly undone: string[];
  undoing: boolean;
}

export const UNDO: Invariant = {
  name: 'undo',
  promise: 'a task that ends badly has had every registered compensation made once, in reverse, before its end',
  check(_topology, broken) {
    const registries = new Map<string, Registry>();
    const registered = (id: string, name: string): void => {
      let its = registries.get(id);
      if (its === undefined) registries.set(id, (its = { names: [], undone: [], undoing: false }));
      if (its.undoing) broken(`${id} registers ${name} while it is being undone`);
      if (!its.names.includes(name)) its.names.push(name);
    };
    const undone = (id: string, name: string): void => {
      const its = registries.get(id);
      const next = its?.names.at(-1 - its.undone.length);
      // Remembered again, after nobody knew whether it had been.
      if (its?.undone.includes(name) === true) return;
      if (its === undefined || !its.undoing) broken(`${id} undoes ${name}, and is not to be undone`);
      else if (name !== next) broken(`${id} undoes ${name}, and ${next ?? 'nothing'} comes next`);
      else its.undone.push(name);
    };
    const ended = (id: string, how: string): void => {
      const its = registries.get(id);
      registries.delete(id);
      if (its !== undefined && its.undone.length < its.names.length)
        broken(`${id} ended ${how}, and ${its.names.length - its.undone.length} of its compensations were not made`);
    };
    return {
      'store.remembered': ({ item: { id, place, failed } }) => {
        if (failed === true) return;
        if (place.startsWith(REGISTERED)) registered(id, place.slice(REGISTERED.length));
        if (place.startsWith(UNDONE)) undone(id, place.slice(UNDONE.length));
      },
      'store.started': ({ held: { id }, start: { undo } }) => {
        const its = registries.get(id);
        if (its !== undefined) its.undoing = undo !== null;
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        if (asked.at === 'retry' && asked.forget === 'everything') registries.delete(id);
        if (!isTerminal(status)) return;
        // One whose compensation fails for good is dead, and says which it was.
        const failedToUndo = status === 'dead' && registries.get(id)?.undoing === true && asked.at !== 'undone';
        if (status === 'completed' || failedToUndo) registries.delete(id);
        else ended(id, status);
      },
      'store.expired': ({ held: { id, status } }) => {
        if (!isTerminal(status)) return;
        if (registries.get(id)?.undoing === true && status === 'dead') registries.delete(id);
        else ended(id, status);
      },
      'store.ended': ({ id, status }) => {
        if (registries.get(id)?.undoing === true && status === 'dead') registries.delete(id);
        else ended(id, status);
      },
    };
  },
};
