/**
 * Transport: which message is delivered next. The host asks for one at a time, so a sender never
 * runs its receiver and the stack never grows.
 *
 * Every transport keeps the order of messages from one sender to one receiver on one lane, and
 * nothing more: whoever relies on more has a race, and the seeded transport finds it.
 */
import type { Lane, Message } from '../kernel/effects.ts';
import type { Random } from '../kernel/random.ts';

/** A message on its way. `to` is the tenant of the address `toId` when it was sent. */
export interface Envelope<To = unknown> {
  readonly from: string;
  readonly to: To;
  readonly toId: string;
  /** For this tenant alone: lost, not forwarded, when the address has got another one meanwhile. */
  readonly exact: boolean;
  readonly lane: Lane;
  readonly message: Message;
}

export interface Transport<To = unknown> {
  readonly size: number;
  push(envelope: Envelope<To>): void;
  /** The envelope to deliver now, or undefined when nothing is on its way. */
  next(): Envelope<To> | undefined;
}

/** Production: first in, first out, the control lane ahead of the work lane. */
export function fifoTransport<To>(): Transport<To> {
  const control = ring<Envelope<To>>();
  const work = ring<Envelope<To>>();
  return {
    get size() {
      return control.size() + work.size();
    },
    push: (envelope) => (envelope.lane === 'control' ? control : work).push(envelope),
    next: () => control.shift() ?? work.shift(),
  };
}

/**
 * Tests: the next channel is drawn by seed among all that have something to deliver, whatever
 * their lane, for across channels nothing is promised. `choices` records each draw, so that a
 * failing run can be repeated and shrunk.
 */
export function seededTransport<To>(random: Random, choices: number[] = []): Transport<To> {
  const channels = new Map<string, Envelope<To>[]>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    push(envelope) {
      const name = `${envelope.from}>${envelope.toId}>${envelope.lane}`;
      const channel = channels.get(name);
      if (channel === undefined) channels.set(name, [envelope]);
      else channel.push(envelope);
      size += 1;
    },
    next() {
      if (size === 0) return undefined;
      const names = [...channels.keys()];
      const choice = random.int(names.length);
      choices.push(choice);
      const name = names[choice]!;
      const channel = channels.get(name)!;
      const envelope = channel.shift()!;
      if (channel.length === 0) channels.delete(name);
      size -= 1;
      return envelope;
    },
  };
}

/** A growing ring buffer: `Array.shift` moves every element once a queue is long. */
function ring<T>(): { push(item: T): void; shift(): T | undefined; size(): number } {
  let slots: (T | undefined)[] = Array.from({ length: 64 });
  let mask = 63;
  let head = 0;
  let count = 0;
  return {
    size: () => count,
    push(item) {
      if (count === slots.length) {
        const grown: (T | undefined)[] = Array.from({ length: slots.length * 2 });
        for (let at = 0; at < count; at += 1) grown[at] = slots[(head + at) & mask];
        slots = grown;
        mask = grown.length - 1;
        head = 0;
      }
      slots[(head + count) & mask] = item;
      count += 1;
    },
    shift() {
      if (count === 0) return undefined;
      const item = slots[head];
      slots[head] = undefined;
      head = (head + 1) & mask;
      count -= 1;
      return item;
    },
  };
}
