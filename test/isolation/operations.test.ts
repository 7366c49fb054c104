/** What an isolated run does on `ctx` beside calls: the fleet does it, functions of the run's own are called where the run is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startFleet } from 'drover';
import type { Fleet } from 'drover';
import { describe, expect, onTestFinished, test } from 'vitest';
import { folder } from '../cli/harness.ts';
import { topology } from './fixture-operations.ts';

async function start(): Promise<Fleet<typeof topology.agents>> {
  const fleet = await startFleet(topology);
  onTestFinished(() => fleet.close({ deadlineMs: 0 }));
  return fleet;
}

/** Resolves when a run of the task asks a person. */
function asked(fleet: Fleet<typeof topology.agents>, id: string): Promise<void> {
  return new Promise((resolve) => {
    fleet.events.on('approval.asked', (event) => event.id === id && resolve());
  });
}

describe.each(['thread', 'process'] as const)('in a %s', (kind) => {
  test('a run waits for times, events and people as it does inline', async () => {
    const fleet = await start();
    for (const of of ['inline', kind] as const) {
      const handle = await fleet.submit(of, { operation: 'waits' }, { id: of });
      await asked(fleet, of);
      await fleet.approve(of, 'spend', { by: 'Ada', note: 'go' });
      await fleet.signal(of, 'go', { at: 1 });
      expect([of, await handle.result()]).toEqual([of, { late: 'DROVER_WAIT_TIMEOUT', said: { by: 'Ada', note: 'go' }, event: { at: 1 } }]);
    }
  });

  test('a run that is busy is told at once', async () => {
    const fleet = await start();
    const isAsked = asked(fleet, 'busy');
    const handle = await fleet.submit(kind, { operation: 'races' }, { id: 'busy' });
    await isAsked;
    await fleet.approve('busy', 'spend', { by: 'Ada' });
    expect(await handle.result()).toEqual({ by: 'Ada', note: null });
  });

  test('a run reads, writes and changes rows, and loses no change of its own', async () => {
    const fleet = await start();
    const inline = await (await fleet.submit('inline', { operation: 'writes' })).result();
    expect(inline).toEqual({ count: 1, updated: 10, thrown: 'E_CHANGE', locked: true });
    const isolated = await (await fleet.submit(kind, { operation: 'writes' })).result();
    expect(isolated).toMatchObject({ count: 2, thrown: 'E_CHANGE', locked: true });
    expect(await fleet.state.get('count')).toMatchObject({ value: 2 });
    expect(await fleet.state.get('sum')).toMatchObject({ value: 22 });
  });

  test('a run that widens starts again with more', async () => {
    const fleet = await start();
    expect(await (await fleet.submit(kind, { operation: 'widens' })).result()).toBe('widened');
    expect(await fleet.state.get('more')).toMatchObject({ value: 'widened' });
  });

  test('what a step does within itself has places of its own, and a later run does not miss it', async () => {
    const fleet = await start();
    expect(await (await fleet.submit(kind, { operation: 'nests' })).result()).toEqual(['inside', 'outside']);
  });

  test('what undoes a step is called where the run is, in reverse', async () => {
    const fleet = await start();
    const file = join(folder(), 'deeds');
    const handle = await fleet.submit(kind, { operation: 'undoes', file });
    await expect(handle.result()).rejects.toMatchObject({ detail: { status: 'failed', error: { message: 'no seat left' } } });
    const deeds = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    expect(deeds.map(([what, place]) => `${what} ${place}`)).toEqual(['book step:book', 'refund undo:charge', 'cancel undo:book']);
    expect(deeds.every(([, , pid]) => (pid === String(process.pid)) === (kind === 'thread'))).toBe(true);
  });

  test('a run that is cancelled while it waits is undone there too', async () => {
    const fleet = await start();
    const file = join(folder(), 'deeds');
    const parked = new Promise<void>((resolve) => {
      fleet.events.on('task.parked', () => resolve());
    });
    const handle = await fleet.submit(kind, { operation: 'undoes late', file }, { id: 'x' });
    await parked;
    await fleet.cancel('x');
    await expect(handle.result()).rejects.toMatchObject({ code: 'DROVER_TASK_CANCELLED' });
    expect(readFileSync(file, 'utf8').match(/refund|cancel/g)).toEqual(['refund', 'cancel']);
  });

  test.each([
    ['goes on', ['A', 'B']],
    ['gives up', ['A', 'tell', 'A']],
    ['gives up within', ['A', 'tell', 'A']],
  ] as const)('a run that %s after a failure comes by it again, or tries it anew, as it does inline', async (operation, expected) => {
    const fleet = await start();
    for (const of of ['inline', kind] as const) {
      const file = join(folder(), 'deeds');
      expect(await (await fleet.submit(of, { operation, file })).result()).toBe('done');
      const deeds = readFileSync(file, 'utf8').trim().split('\n').map((line) => line.split(' ')[0]); // prettier-ignore
      expect(deeds).toEqual(expected);
    }
  });

  test('misuse is refused by the same errors', async () => {
    const fleet = await start();
    const inline = await (await fleet.submit('inline', { operation: 'misuses' })).result();
    expect(inline).toEqual({
      undeclared: 'DROVER_UNDECLARED',
      elsewhere: 'DROVER_UNDECLARED_WRITE',
      inStep: 'DROVER_STATE_IN_STEP',
      undoInStep: 'DROVER_COMPENSATE_IN_STEP',
      parkInStep: 'DROVER_OPERATION_IN_STEP',
      sendInStep: 'DROVER_OPERATION_IN_STEP',
      unwritable: 'DROVER_PAYLOAD_NOT_JSON',
      never: 'DROVER_PAYLOAD_INVALID',
    });
    expect(await (await fleet.submit(kind, { operation: 'misuses' })).result()).toEqual(inline);
  });

  test('a send for which its family cannot have room is refused where it stands', async () => {
    const fleet = await start();
    for (const of of ['inline', kind] as const) {
      const handle = await fleet.submit(of, { operation: 'sends on and on' });
      expect([of, await handle.result()]).toEqual([of, [3, 'DROVER_BOUND_REACHED', false]]);
    }
  });

  test('whoever is in the way of something more urgent asks with that priority from then on, unless it says another', async () => {
    const fleet = await start();
    const handle = await fleet.submit(kind, { operation: 'asks on and on' }, { id: 'in the way' });
    await new Promise<void>((resolve) => {
      fleet.events.on('task.completed', ({ id }) => id.startsWith('in the way/') && resolve());
    });
    await fleet.submit('inline', { operation: 'widens' }, { priority: 1_000 });
    await handle.result();
    const priorities = (await fleet.tasks({ kind: 'turn' })).map(({ priority }) => priority);
    expect(priorities.slice(-4)).toEqual([1_000, -1, 1_000, -1]);
  });
});
