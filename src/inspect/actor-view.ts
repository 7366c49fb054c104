/**
 * Actor view: an actor as inspectors see it. On a host each actor is an XState root of its own, without a
 * parent and with a root id of its own, so an inspector that is handed the actors themselves shows as
 * many trees as there are actors. It is handed views instead, which have the parents of the supervision
 * tree.
 *
 * It has what inspectors read of an actor: `@statelyai/inspect` reads `id`, `sessionId`, `getSnapshot()`,
 * and two that XState keeps to itself, `_parent` and `logic.config`.
 */
import type { ActorRefLike, Snapshot } from 'xstate';
import { shownSnapshot } from './shown.ts';

/** What an actor view is made from. An XState actor will do. */
export interface Viewed {
  readonly logic: unknown;
  getSnapshot(): unknown;
}

export interface ActorViewOptions {
  /** The address. */
  readonly id: string;
  /** Names this life of the actor: another one at the same address is another session. */
  readonly sessionId: string;
  readonly parent: ActorView | undefined;
  readonly actor: Viewed;
}

export class ActorView implements ActorRefLike {
  readonly id: string;
  readonly sessionId: string;
  /** The actor above it in the tree. */
  readonly parent: ActorView | undefined;
  /** The session at the top of the tree; its own when this is the top. */
  readonly rootId: string;
  /** What the actor runs. A machine's definition is in its `config`; other logic has none. */
  readonly logic: unknown;
  readonly #actor: Viewed;
  #seen: unknown;
  #shown: Snapshot<unknown> | undefined;
  #ended: Snapshot<unknown> | undefined;

  constructor({ id, sessionId, parent, actor }: ActorViewOptions) {
    this.id = id;
    this.sessionId = sessionId;
    this.parent = parent;
    this.rootId = parent?.rootId ?? sessionId;
    this.logic = actor.logic;
    this.#actor = actor;
  }

  /** Where inspectors look for the parent. */
  get _parent(): ActorView | undefined {
    return this.parent;
  }

  /** The state that the actor is in now, cut to what can be shown; its last one once it has ended. */
  getSnapshot(): Snapshot<unknown> {
    if (this.#ended !== undefined) return this.#ended;
    const snapshot = this.#actor.getSnapshot();
    if (this.#shown === undefined || snapshot !== this.#seen) {
      this.#seen = snapshot;
      this.#shown = shownSnapshot(snapshot);
    }
    return this.#shown;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** The actor is gone, and this is what is left to be seen of it. */
  end(last: Snapshot<unknown>): void {
    this.#ended = last;
    this.#seen = undefined;
    this.#shown = undefined;
  }

  /** Does nothing: an inspector looks on. */
  send(): void {}

  toJSON(): unknown {
    return { id: this.id, sessionId: this.sessionId };
  }
}
