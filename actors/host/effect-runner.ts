/** Effect runner: does what a turn has set out to do, in order, once its new state is committed. */
import type { ActorId, HostEffect, Lane, Message, OwnEffect } from '../kernel/effects.ts';
import { invariant } from '../kernel/errors.ts';
import type { Random } from '../kernel/random.ts';
import type { ActorTimers } from './actor-timers.ts';
import type { Asks } from './asks.ts';
import type { Cell } from './cell.ts';
import type { Pump } from './pump.ts';

/** Sent to an actor one of whose effects threw. */
export interface EffectFailed extends Message {
  readonly type: 'effect.failed';
  readonly effect: OwnEffect;
  readonly error: unknown;
}

/** What the effects of actors reach. */
export interface EffectReach {
  readonly asks: Asks;
  readonly timers: ActorTimers;
  /** For the jitter of timers. */
  readonly random: Random;
  /** Told before anything outside runs. */
  readonly pump: Pump<Cell | undefined>;
  readonly send: (to: ActorId, message: Message, lane: Lane | undefined, from: ActorId) => void;
  /** The host's own word to one incarnation. */
  readonly tell: (cell: Cell, message: Message) => void;
}

export class EffectRunner {
  readonly #reach: EffectReach;

  constructor(reach: EffectReach) {
    this.#reach = reach;
  }

  /** Never throws: what an effect throws comes back to its actor. */
  run(cell: Cell, effect: OwnEffect): void {
    const reach = this.#reach;
    try {
      const known = effect as HostEffect;
      switch (known.type) {
        case 'send':
          return reach.send(known.to, known.message, known.lane, cell.id);
        case 'reply': {
          const asker = reach.asks.take(known.to);
          return asker?.answered(known.value as never);
        }
        case 'timer.set': {
          const jitterMs = known.jitterMs === 0 ? 0 : reach.random.next() * known.jitterMs;
          return reach.timers.set(cell, known.key, known.atMs + jitterMs, known.message);
        }
        case 'timer.cancel':
          return reach.timers.cancel(cell, known.key);
        case 'exit':
          cell.ending = known.reason;
          return;
        default:
          invariant(cell.perform !== undefined, `${cell.id} has an effect ${effect.type} and nobody to perform it`);
          reach.pump.goesOutside();
          cell.perform(effect, cell.id);
      }
    } catch (error) {
      reach.tell(cell, { type: 'effect.failed', effect, error } as EffectFailed);
    }
  }
}
