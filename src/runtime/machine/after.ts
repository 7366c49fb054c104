/**
 * After: what has become of the delays of states (`after`) that were under way under other code. XState names their events by
 * length and state, so a length that is changed would leave nobody who takes the event. Such a delay goes on as it was set, as
 * a named one does, and brings what the state has in its place now: that of the nearest length.
 *
 *     after: { 2000: 'late' }   ─▶   after: { 3000: 'late' }       xstate.after.2000.m.asking ─▶ xstate.after.3000.m.asking
 */
import type { AnyActorRef, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { nodesOf } from '../../topology/machine.ts';
import { actorAt } from './actors.ts';
import type { KeptTimer } from './record.ts';

const AFTER = 'xstate.after.';

/** Those that were kept, as the present machine has them; without delays that their states have no more. */
export function presentDelays(root: AnyActorRef, kept: readonly KeptTimer[]): readonly KeptTimer[] {
  const placed = (target: KeptTimer['target'], type: string): string => JSON.stringify([target, type]);
  const taken = new Set(kept.map(({ target, event }) => placed(target, event.type)));
  return kept.flatMap((timer) => {
    const { target, event } = timer;
    const { machine } = (actorAt(root, target)?.getSnapshot() ?? {}) as Partial<AnyMachineSnapshot>;
    const state = machine === undefined ? undefined : stateOf(machine, event.type);
    if (state === undefined) return [timer];
    const events = state.after.map(({ eventType }) => eventType);
    if (events.includes(event.type)) return [timer];
    const free = events.filter((type) => !taken.has(placed(target, type)));
    const type = nearest(free, event.type, state.id);
    if (type === undefined) return [];
    taken.add(placed(target, type));
    return [{ ...timer, id: type, event: { ...event, type } }];
  });
}

/** Of two that it may be of the one with the longer id. */
function stateOf(machine: AnyStateMachine, type: string): AnyStateMachine['root'] | undefined {
  if (!type.startsWith(AFTER)) return undefined;
  let found: AnyStateMachine['root'] | undefined;
  for (const node of nodesOf(machine.root)) if (type.endsWith(`.${node.id}`) && node.id.length > (found?.id.length ?? -1)) found = node;
  return found;
}

/** One that has a name comes last. */
function nearest(types: readonly string[], to: string, id: string): string | undefined {
  const lengthOf = (type: string): number => Number(type.slice(AFTER.length, -id.length - 1) || Number.NaN);
  const distance = (type: string): number => {
    const by = Math.abs(lengthOf(type) - lengthOf(to));
    return Number.isNaN(by) ? Infinity : by;
  };
  return types.toSorted((a, b) => (distance(a) < distance(b) ? -1 : Number(distance(a) > distance(b))))[0];
}
