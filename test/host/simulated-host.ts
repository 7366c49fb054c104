/** A host in virtual time whose messages are delivered in an order drawn by seed, one `step` at a time. */
import { Host } from '../../actors/host/host.ts';
import type { ActorSpec, Cell, HostOptions } from '../../actors/host/host.ts';
import { seededTransport } from '../../actors/host/transport.ts';
import type { Transport } from '../../actors/host/transport.ts';
import { fromDecider, NOTHING } from '../../actors/kernel/decider.ts';
import type { Decision } from '../../actors/kernel/decider.ts';
import type { ActorId, Message, OwnEffect } from '../../actors/kernel/effects.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A simulation that takes more turns than this without time passing is in a loop. */
const MOST_TURNS = 1_000_000;

export class SimulatedHost {
  readonly clock: VirtualClock;
  readonly host: Host;
  /** What the transport drew, in order. */
  readonly choices: number[] = [];
  readonly crashes: { readonly id: ActorId; readonly error: unknown }[] = [];
  readonly deadLetters: { readonly to: ActorId; readonly message: Message }[] = [];

  constructor(seed: number | string = 1, options: Partial<HostOptions> & { readonly startMs?: number } = {}) {
    const { startMs = 0, ...given } = options;
    const random = seededRandom(seed);
    this.clock = new VirtualClock(startMs);
    this.host = new Host({
      clock: this.clock,
      random: random.fork('host'),
      transport: seededTransport(random.fork('transport'), this.choices) as Transport<Cell | undefined>,
      pump: 'manual',
      onCrash: (id, error) => this.crashes.push({ id, error }),
      onDeadLetter: (to, message) => this.deadLetters.push({ to, message }),
      ...given,
    });
  }

  /** Steps until nothing is on its way. */
  settle(): void {
    for (let turns = 0; this.host.step(); turns += 1) {
      if (turns > MOST_TURNS) throw new Error('the host does not settle');
    }
  }

  /** Settles, and lets `ms` pass, settling at every due time on the way. */
  run(ms: number): void {
    const untilMs = this.clock.nowMs() + ms;
    this.settle();
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.advanceTo(Math.max(dueMs, this.clock.nowMs()));
      this.settle();
    }
    this.clock.advanceTo(untilMs);
    this.settle();
  }

  /** Starts an actor that only keeps what it is told. */
  probe(id: ActorId, spec: Partial<ActorSpec> = {}): Message[] {
    const heard: Message[] = [];
    this.host.spawn({
      ...spec,
      id,
      logic: scripted((message) => [{ type: 'probe.heard', message } as OwnEffect], this.clock),
      perform: (effect) => heard.push((effect as unknown as { readonly message: Message }).message),
    });
    return heard;
  }
}

/** An actor without state that answers each message with the effects of `script`. */
export function scripted(script: (message: Message) => readonly OwnEffect[], clock: VirtualClock, first: readonly OwnEffect[] = NOTHING) {
  return fromDecider<null, Message, undefined, OwnEffect>(
    {
      initial: (): Decision<null, OwnEffect> => [null, first],
      decide: (state, message): Decision<null, OwnEffect> => [state, script(message)],
    },
    clock,
  );
}

/** An effect of an actor's own. */
export const own = (type: string): OwnEffect => ({ type });

/** An actor that answers `{ type: 'do', effects }` with those effects, and throws at `break`. */
export const puppet = (clock: VirtualClock, first: readonly OwnEffect[] = NOTHING) =>
  scripted(
    (message) => {
      if (message.type === 'break') throw new Error('broken');
      return message.type === 'do' ? (message as Do).effects : NOTHING;
    },
    clock,
    first,
  );

export interface Do extends Message {
  readonly effects: readonly OwnEffect[];
}

export const make = (...effects: readonly OwnEffect[]): Message => ({ type: 'do', effects }) as Do;

/** A simulated host on which puppets are spawned. */
export function bench(seed: number | string = 1, options: ConstructorParameters<typeof SimulatedHost>[1] = {}) {
  const simulated = new SimulatedHost(seed, options);
  const { host, clock } = simulated;
  return {
    simulated,
    host,
    clock,
    spawn: (id: string, spec: Partial<ActorSpec> = {}) => host.spawn({ id, logic: puppet(clock), ...spec }),
  };
}
