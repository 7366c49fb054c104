/**
 * A world for one queue: its real decisions, in virtual time, over a store and workers of a few lines
 * each. The store answers after a while, first come, first served; a worker takes as long as its task
 * does, and longer when the prefix of the task was last run by somebody else.
 */
import type { ClaimedTask } from '../actors/ports/store.ts';
import { decide, initial } from '../actors/queue.ts';
import type { Mailboxes, QueueEffect, QueueMessage, QueueState } from '../actors/queue.ts';
import type { Job } from './stealing-work.ts';

export interface Outcome {
  readonly makespanMs: number;
  /** Of tasks whose prefix was somewhere, the share that ran there. */
  readonly warm: number;
  readonly stolen: number;
  readonly spilled: number;
  readonly meanWaitMs: number;
  readonly p99WaitMs: number;
}

/** Every command of the store. */
const STORE_MS = 3;
const LEASE_MS = 30_000;

interface Alarm {
  readonly atMs: number;
  readonly act: () => void;
}

export function outcomeOf(jobs: readonly Job[], workers: number, mailboxes: Mailboxes, seed: number): Outcome {
  const world = new World(jobs, mailboxes, seed);
  for (let at = 0; at < workers; at += 1) world.tell({ type: 'queue.joined', worker: `fleet-${seed}/agents/kind/${at}`, incarnation: 1 });
  return world.run();
}

class World {
  readonly #jobs: readonly Job[];
  #state: QueueState;
  #nowMs = 0;
  /** Ordered by time; few at a time. */
  readonly #alarms: Alarm[] = [];
  /** Tasks in the store, and in which box. */
  #arrived = 0;
  #claimed = 0;
  readonly #boxes = new Map<string, ClaimedTask[]>();
  /** Who ran the prefix last. */
  readonly #last = new Map<string, string>();
  readonly #waits: number[] = [];
  #makespanMs = 0;
  #done = 0;
  #sticky = 0;
  #warm = 0;
  #stolen = 0;
  #spilled = 0;

  constructor(jobs: readonly Job[], mailboxes: Mailboxes, seed: number) {
    this.#jobs = jobs;
    [this.#state] = initial({ ...mailboxes, seed });
  }

  tell(message: QueueMessage): void {
    const [state, effects] = decide(this.#state, message, this.#nowMs);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  run(): Outcome {
    this.#arrive();
    for (let next = this.#alarms.shift(); next !== undefined; next = this.#alarms.shift()) {
      this.#nowMs = next.atMs;
      next.act();
    }
    if (this.#done < this.#jobs.length) throw new Error(`${this.#jobs.length - this.#done} tasks have not been run`);
    const waits = this.#waits.toSorted((a, b) => a - b);
    return {
      makespanMs: this.#makespanMs,
      warm: this.#sticky === 0 ? 1 : this.#warm / this.#sticky,
      stolen: this.#stolen,
      spilled: this.#spilled,
      meanWaitMs: waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
      p99WaitMs: waits[Math.floor(0.99 * waits.length)]!,
    };
  }

  /** All that has come by now, and says when the next comes. */
  #arrive(): void {
    while (this.#arrived < this.#jobs.length && this.#jobs[this.#arrived]!.atMs <= this.#nowMs) this.#arrived += 1;
    this.tell({ type: 'queue.ready' });
    const next = this.#jobs[this.#arrived];
    if (next !== undefined) this.#alarm(next.atMs, () => this.#arrive());
  }

  #alarm(atMs: number, act: () => void): void {
    let at = this.#alarms.length;
    while (at > 0 && this.#alarms[at - 1]!.atMs > atMs) at -= 1;
    this.#alarms.splice(at, 0, { atMs, act });
  }

  #perform(effect: QueueEffect): void {
    switch (effect.type) {
      case 'queue.claim':
        return this.#alarm(this.#nowMs + STORE_MS, () => this.#claim(effect.limit, effect.box));
      case 'queue.spill':
        this.#spilled += effect.tasks.length;
        return this.#alarm(this.#nowMs + STORE_MS, () => {
          this.#boxes.set(effect.worker, [...(this.#boxes.get(effect.worker) ?? []), ...effect.tasks]);
        });
      case 'queue.start':
        for (const { worker, task } of effect.starts) this.#start(worker, task);
        return;
      case 'queue.stole':
        this.#stolen += effect.count;
        return;
      case 'send':
        return;
      default:
        throw new Error(`${effect.type} in a world where nobody comes or goes`);
    }
  }

  #claim(limit: number, box: string | undefined): void {
    if (box !== undefined) {
      const tasks = this.#boxes.get(box)?.splice(0, limit) ?? [];
      return this.tell({ type: 'queue.claimed', tasks, asked: limit, box });
    }
    const tasks: ClaimedTask[] = [];
    for (; tasks.length < limit && this.#claimed < this.#arrived; this.#claimed += 1)
      tasks.push(taskOf(this.#claimed, this.#jobs, this.#nowMs + LEASE_MS));
    this.tell({ type: 'queue.claimed', tasks, asked: limit });
  }

  #start(worker: string, task: ClaimedTask): void {
    const { atMs, warmMs, coldMs, affinity } = this.#jobs[Number(task.id)]!;
    this.#waits.push(this.#nowMs - atMs);
    let takesMs = warmMs;
    if (affinity !== null) {
      const last = this.#last.get(affinity);
      if (last !== undefined) this.#sticky += 1;
      if (last === worker) this.#warm += 1;
      else takesMs += coldMs;
      this.#last.set(affinity, worker);
    }
    this.#alarm(this.#nowMs + takesMs, () => {
      this.#done += 1;
      this.#makespanMs = this.#nowMs;
      this.tell({ type: 'queue.ended', runs: [task] });
    });
  }
}

function taskOf(at: number, jobs: readonly Job[], leaseUntilMs: number): ClaimedTask {
  return {
    id: String(at),
    kind: 'kind',
    version: '1',
    input: '',
    priority: 0,
    rank: 0,
    fence: 1,
    depth: 0,
    parentId: null,
    leaseUntilMs,
    rootId: null,
    tenant: null,
    affinity: jobs[at]!.affinity,
    deadlineMs: null,
  };
}

/** No schedule ends sooner: of all that comes from some moment on, its share of work, or its longest task. First ones of a prefix are cold. */
export function lowerBoundMs(jobs: readonly Job[], workers: number): number {
  const seen = new Set<string>();
  const least = jobs.map(({ affinity, warmMs, coldMs }) => {
    const first = affinity !== null && !seen.has(affinity);
    if (first) seen.add(affinity);
    return first ? warmMs + coldMs : warmMs;
  });
  let bound = 0;
  let work = 0;
  for (let at = jobs.length - 1; at >= 0; at -= 1) {
    const { atMs } = jobs[at]!;
    work += least[at]!;
    bound = Math.max(bound, atMs + work / workers, atMs + least[at]!);
  }
  return bound;
}
