/** Record: what is remembered of a machine, at the place `machine` of its task. Each takes the place of the one before. */
import type { AnyStateMachine, Snapshot } from 'xstate';
import { isOperation } from '../../topology/operation.ts';
import { isMachine, logicOf, nodesOf } from '../../topology/machine.ts';
import { changedAt } from '../plain-json.ts';
import type { Odd } from '../plain-json.ts';
import { logicAt } from './actors.ts';
import type { ActorPath } from './actors.ts';

/** An event that comes later, by `after` or by a `delay`. */
export interface KeptTimer {
  readonly source: ActorPath;
  readonly target: ActorPath;
  readonly id: string;
  readonly event: { readonly type: string };
  /** On the wall. */
  readonly dueMs: number;
}

/** Which logic an invocation performs, and what it was given. */
export interface KeptInvocation {
  /** Its place: where it is, and how often that was entered. */
  readonly label: string;
  readonly sources: readonly string[];
  readonly input: unknown;
}

/** What an operation sends when the task completes. */
export interface KeptSend {
  readonly kind: string;
  readonly input: unknown;
  readonly priority?: number;
}

/** Which events a machine has taken, by their names. */
export interface KeptTaken {
  /** So many with all those before them. */
  readonly taken: Readonly<Record<string, number>>;
  /** By their numbers: those that it has taken before one that it could not take. */
  readonly beyond?: Readonly<Record<string, readonly number[]>>;
}

export interface MachineRecord extends KeptTaken {
  readonly snapshot: KeptSnapshot;
  readonly timers: readonly KeptTimer[];
  /** How often each place was entered. */
  readonly entries: Readonly<Record<string, number>>;
  /** In the order in which their operations ended. */
  readonly sends: readonly KeptSend[];
  /** What the operations that are under way have asked people, by their labels. Absent: nothing. */
  readonly asked?: Readonly<Record<string, readonly string[]>>;
  /** What was asked in states that have been left: it is withdrawn once that is safe, in the next run once more. Absent: nothing. */
  readonly withdrawn?: readonly string[];
  /** Have registered compensations: they are performed again when the task is undone. */
  readonly undoable: readonly KeptInvocation[];
  /** The places of actors that no state invokes: they were spawned. Absent: there is none. */
  readonly spawned?: readonly string[];
  /** Places of actors that are called otherwise now, and under which place they are remembered. Absent: there is none. */
  readonly former?: Readonly<Record<string, string>>;
}

export type StateNode = AnyStateMachine['root'];

/** A machine's snapshot as XState persists it. */
export type KeptSnapshot = Snapshot<unknown> & {
  readonly value: KeptValue;
  readonly context: unknown;
  readonly children: Readonly<Record<string, { readonly src: string; readonly snapshot: Snapshot<unknown> }>>;
  readonly historyValue?: Readonly<Record<string, readonly { readonly id: string }[]>>;
};

type KeptValue = string | { readonly [state: string]: KeptValue };

/** What a snapshot names and the machine does not have; undefined: everything is there. */
export function missingIn(machine: AnyStateMachine, { value, children, historyValue = {} }: KeptSnapshot): string | undefined {
  const state = missingState(machine.root, value);
  if (state !== undefined) return `state ${state}`;
  const known = new Set([...nodesOf(machine.root)].map(({ id }) => id));
  for (const { id } of Object.values(historyValue).flat()) if (!known.has(id)) return `state ${id}`;
  for (const [id, { src, snapshot }] of Object.entries(children)) {
    const logic = logicOf(machine, src);
    if (!isOperation(logic) && !isMachine(logic)) return `actor ${id} (${src})`;
    const missing = isMachine(logic) ? missingIn(logic, snapshot as KeptSnapshot) : undefined;
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** An invocation of theirs that its state has no more, while it has another one that was not there; undefined: there is none. */
export function replacedIn(machine: AnyStateMachine, record: MachineRecord): string | undefined {
  return unclaimed(machine, record).find(({ isReplaced }) => isReplaced)?.actor;
}

/** The places of actors that were invoked, and that no state invokes any more: nobody hears of their ends. */
export function orphansIn(machine: AnyStateMachine, record: MachineRecord): readonly string[] {
  return unclaimed(machine, record).map(({ place }) => place);
}

interface Unclaimed {
  readonly place: string;
  readonly actor: string;
  readonly isReplaced: boolean;
}

function unclaimed(machine: AnyStateMachine, { snapshot, spawned = [], former }: MachineRecord): readonly Unclaimed[] {
  const found: Unclaimed[] = [];
  const look = (within: AnyStateMachine, { value, children }: KeptSnapshot, path: ActorPath): void => {
    const invoked = [...activeNodes(within.root, value)].flatMap(({ invoke }) => invoke.map(({ id }) => id));
    const isReplaced = invoked.some((id) => !Object.hasOwn(children, id));
    for (const [id, { src, snapshot: child }] of Object.entries(children)) {
      if (child.status !== 'active') continue;
      const place = knownAs(former, [...path, id]);
      if (!invoked.includes(id) && !spawned.includes(place)) found.push({ place, actor: `invocation ${id} (${src})`, isReplaced });
      const logic = logicOf(within, src);
      if (isMachine(logic)) look(logic, child as KeptSnapshot, [...path, id]);
    }
  };
  look(machine, snapshot, []);
  return found;
}

/** The states that a machine is in, as far as it has them. */
export function* activeNodes(node: StateNode, value: KeptValue): Iterable<StateNode> {
  yield node;
  for (const [name, deeper] of Object.entries(typeof value === 'string' ? { [value]: {} } : value)) {
    const state = node.states[name];
    if (state !== undefined) yield* activeNodes(state, deeper);
  }
}

/** The states that the machine at a place is in; none: nobody is there, or no machine. */
export function activeAt(machine: AnyStateMachine, snapshot: KeptSnapshot, path: ActorPath): readonly StateNode[] {
  let within: unknown = machine;
  let at: KeptSnapshot | undefined = snapshot;
  for (const id of path) {
    const child: KeptSnapshot['children'][string] | undefined = at?.children?.[id];
    within = child === undefined || !isMachine(within) ? undefined : logicOf(within, child.src);
    at = child?.snapshot as KeptSnapshot | undefined;
  }
  return isMachine(within) && at !== undefined ? [...activeNodes(within.root, at.value)] : [];
}

/**
 * The state of that id, or the one that it is the id of in a machine that has got another id since: it ends with its path. Of
 * two that it may be the one with the longer path; the machine itself where it is no other.
 */
export function stateNamed(nodes: readonly StateNode[], id: string): StateNode | undefined {
  let found: StateNode | undefined;
  for (const node of nodes) {
    if (node.id === id) return node;
    const { path } = node;
    const isIt = path.length === 0 ? !id.startsWith(`${node.id}.`) : id.endsWith(`.${path.join('.')}`);
    if (isIt && path.length >= (found?.path.length ?? 0)) found = node;
  }
  return found;
}

function missingState(node: AnyStateMachine['root'], value: KeptValue): string | undefined {
  const inner = typeof value === 'string' ? { [value]: {} } : value;
  for (const [name, deeper] of Object.entries(inner)) {
    const state = node.states[name];
    if (state === undefined) return [...node.path, name].join('.');
    const missing = missingState(state, deeper);
    if (missing !== undefined) return missing;
  }
  return undefined;
}

/** What an actor of a machine shows of itself, as far as it is remembered: a machine its context, an operation its input. */
interface Shown {
  readonly context?: unknown;
  readonly input?: unknown;
  readonly children?: Readonly<Record<string, { readonly getSnapshot: () => Shown } | undefined>>;
}

/**
 * The first of what a machine and the actors below it show that would not be the same in the next run: `context.at`,
 * `children.fetch.input.at`. Other actors in a context are remembered by their ids, and are there again then.
 */
export function notJsonIn({ context, input, children = {} }: Shown, path = ''): Odd | undefined {
  const odd = changedAt(context, `${path}context`, isActor) ?? changedAt(input, `${path}input`);
  if (odd !== undefined) return odd;
  for (const [id, child] of Object.entries(children)) {
    const found = child === undefined ? undefined : notJsonIn(child.getSnapshot(), `${path}children.${id}.`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** As `notJsonIn`, of events that come later: `delayed.remind.at`. */
export function notJsonLater(timers: readonly KeptTimer[]): Odd | undefined {
  for (const { source, event } of timers) {
    const found = changedAt(event, [...source.flatMap((id) => ['children', id]), 'delayed', event.type].join('.'));
    if (found !== undefined) return found;
  }
  return undefined;
}

function isActor(value: object): boolean {
  return 'sessionId' in value && 'send' in value;
}

/** Operations that were under way. */
export function* underWay(machine: AnyStateMachine, record: MachineRecord): Iterable<KeptInvocation> {
  yield* activeIn(machine, record, record.snapshot, [], []);
}

function* activeIn(
  machine: AnyStateMachine,
  record: MachineRecord,
  snapshot: KeptSnapshot,
  path: ActorPath,
  names: readonly string[],
): Iterable<KeptInvocation> {
  for (const [id, { src, snapshot: child }] of Object.entries(snapshot.children)) {
    const sources = [...names, src];
    const place = knownAs(record.former, [...path, id]);
    const logic = logicAt(machine, sources);
    if (child.status !== 'active') continue;
    if (isMachine(logic)) yield* activeIn(machine, record, child as KeptSnapshot, [...path, id], sources);
    else yield { label: `${place}#${record.entries[place] ?? 1}`, sources, input: (child as { readonly input?: unknown }).input };
  }
}

/** Where an actor is, as one text. No `/` of an id is taken for one between two. */
export function placeOf(path: ActorPath): string {
  return path.map((id) => encodeURIComponent(id)).join('/');
}

/** Under which place what an actor brings is remembered: that which it had first, whatever it is called now. */
export function knownAs(former: MachineRecord['former'], path: ActorPath): string {
  let place = '';
  for (const id of path) {
    const own = placeOf([id]);
    place = place === '' ? own : `${place}/${own}`;
    place = former?.[place] ?? place;
  }
  return place;
}
