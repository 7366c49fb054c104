/**
 * Former names: a record that other code has left, in the names that the present machine has for the same. XState names what
 * has no id of its own after a state, and a state after its machine and its path: invocations, logics without a name, delays,
 * histories. So a machine that only gets another id would find none of them. They are found again by the path of their state:
 *
 *     0.(machine).asking   ─▶   0.letter.asking        xstate.after.600.(machine).asking   ─▶   xstate.after.600.letter.asking
 *
 * What an operation has brought stays where it is remembered (`former` of the record): nothing is done anew under a new name.
 */
import type { AnyStateMachine } from 'xstate';
import { isMachine, logicOf, nodesOf } from '../../topology/machine.ts';
import type { ActorPath } from './actors.ts';
import { presentDelays } from './after.ts';
import { activeNodes, knownAs, placeOf, stateNamed } from './record.ts';
import type { KeptSnapshot, MachineRecord, StateNode } from './record.ts';

export function inPresentNames(machine: AnyStateMachine, record: MachineRecord): MachineRecord {
  const renaming = new Renaming(record);
  const snapshot = renaming.snapshot(machine, record.snapshot, []);
  const timers = record.timers.map((timer) => ({ ...timer, source: renaming.path(timer.source), target: renaming.path(timer.target) }));
  const undoable = record.undoable.map((kept) => ({ ...kept, sources: sourcesIn(machine, kept.sources) }));
  const { former } = renaming;
  return {
    ...record,
    snapshot,
    timers: presentDelays(machine, snapshot, timers),
    undoable,
    ...(Object.keys(former).length === 0 ? {} : { former }),
  };
}

class Renaming {
  readonly #record: MachineRecord;
  readonly former: Record<string, string>;
  /** Present ids, by the place that the record has. */
  readonly #ids = new Map<string, string>();

  constructor(record: MachineRecord) {
    this.#record = record;
    this.former = { ...record.former };
  }

  path(kept: ActorPath): ActorPath {
    return kept.map((id, at) => this.#ids.get(placeOf(kept.slice(0, at + 1))) ?? id);
  }

  snapshot(machine: AnyStateMachine, kept: KeptSnapshot, path: ActorPath): KeptSnapshot {
    const active = [...activeNodes(machine.root, kept.value)];
    const children = Object.entries(kept.children).map(([id, child]) => {
      const src = sourceIn(active, child.src);
      const to = invocationIn(active, id, src, kept.children);
      if (to !== id) this.#rename(path, id, to);
      const logic = logicOf(machine, src);
      const inner = isMachine(logic) ? this.snapshot(logic, child.snapshot as KeptSnapshot, [...path, id]) : child.snapshot;
      return [to, { ...child, src, snapshot: inner }] as const;
    });
    return { ...kept, children: Object.fromEntries(children), ...historyIn(machine, kept) };
  }

  #rename(path: ActorPath, id: string, to: string): void {
    const { former } = this.#record;
    const known = knownAs(former, [...path, id]);
    this.#ids.set(placeOf([...path, id]), to);
    const within = knownAs(former, path);
    const placed = (name: string): string => (path.length === 0 ? placeOf([name]) : `${within}/${placeOf([name])}`);
    delete this.former[placed(id)];
    if (placed(to) === known) delete this.former[known];
    else this.former[placed(to)] = known;
  }
}

/** The logic at the end of these may be of a state that has been left. */
function sourcesIn(machine: AnyStateMachine, sources: readonly string[]): readonly string[] {
  let within: unknown = machine;
  return sources.map((source) => {
    if (!isMachine(within)) return source;
    const src = sourceIn([...nodesOf(within.root)], source);
    within = logicOf(within, src);
    return src;
  });
}

/** As the present machine calls a logic: one without a name is called after the state that invokes it. */
function sourceIn(nodes: readonly StateNode[], src: string): string {
  const [, at, id] = /^xstate\.invoke\.(\d+)\.(.*)$/s.exec(src) ?? [];
  const node = id === undefined ? undefined : stateNamed(nodes, id);
  return node === undefined || node.id === id ? src : ((node.invoke[Number(at)]?.src as string | undefined) ?? src);
}

/** As the present machine calls an invocation: one without an id is called after its state. */
function invocationIn(active: readonly StateNode[], id: string, src: string, others: KeptSnapshot['children']): string {
  if (active.some(({ invoke }) => invoke.some((invoked) => invoked.id === id))) return id;
  const [, at, of] = /^(\d+)\.(.*)$/s.exec(id) ?? [];
  const invoked = of === undefined ? undefined : stateNamed(active, of)?.invoke[Number(at)];
  return invoked !== undefined && invoked.src === src && !Object.hasOwn(others, invoked.id) ? invoked.id : id;
}

/** What it names lies beside the history itself. */
function historyIn(machine: AnyStateMachine, { historyValue }: KeptSnapshot): Pick<KeptSnapshot, 'historyValue'> {
  if (historyValue === undefined) return {};
  const nodes = [...nodesOf(machine.root)];
  const histories = nodes.filter(({ type }) => type === 'history');
  const entries = Object.entries(historyValue).map(([key, states]) => {
    const history = stateNamed(histories, key);
    if (history === undefined || history.id === key) return [key, states] as const;
    const formerly = key.slice(0, -history.path.join('.').length);
    const presentOf = (id: string): string => nodes.find(({ path }) => formerly + path.join('.') === id)?.id ?? id;
    return [history.id, states.map((state) => ({ ...state, id: presentOf(state.id) }))] as const;
  });
  return { historyValue: Object.fromEntries(entries) };
}
