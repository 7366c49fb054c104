/** Other cases of OTP's own suite (supervisor_SUITE) about starting, stopping and administration; each is named after the case that it comes from. */
import { expect, test } from 'vitest';
import { expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import type { Fate } from './plan.ts';
import { Stage } from './stage.ts';

const HOUR_MS = 3_600_000;
const often = { intensity: 2, periodMs: HOUR_MS } as const;
const temporary = { restart: 'temporary' } as const;
const dynamic = { ...often, strategy: 'dynamic' } as const;
const after = (...later: readonly Fate[]): { readonly starts: readonly Fate[] } => ({ starts: ['well', ...later] });

inEveryOrder(
  'SUITE sup_start_ignore_child: a permanent child that is ignored is kept without a life',
  tree('root', [], often),
  async (opened) => {
    expect(await opened.starts(leaf('child1', { starts: ['ignore'] }))).toBe('ignored');
    expect(await opened.starts(leaf('child2'))).toBe('started root/child2#1');
    expect(await opened.looks()).toBe('child1: none, worker, permanent; child2: root/child2#1, worker, permanent; 2,1,0,2');
    expect(await opened.restarts('child1')).toBe('started root/child1#2');
  },
);

inEveryOrder(
  'SUITE sup_start_ignore_temporary_child: a temporary child that is ignored in the first start is forgotten',
  tree('root', [leaf('child1', { ...temporary, starts: ['ignore'] }), leaf('child2', temporary)], often),
  async (opened) => {
    expect(await opened.looks()).toBe('child2: root/child2#1, worker, temporary; 1,1,0,1');
  },
);

for (const fate of ['throws', 'breaks'] as const) {
  inEveryOrder(
    `SUITE sup_start_child_returns_error: a child that ${fate} when started by hand is answered so, and not kept`,
    tree('root', [], { intensity: 0 }),
    async (opened) => {
      expect(await opened.starts(leaf('child1', { starts: [fate] }))).toBe('failed');
      expect(await opened.looks()).toBe('0,0,0,0');
      expect(await opened.starts(leaf('child1'))).toBe('started root/child1#2');
    },
  );

  inEveryOrder(
    `SUITE sup_start_child_returns_error_simple: an instance that ${fate} is answered so, and not kept`,
    tree('root', [leaf('*', { starts: [fate] })], { ...dynamic, intensity: 0 }),
    async (opened) => {
      expect(await opened.starts(leaf('*'))).toBe('failed');
      expect(await opened.looks()).toBe('1,0,0,0');
    },
  );

  inEveryOrder(
    `SUITE sup_start_restart_child_returns_error: a child that ${fate} when restarted by hand stays down, and no restart is counted`,
    tree('root', [leaf('child1', after(fate, fate))], { intensity: 0 }),
    async (opened) => {
      await opened.terminates('child1');
      expect(await opened.restarts('child1')).toBe('failed');
      expect(await opened.looks()).toBe('child1: none, worker, permanent; 1,0,0,1');
      expect(await opened.restarts('child1')).toBe('failed');
      expect(await opened.restarts('child1')).toBe('started root/child1#4');
    },
  );

  test(`SRC init_children: a child that ${fate} in the first start undoes those before it in reverse order, and those after it never start`, async () => {
    const stage = new Stage();
    await stage.open(tree('root', [leaf('a'), leaf('b'), leaf('c', { starts: [fate] }), leaf('d')]));
    expect(stage.refusal).toMatchObject({ code: 'DROVER_START_FAILED' });
    expect(stage.seen.slice(1, -1)).toEqual([
      'root/a#1 starts',
      'root/b#1 starts',
      'root/c#1 fails',
      'root/b#1 ends: shutdown',
      'root/a#1 ends: shutdown',
    ]);
    expect(stage.living.size).toBe(0);
  });
}

inEveryOrder(
  'SUITE sup_stop_infinity: a worker may have all the time it needs',
  tree('root', [leaf('a', { manners: 'deaf', shutdownMs: Infinity })], often),
  async (opened) => {
    const stopping = opened.supervisor!.stop();
    await opened.wait(HOUR_MS);
    expect(opened.lives).toContain('root/a#1');
    opened.tell('root/a#1', 'shutdown');
    await opened.finish(stopping, 0);
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE sup_stop_timeout: who does not stop by its deadline is killed, and that is reported',
  tree('root', [leaf('child1', { shutdownMs: 1_000 }), leaf('child2', { manners: 'deaf', shutdownMs: 1_000 })], often),
  async (opened) => {
    await opened.stops(1_000);
    expect(opened.news()).toEqual(['root/child2#1 ends: killed', 'root/child1#1 ends: shutdown', 'root#1 ends: shutdown']);
    expect(opened.reports).toEqual(['root/child2#1']);
  },
);

inEveryOrder(
  'SUITE sup_stop_timeout_dynamic: instances are told at once, share one deadline, and the deaf one is killed',
  tree('root', [leaf('*', { ...temporary, manners: 'deaf', shutdownMs: 1_000 })], dynamic),
  async (opened) => {
    for (let count = 0; count < 3; count += 1) await opened.starts(leaf('*'));
    await opened.stops(1_000);
    expectOver(opened);
  },
);

inEveryOrder(
  'SUITE sup_stop_brutal_kill: a deadline of 0 kills unasked, which is no error',
  tree('root', [leaf('child1'), leaf('child2', { shutdownMs: 0 })], often),
  async (opened) => {
    await opened.stops();
    expect(opened.news()).toEqual(['root/child2#1 ends: killed', 'root/child1#1 ends: shutdown', 'root#1 ends: shutdown']);
    expect(opened.reports).toEqual([]);
  },
);

inEveryOrder(
  'SUITE sup_stop_brutal_kill_dynamic: ten instances with a deadline of 0 are killed',
  tree('root', [leaf('*', { ...temporary, shutdownMs: 0 })], dynamic),
  async (opened) => {
    for (let count = 0; count < 10; count += 1) await opened.starts(leaf('*'));
    opened.news();
    await opened.stops();
    expect(opened.news().filter((line) => line.endsWith('ends: killed'))).toHaveLength(10);
    expectOver(opened);
  },
);

const kinds = ['temporary', 'transient', 'permanent'] as const;
const hows = ['normal', 'shutdown', 'crash'] as const;

inEveryOrder(
  'SUITE sup_stop_race: children that end by themselves while the supervisor stops another do not come back and do not hold it up',
  tree(
    'root',
    [
      leaf('first', temporary),
      ...kinds.flatMap((restart) => hows.map((how) => leaf(`${restart}-${how}`, { restart }))),
      leaf('last', { manners: 'deaf', shutdownMs: 2_000 }),
    ],
    { ...often, intensity: 0 },
  ),
  async (opened) => {
    const stopping = opened.supervisor!.stop();
    await opened.wait(200);
    for (const restart of kinds) for (const how of hows) opened.tell(`root/${restart}-${how}#1`, how);
    await opened.wait(200);
    expect(opened.lives).toEqual(['root#1', 'root/first#1', 'root/last#1']);
    await opened.finish(stopping, 1_600);
    expect(opened.news().filter((line) => line.endsWith('starts'))).toEqual([]);
    expectOver(opened);
  },
);

for (const restart of kinds) {
  inEveryOrder(
    `SUITE sup_stop_non_shutdown_exit_dynamic: ${restart} instances that break while stopping do not hold the supervisor up`,
    tree('root', [leaf('*', { restart, manners: 'breaks' })], dynamic),
    async (opened) => {
      for (let count = 0; count < 3; count += 1) await opened.starts(leaf('*'));
      await opened.stops();
      expectOver(opened);
    },
  );
}

inEveryOrder(
  'SUITE child_adm: a child of a static supervisor is named by id, not by who it is',
  tree('root', [leaf('child1')], often),
  async (opened) => {
    const ref = opened.living.get('root/child1#1')!;
    expect(await opened.finish(opened.supervisor!.terminateChild(ref), 0)).toEqual({ error: 'not_found' });
    expect(opened.lives).toContain('root/child1#1');
  },
);

inEveryOrder(
  'SUITE child_adm: deleting needs a child that is known and down, and forgets it',
  tree('root', [leaf('child1')], often),
  async (opened) => {
    expect(await opened.deletes('child1')).toBe('running');
    expect(await opened.deletes('hej')).toBe('not_found');
    await opened.terminates('child1');
    expect(await opened.deletes('child1')).toBe('ok');
    expect(await opened.restarts('child1')).toBe('not_found');
    expect(await opened.looks()).toBe('0,0,0,0');
    expect(await opened.starts(leaf('child1'))).toBe('started root/child1#2');
  },
);

inEveryOrder(
  'SUITE child_adm: every call to a supervisor that is gone rejects, and none hangs',
  tree('root', [leaf('child1')], often),
  async (opened) => {
    await opened.stops();
    const handle = opened.supervisor!;
    const { ended: _ended, ...calls } = {
      ended: 0,
      start: handle.startChild(opened.child(leaf('x'), 'root/x')),
      terminate: handle.terminateChild('child1'),
      restart: handle.restartChild('child1'),
      delete: handle.deleteChild('child1'),
      which: handle.whichChildren(),
      count: handle.countChildren(),
      suspend: handle.suspendChild('child1', 'why'),
      resume: handle.resumeChild('child1', 'why'),
    };
    const answers = await opened.finish(Promise.allSettled(Object.values(calls)), 0);
    for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'DROVER_ACTOR_GONE' } });
    expect(await opened.finish(handle.stop(), 0)).toEqual({ at: 'shutdown' });
  },
);

test('SUITE check_childspecs: two children of one id are refused', async () => {
  const stage = new Stage();
  await stage.open(tree('root', [leaf('child'), leaf('child')]));
  expect((stage.refusal as Error).message).toContain('child');
});
