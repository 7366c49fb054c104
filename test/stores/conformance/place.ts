/** What the conformance suite works with: a place that stores are opened over, and short ways to bring a task somewhere. */
import { afterEach, beforeEach, expect } from 'vitest';
import type {
  ClaimedTask,
  Held,
  LockWant,
  NewTask,
  OpenCommand,
  SettledOutcome,
  SettleOutcome,
  StartOutcome,
  SteerAction,
  SteerReply,
  Store,
  SweepReply,
  TaskRecord,
} from '../../../actors/ports/store.ts';
import { KIND, newTask } from '../tasks.ts';

/** Where tasks outlive the store over them: a file, a disk in memory. */
export interface Place {
  /** A store over this place, not open yet. A new one each time. */
  store(): Store;
  /** Ends a store that was made here as `kill -9` of its process would. */
  crash(store: Store): Promise<void>;
  remove(): Promise<void>;
}

export type MakePlace = () => Promise<Place>;

export { KIND, newTask };

/** The store under test, open anew for every test, and what tests do with it all the time. Its time is moved by the test. */
export class Bench {
  place!: Place;
  store!: Store;
  nowMs = 1_000;
  readonly #makePlace: MakePlace;

  constructor(makePlace: MakePlace) {
    this.#makePlace = makePlace;
    beforeEach(async () => {
      this.nowMs = 1_000;
      this.place = await makePlace();
      await this.open();
    });
    afterEach(async () => {
      await this.store.close();
      await this.place.remove();
    });
  }

  /** One more place of the same sort, for the caller to remove. */
  otherPlace(): Promise<Place> {
    return this.#makePlace();
  }

  async open(maxUnfinished = 1_000_000, options: Partial<OpenCommand> = {}): Promise<void> {
    this.store = this.place.store();
    await this.store.open({ nowMs: this.nowMs, maxUnfinished, ...options });
  }

  /** Ends the store in order, and opens the next one otherwise. */
  async reopen(options: Partial<OpenCommand> = {}): Promise<void> {
    await this.store.close();
    await this.open(1_000_000, options);
  }

  async submit(...tasks: readonly (string | NewTask)[]): Promise<void> {
    const all = tasks.map((task) => (typeof task === 'string' ? newTask(task) : task));
    const outcomes = await this.store.submit(all, this.nowMs);
    expect(outcomes).toEqual(all.map(() => ({ at: 'accepted' })));
  }

  /** Claims until `leaseMs` from now. */
  async claim(limit = 1, { kind = KIND, leaseMs = 60_000 } = {}): Promise<readonly ClaimedTask[]> {
    return this.store.claim({ wants: [{ kind, limit }], leaseUntilMs: this.nowMs + leaseMs, nowMs: this.nowMs });
  }

  /** Submits a task, claims it and starts it. */
  async running(id: string, { leaseMs = 60_000, ...changes }: Partial<NewTask> & { leaseMs?: number } = {}): Promise<ClaimedTask> {
    await this.submit(newTask(id, changes));
    return this.runNext(id, leaseMs);
  }

  /** Claims and starts the next task, which is to be this one. */
  async runNext(id: string, leaseMs = 60_000): Promise<ClaimedTask> {
    const [claimed] = await this.claim(1, { leaseMs });
    expect(claimed?.id).toBe(id);
    await this.store.start([claimed!], this.nowMs);
    return claimed!;
  }

  /** Claims the next task, which is to be this one, and tries to start it. */
  async tryNext(id: string): Promise<{ readonly run: ClaimedTask; readonly outcome: StartOutcome }> {
    const [claimed] = await this.claim();
    expect(claimed?.id).toBe(id);
    return { run: claimed!, outcome: await this.start(claimed!) };
  }

  async start({ id, fence }: Held): Promise<StartOutcome> {
    const [outcome] = await this.store.start([{ id, fence }], this.nowMs);
    return outcome!;
  }

  /** Starts a run again, which changes nothing, to see what it is given. */
  async given(held: Held): Promise<Extract<StartOutcome, { at: 'started' }>> {
    const outcome = await this.start(held);
    if (outcome.at !== 'started') throw new Error(`${held.id} has not started: ${outcome.at}`);
    return outcome;
  }

  async steer(id: string, action: SteerAction): Promise<SteerReply> {
    return this.store.steer([{ id, action, by: 'ann', reason: 'because' }], this.nowMs);
  }

  /** Moves the time, and sweeps. */
  async sweepIn(ms: number): Promise<SweepReply> {
    this.nowMs += ms;
    return this.store.sweep(this.nowMs);
  }

  /** How these tasks stand, e.g. `queued`, `parked:locks`. */
  async standing(...ids: string[]): Promise<string[]> {
    const tasks = await this.store.get(ids);
    return tasks.map((task) =>
      task === undefined ? 'unknown' : task.parkedFor === null ? task.status : `${task.status}:${task.parkedFor}`,
    );
  }

  async settle(held: { readonly id: string; readonly fence: number }, outcome: SettledOutcome): Promise<SettleOutcome> {
    const { outcomes } = await this.store.settle([{ id: held.id, fence: held.fence, outcome }], this.nowMs);
    return outcomes[0]!;
  }

  async complete(held: { readonly id: string; readonly fence: number }, result: string | null = 'null'): Promise<void> {
    expect(await this.settle(held, { at: 'completed', result, sends: [] })).toEqual({ at: 'settled', status: 'completed' });
  }

  /** Of a run that remembers something that is to be compensated. */
  async compensated(id: string, changes: Partial<NewTask> = {}): Promise<ClaimedTask> {
    const run = await this.running(id, changes);
    await this.store.remember([{ id, fence: run.fence, place: 'compensate:pay#0', hash: 'h', value: '"pay back"' }], this.nowMs);
    return run;
  }

  async record(id: string): Promise<TaskRecord | undefined> {
    return (await this.store.get([id]))[0];
  }

  /** Every task, page by page. */
  async all(): Promise<TaskRecord[]> {
    const found: TaskRecord[] = [];
    for (;;) {
      const page = await this.store.list({ limit: 100, ...(found.length === 0 ? {} : { after: found.at(-1)!.id }) });
      if (page.length === 0) return found;
      found.push(...page);
    }
  }

  /** Ends the store as a crash would, and opens the next one over the same place. */
  async crashAndOpen(): Promise<{ readonly epoch: number; readonly recovered: number }> {
    await this.place.crash(this.store);
    this.store = this.place.store();
    return this.store.open({ nowMs: this.nowMs, maxUnfinished: 1_000_000 });
  }
}

/** Matches the outcome of a run that holds. */
export const SETTLED = (status: TaskRecord['status']): SettleOutcome => ({ at: 'settled', status });
export const STALE = { at: 'stale' } as const;

/** What a first run of a plain task is given, but for these. */
export function started(changes: Partial<Extract<StartOutcome, { at: 'started' }>> = {}): StartOutcome {
  return { at: 'started', attempt: 1, losses: 0, memory: [], children: [], events: [], locks: [], lockFence: 0, undo: null, ...changes };
}

/** A sweep that found nothing, but for these. */
export function swept(changes: Partial<SweepReply> = {}): SweepReply {
  return { ready: [], expired: [], ended: [], nextAtMs: null, raised: [], noted: [], schedules: [], ...changes };
}

/** It is parked for nothing but somebody's word. */
export function parked(reason: string, changes: Partial<Extract<SettledOutcome, { at: 'parked' }>> = {}): SettledOutcome {
  return { at: 'parked', reason, children: [], wakeAtMs: null, ...changes };
}

export const write = (...resources: string[]): LockWant[] => resources.map((resource) => ({ resource, mode: 'write' }));
export const read = (...resources: string[]): LockWant[] => resources.map((resource) => ({ resource, mode: 'read' }));
