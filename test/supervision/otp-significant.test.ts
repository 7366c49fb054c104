/** OTP's cases about significant children and automatic shutdown, those of its own suite (supervisor_SUITE) among them. */
import { expect } from 'vitest';
import { expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { TreePlan } from './plan.ts';

const HOUR_MS = 3_600_000;
const often = { intensity: 2, periodMs: HOUR_MS } as const;
const temporary = { restart: 'temporary' } as const;
const dynamic = { ...often, strategy: 'dynamic' } as const;

for (const autoShutdown of ['never', 'any_significant', 'all_significant'] as const) {
  for (const restart of ['transient', 'temporary'] as const) {
    inEveryOrder(
      `SUITE nonsignificant_${restart}: under ${autoShutdown} no ending of an insignificant child shuts the supervisor down`,
      tree('root', [], { autoShutdown, intensity: 5 }),
      async (opened) => {
        await opened.starts(leaf('a', { restart }));
        await opened.terminates('a');
        for (const how of ['kill', 'crash', 'normal', 'shutdown'] as const) {
          await (restart === 'transient' ? opened.restarts('a') : opened.starts(leaf('a', { restart })));
          await opened.ends(
            opened.lives.find((life) => life.startsWith('root/a#'))!,
            how,
          );
          await opened.terminates('a');
        }
        expect(opened.end).toBeUndefined();
      },
    );
  }
}

const significant = { restart: 'temporary', significant: true } as const;

inEveryOrder(
  'SUITE significant_temporary: terminating a significant child by hand shuts nothing down',
  tree('root', [leaf('a', significant), leaf('b', significant)], { autoShutdown: 'any_significant' }),
  async (opened) => {
    await opened.terminates('a');
    expect(opened.end).toBeUndefined();
  },
);

inEveryOrder(
  'SUITE significant_temporary: all_significant waits for the last significant child, and for no other',
  tree('root', [leaf('a', significant), leaf('b', significant), leaf('c', temporary)], { autoShutdown: 'all_significant' }),
  async (opened) => {
    await opened.ends('root/a#1', 'normal');
    expect(opened.lives).toEqual(['root#1', 'root/b#1', 'root/c#1']);
    await opened.ends('root/b#1', 'crash');
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE significant_transient: a significant child that rests before its restart still counts',
  tree('root', [leaf('a', { restart: 'transient', significant: true }), leaf('b', significant)], {
    autoShutdown: 'all_significant',
    restMs: 1_000,
  }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash');
    await opened.ends('root/b#1', 'normal');
    expect(opened.end).toBeUndefined();
    await opened.wait(1_000);
    await opened.ends('root/a#2', 'normal');
    expectOver(opened);
  },
);

for (const isSignificant of [true, false]) {
  inEveryOrder(
    `SUITE significant_escalation: the shutdown of ${isSignificant ? 'a significant' : 'an insignificant'} branch ${isSignificant ? 'shuts its parent down' : 'stays where it is'}`,
    tree(
      'root',
      [
        tree('sup1', [leaf('child1', { restart: 'transient', significant: true })], {
          autoShutdown: 'any_significant',
          restart: 'transient',
          significant: isSignificant,
        }),
      ],
      { autoShutdown: 'any_significant' },
    ),
    async (opened) => {
      await opened.ends('root/sup1/child1#1', 'normal');
      if (isSignificant) expectOver(opened);
      else expect(opened.lives).toEqual(['root#1']);
    },
  );
}

for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
  for (const autoShutdown of ['any_significant', 'all_significant'] as const) {
    const loud = { restart: 'transient', significant: true } as const;
    inEveryOrder(
      `SUITE significant_bystander: under ${strategy} and ${autoShutdown} significant siblings of a killed child shut nothing down`,
      tree('root', [leaf('child1', loud), leaf('child2', { restart: 'transient' }), leaf('child3', loud)], {
        strategy,
        autoShutdown,
        intensity: 5,
      }),
      async (opened) => {
        await opened.ends('root/child2#1', 'kill');
        expect(opened.lives).toHaveLength(4);
      },
    );
  }
}

// SUITE significant_simple: the newest releases refuse automatic shutdown under a dynamic supervisor; those since OTP 24 took it, and so do we.
for (const [autoShutdown, over] of [
  ['any_significant', 1],
  ['all_significant', 2],
] as const) {
  inEveryOrder(
    `SRC do_auto_shutdown: under ${autoShutdown} a dynamic supervisor shuts down after ${over === 1 ? 'any' : 'the last'} significant instance has ended`,
    tree('root', [leaf('*', significant)], { ...dynamic, autoShutdown }),
    async (opened) => {
      await opened.starts(leaf('*'));
      await opened.starts(leaf('*'));
      await opened.ends('root/*#1', 'normal');
      if (over === 2) await opened.ends('root/*#2', 'crash');
      expectOver(opened);
    },
  );
}

const minding = (autoShutdown: TreePlan['autoShutdown'], restart: 'transient' | 'temporary', rest: Partial<TreePlan> = {}) =>
  tree('root', [leaf('a'), leaf('s', { restart, significant: true }), leaf('b')], { autoShutdown, ...often, ...rest });

for (const how of ['normal', 'shutdown'] as const) {
  inEveryOrder(
    `OTP-70: when a transient significant child ends with ${how}, any_significant stops the others in reverse order and ends with shutdown`,
    minding('any_significant', 'transient'),
    async (opened) => {
      await opened.ends('root/s#1', how);
      expect(opened.news()).toEqual([
        `root/s#1 ends: ${how}`,
        'root/b#1 ends: shutdown',
        'root/a#1 ends: shutdown',
        'root#1 ends: shutdown',
      ]);
      expectOver(opened);
    },
  );
}

inEveryOrder(
  'OTP-71: when a transient significant child crashes it is restarted, and nothing is shut down',
  minding('any_significant', 'transient'),
  async (opened) => {
    await opened.ends('root/s#1', 'crash');
    expect(opened.lives).toEqual(['root#1', 'root/a#1', 'root/b#1', 'root/s#2']);
  },
);

inEveryOrder(
  'OTP-72: when a temporary significant child crashes, any_significant shuts the supervisor down',
  minding('any_significant', 'temporary'),
  async (opened) => {
    await opened.ends('root/s#1', 'crash');
    expectOver(opened);
  },
);

inEveryOrder(
  'OTP-76: a significant bystander that is stopped for its sibling does not shut the supervisor down',
  tree('root', [leaf('s', { restart: 'temporary', significant: true }), leaf('p')], {
    strategy: 'one_for_all',
    autoShutdown: 'any_significant',
    ...often,
  }),
  async (opened) => {
    await opened.ends('root/p#1', 'crash');
    expect(opened.lives).toEqual(['root#1', 'root/p#2']);
  },
);
