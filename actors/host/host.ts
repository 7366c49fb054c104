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
import type { Clock } from '../kernel/clock.ts';
import { beginTurn, endTurn } from '../kernel/effects.ts';
import type { ActorId, Exited, ExitReason, Lane, Message, OwnEffect, ReplyTo } from '../kernel/effects.ts';
import { invariant } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import { ActorTimers } from './actor-timers.ts';
import type { Fire } from './actor-timers.ts';
import { ActorGoneError, Asks } from './asks.ts';
import type { Asker } from './asks.ts';
import { cellOf } from './cell.ts';
import type { ActorSpec, Cell } from './cell.ts';
import { EffectRunner } from './effect-runner.ts';
import type { HostObserver } from './observer.ts';
import { Pump } from './pump.ts';
import { goOn, memoryOf } from './resumption.ts';
import type { Memory } from './resumption.ts';
import { Timers } from './timers.ts';
import type { Envelope, Transport } from './transport.ts';

export type { Fire } from './actor-timers.ts';
export { ActorGoneError } from './asks.ts';
export type { ActorSpec, Cell } from './cell.ts';
export type { HostObserver } from './observer.ts';

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

/** The host's word to itself: an actor has ended between its turns. */
const ENDED: Message = { type: 'host.ended' };

export class Host {
  /** The clock that actors and their effects see, as the pump reads it. */
  readonly clock: Clock;
  readonly #options: HostOptions;
  readonly #pump: Pump<Cell | undefined>;
  readonly #timers: Timers;
  readonly #actorTimers: ActorTimers;
  readonly #cells = new Map<ActorId, Cell>();
  readonly #asks = new Asks();
  readonly #effects: EffectRunner;
  #observers: readonly HostObserver[] = [];
  /** Whose turn it is. */
  #turning: Cell | undefined;
  #incarnations = 0;
  #closed = false;

  constructor(options: HostOptions) {
    this.#options = options;
    this.#pump = new Pump(options.clock, options.transport, options.pump === 'manual', (envelope) => this.#deliver(envelope));
    this.clock = this.#pump.clock;
    this.#timers = new Timers(options.clock);
    this.#actorTimers = new ActorTimers(this.#timers, this.clock, (cell, fire) => this.#tell(cell, 'work', fire));
    this.#effects = new EffectRunner({
      asks: this.#asks,
      timers: this.#actorTimers,
      random: options.random,
      pump: this.#pump,
      send: (to, message, lane, from) => this.send(to, message, lane, from),
      tell: (cell, message) => this.#tell(cell, 'control', message),
    });
  }

  get actorCount(): number {
    return this.#cells.size;
  }

  /** Messages on their way, and timers to come: both zero means that nothing will happen by itself. */
  get pending(): { readonly messages: number; readonly timers: number; readonly asks: number } {
    return { messages: this.#pump.size, timers: this.#timers.pending, asks: this.#asks.size };
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
    const cell = cellOf(spec, incarnation, parent, this);
    const first = cell.asleep === undefined ? this.#create(cell, spec) : undefined;
    this.#cells.set(cell.id, cell);
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

  /**
   * As `tell`, but what is told before the first of it has been delivered comes with that, in one turn: as `items` of one
   * message of that type. All that gathers for one actor is of one type.
   */
  tellTogether(to: ActorId, type: string, item: unknown): void {
    const cell = this.#cells.get(to);
    if (cell === undefined) return;
    if (cell.gathering !== undefined) {
      cell.gathering.items.push(item);
      return;
    }
    const message = (cell.gathering = { type, items: [item] });
    this.#push({ from: 'outside', to: cell, toId: to, exact: true, lane: 'work', message });
  }

  /** Something outside is about to run within a turn, and may take its time: who reads the clock after it reads it anew. */
  goesOutside(): void {
    this.#pump.goesOutside();
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
    if (deadlineMs !== Infinity) this.#actorTimers.stopWithin(cell, deadlineMs, () => this.#end(cell, { at: 'killed' }));
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
    return this.#pump.step();
  }

  /** Ends every actor at once, without telling anybody, and forgets every timer and message. */
  close(): void {
    this.#closed = true;
    this.#timers.close();
    this.#pump.clear();
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
    cell.actor = turn(effects, () => createActor(logic, { input, id: cell.id, clock: this.#actorTimers.clockOf(cell) }));
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
    this.#pump.push(envelope);
  }

  /** The host's own word to one incarnation: a timer or a stop never reaches its successor. */
  #tell(cell: Cell, lane: Lane, message: Message): void {
    this.#push({ from: `host>${cell.id}`, to: cell, toId: cell.id, exact: true, lane, message });
  }

  #deliver(envelope: Envelope<Cell | undefined>): void {
    const { from, to, toId, exact, message } = envelope;
    const cell = to?.live === true ? to : this.#successor(toId, exact, message);
    if (cell === undefined) return;
    if (message.type === 'host.kill') return this.#end(cell, { at: 'killed' });
    if (message.type === 'host.stop') return this.#end(cell, { at: 'shutdown' });
    if (message.type === 'host.fire' && (message as Fire).timer.cancelled) return;
    if (message === ENDED) return this.#after(cell, []);
    if (message === cell.gathering) cell.gathering = undefined;
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
  #resumed(cell: Cell, before: Memory): boolean {
    const { status, error } = cell.actor.getSnapshot() as { status: string; error?: unknown };
    if (status !== 'error' || cell.resumes?.(error) !== true) return false;
    turn([], () => goOn(cell, before, this.#actorTimers.clockOf(cell)));
    this.#options.onCrash?.(cell.id, error);
    return true;
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
    for (let at = 0; at < effects.length; at += 1) this.#effects.run(cell, effects[at]!);
    if (cell.ending !== undefined) this.#end(cell, cell.ending);
    else if (snapshot.status === 'done') this.#end(cell, { at: cell.stopping ? 'shutdown' : 'normal' });
  }

  #lose(replyTo: ReplyTo): void {
    this.#asks.take(replyTo)?.lost?.();
  }

  #end(cell: Cell, reason: ExitReason): void {
    if (!cell.live) return;
    cell.live = false;
    this.#cells.delete(cell.id);
    cell.parent?.children?.delete(cell);
    this.#actorTimers.cancelAll(cell);
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
    for (const effect of effects) this.#effects.run(cell, effect);
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
