/** OTP's cases about starting, specs, and the calls of an administrator, on `createSupervisor`. */
import { expect, test } from 'vitest';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import { Case, expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import { Stage } from './stage.ts';

const HOUR_MS = 3_600_000;
const often = { intensity: 2, periodMs: HOUR_MS } as const;
const temporary = { restart: 'temporary' } as const;
const dynamic = { ...often, strategy: 'dynamic' } as const;
const fails = ['throws', 'throws', 'throws', 'throws', 'throws', 'throws', 'throws', 'throws'] as const;

/** The error of a first start that is refused. */
async function refusal(spec: unknown): Promise<{ readonly code: string; readonly message: string; readonly detail: object }> {
  const stage = new Stage();
  const starting = createSupervisor(spec as SupervisorSpec, { host: stage.host, clock: stage.clock });
  return stage.finish(
    starting.then(
      () => ({ code: 'none', message: 'it started', detail: {} }),
      (error: unknown) => error as { code: string; message: string; detail: object },
    ),
    0,
  );
}

inEveryOrder('OTP-01: an empty supervisor starts, and ends with shutdown when it is stopped', tree('root', [], often), async (opened) => {
  expect(opened.lives).toEqual(['root#1']);
  await opened.stops();
  expectOver(opened);
});

test('OTP-02: a spec function that says ignore is no error: the supervisor has ended normally, and nothing runs', async () => {
  const stage = new Stage();
  await stage.open(tree('root', [leaf('a')], { starts: ['ignore'] }));
  await stage.wait(0);
  expect(stage.refusal).toBeUndefined();
  expect(stage.end).toEqual({ at: 'normal' });
  expect(stage.host.actorCount).toBe(0);
});

inEveryOrder(
  'OTP-05: a temporary child that is ignored when it is started by hand is not kept',
  tree('root', [], often),
  async (opened) => {
    expect(await opened.starts(leaf('child1', { ...temporary, starts: ['ignore'] }))).toBe('ignored');
    expect(await opened.starts(leaf('child2', temporary))).toBe('started root/child2#1');
    expect(await opened.looks()).toBe('child2: root/child2#1, worker, temporary; 1,1,0,1');
  },
);

inEveryOrder(
  'OTP-06: an ignored instance of a permanent template is not listed',
  tree('root', [leaf('*', { starts: ['ignore'] })], dynamic),
  async (opened) => {
    expect(await opened.starts(leaf('*'))).toBe('ignored');
    expect(await opened.starts(leaf('*'))).toBe('started root/*#2');
    expect(await opened.looks()).toBe('*: root/*#2, worker, permanent; 1,1,0,1');
    await opened.stops();
    expectOver(opened);
  },
);

test('OTP-08: a spec function that throws is an error to whoever starts it, with its cause, and nothing runs', async () => {
  const stage = new Stage();
  await stage.open(tree('root', [], { starts: ['throws'] }));
  expect(stage.refusal).toMatchObject({ code: 'DROVER_START_FAILED' });
  expect((stage.refusal as Error).cause).toMatchObject({ message: 'root#1 cannot start' });
  expect(stage.host.actorCount).toBe(0);
});

test('OTP-10: what a spec leaves out has the defaults of OTP', async () => {
  const opened = await Case.open(tree('root', []));
  const deaf = (id: string): ChildSpec => {
    const {
      restart: _restart,
      shutdownMs: _shutdownMs,
      significant: _significant,
      ...rest
    } = opened.child(leaf(id, { manners: 'deaf' }), `bare/${id}`);
    return rest;
  };
  const starting = createSupervisor(
    { children: [deaf('a'), deaf('b'), { id: 's', supervisor: { children: [] } }] },
    { host: opened.host, clock: opened.clock, name: 'bare' },
  );
  const bare = await opened.finish(starting, 0);
  const children = await opened.finish(bare.whichChildren(), 0);
  expect(children.map(({ id, type, restart }) => [id, type, restart])).toEqual([
    ['a', 'worker', 'permanent'],
    ['b', 'worker', 'permanent'],
    ['s', 'supervisor', 'permanent'],
  ]);
  // One for one, intensity 1 in 5 s.
  opened.tell('bare/a#1', 'crash');
  await opened.wait(5_001);
  expect(opened.lives).toEqual(expect.arrayContaining(['bare/a#2', 'bare/b#1']));
  opened.tell('bare/a#2', 'crash');
  await opened.wait(4_000);
  expect(opened.lives).toContain('bare/a#3');
  // A worker has five seconds to stop.
  const stopping = opened.finish(bare.stop(), 4_999).catch(() => 'too early');
  expect(opened.lives).toContain('bare/b#1');
  await opened.wait(10_000);
  await stopping;
  expect(opened.lives).toEqual(['root#1']);
});

test('OTP-10: a nested supervisor has all the time it needs to stop', async () => {
  const opened = await Case.open(tree('root', [tree('s', [leaf('a', { manners: 'deaf', shutdownMs: 60_000 })])]));
  const stopping = opened.supervisor!.stop();
  await opened.wait(59_999);
  expect(opened.lives).toContain('root/s/a#1');
  await opened.wait(1);
  await opened.finish(stopping, 0);
  expectOver(opened);
});

test('OTP-11: a spec without an id, without a way to start, or that is no object, is refused naming the field', async () => {
  const start = () => 'ignore' as const;
  expect((await refusal({ children: [{ start }] })).message).toMatch(/children\[0\]\.id|children\.0\.id/);
  expect((await refusal({ children: [{ id: 'a' }] })).message).toMatch(/logic.*start.*supervisor/);
  expect((await refusal({ children: ['a'] })).message).toMatch(/children\[0\]|children\.0/);
  expect((await refusal('one_for_one')).code).toMatch(/^DROVER_/);
});

test('OTP-11: an unknown field is refused, where OTP ignores it: a typo must not change a restart type in silence', async () => {
  const start = () => 'ignore' as const;
  expect((await refusal({ children: [{ id: 'a', start, silly: true }] })).message).toContain('silly');
  expect((await refusal({ children: [], silly: true })).message).toContain('silly');
});

inEveryOrder(
  'OTP-14: a bad field of a child is refused by name with what is allowed, and the supervisor runs on',
  tree('root', [], often),
  async (opened) => {
    const start = () => 'ignore' as const;
    const bad = async (fields: object): Promise<string> => {
      const answer = await opened.finish(opened.supervisor!.startChild({ id: 'a', start, ...fields }), 0);
      expect(answer).toMatchObject({ error: 'invalid' });
      return (answer as { readonly cause: Error }).cause.message;
    };
    expect(await bad({ restart: 'prmanent' })).toMatch(/restart.*permanent.*transient.*temporary/);
    expect(await bad({ shutdownMs: -10 })).toContain('shutdownMs');
    expect(await bad({ type: 'wrker' })).toMatch(/type.*worker.*supervisor/);
    expect(await opened.looks()).toBe('0,0,0,0');
    expect(await opened.starts(leaf('none', { shutdownMs: 0 }))).toBe('started root/none#1');
    expect(await opened.starts(leaf('all', { shutdownMs: Infinity }))).toBe('started root/all#1');
  },
);

test('OTP-15: a dynamic supervisor has exactly one template', async () => {
  const child = (id: string) => ({ id, start: () => 'ignore' as const });
  expect((await refusal({ strategy: 'dynamic', children: [] })).message).toContain('children');
  expect((await refusal({ strategy: 'dynamic', children: [child('a'), child('b')] })).message).toContain('children');
});

inEveryOrder(
  'OTP-59: terminating is idempotent, keeps the spec, counts no restart, and does not know strangers',
  tree('root', [leaf('child1')], { intensity: 0 }),
  async (opened) => {
    expect(await opened.terminates('child1')).toBe('ok');
    expect(await opened.terminates('child1')).toBe('ok');
    expect(await opened.terminates('hej')).toBe('not_found');
    expect(await opened.looks()).toBe('child1: none, worker, permanent; 1,0,0,1');
  },
);

inEveryOrder('OTP-60: restarting by hand needs a child that is known and down', tree('root', [leaf('child1')], often), async (opened) => {
  expect(await opened.restarts('child1')).toBe('running');
  expect(await opened.restarts('child2')).toBe('not_found');
  await opened.terminates('child1');
  expect(await opened.restarts('child1')).toBe('started root/child1#2');
});

inEveryOrder(
  'OTP-62: instances are administered by who they are, and strangers stay alive',
  tree('root', [leaf('*')], dynamic),
  async (opened) => {
    await opened.starts(leaf('*'));
    await opened.starts(leaf('*'));
    opened.probe('stranger');
    expect(await opened.terminates('child1')).toBe('dynamic');
    expect(await opened.terminates('root/*#1')).toBe('ok');
    expect(await opened.terminates('root/*#1')).toBe('ok');
    const stranger = { actor: 'stranger', incarnation: opened.host.incarnationOf('stranger')! };
    expect(await opened.finish(opened.supervisor!.terminateChild(stranger), 0)).toEqual({ error: 'not_found' });
    expect(opened.host.isAlive('stranger')).toBe(true);
    expect(await opened.restarts('child1')).toBe('dynamic');
    expect(await opened.deletes('child1')).toBe('dynamic');
    expect(opened.lives).toEqual(['root#1', 'root/*#2']);
  },
);

const resting = { intensity: 8, periodMs: 10_000, restMs: 1_000 } as const;

inEveryOrder(
  'OTP-63: calls about a child that is being restarted are answered as such',
  tree('root', [leaf('child1', { starts: ['well', ...fails] })], resting),
  async (opened) => {
    await opened.ends('root/child1#1', 'crash');
    expect(await opened.starts(leaf('child1'))).toBe('already present');
    expect(await opened.restarts('child1')).toBe('restarting');
    expect(await opened.deletes('child1')).toBe('restarting');
    expect(await opened.looks()).toBe('child1: restarting, worker, permanent; 1,0,0,1');
  },
);

inEveryOrder(
  'SUITE hanging_restart_loop: a child that is being restarted can be terminated, and restarted by hand later',
  tree('root', [leaf('child1', { starts: ['well'] })], resting),
  async (opened) => {
    await opened.ends('root/child1#1', 'crash');
    expect(await opened.terminates('child1')).toBe('ok');
    await opened.wait(60_000);
    expect(await opened.looks()).toBe('child1: none, worker, permanent; 1,0,0,1');
    expect(await opened.restarts('child1')).toBe('started root/child1#2');
  },
);

inEveryOrder(
  'OTP-65: while a middle child of rest_for_one fails to come back, those before it live and those after it wait',
  tree('root', [leaf('child1'), leaf('child2', { starts: ['well', ...fails] }), leaf('child3')], { ...resting, strategy: 'rest_for_one' }),
  async (opened) => {
    await opened.ends('root/child2#1', 'crash', 1_100);
    expect(await opened.looks()).toBe(
      'child1: root/child1#1, worker, permanent; child2: restarting, worker, permanent; child3: none, worker, permanent; 3,1,0,3',
    );
    expect(await opened.starts(leaf('child2'))).toBe('already present');
    expect(await opened.restarts('child2')).toBe('restarting');
    expect(await opened.deletes('child2')).toBe('restarting');
    expect(await opened.terminates('child2')).toBe('ok');
    await opened.wait(60_000);
    expect(await opened.looks()).toBe(
      'child1: root/child1#1, worker, permanent; child2: none, worker, permanent; child3: none, worker, permanent; 3,1,0,3',
    );
  },
);

for (const strategy of ['one_for_one', 'one_for_all', 'rest_for_one'] as const) {
  for (const how of ['kill', 'normal', 'crash', 'terminateChild'] as const) {
    inEveryOrder(
      `OTP-68: under ${strategy} the spec of a temporary child does not linger after ${how}, that of others does`,
      tree('root', [], { strategy, ...often }),
      async (opened) => {
        const end = (id: string) => (how === 'terminateChild' ? opened.terminates(id) : opened.ends(`root/${id}#1`, how));
        for (const restart of ['permanent', 'transient', 'temporary'] as const) {
          await opened.starts(leaf(restart, { restart }));
          await end(restart);
          const isBack = restart === 'permanent' ? how !== 'terminateChild' : how === 'kill' || how === 'crash';
          const kept = isBack ? `already started root/${restart}#2` : 'already present';
          expect(await opened.starts(leaf(restart, { restart }))).toBe(restart === 'temporary' ? 'started root/temporary#2' : kept);
          await opened.terminates(restart);
          if (restart !== 'temporary') await opened.deletes(restart);
        }
      },
    );
  }
}

test('OTP-74: a significant child under a supervisor that never minds, or that is permanent, is refused', async () => {
  const child = { id: 'a', significant: true, start: () => 'ignore' as const };
  expect((await refusal({ children: [{ ...child, restart: 'transient' }] })).message).toMatch(/significant/);
  expect((await refusal({ autoShutdown: 'any_significant', children: [child] })).message).toMatch(/significant/);
});
