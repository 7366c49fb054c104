/**
 * Transports: who decides, in a test, which message is delivered next.
 *
 * Messages from one sender to one receiver on one lane are a channel, and stay in order; which channel
 * goes next is a choice among all that have something to deliver. Samplers make that choice:
 *
 *   - `random`: each channel is as likely as any other.
 *   - `pos`: each message has a random priority, drawn anew for those who compete for a receiver that
 *     has just taken one. Orders of messages to one receiver are then nearly equally likely.
 *   - `pct`: channels have fixed random priorities, and at a few random moments the first one becomes
 *     the last. Finds a race of depth d with a known chance.
 *   - `fair`: one channel after the other.
 *   - a schedule: natural numbers, each taken modulo the number of channels that could go, 0 for the one
 *     that has waited longest; when it is used up, first in, first out. Shorter and smaller numbers
 *     are tamer, so schedules shrink.
 *
 * A channel may be held up for a time (a slow network), and a message may be lost where the runtime
 * takes it for a hint only.
 *
 * @see Yuan, Yang & Gu, "Partial order aware concurrency sampling", CAV 2018
 * @see Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010
 */
import type { Envelope, Transport } from '../../actors/host/transport.ts';
import type { Random } from '../../actors/kernel/random.ts';

/** How the next delivery is chosen. */
export type Sampler = 'random' | 'pos' | 'pct' | 'fair';

export interface Channel<To = unknown> {
  readonly toId: string;
  readonly queue: Numbered<To>[];
  /** For samplers: of its first message (`pos`), or of the channel itself (`pct`). */
  priority: number;
  /** Position among the channels that could go; -1 while it is empty or held up. */
  at: number;
  held: boolean;
}

interface Numbered<To> {
  readonly envelope: Envelope<To>;
  /** In order of sending, over all channels. */
  readonly sequence: number;
}

/** Chooses among channels that have something to deliver: a position in `enabled`. */
export interface Choosing {
  choose(enabled: readonly Channel[]): number;
  /** A channel has got its first message. */
  entered?(channel: Channel): void;
  /** A message of this channel has been delivered. */
  delivered?(channel: Channel, enabled: readonly Channel[]): void;
}

export interface TransportHooks {
  /** Whether a message that is being sent never arrives. */
  readonly isLost?: (envelope: Envelope) => boolean;
  /** How long the channel of a message that is being sent is held up; 0: not at all. */
  readonly holdMs?: (envelope: Envelope) => number;
  /** Calls back after so many ms; the held channel goes on then. */
  readonly wake?: (inMs: number, release: () => void) => void;
  /** Told of each delivery, before it happens. */
  readonly onDelivery?: (envelope: Envelope, choice: number) => void;
  /** Told of each choice among several, as a schedule would have it: how many of them had waited longer. */
  readonly onChoice?: ((rank: number) => void) | undefined;
}

/** Delivers what a chooser names. */
export class ChannelTransport<To = unknown> implements Transport<To> {
  choosing: Choosing;
  readonly #hooks: TransportHooks;
  /** By receiver, then by sender and lane: no text is put together for each message. */
  readonly #control = new Map<string, Map<string, Channel<To>>>();
  readonly #work = new Map<string, Map<string, Channel<To>>>();
  readonly #enabled: Channel<To>[] = [];
  #size = 0;
  #sequence = 0;
  #frozen = false;

  constructor(choosing: Choosing, hooks: TransportHooks = {}) {
    this.choosing = choosing;
    this.#hooks = hooks;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether something can be delivered now: what is held up can't. */
  get isMoving(): boolean {
    return this.#enabled.length > 0 && !this.#frozen;
  }

  push(envelope: Envelope<To>): void {
    if (this.#frozen || this.#hooks.isLost?.(envelope) === true) return;
    const channel = this.#channelOf(envelope);
    channel.queue.push({ envelope, sequence: (this.#sequence += 1) });
    this.#size += 1;
    const holdMs = this.#hooks.holdMs?.(envelope) ?? 0;
    if (holdMs > 0 && !channel.held) this.#hold(channel, holdMs);
    else if (channel.queue.length === 1 && !channel.held) this.#enable(channel);
  }

  next(): Envelope<To> | undefined {
    const enabled = this.#enabled;
    if (enabled.length === 0 || this.#frozen) return undefined;
    const choice = enabled.length === 1 ? 0 : this.choosing.choose(enabled);
    const channel = enabled[choice]!;
    const { envelope, sequence } = channel.queue.shift()!;
    this.#size -= 1;
    if (this.#hooks.onChoice !== undefined && enabled.length > 1) this.#hooks.onChoice(rankOf(enabled, sequence));
    this.#hooks.onDelivery?.(envelope, choice);
    if (channel.queue.length === 0) this.#disable(channel);
    this.choosing.delivered?.(channel, enabled);
    return envelope;
  }

  /** Delivers nothing more, and loses what is on its way: the process is dead. */
  freeze(): void {
    this.#frozen = true;
    this.#size = 0;
  }

  /** Lets every held channel go on. */
  releaseAll(): void {
    for (const lane of [this.#control, this.#work]) {
      for (const channels of lane.values()) for (const channel of channels.values()) this.#release(channel);
    }
  }

  #channelOf({ from, toId, lane }: Envelope<To>): Channel<To> {
    const lanes = lane === 'control' ? this.#control : this.#work;
    let senders = lanes.get(toId);
    if (senders === undefined) lanes.set(toId, (senders = new Map()));
    let channel = senders.get(from);
    if (channel === undefined) senders.set(from, (channel = { toId, queue: [], priority: 0, at: -1, held: false }));
    return channel;
  }

  #hold(channel: Channel<To>, ms: number): void {
    channel.held = true;
    if (channel.at >= 0) this.#disable(channel);
    this.#hooks.wake?.(ms, () => this.#release(channel));
  }

  #release(channel: Channel<To>): void {
    if (!channel.held) return;
    channel.held = false;
    if (channel.queue.length > 0) this.#enable(channel);
  }

  #enable(channel: Channel<To>): void {
    if (channel.at >= 0) return;
    channel.at = this.#enabled.length;
    this.#enabled.push(channel);
    this.choosing.entered?.(channel);
  }

  #disable(channel: Channel<To>): void {
    const last = this.#enabled.pop()!;
    if (last !== channel) {
      this.#enabled[channel.at] = last;
      last.at = channel.at;
    }
    channel.at = -1;
  }
}

/** The chooser of a sampler. `depth`, for `pct` only: 2 to 5 finds nearly every race that is known; drawn by default. */
export function sampling(sampler: Sampler, random: Random, depth = 2 + random.int(4)): Choosing {
  switch (sampler) {
    case 'random':
      return { choose: (enabled) => random.int(enabled.length) };
    case 'pos':
      return prioritised(random);
    case 'pct':
      return demoting(random, depth);
    case 'fair':
      return roundRobin();
  }
}

/** Chooses as `schedule` says, then first in, first out. */
export function scheduled(schedule: readonly number[]): Choosing {
  let at = 0;
  return {
    choose(enabled) {
      const rank = (schedule[at] ?? 0) % enabled.length;
      at += 1;
      return rank === 0 ? oldest(enabled) : inOrder(enabled)[rank]!;
    },
  };
}

function prioritised(random: Random): Choosing {
  return {
    choose: highest,
    entered(channel) {
      channel.priority = random.next();
    },
    delivered({ toId }, enabled) {
      for (const rival of enabled) if (rival.toId === toId) rival.priority = random.next();
    },
  };
}

/** A change of priority falls on one in so many deliveries, for each step of depth above 1. */
const PCT_WINDOW = 512;

function demoting(random: Random, depth: number): Choosing {
  const known = new Set<Channel>();
  let lowest = 0;
  return {
    choose(enabled) {
      const first = highest(enabled);
      if (random.int(PCT_WINDOW) >= depth - 1) return first;
      enabled[first]!.priority = lowest -= 1;
      return highest(enabled);
    },
    entered(channel) {
      if (known.has(channel)) return;
      known.add(channel);
      channel.priority = random.next();
    },
  };
}

function roundRobin(): Choosing {
  let turn = 0;
  return { choose: (enabled) => (turn += 1) % enabled.length };
}

function highest(enabled: readonly Channel[]): number {
  let best = 0;
  for (let at = 1; at < enabled.length; at += 1) if (enabled[at]!.priority > enabled[best]!.priority) best = at;
  return best;
}

function oldest(enabled: readonly Channel[]): number {
  let best = 0;
  for (let at = 1; at < enabled.length; at += 1) if (enabled[at]!.queue[0]!.sequence < enabled[best]!.queue[0]!.sequence) best = at;
  return best;
}

/** Positions in `enabled`, by how long each has waited. */
function inOrder(enabled: readonly Channel[]): readonly number[] {
  return [...enabled.keys()].toSorted((a, b) => enabled[a]!.queue[0]!.sequence - enabled[b]!.queue[0]!.sequence);
}

/** How many could go that were sent before `sequence`: the message itself has left its channel. */
function rankOf(enabled: readonly Channel[], sequence: number): number {
  let rank = 0;
  for (const { queue } of enabled) if (queue[0] !== undefined && queue[0].sequence < sequence) rank += 1;
  return rank;
}
