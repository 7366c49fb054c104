/** What a queue knows between two messages, and what a decision works on until it is the next state. */
import type { ActorId } from '../kernel/effects.ts';
import type { ClaimedTask, Held } from '../ports/store.ts';
import type { Line } from './line.ts';
import type { Mailboxes, QueueEffect, Start } from './messages.ts';
import { mixed } from './rendezvous.ts';
import type { Turns } from './turns.ts';

/** A worker, with its mailbox and what it runs. */
export interface Slot {
  readonly worker: ActorId;
  readonly incarnation: number;
  readonly leaving: boolean;
  /** The first to go at its head. Empty in mode `shared`; in mode `steal`, only what has an affinity. */
  readonly mailbox: readonly ClaimedTask[];
  readonly run: ClaimedTask | null;
  /** What the worker was told last: its machine moves when its condition changes, not for every task. */
  readonly busy: boolean;
  /** How many its box in the store may hold that no claim under way has asked for; 0: surely none. */
  readonly spilled: number;
  /** Of its name. */
  readonly hash: number;
}

/** A claim of a box that is under way: one at a time for each box. */
export interface Fetch {
  readonly box: ActorId;
  /** Whom it is for: the worker of the box, or a thief. That many places of its mailbox are kept free. */
  readonly taker: ActorId;
  readonly limit: number;
  /** `spilled` of the box when it was asked for. */
  readonly spilled: number;
}

export interface QueueState {
  readonly input: Mailboxes;
  readonly agingMs: number;
  readonly slots: readonly Slot[];
  /** What waits for whoever is free: in mode `shared` everything, in mode `steal` what has no affinity. */
  readonly line: Line;
  /** How many tasks for each worker the line is to hold, from 1 up to the capacity. */
  readonly ahead: number;
  /** When a claim was answered last, and how much time lies between two answers, lately, in the mean. */
  readonly answeredMs: number;
  readonly everyMs: number;
  /** The claim under way was asked for while everybody had something to do. */
  readonly early: boolean;
  /** The last claim that brought something brought some with an affinity. */
  readonly sticky: boolean;
  /** One claim at a time of what is in no box; `hinted` remembers that more came while it was under way. */
  readonly claiming: boolean;
  readonly hinted: boolean;
  /** The last claim got all it asked for, so there may be more. */
  readonly more: boolean;
  /** More than half of what the last claim brought had to be spilled. */
  readonly sparse: boolean;
  readonly fetches: readonly Fetch[];
  readonly draining: boolean;
  /** Whose task starts next; undefined: tasks have no tenants. */
  readonly turns: Turns | undefined;
  /** State of the generator that the choice of victims draws from. */
  readonly chance: number;
}

/** A decision under way: the next state, still open to change, and what is to be done. Never seen outside. */
export interface Turn {
  readonly state: { -readonly [Field in keyof QueueState]: QueueState[Field] } & { readonly slots: Slot[] };
  readonly effects: QueueEffect[];
  readonly starts: Start[];
  /** How many a claim has brought that was of no box. */
  arrived: number;
  /** How many have left the line. */
  taken: number;
  /** A mailbox or the line may hold more than fits, until idle workers have had their chance at it. */
  overfull: boolean;
  /** Some box may hold something that no claim has asked for. */
  boxed: boolean;
  /** By the place of their slot: tasks whose worker's box has older ones. */
  spills: Map<number, ClaimedTask[]> | undefined;
}

export function begin(state: QueueState): Turn {
  const open = { ...state, slots: [...state.slots] };
  return { state: open, effects: [], starts: [], arrived: 0, taken: 0, overfull: false, boxed: false, spills: undefined };
}

/** A whole number from 0 up to `below`. */
export function draw({ state }: Turn, below: number): number {
  state.chance = (state.chance + 0x9e3779b9) | 0;
  return Math.floor((mixed(state.chance) / 4_294_967_296) * below);
}

/** How many places in the mailbox of a worker are kept for what it has asked for. */
export function expectedBy({ fetches }: QueueState, worker: ActorId): number {
  for (const { taker, limit } of fetches) if (taker === worker) return limit;
  return 0;
}

/** Whether the store may have something for this worker only. */
export function hasBox({ fetches }: QueueState, { worker, spilled }: Slot): boolean {
  return spilled > 0 || fetches.some(({ box }) => box === worker);
}

/** What waits in the box of a worker is for everybody again. Also where nothing is known of it: a kind that is paused answers as an empty box does. */
export function unbox({ effects }: Turn, { worker }: Slot): void {
  effects.push({ type: 'queue.unbox', worker });
}

/** Up to so many are compared one by one: that costs less than an index of them. */
const FEW = 2;

/** As `isAmong`, to be asked of many. */
export function among(tasks: readonly Held[]): (task: Held) => boolean {
  if (tasks.length <= FEW) return (task) => isAmong(tasks, task);
  const fences = new Map<string, number>();
  for (const { id, fence } of tasks) fences.set(id, fence);
  return (task) => {
    const fence = fences.get(task.id);
    // Two runs of one task may be among them.
    return fence === task.fence || (fence !== undefined && isAmong(tasks, task));
  };
}

export function isAmong(tasks: readonly Held[], { id, fence }: Held): boolean {
  for (const task of tasks) if (task.fence === fence && task.id === id) return true;
  return false;
}
