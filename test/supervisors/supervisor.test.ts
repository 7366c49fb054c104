import { describe, expect, test } from 'vitest';
import { NOTHING } from '../../actors/kernel/decider.ts';
import { exit, send } from '../../actors/kernel/effects.ts';
import type { Exited, ExitReason, OwnEffect } from '../../actors/kernel/effects.ts';
import type { RestartType } from '../../actors/kernel/child-spec.ts';
import { planSupervisor } from '../../supervisors/spec.ts';
import type { SupervisorEffect, SupervisorMessage, SupervisorState } from '../../supervisors/state.ts';
import { decide, initial } from '../../supervisors/supervisor.ts';
import { Nursery, ROOT } from './nursery.ts';
import type { Conduct } from './nursery.ts';

const OFTEN = { intensity: 1_000, periodMs: 1_000_000 };
const ENDED_BY_SHUTDOWN: ExitReason = { at: 'shutdown' };

function family(
  conducts: Readonly<Record<string, Conduct>>,
  options: Parameters<Nursery['root']>[0] | object = {},
  seed?: number,
): Nursery {
  const nursery = new Nursery(seed);
  nursery.root({ ...options, children: Object.entries(conducts).map(([id, conduct]) => nursery.child(id, conduct)) });
  return nursery;
}

describe('starting and stopping', () => {
  test('OTP-01 an empty supervisor starts, and ends with shutdown when it is told to', () => {
    const nursery = family({}, { intensity: 2, periodMs: 3_600_000 });
    expect(nursery.host.isAlive(ROOT)).toBe(true);
    nursery.stop();
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });

  test.each([undefined, 1, 2, 3])(
    'OTP-16 children stop in reverse order of their start, never of their ids, each gone before the next is told (seed %j)',
    (seed) => {
      const nursery = family(
        { ch7: {}, ch3: { stopsInMs: 10 }, ch10: {}, ch2: { stopsInMs: 200, shutdownMs: 100 }, ch5: { stopsInMs: 10 } },
        {},
        seed,
      );
      expect(nursery.log.splice(0)).toEqual(['ch7#1 starts', 'ch3#1 starts', 'ch10#1 starts', 'ch2#1 starts', 'ch5#1 starts']);
      nursery.stop();
      nursery.run(9);
      expect(nursery.log).toEqual(['ch5#1 is told to stop']);
      nursery.run(1_000);
      expect(nursery.log).toEqual(['ch5', 'ch2', 'ch10', 'ch3', 'ch7'].map((id) => `${id}#1 is told to stop`));
      const ends = nursery.ends.map(({ id, atMs, reason }) => [id.slice(ROOT.length), [atMs, reason.at]]);
      expect(Object.fromEntries(ends)).toEqual({
        '/ch5': [10, 'shutdown'],
        '/ch2': [110, 'killed'],
        '/ch10': [110, 'shutdown'],
        '/ch3': [120, 'shutdown'],
        '/ch7': [120, 'shutdown'],
        '': [120, 'shutdown'],
      });
      expect(nursery.host.pending.timers).toBe(0);
    },
  );

  test('a child is killed at its deadline; without one it is waited for; at 0 it is not even asked', () => {
    const nursery = family({
      patient: { stopsInMs: 1e6, shutdownMs: Infinity },
      hasty: { stopsInMs: 1, shutdownMs: 0 },
      deaf: { stopsInMs: Infinity },
    });
    nursery.log.length = 0;
    nursery.stop();
    nursery.run(4_999);
    expect(nursery.alive).toEqual(['patient#1', 'hasty#1', 'deaf#1']);
    nursery.run(1);
    expect(nursery.alive).toEqual(['patient#1']);
    expect(nursery.log).toEqual(['deaf#1 is told to stop', 'patient#1 is told to stop']);
    nursery.run(1e6);
    expect(nursery.ends.map(({ reason }) => reason.at)).toEqual(['killed', 'killed', 'shutdown', 'shutdown']);
  });

  test('a second stop changes nothing', () => {
    const nursery = family({ a: { stopsInMs: 10 }, b: { stopsInMs: 10 } });
    nursery.log.length = 0;
    nursery.stop();
    nursery.run(15);
    nursery.stop();
    nursery.run(100);
    expect(nursery.log).toEqual(['b#1 is told to stop', 'a#1 is told to stop']);
  });

  test('a child starts when the one before it is ready', () => {
    const nursery = family({ a: { ready: 'signalled', readyInMs: 10 }, b: {}, c: { ready: 'signalled', readyInMs: 5 }, d: {} });
    expect(nursery.log).toEqual(['a#1 starts']);
    nursery.run(10);
    expect(nursery.log).toEqual(['a#1 starts', 'a#1 is ready', 'b#1 starts', 'c#1 starts']);
    nursery.run(5);
    expect(nursery.log.slice(4)).toEqual(['c#1 is ready', 'd#1 starts']);
    expect(nursery.host.pending.timers).toBeLessThanOrEqual(2);
  });

  test.each(['in start', 'in spawn', 'in its first turn'] as const)(
    'a child whose start fails %s undoes those before it, and the supervisor ends with the cause',
    (failure) => {
      const nursery = family({ a: {}, b: { stopsInMs: 5 }, c: { fails: () => failure }, d: {} });
      nursery.run(100);
      expect(nursery.log.filter((line) => !line.startsWith('c'))).toEqual([
        'a#1 starts',
        'b#1 starts',
        'b#1 is told to stop',
        'a#1 is told to stop',
      ]);
      expect(nursery.alive).toEqual([]);
      expect(nursery.rootEnd).toMatchObject({
        at: 'error',
        error: { code: 'DROVER_START_FAILED', retryable: true, detail: { supervisor: ROOT, child: 'c' } },
      });
      const { error } = nursery.rootEnd as Extract<ExitReason, { at: 'error' }>;
      expect((error as Error).cause).toBeInstanceOf(Error);
      if (failure !== 'in spawn')
        expect((error as Error).message).toMatch(/root: child c did not start: c#1 (cannot start|failed in its first turn)/);
    },
  );

  test('a stop that comes while a failed start is undone does not hide the failure', () => {
    const nursery = family({ a: { stopsInMs: 100 }, b: { fails: () => 'in start' } });
    nursery.run(50);
    nursery.stop();
    nursery.run(50);
    expect(nursery.log).toEqual(['a#1 starts', 'a#1 is told to stop']);
    expect(nursery.rootEnd).toMatchObject({ at: 'error', error: { code: 'DROVER_START_FAILED' } });
  });

  test('a child that is not ready in time is killed, and its start has failed', () => {
    const nursery = family({ a: {}, b: { ready: 'signalled', readyInMs: 100, startMs: 50 } });
    nursery.run(49);
    expect(nursery.rootEnd).toBeUndefined();
    nursery.run(1);
    expect(nursery.rootEnd).toMatchObject({ at: 'error', error: { detail: { child: 'b' } } });
    expect(nursery.ends[0]).toMatchObject({ id: `${ROOT}/b`, reason: { at: 'killed' } });
    expect(nursery.alive).toEqual([]);
  });

  test('a child that was ready in time is left alone afterwards', () => {
    const nursery = family({ b: { ready: 'signalled', readyInMs: 49, startMs: 50 } });
    nursery.run(1_000);
    expect(nursery.alive).toEqual(['b#1']);
  });

  test('a stop while starting stops what has started, and starts nothing more', () => {
    const nursery = family({ a: {}, b: { ready: 'signalled', readyInMs: 100 }, c: {} });
    nursery.log.length = 0;
    nursery.stop();
    nursery.run(1_000);
    expect(nursery.log).toEqual(['b#1 is told to stop', 'a#1 is told to stop']);
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });
});

describe('restarting', () => {
  /** Whether a child of this type comes back after such an end, by the OTP text. */
  const RESTARTED: Readonly<Record<RestartType, Readonly<Record<string, boolean>>>> = {
    permanent: { normal: true, shutdown: true, error: true, killed: true },
    transient: { normal: false, shutdown: false, error: true, killed: true },
    temporary: { normal: false, shutdown: false, error: false, killed: false },
  };
  const ENDS: Readonly<Record<string, (nursery: Nursery) => void>> = {
    normal: (nursery) => nursery.tell('child', 'end'),
    shutdown: (nursery) => nursery.tell('child', 'shut'),
    error: (nursery) => nursery.tell('child', 'crash'),
    killed: (nursery) => {
      nursery.host.stop(`${ROOT}/child`, 0);
      nursery.run(0);
    },
  };
  const ROWS: Readonly<Record<string, string>> = {
    'permanent/normal': 'OTP-24 ',
    'permanent/shutdown': 'OTP-27 ',
    'transient/shutdown': 'OTP-28 ',
    'temporary/normal': 'OTP-26 ',
    'temporary/error': 'OTP-31 ',
  };
  const matrix = (Object.keys(RESTARTED) as RestartType[]).flatMap((restart) =>
    Object.keys(ENDS).flatMap((end) => [undefined, 1, 2].map((seed) => [ROWS[`${restart}/${end}`] ?? '', restart, end, seed] as const)),
  );

  test.each(matrix)('%sa %s child that ends with %s is restarted or not, as its type says (seed %j)', (_row, restart, end, seed) => {
    const nursery = family({ before: {}, child: { restart }, after: {} }, OFTEN, seed);
    for (let life = 1; life <= 3; life += 1) {
      ENDS[end]!(nursery);
      const present = RESTARTED[restart][end]! ? [`before#1`, `after#1`, `child#${life + 1}`] : ['before#1', 'after#1'];
      expect(nursery.alive.toSorted()).toEqual(present.toSorted());
      expect(nursery.restarts).toBe(RESTARTED[restart][end]! ? life : 0);
      if (!RESTARTED[restart][end]!) break;
    }
    expect(nursery.ends[0]!.reason.at).toBe(end);
    expect(nursery.rootEnd).toBeUndefined();
    const { children } = (nursery.host.snapshotOf(ROOT) as { readonly state: SupervisorState }).state;
    // A temporary child is forgotten; the spec of any other stays.
    expect(children.values().some(({ policy }) => policy.id === 'child')).toBe(restart !== 'temporary');
  });

  test('OTP-36 AK-07 with intensity 0 one crash ends the supervisor, its other children first, and nothing is restarted', () => {
    const nursery = family({ a: {}, b: {}, c: {} }, { intensity: 0, periodMs: 5_000 });
    nursery.log.length = 0;
    nursery.tell('b', 'crash');
    expect(nursery.log).toEqual(['c#1 is told to stop', 'a#1 is told to stop']);
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
    expect(nursery.restarts).toBe(0);
    expect(nursery.facts.at(-3)).toMatchObject({ at: 'intensity-exceeded', child: 'b', intensity: 0, periodMs: 5_000 });
  });

  test('OTP-36 with intensity 0 an end that asks for no restart ends nothing', () => {
    const nursery = family({ a: { restart: 'transient' }, b: { restart: 'temporary' }, c: {} }, { intensity: 0, periodMs: 5_000 });
    nursery.tell('a', 'end');
    nursery.tell('b', 'crash');
    expect(nursery.alive).toEqual(['c#1']);
  });

  test('OTP-39 a restart that is exactly as old as the period still counts, one a bit older does not', () => {
    for (const [pauseMs, alive] of [
      [5_000, false],
      [5_000.5, true],
      [6_000, true],
    ] as const) {
      const nursery = family({ a: {} }, { intensity: 1, periodMs: 5_000 });
      nursery.tell('a', 'crash');
      nursery.run(pauseMs);
      nursery.tell('a', 'crash');
      expect(nursery.host.isAlive(ROOT), `after ${pauseMs} ms`).toBe(alive);
    }
  });

  test('AK-06 AK-23 two restarts are allowed, the third failure in the window ends the supervisor', () => {
    const nursery = family({ a: {} }, { intensity: 2, periodMs: 60_000 });
    nursery.tell('a', 'crash');
    expect(nursery.restarts).toBe(1);
    nursery.tell('a', 'crash');
    expect(nursery.alive).toEqual(['a#3']);
    nursery.tell('a', 'crash');
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
    expect(nursery.restarts).toBe(2);
  });

  test('AK-08 when the window has passed the count begins anew', () => {
    const nursery = family({ a: {} }, { intensity: 2, periodMs: 2_000 });
    for (const pauseMs of [0, 0, 2_100, 0]) {
      nursery.run(pauseMs);
      nursery.tell('a', 'crash');
    }
    expect(nursery.alive).toEqual(['a#5']);
    nursery.tell('a', 'crash');
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });

  test('the intensity counts all children of one supervisor together', () => {
    const nursery = family({ a: {}, b: {}, c: {} }, { intensity: 2, periodMs: 60_000 });
    for (const id of ['a', 'b', 'c']) nursery.tell(id, 'crash');
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });

  test.each(['in start', 'in spawn', 'in its first turn'] as const)(
    'a restart that fails %s is tried again and counted, whatever the type',
    (failure) => {
      const fails = (life: number) => (life === 2 || life === 3 ? failure : false);
      const nursery = family({ a: {}, b: { restart: 'transient', fails } }, { intensity: 3, periodMs: 60_000 });
      nursery.tell('b', 'crash');
      expect(nursery.alive).toEqual(['a#1', 'b#4']);
      expect(nursery.restarts).toBe(3);
      nursery.tell('a', 'crash');
      expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
    },
  );

  test('a restart that is not ready in time is a failed one', () => {
    const nursery = family(
      { a: { ready: 'signalled', readyInMs: 10, startMs: 50 }, b: { ready: 'signalled', readyInMs: 10, startMs: 50 } },
      { intensity: 2, periodMs: 60_000 },
    );
    nursery.run(20);
    nursery.tell('a', 'crash');
    nursery.host.stop(`${ROOT}/a`, 0);
    nursery.run(1_000);
    expect(nursery.alive).toEqual(['b#1', 'a#3']);
    expect(nursery.restarts).toBe(2);
  });

  test('OTP-22 a supervisor in a loop of failing restarts still serves a stop at once', () => {
    for (const baseMs of [0, 100]) {
      const nursery = new Nursery();
      const child = nursery.child('a', { fails: (life) => life > 1 && 'in start' });
      nursery.root({ children: [child], intensity: 1e9, periodMs: 10_000, backoff: { baseMs, capMs: 1_000 } });
      nursery.host.send(`${ROOT}/a`, { type: 'crash' });
      for (let turns = 0; turns < 100 && nursery.restarts < 3; turns += 1) {
        if (!nursery.host.step()) nursery.clock.advanceTo(nursery.clock.nextDueMs!);
      }
      nursery.host.stop(ROOT, Infinity);
      nursery.run(0);
      expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
      const restarts = nursery.restarts;
      nursery.run(60_000);
      expect(nursery.restarts).toBe(restarts);
      expect(nursery.host.pending).toMatchObject({ messages: 0, timers: 0 });
    }
  });

  test('OTP-47 a supervisor that gave up is restarted by its parent when it is permanent, and not when it is transient', () => {
    for (const restart of ['permanent', 'transient'] as const) {
      const nursery = new Nursery();
      const inner = nursery.nested(
        's',
        { children: [nursery.child('a'), nursery.child('b')], intensity: 1, periodMs: 60_000 },
        { restart },
      );
      nursery.root({ children: [inner, nursery.child('c')], intensity: 1, periodMs: 60_000 });
      expect(nursery.alive).toEqual(['s#1', 's/a#1', 's/b#1', 'c#1']);
      nursery.tell('s/a', 'crash');
      nursery.tell('s/a', 'crash');
      expect(nursery.ends.find(({ id }) => id === `${ROOT}/s`)!.reason).toEqual(ENDED_BY_SHUTDOWN);
      // Lives go on where the former incarnation left them: `s/a` had two.
      expect(nursery.alive).toEqual(restart === 'permanent' ? ['c#1', 's#2', 's/a#3', 's/b#2'] : ['c#1']);
      const charged = nursery.facts.filter(({ at, supervisor }) => at === 'restarting' && supervisor === ROOT);
      expect(charged).toHaveLength(restart === 'permanent' ? 1 : 0);
      // One restart was charged to the parent, so the next failure is one too many.
      nursery.tell('c', 'crash');
      expect(nursery.host.isAlive(ROOT)).toBe(restart === 'transient');
    }
  });

  test('OTP-77 the late exit of an incarnation that has been replaced is ignored', () => {
    const nursery = family({ a: {} }, { intensity: 1, periodMs: 60_000 });
    nursery.tell('a', 'crash');
    const late: Exited = { type: 'exited', id: `${ROOT}/a`, incarnation: 1, started: true, reason: { at: 'error', error: 'late' } };
    nursery.host.send(ROOT, late, 'control');
    nursery.run(0);
    expect(nursery.alive).toEqual(['a#2']);
    expect(nursery.restarts).toBe(1);
  });

  test('AK-26 the next incarnation begins only after the former has really ended', () => {
    const nursery = family({ a: { stopsInMs: 500 } }, OFTEN);
    nursery.host.stop(`${ROOT}/a`, 1_000);
    nursery.run(499);
    expect(nursery.alive).toEqual(['a#1']);
    expect(nursery.restarts).toBe(0);
    nursery.run(1);
    expect(nursery.alive).toEqual(['a#2']);
    expect(nursery.restarts).toBe(1);
  });

  test('a restart rests half of a doubling delay and at most all of it, up to the cap; a healthy period begins anew', () => {
    const delays: number[][] = [[], [], [], [], [], []];
    for (let seed = 0; seed < 40; seed += 1) {
      const nursery = family({ a: {} }, { intensity: 100, periodMs: 10_000, backoff: { baseMs: 100, capMs: 500 } }, seed);
      const restartedAfterMs = (): number => {
        const fromMs = nursery.clock.nowMs();
        nursery.tell('a', 'crash');
        while (nursery.alive.length === 0) {
          nursery.clock.advanceTo(nursery.clock.nextDueMs!);
          nursery.run(0);
        }
        return nursery.clock.nowMs() - fromMs;
      };
      for (let at = 0; at < 5; at += 1) delays[at]!.push(restartedAfterMs());
      nursery.run(10_000);
      delays[5]!.push(restartedAfterMs());
    }
    for (const [at, mostMs] of [100, 200, 400, 500, 500, 100].entries()) {
      expect(Math.min(...delays[at]!), `delay ${at + 1}`).toBeGreaterThanOrEqual(mostMs / 2);
      expect(Math.max(...delays[at]!), `delay ${at + 1}`).toBeLessThanOrEqual(mostMs);
      expect(Math.max(...delays[at]!) - Math.min(...delays[at]!), `delay ${at + 1}`).toBeGreaterThan(mostMs / 4);
    }
  });

  test('without backoff the two thousandth restart in a row comes as soon as the first', () => {
    const nursery = family({ a: {} }, { intensity: 1e9, periodMs: 1e9 });
    for (let at = 0; at < 2_000; at += 1) nursery.tell('a', 'crash');
    expect(nursery.alive).toEqual(['a#2001']);
    expect(nursery.clock.nowMs()).toBe(0);
  });

  test('a child that rests when a stop is asked for is not restarted while the others stop', () => {
    const nursery = family({ a: {}, b: { stopsInMs: 1_000 } }, { ...OFTEN, backoff: { baseMs: 100, capMs: 100 } });
    nursery.tell('a', 'crash');
    nursery.stop();
    nursery.run(999);
    expect(nursery.alive).toEqual(['b#1']);
    nursery.run(1);
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });

  test('a child that crashes after a stop has been asked for is not restarted', () => {
    const nursery = family({ a: { stopsInMs: 100 }, b: { stopsInMs: 100 } }, OFTEN);
    nursery.stop();
    nursery.tell('a', 'crash');
    nursery.tell('b', 'crash');
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
    expect(nursery.restarts).toBe(0);
  });
});

describe('starting beside crashes', () => {
  test('a sibling that is restarted meanwhile does not let the next one start too early', () => {
    const nursery = family({ a: {}, b: { ready: 'signalled', readyInMs: 100 }, c: {} }, OFTEN);
    nursery.run(10);
    nursery.tell('a', 'crash');
    expect(nursery.alive).toEqual(['b#1', 'a#2']);
    nursery.run(90);
    expect(nursery.log.slice(-2)).toEqual(['b#1 is ready', 'c#1 starts']);
  });

  test('a sibling whose restart fails meanwhile costs a restart, and not the start of all', () => {
    const nursery = family({ a: { fails: (life) => life === 2 && 'in start' }, b: { ready: 'signalled', readyInMs: 100 }, c: {} }, OFTEN);
    nursery.run(10);
    nursery.tell('a', 'crash');
    expect(nursery.alive).toEqual(['b#1', 'a#3']);
    nursery.run(90);
    expect(nursery.alive).toEqual(['b#1', 'a#3', 'c#1']);
    expect(nursery.restarts).toBe(2);
  });

  const SOON: Readonly<Record<string, (life: number) => readonly OwnEffect[]>> = {
    'in its very first turn': (life) => (life === 1 ? [exit({ at: 'normal' })] : NOTHING),
    'before its supervisor has heard of it': (life) => (life === 1 ? [send(`${ROOT}/b`, { type: 'end' })] : NOTHING),
  };
  const soon = Object.keys(SOON).flatMap((when) =>
    (['permanent', 'transient', 'temporary'] as const).map((restart) => [restart, when] as const),
  );

  test.each(soon)('a %s child that is done %s has started, and the next one starts', (restart, when) => {
    for (const seed of [undefined, ...Array.from({ length: 30 }, (_, at) => at)]) {
      const nursery = family({ a: {}, b: { restart, first: SOON[when]! }, c: {} }, OFTEN, seed);
      expect(nursery.rootEnd).toBeUndefined();
      expect(nursery.alive.toSorted()).toEqual(restart === 'permanent' ? ['a#1', 'b#2', 'c#1'] : ['a#1', 'c#1']);
      expect(nursery.restarts).toBe(restart === 'permanent' ? 1 : 0);
    }
  });

  test.each(soon)('a restarted transient child that is done at once stays down: %s, %s', (_restart, when) => {
    for (const seed of [undefined, ...Array.from({ length: 30 }, (_, at) => at)]) {
      const nursery = family({ a: {}, b: { restart: 'transient', first: (life) => SOON[when]!(life - 1) } }, OFTEN, seed);
      nursery.tell('b', 'crash');
      expect(nursery.alive).toEqual(['a#1']);
      expect(nursery.restarts).toBe(1);
    }
  });

  test('a signalled child that crashes right after it was ready has started', () => {
    for (const seed of [undefined, ...Array.from({ length: 30 }, (_, at) => at)]) {
      const nursery = new Nursery(seed);
      const spec = nursery.child('a', {
        ready: 'signalled',
        first: (life) => (life === 1 ? [send(`${ROOT}/a`, { type: 'ready' }), send(`${ROOT}/a`, { type: 'crash' })] : NOTHING),
        readyInMs: 5,
      });
      nursery.root({ ...OFTEN, children: [spec, nursery.child('b')] });
      nursery.run(10);
      expect(nursery.alive.toSorted()).toEqual(['a#2', 'b#1']);
    }
  });
});

describe('supervisors below supervisors', () => {
  test('a supervisor has started when all of its children have, and its parent goes on then', () => {
    const nursery = new Nursery();
    const heard = nursery.probe('guardian');
    const inner = nursery.nested('s', { children: [nursery.child('a', { ready: 'signalled', readyInMs: 50 }), nursery.child('b')] });
    nursery.root({ children: [inner, nursery.child('c')] }, { supervisor: 'guardian', child: 'top', life: 7 });
    nursery.run(49);
    expect(heard).toEqual([]);
    expect(nursery.log).toEqual(['s/a#1 starts']);
    nursery.run(1);
    expect(nursery.log).toEqual(['s/a#1 starts', 's/a#1 is ready', 's/b#1 starts', 'c#1 starts']);
    expect(heard).toEqual([{ type: 'child.started', child: 'top', life: 7 }]);
  });

  test('a start that fails deep down undoes the whole tree, in reverse', () => {
    const nursery = new Nursery();
    const deep = nursery.nested('t', { children: [nursery.child('b'), nursery.child('c', { fails: () => 'in start' })] });
    const inner = nursery.nested('s', { children: [nursery.child('a'), deep] });
    nursery.root({ children: [nursery.child('z'), inner] });
    expect(nursery.log).toEqual([
      'z#1 starts',
      's/a#1 starts',
      's/t/b#1 starts',
      's/t/b#1 is told to stop',
      's/a#1 is told to stop',
      'z#1 is told to stop',
    ]);
    expect(nursery.alive).toEqual([]);
    const { error } = nursery.rootEnd as Extract<ExitReason, { at: 'error' }>;
    expect((error as Error).message).toBe(
      'root: child s did not start: root/s: child t did not start: root/s/t: child c did not start: s/t/c#1 cannot start',
    );
  });

  test('stopping the root stops the leaves first, branch after branch', () => {
    const nursery = new Nursery();
    const branch = (id: string) =>
      nursery.nested(id, { children: [nursery.child('1', { stopsInMs: 10 }), nursery.child('2', { stopsInMs: 10 })] });
    nursery.root({ children: [branch('s'), nursery.child('m'), branch('t')] });
    nursery.log.length = 0;
    nursery.stop();
    nursery.run(1_000);
    expect(nursery.log).toEqual(['t/2', 't/1', 'm', 's/2', 's/1'].map((id) => `${id}#1 is told to stop`));
    expect(nursery.ends.at(-1)).toMatchObject({ id: ROOT, atMs: 40 });
    expect(nursery.host.actorCount).toBe(1);
  });

  test('a supervisor that is killed leaves no orphans, and its successor starts with new lives', () => {
    for (const seed of [undefined, ...Array.from({ length: 50 }, (_, at) => at)]) {
      const nursery = new Nursery(seed);
      const inner = nursery.nested('s', { children: [nursery.child('a'), nursery.child('b')] });
      nursery.root({ children: [inner], intensity: 1, periodMs: 60_000 });
      nursery.host.stop(`${ROOT}/s`, 0);
      nursery.run(0);
      // The late news of the killed lives, whenever it comes, costs the new ones nothing.
      expect(nursery.alive).toEqual(['s#2', 's/a#2', 's/b#2']);
      expect(nursery.restarts).toBe(1);
    }
  });

  test('a supervisor that does not stop in time is killed with all that is below it', () => {
    const nursery = new Nursery();
    const inner = nursery.nested(
      's',
      { children: [nursery.child('a'), nursery.child('b', { stopsInMs: Infinity, shutdownMs: Infinity })] },
      { shutdownMs: 100 },
    );
    nursery.root({ children: [inner] });
    nursery.stop();
    nursery.run(99);
    expect(nursery.alive).toEqual(['s#1', 's/a#1', 's/b#1']);
    nursery.run(1);
    expect(nursery.alive).toEqual([]);
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
  });
});

describe('observers and strangers', () => {
  test('every start, end and restart is noted, in order', () => {
    const nursery = family({ a: {} }, { intensity: 1, periodMs: 60_000 });
    nursery.tell('a', 'crash');
    nursery.tell('a', 'end');
    expect(nursery.facts).toMatchObject([
      { supervisor: ROOT, at: 'started', child: 'a', life: 1 },
      { at: 'ended', child: 'a', life: 1, reason: { at: 'error', error: new Error('a#1 crashed') } },
      { at: 'restarting', child: 'a', inMs: 0 },
      { at: 'started', child: 'a', life: 2 },
      { at: 'ended', child: 'a', life: 2, reason: { at: 'normal' } },
      { at: 'intensity-exceeded', child: 'a', intensity: 1, periodMs: 60_000 },
    ]);
  });

  test('an observer that throws disturbs nothing', () => {
    const nursery = new Nursery(undefined, () => {
      throw new Error('no space left for logs');
    });
    nursery.root({ ...OFTEN, children: [nursery.child('a'), nursery.child('b')] });
    nursery.tell('a', 'crash');
    expect(nursery.alive).toEqual(['b#1', 'a#2']);
    nursery.stop();
    expect(nursery.rootEnd).toEqual(ENDED_BY_SHUTDOWN);
    expect(nursery.crashes).toHaveLength(1);
  });

  test('messages that mean nothing to it change nothing', () => {
    const plan = planSupervisor({ children: ['a', 'b'].map((id) => ({ id, start: () => 'ignore' })) });
    let state: SupervisorState = initial({ self: ROOT, ...plan }, 0)[0];
    for (const child of ['a', 'b']) [state] = decide(state, { type: 'child.started', child, life: 1 }, 0);
    expect(state.phase.at).toBe('running');
    const strays = [
      { type: 'hello' },
      { type: 'child.started', child: 'a', life: 1 },
      { type: 'child.started', child: 'a', life: 2 },
      { type: 'child.started', child: 'nobody', life: 1 },
      { type: 'child.start-overdue', child: 'a', life: 1 },
      { type: 'child.restart-due', child: 'a', life: 1 },
      { type: 'exited', id: 'root/nobody', incarnation: 1, started: true, reason: { at: 'normal' } },
      { type: 'exited', id: 'root/a', incarnation: 2, started: true, reason: { at: 'normal' } },
      // Of the same length, and with a child of the same name.
      { type: 'exited', id: 'rook/a', incarnation: 1, started: true, reason: { at: 'normal' } },
      { type: 'exited', id: 'a', incarnation: 1, started: true, reason: { at: 'normal' } },
    ] as readonly SupervisorMessage[];
    for (const stray of strays) {
      const [after, effects]: readonly [SupervisorState, readonly SupervisorEffect[]] = decide(state, stray, 0);
      expect(after, `after ${stray.type}`).toBe(state);
      expect(effects, `after ${stray.type}`).toEqual([]);
    }
  });
});
