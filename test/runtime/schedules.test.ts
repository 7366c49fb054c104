import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent } from 'drover';
import type { ScheduleSpec } from 'drover';
import { StoreFailedError } from 'drover';
import { memoryStore } from '../../src/stores/memory.ts';
import { Testbed } from './harness.ts';

const MINUTE = 60_000;

/** A testbed whose time begins with a minute. */
function atMinute(): Testbed {
  const bed = new Testbed();
  bed.clock.advanceTo(Math.ceil(bed.nowMs / MINUTE) * MINUTE);
  return bed;
}

/** A kind that notes when it ran, and takes as long as it is told. */
function noting(bed: Testbed, afterMs = 0) {
  const ran: { readonly id: string; readonly atMs: number }[] = [];
  const slow = bed.service({}, () => ({ afterMs }));
  const digest = agent({
    uses: { slow: slow.dependency },
    replicas: 4,
    runTimeoutMs: 10 * MINUTE,
    run: async (_: unknown, ctx) => {
      ran.push({ id: ctx.task.id, atMs: bed.nowMs });
      if (afterMs > 0) await ctx.call('slow', null);
    },
  });
  return { ran, digest };
}

const every = (more: Partial<ScheduleSpec<'digest'>> = {}): ScheduleSpec<'digest'> => ({ kind: 'digest', cron: '* * * * *', ...more });

/** The minutes that ids name. */
const turns = (ran: readonly { readonly id: string }[]): string[] => ran.map(({ id }) => id.replace('schedule:nightly@', ''));

describe('a schedule of the topology', () => {
  test('makes one task a turn, whose id says which', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const fleet = await bed.start({ agents: { digest }, schedules: { nightly: every() } });
    const fired = bed.record(fleet, 'schedule.fired', 'task.submitted');
    const beganMs = bed.nowMs;
    await bed.advance(5 * MINUTE);
    expect(turns(ran)).toEqual([1, 2, 3, 4, 5].map((n) => new Date(Math.floor(beganMs / MINUTE + n) * MINUTE).toISOString()));
    for (const { id, atMs } of ran) expect(atMs - new Date(id.slice(17)).getTime()).toBeLessThan(1_000);
    expect(fired.filter(({ name }) => name === 'schedule.fired')).toHaveLength(5);
    expect(fired[0]).toMatchObject({ schedule: 'nightly', kind: 'digest', task: ran[0]!.id, why: null });
    expect(fleet.stats.submitted).toBe(5);
    const [look] = await bed.drive(fleet.schedules());
    expect(look).toMatchObject({ name: 'nightly', by: 'topology', kind: 'digest', cron: '* * * * *', lastTask: ran.at(-1)!.id });
    expect(look!.nextAtMs).toBeGreaterThan(bed.nowMs);
  });

  test('a turn whose id somebody has given to another task makes none, and says so; the next one does', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const other = agent({ run: async () => null });
    const fleet = await bed.start({ agents: { digest, other }, schedules: { nightly: every() } });
    const fired = bed.record(fleet, 'schedule.fired');
    const [one, two] = [1, 2].map((n) => `schedule:nightly@${new Date(bed.nowMs + n * MINUTE).toISOString()}`);
    await bed.drive(fleet.submit('other', undefined, { id: one! }));
    await bed.advance(2 * MINUTE + 1_000);
    expect(fired).toMatchObject([
      { task: null, why: 'taken' },
      { task: two, why: null },
    ]);
    expect(ran.map(({ id }) => id)).toEqual([two]);
  });

  test('goes on over restarts without a double', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    for (let life = 0; life < 10; life += 1) {
      await bed.start({ agents: { digest }, schedules: { nightly: every() } });
      await bed.advance(0.7 * MINUTE);
      bed.kill();
    }
    expect(new Set(turns(ran)).size).toBe(7);
  });

  test('that is changed is replaced, that is taken out is removed, and one that was made by hand is kept', async () => {
    await using bed = atMinute();
    const { digest } = noting(bed);
    const agents = { digest };
    const fleet = await bed.start({ agents, schedules: { nightly: every(), weekly: every({ cron: '0 0 * * 1' }) } });
    await bed.drive(fleet.schedule('mine', { kind: 'digest', everyMs: 5 * MINUTE }));
    await bed.advance(90_000);
    await bed.close(fleet);
    bed.fleets.length = 0;
    const next = await bed.start({ agents, schedules: { nightly: every({ cron: '0 3 * * *' }) } });
    const looks = await bed.drive(next.schedules());
    expect(looks.map(({ name, by, cron, everyMs }) => ({ name, by, cron, everyMs }))).toEqual([
      { name: 'mine', by: 'operator', cron: null, everyMs: 5 * MINUTE },
      { name: 'nightly', by: 'topology', cron: '0 3 * * *', everyMs: null },
    ]);
    expect(new Date(looks[1]!.nextAtMs!).toISOString()).toMatch(/T03:00:00.000Z$/);
  });

  test('that has not changed keeps counting from when it was made', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const schedules = { nightly: { kind: 'digest', everyMs: 10 * MINUTE } } as const;
    const beganMs = bed.nowMs;
    await bed.start({ agents: { digest }, schedules });
    await bed.advance(7 * MINUTE);
    bed.kill();
    await bed.start({ agents: { digest }, schedules });
    await bed.advance(4 * MINUTE);
    expect(ran).toHaveLength(1);
    expect(ran[0]!.atMs - beganMs - 10 * MINUTE).toBeLessThan(1_000);
  });
});

describe('turns that nobody was there for', () => {
  test('are one task for all of them', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const schedules = { nightly: every() };
    await bed.start({ agents: { digest }, schedules });
    bed.kill();
    bed.clock.advanceTo(bed.nowMs + 100.5 * MINUTE);
    await bed.start({ agents: { digest }, schedules });
    await bed.advance(1_000);
    expect(ran).toHaveLength(1);
    await bed.advance(2 * MINUTE);
    expect(ran).toHaveLength(3);
  });

  test('pass with missed: skip, and the first that comes while somebody is there does not', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const schedules = { nightly: every({ missed: 'skip' }) };
    await bed.start({ agents: { digest }, schedules });
    bed.kill();
    bed.clock.advanceTo(bed.nowMs + 100.5 * MINUTE);
    const fleet = await bed.start({ agents: { digest }, schedules });
    await bed.advance(1_000);
    expect(ran).toEqual([]);
    expect(await bed.drive(fleet.schedules())).toMatchObject([{ lastTask: null, nextAtMs: Math.ceil(bed.nowMs / MINUTE) * MINUTE }]);
    await bed.advance(MINUTE);
    expect(ran).toHaveLength(1);
  });
});

describe('a turn whose predecessor has not ended', () => {
  test('passes', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed, 25_000);
    const fleet = await bed.start({ agents: { digest }, schedules: { nightly: every({ cron: '*/10 * * * * *' }) } });
    const fired = bed.record(fleet, 'schedule.fired');
    await bed.advance(65_000);
    expect(ran).toHaveLength(2);
    expect(fired.map(({ why }) => why)).toEqual([null, 'overlap', 'overlap', null, 'overlap', 'overlap']);
  });

  test('makes another task with overlap: allow', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed, 25_000);
    await bed.start({ agents: { digest }, schedules: { nightly: every({ cron: '*/10 * * * * *', overlap: 'allow' }) } });
    await bed.advance(45_000);
    expect(ran).toHaveLength(4);
  });
});

test('many schedules of one minute are spread over the time that they may take', async () => {
  await using bed = atMinute();
  const { ran, digest } = noting(bed);
  const names = Array.from({ length: 50 }, (_, n) => `s${n}`);
  await bed.start({ agents: { digest }, schedules: Object.fromEntries(names.map((name) => [name, every({ spreadMs: 30_000 })])) });
  const turnMs = bed.nowMs + MINUTE;
  await bed.advance(turnMs - bed.nowMs + 45_000);
  expect(ran).toHaveLength(50);
  const late = ran.map(({ atMs }) => atMs - turnMs).toSorted((a, b) => a - b);
  expect(late[0]!).toBeLessThan(5_000);
  expect(late.at(-1)!).toBeGreaterThan(25_000);
  for (let third = 0; third < 3; third += 1) {
    const from = third * 10_000;
    expect(late.filter((ms) => ms >= from && ms < from + 10_000).length).toBeGreaterThan(8);
  }
});

describe('a clock that was set', () => {
  test('back between two runs of the program makes no turn a second time', async () => {
    const first = atMinute();
    const one = noting(first);
    const schedules = { nightly: every() };
    await first.start({ agents: { digest: one.digest }, schedules });
    await first.advance(5.5 * MINUTE);
    expect(one.ran).toHaveLength(5);
    first.kill();
    // Another process over the same disk, whose clock begins where the first one's did.
    await using second = atMinute();
    Object.assign(second, { disk: first.disk });
    const two = noting(second);
    await second.start({ agents: { digest: two.digest }, schedules });
    await second.advance(8.5 * MINUTE);
    expect(turns([...one.ran, ...two.ran])).toHaveLength(new Set(turns([...one.ran, ...two.ran])).size);
    expect(two.ran).toHaveLength(3);
  });

  test('back by a year does not put schedules to sleep for a year', async () => {
    const first = atMinute();
    const one = noting(first);
    const schedules = { nightly: every({ cron: '0 * * * *' }) };
    first.clock.advanceTo(first.nowMs + 365 * 24 * 60 * MINUTE);
    await first.start({ agents: { digest: one.digest }, schedules });
    await first.advance(90 * MINUTE);
    expect(one.ran.length).toBeGreaterThan(0);
    first.kill();
    await using second = atMinute();
    Object.assign(second, { disk: first.disk });
    const two = noting(second);
    await second.start({ agents: { digest: two.digest }, schedules });
    await second.advance(61 * MINUTE);
    expect(two.ran).toHaveLength(1);
  });

  test('ahead by a day is one turn, not a day of them', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    await bed.start({ agents: { digest }, schedules: { nightly: every() } });
    bed.clock.stall(24 * 60 * MINUTE);
    await bed.advance(1_000);
    expect(ran).toHaveLength(1);
  });
});

describe('a schedule that was made by hand', () => {
  test('fires, and is gone when it is removed', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const fleet = await bed.start({ agents: { digest } });
    await bed.drive(fleet.schedule('mine', { kind: 'digest', everyMs: MINUTE }));
    await bed.advance(2.5 * MINUTE);
    expect(ran).toHaveLength(2);
    await bed.drive(fleet.schedule('mine', { kind: 'digest', everyMs: MINUTE }));
    await bed.advance(0.6 * MINUTE);
    expect(ran).toHaveLength(3);
    await bed.drive(fleet.unschedule('mine'));
    await bed.advance(10 * MINUTE);
    expect(ran).toHaveLength(3);
    expect(await bed.drive(fleet.schedules())).toEqual([]);
    expect(await bed.rejection(fleet.unschedule('mine'))).toMatchObject({ code: 'DROVER_UNKNOWN_SCHEDULE' });
  });

  test("may not take the name of one of the topology's, and is checked like those", async () => {
    await using bed = atMinute();
    const { digest } = noting(bed);
    const fleet = await bed.start({ agents: { digest }, schedules: { nightly: every() } });
    const owned = { code: 'DROVER_SCHEDULE_OWNED', detail: { schedule: 'nightly' } };
    expect(await bed.rejection(fleet.schedule('nightly', { kind: 'digest', everyMs: MINUTE }))).toMatchObject(owned);
    expect(await bed.rejection(fleet.unschedule('nightly'))).toMatchObject(owned);
    expect(await bed.rejection(fleet.schedule('mine', { kind: 'digest', cron: 'soon' }))).toMatchObject({ code: 'DROVER_TOPOLOGY' });
  });

  test('whose input could be no input of a task is refused by a code, over an existing one too, and in a topology at the start', async () => {
    await using bed = atMinute();
    const { digest } = noting(bed);
    const bounds = { payloadBytes: 1_000 };
    const fleet = await bed.start({ agents: { digest }, bounds });
    await bed.drive(fleet.schedule('mine', { kind: 'digest', everyMs: MINUTE, input: 'x' }));
    const refused = (input: unknown) => bed.rejection(fleet.schedule('mine', { kind: 'digest', everyMs: MINUTE, input }));
    expect(await refused({ n: 1n })).toMatchObject({
      code: 'DROVER_PAYLOAD_NOT_JSON',
      detail: { what: 'input of schedule mine', path: 'n' },
    });
    expect(await refused('x'.repeat(2_000))).toMatchObject({ code: 'DROVER_PAYLOAD_TOO_LARGE' });
    await bed.close(fleet);
    const schedules = (input: unknown) => ({ nightly: every({ input: input as never }) });
    for (const [input, code] of [
      [{ n: 1n }, 'DROVER_PAYLOAD_NOT_JSON'],
      ['x'.repeat(2_000), 'DROVER_PAYLOAD_TOO_LARGE'],
    ] as const) {
      await expect(bed.start({ agents: { digest }, bounds, schedules: schedules(input) })).rejects.toMatchObject({ code });
    }
  });

  test.each(['{', '{}', 'null', '{"plan":{"everyMs":1,"cron":"* * * * *"},"originMs":0}'])(
    'that is none any more in the store (%s) is passed over, and the others fire',
    async (plan) => {
      await using bed = atMinute();
      const { ran, digest } = noting(bed);
      const first = await bed.start({ agents: { digest } });
      await bed.close(first);
      const store = memoryStore(bed.disk);
      await store.open({ nowMs: bed.nowMs, maxUnfinished: 10 });
      await store.putSchedules([{ name: 'senseless', plan, nextAtMs: bed.nowMs }]);
      await store.close();
      const fleet = await bed.start({ agents: { digest }, schedules: { minutely: every() } });
      await bed.advance(2.5 * MINUTE);
      expect(ran.length).toBeGreaterThan(0);
      expect((await bed.drive(fleet.schedules())).map(({ name }) => name)).toEqual(['minutely']);
    },
  );

  test('that is changed but for its times keeps its turns, also one that was missed, and its period', async () => {
    await using bed = atMinute();
    const ran: { readonly build: number; readonly atMs: number }[] = [];
    const digest = agent({ run: async (build: number) => void ran.push({ build, atMs: bed.nowMs }) });
    const at = (build: number) => ({ agents: { digest }, schedules: { minutely: { kind: 'digest', everyMs: MINUTE, input: build } } });
    const beganMs = bed.nowMs;
    for (let build = 1; build <= 4; build += 1) {
      const fleet = await bed.start(at(build) as never);
      await bed.advance(0.4 * MINUTE);
      await bed.close(fleet);
    }
    expect(ran).toMatchObject([{ build: 3, atMs: beganMs + MINUTE }]);
    await bed.advance(5 * MINUTE);
    await bed.start(at(5) as never);
    await bed.advance(1_000);
    expect(ran[1]).toMatchObject({ build: 5 });
  });

  test('whose kind or input is none any more makes no task, and the others go on', async () => {
    await using bed = atMinute();
    const { ran, digest } = noting(bed);
    const strict = agent({ input: z.string(), run: async () => 'done' });
    const stricter = agent({ input: z.string().min(5), run: async () => 'done' });
    const fleet = await bed.start({ agents: { digest, gone: strict, strict } });
    await bed.drive(fleet.schedule('gone', { kind: 'gone', everyMs: MINUTE, input: 'x' }));
    await bed.drive(fleet.schedule('strict', { kind: 'strict', everyMs: MINUTE, input: 'x' }));
    await bed.drive(fleet.schedule('nightly', { kind: 'digest', everyMs: MINUTE }));
    bed.kill();
    const next = await bed.start({ agents: { digest, strict: stricter } });
    const fired = bed.record(next, 'schedule.fired');
    await bed.advance(2.5 * MINUTE);
    expect(ran).toHaveLength(2);
    expect(fired.filter(({ why }) => why === 'invalid').map(({ schedule }) => schedule)).toEqual(['gone', 'strict', 'gone', 'strict']);
  });
});

test('a turn is fired once, whatever becomes of the command and its answer', async () => {
  await using bed = atMinute();
  const { ran, digest } = noting(bed);
  const chance = bed.random.fork('faults');
  await bed.start({ agents: { digest }, schedules: { nightly: every({ overlap: 'allow' }) } });
  bed.faults.fault = (command) =>
    ['fireSchedules', 'sweep', 'schedules', 'get'].includes(command) && chance.next() < 0.5
      ? chance.next() < 0.5
        ? 'before'
        : 'after'
      : undefined;
  bed.faults.delays = (command) => (command === 'fireSchedules' ? [chance.int(1_500), chance.int(1_500)] : [0, 0]);
  await bed.advance(40 * MINUTE);
  bed.faults.fault = undefined;
  bed.faults.delays = undefined;
  await bed.advance(10_000);
  expect(new Set(turns(ran)).size).toBe(ran.length);
  expect(ran.length).toBeGreaterThan(35);
});

test('a fleet starts when the store has taken its schedules, also at the third try', async () => {
  await using bed = atMinute();
  const { digest } = noting(bed);
  let tries = 0;
  bed.faults.fault = (command) => {
    if (command !== 'putSchedules') return undefined;
    tries += 1;
    return tries < 3 ? new StoreFailedError({ store: 'test', command }) : undefined;
  };
  const fleet = await bed.start({ agents: { digest }, schedules: { nightly: every() } });
  expect(tries).toBe(3);
  expect(await bed.drive(fleet.schedules())).toHaveLength(1);
});
