/**
 * ReadyQueue: the claimable tasks of one kind, best first: resumed ones, then by priority, then by
 * arrival. A lane holds the tasks of one rank. New work arrives in order and costs a push; what
 * comes back (a retry, a release) is older than the newest and goes to the lane's heap.
 */
import type { MemoryTask } from './memory-task.ts';

/** Below this many lanes an empty one is kept: the next task of that rank needs none made. */
const KEPT_LANES = 8;

/** Above this many taken places the front of a lane's array is cut off. */
const KEPT_PLACES = 1_024;

interface Lane {
  readonly resumed: boolean;
  readonly priority: number;
  /** In order of arrival from `head` on; before it, places that were taken. */
  inOrder: (MemoryTask | undefined)[];
  head: number;
  /** Came back out of order: a binary heap by `seq`. */
  readonly late: MemoryTask[];
}

/** Of one kind. Nothing leaves it but by `pop`. */
export class ReadyQueue {
  /** Best rank first. */
  readonly #lanes: Lane[] = [];

  push(task: MemoryTask): void {
    const lane = this.#laneOf(task);
    const newest = lane.inOrder[lane.inOrder.length - 1];
    if (newest === undefined || newest.seq < task.seq) lane.inOrder.push(task);
    else pushLate(lane.late, task);
  }

  /** Takes the best one out. */
  pop(): MemoryTask | undefined {
    const lanes = this.#lanes;
    for (let at = 0; at < lanes.length; at += 1) {
      const task = take(lanes[at]!);
      if (task !== undefined) return task;
      if (lanes.length > KEPT_LANES) {
        lanes.splice(at, 1);
        at -= 1;
      }
    }
    return undefined;
  }

  #laneOf({ resumed, priority }: MemoryTask): Lane {
    const lanes = this.#lanes;
    let low = 0;
    let high = lanes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const lane = lanes[middle]!;
      if (lane.resumed === resumed && lane.priority === priority) return lane;
      if (lane.resumed === resumed ? lane.priority > priority : lane.resumed) low = middle + 1;
      else high = middle;
    }
    const lane: Lane = { resumed, priority, inOrder: [], head: 0, late: [] };
    lanes.splice(low, 0, lane);
    return lane;
  }
}

function take(lane: Lane): MemoryTask | undefined {
  const { late, head } = lane;
  const next = lane.inOrder[head];
  if (late.length > 0 && (next === undefined || late[0]!.seq < next.seq)) return popLate(late);
  if (next === undefined) return undefined;
  lane.inOrder[head] = undefined;
  lane.head = head + 1;
  if (lane.head === lane.inOrder.length) {
    lane.inOrder = [];
    lane.head = 0;
  } else if (lane.head > KEPT_PLACES && lane.head * 2 > lane.inOrder.length) {
    lane.inOrder = lane.inOrder.slice(lane.head);
    lane.head = 0;
  }
  return next;
}

function pushLate(heap: MemoryTask[], task: MemoryTask): void {
  let at = heap.length;
  heap.push(task);
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]!.seq < task.seq) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = task;
}

function popLate(heap: MemoryTask[]): MemoryTask | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || last === first) return first;
  let at = 0;
  for (;;) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]!.seq < heap[below]!.seq) below += 1;
    if (heap[below]!.seq > last.seq) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
  return first;
}
