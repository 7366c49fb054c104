/** Invariant of compensation: what was registered is undone, in reverse, before the task ends. */
import { isTerminal } from '../../../actors/ports/store.ts';
import type { TaskStatus } from '../../../actors/ports/store.ts';
import type { Invariant } from './invariant.ts';
import { unmarked } from './marks.ts';

const REGISTERED = 'compensate:';
const UNDONE = 'undo:';

interface Registry {
  /** Names, in the order in which they were registered: side by side they may be remembered in another one. */
  readonly names: string[];
  /** By name: the how manieth it was. */
  readonly numbers: Map<string, number>;
  /** By name: which version of the code has registered it; undefined: that of the task. */
  readonly versions: Map<string, string | undefined>;
  /** Those that have been undone, in that order. */
  readonly undone: string[];
  undoing: boolean;
  /** It is to stay as it is until somebody puts it back or cancels it. */
  kept: boolean;
  /** What the present run has undone, and whether it has left out what was to be undone before that. */
  present: string[];
  leftOut: string | undefined;
}

function newRegistry(): Registry {
  return { names: [], numbers: new Map(), versions: new Map(), undone: [], undoing: false, kept: false, present: [], leftOut: undefined };
}

export const UNDO: Invariant = {
  name: 'undo',
  promise:
    'a task that ends badly has had every registered compensation made, in reverse, before its end; or it is dead for what failed, or kept as it stands and nothing of it undone',
  check(_topology, broken) {
    const registries = new Map<string, Registry>();
    const registered = (id: string, name: string, version: string | undefined, number: number): void => {
      let its = registries.get(id);
      if (its === undefined) registries.set(id, (its = newRegistry()));
      if (its.undoing) broken(`${id} registers ${name} while it is being undone`);
      if (its.names.includes(name)) return;
      const later = its.names.findIndex((other) => its.numbers.get(other)! > number);
      its.names.splice(later < 0 ? its.names.length : later, 0, name);
      its.numbers.set(name, number);
      its.versions.set(name, version);
    };
    const undone = (id: string, name: string): void => {
      const its = registries.get(id);
      // Remembered again, after nobody knew whether it had been.
      if (its?.undone.includes(name) === true) return;
      if (its === undefined || !its.undoing) return broken(`${id} undoes ${name}, and is not to be undone`);
      const place = its.names.indexOf(name);
      // What two versions have registered is undone in the order of the code that undoes, which may have put the newer one first.
      const isComparable = (other: string): boolean => its.versions.get(other) === its.versions.get(name);
      const former = its.present.find((other) => its.names.indexOf(other) < place && isComparable(other));
      if (former !== undefined) broken(`${id} undoes ${name}, and ${former} was undone before it`);
      its.present.push(name);
      its.leftOut ??= its.names.slice(place + 1).findLast((later) => !its.undone.includes(later) && isComparable(later));
      its.undone.push(name);
    };
    const ended = (id: string, status: TaskStatus): void => {
      const its = registries.get(id);
      if (its === undefined) return;
      // What could not be undone is kept, and may be put back.
      if (its.undoing && status === 'dead' && its.undone.length < its.names.length) return;
      registries.delete(id);
      if (its.undone.length < its.names.length)
        broken(`${id} ended ${status}, and ${its.names.length - its.undone.length} of its compensations were not made`);
    };
    return {
      'store.remembered': ({ item: { id, place: stored, failed, version, value } }) => {
        if (failed === true) return;
        const place = unmarked(stored);
        if (place.startsWith(REGISTERED)) registered(id, place.slice(REGISTERED.length), version, Number(value));
        if (place.startsWith(UNDONE)) undone(id, place.slice(UNDONE.length));
      },
      'store.started': ({ held: { id }, start: { undo } }) => {
        const its = registries.get(id);
        if (undo !== null && undo.status !== 'cancelled' && its?.kept === true) broken(`${id} is undone, and is kept as it stands`);
        if (its !== undefined) Object.assign(its, { undoing: undo !== null, present: [], leftOut: undefined });
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        const its = registries.get(id);
        if (asked.at === 'retry' && its?.leftOut !== undefined)
          broken(`${id} is tried again, and has undone what comes after ${its.leftOut}`);
        if (asked.at === 'retry' && asked.forget === 'everything') registries.delete(id);
        const keeps = asked.at === 'failed' && asked.keeps === true;
        if (keeps && its?.undoing === true) broken(`${id} is kept as it stands, and is being undone`);
        if (keeps && its !== undefined) its.kept = true;
        if (!isTerminal(status) || (keeps && status === 'failed')) return;
        if (status === 'completed') registries.delete(id);
        else if (asked.at === 'undone' && its !== undefined && its.undone.length < its.names.length)
          broken(`${id} is said to be undone, and ${its.names.length - its.undone.length} of its compensations were not made`);
        else ended(id, status);
      },
      'store.steered': ({ steering: { id, action } }) => {
        const its = registries.get(id);
        if (its !== undefined && action === 'requeue') its.kept = false;
      },
      'store.expired': ({ held: { id, status } }) => {
        if (isTerminal(status)) ended(id, status);
      },
      'store.ended': ({ id, status }) => ended(id, status),
      'store.forgot': ({ id }) => void registries.delete(id),
    };
  },
};
