/**
 * Skeleton: processes reduced to what they wait for and what they hold. Written by hand for anything
 * that is not a topology, and compiled to a net.
 *
 * A process class is an automaton. Each state lists the moves that are possible in it; where there
 * are several, which one is made is free. Data never decides: a skeleton is searched for every choice.
 *
 * @example
 * const philosopher = (name: string, first: string, second: string): ProcessClass => ({
 *   name,
 *   start: 'thinking',
 *   states: {
 *     thinking: [acquire(first, 'hungry')],
 *     hungry: [acquire(second, 'eating', { progress: true })],
 *     eating: [release('all', 'thinking')],
 *   },
 * });
 */

/** One of each name, or so many. */
export type Needs = string | readonly string[] | Readonly<Record<string, number>>;

export interface MoveOptions {
  /** Something is achieved by it. Default false. */
  readonly progress?: boolean;
  /** The move in words, after the name of the process: `eats`. Default: from the operation. */
  readonly says?: string;
  /** Takes one from a budget, which is never given back. Without one left, the move is not possible. */
  readonly spends?: string;
  /** Only while the process has no open children, or only while it has some. */
  readonly children?: 'none' | 'some';
  /** Only while this mailbox is empty. */
  readonly whileEmpty?: string;
}

interface To {
  readonly to: string;
  readonly options: MoveOptions;
}

export type SkeletonMove =
  | (To & { readonly does: 'acquire'; readonly needs: Needs })
  | (To & { readonly does: 'attempt' | 'look'; readonly needs: Needs; readonly otherwise: string })
  | (To & { readonly does: 'release'; readonly needs: Needs })
  | (To & { readonly does: 'send' | 'receive' | 'ask'; readonly mailbox: string })
  | (To & { readonly does: 'reply' | 'join' | 'go' })
  | (To & { readonly does: 'spawn'; readonly process: string; readonly most: number })
  | (To & { readonly does: 'crash'; readonly keeps: boolean })
  | { readonly does: 'end'; readonly options: MoveOptions };

export interface ProcessClass {
  readonly name: string;
  /**
   * Identical processes of this class. Default 1. They are counted, not told apart: fairness and
   * starvation speak of the class. To ask about one of them, give it a class of its own.
   */
  readonly count?: number;
  readonly start: string;
  readonly states: Readonly<Record<string, readonly SkeletonMove[]>>;
  /** States with nothing left to do. Default: the start, and states without moves. */
  readonly rests?: readonly string[];
  /** A crash is possible in every state that does not rest: back to this state. `keeps`: what it held is gone for ever. */
  readonly crash?: { readonly to: string; readonly keeps?: boolean };
}

export interface Skeleton {
  readonly name: string;
  /** Capacities, 1 to 255. */
  readonly resources?: Readonly<Record<string, number>>;
  /** How many messages each holds, 1 to 255. */
  readonly mailboxes?: Readonly<Record<string, number>>;
  readonly processes: readonly ProcessClass[];
  /** What `spends` draws on. */
  readonly budgets?: Readonly<Record<string, number>>;
  /** Crashes that may happen in all. Default 0. */
  readonly faults?: number;
}

/** Takes everything it needs at once, or waits and takes nothing. */
export function acquire(needs: Needs, to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'acquire', needs, to, options };
}

/** Takes everything it needs when it is there, and goes elsewhere when not. Never waits. */
export function attempt(needs: Needs, to: string, otherwise: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'attempt', needs, to, otherwise, options };
}

/** Looks whether everything is there, and takes nothing. */
export function look(needs: Needs, to: string, otherwise: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'look', needs, to, otherwise, options };
}

/** Gives back; `'all'` is everything that is held. */
export function release(needs: Needs, to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'release', needs, to, options };
}

/** Gives its slot back (or `'all'`) in order to wait: a release by another name. */
export function park(needs: Needs, to: string, options: MoveOptions = {}): SkeletonMove {
  return release(needs, to, { says: 'parks', ...options });
}

/** Takes a slot again after a wait: an acquire by another name, with no priority (any order is searched). */
export function resume(needs: Needs, to: string, options: MoveOptions = {}): SkeletonMove {
  return acquire(needs, to, { says: 'resumes', ...options });
}

/** Puts a message into a mailbox; waits while it is full. */
export function send(mailbox: string, to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'send', mailbox, to, options };
}

/** Takes a message from a mailbox; waits while it is empty. */
export function receive(mailbox: string, to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'receive', mailbox, to, options };
}

/** Puts a request into a mailbox and waits for its reply. The reply needs no room: its place is reserved by the wait. */
export function ask(mailbox: string, to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'ask', mailbox, to, options };
}

/** Answers the request that was received. */
export function reply(to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'reply', to, options };
}

/** Starts one more process of a class, as a child; not while `most` are open (default 1). */
export function spawn(process: string, to: string, options: MoveOptions & { readonly most?: number } = {}): SkeletonMove {
  const { most = 1, ...rest } = options;
  return { does: 'spawn', process, most, to, options: rest };
}

/** Waits until a child has ended. */
export function join(to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'join', to, options };
}

/** The process is over, which whoever spawned it hears. */
export function end(options: MoveOptions = {}): SkeletonMove {
  return { does: 'end', options };
}

/** Does something that needs nothing. */
export function go(to: string, options: MoveOptions = {}): SkeletonMove {
  return { does: 'go', to, options };
}

/** Crashes, at the cost of one fault. What it held is given back, unless it `keeps` it for ever. */
export function crash(to: string, options: MoveOptions & { readonly keeps?: boolean } = {}): SkeletonMove {
  const { keeps = false, ...rest } = options;
  return { does: 'crash', keeps, to, options: rest };
}

/** How many of each. */
export function needsOf(needs: Needs): Readonly<Record<string, number>> {
  if (typeof needs === 'string') return { [needs]: 1 };
  if (!Array.isArray(needs)) return needs as Readonly<Record<string, number>>;
  const counts: Record<string, number> = {};
  for (const name of needs as readonly string[]) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
