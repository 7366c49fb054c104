/** Chart: what a machine declares, by names that a report can use. Knows XState's state nodes, and nobody else here does. */
import type { AnyEventObject, AnyMachineSnapshot, AnyStateMachine, StateValue } from 'xstate';

type Transition = ReturnType<AnyStateMachine['getTransitionData']>[number];
type StateNode = AnyStateMachine['root'];

/** One declared transition. */
export interface DeclaredTransition {
  /** Such as `idle --worker.busy--> working`; of several with the same words, the later ones are numbered. */
  readonly name: string;
  readonly definition: Transition;
}

export interface Chart {
  /** Every state but the root, as a path such as `open.asking`, parents first. */
  readonly states: readonly string[];
  readonly transitions: readonly DeclaredTransition[];
  /** Event types that some state takes, wildcards among them, but for what XState sends by itself. */
  readonly events: readonly string[];
}

const AFTER = 'xstate.after.';
const ANSWERS = ['xstate.done.actor.', 'xstate.error.actor.'];

export function chartOf(machine: AnyStateMachine): Chart {
  const nodes = allNodes(machine.root);
  const transitions: DeclaredTransition[] = [];
  const names = new Map<string, number>();
  for (const node of nodes) {
    const own = [...node.transitions.values()].flat();
    for (const definition of [...own, ...(node.always ?? [])]) {
      const targets = definition.target?.map((target) => stateName(target)).join(' + ') ?? stateName(node);
      const words = `${stateName(node)} --${eventWords(definition.eventType)}--> ${targets}`;
      const count = (names.get(words) ?? 0) + 1;
      names.set(words, count);
      transitions.push({ name: count === 1 ? words : `${words} (${count})`, definition });
    }
  }
  const events = new Set(nodes.flatMap((node) => [...node.transitions.keys()]).filter((type) => type !== '' && !isInternal(type)));
  return { states: nodes.slice(1).map((node) => stateName(node)), transitions, events: [...events] };
}

/** Whether the transition is a delayed one. */
export function isDelayed(type: string): boolean {
  return type.startsWith(AFTER);
}

/** Events that may come in this state without anybody having given a case: delays, and what invoked actors answer. */
export function ownEventsOf(snapshot: AnyMachineSnapshot): readonly string[] {
  const types = new Set(nodesOf(snapshot).flatMap((node) => node.ownEvents as readonly string[]));
  return [...types].filter((type) => !type.includes('*') && (!type.startsWith('xstate.') || isDelayed(type) || isAnswer(type)));
}

/** The transitions that the event would take in this state; none where it is not heard. */
export function transitionsOf(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: AnyEventObject): readonly Transition[] {
  return machine.getTransitionData(snapshot, event);
}

/** The names of the states that a state value is in, parents among them. */
export function statesIn(value: StateValue, prefix = ''): readonly string[] {
  if (typeof value === 'string') return value === '' ? [] : [prefix + value];
  return Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : [prefix + key, ...statesIn(inner, `${prefix + key}.`)],
  );
}

/** A state value in words: `open.asking`, or `a.x + b.y` of parallel ones. */
export function valueWords(value: StateValue): string {
  const all = statesIn(value);
  return all.filter((name) => !all.some((other) => other.startsWith(`${name}.`))).join(' + ') || '(root)';
}

/** An event in words: `after stagger` for a delayed transition. */
export function eventWords(type: string): string {
  if (!isDelayed(type)) return type === '' ? 'always' : type;
  return `after ${type.slice(AFTER.length).split('.')[0]}`;
}

/** Whom the machine invokes, by the name of the implementation. */
export function invokedBy(machine: AnyStateMachine): readonly string[] {
  return [...new Set(allNodes(machine.root).flatMap((node) => node.invoke.map(({ src }) => src as string)))];
}

function isAnswer(type: string): boolean {
  return ANSWERS.some((prefix) => type.startsWith(prefix));
}

/** What XState sends within one step, such as the end of a compound state. */
function isInternal(type: string): boolean {
  return type.startsWith('xstate.') && !isDelayed(type) && !isAnswer(type);
}

function nodesOf(snapshot: AnyMachineSnapshot): readonly StateNode[] {
  const { _nodes: nodes } = snapshot as unknown as { readonly _nodes: readonly StateNode[] };
  return nodes;
}

function allNodes(node: StateNode): readonly StateNode[] {
  return [node, ...Object.values(node.states).flatMap((child) => allNodes(child))];
}

function stateName(node: { readonly path: readonly string[] }): string {
  return node.path.join('.') || '(root)';
}
