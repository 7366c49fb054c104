/**
 * After: what has become of the delays of states (`after`) that were under way under other code. XState names their events by
 * length and state, so a length that is changed would leave nobody who takes the event. Such a delay goes on as it was set, as
 * a named one does, and brings what the state has in its place now: that of the nearest length.
 *
 *     after: { 2000: 'late' }   ─▶   after: { 3000: 'late' }       xstate.after.2000.m.asking ─▶ xstate.after.3000.m.asking
 */
import type { AnyStateMachine } from 'xstate';
import { activeAt, stateNamed } from './record.ts';
import type { KeptSnapshot, KeptTimer, StateNode } from './record.ts';

const AFTER = 'xstate.after.';

/** Those that were kept, as the present machine has them; without delays that their states have no more. */
export function presentDelays(machine: AnyStateMachine, snapshot: KeptSnapshot, kept: readonly KeptTimer[]): readonly KeptTimer[] {
  const placed = (target: KeptTimer['target'], type: string): string => JSON.stringify([target, type]);
  const taken = new Set(kept.map(({ target, event }) => placed(target, event.type)));
  return kept.flatMap((timer) => {
    const { target, event } = timer;
    const state = stateOf(activeAt(machine, snapshot, target), event.type);
    if (state === undefined) return [timer];
    const events = state.after.map(({ eventType }) => eventType);
    if (events.includes(event.type)) return [timer];
    const free = events.filter((type) => !taken.has(placed(target, type)));
    const headOf = (type: string): string => type.slice(0, -state.id.length);
    // That of the same length, in a machine that had another id; of two names that may be meant the longer one.
    const [same] = free.filter((type) => event.type.startsWith(headOf(type))).toSorted((a, b) => b.length - a.length);
    const type = same ?? nearest(free, event.type);
    if (type === undefined) return [];
    taken.add(placed(target, type));
    return [{ ...timer, id: type, event: { ...event, type } }];
  });
}

/** The first delay whose state is not there: nobody would take its event. Undefined: there is none. */
export function lostDelay(machine: AnyStateMachine, snapshot: KeptSnapshot, kept: readonly KeptTimer[]): string | undefined {
  const lost = kept.find(({ target, event }) => {
    const active = activeAt(machine, snapshot, target);
    return event.type.startsWith(AFTER) && active.length > 0 && stateOf(active, event.type) === undefined;
  });
  return lost?.event.type.slice(AFTER.length);
}

/** Of two that it may be of the one with the longer id. */
function stateOf(active: readonly StateNode[], type: string): StateNode | undefined {
  if (!type.startsWith(AFTER)) return undefined;
  let found: StateNode | undefined;
  for (const node of active) if (type.endsWith(`.${node.id}`) && node.id.length > (found?.id.length ?? -1)) found = node;
  if (found !== undefined) return found;
  const named = stateNamed(active, type.slice(AFTER.length));
  // That of the whole machine is told by its length.
  const isFound = named?.path.length !== 0 || named.after.some(({ eventType }) => type.startsWith(eventType.slice(0, -named.id.length)));
  return isFound ? named : undefined;
}

/** One that has a name comes last. */
function nearest(types: readonly string[], to: string): string | undefined {
  const lengthOf = (type: string): number => Number(/^\d+(?:\.\d+)?(?=\.)/.exec(type.slice(AFTER.length))?.[0] ?? Number.NaN);
  const distance = (type: string): number => {
    const by = Math.abs(lengthOf(type) - lengthOf(to));
    return Number.isNaN(by) ? Infinity : by;
  };
  return types.toSorted((a, b) => (distance(a) < distance(b) ? -1 : Number(distance(a) > distance(b))))[0];
}
