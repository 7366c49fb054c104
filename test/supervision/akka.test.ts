/** Cases of typed Akka and Pekko, on `createSupervisor`. */
import { expect, test } from 'vitest';
import { assign, createMachine } from 'xstate';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import { expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { Fate } from './plan.ts';
import { Stage } from './stage.ts';

const MINUTE_MS = 60_000;
const always = (fate: Fate): readonly Fate[] => Array.from({ length: 50 }, () => fate);

/** Counts what it is told, and throws what it is told to throw. */
const counter = createMachine({
  types: {} as {
    context: { readonly count: number };
    events: { readonly type: 'up' } | { readonly type: 'fail'; readonly error: unknown };
  },
  context: { count: 0 },
  on: {
    up: { actions: assign({ count: ({ context }) => context.count + 1 }) },
    fail: {
      actions: ({ event }) => {
        throw event.error;
      },
    },
  },
});

class Net {
  readonly stage = new Stage();

  async open(spec: SupervisorSpec): Promise<this> {
    const starting = createSupervisor(spec, { host: this.stage.host, clock: this.stage.clock });
    this.stage.supervisor = await this.stage.finish(starting, 0);
    return this;
  }

  async fail(child: string, error: unknown): Promise<void> {
    this.stage.supervisor!.send(child, { type: 'fail', error } as never);
    await this.stage.wait(0);
  }

  async up(child: string): Promise<void> {
    this.stage.supervisor!.send(child, { type: 'up' });
    await this.stage.wait(0);
  }

  count(child: string): number | undefined {
    return (this.stage.supervisor!.snapshotOf(child) as { context?: { count: number } } | undefined)?.context?.count;
  }

  /** How a child is listed: `running`, or a word. */
  async state(child: string): Promise<string> {
    const children = await this.stage.finish(this.stage.supervisor!.whichChildren(), 0);
    const found = children.find(({ id }) => id === child);
    return found === undefined ? 'forgotten' : typeof found.child === 'string' ? found.child : 'running';
  }
}

const counting = (id: string, rest: Partial<ChildSpec> = {}): ChildSpec => ({ id, logic: counter, ...rest });

test('AK-01: a child with nobody to restart it stops when it throws, and who watches it is told', async () => {
  const { stage } = await new Net().open({ children: [counting('a', { restart: 'temporary' })] });
  const heard = stage.probe('watcher');
  stage.host.monitor('watcher', 'root/a');
  stage.supervisor!.send('a', { type: 'fail', error: new Error('no') } as never);
  await stage.wait(0);
  expect(heard).toMatchObject([{ type: 'exited', id: 'root/a', reason: { at: 'error', error: { message: 'no' } } }]);
});

inEveryOrder(
  'AK-06, AK-23: with a limit of two within a minute the first two failures restart, and the third ends the supervisor',
  tree('root', [leaf('a')], { intensity: 2, periodMs: MINUTE_MS }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash');
    await opened.ends('root/a#2', 'crash');
    expect(opened.lives).toContain('root/a#3');
    await opened.ends('root/a#3', 'crash');
    expectOver(opened);
  },
);

inEveryOrder('AK-07: with a limit of zero the first failure is the last', tree('root', [leaf('a')], { intensity: 0 }), async (opened) => {
  await opened.ends('root/a#1', 'crash');
  expectOver(opened);
});

inEveryOrder(
  'AK-08: failures that lie further apart than the window are forgiven',
  tree('root', [leaf('a')], { intensity: 2, periodMs: 2_000 }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash');
    await opened.ends('root/a#2', 'crash');
    await opened.wait(2_100);
    await opened.ends('root/a#3', 'crash');
    await opened.ends('root/a#4', 'crash');
    expect(opened.lives).toContain('root/a#5');
    await opened.ends('root/a#5', 'crash');
    expectOver(opened);
  },
);

const byKind: NonNullable<ChildSpec['onFailure']> = [
  { when: (error) => error instanceof RangeError, outcome: 'stop' },
  { when: (error) => error instanceof TypeError, outcome: 'resume' },
  { when: (error) => error instanceof SyntaxError, outcome: 'suspend' },
  { when: (error) => error instanceof EvalError, outcome: 'escalate' },
  { outcome: 'restart' },
];

test('AK-09: the first rule that fits the failure decides: one kind is restarted, another stopped', async () => {
  const net = await new Net().open({ intensity: 5, children: [counting('a', { onFailure: byKind }), counting('b')] });
  await net.up('a');
  await net.fail('a', new Error('disk'));
  expect([await net.state('a'), net.count('a')]).toEqual(['running', 0]);
  await net.up('a');
  expect(net.count('a')).toBe(1);
  await net.fail('a', new RangeError('illegal'));
  expect([await net.state('a'), await net.state('b')]).toEqual(['none', 'running']);
});

test('SPEC should resume: a failure that is resumed keeps the state, and counts no restart', async () => {
  const net = await new Net().open({ intensity: 0, children: [counting('a', { onFailure: byKind })] });
  await net.up('a');
  await net.up('a');
  for (let times = 0; times < 3; times += 1) await net.fail('a', new TypeError('slip'));
  expect([await net.state('a'), net.count('a')]).toEqual(['running', 2]);
  await net.up('a');
  expect(net.count('a')).toBe(3);
});

test('a failure that is to suspend leaves the child suspended, without a restart, until somebody resumes it', async () => {
  const net = await new Net().open({ intensity: 0, children: [counting('a', { onFailure: byKind }), counting('b')] });
  await net.fail('a', new SyntaxError('odd'));
  expect([await net.state('a'), await net.state('b')]).toEqual(['suspended', 'running']);
  const [listed] = await net.stage.finish(net.stage.supervisor!.whichChildren(), 0);
  for (const reason of listed!.reasons ?? []) await net.stage.finish(net.stage.supervisor!.resumeChild('a', reason), 0);
  expect([await net.state('a'), net.count('a')]).toEqual(['running', 0]);
});

test('a failure that is to escalate ends the supervisor, whatever is left of its intensity', async () => {
  const net = await new Net().open({ intensity: 100, children: [counting('a', { onFailure: byKind }), counting('b')] });
  await net.fail('a', new EvalError('all is lost'));
  const reason = await net.stage.finish(net.stage.supervisor!.ended, 0);
  expect(reason.at).not.toBe('normal');
  expect(net.stage.host.isAlive('root/b')).toBe(false);
});

test('SPEC should not restart on a different kind of failure: rules that do not fit leave the restart type to decide', async () => {
  const only = [{ when: (error: unknown) => error instanceof RangeError, outcome: 'stop' as const }];
  const net = await new Net().open({
    intensity: 5,
    children: [counting('a', { onFailure: only }), counting('t', { restart: 'temporary', onFailure: only })],
  });
  await net.fail('a', new Error('other'));
  await net.fail('t', new Error('other'));
  expect([await net.state('a'), await net.state('t')]).toEqual(['running', 'forgotten']);
});

inEveryOrder(
  'AK-10: a new incarnation begins only after those that depend on it have stopped; who asks meanwhile is answered at once, not held',
  tree('root', [leaf('parent'), leaf('child1', { manners: 'deaf', shutdownMs: 50 }), leaf('child2', { manners: 'deaf', shutdownMs: 80 })], {
    strategy: 'rest_for_one',
  }),
  async (opened) => {
    await opened.ends('root/parent#1', 'crash');
    expect(await opened.looks()).toContain('child1: root/child1#1');
    await opened.wait(129);
    expect(opened.news()).toEqual(['root/parent#1 ends: error', 'root/child2#1 ends: killed']);
    await opened.wait(1);
    expect(opened.news()).toEqual(['root/child1#1 ends: killed', 'root/parent#2 starts', 'root/child1#2 starts', 'root/child2#2 starts']);
  },
);

inEveryOrder(
  'AK-11: under one_for_one those beside a child that restarts are kept, and are not told to stop',
  tree('root', [leaf('parent'), leaf('child')]),
  async (opened) => {
    await opened.ends('root/parent#1', 'crash');
    expect(opened.news()).toEqual(['root/parent#1 ends: error', 'root/parent#2 starts']);
    expect(opened.lives).toContain('root/child#1');
  },
);

inEveryOrder(
  'AK-12: calls that come while a group waits for a slow child are held, and answered in order; a crash among them restarts the group again',
  tree('root', [leaf('a'), leaf('slow', { manners: 'deaf', shutdownMs: 50 })], { strategy: 'one_for_all', intensity: 5 }),
  async (opened) => {
    opened.tell('root/a#1', 'crash');
    opened.settle();
    let isAnswered = false;
    const held = Promise.all([
      opened.begin({ at: 'startChild', supervisor: 'root', plan: leaf('b') }),
      opened.begin({ at: 'terminateChild', supervisor: 'root', child: 'b' }),
      opened.begin({ at: 'startChild', supervisor: 'root', plan: leaf('b') }),
      opened.begin({ at: 'deleteChild', supervisor: 'root', child: 'b' }),
    ]);
    void held.then(() => (isAnswered = true));
    await opened.wait(49);
    expect(isAnswered).toBe(false);
    expect(await opened.finish(held, 1)).toEqual(['started root/b#1', 'ok', 'already present', 'ok']);
    await opened.ends('root/a#2', 'crash', 50);
    expect(opened.lives).toEqual(['root#1', 'root/a#3', 'root/slow#3']);
  },
);

test('AK-13: a new incarnation hears of who ended while there was none, when it asks to be told', async () => {
  // Akka keeps the watch over a restart. Here an incarnation watches for itself, and is told at once of one who is gone.
  const stage = new Stage();
  const heard = stage.probe('watcher');
  stage.host.monitor('watcher', 'long-gone');
  await stage.wait(0);
  expect(heard).toMatchObject([{ type: 'exited', id: 'long-gone' }]);
});

inEveryOrder(
  'AK-16: when every later start fails, a limit of two allows two attempts, and then it is over',
  tree('root', [leaf('a', { starts: ['well', ...always('throws')] })], { intensity: 2, restMs: 100 }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash', 1_000);
    expect(opened.news()).toEqual(['root/a#1 ends: error', 'root/a#2 fails', 'root/a#3 fails', 'root#1 ends: shutdown']);
    expectOver(opened);
  },
);

for (const fate of ['throws', 'breaks'] as const) {
  test(`AK-19: a start that ${fate} the very first time is not tried again, however much intensity there is`, async () => {
    const stage = new Stage();
    await stage.open(tree('root', [leaf('a', { starts: always(fate) })], { intensity: 100, restMs: 1 }), 10_000);
    expect(stage.refusal).toMatchObject({ code: 'DROVER_START_FAILED' });
    expect(stage.seen.filter((line) => line.endsWith('fails'))).toHaveLength(1);
  });
}

inEveryOrder(
  'AK-26: while a child is dying the supervisor answers, counts no restart for it, and never has two of it',
  tree('root', [leaf('a'), leaf('b', { manners: 'deaf', shutdownMs: 1_000 })], { strategy: 'one_for_all', restMs: 1 }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash', 999);
    expect(await opened.looks()).toContain('b: root/b#1');
    expect(opened.news()).toEqual(['root/a#1 ends: error']);
    await opened.wait(10);
    expect(opened.news()).toEqual(['root/b#1 ends: killed', 'root/a#2 starts', 'root/b#2 starts']);
    expect(opened.facts.filter(({ at }) => at === 'restarting')).toHaveLength(1);
  },
);

test('SPEC drop messages while backing off: what is sent to a child that rests reaches nobody, and does not wait for the next one', async () => {
  const net = await new Net().open({ backoff: { baseMs: 1_000, capMs: 1_000 }, intensity: 5, children: [counting('a')] });
  await net.fail('a', new Error('rest'));
  await net.up('a');
  await net.stage.wait(1_000);
  expect([await net.state('a'), net.count('a')]).toEqual(['running', 0]);
});
