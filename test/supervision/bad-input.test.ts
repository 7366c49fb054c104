/** Bad input, and children that misbehave: nothing hangs, and nobody else suffers. */
import { expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import type { Supervisor } from '../../supervisors/create-supervisor.ts';
import type { ChildSpec, SupervisorSpec } from '../../supervisors/spec.ts';
import { Case, expectOver, inEveryOrder } from './cases.ts';
import { leaf, tree } from './plan.ts';
import { Stage } from './stage.ts';

const idle = createMachine({});
const often = { intensity: 2, periodMs: 3_600_000 } as const;

async function refusalOf(spec: unknown): Promise<string> {
  const stage = new Stage();
  const starting = createSupervisor(spec as SupervisorSpec, { host: stage.host, clock: stage.clock });
  const refused = await stage.finish(
    starting.then(
      () => new Error('it started'),
      (error: unknown) => error as Error,
    ),
    0,
  );
  expect(stage.host.actorCount).toBe(0);
  return refused.message;
}

const inWords = (fields: object): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name} ${typeof value === 'object' || typeof value === 'string' ? JSON.stringify(value) : String(value)}`)
    .join(' and ');

/** A wrong field, the name that the refusal must say, and a word of what is allowed. */
const wrongSpecs: readonly (readonly [fields: object, name: RegExp, allowed: RegExp])[] = [
  [{ strategy: 'none_for_one' }, /strategy/, /one_for_one.*one_for_all.*rest_for_one.*dynamic/],
  [{ intensity: -1 }, /intensity/, /0|integer|whole/],
  [{ intensity: 1.5 }, /intensity/, /int|whole/],
  [{ intensity: Infinity }, /intensity/, /int|whole|finite/],
  [{ intensity: '3' }, /intensity/, /int|number|whole/],
  [{ periodMs: 0 }, /periodMs/, /0|positive/],
  [{ periodMs: Number.NaN }, /periodMs/, /at least 1/],
  [{ autoShutdown: 'all' }, /autoShutdown/, /never.*any_significant.*all_significant/],
  [{ backoff: { baseMs: -1 } }, /baseMs/, /0/],
  [{ backoff: { base: 1 } }, /base/, /./],
  [{ healthyMs: -1 }, /healthyMs/, /0|positive/],
  [{ exhausted: 'suspend' }, /exhausted/, /shutdown/],
  [{ exhausted: { suspendAboveShare: 2 } }, /suspendAboveShare/, /1/],
  [{ children: undefined }, /children/, /./],
  [{ children: {} }, /children/, /list/],
];

for (const [fields, name, allowed] of wrongSpecs) {
  test(`a supervisor with ${inWords(fields)} is refused, naming ${name.source} and what is allowed`, async () => {
    const message = await refusalOf({ children: [], ...fields });
    expect(message).toMatch(name);
    expect(message).toMatch(allowed);
  });
}

const wrongChildren: readonly (readonly [fields: object, name: RegExp, allowed: RegExp])[] = [
  [{ id: '' }, /id/, /./],
  [{ id: 'a/b' }, /id/, /\//],
  [{ id: 7 }, /id/, /text/],
  [{ logic: undefined }, /logic/, /start.*supervisor/],
  [{ start: () => 'ignore' }, /logic|start/, /one of|exactly/],
  [{ logic: 'machine' }, /logic/, /./],
  [{ logic: undefined, start: 'go' }, /start/, /function/],
  [{ logic: undefined, supervisor: { strategy: 'none', children: [] } }, /supervisor.*strategy/, /one_for_one/],
  [{ restart: 'always' }, /restart/, /permanent.*transient.*temporary/],
  [{ shutdownMs: -10 }, /shutdownMs/, /0/],
  [{ shutdownMs: 'brutal_kill' }, /shutdownMs/, /number|0/],
  [{ type: 'wrker' }, /type/, /worker.*supervisor/],
  [{ significant: 'yes' }, /significant/, /boolean|true|false/],
  [{ ready: 'soon' }, /ready/, /spawned.*signalled/],
  [{ startMs: -1 }, /startMs/, /0|positive/],
  [{ onFailure: [{ outcome: 'retry' }] }, /onFailure.*outcome/, /restart.*resume.*suspend.*stop.*escalate/],
  [{ onFailure: [{ when: 'always', outcome: 'stop' }] }, /onFailure.*when/, /function/],
  [{ restrat: 'temporary' }, /restrat/, /restart/],
];

for (const [fields, name, allowed] of wrongChildren) {
  const child = { id: 'a', logic: idle, ...fields };
  test(`a child with ${inWords(fields)} is refused at first start and later, naming ${name.source} and what is allowed`, async () => {
    const message = await refusalOf({ children: [child] });
    expect(message).toMatch(name);
    expect(message).toMatch(allowed);
    const opened = await Case.open(tree('root', [leaf('b')], often));
    const answer = await opened.finish(opened.supervisor!.startChild(child as ChildSpec), 0);
    expect(answer).toMatchObject({ error: 'invalid', cause: { code: 'DROVER_SUPERVISOR_SPEC' } });
    expect((answer as { readonly cause: Error }).cause.message).toMatch(name);
    expect(opened.lives).toEqual(['root#1', 'root/b#1']);
  });
}

test('a refusal says where in a nested tree the wrong field is', async () => {
  const spec = {
    children: [
      { id: 'a', logic: idle },
      { id: 'b', supervisor: { children: [{ id: 'c', logic: idle, restart: 'sometimes' }] } },
    ],
  };
  expect(await refusalOf(spec)).toMatch(/children.*1.*supervisor.*children.*0.*restart/);
});

test('specs that are no objects are refused', async () => {
  for (const spec of [null, undefined, 7, 'one_for_one', []]) expect(await refusalOf(spec)).not.toBe('it started');
});

for (const fate of ['throws', 'breaks'] as const) {
  inEveryOrder(
    `a logic that ${fate} while starting is an answer, and its siblings do not notice`,
    tree('root', [leaf('a')], often),
    async (opened) => {
      expect(await opened.starts(leaf('b', { starts: [fate] }))).toBe('failed');
      expect(opened.lives).toEqual(['root#1', 'root/a#1']);
    },
  );
}

inEveryOrder(
  'a handler that throws while stopping is reported, and the others stop as ever',
  tree('root', [leaf('a'), leaf('b', { manners: 'breaks' }), leaf('c')], often),
  async (opened) => {
    await opened.stops();
    expect(opened.news()).toEqual(['root/c#1 ends: shutdown', 'root/b#1 ends: error', 'root/a#1 ends: shutdown', 'root#1 ends: shutdown']);
    expect(opened.reports).toEqual(['root/b#1']);
  },
);

inEveryOrder(
  'a stop that never ends is cut off at its deadline, on every level',
  tree('root', [tree('s', [leaf('a', { manners: 'deaf', shutdownMs: 100 }), leaf('b', { manners: 'deaf', shutdownMs: 100 })])], often),
  async (opened) => {
    await opened.stops(200);
    expectOver(opened);
  },
);

test('a branch with a deadline of its own is killed at it, with all who are in it', async () => {
  const opened = await Case.open(tree('root', [], often));
  const deaf = opened.child(leaf('a', { manners: 'deaf', shutdownMs: Infinity }), 'root/s/a');
  await opened.finish(opened.supervisor!.startChild({ id: 's', shutdownMs: 50, supervisor: { children: [deaf] } }), 0);
  expect(opened.lives).toContain('root/s/a#1');
  await opened.stops(50);
  expectOver(opened);
});

inEveryOrder(
  'a late exit of an old incarnation of a branch, or of a child of that, is ignored',
  tree('root', [tree('s', [leaf('a')])], often),
  async (opened) => {
    for (const how of ['kill', 'shutdown'] as const) {
      const life = opened.lives.find((name) => name.startsWith('root/s#'))!;
      const old = [opened.living.get(life)!, opened.living.get(opened.lives.find((name) => name.startsWith('root/s/a#'))!)!];
      await opened.ends(life, how);
      opened.news();
      for (const { actor, incarnation } of old) {
        const late = { type: 'exited', id: actor, incarnation, started: true, reason: { at: 'killed' } };
        for (const to of ['root', 'root/s']) opened.host.send(to, late, 'control', actor);
      }
      await opened.wait(0);
      expect(opened.news()).toEqual([]);
    }
  },
);

test('a supervisor that is asked by its own child during its start answers at once, or when it can, and nothing hangs', async () => {
  const stage = new Stage();
  const answers: string[] = [];
  let handle: Supervisor | undefined;
  const nosy: ChildSpec = {
    id: 'nosy',
    start: ({ life }) => {
      if (life > 1) return { logic: idle };
      const asks = {
        which: () => handle!.whichChildren(),
        count: () => handle!.countChildren(),
        terminate: () => handle!.terminateChild('nosy'),
        restart: () => handle!.restartChild('nosy'),
        start: () => handle!.startChild({ id: 'other', logic: idle }),
      };
      for (const [name, ask] of Object.entries(asks)) {
        void ask().then(
          () => answers.push(name),
          () => answers.push(`${name} rejected`),
        );
      }
      return { logic: idle };
    },
  };
  handle = await stage.finish(createSupervisor({ ...often, children: [] }, { host: stage.host, clock: stage.clock }), 0);
  await stage.finish(handle.startChild(nosy), 0);
  await stage.wait(10_000);
  expect(answers.toSorted()).toEqual(['count', 'restart', 'start', 'terminate', 'which']);
  expect(await stage.finish(handle.stop(), 10_000)).toEqual({ at: 'shutdown' });
});

test('an observer that throws does not hurt the tree', async () => {
  const stage = new Stage();
  const onFact = (): never => {
    throw new Error('observer');
  };
  const starting = createSupervisor({ children: [{ id: 'a', logic: idle }] }, { host: stage.host, clock: stage.clock, onFact });
  const handle = await stage.finish(starting, 0);
  stage.host.stop('root/a', 0);
  await stage.wait(0);
  expect(await stage.finish(handle.countChildren(), 0)).toMatchObject({ active: 1 });
  expect(await stage.finish(handle.stop(), 0)).toEqual({ at: 'shutdown' });
});
