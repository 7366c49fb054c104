import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent, defineFleet } from 'drover';
import { nextTurn, planSchedule } from '../../src/topology/schedule.ts';
import type { ScheduleSpec } from '../../src/topology/schedule.ts';

const digest = agent({ input: z.object({ of: z.string() }).optional(), run: async () => 'done' });
const agents = { digest };

const at = (iso: string): number => new Date(iso).getTime();

/** The next turns after a moment. */
function turns(spec: Omit<ScheduleSpec, 'kind'>, after: string, count: number, originMs = 0): string[] {
  const plan = planSchedule('x', { kind: 'digest', ...spec }, agents);
  const found: string[] = [];
  for (let ms = at(after); found.length < count;) {
    ms = nextTurn(plan, ms, originMs);
    found.push(new Date(ms).toISOString());
  }
  return found;
}

describe('the turns of a schedule', () => {
  test('come strictly after the moment that is asked for, to the millisecond', () => {
    expect(turns({ cron: '0 0 * * *' }, '2026-01-01T00:00:00.000Z', 1)).toEqual(['2026-01-02T00:00:00.000Z']);
    expect(turns({ cron: '0 0 * * *' }, '2025-12-31T23:59:59.999Z', 1)).toEqual(['2026-01-01T00:00:00.000Z']);
    expect(turns({ cron: '*/10 * * * * *' }, '2026-01-01T00:00:09.999Z', 2)).toEqual([
      '2026-01-01T00:00:10.000Z',
      '2026-01-01T00:00:20.000Z',
    ]);
  });

  test('of everyMs are counted from when the schedule was made, before that moment too', () => {
    const originMs = at('2026-01-01T00:00:00.500Z');
    expect(turns({ everyMs: 60_000 }, '2026-01-01T00:00:00.500Z', 2, originMs)).toEqual([
      '2026-01-01T00:01:00.500Z',
      '2026-01-01T00:02:00.500Z',
    ]);
    expect(turns({ everyMs: 60_000 }, '2025-12-31T23:58:30.000Z', 1, originMs)).toEqual(['2025-12-31T23:59:00.500Z']);
  });

  test('of a leap day come every four years', () => {
    expect(turns({ cron: '0 0 29 2 *' }, '2026-01-01T00:00:00Z', 2)).toEqual(['2028-02-29T00:00:00.000Z', '2032-02-29T00:00:00.000Z']);
    expect(turns({ cron: '0 0 29 2 *' }, '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T00:00:00.000Z']);
  });

  test('at an hour that the clocks leave out come an hour later that day, and at one that comes twice come once', () => {
    const cron = { cron: '30 2 * * *', timezone: 'Europe/Zurich' };
    expect(turns(cron, '2026-03-28T12:00:00Z', 2)).toEqual(['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z']);
    expect(turns(cron, '2026-10-24T12:00:00Z', 2)).toEqual(['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z']);
  });

  test('of every hour go on through both changes of the clocks without a gap or a double', () => {
    const hourly = { cron: '0 * * * *', timezone: 'Europe/Zurich' };
    for (const day of ['2026-03-28T22:00:00.000Z', '2026-10-24T22:00:00.000Z']) {
      const expected = Array.from({ length: 6 }, (_, hour) => new Date(at(day) + (hour + 1) * 3_600_000).toISOString());
      expect(turns(hourly, day, 6)).toEqual(expected);
    }
  });

  test('of a time zone keep to its midnight when its offset changes', () => {
    const daily = { cron: '@daily', timezone: 'America/New_York' };
    expect(turns(daily, '2026-03-07T00:00:00Z', 3)).toEqual([
      '2026-03-07T05:00:00.000Z',
      '2026-03-08T05:00:00.000Z',
      '2026-03-09T04:00:00.000Z',
    ]);
  });
});

describe('a topology with schedules', () => {
  const define = (spec: object) => defineFleet({ name: 'demo', agents, schedules: { nightly: spec as ScheduleSpec<'digest', never> } });

  test('has each complete', () => {
    const { schedules } = define({ kind: 'digest', cron: '0 3 * * *' });
    expect(schedules).toEqual({
      nightly: {
        kind: 'digest',
        input: undefined,
        cron: '0 3 * * *',
        timezone: 'UTC',
        everyMs: null,
        spreadMs: 0,
        missed: 'once',
        overlap: 'skip',
        priority: 0,
      },
    });
  });

  test.each([
    [{ kind: 'digest' }, [], 'exactly one of `cron` and `everyMs`'],
    [{ kind: 'digest', cron: '* * * * *', everyMs: 5_000 }, [], 'exactly one of `cron` and `everyMs`'],
    [{ kind: 'digest', cron: '61 * * * *' }, ['cron'], 'a cron expression: CronPattern: Invalid value for minute: 61'],
    [{ kind: 'digest', cron: '0 0 30 2 *' }, ['cron'], 'a cron expression whose time comes at all'],
    [{ kind: 'digest', cron: '* * * * *', timezone: 'Mars/Base' }, ['timezone'], 'a time zone, such as Europe/Zurich'],
    [{ kind: 'digest', everyMs: 5_000, timezone: 'Mars/Base' }, ['timezone'], 'a time zone, such as Europe/Zurich'],
    [{ kind: 'digest', cron: '2020-01-01T00:00:00' }, ['cron'], expect.stringContaining('submit a task with notBefore')],
    [{ kind: 'digest', cron: '2099-01-01 00:00:00' }, ['cron'], expect.stringContaining('submit a task with notBefore')],
    [{ kind: 'digest', everyMs: 999 }, ['everyMs'], 'milliseconds, at least 1,000'],
    [{ kind: 'digest', everyMs: 5_000, missed: 'all' }, ['missed'], "'once' or 'skip'"],
    [{ kind: 'nobody', everyMs: 5_000 }, ['kind'], 'the name of a kind: digest'],
    [{ kind: 'digest', everyMs: 5_000, input: { of: 7 } }, ['input'], expect.stringContaining('an input of digest: ')],
    [{ kind: 'digest', everyMs: 5_000, retry: 1 }, ['retry'], expect.stringContaining('no such field')],
  ])('refuses %o', (spec, path, expected) => {
    expect(() => define(spec)).toThrow(
      expect.objectContaining({
        code: 'DROVER_TOPOLOGY',
        detail: expect.objectContaining({ path: ['schedules', 'nightly', ...path], expected }),
      }),
    );
  });

  test('refuses a schedule whose name cannot be part of an id', () => {
    expect(() => defineFleet({ name: 'demo', agents, schedules: { 'a b': { kind: 'digest', everyMs: 5_000 } } })).toThrow(/schedules/);
  });
});
