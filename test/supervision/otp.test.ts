/**
 * OTP's cases about restarts, groups and intensity, on `createSupervisor`. Rows of other files: starting,
 * specs and calls in `otp-administration`, significant children in `otp-significant`.
 *
 * OTP-27 and OTP-28 speak of `{shutdown, Info}`; an ending here carries no further word, so both are
 * tried with `shutdown` alone. OTP-21: nobody can detach from its supervisor here; a deaf child is what
 * comes closest. OTP-11: see there for the choice to refuse what is unknown.
 */
import { expect, test } from 'vitest';
import { Case, expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { TreePlan } from './plan.ts';

const HOUR_MS = 3_600_000;
const often = { intensity: 2, periodMs: HOUR_MS } as const;
const temporary = { restart: 'temporary' } as const;
const transient = { restart: 'transient' } as const;
const one = (plan: Parameters<typeof leaf>[1] = {}, options: Partial<TreePlan> = {}) =>
  tree('root', [leaf('a', plan)], { ...often, ...options });

inEveryOrder(
  'OTP-16: five children stop strictly in the reverse of the order in which they started, not by id, each gone before the next is told',
  tree(
    'root',
    ['ch7', 'ch3', 'ch10', 'ch2', 'ch5'].map((id) => leaf(id, { manners: 'deaf', shutdownMs: 100 })),
    { strategy: 'rest_for_one', ...often },
  ),
  async (opened) => {
    const order = ['ch5', 'ch2', 'ch10', 'ch3', 'ch7'];
    const stopping = opened.supervisor!.stop();
    for (const [at, id] of order.entries()) {
      await opened.wait(99);
      expect(opened.lives).toHaveLength(6 - at);
      await opened.wait(1);
      expect(opened.news().filter((line) => line.startsWith('root/'))).toEqual([`root/${id}#1 ends: killed`]);
    }
    await opened.finish(stopping, 0);
    expectOver(opened);
  },
);

inEveryOrder(
  'OTP-16: a middle child of rest_for_one takes those after it down in reverse order, and they come back in order',
  tree(
    'root',
    ['ch7', 'ch3', 'ch10', 'ch2', 'ch5'].map((id) => leaf(id)),
    { strategy: 'rest_for_one', ...often },
  ),
  async (opened) => {
    await opened.ends('root/ch10#1', 'crash');
    expect(opened.news()).toEqual([
      'root/ch10#1 ends: error',
      'root/ch5#1 ends: shutdown',
      'root/ch2#1 ends: shutdown',
      'root/ch10#2 starts',
      'root/ch2#2 starts',
      'root/ch5#2 starts',
    ]);
  },
);

inEveryOrder(
  'OTP-21: a deaf child does not keep its supervisor from hearing others while it is being terminated',
  tree('root', [leaf('a', { manners: 'deaf' }), leaf('b')], often),
  async (opened) => {
    const terminating = opened.supervisor!.terminateChild('a');
    await opened.wait(10);
    expect(await opened.looks()).toContain('b: root/b#1');
    await opened.finish(terminating, 5_000);
    expect(await opened.looks()).toContain('a: none');
  },
);

inEveryOrder(
  'OTP-22: a stop is served at once in the middle of restarts that keep failing',
  tree('root', [leaf('a', { starts: ['well', ...Array.from({ length: 900 }, () => 'throws' as const)] })], {
    intensity: 1_000,
    periodMs: 10_000,
  }),
  async (opened) => {
    opened.tell('root/a#1', 'crash');
    for (let turn = 0; turn < 5; turn += 1) opened.host.step();
    await opened.stops();
    expectOver(opened);
    expect(opened.news().filter((line) => line.endsWith('fails')).length).toBeLessThan(50);
  },
);

inEveryOrder(
  'OTP-22: a stop is served at once while a child rests before a restart',
  one({ starts: ['well', 'throws', 'throws'] }, { intensity: 8, periodMs: 10_000, restMs: 500 }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash', 600);
    await opened.stops();
    expectOver(opened);
  },
);

for (const restart of ['permanent', 'transient', 'temporary'] as const) {
  inEveryOrder(
    `OTP-23: a ${restart} child that ends normally when told to stop is ${restart === 'permanent' ? 'reported' : 'as good as stopped'}`,
    one({ restart, manners: 'ends normally' }),
    async (opened) => {
      expect(await opened.terminates('a')).toBe('ok');
      expect(opened.news()).toEqual(['root/a#1 ends: normal']);
      expect(opened.reports).toEqual(restart === 'permanent' ? ['root/a#1'] : []);
    },
  );
}

inEveryOrder('OTP-24: a permanent child that ends normally is restarted as another incarnation', one(), async (opened) => {
  await opened.ends('root/a#1', 'normal');
  expect(await opened.looks()).toBe('a: root/a#2, worker, permanent; 1,1,0,1');
});

inEveryOrder('OTP-26: a temporary child that ends normally is not restarted, and forgotten', one(temporary), async (opened) => {
  await opened.ends('root/a#1', 'normal');
  expect(await opened.looks()).toBe('0,0,0,0');
});

inEveryOrder('OTP-27: a permanent child that ends with shutdown is restarted, each time', one(), async (opened) => {
  await opened.ends('root/a#1', 'shutdown');
  await opened.ends('root/a#2', 'shutdown');
  expect(await opened.looks()).toBe('a: root/a#3, worker, permanent; 1,1,0,1');
});

inEveryOrder(
  'OTP-28: a transient child that ends with shutdown stays down, keeps its spec, and can be restarted by hand',
  one(transient),
  async (opened) => {
    await opened.ends('root/a#1', 'shutdown');
    expect(await opened.looks()).toBe('a: none, worker, transient; 1,0,0,1');
    expect(await opened.restarts('a')).toBe('started root/a#2');
    await opened.ends('root/a#2', 'shutdown');
    expect(await opened.looks()).toBe('a: none, worker, transient; 1,0,0,1');
  },
);

inEveryOrder(
  'OTP-31: a temporary child that crashes is not restarted, and forgotten, and its supervisor lives',
  one(temporary),
  async (opened) => {
    await opened.ends('root/a#1', 'crash');
    expect(await opened.looks()).toBe('0,0,0,0');
    expect(opened.end).toBeUndefined();
  },
);

for (const strategy of ['rest_for_one', 'one_for_all'] as const) {
  inEveryOrder(
    `OTP-34: a temporary bystander of ${strategy} is stopped and forgotten when a child before it is restarted`,
    tree('root', [leaf('child1'), leaf('child2', temporary)], { strategy, intensity: 2, periodMs: 300_000 }),
    async (opened) => {
      await opened.ends('root/child1#1', 'normal');
      expect(await opened.looks()).toBe('child1: root/child1#2, worker, permanent; 1,1,0,1');
    },
  );
}

inEveryOrder(
  'OTP-36: with intensity 0 the first crash ends the supervisor, after its other children were stopped',
  tree('root', [leaf('a'), leaf('b'), leaf('c')], { intensity: 0 }),
  async (opened) => {
    await opened.ends('root/b#1', 'crash');
    expect(opened.news()).toEqual(['root/b#1 ends: error', 'root/c#1 ends: shutdown', 'root/a#1 ends: shutdown', 'root#1 ends: shutdown']);
    expectOver(opened);
  },
);

inEveryOrder('OTP-39: a restart exactly one period old still counts', one({}, { intensity: 1, periodMs: 5_000 }), async (opened) => {
  await opened.ends('root/a#1', 'crash');
  await opened.wait(5_000);
  await opened.ends('root/a#2', 'crash');
  expectOver(opened);
});

inEveryOrder('OTP-39: a restart older than one period does not count', one({}, { intensity: 1, periodMs: 5_000 }), async (opened) => {
  await opened.ends('root/a#1', 'crash');
  await opened.wait(5_001);
  await opened.ends('root/a#2', 'crash');
  expect(opened.lives).toEqual(['root#1', 'root/a#3']);
});

const neverAgain = { starts: ['well', ...Array.from({ length: 20 }, () => 'throws' as const)] } as const;

for (const [id, strategy] of [
  ['OTP-44', 'one_for_all'],
  ['OTP-45', 'rest_for_one'],
] as const) {
  inEveryOrder(
    `${id}: ${strategy} gives up when a member of the group fails each attempt, and nobody is left`,
    tree('root', [leaf('child1'), leaf('child2', neverAgain)], { strategy, intensity: 4, periodMs: HOUR_MS }),
    async (opened) => {
      await opened.ends('root/child1#1', 'crash');
      expect(opened.news().filter((line) => line === 'root/child2#1 ends: shutdown' || line.endsWith('fails'))).toEqual([
        'root/child2#1 ends: shutdown',
        'root/child2#2 fails',
        'root/child2#3 fails',
        'root/child2#4 fails',
        'root/child2#5 fails',
      ]);
      expectOver(opened);
    },
  );
}

for (const restart of ['permanent', 'transient'] as const) {
  inEveryOrder(
    `OTP-47: a ${restart} supervisor that gives up ends with shutdown, and its parent ${restart === 'permanent' ? 'restarts it, which counts once' : 'does not restart it'}`,
    tree('root', [tree('s', [leaf('a')], { intensity: 0, restart })], often),
    async (opened) => {
      await opened.ends('root/s/a#1', 'crash');
      expect(opened.news()).toEqual([
        'root/s/a#1 ends: error',
        'root/s#1 ends: shutdown',
        ...(restart === 'permanent' ? ['root/s#2 starts', 'root/s/a#2 starts'] : []),
      ]);
      expect(opened.facts.filter(({ at, supervisor }) => at === 'restarting' && supervisor === 'root')).toHaveLength(
        restart === 'permanent' ? 1 : 0,
      );
    },
  );
}

inEveryOrder(
  'OTP-52: when a member fails to come back, one_for_all stops those that did and starts the whole group over, never two of one child',
  tree('root', [leaf('child1'), leaf('child2', { starts: ['well', 'throws'] })], {
    strategy: 'one_for_all',
    intensity: 3,
    periodMs: HOUR_MS,
  }),
  async (opened) => {
    await opened.ends('root/child1#1', 'crash');
    expect(opened.news()).toEqual([
      'root/child1#1 ends: error',
      'root/child2#1 ends: shutdown',
      'root/child1#2 starts',
      'root/child2#2 fails',
      'root/child1#2 ends: shutdown',
      'root/child1#3 starts',
      'root/child2#3 starts',
    ]);
  },
);

inEveryOrder(
  'SUITE rest_for_one_other_child_fails_restart: those before the failing one stay as they are',
  tree('root', [leaf('child1'), leaf('child2', { starts: ['well', 'throws'] })], {
    strategy: 'rest_for_one',
    intensity: 3,
    periodMs: HOUR_MS,
  }),
  async (opened) => {
    await opened.ends('root/child1#1', 'crash');
    expect(opened.news().slice(2)).toEqual(['root/child1#2 starts', 'root/child2#2 fails', 'root/child2#3 starts']);
  },
);

inEveryOrder('OTP-77: a late exit of an incarnation that has been replaced is ignored', one({}, { intensity: 1 }), async (opened) => {
  const old = opened.living.get('root/a#1')!;
  await opened.ends('root/a#1', 'crash');
  opened.news();
  const late = {
    type: 'exited',
    id: old.actor,
    incarnation: old.incarnation,
    started: true,
    reason: { at: 'error', error: new Error('late') },
  };
  for (let times = 0; times < 5; times += 1) opened.host.send('root', late, 'control', 'somebody');
  await opened.wait(0);
  expect(opened.news()).toEqual([]);
  expect(opened.lives).toEqual(['root#1', 'root/a#2']);
});

test('OTP-69: terminating ten times as many dynamic children takes about ten times as long, and at most fifty times', async () => {
  const takesMs = async (count: number): Promise<number> => {
    const opened = await Case.open(tree('root', [leaf('*', temporary)], { strategy: 'dynamic', ...often }));
    const handle = opened.supervisor!;
    const starting = Promise.all(Array.from({ length: count }, () => handle.startChild(undefined as never)));
    const answers = await opened.finish(starting, 0);
    const startMs = performance.now();
    for (const answer of answers) if ('ok' in answer && answer.ok !== 'ignored') await opened.finish(handle.terminateChild(answer.ok), 0);
    const tookMs = performance.now() - startMs;
    expect(opened.lives).toEqual(['root#1']);
    return tookMs;
  };
  await takesMs(1_000);
  const few = await takesMs(1_000);
  expect((await takesMs(10_000)) / few).toBeLessThan(50);
});
