/** Cell: one actor as its host keeps it, and what it is made of. */
import type { Actor, AnyActorLogic } from 'xstate';
import type { ActorId, ExitReason, Message, OwnEffect } from '../kernel/effects.ts';
import type { Timer } from './timers.ts';

/** What an actor needs to be started. */
export interface ActorSpec {
  readonly id: ActorId;
  readonly logic: AnyActorLogic;
  readonly input?: unknown;
  /** Whether a stop asks first (`stop.requested`) and kills only at the deadline. Default false. */
  readonly graceful?: boolean;
  /** Runs the actor's own effects. What it throws comes back as `effect.failed`. */
  readonly perform?: (effect: OwnEffect, self: ActorId) => void;
  /** Told when the actor is gone, also when it never started. */
  readonly monitors?: readonly ActorId[];
  /** When this actor ends, whatever the reason, the new one is killed: nothing outlives who looks after it. */
  readonly parent?: ActorId;
  /** Number of this life, for whoever counts them. Default: one more than the host's last. */
  readonly incarnation?: number;
  /**
   * Whether an actor whose turn threw this goes on in place, with the state from before that
   * message: the same incarnation, its timers kept, the delays of a machine begun anew. Default: none does.
   */
  readonly resumes?: (error: unknown) => boolean;
  /** Whether it waits for its first message before it is entered. Until then it has no snapshot. Default false. */
  readonly lazy?: boolean;
}

/** One living actor. Opaque outside the host. */
export interface Cell {
  readonly id: ActorId;
  readonly incarnation: number;
  /** What a lazy actor will be made of: it has had no message. */
  asleep: Pick<ActorSpec, 'logic' | 'input'> | undefined;
  /** Another one, with the same state, once it has been resumed. Not there while it is `asleep`, which no observer sees. */
  actor: Actor<AnyActorLogic>;
  readonly graceful: boolean;
  readonly perform: ActorSpec['perform'];
  readonly resumes: ActorSpec['resumes'];
  /** Each once. A Set only once there is somebody beside those of its spec: most never have one. */
  monitors: readonly ActorId[] | Set<ActorId>;
  /** On its way: what is told until it is delivered goes with it. */
  gathering: Gathering | undefined;
  /** Made with the first. */
  timers: Map<string, Timer> | undefined;
  readonly parent: Cell | undefined;
  /** Those that it is the parent of, in order of starting. */
  children: Set<Cell> | undefined;
  ending: ExitReason | undefined;
  /** Asked to stop: how it ends by itself then counts as `shutdown`. */
  stopping: boolean;
  /** The first turn did not throw. */
  started: boolean;
  live: boolean;
  readonly host: CellHost;
  /**
   * The cell is the observer of its own actor: one of these is called when that ends. Without `error`
   * XState would rethrow in a timer, and end the process.
   */
  readonly error: (this: Cell) => void;
  readonly complete: (this: Cell) => void;
}

/** Several things told in one message. */
export interface Gathering extends Message {
  readonly items: unknown[];
}

/** What a cell needs of its host. */
interface CellHost {
  /** An actor has ended, maybe between its turns. */
  noticed(cell: Cell): void;
}

const NOBODY: readonly ActorId[] = [];

function notice(this: Cell): void {
  this.host.noticed(this);
}

/** The cell of an actor that is not entered yet; one that is not lazy has to get its `actor` first. */
export function cellOf(spec: ActorSpec, incarnation: number, parent: Cell | undefined, host: CellHost): Cell {
  const { id, logic, input, monitors = NOBODY } = spec;
  return {
    id,
    incarnation,
    asleep: spec.lazy === true ? { logic, input } : undefined,
    actor: undefined as never,
    graceful: spec.graceful ?? false,
    perform: spec.perform,
    resumes: spec.resumes,
    monitors: monitors.length > 1 ? [...new Set(monitors)] : monitors,
    gathering: undefined,
    timers: undefined,
    parent,
    children: undefined,
    ending: undefined,
    stopping: false,
    started: false,
    live: true,
    host,
    error: notice,
    complete: notice,
  };
}
