/** Invariants of effects: none is made again once it is remembered, and none for a task that is not held. */
import { idempotencyKeyOf } from '../../runtime/run/idempotency-key.ts';
import type { Invariant } from './invariant.ts';
import { markIn, Marks, unmarked } from './marks.ts';

/** Leases are looked at once a tick: an effect may begin so long after its lease ran out, and no longer. */
const LONGEST_TICK_MS = 1_000;

export const S4: Invariant = {
  name: 'S4',
  promise: 'one remembered effect a place: what is remembered is never made again, and nothing is made twice at once',
  check(topology, broken) {
    const marks = new Marks(topology);
    /** By task: keys, each with the version that they are set apart for, and with whether it failed. */
    const remembered = new Map<string, Map<string, boolean>>();
    const calls = new Set<string>();
    const forgetFailures = (id: string, places: readonly string[] = []): void => {
      for (const place of places) {
        const key = apart(id, `${id}/${unmarked(place)}`, markIn(place));
        if (remembered.get(id)?.get(key) === true) remembered.get(id)!.delete(key);
      }
    };
    // Another version may begin anew. What is undone is undone for every version.
    const apart = (id: string, key: string, mark: string): string =>
      mark === '' || key.startsWith('undo:', id.length + 1) ? key : `${key} ${mark}`;
    const begin = (task: string, key: string): void => {
      if (remembered.get(task)?.has(apart(task, key, marks.of(task))) === true) broken(`${key} is made again though it is remembered`);
    };
    return {
      ...marks.checker,
      'store.remembered': ({ item: { id, place, failed = false } }) => {
        const key = apart(id, idempotencyKeyOf(id, unmarked(place)), markIn(place));
        const keys = remembered.get(id);
        if (keys === undefined) remembered.set(id, new Map([[key, failed]]));
        else keys.set(key, failed);
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        // What ended otherwise may be put back, with what it remembers.
        if (status === 'completed') marks.forget(id);
        if (status === 'completed' || asked.at === 'undone') remembered.delete(id);
        if ('failures' in asked) forgetFailures(id, asked.failures);
        if (asked.at === 'retry' && asked.forget === 'everything') remembered.delete(id);
      },
      'store.forgot': ({ id }) => {
        marks.forget(id);
        remembered.delete(id);
      },
      'step.began': ({ task, key }) => begin(task, key),
      'call.began': ({ task, key }) => {
        begin(task, key);
        if (calls.has(key)) broken(`${key} is in flight twice`);
        calls.add(key);
      },
      'call.ended': ({ key }) => void calls.delete(key),
      'process.killed': () => calls.clear(),
    };
  },
};

export const S11: Invariant = {
  name: 'S11',
  promise: 'a parked task holds nothing: no call of it is in flight; a suspended worker runs nothing',
  check(_topology, broken) {
    /** Calls in flight, by key: of which task, and under which fence. */
    const calls = new Map<string, { readonly task: string; readonly fence: number | undefined }>();
    /** By task: the last fence whose lease ran out. The run is told with the reply to the sweep: until then its calls go on. */
    const expired = new Map<string, number>();
    const suspended = new Set<string>();
    const isLost = (task: string, fence: number | undefined): boolean => fence !== undefined && fence <= (expired.get(task) ?? 0);
    const callOf = (task: string): string | undefined => {
      for (const [key, call] of calls) if (call.task === task && !isLost(task, call.fence)) return key;
      return undefined;
    };
    return {
      'call.began': ({ key, task, fence }) => void calls.set(key, { task, fence }),
      'call.ended': ({ key }) => void calls.delete(key),
      'process.killed': () => {
        calls.clear();
        expired.clear();
        suspended.clear();
      },
      'store.expired': ({ held: { id, fence } }) => void expired.set(id, fence),
      'worker.suspended': ({ worker, running }) => {
        suspended.add(worker);
        if (running > 0) broken(`${worker} is suspended, and ${running} of its runs go on`);
      },
      'actor.spawned': ({ id }) => void suspended.delete(id),
      'run.began': ({ worker, task }) => {
        if (suspended.has(worker)) broken(`${worker} is suspended, and begins a run of ${task}`);
      },
      'store.settled': ({ settlement: { id, outcome } }) => {
        const key = outcome.at === 'parked' ? callOf(id) : undefined;
        if (key !== undefined) broken(`${id} parked with ${key} in flight`);
      },
      'scene.still': ({ look }) => {
        for (const [key, { task, fence }] of calls)
          if (!isLost(task, fence) && look.task(task)?.status === 'parked') broken(`${task} is parked, and ${key} is in flight`);
      },
    };
  },
};

export const B3: Invariant = {
  name: 'B3',
  promise: 'no effect begins under a lease that ran out more than a tick ago, however long the process stood still',
  check(_topology, broken) {
    const leases = new Map<string, { fence: number; untilMs: number; formerUntilMs: number }>();
    const begin = (task: string, fence: number | undefined, key: string, atMs: number): void => {
      const lease = leases.get(task);
      if (lease === undefined || fence === undefined) return;
      const untilMs = fence === lease.fence ? lease.untilMs : lease.formerUntilMs;
      if (atMs >= untilMs + LONGEST_TICK_MS)
        broken(`${key} begins under fence ${fence}, whose lease ran out ${Math.round(atMs - untilMs)} ms ago`);
    };
    return {
      'store.opened': () => leases.clear(),
      'store.claimed': ({ task: { id, fence, leaseUntilMs } }) => {
        leases.set(id, { fence, untilMs: leaseUntilMs, formerUntilMs: leases.get(id)?.untilMs ?? leaseUntilMs });
      },
      'store.renewed': ({ item: { id, fence, leaseUntilMs } }) => {
        const lease = leases.get(id);
        if (lease?.fence === fence) lease.untilMs = leaseUntilMs;
      },
      'store.settled': ({ settlement: { id, fence } }) => {
        if (leases.get(id)?.fence === fence) leases.delete(id);
      },
      'store.blocked': ({ held: { id, fence }, rejected }) => {
        if (!rejected && leases.get(id)?.fence === fence) leases.delete(id);
      },
      'call.began': ({ task, fence, key }, atMs) => begin(task, fence, key, atMs),
      'step.began': ({ task, fence, key }, atMs) => begin(task, fence, key, atMs),
    };
  },
};
