/**
 * Driven machine: the real machine as an actor on a real host, in virtual time, with nobody around it.
 * What it wants done is kept, in order; its delayed transitions fire when time gets there; the actors
 * that it would invoke are silent (`silenced`), for what they answer is an event of the test's.
 */
import { fromCallback } from 'xstate';
import type { AnyActorLogic, AnyEventObject, AnyMachineSnapshot, AnyStateMachine, InspectionEvent } from 'xstate';
import { Host } from '../../../actors/host/host.ts';
import { fifoTransport } from '../../../actors/host/transport.ts';
import { send } from '../../../actors/kernel/effects.ts';
import type { Exited, ExitReason, Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { eventWords, invokedBy, isDelayed, transitionsOf } from './chart.ts';

const SELF = 'machine';
const MONITOR = 'machine~monitor';
/** A path waits for one delay through so many others at most. */
const MOST_WAKES = 1_000;

type Transition = ReturnType<typeof transitionsOf>[number];

export class DrivenMachine {
  /** The last state that it committed. */
  snapshot: AnyMachineSnapshot | undefined;
  /** Why it is gone; undefined while it lives. */
  ended: ExitReason | undefined;
  /** What it wanted done: messages to others, effects of its own, events that it emitted. */
  readonly effects: OwnEffect[] = [];
  /** Transitions that it has taken. */
  readonly taken = new Set<Transition>();
  /** Delays have fired that no step asked for. */
  ranAway = false;
  readonly #clock = new VirtualClock();
  readonly #host: Host;
  /** Event types that it has taken since the last step of the test. */
  #took: string[] = [];

  constructor(machine: AnyStateMachine, input: unknown) {
    this.#host = new Host({ clock: this.#clock, random: seededRandom(1), transport: fifoTransport(), pump: 'manual' });
    this.#host.send = (to, message, lane, from) => this.#send(to, message, lane, from);
    this.#host.spawn({
      id: SELF,
      logic: this.#watched(machine),
      input,
      graceful: true,
      perform: (effect) => this.effects.push(effect),
      monitors: [MONITOR],
    });
    this.#settle();
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Feeds one event, and lets everything happen that takes no time. A delayed one comes by letting time pass; false when it never does. */
  feed(event: AnyEventObject): boolean {
    this.#took = [];
    if (isDelayed(event.type)) {
      const came = this.#await(event.type);
      this.ranAway ||= this.strayed(event).length > 0;
      return came;
    }
    this.#host.send(SELF, event);
    this.#settle();
    return true;
  }

  /** Delays that fired on the last step, which `event` was to be, and that it did not ask for, in words. */
  strayed(event: AnyEventObject): readonly string[] {
    return this.#took.filter((type) => isDelayed(type) && type !== event.type).map((type) => eventWords(type));
  }

  close(): void {
    this.#host.close();
  }

  #await(type: string): boolean {
    for (let wakes = 0; wakes < MOST_WAKES && this.ended === undefined && !this.#took.includes(type); wakes += 1) {
      if (this.#clock.nextDueMs === undefined) return false;
      this.#clock.fireNext();
      this.#settle();
    }
    return this.#took.includes(type);
  }

  #settle(): void {
    while (this.#host.step());
  }

  #send(to: string, message: Message, lane: 'work' | 'control' = 'work', from: string = 'outside'): void {
    if (to === MONITOR) this.ended = (message as Exited).reason;
    else if (from === SELF && to !== SELF) this.effects.push(send(to, message, lane));
    else Host.prototype.send.call(this.#host, to, message, lane, from);
  }

  /** The same machine, seen from within. */
  #watched(machine: AnyStateMachine): AnyActorLogic {
    const logic = Object.create(machine) as AnyStateMachine;
    logic.getInitialSnapshot = (scope, input) => {
      scope.system.inspect((seen: InspectionEvent) => this.#inspect(seen, scope.self.sessionId));
      (scope.self as unknown as { on(type: '*', heard: (event: OwnEffect) => void): void }).on('*', (event) => this.effects.push(event));
      return machine.getInitialSnapshot(scope, input);
    };
    logic.transition = (snapshot, event: AnyEventObject, scope) => {
      this.#took.push(event.type);
      try {
        return machine.transition(snapshot, event, scope);
      } catch (error) {
        // A step that throws is never inspected, and was taken all the same.
        for (const taken of transitionsOf(machine, snapshot, event)) this.taken.add(taken);
        throw error;
      }
    };
    return logic;
  }

  #inspect(seen: InspectionEvent, session: string): void {
    if (seen.actorRef.sessionId !== session) return;
    if (seen.type === '@xstate.microstep') {
      const { _transitions: transitions } = seen;
      for (const taken of transitions) this.taken.add(taken as Transition);
    }
    if (seen.type === '@xstate.snapshot') this.snapshot = seen.snapshot as AnyMachineSnapshot;
  }
}

/** The same machine, with silent actors in the place of those that it invokes. */
export function silenced(machine: AnyStateMachine): AnyStateMachine {
  const invoked = invokedBy(machine);
  if (invoked.length === 0) return machine;
  const silent = fromCallback(() => {});
  return machine.provide({ actors: Object.fromEntries(invoked.map((src) => [src, silent])) } as never);
}
