import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { InspectionEvent } from 'xstate';
import { ActorView } from '../../src/inspect/actor-view.ts';
import type { Inspect } from '../../src/inspect/inspect.ts';
import { Outbox } from '../../src/inspect/outbox.ts';
import { WorkingClock } from './working-clock.ts';

interface Told {
  readonly type: string;
  readonly session: string;
  readonly event: string | undefined;
}

class Bench {
  readonly clock = new WorkingClock();
  readonly got: Told[] = [];
  readonly warnings: { readonly detail: Record<string, unknown>; readonly message: string }[] = [];
  readonly outbox: Outbox;
  detached = 0;
  /** What the inspector does with an event. */
  inspect: (event: InspectionEvent) => unknown = () => {};

  constructor(capacity = 100) {
    const inspect: Inspect = (event) => {
      this.got.push({
        type: event.type,
        session: event.actorRef.sessionId,
        event: 'event' in event ? event.event.type : undefined,
      });
      return this.inspect(event) as undefined;
    };
    this.outbox = new Outbox({
      inspect,
      capacity,
      clock: this.clock,
      log: { warn: (detail, message) => this.warnings.push({ detail: detail as Record<string, unknown>, message }) },
      onDetach: () => (this.detached += 1),
    });
  }

  view(sessionId: string, parent?: ActorView): ActorView {
    const view = new ActorView({ id: sessionId, sessionId, parent, actor: { logic: {}, getSnapshot: () => ({ status: 'active' }) } });
    this.outbox.push({ at: 'actor', view });
    return view;
  }

  push(view: ActorView, count: number, name = 'tick'): void {
    for (let at = 0; at < count; at += 1)
      this.outbox.push({ at: 'snapshot', view, event: { type: `${name}-${at}` }, snapshot: { status: 'active' } });
  }

  /** Time of the thread that the inspector had. */
  inspectorMs = 0;

  /** The inspector takes so long for each event. */
  takes(ms: number): void {
    this.inspect = () => {
      this.inspectorMs += ms;
      this.clock.spend(ms);
    };
  }

  /** The inspector takes so long for each event, later, as `@statelyai/inspect` does. */
  putsOff(ms: number): void {
    this.inspect = () =>
      this.clock.wakeAt(this.clock.nowMs(), () => {
        this.inspectorMs += ms;
        this.clock.spend(ms);
      });
  }
}

test('an inspector that keeps up gets every event in order, and none within the turn that pushes it', () => {
  const bench = new Bench();
  const root = bench.view('root');
  bench.push(root, 3);
  expect(bench.got).toEqual([]);
  bench.clock.run(10);
  expect(bench.got.map(({ type, event }) => event ?? type)).toEqual(['@xstate.actor', 'tick-0', 'tick-1', 'tick-2']);
  expect(bench.outbox.dropped).toBe(0);
});

test('with nothing to hand over no timer is left', () => {
  const bench = new Bench();
  bench.push(bench.view('root'), 50);
  bench.clock.run(1_000);
  expect(bench.clock.pending).toBe(0);
});

test.each([
  ['at once', 'takes'],
  ['later', 'putsOff'],
] as const)('an inspector that does its work %s gets about a tenth of the time', (_name, how) => {
  const bench = new Bench(10_000);
  bench[how](0.5);
  bench.push(bench.view('root'), 9_000);
  bench.clock.run(10_000);
  expect(bench.inspectorMs).toBeGreaterThan(500);
  expect(bench.inspectorMs).toBeLessThan(1_100);
});

test('a batch of a slow inspector is one event, so that it never holds the thread longer than it must', () => {
  const bench = new Bench(1_000);
  bench.putsOff(20);
  bench.push(bench.view('root'), 900);
  bench.clock.run(2_000);
  const before = bench.inspectorMs;
  bench.clock.run(600);
  expect(bench.inspectorMs - before).toBeLessThanOrEqual(80);
});

test('an inspector that is behind misses the oldest events, counted and told', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  bench.clock.run(10);
  bench.push(root, 25);
  bench.clock.run(10);
  expect(bench.got.slice(1).map(({ event }) => event)).toEqual(Array.from({ length: 10 }, (_, at) => `tick-${at + 15}`));
  expect(bench.outbox.dropped).toBe(15);
  expect(bench.warnings).toEqual([
    { detail: { dropped: 15, droppedInAll: 15 }, message: 'the inspector is behind: the oldest inspection events were dropped' },
  ]);
});

test('that it is behind is told once a second, with the sum', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  for (let round = 0; round < 30; round += 1) {
    bench.push(root, 20);
    bench.clock.run(100);
  }
  const told = bench.warnings.map(({ detail }) => Number(detail['dropped']));
  expect(told).toHaveLength(3);
  // What was dropped since is told when the next warning may be.
  expect(told.reduce((sum, dropped) => sum + dropped)).toBeLessThanOrEqual(bench.outbox.dropped);
  expect(bench.warnings.at(-1)!.detail['droppedInAll']).toBe(told.reduce((sum, dropped) => sum + dropped));
});

test('an actor whose announcement was dropped is announced all the same, its parent before it', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  const branch = bench.view('branch', root);
  const worker = bench.view('worker', branch);
  bench.push(worker, 100);
  bench.clock.run(100);
  const announced = bench.got.filter(({ type }) => type === '@xstate.actor').map(({ session }) => session);
  expect(announced).toEqual(['root', 'branch', 'worker']);
});

test('an idle actor whose announcement was dropped is announced', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  bench.view('idle', root);
  bench.push(root, 100);
  bench.clock.run(100);
  expect(bench.got.filter(({ type }) => type === '@xstate.actor').map(({ session }) => session)).toEqual(['root', 'idle']);
});

test('an actor that is gone before it could be announced is not told of', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  bench.view('brief', root).end({ status: 'stopped', output: undefined, error: undefined });
  bench.push(root, 100);
  bench.clock.run(100);
  expect(bench.got.some(({ session }) => session === 'brief')).toBe(false);
});

test('once it has caught up it is told the present state of an actor that it missed something of', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  const quiet = bench.view('quiet', root);
  bench.clock.run(10);
  bench.push(quiet, 1);
  bench.push(root, 100);
  bench.clock.run(100);
  expect(bench.got.at(-1)).toEqual({ type: '@xstate.snapshot', session: 'quiet', event: 'inspect.missed' });
  // Nothing is missing of the other: its latest events came.
  expect(bench.got.filter(({ event }) => event === 'inspect.missed')).toHaveLength(1);
});

test('of many that have ended while it was behind the latest are told, and of those that live all', () => {
  const bench = new Bench(10);
  const root = bench.view('root');
  const lives = Array.from({ length: 15 }, (_, at) => bench.view(`live-${at}`, root));
  const ended = Array.from({ length: 100 }, (_, at) => bench.view(`ended-${at}`, root));
  for (let at = 0; at < 40; at += 1) bench.clock.run(100);
  for (const view of lives) bench.push(view, 1);
  for (const view of ended) {
    bench.push(view, 1);
    view.end({ status: 'stopped', output: undefined, error: undefined });
  }
  bench.push(root, 10);
  bench.got.splice(0);
  for (let at = 0; at < 40; at += 1) bench.clock.run(100);
  const missed = bench.got.filter(({ event }) => event === 'inspect.missed').map(({ session }) => session);
  expect(missed.filter((session) => session.startsWith('live'))).toHaveLength(15);
  const late = missed.filter((session) => session.startsWith('ended'));
  expect(late.length).toBeLessThan(20);
  expect(late).toContain('ended-99');
});

test('an inspector that throws is told of once a second, and gets the next event', () => {
  const bench = new Bench();
  const root = bench.view('root');
  let count = 0;
  bench.inspect = () => {
    count += 1;
    if (count % 2 === 0) throw new Error('no');
  };
  bench.push(root, 40);
  bench.clock.run(100);
  expect(bench.got).toHaveLength(41);
  expect(bench.outbox.thrown).toBe(20);
  expect(bench.warnings.map(({ message }) => message)).toEqual(['the inspector threw']);
  expect(bench.detached).toBe(0);
});

test('an inspector that throws ten times in a row is detached, with a warning', () => {
  const bench = new Bench();
  const root = bench.view('root');
  bench.inspect = () => {
    throw new Error('no');
  };
  bench.push(root, 40);
  bench.clock.run(1_000);
  bench.push(root, 40);
  bench.clock.run(1_000);
  expect(bench.got).toHaveLength(10);
  expect(bench.detached).toBe(1);
  expect(bench.warnings.at(-1)).toEqual({
    detail: { err: expect.any(Error), thrown: 10 },
    message: 'the inspector threw 10 times in a row: it is detached',
  });
  expect(bench.clock.pending).toBe(0);
});

test('an inspector that is an async function and rejects counts as one that throws', async () => {
  const bench = new Bench();
  const root = bench.view('root');
  bench.inspect = async () => {
    await Promise.resolve();
    throw new Error('no');
  };
  bench.push(root, 40);
  bench.clock.run(1_000);
  await setImmediate();
  expect(bench.outbox.thrown).toBe(10);
  expect(bench.detached).toBe(1);
});

test('what is left at the end is handed over without rests, as far as that goes quickly', () => {
  const quick = new Bench();
  quick.push(quick.view('root'), 50);
  quick.outbox.close();
  quick.clock.run(10);
  expect(quick.got).toHaveLength(51);

  const slow = new Bench();
  slow.takes(50);
  slow.push(slow.view('root'), 50);
  // Now it rests, for half a second.
  slow.clock.run(60);
  slow.outbox.close();
  slow.clock.run(5);
  expect(slow.got).toHaveLength(2);
  slow.clock.run(10_000);
  expect(slow.inspectorMs).toBeLessThan(1_200);
  expect(slow.got.length).toBeLessThan(30);
  expect(slow.outbox.dropped).toBe(51 - slow.got.length);
  expect(slow.warnings.at(-1)!.detail).toMatchObject({ droppedInAll: slow.outbox.dropped });
  expect(slow.clock.pending).toBe(0);
});
