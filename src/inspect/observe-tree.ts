/**
 * Observe tree: what happens to the actors of one supervision tree, as XState's inspection events.
 *
 * Each actor on a host has an XState system of its own, which tells of what happens in it: what is taken,
 * each microstep, each action, the new snapshot, and children that a machine has invoked. This puts them
 * together: every actor is a view (`ActorView`) with its place in the tree, there is one `rootId`, and a
 * message has the sender that only the host knows.
 *
 * What XState does not tell:
 *   - A turn that throws ends in an `@xstate.snapshot` with status `error`, like any other turn.
 *   - One that the host then puts back to where it was has one more, after the event `actor.resumed`.
 *   - An actor that ends by an effect, a stop or a kill has a last `@xstate.snapshot`: `done`, `stopped`
 *     or `error`, after the event `xstate.stop`, whose `reason` is the reason of the exit.
 *
 * What is not part of the tree is not shown, such as an actor without a parent that only listens.
 */
import type { AnyActorRef, AnyEventObject, InspectionEvent, Snapshot, Subscription } from 'xstate';
import type { Cell, Fire, Host, HostObserver } from '../../actors/host/host.ts';
import type { ActorId, ExitReason, Message } from '../../actors/kernel/effects.ts';
import { ActorView } from './actor-view.ts';
import { isDeciders, kept, shown, shownSnapshot } from './shown.ts';
import type { Told } from './told.ts';

export interface TreeToObserve {
  readonly host: Host;
  /** The address of the actor at the top. */
  readonly root: ActorId;
  /** Told within the turn. */
  readonly onTold: (told: Told) => void;
  /** Names a new life. Default: XState's own session id, unique within the process. */
  readonly sessionOf?: (id: ActorId, actor: AnyActorRef) => string;
}

/** Lives that have ended and may still be the sender of a message on its way. */
const MOST_REMEMBERED = 256;

interface Life {
  readonly view: ActorView;
  /** Another one once the host has resumed it. */
  actor: AnyActorRef;
  /** Of a decider there is none. */
  subscription: Subscription | undefined;
}

/** A message that is being taken. */
interface Turn {
  readonly actor: AnyActorRef;
  readonly source: ActorView | undefined;
  /** As XState tells it, once it has: with a timer the host does not know. */
  event: AnyEventObject;
}

/** Tells of every actor of the tree that is started from now on. Returns what ends that. */
export function observeTree(tree: TreeToObserve): () => void {
  const observer = new TreeObserver(tree);
  const stop = tree.host.observe(observer);
  return () => {
    stop();
    observer.close();
  };
}

class TreeObserver implements HostObserver {
  readonly #root: ActorId;
  readonly #onTold: (told: Told) => void;
  readonly #sessionOf: (id: ActorId, actor: AnyActorRef) => string;
  readonly #lives = new Map<Cell, Life>();
  /** Those that a machine has invoked or spawned: XState's own children. */
  readonly #inner = new WeakMap<AnyActorRef, ActorView>();
  /** The latest life at an address, also a while after its end. */
  readonly #latest = new Map<ActorId, ActorView>();
  readonly #endedAddresses = new Set<ActorId>();
  #turn: Turn | undefined;

  constructor({ root, onTold, sessionOf = (_id, actor) => actor.sessionId }: TreeToObserve) {
    this.#root = root;
    this.#onTold = onTold;
    this.#sessionOf = sessionOf;
  }

  readonly spawned = (cell: Cell): void => {
    const { id } = cell;
    const parent = cell.parent === undefined ? undefined : this.#lives.get(cell.parent)?.view;
    if (parent === undefined && id !== this.#root) return;
    const actor = cell.actor as AnyActorRef;
    const viewed = { logic: cell.actor.logic as unknown, getSnapshot: (): unknown => cell.actor.getSnapshot() };
    const view = new ActorView({ id, sessionId: this.#sessionOf(id, actor), parent, actor: viewed });
    const life = { view, actor, subscription: this.#listen(cell, view) };
    this.#lives.set(cell, life);
    this.#latest.set(id, view);
    this.#endedAddresses.delete(id);
    this.#announce(view);
    if (life.subscription !== undefined) return;
    const event = { type: 'xstate.init', input: cell.actor.options.input as unknown };
    this.#onTold({ at: 'turn', view, source: parent, event, snapshot: kept(actor.getSnapshot()) });
  };

  readonly delivering = (cell: Cell, message: Message, from: string): void => {
    const event = message.type === 'host.fire' ? ((message as Fire).brings ?? message) : message;
    this.#turn = { actor: cell.actor, source: this.#sourceOf(cell, from, message.type), event };
  };

  readonly delivered = (cell: Cell): void => {
    const turn = this.#turn;
    this.#turn = undefined;
    const life = this.#lives.get(cell);
    if (life === undefined || turn === undefined) return;
    const { view, actor, subscription } = life;
    const { event, source } = turn;
    const snapshot = actor.getSnapshot() as { readonly status: string };
    if (subscription === undefined) this.#onTold({ at: 'turn', view, source, event, snapshot: kept(snapshot) });
    // Of this XState tells nothing.
    else if (snapshot.status === 'error') this.#onTold({ at: 'snapshot', view, event, snapshot });
    if (actor === cell.actor) return;
    // The host has put it back to where it was: the same life, in another XState actor.
    subscription?.unsubscribe();
    life.actor = cell.actor;
    life.subscription = this.#listen(cell, view);
    this.#onTold({ at: 'snapshot', view, event: { type: 'actor.resumed' }, snapshot: kept(cell.actor.getSnapshot()) });
  };

  readonly ended = (cell: Cell, reason: ExitReason): void => {
    const life = this.#lives.get(cell);
    if (life === undefined) return;
    const { view, subscription } = life;
    this.#lives.delete(cell);
    subscription?.unsubscribe();
    const snapshot = cell.actor.getSnapshot() as { readonly status: string };
    const last = lastOf(snapshot, reason);
    view.end(last);
    const event = { type: 'xstate.stop', reason: reason.at };
    // Done or thrown in a turn, it has been told with that turn.
    if (snapshot.status !== 'done' && (snapshot.status !== 'error' || !cell.started))
      this.#onTold({ at: 'snapshot', view, event, snapshot: last });
    this.#forgetLater(cell.id);
  };

  close(): void {
    for (const { subscription } of this.#lives.values()) subscription?.unsubscribe();
    this.#lives.clear();
    this.#latest.clear();
  }

  /**
   * Listens to the XState system of an actor: to the actor itself, and to those that a machine has invoked.
   * Not to that of a decider: every task passes through one, and its turns are all that there is of it.
   */
  #listen(cell: Cell, view: ActorView): Subscription | undefined {
    const self = cell.actor as AnyActorRef;
    if (isDeciders(cell.actor.getSnapshot())) return undefined;
    const viewOf = (ref: AnyActorRef): ActorView => {
      if (ref === self) return view;
      const { _parent: above } = ref as { readonly _parent?: AnyActorRef };
      return this.#innerViewOf(ref, above === undefined ? view : viewOf(above));
    };
    const sourceOf = (source: AnyActorRef | undefined, target: AnyActorRef): ActorView | undefined => {
      if (source !== undefined) return viewOf(source);
      if (this.#turn?.actor === target) return this.#turn.source;
      // Its first event, before any turn.
      return target === self && !cell.started ? view.parent : undefined;
    };
    return self.system.inspect((inspected: InspectionEvent) => {
      const ref = inspected.actorRef as AnyActorRef;
      const to = viewOf(ref);
      // How this life ends is told once it is over.
      if (ref === self && 'event' in inspected && inspected.event.type === 'xstate.stop') return;
      switch (inspected.type) {
        case '@xstate.event':
          if (this.#turn?.actor === ref) this.#turn.event = inspected.event;
          return this.#onTold({
            at: 'event',
            view: to,
            source: sourceOf(inspected.sourceRef as AnyActorRef | undefined, ref),
            event: inspected.event,
          });
        case '@xstate.snapshot':
          // Not the one that it comes with: an action of the first state may have thrown since.
          return this.#onTold({ at: 'snapshot', view: to, event: inspected.event, snapshot: ref.getSnapshot() });
        case '@xstate.microstep':
        case '@xstate.action':
          return this.#onTold({ at: 'within', view: to, inspected });
        default:
      }
    });
  }

  #innerViewOf(ref: AnyActorRef, parent: ActorView): ActorView {
    const known = this.#inner.get(ref);
    if (known !== undefined) return known;
    const id = `${parent.id}/${ref.id}`;
    const viewed = { logic: (ref as unknown as { readonly logic: unknown }).logic, getSnapshot: (): unknown => ref.getSnapshot() };
    const view = new ActorView({ id, sessionId: this.#sessionOf(id, ref), parent, actor: viewed });
    this.#inner.set(ref, view);
    return this.#announce(view);
  }

  #announce(view: ActorView): ActorView {
    this.#onTold({ at: 'actor', view });
    return view;
  }

  #sourceOf(cell: Cell, from: string, type: string): ActorView | undefined {
    if (from !== `host>${cell.id}`) return this.#latest.get(from);
    const view = this.#lives.get(cell)?.view;
    // The host's word for the supervisor; anything else that it says is for the actor itself.
    return type === 'stop.requested' ? view?.parent : view;
  }

  /** One that has ended may still be the sender of a message on its way. */
  #forgetLater(id: ActorId): void {
    this.#endedAddresses.add(id);
    if (this.#endedAddresses.size <= MOST_REMEMBERED) return;
    const [oldest] = this.#endedAddresses;
    this.#endedAddresses.delete(oldest!);
    this.#latest.delete(oldest!);
  }
}

/** The last that is seen of an actor. */
function lastOf(snapshot: unknown, reason: ExitReason): Snapshot<unknown> {
  const last = shownSnapshot(snapshot);
  if (last.status === 'done' || last.status === 'error') return last;
  if (reason.at === 'error') return { ...last, status: 'error', error: shown(reason.error) };
  return { ...last, status: reason.at === 'killed' ? 'stopped' : 'done' };
}
