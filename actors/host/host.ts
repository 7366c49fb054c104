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
 * Stopping:
 *   1. `stop` to an immediate actor ends it at its next turn. A graceful one gets `stop.requested`
 *      on the control lane and ends by itself; at the deadline it is killed.
 *   2. Either way the monitors are told when it is gone, not when it was asked.
 *   3. Whoever has this actor as its parent and is still there is killed with it.
 */
import { createActor } from 'xstate';
import type { Actor, AnyActorLogic } from 'xstate';
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
  readonly actor: Actor<AnyActorLogic>;
  readonly graceful: boolean;
  readonly perform: ActorSpec['perform'];
  readonly monitors: Set<ActorId>;
  readonly timers: Map<string, Timer>;
  readonly parent: Cell | undefined;
  /** Those that it is the parent of, in order of starting. */
  children: Set<Cell> | undefined;
  ending: ExitReason | undefined;
  /** Asked to stop: how it ends by itself then counts as `shutdown`. */
  stopping: boolean;
  /** The first turn did not throw. */
  started: boolean;
  live: boolean;
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

/** A timer, or an `after` of a machine, has come due. Called back when it is cancelled before its turn. */
interface Fire extends Message {
  readonly type: 'host.fire';
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

  /**
   * Starts an actor and returns the number of this incarnation. Its initial effects have run when
   * this returns. One that throws while starting is told to the monitors like any other end.
   */
  spawn(spec: ActorSpec): number {
    invariant(!this.#cells.has(spec.id), `${spec.id} is alive: two incarnations of one address`);
    const parent = spec.parent === undefined ? undefined : this.#cells.get(spec.parent);
    invariant(parent !== undefined || spec.parent === undefined, `${spec.id} cannot start: its parent ${spec.parent} is gone`);
    const incarnation = spec.incarnation ?? (this.#incarnations += 1);
    const timers = new Map<string, Timer>();
    let cell: Cell | undefined;
    const clock = {
      // A machine's own `after`: it fires as a turn like any other.
      setTimeout: (fire: () => void, delayMs: number): Timer => {
        const timer = this.#timers.set(this.clock.nowMs() + delayMs, () => cell !== undefined && this.#fire(cell, timer, fire));
        return timer;
      },
      clearTimeout: (timer: Timer) => this.#timers.cancel(timer),
    };
    // XState computes the first state when it creates an actor, and enters it when it starts it: one turn.
    const effects: OwnEffect[] = [];
    const actor = turn(effects, () => createActor(spec.logic, { input: spec.input, id: spec.id, clock }));
    // Without an error observer XState rethrows in a timer and ends the process.
    actor.subscribe({ error: () => {} });
    cell = {
      id: spec.id,
      incarnation,
      actor: actor,
      graceful: spec.graceful ?? false,
      perform: spec.perform,
      monitors: new Set(spec.monitors),
      timers,
      parent,
      children: undefined,
      ending: undefined,
      stopping: false,
      started: false,
      live: true,
    };
    this.#cells.set(spec.id, cell);
    if (parent !== undefined) (parent.children ??= new Set()).add(cell);
    turn(effects, () => actor.start());
    this.#after(cell, effects);
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
    if (cell !== undefined) cell.monitors.add(watcher);
    else
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
    if (deadlineMs <= 0 || !cell.graceful) {
      this.#tell(cell, 'control', { type: deadlineMs <= 0 ? 'host.kill' : 'host.stop' });
      return;
    }
    this.#tell(cell, 'control', { type: 'stop.requested' });
    if (deadlineMs === Infinity) return;
    this.#cancelTimer(cell, STOP_TIMER);
    const timer = this.#timers.set(this.clock.nowMs() + deadlineMs, () => {
      cell.timers.delete(STOP_TIMER);
      this.#end(cell, { at: 'killed' });
    });
    cell.timers.set(STOP_TIMER, timer);
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

  /** The committed XState snapshot of an actor, or undefined when it is not there. */
  snapshotOf(id: ActorId): unknown {
    return this.#cells.get(id)?.actor.getSnapshot();
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
      cell.actor.stop();
    }
    this.#cells.clear();
    this.#asks.clear();
  }

  #push(envelope: Envelope<Cell | undefined>): void {
    if (this.#closed) return;
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

  #deliver({ to, toId, exact, message }: Envelope<Cell | undefined>): void {
    const cell = to?.live === true ? to : this.#successor(toId, exact, message);
    if (cell === undefined) return;
    if (message.type === 'host.kill') return this.#end(cell, { at: 'killed' });
    if (message.type === 'host.stop') return this.#end(cell, { at: 'shutdown' });
    if (message.type === 'host.fire' && (message as Fire).timer.cancelled) return;
    const effects: OwnEffect[] = [];
    beginTurn(effects);
    try {
      if (message.type === 'host.fire') (message as Fire).fire();
      else cell.actor.send(message);
    } finally {
      endTurn();
    }
    this.#after(cell, effects);
  }

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
      cell.timers.delete(key);
      cell.actor.send(message);
    };
    const timer = this.#timers.set(atMs, () => this.#fire(cell, timer, taken));
    cell.timers.set(key, timer);
  }

  #fire(cell: Cell, timer: Timer, fire: () => void): void {
    this.#tell(cell, 'work', { type: 'host.fire', timer, fire } as Fire);
  }

  #cancelTimer(cell: Cell, key: string): void {
    const timer = cell.timers.get(key);
    if (timer === undefined) return;
    this.#timers.cancel(timer);
    cell.timers.delete(key);
  }

  #end(cell: Cell, reason: ExitReason): void {
    if (!cell.live) return;
    cell.live = false;
    this.#cells.delete(cell.id);
    cell.parent?.children?.delete(cell);
    for (const timer of cell.timers.values()) this.#timers.cancel(timer);
    cell.timers.clear();
    // Logic that cleans up when it is stopped may send, but the actor hears nothing more.
    const effects: OwnEffect[] = [];
    turn(effects, () => cell.actor.stop());
    for (const effect of effects) this.#run(cell, effect);
    // Taken or still on its way, no question to it will be answered.
    for (const asker of this.#asks.takeAllOf(cell.id)) asker.lost?.();
    if (cell.children !== undefined) for (const child of [...cell.children].toReversed()) this.#end(child, { at: 'killed' });
    const exited: Exited = { type: 'exited', id: cell.id, incarnation: cell.incarnation, started: cell.started, reason };
    for (const monitor of cell.monitors) this.send(monitor, exited, 'control', cell.id);
    // Last, for it may throw. The messages above are only on their way.
    if (reason.at === 'error') this.#options.onCrash?.(cell.id, reason.error);
  }
}

function turn<T>(effects: OwnEffect[], act: () => T): T {
  beginTurn(effects);
  try {
    return act();
  } finally {
    endTurn();
  }
}
