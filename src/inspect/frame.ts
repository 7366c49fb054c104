/**
 * Frame: an inspection event as an inspector's page gets it, in the shape that `@statelyai/inspect` sends:
 * data alone, so that it can be written to a file and shown later.
 *
 * @see https://stately.ai/docs/inspection
 */
import type { AnyEventObject, InspectionEvent, Snapshot } from 'xstate';
import type { ActorView } from './actor-view.ts';

/** The version of `@statelyai/inspect` whose shape this is. */
export const FRAME_VERSION = '0.7.2';

interface FrameBase {
  readonly rootId: string;
  readonly sessionId: string;
  /** Milliseconds since the epoch, as text. */
  readonly createdAt: string;
  readonly id: null;
  readonly _version: typeof FRAME_VERSION;
}

/** An actor is there, below its parent. */
export interface ActorFrame extends FrameBase {
  readonly type: '@xstate.actor';
  /** Its address. */
  readonly name: string;
  readonly parentId: string | undefined;
  /** JSON of the machine's config; of the name alone when it is no machine. */
  readonly definition: string;
  readonly snapshot: Snapshot<unknown>;
}

/** It takes a message, `sourceId`'s when it comes from another actor. */
export interface EventFrame extends FrameBase {
  readonly type: '@xstate.event';
  readonly sourceId: string | undefined;
  readonly event: AnyEventObject;
}

/** It is in a state. */
export interface SnapshotFrame extends FrameBase {
  readonly type: '@xstate.snapshot';
  readonly event: AnyEventObject;
  readonly snapshot: Snapshot<unknown>;
}

export type Frame = ActorFrame | EventFrame | SnapshotFrame;

/** The frame of an event of views; undefined for what has none: actions, microsteps and transitions. */
export function frameOf(event: InspectionEvent, createdAtMs: number): Frame | undefined {
  const view = event.actorRef as ActorView;
  const { rootId, sessionId } = view;
  const base = { rootId, sessionId, createdAt: String(Math.floor(createdAtMs)), id: null, _version: FRAME_VERSION } as const;
  switch (event.type) {
    case '@xstate.actor': {
      const { id: name, parent, logic } = view;
      return {
        type: event.type,
        name,
        parentId: parent?.sessionId,
        definition: definitionOf(name, logic),
        snapshot: view.getSnapshot(),
        ...base,
      };
    }
    case '@xstate.event':
      return { type: event.type, sourceId: event.sourceRef?.sessionId, event: event.event, ...base };
    case '@xstate.snapshot':
      return { type: event.type, event: event.event, snapshot: event.snapshot, ...base };
    default:
      return undefined;
  }
}

function definitionOf(name: string, logic: unknown): string {
  const { config } = (logic ?? {}) as { readonly config?: unknown };
  if (typeof config !== 'object' || config === null) return JSON.stringify({ id: name });
  try {
    return JSON.stringify(config, (_key, value: unknown) => (typeof value === 'function' ? { type: value.name } : value));
  } catch {
    // Logic written into the config, which may hold itself.
    return JSON.stringify({ id: (config as { readonly id?: unknown }).id ?? name });
  }
}
