/** Actors: those of one running machine, by where they are below it. */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { isMachine, logicOf } from '../../topology/machine.ts';

/** The ids from the machine down to the actor; of the machine itself there are none. */
export type ActorPath = readonly string[];

interface Internals {
  readonly _parent?: AnyActorRef;
  readonly src: unknown;
}

export function pathOf(ref: AnyActorRef): ActorPath {
  const { _parent: parent } = ref as unknown as Internals;
  return parent === undefined ? [] : [...pathOf(parent), ref.id];
}

/** The names of the logics down to the actor, as each parent has them. */
export function sourcesOf(ref: AnyActorRef): readonly string[] {
  const { _parent: parent, src } = ref as unknown as Internals;
  return parent === undefined ? [] : [...sourcesOf(parent), src as string];
}

/** The actor at a place; undefined: nobody is there. */
export function actorAt(root: AnyActorRef, path: ActorPath): AnyActorRef | undefined {
  let found: AnyActorRef | undefined = root;
  for (const id of path)
    found = (found?.getSnapshot() as Partial<AnyMachineSnapshot> | undefined)?.children?.[id] as AnyActorRef | undefined;
  return found;
}

/** The logic at the end of such names. */
export function logicAt(machine: AnyStateMachine, sources: readonly string[]): unknown {
  let found: unknown = machine;
  for (const src of sources) found = isMachine(found) ? logicOf(found, src) : undefined;
  return found;
}

/** Every actor below one, each before those below it. */
export function* below(ref: AnyActorRef): Iterable<AnyActorRef> {
  const { children = {} } = ref.getSnapshot() as Partial<AnyMachineSnapshot>;
  for (const child of Object.values(children) as (AnyActorRef | undefined)[]) {
    if (child === undefined) continue;
    yield child;
    yield* below(child);
  }
}

/** Whether it was made from a logic that has a name, and so can be made again. */
export function hasName(ref: AnyActorRef): boolean {
  return typeof (ref as unknown as Internals).src === 'string';
}
