import { describe, expect, test } from 'vitest';
import { setup } from 'xstate';
import { createSupervisor } from '../../supervisors/create-supervisor.ts';
import { planSupervisor } from '../../supervisors/spec.ts';
import type { ChildSpec } from '../../supervisors/spec.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const counting = (made: string[]) =>
  setup({
    types: { input: {} as string, context: {} as { readonly name: string } },
    actions: {
      fail: () => {
        throw new Error('broken');
      },
    },
  }).createMachine({
    context: ({ input }) => {
      made.push(input);
      return { name: input };
    },
    on: { break: { actions: 'fail' } },
  });

/** Resolves when all that the calls before it set off has happened. */
async function settled(supervisor: Awaited<ReturnType<typeof createSupervisor>>): Promise<void> {
  for (let round = 0; round < 3; round += 1) await supervisor.countChildren();
}

describe('a lazy child', () => {
  test('counts as started and running before its first event, and is created by that', async () => {
    const made: string[] = [];
    await using supervisor = await createSupervisor(
      { children: [{ id: 'a', logic: counting(made), input: () => 'a', lazy: true }] },
      { clock: new VirtualClock() },
    );
    expect(await supervisor.whichChildren()).toMatchObject([{ id: 'a', child: { incarnation: 1 } }]);
    expect([made, supervisor.snapshotOf('a')]).toEqual([[], undefined]);
    supervisor.send('a', { type: 'hello' });
    await settled(supervisor);
    expect(made).toEqual(['a']);
    expect(supervisor.snapshotOf('a')).toMatchObject({ context: { name: 'a' } });
  });

  test('that has failed is restarted as another lazy incarnation', async () => {
    const made: string[] = [];
    await using supervisor = await createSupervisor(
      { children: [{ id: 'a', logic: counting(made), input: 'a', lazy: true }] },
      { clock: new VirtualClock() },
    );
    supervisor.send('a', { type: 'break' });
    await settled(supervisor);
    expect(await supervisor.whichChildren()).toMatchObject([{ id: 'a', child: { incarnation: 2 } }]);
    expect(made).toEqual(['a']);
    expect(supervisor.snapshotOf('a')).toBeUndefined();
  });

  test('of a dynamic supervisor is stopped without ever having been created', async () => {
    const made: string[] = [];
    const supervisor = await createSupervisor(
      { strategy: 'dynamic', children: [{ id: 'a', logic: counting(made), graceful: true, lazy: true }] },
      { clock: new VirtualClock() },
    );
    for (const input of ['one', 'two', 'three']) await supervisor.startChild(input);
    supervisor.send('a-2', { type: 'hello' });
    await settled(supervisor);
    const stopped = supervisor.terminateChild({ actor: 'root/a-1', incarnation: 1 });
    expect(await stopped).toBe('ok');
    expect(await supervisor.countChildren()).toMatchObject({ active: 2 });
    expect(made).toEqual(['two']);
  });

  const refused: readonly (readonly [string, ChildSpec])[] = [
    ['a supervisor', { id: 'a', supervisor: { children: [] }, lazy: true }],
    ['a child made by `start`, which says so itself', { id: 'a', start: () => 'ignore', lazy: true }],
    ['a child that is to signal that it is ready', { id: 'a', logic: counting([]), ready: 'signalled', lazy: true }],
  ];
  test.each(refused)('cannot be %s', (_, child) => {
    expect(() => planSupervisor({ children: [child] })).toThrow(
      expect.objectContaining({
        code: 'DROVER_SUPERVISOR_SPEC',
        detail: expect.objectContaining({ path: ['supervisor', 'children', '0', 'lazy'] }),
      }),
    );
  });
});
