/** Suspension, which OTP never had: a child that is stopped and kept, for a set of reasons, until the last of them is gone. */
import { expect, test } from 'vitest';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import type { SupervisorSpec } from '../../supervisors/spec.ts';
import { Case, expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';

const often = { intensity: 2, periodMs: 3_600_000 } as const;

/** Suspends or resumes, and gives the answer. */
const suspends = (opened: Case, child: string, reason = 'health', supervisor = 'root') =>
  opened.do({ at: 'suspendChild', supervisor, child, reason });
const resumes = (opened: Case, child: string, reason = 'health', supervisor = 'root') =>
  opened.do({ at: 'resumeChild', supervisor, child, reason });

inEveryOrder(
  'a suspended child is stopped, listed with its reasons, and its siblings do not notice',
  tree('root', [leaf('a'), leaf('b')], often),
  async (opened) => {
    expect(await suspends(opened, 'a')).toBe('ok');
    expect(opened.news()).toEqual(['root/a#1 ends: shutdown']);
    expect(await opened.looks()).toBe('a: suspended, worker, permanent; b: root/b#1, worker, permanent; 2,1,0,2');
    const [listed] = await opened.finish(opened.supervisor!.whichChildren(), 0);
    expect(listed).toMatchObject({ child: 'suspended', reasons: ['health'] });
    expect(await suspends(opened, 'nobody')).toBe('not_found');
    expect(await resumes(opened, 'nobody')).toBe('not_found');
  },
);

inEveryOrder(
  'it comes back as a new incarnation when the last of its reasons is gone, and no restart is counted',
  tree('root', [leaf('a')], { intensity: 0 }),
  async (opened) => {
    await suspends(opened, 'a', 'health');
    await suspends(opened, 'a', 'operator');
    await suspends(opened, 'a', 'health');
    await resumes(opened, 'a', 'budget');
    await resumes(opened, 'a', 'health');
    expect(await opened.looks()).toContain('a: suspended');
    expect(await resumes(opened, 'a', 'operator')).toBe('ok');
    expect(await opened.looks()).toContain('a: root/a#2');
    expect(opened.facts.filter(({ at }) => at === 'restarting')).toEqual([]);
  },
);

inEveryOrder('to resume who runs changes nothing', tree('root', [leaf('a')], often), async (opened) => {
  expect(await resumes(opened, 'a')).toBe('ok');
  expect(opened.news()).toEqual([]);
});

inEveryOrder(
  'a deaf child is suspended at its deadline, which is reported',
  tree('root', [leaf('a', { manners: 'deaf', shutdownMs: 50 })], often),
  async (opened) => {
    await opened.do({ at: 'suspendChild', supervisor: 'root', child: 'a', reason: 'health' }, 50);
    expect(opened.news()).toEqual(['root/a#1 ends: killed']);
    expect(opened.reports).toEqual(['root/a#1']);
    expect(await opened.looks()).toContain('a: suspended');
  },
);

inEveryOrder(
  'a child that rests before a restart can be suspended: the restart does not happen',
  tree('root', [leaf('a')], { ...often, restMs: 100 }),
  async (opened) => {
    await opened.ends('root/a#1', 'crash');
    await suspends(opened, 'a');
    await opened.wait(10_000);
    expect(await opened.looks()).toContain('a: suspended');
    await resumes(opened, 'a');
    expect(await opened.looks()).toContain('a: root/a#2');
  },
);

for (const strategy of ['one_for_all', 'rest_for_one'] as const) {
  inEveryOrder(
    `a suspended member of a ${strategy} group stays suspended when the group is restarted`,
    tree('root', [leaf('a'), leaf('b'), leaf('c')], { strategy, ...often }),
    async (opened) => {
      await suspends(opened, 'b');
      await opened.ends('root/a#1', 'crash');
      expect(opened.lives).toEqual(['root#1', 'root/a#2', 'root/c#2']);
      await resumes(opened, 'b');
      expect(opened.lives).toEqual(['root#1', 'root/a#2', 'root/b#2', 'root/c#2']);
    },
  );
}

inEveryOrder(
  'a branch is suspended with all who are in it, and comes back with them',
  tree('root', [tree('s', [leaf('a'), leaf('b')]), leaf('c')], often),
  async (opened) => {
    await suspends(opened, 's');
    expect(opened.news()).toEqual(['root/s/b#1 ends: shutdown', 'root/s/a#1 ends: shutdown', 'root/s#1 ends: shutdown']);
    await resumes(opened, 's');
    expect(opened.news()).toEqual(['root/s#2 starts', 'root/s/a#2 starts', 'root/s/b#2 starts']);
  },
);

for (const how of ['kill', 'shutdown'] as const) {
  inEveryOrder(
    `a child stays suspended when its supervisor is restarted after a ${how}: its reasons are not the supervisor's doing`,
    tree('root', [tree('s', [leaf('a'), leaf('b')])], often),
    async (opened) => {
      await suspends(opened, 'a', 'operator', 'root/s');
      await opened.ends('root/s#1', how);
      expect(await opened.looks('root/s')).toBe('a: suspended, worker, permanent; b: root/s/b#2, worker, permanent; 2,1,0,2');
      await resumes(opened, 'a', 'operator', 'root/s');
      expect(opened.lives).toContain('root/s/a#2');
    },
  );
}

inEveryOrder(
  'a suspended child that is terminated by hand is not suspended any more, also for the next incarnation of its supervisor',
  tree('root', [tree('s', [leaf('a')])], often),
  async (opened) => {
    await suspends(opened, 'a', 'health', 'root/s');
    expect(await opened.terminates('a', 'root/s')).toBe('ok');
    expect(await opened.looks('root/s')).toContain('a: none');
    await opened.ends('root/s#1', 'kill');
    expect(await opened.looks('root/s')).toContain('a: root/s/a#2');
  },
);

inEveryOrder(
  'a suspended child that is restarted by hand is not suspended any more, also for the next incarnation of its supervisor',
  tree('root', [tree('s', [leaf('a')])], often),
  async (opened) => {
    await suspends(opened, 'a', 'health', 'root/s');
    expect(await opened.restarts('a', 'root/s')).toBe('started root/s/a#2');
    await opened.ends('root/s#1', 'kill');
    expect(await opened.looks('root/s')).toContain('a: root/s/a#3');
  },
);

inEveryOrder('a stop does not mind those who are suspended', tree('root', [leaf('a'), leaf('b')], often), async (opened) => {
  await suspends(opened, 'b');
  await opened.stops();
  expectOver(opened);
});

inEveryOrder(
  'a significant child that is suspended has not ended: nothing is shut down',
  tree('root', [leaf('a', { restart: 'transient', significant: true }), leaf('b', { restart: 'transient', significant: true })], {
    autoShutdown: 'all_significant',
    ...often,
  }),
  async (opened) => {
    await suspends(opened, 'a');
    await opened.ends('root/b#1', 'normal');
    expect(opened.end).toBeUndefined();
  },
);

inEveryOrder('a late exit of the life that was suspended is ignored', tree('root', [leaf('a')], often), async (opened) => {
  const { actor, incarnation } = opened.living.get('root/a#1')!;
  await suspends(opened, 'a');
  opened.host.send(
    'root',
    { type: 'exited', id: actor, incarnation, started: true, reason: { at: 'error', error: 1 } } as never,
    'control',
    actor,
  );
  await opened.wait(0);
  expect(await opened.looks()).toContain('a: suspended');
});

/** A supervisor that suspends who is exhausted instead of giving up. */
async function sparing(
  ids: readonly string[],
  suspendAboveShare: number,
): Promise<{ readonly opened: Case; crash(id: string): Promise<void>; states(): Promise<string> }> {
  const opened = await Case.open(tree('root', []));
  const spec: SupervisorSpec = {
    intensity: 1,
    periodMs: 5_000,
    exhausted: { suspendAboveShare },
    children: ids.map((id) => opened.child(leaf(id), `kind/${id}`)),
  };
  const handle = await opened.finish(createSupervisor(spec, { host: opened.host, clock: opened.clock, name: 'kind' }), 0);
  return {
    opened,
    crash: async (id) => {
      opened.host.send(`kind/${id}`, { type: 'crash' });
      await opened.wait(0);
    },
    states: async () => {
      if (!opened.host.isAlive('kind')) return 'gone';
      const children = await opened.finish(handle.whichChildren(), 0);
      return children
        .map(({ id, child, reasons }) => `${id} ${typeof child === 'string' ? `${child} ${reasons.join('+')}` : 'runs'}`)
        .join(', ');
    },
  };
}

test('an exhausted worker is suspended for intensity, counted by itself, and its kind goes on', async () => {
  const kind = await sparing(['a', 'b', 'c', 'd'], 0.5);
  for (const id of ['a', 'b', 'c', 'd']) await kind.crash(id);
  expect(await kind.states()).toBe('a runs, b runs, c runs, d runs');
  await kind.crash('b');
  expect(await kind.states()).toBe('a runs, b suspended intensity, c runs, d runs');
  await kind.crash('a');
  expect(await kind.states()).toBe('a suspended intensity, b suspended intensity, c runs, d runs');
});

test('a kind escalates when more than the stated share of its workers is suspended', async () => {
  const kind = await sparing(['a', 'b', 'c', 'd'], 0.5);
  for (const id of ['a', 'b', 'c', 'd', 'a', 'b']) await kind.crash(id);
  expect(await kind.states()).toContain('c runs');
  await kind.crash('c');
  expect(await kind.states()).toBe('gone');
  expect(kind.opened.lives).toEqual(['root#1']);
});
