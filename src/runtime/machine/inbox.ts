/**
 * Inbox: the outside events of a machine. One is taken when a state is active that has a transition for
 * it, in the order in which those of its name were told; until then it waits, as it would for
 * `ctx.waitFor`. A wait is not given up when that state is left: what it takes is then held until the
 * next such state, in this run or, because it is remembered, in a later one.
 */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import type { Run } from '../run.ts';
import { nodesOf } from '../../topology/machine.ts';
import { Invocation } from './invocation.ts';

/** As if it were an invocation of its own: no id has this text, for all of those end with a number. */
const LABEL = 'machine';

export interface InboxOptions {
  readonly run: Run;
  readonly machine: AnyStateMachine;
  /** How many of each name have been taken. */
  readonly taken: Record<string, number>;
  /** One has come: look. */
  readonly onCome: () => void;
  readonly onError: (error: unknown) => void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #waits: Invocation;
  /** The events that the machine may take. */
  readonly #names: readonly string[];
  readonly #waiting = new Set<string>();
  /** Taken off the line, and not given to the machine. */
  readonly #held = new Map<string, unknown>();

  constructor(options: InboxOptions) {
    this.#options = options;
    const { run, machine, taken } = options;
    const counts = Object.entries(taken).map(([name, count]) => [`wait:${name}`, count] as const);
    this.#waits = new Invocation({ run, label: LABEL, counts });
    const nodes = [...nodesOf(machine.root)];
    this.#names = run.plan.events.filter((name) => nodes.some((node) => takes(node, name)));
  }

  /** One has been told since the run began: only the next run sees it. */
  get isTold(): boolean {
    return this.#waits.isTold;
  }

  /** Whether the machine takes any event where it is. */
  isOpen(root: AnyActorRef): boolean {
    const { _nodes: nodes } = root.getSnapshot() as AnyMachineSnapshot;
    return this.#names.some((name) => nodes.some((node) => takes(node, name)));
  }

  /** Begins to wait for what the machine takes now. Returns one that has come already. */
  look(root: AnyActorRef): { readonly type: string } | undefined {
    const { _nodes: nodes } = root.getSnapshot() as AnyMachineSnapshot;
    for (const name of this.#names) {
      if (!nodes.some((node) => takes(node, name))) continue;
      if (this.#held.has(name)) return this.#give(name);
      if (!this.#waiting.has(name)) this.#wait(name);
    }
    return undefined;
  }

  #wait(name: string): void {
    const { onCome, onError } = this.#options;
    this.#waiting.add(name);
    this.#waits.waitFor(name).then((payload: unknown) => {
      this.#waiting.delete(name);
      this.#held.set(name, payload);
      onCome();
    }, onError);
  }

  #give(name: string): { readonly type: string } {
    const payload = this.#held.get(name);
    this.#held.delete(name);
    const { taken } = this.#options;
    taken[name] = (taken[name] ?? 0) + 1;
    const fields =
      typeof payload === 'object' && payload !== null && !Array.isArray(payload)
        ? payload
        : payload === undefined
          ? {}
          : { value: payload };
    return { ...fields, type: name };
  }
}

/** Whether a state has a transition for it; `*` is anything, `paid.*` is `paid` and all that begins with `paid.`. */
function takes(node: AnyStateMachine['root'], name: string): boolean {
  return node.ownEvents.some(
    (descriptor: string) =>
      descriptor === '*' || descriptor === name || (descriptor.endsWith('.*') && `${name}.`.startsWith(descriptor.slice(0, -1))),
  );
}
