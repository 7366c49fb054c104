/** A fleet that its store has stopped: who hears of it, and what it says to whoever asks afterwards. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { agent } from 'drover';
import type { Fleet } from 'drover';
import { StoreDamagedError } from '../../actors/ports/store-errors.ts';
import { SqlitePlace } from '../stores/conformance/sqlite-place.ts';
import { Testbed } from './harness.ts';

const CHILD = fileURLToPath(new URL('./stopped-child.ts', import.meta.url));
const damaged = new StoreDamagedError('tasks.db', 'somebody has overwritten it');
const echo = agent({ run: async (input: string) => input });

/** A fleet whose store fails for good at its next sweep. */
async function stopped(bed: Testbed): Promise<Fleet<{ echo: typeof echo }>> {
  const fleet = await bed.start({ agents: { echo } });
  await bed.drive(fleet.submit('echo', 'x', { id: 'x' }));
  bed.faults.fault = (command) => (command === 'sweep' ? damaged : undefined);
  await bed.advance(2_000);
  bed.faults.fault = undefined;
  return fleet;
}

type Look = (fleet: Fleet<{ echo: typeof echo }>) => Promise<unknown>;
const LOOKS: Record<string, Look> = {
  task: (fleet) => fleet.task('x'),
  tasks: (fleet) => fleet.tasks({ limit: 1 }),
  counts: (fleet) => fleet.counts(),
  story: (fleet) => fleet.story('x'),
  approvals: (fleet) => fleet.approvals(),
  schedules: (fleet) => fleet.schedules(),
  pausedKinds: (fleet) => fleet.pausedKinds(),
  unknownKinds: (fleet) => fleet.unknownKinds(),
  'state.get': (fleet) => fleet.state.get('a'),
  'state.list': (fleet) => fleet.state.list(),
  'state.set': (fleet) => fleet.state.set('a', 1, null),
  submit: (fleet) => fleet.submit('echo', 'late'),
  cancel: (fleet) => fleet.cancel('x'),
};

describe('a fleet that its store has stopped', () => {
  test.each(Object.keys(LOOKS))('gives the cause to whoever calls %s afterwards', async (name) => {
    await using bed = new Testbed();
    const fleet = await stopped(bed);
    expect(await bed.rejection(LOOKS[name]!(fleet))).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: damaged });
    await bed.close(fleet);
    expect(await bed.rejection(LOOKS[name]!(fleet))).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: damaged });
  });

  test('says so to whoever comes too late for the event', async () => {
    await using bed = new Testbed();
    const fleet = await stopped(bed);
    expect(fleet.failure).toMatchObject({ code: 'DROVER_FLEET_CLOSED', cause: damaged });
    expect(fleet.failure?.message).not.toContain('accepted tasks stay in its store');
    await expect(fleet.ended).rejects.toBe(fleet.failure);
  });

  test('and one that is closed in order has no failure, and its end is told too', async () => {
    await using bed = new Testbed();
    const fleet = await bed.start({ agents: { echo } });
    const ended = fleet.ended;
    await bed.close(fleet);
    await ended;
    expect(fleet.failure).toBeUndefined();
  });

  test('before whoever starts it has got it: starting rejects with the cause', async () => {
    await using bed = new Testbed();
    bed.faults.fault = (command) => (command === 'claim' ? damaged : undefined);
    bed.faults.delays = (command) => (command === 'putSchedules' ? [5_000, 0] : [0, 0]);
    const schedules = { often: { kind: 'echo' as const, input: 'x', everyMs: 1_000 } };
    await expect(bed.start({ agents: { echo }, schedules })).rejects.toBe(damaged);
  });
});

describe('a process whose fleet was stopped by its store', { timeout: 30_000 }, () => {
  let place: SqlitePlace;
  beforeEach(() => void (place = new SqlitePlace()));
  afterEach(() => place.remove());

  async function run(how: string): Promise<{ readonly code: number; readonly said: string; readonly logged: string }> {
    const child = spawn(process.execPath, ['--conditions=drover-source', CHILD, place.path, how], { stdio: ['ignore', 'pipe', 'pipe'] });
    const [said, logged, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    return { code: code as number, said, logged };
  }

  test('where nobody listens: its exit code is 1, and the log says why', async () => {
    const { code, said, logged } = await run('nobody');
    expect(said).toBe('served\n');
    expect(code).toBe(1);
    expect(logged).toContain('DROVER_STORE_REMOVED');
    expect(logged).toContain('has been removed while it was in use');
  });

  test.each([
    ['event', 0, 'served\nevent DROVER_STORE_REMOVED\n'],
    ['ended', 7, 'served\nended DROVER_FLEET_CLOSED DROVER_STORE_REMOVED\n'],
  ])('where somebody listens (%s): its exit code is his affair', async (how, code, said) => {
    expect(await run(how)).toMatchObject({ code, said });
  });
});

test('a fleet that has been closed says so whatever it is asked', async () => {
  await using bed = new Testbed();
  const work = agent({ events: { go: z.any() }, run: async (_input: null, ctx) => ctx.waitFor('go') as Promise<unknown> });
  const fleet = await bed.start({ agents: { work } });
  await bed.drive(fleet.submit('work', null, { id: 'x' }));
  await bed.advance(100);
  const late = [fleet.drainKind('work'), fleet.signal('x', 'go', 1), fleet.schedule('s', { kind: 'work', everyMs: 60_000, input: null })];
  await bed.close(fleet);
  const after = [
    fleet.counts(),
    fleet.task('x'),
    fleet.tasks(),
    fleet.story('x'),
    fleet.approvals(),
    fleet.schedules(),
    fleet.pausedKinds(),
    fleet.unknownKinds(),
    fleet.state.get('row'),
    fleet.cancel('x'),
    fleet.submit('work', null),
  ];
  const said = (asked: readonly Promise<unknown>[]) =>
    Promise.all(
      asked.map((one) =>
        one.then(
          () => 'done',
          (error: { readonly code: string }) => error.code,
        ),
      ),
    );
  expect(new Set(await bed.drive(said(after)))).toEqual(new Set(['DROVER_FLEET_CLOSED']));
  for (const code of await bed.drive(said(late))) expect(['done', 'DROVER_FLEET_CLOSED']).toContain(code);
});
