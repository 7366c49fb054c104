/** Random histories of commands: small worlds, so that the same few tasks meet again and again. */
import fc from 'fast-check';
import type { EndedStatus, Held, LockWant, NewTask, SettledOutcome, SteerAction } from '../../actors/ports/store.ts';
import { NO_VERSION, sharedStep } from './histories-shared.ts';
import type { SharedStep } from './histories-shared.ts';

/** How a store is opened in a history, and what sort of tasks there are. */
export interface World {
  /** Tasks have priorities: then they have neither locks nor order keys, for those who wait would lend theirs. */
  readonly ranked: boolean;
  readonly mostPassed: number;
  readonly mostBegun: number;
  readonly maxFamily: number | undefined;
  readonly maxOfKind: number | undefined;
  readonly maxOfTenant: number | undefined;
}

/** A step as fast-check makes and shrinks it. `pick` chooses among the runs that were ever claimed. */
export type Step =
  | { readonly op: 'submit'; readonly tasks: readonly TaskSketch[] }
  | {
      readonly op: 'claim';
      readonly wants: readonly { readonly kind: string; readonly limit: number; readonly box: string | null }[];
      readonly leaseMs: number;
    }
  | { readonly op: 'start'; readonly picks: readonly number[] }
  /** Claims what there is, and starts all that is under lease. */
  | { readonly op: 'go'; readonly leaseMs: number }
  | { readonly op: 'remember'; readonly items: readonly MemorySketch[] }
  | { readonly op: 'renew'; readonly items: readonly { readonly pick: number; readonly leaseMs: number }[] }
  | { readonly op: 'settle'; readonly items: readonly { readonly pick: number; readonly outcome: OutcomeSketch }[] }
  | { readonly op: 'sweep' }
  | { readonly op: 'forget'; readonly agoMs: number; readonly statuses: readonly EndedStatus[]; readonly limit: number }
  | { readonly op: 'unbox'; readonly kind: string; readonly box: string }
  | { readonly op: 'read'; readonly items: readonly { readonly pick: number; readonly key: string }[] }
  | {
      readonly op: 'signal';
      readonly items: readonly { readonly id: string; readonly name: string; readonly key: string | null }[];
    }
  | { readonly op: 'ask' | 'unask'; readonly items: readonly { readonly pick: number; readonly name: string }[] }
  | { readonly op: 'decide'; readonly items: readonly { readonly id: string; readonly name: string }[] }
  | { readonly op: 'steer'; readonly items: readonly { readonly id: string; readonly action: SteerAction }[] }
  | { readonly op: 'pause'; readonly kind: string; readonly paused: boolean }
  | { readonly op: 'fire'; readonly name: string; readonly late: boolean; readonly task: TaskSketch; readonly againMs: number }
  | { readonly op: 'wait'; readonly ms: number }
  /** `backMs`: so far the clock has been set back meanwhile. */
  | { readonly op: 'reopen'; readonly crash: boolean; readonly maxUnfinished: number; readonly backMs: number }
  | SharedStep;

export interface TaskSketch {
  readonly id: string;
  readonly kind: string;
  readonly priority: number;
  readonly maxLosses: number;
  /** The run that asks for it, if any. */
  readonly parent: number | null;
  readonly isOfFamily: boolean;
  readonly tenant: string | null;
  readonly orderKey: string | null;
  readonly locks: readonly LockWant[];
  readonly rejects: boolean;
  readonly delayMs: number | null;
  readonly deadlineMs: number | null;
}

interface MemorySketch {
  readonly pick: number;
  readonly place: string;
  readonly value: string;
  readonly failed: boolean;
  readonly replace: boolean;
}

interface WriteSketch {
  readonly key: string;
  readonly value: string | null;
  /** It names the version that is there. */
  readonly fresh: boolean;
}

interface ReadSketch {
  readonly key: string;
  /** Of the version that is there; of none; of one that never was. */
  readonly saw: 'fresh' | 'none' | 'other';
}

/** Places of those that are to be forgotten. */
type Failures = readonly string[] | null;

export type OutcomeSketch =
  | {
      readonly at: 'completed';
      readonly sends: readonly TaskSketch[];
      readonly writes: readonly WriteSketch[];
      readonly reads: readonly ReadSketch[];
    }
  | { readonly at: 'retry'; readonly afterMs: number; readonly forget: 'state' | 'everything' | null; readonly failures: Failures }
  | { readonly at: 'failed' | 'dead'; readonly failures: Failures }
  | { readonly at: 'kept' | 'lost' | 'undone' }
  | { readonly at: 'released'; readonly box: string | null }
  | {
      readonly at: 'parked';
      readonly reason: string;
      readonly children: readonly string[];
      readonly events: readonly { readonly name: string; readonly n: number }[];
      readonly gatherMs: number | null;
      readonly wakeMs: number | null;
      readonly locks: readonly LockWant[];
    };

/** Smaller picks mean one of those that hold. */
const MOST_HELD = 8;

const id = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l');
const kind = fc.constantFrom('k', 'k', 'l');
const event = fc.constantFrom('e', 'e', 'approval:ok');
const pick = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: MOST_HELD - 1 }) }, { weight: 1, arbitrary: fc.nat({ max: 40 }) });
const ms = fc.constantFrom(-1, 0, 0.5, 1, 2, 5, 10, 30);

const lock = fc.record({
  resource: fc.constantFrom('r', 'r', 's', 't'),
  mode: fc.constantFrom('read' as const, 'write' as const, 'write' as const),
});
const locks = fc.oneof(
  { weight: 1, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.uniqueArray(lock, { minLength: 1, maxLength: 3, selector: ({ resource }) => resource }) },
);

const taskSketch: fc.Arbitrary<TaskSketch> = fc.record({
  id,
  kind,
  priority: fc.constantFrom(0, 0, 0, 1, -0.5),
  maxLosses: fc.constantFrom(1, 2, 3),
  parent: fc.option(pick, { freq: 1 }),
  isOfFamily: fc.boolean(),
  tenant: fc.constantFrom(null, null, 'u', 'v'),
  orderKey: fc.constantFrom(null, null, null, 'x', 'y'),
  locks,
  rejects: fc.constantFrom(false, false, false, true),
  delayMs: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: ms }),
  deadlineMs: fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: ms }),
});

const write: fc.Arbitrary<WriteSketch> = fc.record({
  key: fc.constantFrom('m', 'n'),
  value: fc.constantFrom('1', '2', null),
  fresh: fc.constantFrom(true, true, true, false),
});

const read: fc.Arbitrary<ReadSketch> = fc.record({
  key: fc.constantFrom('m', 'n'),
  saw: fc.constantFrom('fresh' as const, 'fresh' as const, 'fresh' as const, 'none' as const, 'other' as const),
});

const failures: fc.Arbitrary<Failures> = fc.constantFrom(null, [], ['p'], ['q', 'p'], ['compensate:p', 'none']);

const outcomeSketch: fc.Arbitrary<OutcomeSketch> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      at: fc.constant('completed' as const),
      sends: fc.array(taskSketch, { maxLength: 2 }),
      writes: fc.uniqueArray(write, { maxLength: 2, selector: ({ key }) => key }),
      reads: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(read, { minLength: 1, maxLength: 2 }) }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      at: fc.constant('retry' as const),
      afterMs: ms,
      forget: fc.constantFrom(null, 'state' as const, 'everything' as const),
      failures,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({ at: fc.constantFrom('failed' as const, 'dead' as const), failures }),
      fc.record({ at: fc.constantFrom('kept' as const, 'lost' as const, 'lost' as const, 'undone' as const) }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('released' as const), box: fc.constantFrom(null, 'w') }) },
  {
    weight: 4,
    arbitrary: fc.record({
      at: fc.constant('parked' as const),
      reason: fc.constantFrom('child', 'child', 'event', 'sleep', 'admission'),
      children: fc.array(id, { maxLength: 3 }),
      events: fc.array(fc.record({ name: event, n: fc.nat({ max: 2 }) }), { maxLength: 2 }),
      gatherMs: fc.constantFrom(null, null, 0, 3, 20),
      wakeMs: fc.option(ms, { freq: 3 }),
      locks: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: locks }),
    }),
  },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('submit' as const), tasks: fc.array(taskSketch, { maxLength: 5 }) }) },
  {
    weight: 7,
    arbitrary: fc.record({
      op: fc.constant('claim' as const),
      leaseMs: fc.constantFrom(1, 10, 100, 1_000, 100_000),
      wants: fc.uniqueArray(fc.record({ kind, limit: fc.constantFrom(0, 1, 2, 4, 9), box: fc.constantFrom(null, null, null, null, 'w') }), {
        minLength: 1,
        maxLength: 3,
        selector: ({ kind: of, box }) => `${of} ${box}`,
      }),
    }),
  },
  { weight: 7, arbitrary: fc.record({ op: fc.constant('go' as const), leaseMs: fc.constantFrom(10, 100, 100_000) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('start' as const), picks: fc.array(pick, { minLength: 1, maxLength: 5 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('remember' as const),
      items: fc.array(
        fc.record({
          pick,
          place: fc.constantFrom('p', 'q', 'compensate:p', 'compensate:p'),
          value: fc.string({ maxLength: 3 }),
          failed: fc.constantFrom(false, false, true),
          replace: fc.constantFrom(false, false, true),
        }),
        { maxLength: 4 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('renew' as const), items: fc.array(fc.record({ pick, leaseMs: ms }), { maxLength: 4 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('settle' as const),
      items: fc.array(fc.record({ pick, outcome: outcomeSketch }), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('sweep' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('forget' as const),
      agoMs: fc.constantFrom(0, 0, 1, 20),
      statuses: fc.constantFrom<EndedStatus[][]>(['completed', 'failed', 'cancelled', 'dead'], ['completed'], ['dead', 'failed']),
      limit: fc.constantFrom(1, 2, 5, 100),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unbox' as const), kind, box: fc.constant('w') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      items: fc.array(fc.record({ pick, key: fc.constantFrom('m', 'n') }), { maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('signal' as const),
      items: fc.array(fc.record({ id, name: event, key: fc.constantFrom(null, '1', '2') }), { maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom('ask' as const, 'ask' as const, 'unask' as const),
      items: fc.array(fc.record({ pick, name: fc.constantFrom('ok', 'go') }), { maxLength: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('decide' as const),
      items: fc.array(fc.record({ id, name: fc.constantFrom('ok', 'go') }), { maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('steer' as const),
      items: fc.array(
        fc.record({
          id,
          action: fc.constantFrom(
            'cancel' as const,
            'cancel' as const,
            'pause' as const,
            'unpause' as const,
            'unpause' as const,
            'requeue' as const,
            'requeue' as const,
          ),
        }),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('pause' as const), kind, paused: fc.constantFrom(true, false, false) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('fire' as const),
      name: fc.constantFrom('daily', 'hourly'),
      late: fc.constantFrom(false, false, false, true),
      task: taskSketch,
      againMs: fc.constantFrom(5, 20),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(0.25, 0.25, 1, 1, 4, 4, 20, 40_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('reopen' as const),
      crash: fc.boolean(),
      maxUnfinished: fc.constantFrom(3, 12, 100),
      backMs: fc.constantFrom(0, 0, 0, 3, 40, 3_600_000),
    }),
  },
  { weight: 6, arbitrary: sharedStep },
);

const anyWorld: fc.Arbitrary<World> = fc.record({
  ranked: fc.constantFrom(false, false, true),
  mostPassed: fc.constantFrom(1, 2, 4),
  mostBegun: fc.constantFrom(1, 2, 9),
  maxFamily: fc.constantFrom(undefined, undefined, 2),
  maxOfKind: fc.constantFrom(undefined, undefined, 3),
  maxOfTenant: fc.constantFrom(undefined, undefined, 1, 2),
});

export interface History {
  readonly world: World;
  readonly steps: readonly Step[];
}

/** Some dozens of steps. */
export const history: fc.Arbitrary<History> = fc.record({
  world: anyWorld,
  steps: fc.array(step, { minLength: 5, maxLength: 100, size: 'max' }),
});

/** Of what processes share beside tasks, under owners of whom each may have a clock that is behind that of the one before it. */
export const clockHistory: fc.Arbitrary<History> = fc.record({
  world: anyWorld,
  steps: fc.array(
    fc.oneof(
      { weight: 8, arbitrary: sharedStep },
      { weight: 3, arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(0.25, 1, 4, 20) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          op: fc.constant('reopen' as const),
          crash: fc.boolean(),
          maxUnfinished: fc.constant(12),
          backMs: fc.constantFrom(0, 3, 40, 3_600_000),
        }),
      },
    ),
    { minLength: 5, maxLength: 60, size: 'max' },
  ),
});

/** The run that a pick means: mostly one that holds, else any that ever was, the newest first; and one that never was when there are none. */
export function picked({ held, ever }: Runs, at: number): Held {
  const runs = at < MOST_HELD && held.length > 0 ? held : ever;
  if (runs.length === 0) return { id: 'a', fence: at };
  return runs[runs.length - 1 - (at % runs.length)]!;
}

export interface Runs {
  readonly held: readonly Held[];
  readonly ever: readonly Held[];
}

export function toTask(sketch: TaskSketch, { ranked }: World, runs: Runs, nowMs: number): NewTask {
  const { id: of, parent, tenant, orderKey, delayMs, deadlineMs } = sketch;
  return {
    id: of,
    kind: sketch.kind,
    version: '1',
    input: `"${of}"`,
    priority: ranked ? sketch.priority : 0,
    maxAttempts: 2,
    maxLosses: sketch.maxLosses,
    depth: parent === null ? 0 : 1,
    ...(parent === null ? {} : { parent: { ...picked(runs, parent), place: `ask:${of}` } }),
    ...(sketch.isOfFamily && of !== 'a' ? { rootId: 'a' } : {}),
    ...(tenant === null ? {} : { tenant }),
    ...(orderKey === null || ranked ? {} : { orderKey }),
    ...(sketch.locks.length === 0 || ranked ? {} : { locks: sketch.locks }),
    ...(sketch.rejects ? { onConflict: 'reject' as const } : {}),
    ...(delayMs === null ? {} : { notBeforeMs: nowMs + delayMs }),
    ...(deadlineMs === null ? {} : { deadlineMs: nowMs + deadlineMs }),
  };
}

/** `versionOf`: of a row that is there. */
export function toOutcome(
  sketch: OutcomeSketch,
  world: World,
  runs: Runs,
  nowMs: number,
  versionOf: (key: string) => number | null,
): SettledOutcome {
  switch (sketch.at) {
    case 'completed': {
      const writes = sketch.writes.map(({ key, value, fresh }) => ({ key, value, version: fresh ? versionOf(key) : NO_VERSION }));
      const reads = sketch.reads.map(({ key, saw }) => ({
        key,
        version: saw === 'none' ? null : saw === 'fresh' ? versionOf(key) : NO_VERSION,
      }));
      const sends = sketch.sends.map((send) => toTask({ ...send, parent: null }, world, runs, nowMs));
      const rows = { ...(writes.length === 0 ? {} : { writes }), ...(reads.length === 0 ? {} : { reads }) };
      return { at: 'completed', result: '"done"', sends, ...rows };
    }
    case 'retry':
      return {
        at: 'retry',
        error: '"retried"',
        readyAtMs: nowMs + sketch.afterMs,
        ...failuresOf(sketch),
        ...(sketch.forget === null ? {} : { forget: sketch.forget }),
      };
    case 'parked': {
      const { children, events, gatherMs, wakeMs } = sketch;
      const grows = sketch.locks.length > 0 && !world.ranked;
      return {
        at: 'parked',
        reason: grows && children.length + events.length === 0 && wakeMs === null ? 'locks' : sketch.reason,
        children,
        wakeAtMs: wakeMs === null ? null : nowMs + wakeMs,
        ...(events.length === 0 ? {} : { events }),
        ...(gatherMs === null ? {} : { gatherMs }),
        ...(grows ? { locks: sketch.locks } : {}),
      };
    }
    case 'released':
      return sketch.box === null ? { at: 'released' } : { at: 'released', box: sketch.box };
    case 'undone':
      return { at: 'undone' };
    case 'kept':
      return { at: 'failed', error: '"kept"', keeps: true };
    case 'failed':
    case 'dead':
      return { at: sketch.at, error: `"${sketch.at}"`, ...failuresOf(sketch) };
    case 'lost':
      return { at: 'lost', error: '"lost"' };
  }
}

function failuresOf({ failures: places }: { readonly failures: Failures }): { readonly failures?: readonly string[] } {
  return places === null ? {} : { failures: places };
}
