/** Other cases of OTP's own suite (supervisor_SUITE) about restarts, groups and counts; each is named after the case that it comes from. */
import { expect, test } from 'vitest';
import { Case, expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { Fate } from './plan.ts';

const HOUR_MS = 3_600_000;
const often = { intensity: 2, periodMs: HOUR_MS } as const;
const temporary = { restart: 'temporary' } as const;
const dynamic = { ...often, strategy: 'dynamic' } as const;
const after = (...later: readonly Fate[]): { readonly starts: readonly Fate[] } => ({ starts: ['well', ...later] });

inEveryOrder(
  'SUITE temporary_shutdown: a temporary child is forgotten after a shutdown, and can be started anew',
  tree('root', [leaf('child1', temporary)], often),
  async (opened) => {
    await opened.ends('root/child1#1', 'shutdown');
    expect(await opened.looks()).toBe('0,0,0,0');
    expect(await opened.starts(leaf('child1', temporary))).toBe('started root/child1#2');
  },
);

for (const how of ['crash', 'kill'] as const) {
  inEveryOrder(
    `SUITE permanent_abnormal, transient_abnormal: both are restarted after a ${how}`,
    tree('root', [leaf('p'), leaf('t', { restart: 'transient' })], often),
    async (opened) => {
      await opened.ends('root/p#1', how);
      await opened.ends('root/t#1', how);
      expect(await opened.looks()).toBe('p: root/p#2, worker, permanent; t: root/t#2, worker, transient; 2,2,0,2');
    },
  );
}

inEveryOrder(
  'SUITE multiple_restarts: restarts beyond the intensity end the supervisor, in quick succession too',
  tree('root', [leaf('child1')], { intensity: 1, periodMs: 1_000 }),
  async (opened) => {
    for (const life of [1, 2, 3]) {
      await opened.ends(`root/child1#${life}`, 'shutdown');
      await opened.wait(2_000);
    }
    expect(opened.lives).toContain('root/child1#4');
    await opened.ends('root/child1#4', 'kill');
    await opened.ends('root/child1#5', 'kill');
    expectOver(opened);
  },
);

for (const [strategy, third] of [
  ['one_for_one', 'root/child1#4'],
  ['one_for_all', 'root/child1#3'],
  ['rest_for_one', 'root/child1#3'],
] as const) {
  inEveryOrder(
    `SUITE ${strategy}: the base case, and the third restart within the period ends it`,
    tree('root', [leaf('child1'), leaf('child2')], { strategy, ...often }),
    async (opened) => {
      await opened.ends('root/child1#1', 'crash');
      expect(opened.lives).toContain(strategy === 'one_for_one' ? 'root/child2#1' : 'root/child2#2');
      await opened.ends('root/child1#2', 'crash');
      await opened.ends('root/child1#3', 'crash');
      expect(third).toBeDefined();
      expectOver(opened);
    },
  );
}

inEveryOrder(
  'SUITE one_for_one_escalation: a child that fails each attempt uses the intensity up, and takes its sibling along',
  tree('root', [leaf('child1', after('throws', 'breaks', 'throws', 'breaks', 'throws')), leaf('child2')], {
    intensity: 4,
    periodMs: HOUR_MS,
  }),
  async (opened) => {
    await opened.ends('root/child1#1', 'crash');
    expect(opened.news().filter((line) => line.endsWith('fails'))).toHaveLength(4);
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE rest_for_one: the restart of a middle child leaves those before it alone',
  tree('root', [leaf('child1'), leaf('child2'), leaf('child3')], { strategy: 'rest_for_one', ...often }),
  async (opened) => {
    await opened.ends('root/child2#1', 'crash');
    expect(await opened.looks()).toBe(
      'child1: root/child1#1, worker, permanent; child2: root/child2#2, worker, permanent; child3: root/child3#2, worker, permanent; 3,3,0,3',
    );
  },
);

inEveryOrder(
  'SUITE simple_one_for_one: an instance is restarted alone, and the third restart within the period ends all',
  tree('root', [leaf('*')], dynamic),
  async (opened) => {
    await opened.starts(leaf('*'));
    await opened.starts(leaf('*'));
    await opened.ends('root/*#1', 'crash');
    expect(opened.lives).toEqual(['root#1', 'root/*#2', 'root/*#3']);
    await opened.ends('root/*#2', 'crash');
    await opened.ends('root/*#4', 'crash');
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE simple_one_for_one_restart_ignore: an instance that is ignored when it is restarted is forgotten',
  tree('root', [leaf('*', after('well', 'ignore'))], { ...dynamic, intensity: 10 }),
  async (opened) => {
    await opened.starts(leaf('*'));
    await opened.ends('root/*#1', 'kill');
    await opened.ends('root/*#2', 'kill');
    expect(await opened.looks()).toBe('1,0,0,0');
  },
);

inEveryOrder(
  'SRC restart/3: a static child that is ignored when it is restarted is kept without a life',
  tree('root', [leaf('a', after('ignore'))], often),
  async (opened) => {
    await opened.ends('root/a#1', 'kill');
    expect(await opened.looks()).toBe('a: none, worker, permanent; 1,0,0,1');
  },
);

inEveryOrder(
  'SUITE simple_one_for_one_escalation: an instance that fails each attempt takes all others along',
  tree('root', [leaf('*', { starts: ['well', 'well', 'throws', 'throws', 'throws', 'throws'] })], { ...dynamic, intensity: 4 }),
  async (opened) => {
    await opened.starts(leaf('*'));
    await opened.starts(leaf('*'));
    await opened.ends('root/*#1', 'crash');
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE tree: a branch comes back with the children of its spec, not with those that were started by hand',
  tree('root', [tree('sup1', [leaf('child1'), leaf('child2')]), tree('sup2', []), tree('sup3', [], { restart: 'transient' })], {
    strategy: 'one_for_all',
    intensity: 4,
    periodMs: HOUR_MS,
  }),
  async (opened) => {
    await opened.terminates('sup3');
    expect(await opened.looks()).toContain('; 3,2,3,0');
    await opened.starts(leaf('child3', after('throws', 'throws')), 'root/sup2');
    await opened.starts(leaf('child4'), 'root/sup2');
    await opened.ends('root/sup2/child4#1', 'crash');
    expect(opened.lives).toEqual(expect.arrayContaining(['root/sup1/child1#1', 'root/sup2/child3#1', 'root/sup2/child4#2']));
    await opened.wait(6_000);
    await opened.ends('root/sup2/child3#1', 'crash');
    expect(await opened.looks()).toBe(
      'sup1: root/sup1#2, supervisor, permanent; sup2: root/sup2#2, supervisor, permanent; sup3: root/sup3#2, supervisor, transient; 3,3,3,0',
    );
    expect(await opened.looks('root/sup1')).toContain('; 2,2,0,2');
    expect(await opened.looks('root/sup2')).toBe('0,0,0,0');
  },
);

test('SUITE count_children: a thousand instances are counted and listed, and none is left when each was killed', async () => {
  const opened = await Case.open(tree('root', [leaf('*', temporary)], dynamic));
  await opened.finish(Promise.all(Array.from({ length: 1_000 }, () => opened.supervisor!.startChild(undefined as never))), 0);
  expect(await opened.finish(opened.supervisor!.countChildren(), 0)).toEqual({ specs: 1, active: 1_000, supervisors: 0, workers: 1_000 });
  expect(await opened.finish(opened.supervisor!.whichChildren(), 0)).toHaveLength(1_000);
  for (const life of opened.lives) if (life !== 'root#1') opened.tell(life, 'kill');
  await opened.wait(0);
  expect(await opened.finish(opened.supervisor!.countChildren(), 0)).toEqual({ specs: 1, active: 0, supervisors: 0, workers: 0 });
});

inEveryOrder(
  'SUITE count_children_supervisor: instances that are supervisors are counted as such',
  tree('root', [tree('*', [], temporary)], dynamic),
  async (opened) => {
    await opened.finish(opened.supervisor!.startChild(undefined as never), 0);
    await opened.finish(opened.supervisor!.startChild(undefined as never), 0);
    expect(await opened.finish(opened.supervisor!.countChildren(), 0)).toEqual({ specs: 1, active: 2, supervisors: 2, workers: 0 });
  },
);

inEveryOrder(
  'SUITE count_restarting_children, hanging_restart_loop_simple: instances that are being restarted are listed so, and are not active',
  tree('root', [leaf('*', { starts: ['well', 'well', 'throws', 'throws', 'throws'] })], { ...dynamic, intensity: 20, restMs: 1_000 }),
  async (opened) => {
    await opened.starts(leaf('*'));
    await opened.starts(leaf('*'));
    await opened.ends('root/*#1', 'crash');
    expect(await opened.finish(opened.supervisor!.countChildren(), 0)).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 2 });
    const children = await opened.finish(opened.supervisor!.whichChildren(), 0);
    expect(children.map(({ child }) => child === 'restarting')).toContain(true);
    expect(await opened.terminates('root/*#1')).toBe('ok');
    await opened.wait(60_000);
    expect(opened.lives).toEqual(['root#1', 'root/*#2']);
  },
);
