/** Invariants of locks: who excludes others is alone, tokens grow, and nobody is passed for ever. */
import { isTerminal, MOST_PASSED } from '../../../actors/ports/store.ts';
import type { Held, LockWant, SettledOutcome, TaskStatus } from '../../../actors/ports/store.ts';
import type { Checker, Invariant } from './invariant.ts';

export const S10: Invariant = {
  name: 'S10',
  promise:
    'no two tasks hold locks that exclude each other, from the failure to the end of its undoing too; and whoever waits for locks holds none',
  check(_topology, broken) {
    /** By task: what it holds. */
    const held = new Map<string, readonly LockWant[]>();
    /** By resource: who holds it. */
    const holders = new Map<string, Map<string, LockWant['mode']>>();
    /** Being undone: they keep what they hold until they end, or park. */
    const undoing = new Set<string>();
    /** Those may have to park for their turn, of which nobody says so here. */
    const keyed = new Set<string>();
    const drop = (id: string): void => {
      for (const { resource } of held.get(id) ?? []) holders.get(resource)?.delete(id);
      held.delete(id);
    };
    const letGo = (id: string, asked: SettledOutcome['at'], status: TaskStatus): void => {
      const isOver = asked === 'failed' || asked === 'dead';
      const comesBack = status === 'queued' || status === 'retrying';
      const keeps = comesBack && !keyed.has(id) && (undoing.has(id) ? asked !== 'parked' : isOver);
      if (!keeps) drop(id);
      if (isTerminal(status)) undoing.delete(id);
    };
    return {
      'store.opened': () => {
        held.clear();
        holders.clear();
      },
      'store.accepted': ({ task: { id, orderKey } }) => {
        if (orderKey !== undefined) keyed.add(id);
      },
      'store.started': ({ held: { id }, start: { locks, undo } }) => {
        if (locks.length === 0) return;
        if (undo !== null) undoing.add(id);
        drop(id);
        for (const { resource, mode } of locks) {
          let its = holders.get(resource);
          if (its === undefined) holders.set(resource, (its = new Map()));
          for (const [other, has] of its)
            if (mode === 'write' || has === 'write') broken(`${id} may ${mode} ${resource}, and ${other} may ${has} it at the same time`);
          its.set(id, mode);
        }
        held.set(id, locks);
      },
      'store.blocked': ({ held: { id } }) => {
        if (held.has(id))
          broken(
            `${id} waits for locks, and holds ${held
              .get(id)!
              .map(({ resource }) => resource)
              .join(', ')}`,
          );
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => letGo(id, asked.at, status),
      'store.expired': ({ held: { id, status } }) => letGo(id, 'lost', status),
      'store.steered': ({ steering: { id, action }, outcome: { at } }) => {
        if (action === 'pause' && at === 'done') drop(id);
      },
      'store.ended': ({ id, status }) => letGo(id, 'released', status),
    };
  },
};

export const LOCK_TOKENS: Invariant = {
  name: 'S3',
  promise: 'the token of locks is greater with each grant, over restarts too',
  check(_topology, broken) {
    let last = 0;
    const seen = new Starts();
    return {
      ...seen.checker,
      'store.started': ({ held, start: { locks, lockFence } }) => {
        const { id } = held;
        if (locks.length === 0 || seen.isKnown(held)) return;
        if (lockFence <= last) broken(`${id} got its locks under token ${lockFence} after ${last}`);
        last = Math.max(last, lockFence);
      },
    };
  },
};

/** As long as a task that was woken keeps its turn (`PROMISE_MS` of the lock table): so soon after it was blocked it has not lost it. */
const PROMISE_MS = 30_000;

/** A place in line: whoever has stood longer is before others, and of those who came at once whoever was submitted first. */
interface Place {
  readonly sinceMs: number;
  /** Since when it stands if those with an order key stood no more when the store was opened: nobody says so here. */
  readonly orSinceMs: number;
  readonly seq: number;
}

/** One that waits for locks. */
interface Waiter extends Place {
  readonly id: string;
  wants: readonly LockWant[];
  /** When it was blocked last; or the earliest that a clock that was set back has said since then: it may have been woken by that. */
  blockedMs: number;
  passed: number;
  /** It may have to leave the line for its turn within its order key: nobody says so here. */
  readonly keyed: boolean;
}

/** Who comes by a clock that is behind came after the others all the same. */
function sinceAfter(latestMs: number, nowMs: number): number {
  return nowMs < latestMs ? latestMs + 2 ** -10 : nowMs;
}

export const LOCK_TURNS: Invariant = {
  name: 'L5',
  promise: 'whoever waits for locks is passed by a stated number of younger ones at most',
  check(_topology, broken) {
    /** By task, from its submission on: what it wants, and the how-manieth it was. */
    const tasks = new Map<string, { wants: readonly LockWant[]; readonly seq: number; readonly keyed: boolean }>();
    const line = new Map<string, Waiter>();
    const seen = new Starts();
    let submitted = 0;
    /** When the latest of them came, also of those who have left: who comes by a clock that is behind came after them. */
    let latestMs = -Infinity;
    let orLatestMs = -Infinity;
    const leave = (id: string): void => void line.delete(id);
    const clockSays = (nowMs: number): void => {
      for (const waiter of line.values()) waiter.blockedMs = Math.min(waiter.blockedMs, nowMs);
    };
    const forget = (id: string): void => {
      leave(id);
      tasks.delete(id);
      seen.forget(id);
    };
    return {
      'store.opened': ({ paused }) => {
        for (const id of paused) leave(id);
        latestMs = orLatestMs = -Infinity;
        for (const { sinceMs, orSinceMs, keyed } of line.values()) {
          latestMs = Math.max(latestMs, sinceMs);
          if (!keyed) orLatestMs = Math.max(orLatestMs, orSinceMs);
        }
      },
      'store.accepted': ({ task: { id, locks = [], orderKey } }) => {
        submitted += 1;
        tasks.set(id, { wants: locks, seq: submitted, keyed: orderKey !== undefined });
      },
      'store.blocked': ({ held: { id }, waits, nowMs }) => {
        clockSays(nowMs);
        const task = tasks.get(id);
        if (!waits || task === undefined) return leave(id);
        const waiter = line.get(id);
        if (waiter !== undefined) {
          waiter.blockedMs = nowMs;
          waiter.wants = task.wants;
          return;
        }
        latestMs = sinceAfter(latestMs, nowMs);
        orLatestMs = sinceAfter(orLatestMs, nowMs);
        line.set(id, { ...task, id, sinceMs: latestMs, orSinceMs: orLatestMs, blockedMs: nowMs, passed: 0 });
      },
      'store.started': ({ held, start: { locks, undo }, nowMs }) => {
        clockSays(nowMs);
        const { id } = held;
        if (locks.length === 0 || seen.isKnown(held)) return;
        // It may have kept them, and so passed nobody.
        if (undo !== null) return leave(id);
        const place: Place = line.get(id) ?? {
          sinceMs: sinceAfter(latestMs, nowMs),
          orSinceMs: sinceAfter(orLatestMs, nowMs),
          seq: tasks.get(id)?.seq ?? 0,
        };
        leave(id);
        for (const waiter of line.values()) {
          if (!isBefore(waiter, place) || !waiter.wants.some((want) => locks.some((taken) => excludes(want, taken)))) continue;
          waiter.passed += 1;
          if (waiter.passed > MOST_PASSED && !waiter.keyed && nowMs < waiter.blockedMs + PROMISE_MS)
            broken(`${waiter.id} waits for locks, and ${id} is number ${waiter.passed} to pass it; ${MOST_PASSED} may`);
        }
      },
      'store.settled': ({ settlement: { id, outcome: asked }, outcome: { status } }) => {
        const task = tasks.get(id);
        if (asked.at === 'parked' && asked.locks !== undefined && task !== undefined) task.wants = [...task.wants, ...asked.locks];
        // What has failed may be put back.
        if (status === 'completed') forget(id);
        else if (status !== 'queued' || (asked.at !== 'released' && asked.at !== 'lost')) leave(id);
      },
      'store.expired': ({ held: { id, status } }) => {
        if (status !== 'queued') leave(id);
      },
      'store.steered': ({ steering: { id, action }, outcome }) => {
        if (action === 'unpause' || outcome.at !== 'done') return;
        // What is cancelled and is to be undone first keeps its place.
        if (action !== 'cancel' || isTerminal(outcome.status)) leave(id);
      },
      'store.ended': ({ id }) => leave(id),
    };
  },
};

/** For sure. */
function isBefore(a: Place, b: Place): boolean {
  const comes = (aMs: number, bMs: number): boolean => aMs < bMs || (aMs === bMs && a.seq < b.seq);
  return comes(a.sinceMs, b.sinceMs) && comes(a.orSinceMs, b.orSinceMs);
}

/** A start that was sent again is answered as it was the first time: it is one grant. */
class Starts {
  /** By task: the fence under which it was started last. */
  readonly #fences = new Map<string, number>();

  isKnown({ id, fence }: Held): boolean {
    if (this.#fences.get(id) === fence) return true;
    this.#fences.set(id, fence);
    return false;
  }

  forget(id: string): void {
    this.#fences.delete(id);
  }

  /** Forgets what has ended. */
  readonly checker: Checker = {
    'store.ended': ({ id }) => this.forget(id),
    'store.settled': ({ settlement: { id }, outcome: { status } }) => {
      if (isTerminal(status)) this.forget(id);
    },
  };
}

function excludes(a: LockWant, b: LockWant): boolean {
  return a.resource === b.resource && (a.mode === 'write' || b.mode === 'write');
}
