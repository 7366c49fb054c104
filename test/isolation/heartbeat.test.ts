/** One isolated worker over a channel of the test's own, in virtual time. */
import { agent, defineFleet } from 'drover';
import type { Context, IsolatedWorkerError } from 'drover';
import { expect, test } from 'vitest';
import type { ChannelEnd, ChannelOptions } from '../../src/isolation/channel.ts';
import { HEARTBEAT_MS, IsolatedWorker } from '../../src/isolation/isolated-worker.ts';
import type { FromRun, ToChild } from '../../src/isolation/wire.ts';
import { RunOverError } from '../../src/runtime/errors.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const HEARTBEAT_LIMIT_MS = 1_000;
const { kinds } = defineFleet({
  name: 'test',
  module: 'file:///none.ts',
  agents: { kind: agent({ isolation: 'thread', heartbeatMs: HEARTBEAT_LIMIT_MS, memoryMb: 64, run: async () => 1 }) },
});

/** A child that answers when the test says, and what its fleet hears of it. */
class Bench {
  readonly clock = new VirtualClock(0);
  readonly told: ToChild[] = [];
  readonly failures: IsolatedWorkerError[] = [];
  readonly returned: string[] = [];
  readonly controller = new AbortController();
  readonly end = new AbortController();
  readonly worker: IsolatedWorker;
  kills = 0;
  /** Gone as soon as it is killed. */
  mortal = true;
  options: ChannelOptions | undefined;

  constructor(former?: Promise<void>) {
    this.worker = new IsolatedWorker({
      worker: 'test/agents/kind/0',
      plan: kinds['kind']!,
      purpose: { fleet: 'test', module: 'file:///none.ts', kind: 'kind' },
      nowMs: () => this.clock.nowMs(),
      after: (ms, fire) => this.clock.wakeAt(this.clock.nowMs() + ms, fire),
      former,
      failed: (error) => this.failures.push(error),
      stray: () => {},
      open: (options) => {
        this.options = options;
        return {
          post: (message) => this.told.push(message),
          kill: () => {
            this.kills += 1;
            if (this.mortal) this.dies();
          },
        };
      },
    });
  }

  dies(): void {
    this.options!.ended({ exitCode: 1, signal: null, outOfMemory: false });
  }

  get pings(): number {
    return this.told.filter(({ at }) => at === 'ping').length;
  }

  /** Beats for so long; the child answers or not. */
  beats(ms: number, answers: boolean): void {
    for (let passed = 0; passed < ms; passed += HEARTBEAT_MS) {
      this.clock.advanceTo(this.clock.nowMs() + HEARTBEAT_MS);
      this.worker.beat(0);
      if (answers) this.options!.heard({ at: 'pong', externalBytes: 0 });
    }
  }

  ready(): this {
    this.options!.heard({ at: 'ready' });
    return this;
  }

  /** A run that asks for nothing by itself. */
  run(calls: string[] = []): void {
    const ctx = {
      task: { id: 'task', kind: 'kind', attempt: 1, fence: 1 },
      signal: this.controller.signal,
      progress: () => calls.push('progress'),
    };
    this.worker.execute({
      ctx: ctx as unknown as Context,
      inStep: (_step, act) => act(),
      ended: this.end.signal,
      input: '',
      depth: 0,
      priority: 0,
      returned: (result) => this.returned.push(result),
      threw: () => {},
    });
  }

  says(said: FromRun, run = 1): void {
    this.options!.heard({ at: 'run', run, said });
  }
}

test('a child that answers is left alone', () => {
  const bench = new Bench().ready();
  bench.beats(60_000, true);
  expect(bench.failures).toEqual([]);
  expect(bench.pings).toBe(60_000 / HEARTBEAT_MS);
});

test('a silent child is ended from outside within heartbeatMs and one beat', () => {
  const bench = new Bench().ready();
  bench.beats(HEARTBEAT_LIMIT_MS - HEARTBEAT_MS, false);
  expect(bench.kills).toBe(0);
  bench.beats(HEARTBEAT_MS, false);
  expect(bench.kills).toBe(1);
  expect(bench.failures[0]!.detail).toMatchObject({ how: 'hung', heartbeatMs: HEARTBEAT_LIMIT_MS });
});

test('time in which the parent itself stood still does not count', () => {
  const bench = new Bench().ready();
  bench.beats(HEARTBEAT_MS, true);
  const stoodStillMs = 10 * HEARTBEAT_LIMIT_MS;
  bench.clock.advanceTo(bench.clock.nowMs() + stoodStillMs + HEARTBEAT_MS);
  bench.worker.beat(stoodStillMs);
  expect(bench.kills).toBe(0);
  // Awake again, it is silent for too long.
  bench.beats(HEARTBEAT_LIMIT_MS, false);
  expect(bench.kills).toBe(1);
});

test('a child that loads for long is not silent, but not for ever', () => {
  const bench = new Bench();
  bench.beats(29_500, false);
  expect(bench.kills).toBe(0);
  bench.beats(1_000, false);
  expect(bench.failures[0]!.detail.how).toBe('hung');
});

test.each<readonly [ChannelEnd, string]>([
  [{ exitCode: 7, signal: null, outOfMemory: false }, 'exited'],
  [{ exitCode: null, signal: 'SIGSEGV', outOfMemory: false }, 'signal'],
  [{ exitCode: null, signal: 'SIGABRT', outOfMemory: true }, 'out-of-memory'],
  [{ exitCode: null, signal: null, outOfMemory: false, error: new Error('EAGAIN') }, 'not-started'],
])('an end %j is told as %s', (end, how) => {
  const bench = new Bench();
  bench.options!.ended(end);
  expect(bench.failures[0]!.detail.how).toBe(how);
  expect(bench.failures[0]!.cause).toBe(end.error);
});

test('memory outside of the heap counts', () => {
  const bench = new Bench().ready();
  bench.options!.heard({ at: 'pong', externalBytes: 65 * 1_048_576 });
  expect(bench.failures[0]!.detail).toMatchObject({ how: 'out-of-memory', memoryMb: 64 });
});

test('a failure is told once the child is gone, and once only', () => {
  const bench = new Bench().ready();
  bench.mortal = false;
  bench.beats(HEARTBEAT_LIMIT_MS, false);
  expect([bench.kills, bench.failures.length]).toEqual([1, 0]);
  bench.dies();
  bench.dies();
  expect(bench.failures).toHaveLength(1);
});

test('a child that cannot be killed is given up', async () => {
  const bench = new Bench().ready();
  bench.mortal = false;
  bench.beats(HEARTBEAT_LIMIT_MS, false);
  bench.clock.advanceTo(bench.clock.nowMs() + 1_000);
  await bench.worker.gone;
  expect(bench.failures).toHaveLength(1);
});

test('one that is asked to end and does not is killed, and that is no failure', async () => {
  const bench = new Bench().ready();
  bench.worker.end();
  expect(bench.told.at(-1)).toEqual({ at: 'end' });
  expect(bench.kills).toBe(0);
  bench.clock.advanceTo(1_000);
  expect(bench.kills).toBe(1);
  await bench.worker.gone;
  expect(bench.failures).toEqual([]);
});

test('a run that comes before the child is ready begins when it is', () => {
  const bench = new Bench();
  bench.run();
  expect(bench.told.map(({ at }) => at)).toEqual(['load']);
  bench.ready();
  expect(bench.told.map(({ at }) => at)).toEqual(['load', 'run']);
});

test('what a run says after it is over is ignored', () => {
  const bench = new Bench().ready();
  const calls: string[] = [];
  bench.run(calls);
  bench.says({ at: 'progress', done: 1, total: undefined });
  bench.end.abort(new Error('parked'));
  expect(bench.told.at(-1)).toMatchObject({ at: 'over', run: 1, error: { record: { message: 'parked' } } });
  bench.says({ at: 'progress', done: 2, total: undefined });
  bench.says({ at: 'returned', result: '"late"' });
  expect(calls).toEqual(['progress']);
  expect(bench.returned).toEqual([]);
});

test('what a run says after it was told to stop is heard, until it is over', () => {
  const bench = new Bench().ready();
  bench.run();
  bench.controller.abort(new Error('cancelled'));
  expect(bench.told.at(-1)).toMatchObject({ at: 'stop', run: 1, error: { record: { message: 'cancelled' } } });
  bench.says({ at: 'returned', result: '"all the same"' });
  expect(bench.returned).toEqual(['"all the same"']);
  bench.end.abort(new Error('over'));
  expect(bench.told.at(-1)).toMatchObject({ at: 'over', run: 1 });
});

test('a successor starts only when the child before it is gone', async () => {
  const former = Promise.withResolvers<void>();
  const bench = new Bench(former.promise);
  bench.run();
  expect(bench.options).toBeUndefined();
  former.resolve();
  await former.promise;
  expect(bench.told.map(({ at }) => at)).toEqual(['load']);
});

test('one that is ended before it has started never starts', async () => {
  const former = Promise.withResolvers<void>();
  const bench = new Bench(former.promise);
  bench.worker.end();
  await bench.worker.gone;
  former.resolve();
  await former.promise;
  expect(bench.options).toBeUndefined();
  expect(bench.failures).toEqual([]);
});

test.each(['timeout', 'stalled'] as const)(
  'a run whose time is over (%s) while its child is silent is not followed by another in that child',
  (reason) => {
    const bench = new Bench().ready();
    bench.beats(HEARTBEAT_MS, true);
    bench.run();
    bench.beats(2 * HEARTBEAT_MS, false);
    expect(bench.kills).toBe(0);
    bench.end.abort(new RunOverError(reason));
    expect([bench.kills, bench.failures[0]?.detail.how]).toEqual([1, 'hung']);
  },
);

test.each([
  ['timeout', true],
  ['parked', false],
] as const)('one that is over (%s; its child answers: %s) leaves its child alone', (reason, answers) => {
  const bench = new Bench().ready();
  bench.run();
  bench.beats(2 * HEARTBEAT_MS, answers);
  bench.end.abort(new RunOverError(reason));
  expect(bench.kills).toBe(0);
});
