/**
 * Told: what has happened to an actor, as little as an actor's turn can afford to note of it, and the XState
 * inspection events that it becomes once somebody wants to read it.
 */
import type { AnyEventObject, InspectedActionEvent, InspectedMicrostepEvent, InspectionEvent, Snapshot } from 'xstate';
import type { ActorView } from './actor-view.ts';
import { shown, shownEvent, shownSnapshot } from './shown.ts';

export type Told =
  /** It is there. */
  | { readonly at: 'actor'; readonly view: ActorView }
  /** It has taken a message, and is in another state: two events. */
  | {
      readonly at: 'turn';
      readonly view: ActorView;
      readonly source: ActorView | undefined;
      readonly event: AnyEventObject;
      readonly snapshot: unknown;
    }
  /** It takes a message. */
  | { readonly at: 'event'; readonly view: ActorView; readonly source: ActorView | undefined; readonly event: AnyEventObject }
  /** It is in a state. */
  | { readonly at: 'snapshot'; readonly view: ActorView; readonly event: AnyEventObject; readonly snapshot: unknown }
  /** What happens within a turn of a machine, as XState tells it. */
  | { readonly at: 'within'; readonly view: ActorView; readonly inspected: InspectedMicrostepEvent | InspectedActionEvent };

/** Inspection events that it becomes. */
export function countOf({ at }: Told): number {
  return at === 'turn' ? 2 : 1;
}

/** The inspection events. What is in their `event` and `snapshot` is copied when it is first read: not every inspector does. */
export function inspectionEventsOf(told: Told): readonly InspectionEvent[] {
  const { view } = told;
  const { rootId } = view;
  switch (told.at) {
    case 'actor':
      return [{ type: '@xstate.actor', rootId, actorRef: view }];
    case 'turn':
      return [messageEvent(view, told.source, told.event), stateEvent(view, told.event, told.snapshot)];
    case 'event':
      return [messageEvent(view, told.source, told.event)];
    case 'snapshot':
      return [stateEvent(view, told.event, told.snapshot)];
    case 'within': {
      const { inspected } = told;
      if (inspected.type === '@xstate.action') {
        const { type, params } = inspected.action;
        return [{ type: '@xstate.action', rootId, actorRef: view, action: { type, params: shown(params) } }];
      }
      const { type, _transitions } = inspected;
      // Assigned, not spread: that would read what is inside.
      return [Object.assign(stateEvent(view, inspected.event, inspected.snapshot), { type, _transitions })];
    }
  }
}

function messageEvent(view: ActorView, sourceRef: ActorView | undefined, raw: AnyEventObject) {
  let event: AnyEventObject | undefined;
  return {
    type: '@xstate.event' as const,
    rootId: view.rootId,
    actorRef: view,
    sourceRef,
    get event() {
      return (event ??= shownEvent(raw));
    },
  };
}

function stateEvent(view: ActorView, rawEvent: AnyEventObject, rawSnapshot: unknown) {
  let event: AnyEventObject | undefined;
  let snapshot: Snapshot<unknown> | undefined;
  return {
    type: '@xstate.snapshot' as const,
    rootId: view.rootId,
    actorRef: view,
    get event() {
      return (event ??= shownEvent(rawEvent));
    },
    get snapshot() {
      return (snapshot ??= shownSnapshot(rawSnapshot));
    },
  };
}
