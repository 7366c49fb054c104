/** Tests of machines by their paths: on the machine of a worker, and on one as a user has it. */
import { describe, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { send } from '../../../actors/kernel/effects.ts';
import { workerMachine } from '../../../actors/worker.ts';
import type { WorkerInput } from '../../../actors/worker.ts';
import { assertCovered, pathsOf, testMachine } from '../../../src/testing/machines/index.ts';
import type { MachinePath, TestMachineOptions } from '../../../src/testing/machines/index.ts';
import { counterMachine, order, orderMachine } from './order.ts';

const INPUT: WorkerInput = { self: 'w', queue: 'q', incarnation: 3, staggerMs: 100 };
const broken = new Error('the worker is broken');
const worker = {
  input: INPUT,
  events: [
    { type: 'worker.fail', error: broken },
    { type: 'effect.failed', error: broken },
  ],
  crashes: ['worker.fail', 'effect.failed'],
} as const satisfies TestMachineOptions<typeof workerMachine>;

const wordsOf = (paths: readonly { readonly words: string }[]): string[] => paths.map(({ words }) => words);

/** What it rejects with. */
async function refusal(act: () => unknown): Promise<Error & { readonly code?: string; readonly detail?: Record<string, unknown> }> {
  try {
    await act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was not refused');
}

describe('the machine of a worker', () => {
  test('is covered whole, states and transitions', async () => {
    const report = await testMachine(workerMachine, worker);
    assertCovered(report);
    expect(report.reached).toEqual(['starting', 'idle', 'working', 'draining', 'stopped']);
    expect(report.taken).toHaveLength(12);
    expect(report.skipped).toEqual([]);
  });

  test('tells its queue when it joins and leaves, on every path', async () => {
    const ends = new Set<string>();
    const joined = send('q', { type: 'queue.joined', worker: 'w', incarnation: 3 } as never, 'control');
    const leaving = send('q', { type: 'queue.leaving', worker: 'w' } as never, 'control');
    await testMachine(workerMachine, {
      ...worker,
      states: {
        starting: ({ allEffects, nowMs }) => expect([allEffects, nowMs]).toEqual([[], 0]),
        idle: ({ nowMs, allEffects }) => expect([nowMs, allEffects[0]]).toEqual([100, joined]),
        working: ({ effects }) => expect(effects).toEqual([]),
        draining: ({ allEffects }) => expect(allEffects).toContainEqual(leaving),
      },
      ended: ({ event }, reason) => void ends.add(`${event?.type}: ${reason.at}`),
    });
    expect([...ends].toSorted()).toEqual([
      'effect.failed: error',
      'stop.requested: normal',
      'worker.drained: normal',
      'worker.fail: error',
    ]);
  });

  test('is not covered when an event of it is left out by `within`, and the report says what is missing', async () => {
    const report = await testMachine(workerMachine, { ...worker, within: ({ value }) => value !== 'working' });
    expect(report.untaken).toEqual(['working --worker.idle--> idle', 'working --queue.opened--> idle']);
    expect(report.unreached).toEqual([]);
    const { code, message } = await refusal(() => assertCovered(report));
    expect(code).toBe('DROVER_MACHINE_UNCOVERED');
    expect(message).toContain('not taken: working --worker.idle--> idle');
  });

  test('fails when what is to end it does not, and when what is not does', async () => {
    const spared = await refusal(() => testMachine(workerMachine, { ...worker, crashes: ['worker.busy'] }));
    expect(spared).toMatchObject({ code: 'DROVER_MACHINE_TEST' });
    const crashed = await refusal(() => testMachine(workerMachine, { ...worker, crashes: [] }));
    expect(crashed).toMatchObject({ code: 'DROVER_MACHINE_TEST', cause: broken });
    expect(crashed.message).toContain('it ended by an error: the worker is broken');
  });
});

describe('a machine of a user', () => {
  test('is covered whole: delays, guards, parallel runs of time, and what invoked actors answer', async () => {
    const report = await testMachine(orderMachine, order);
    assertCovered(report);
    expect(report.taken).toContain('open --after patience--> expired');
    expect(report.taken).toContain('paying --xstate.done.actor.charge--> paid');
    expect(report.taken).toContain('paying --xstate.done.actor.charge--> open');
  });

  test('has its delays in virtual time, a longer one through the shorter that come before it', async () => {
    const expired: (readonly [number, readonly unknown[]])[] = [];
    await testMachine(orderMachine, {
      ...order,
      states: {
        expired: ({ nowMs, allEffects }) => void expired.push([nowMs, allEffects]),
        'open.reminded': ({ nowMs }) => expect(nowMs % 20_000).toBe(10_000),
      },
    });
    expect(expired.length).toBeGreaterThan(0);
    // Reminded at 10, 30 and 50 seconds.
    for (const [nowMs, effects] of expired)
      expect([nowMs, effects]).toEqual([60_000, Array.from({ length: 3 }, () => ({ type: 'reminded' }))]);
  });

  test('has its effects recorded, and its checks told the snapshot that was committed', async () => {
    let paid = 0;
    await testMachine(orderMachine, {
      ...order,
      states: {
        paid: ({ snapshot, effects, event }) => {
          paid += 1;
          expect(snapshot.context.charged).toBe(true);
          expect(effects).toEqual([send('warehouse', { type: 'ship' })]);
          expect(event?.type).toBe('xstate.done.actor.charge');
        },
      },
    });
    expect(paid).toBeGreaterThan(0);
  });

  test('fails with the path when a check of a state throws', async () => {
    const cause = new Error('nobody pays');
    const {
      code,
      message,
      detail,
      cause: thrown,
    } = await refusal(() =>
      testMachine(orderMachine, {
        ...order,
        states: {
          paying: () => {
            throw cause;
          },
        },
      }),
    );
    expect(code).toBe('DROVER_MACHINE_TEST');
    expect(thrown).toBe(cause);
    expect(message).toContain('open.quiet --add--> open.quiet --pay--> paying');
    expect(detail).toMatchObject({ machine: 'order', step: 2, why: 'nobody pays' });
  });

  test('that does something else than its states say is found out', async () => {
    let isLive = false;
    const fickle = createMachine({
      id: 'fickle',
      initial: 'a',
      states: { a: { on: { go: [{ guard: () => !isLive, target: 'b' }, { target: 'c' }] } }, b: {}, c: {} },
    });
    const states = {
      a: () => {
        isLive = true;
      },
    };
    const { code, message } = await refusal(() => testMachine(fickle, { states }));
    expect(code).toBe('DROVER_MACHINE_TEST');
    expect(message).toContain('it is in c, not in b');
  });

  test('has a delay that another one always overtakes reported as untaken, and why', async () => {
    const overtaken = createMachine({
      id: 'overtaken',
      initial: 'waiting',
      states: { waiting: { after: { 10: 'early', 20: 'late' } }, early: {}, late: {} },
    });
    const report = await testMachine(overtaken);
    expect(report.unreached).toEqual(['late']);
    expect(report.untaken).toEqual(['waiting --after 20--> late']);
    expect(report.skipped).toEqual(['waiting --after 20--> late: after 10 came first']);
  });
});

describe('paths', () => {
  const diamond = createMachine({
    id: 'diamond',
    initial: 'a',
    states: { a: { on: { left: 'b', right: 'c' } }, b: { on: { on: 'd' } }, c: { on: { on: 'd' } }, d: { on: { back: 'a' } } },
  });

  test('to each state are the shortest, and none is the beginning of another', () => {
    expect(wordsOf(pathsOf(diamond, { cover: 'states' }))).toEqual(['a --right--> c', 'a --left--> b --on--> d']);
  });

  test('that are simple visit no state twice, each way once', () => {
    expect(wordsOf(pathsOf(diamond, { cover: 'simple' }))).toEqual(['a --left--> b --on--> d', 'a --right--> c --on--> d']);
  });

  test('take every transition by default', () => {
    expect(wordsOf(pathsOf(diamond))).toEqual(['a --right--> c --on--> d', 'a --left--> b --on--> d --back--> a']);
  });

  test('have the true state after each step, where states are told apart by less', () => {
    const paths: readonly MachinePath<typeof counterMachine>[] = pathsOf(counterMachine, {
      identity: ({ context }) => Math.min(3, context.count),
    });
    expect(paths).toHaveLength(1);
    expect(paths[0]!.steps.map(({ state }) => state.context.count)).toEqual([1, 2, 3, 4]);
  });

  test('stop where `within` says', () => {
    const paths = pathsOf(counterMachine, { within: ({ context }) => context.count < 2 });
    expect(wordsOf(paths)).toEqual(['(root) --more--> (root) --more--> (root)']);
  });
});

describe('refused', () => {
  test('a machine without bounds, and it is said what grows', async () => {
    const { code, detail, message } = await refusal(() => pathsOf(counterMachine, { mostStates: 50 }));
    expect(code).toBe('DROVER_MACHINE_UNBOUNDED');
    expect(detail).toEqual({ machine: 'counter', what: 'states', limit: 50, grows: [{ key: 'count', values: 51 }] });
    expect(message).toContain('context.count (51 values)');
  });

  test('more paths than are allowed', async () => {
    const { code, detail } = await refusal(() => pathsOf(orderMachine, { ...order, cover: 'simple', mostPaths: 3 }));
    expect([code, detail?.['what']]).toEqual(['DROVER_MACHINE_UNBOUNDED', 'paths']);
  });

  test('an event that no state takes, with those that there are', async () => {
    const { code, detail } = await refusal(() => pathsOf(orderMachine, { ...order, events: [{ type: 'steal' } as never] }));
    expect(code).toBe('DROVER_MACHINE_EVENT');
    expect(detail).toMatchObject({ event: 'steal', machine: 'order' });
    expect(detail?.['known']).toContain('pay');
  });

  test('an event whose data is missing, with what was thrown', async () => {
    const needy = createMachine({
      id: 'needy',
      initial: 'a',
      states: { a: { on: { go: { guard: ({ event }) => event.list.length > 0, target: 'b' } } }, b: {} },
    });
    const { code, detail, message } = await refusal(() => testMachine(needy));
    expect(code).toBe('DROVER_MACHINE_THREW');
    expect(detail).toEqual({ machine: 'needy', event: 'go' });
    expect(message).toContain('give a case');
  });

  test('a context that cannot be written', async () => {
    const ring: { self?: unknown } = {};
    ring.self = ring;
    const { code } = await refusal(() => pathsOf(createMachine({ id: 'ring', context: ring })));
    expect(code).toBe('DROVER_MACHINE_OPTION');
  });

  test.each([
    ['no machine', () => pathsOf({} as never)],
    ['an unknown option', () => pathsOf(orderMachine, { depth: 3 } as never)],
    ['an unknown cover', () => pathsOf(orderMachine, { cover: 'all' as never })],
    ['no states at all', () => pathsOf(orderMachine, { mostStates: 0 })],
    ['half a path', () => pathsOf(orderMachine, { mostPaths: 0.5 })],
    ['events without types', () => pathsOf(orderMachine, { events: [{} as never] })],
    ['a check of a state that is not there', () => testMachine(orderMachine, { ...order, states: { closed: () => {} } })],
    ['a check that is no function', () => testMachine(orderMachine, { ...order, states: { open: 3 as never } })],
    ['an option of tests for paths', () => pathsOf(orderMachine, { ...order, states: {} } as never)],
  ])('%s', async (_what, act) => {
    expect(await refusal(act)).toMatchObject({ code: 'DROVER_MACHINE_OPTION' });
  });
});
