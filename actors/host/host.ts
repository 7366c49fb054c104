/**
 * Host: runs actors and owns what XState leaves open: delivery, lifetimes, timers and effects.
 *
 * Each actor is its own XState root, so that a throw cannot reach a sibling, and starting and
 * stopping cost the same with ten actors or a hundred thousand.
 *
 * A turn, the only way anything happens to an actor:
 *   1. The transport names the next message.
 *   2. The actor takes it and commits its new state; its effects are collected meanwhile.
 *   3. The effects run, in order. One that throws becomes an `effect.failed` message to the actor.
 *   4. If the actor has ended (done, error, or the `exit` effect), its timers go, and each monitor
 *      is told `exited`, once. The effects of a turn that threw never run.
 *
 * A lazy actor is there from the start (its address, its incarnation, those who watch it), and costs
 * little more: its XState actor is made, and its first turn taken, when its first message is delivered.
 *
 * Stopping:
 *   1. `stop` to an immediate actor ends it at its next turn. A graceful one gets `stop.requested`
 *      on the control lane and ends by itself; at the deadline it is killed.
 *   2. Either way the monitors are told when it is gone, not when it was asked.
 *   3. Whoever has this actor as its parent and is still there is killed with it.
 *   4. A lazy one without a message so far just goes: nothing is made in order to be ended.
 */
import { createActor } from 'xstate';
import type { Actor, AnyActorLogic, EventObject, Snapshot } from 'xstate';
import type { Clock } from '../kernel/clock.ts';
import { beginTurn, endTurn } from '../kernel/effects.ts';
import type { ActorId, Exited, ExitReason, HostEffect, Lane, Message, OwnEffect, ReplyTo } from '../kernel/effects.ts';
import { DroverError, invariant } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { Asks } from './asks.ts';
import type { Asker } from './asks.ts';
import { Timers } from './timers.ts';
import type { Timer } from './timers.ts';
import type { Envelope, Transport } from './transport.ts';

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

/** Sent to an actor one of whose effects threw. */
export interface EffectFailed extends Message {
  readonly type: 'effect.failed';
  readonly effect: OwnEffect;
  readonly error: unknown;
}

export interface HostOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport<Cell | undefined>;
  /**
   * How deliveries are set off: `auto` drains in a microtask after the first send; `manual` leaves
   * it to `step()`, for a simulator. Default `auto`.
   */
  readonly pump?: 'auto' | 'manual';
  /** Told of messages to addresses where nobody lives. Default: dropped in silence, as in OTP. */
  readonly onDeadLetter?: (to: ActorId, message: Message) => void;
  /** Told when an actor throws, before its monitors are. */
  readonly onCrash?: (id: ActorId, error: unknown) => void;
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
  readonly host: Host;
  /**
   * The cell is the observer of its own actor: one of these is called when that ends. Without `error`
   * XState would rethrow in a timer, and end the process.
   */
  readonly error: (this: Cell) => void;
  readonly complete: (this: Cell) => void;
}

/**
 * Told of every life on a host and of every message that reaches it, in order and at once, within the
 * turn. It looks on: it is quick, does not throw, and asks nothing of the host. What an actor is in is
 * `actor.actor.getSnapshot()`.
 */
export interface HostObserver {
  /** An actor is about to be entered: its first turn. */
  readonly spawned?: (actor: Cell) => void;
  /** A message is about to be taken; `host.fire` (`Fire`) is a timer's. */
  readonly delivering?: (actor: Cell, message: Message, from: string) => void;
  /** It has been taken and the new state is committed; its effects have not run. */
  readonly delivered?: (actor: Cell, message: Message, from: string) => void;
  /** The actor is gone; its monitors have not been told. */
  readonly ended?: (actor: Cell, reason: ExitReason) => void;
}

/** Nobody lives at the address that was asked, or its tenant ended without an answer. */
export class ActorGoneError extends DroverError {
  readonly code = 'DROVER_ACTOR_GONE';
  readonly retryable = true;
  override readonly detail: { readonly actor: ActorId };
  constructor(actor: ActorId) {
    super(`${actor}: is gone and did not answer`);
    this.detail = { actor };
  }
}

/** Turns taken in one go before the event loop gets a chance to do I/O. */
const TURNS_PER_DRAIN = 4_096;

/** Some tens of microseconds: no decision is finer than that. */
const TURNS_PER_READING = 32;

const STOP_TIMER = 'host.stop-deadline';

function notice(this: Cell): void {
  this.host.noticed(this);
}

/** The host's word to itself: an actor has ended between its turns. */
const ENDED: Message = { type: 'host.ended' };

/** A timer, or an `after` of a machine, has come due. Called back when it is cancelled before its turn. */
export interface Fire extends Message {
  readonly type: 'host.fire';
  /** What it brings; undefined for an `after`, of which XState knows. */
  readonly brings: Message | undefined;
  readonly timer: Timer;
  readonly fire: () => void;
}

export class Host {
  /** The clock that actors and their effects see. Within a drain it is read once a few turns, and anew after anything outside has run: reading it costs as much as a turn. */
  readonly clock: Clock;
  readonly #options: HostOptions;
  readonly #transport: Transport<Cell | undefined>;
  readonly #timers: Timers;
  readonly #cells = new Map<ActorId, Cell>();
  readonly #asks = new Asks();
  #observers: readonly HostObserver[] = [];
  /** Whose turn it is. */
  #turning: Cell | undefined;
  #incarnations = 0;
  #pumping = false;
  #drainMs: number | undefined;
  #closed = false;

  constructor(options: HostOptions) {
    this.#options = options;
    const real = options.clock;
    this.clock = { nowMs: () => this.#drainMs ?? real.nowMs(), wakeAt: (atMs, fire) => real.wakeAt(atMs, fire) };
    this.#transport = options.transport;
    this.#timers = new Timers(options.clock);
  }

  get actorCount(): number {
    return this.#cells.size;
  }

  /** Messages on their way, and timers to come: both zero means that nothing will happen by itself. */
  get pending(): { readonly messages: number; readonly timers: number; readonly asks: number } {
    return { messages: this.#transport.size, timers: this.#timers.pending, asks: this.#asks.size };
  }

  /** Tells an observer, after those that came before it, of all that happens from now on. Returns what ends that. */
  observe(observer: HostObserver): () => void {
    this.#observers = [...this.#observers, observer];
    return () => {
      this.#observers = this.#observers.filter((other) => other !== observer);
    };
  }

  /**
   * Starts an actor and returns the number of this incarnation. Its initial effects have run when
   * this returns. One that throws while starting is told to the monitors like any other end.
   */
  spawn(spec: ActorSpec): number {
    invariant(!this.#cells.has(spec.id), `${spec.id} is alive: two incarnations of one address`);
    const parent = spec.parent === undefined ? undefined : this.#cells.get(spec.parent);
    invariant(parent !== undefined || spec.parent === undefined, `${spec.id} cannot start: its parent ${spec.parent} is gone`);
    const incarnation = spec.incarnation ?? (this.#incarnations += 1);
    const { id, logic, input, monitors = NOBODY } = spec;
    const cell: Cell = {
      id,
      incarnation,
      asleep: spec.lazy === true ? { logic, input } : undefined,
      actor: undefined as never,
      graceful: spec.graceful ?? false,
      perform: spec.perform,
      resumes: spec.resumes,
      monitors: monitors.length > 1 ? [...new Set(monitors)] : monitors,
      timers: undefined,
      parent,
      children: undefined,
      ending: undefined,
      stopping: false,
      started: false,
      live: true,
      host: this,
      error: notice,
      complete: notice,
    };
    const first = cell.asleep === undefined ? this.#create(cell, spec) : undefined;
    this.#cells.set(id, cell);
    if (parent !== undefined) (parent.children ??= new Set()).add(cell);
    if (first !== undefined) this.#enter(cell, first);
    return incarnation;
  }

  send(to: ActorId, message: Message, lane: Lane = 'work', from: ActorId = 'outside'): void {
    this.#push({ from, to: this.#cells.get(to), toId: to, exact: false, lane, message });
  }

  /** As `send`, but for the present tenant of the address alone: it never reaches a successor. */
  tell(to: ActorId, message: Message, lane: Lane = 'work'): void {
    const cell = this.#cells.get(to);
    if (cell !== undefined) this.#push({ from: 'outside', to: cell, toId: to, exact: true, lane, message });
  }

  /** Makes an address for one answer: put it into the question, and send that to `asker.asked`. */
  expect<T>(asker: Asker<T>): ReplyTo {
    return this.#asks.add(asker);
  }

  /** Sends a question. Rejects when whoever was asked is gone. */
  ask<T>(to: ActorId, question: (replyTo: ReplyTo) => Message): Promise<T> {
    return new Promise((resolve, reject) => {
      const lost = (): void => reject(new ActorGoneError(to));
      this.send(to, question(this.expect<T>({ asked: to, answered: resolve, lost })));
    });
  }

  /** Forgets a question: an answer that still comes goes nowhere. */
  forget(replyTo: ReplyTo): void {
    this.#asks.take(replyTo);
  }

  /** Tells `watcher` once, by `exited`, when `target` is gone; at once if it is not there. */
  monitor(watcher: ActorId, target: ActorId): void {
    const cell = this.#cells.get(target);
    if (cell !== undefined) {
      if (!(cell.monitors instanceof Set)) cell.monitors = new Set(cell.monitors);
      cell.monitors.add(watcher);
    } else
      this.send(
        watcher,
        { type: 'exited', id: target, incarnation: 0, started: false, reason: { at: 'normal' } } as Exited,
        'control',
        target,
      );
  }

  /** Asks an actor to end. Killed after `deadlineMs`; with 0 at once, unasked. */
  stop(id: ActorId, deadlineMs: number): void {
    const cell = this.#cells.get(id);
    if (cell === undefined) return;
    cell.stopping = true;
    if (deadlineMs <= 0 || !cell.graceful || cell.asleep !== undefined) {
      this.#tell(cell, 'control', { type: deadlineMs <= 0 ? 'host.kill' : 'host.stop' });
      return;
    }
    this.#tell(cell, 'control', { type: 'stop.requested' });
    if (deadlineMs === Infinity) return;
    this.#cancelTimer(cell, STOP_TIMER);
    const timer = this.#timers.set(this.clock.nowMs() + deadlineMs, () => {
      cell.timers?.delete(STOP_TIMER);
      this.#end(cell, { at: 'killed' });
    });
    (cell.timers ??= new Map()).set(STOP_TIMER, timer);
  }

  /**
   * Calls `fire` once at `atMs`: for adapters, which are no actors. Returns what cancels it.
   * An actor sets its timers by effect.
   */
  alarm(atMs: number, fire: () => void): () => void {
    const timer = this.#timers.set(atMs, fire);
    return () => this.#timers.cancel(timer);
  }

  isAlive(id: ActorId): boolean {
    return this.#cells.has(id);
  }

  /** Which life the actor at this address is in, or undefined when it is not there. */
  incarnationOf(id: ActorId): number | undefined {
    return this.#cells.get(id)?.incarnation;
  }

  /** The committed XState snapshot of an actor, or undefined when it is not there, or is lazy and has had no message. */
  snapshotOf(id: ActorId): unknown {
    const cell = this.#cells.get(id);
    return cell === undefined || cell.asleep !== undefined ? undefined : cell.actor.getSnapshot();
  }

  ids(): IterableIterator<ActorId> {
    return this.#cells.keys();
  }

  /** Delivers one message. False when there is none. For `pump: 'manual'`. */
  step(): boolean {
    const envelope = this.#transport.next();
    if (envelope === undefined) return false;
    this.#deliver(envelope);
    return true;
  }

  /** Ends every actor at once, without telling anybody, and forgets every timer and message. */
  close(): void {
    this.#closed = true;
    this.#timers.close();
    while (this.#transport.next() !== undefined);
    for (const cell of this.#cells.values()) {
      cell.live = false;
      if (cell.asleep !== undefined) continue;
      cell.actor.stop();
      for (const observer of this.#observers) observer.ended?.(cell, { at: 'killed' });
    }
    this.#cells.clear();
    this.#asks.clear();
  }

  /** Creates the XState actor. That computes its first state, and is half of its first turn: `#enter` is the other. */
  #create(cell: Cell, { logic, input }: Pick<ActorSpec, 'logic' | 'input'>): OwnEffect[] {
    const effects: OwnEffect[] = [];
    cell.asleep = undefined;
    cell.actor = turn(effects, () => createActor(logic, { input, id: cell.id, clock: this.#clockOf(cell) }));
    cell.actor.subscribe(cell);
    return effects;
  }

  /** An actor has ended; between its turns, by what it had invoked, that becomes a turn like any other. */
  noticed(cell: Cell): void {
    if (cell.live && this.#turning !== cell) this.#tell(cell, 'control', ENDED);
  }

  #enter(cell: Cell, effects: OwnEffect[]): void {
    for (const observer of this.#observers) observer.spawned?.(cell);
    this.#turning = cell;
    try {
      turn(effects, () => cell.actor.start());
    } finally {
      this.#turning = undefined;
    }
    this.#after(cell, effects);
  }

  #push(envelope: Envelope<Cell | undefined>): void {
    if (this.#closed) {
      const { replyTo } = envelope.message as { readonly replyTo?: ReplyTo };
      if (replyTo !== undefined) this.#lose(replyTo);
      return;
    }
    this.#transport.push(envelope);
    this.#pump();
  }

  /** The host's own word to one incarnation: a timer or a stop never reaches its successor. */
  #tell(cell: Cell, lane: Lane, message: Message): void {
    this.#push({ from: `host>${cell.id}`, to: cell, toId: cell.id, exact: true, lane, message });
  }

  #pump(): void {
    if (this.#pumping || this.#options.pump === 'manual') return;
    this.#pumping = true;
    queueMicrotask(this.#drain);
  }

  readonly #drain = (): void => {
    try {
      for (let turns = 0; turns < TURNS_PER_DRAIN; turns += 1) {
        if (turns % TURNS_PER_READING === 0) this.#drainMs = this.#options.clock.nowMs();
        const envelope = this.#transport.next();
        if (envelope === undefined) {
          this.#pumping = false;
          return;
        }
        this.#deliver(envelope);
      }
    } catch (error) {
      // An observer of the host threw. That is for the process to judge; should it live on, so do the actors.
      setImmediate(this.#drain);
      throw error;
    } finally {
      this.#drainMs = undefined;
    }
    setImmediate(this.#drain);
  };

  #deliver(envelope: Envelope<Cell | undefined>): void {
    const { from, to, toId, exact, message } = envelope;
    const cell = to?.live === true ? to : this.#successor(toId, exact, message);
    if (cell === undefined) return;
    if (message.type === 'host.kill') return this.#end(cell, { at: 'killed' });
    if (message.type === 'host.stop') return this.#end(cell, { at: 'shutdown' });
    if (message.type === 'host.fire' && (message as Fire).timer.cancelled) return;
    if (message === ENDED) return this.#after(cell, []);
    if (cell.asleep !== undefined) {
      if (cell.stopping) this.#end(cell, { at: 'shutdown' });
      else this.#enter(cell, this.#create(cell, cell.asleep));
      // Gone before it could take it: the message is for whoever comes after, if anybody does.
      if (!cell.live) return this.#deliver(envelope);
    }
    for (const observer of this.#observers) observer.delivering?.(cell, message, from);
    const effects: OwnEffect[] = [];
    const before = cell.resumes === undefined ? undefined : memoryOf(cell.actor);
    this.#turning = cell;
    beginTurn(effects);
    try {
      if (message.type === 'host.fire') (message as Fire).fire();
      else cell.actor.send(message);
    } finally {
      endTurn();
      this.#turning = undefined;
    }
    const resumed = before !== undefined && this.#resumed(cell, before);
    for (const observer of this.#observers) observer.delivered?.(cell, message, from);
    if (!resumed) this.#after(cell, effects);
  }

  /** Puts an actor whose turn threw back to where it was before, when its spec says so. */
  #resumed(cell: Cell, { snapshot, delayed }: Memory): boolean {
    const { status, error } = cell.actor.getSnapshot() as { status: string; error?: unknown };
    if (status !== 'error' || cell.resumes?.(error) !== true) return false;
    const { logic } = cell.actor;
    const clock = this.#clockOf(cell);
    // Going on is no turn of its own: what the state set off has been done when it was entered.
    turn([], () => {
      cell.actor = createActor(logic, { snapshot: logic.getPersistedSnapshot(snapshot), id: cell.id, clock });
      cell.actor.subscribe(cell);
      cell.actor.start();
      for (const { event, delay, id } of delayed) cell.actor.system.scheduler.schedule(cell.actor, cell.actor, event, delay, id);
    });
    this.#options.onCrash?.(cell.id, error);
    return true;
  }

  /** The clock of a machine's own `after`: it fires as a turn like any other. */
  #clockOf(cell: Cell) {
    return {
      setTimeout: (fire: () => void, delayMs: number): Timer => {
        const timer = this.#timers.set(this.clock.nowMs() + delayMs, () => this.#fire(cell, timer, fire));
        return timer;
      },
      clearTimeout: this.#clearTimer,
    };
  }

  readonly #clearTimer = (timer: Timer): void => this.#timers.cancel(timer);

  /** Whom a message reaches whose addressee is gone, or was never there. */
  #successor(toId: ActorId, exact: boolean, message: Message): Cell | undefined {
    const { replyTo } = message as { readonly replyTo?: ReplyTo };
    // Its asker has been told that it is lost, and asks again: a second answer would be for nobody.
    if (replyTo !== undefined && !this.#asks.has(replyTo)) return undefined;
    const cell = exact ? undefined : this.#cells.get(toId);
    if (cell !== undefined) return cell;
    if (replyTo !== undefined) this.#lose(replyTo);
    if (!exact) this.#options.onDeadLetter?.(toId, message);
    return undefined;
  }

  /** The new state is committed: runs the effects, and sees whether the actor has ended. */
  #after(cell: Cell, effects: readonly OwnEffect[]): void {
    const snapshot = cell.actor.getSnapshot() as { status: string; error?: unknown };
    if (snapshot.status === 'error') return this.#end(cell, { at: 'error', error: snapshot.error });
    cell.started = true;
    for (let at = 0; at < effects.length; at += 1) this.#run(cell, effects[at]!);
    if (cell.ending !== undefined) this.#end(cell, cell.ending);
    else if (snapshot.status === 'done') this.#end(cell, { at: cell.stopping ? 'shutdown' : 'normal' });
  }

  #run(cell: Cell, effect: OwnEffect): void {
    try {
      const known = effect as HostEffect;
      switch (known.type) {
        case 'send':
          return this.send(known.to, known.message, known.lane, cell.id);
        case 'reply':
          return this.#reply(known.to, known.value);
        case 'timer.set':
          return this.#setTimer(
            cell,
            known.key,
            known.atMs + (known.jitterMs === 0 ? 0 : this.#options.random.next() * known.jitterMs),
            known.message,
          );
        case 'timer.cancel':
          return this.#cancelTimer(cell, known.key);
        case 'exit':
          cell.ending = known.reason;
          return;
        default:
          invariant(cell.perform !== undefined, `${cell.id} has an effect ${effect.type} and nobody to perform it`);
          this.#drainMs = undefined;
          cell.perform(effect, cell.id);
      }
    } catch (error) {
      this.#tell(cell, 'control', { type: 'effect.failed', effect, error } as EffectFailed);
    }
  }

  #reply(to: ReplyTo, value: unknown): void {
    const asker = this.#asks.take(to);
    if (asker === undefined) return;
    this.#drainMs = undefined;
    asker.answered(value as never);
  }

  #lose(replyTo: ReplyTo): void {
    this.#asks.take(replyTo)?.lost?.();
  }

  #setTimer(cell: Cell, key: string, atMs: number, message: Message): void {
    this.#cancelTimer(cell, key);
    if (!cell.live) return;
    const taken = (): void => {
      cell.timers?.delete(key);
      cell.actor.send(message);
    };
    const timer = this.#timers.set(atMs, () => this.#fire(cell, timer, taken, message));
    (cell.timers ??= new Map()).set(key, timer);
  }

  #fire(cell: Cell, timer: Timer, fire: () => void, brings?: Message): void {
    this.#tell(cell, 'work', { type: 'host.fire', brings, timer, fire } as Fire);
  }

  #cancelTimer(cell: Cell, key: string): void {
    const timer = cell.timers?.get(key);
    if (timer === undefined) return;
    this.#timers.cancel(timer);
    cell.timers?.delete(key);
  }

  #end(cell: Cell, reason: ExitReason): void {
    if (!cell.live) return;
    cell.live = false;
    this.#cells.delete(cell.id);
    cell.parent?.children?.delete(cell);
    if (cell.timers !== undefined) for (const timer of cell.timers.values()) this.#timers.cancel(timer);
    cell.timers = undefined;
    if (cell.asleep === undefined) this.#leave(cell, reason);
    // Taken or still on its way, no question to it will be answered.
    for (const asker of this.#asks.takeAllOf(cell.id)) asker.lost?.();
    if (cell.children !== undefined) for (const child of [...cell.children].toReversed()) this.#end(child, { at: 'killed' });
    const exited: Exited = { type: 'exited', id: cell.id, incarnation: cell.incarnation, started: cell.started, reason };
    for (const monitor of cell.monitors) this.send(monitor, exited, 'control', cell.id);
    // Last, for it may throw. The messages above are only on their way.
    if (reason.at === 'error') this.#options.onCrash?.(cell.id, reason.error);
  }

  #leave(cell: Cell, reason: ExitReason): void {
    // Logic that cleans up when it is stopped may send, but the actor hears nothing more.
    const effects: OwnEffect[] = [];
    turn(effects, () => cell.actor.stop());
    for (const observer of this.#observers) observer.ended?.(cell, reason);
    for (const effect of effects) this.#run(cell, effect);
  }
}

const NOBODY: readonly ActorId[] = [];

/** What a resumable actor would go on with: its state, and the events that XState has scheduled for it. */
interface Memory {
  readonly snapshot: Snapshot<unknown>;
  readonly delayed: readonly { readonly event: EventObject; readonly delay: number; readonly id: string }[];
}

function memoryOf(actor: Actor<AnyActorLogic>): Memory {
  // XState keeps them with the system, and forgets them with the actor; each actor here is a system of its own.
  const system = actor.system.getSnapshot() as unknown as Readonly<Record<string, Readonly<Record<string, Memory['delayed'][number]>>>>;
  return { snapshot: actor.getSnapshot() as Snapshot<unknown>, delayed: Object.values(system['_scheduledEvents'] ?? {}) };
}

function turn<T>(effects: OwnEffect[], act: () => T): T {
  beginTurn(effects);
  try {
    return act();
  } finally {
    endTurn();
  }
}
