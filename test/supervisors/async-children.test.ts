/** Children whose end comes between their turns: promises, callbacks, and what machines invoke. */
import { describe, expect, test } from 'vitest';
import { fromCallback, fromPromise, fromTransition, setup } from 'xstate';
import { createSupervisor } from 'drover';
import type { SupervisorFact } from 'drover';

const quiet = fromTransition((count: number) => count, 0);

describe('a child that ends between its turns', () => {
  test('a promise that rejects is restarted until its supervisor gives up', async () => {
    let starts = 0;
    const logic = fromPromise(async () => {
      starts += 1;
      throw new Error('no');
    });
    const supervisor = await createSupervisor({ intensity: 2, children: [{ id: 'a', logic }] });
    expect(await supervisor.ended).toEqual({ at: 'shutdown' });
    expect(starts).toBe(3);
  });

  test('a promise that resolves has ended normally: a significant one takes its supervisor along', async () => {
    const facts: SupervisorFact[] = [];
    const done = Promise.withResolvers<void>();
    const supervisor = await createSupervisor(
      {
        autoShutdown: 'any_significant',
        children: [
          { id: 'other', logic: quiet },
          { id: 'job', logic: fromPromise(() => done.promise), restart: 'transient', significant: true },
        ],
      },
      { onFact: (_supervisor, fact) => facts.push(fact) },
    );
    done.resolve();
    expect(await supervisor.ended).toEqual({ at: 'shutdown' });
    expect(facts).toContainEqual({ at: 'ended', child: 'job', life: 1, reason: { at: 'normal' } });
  });

  test.each([
    ['a promise that a machine invokes', fromPromise(async () => Promise.reject(new Error('no')))],
    [
      'a callback that a machine invokes',
      fromCallback(({ sendBack }) => {
        queueMicrotask(() => sendBack({ type: 'fail' }));
      }),
    ],
  ])('%s and that fails ends the machine', async (_what, invoked) => {
    const machine = setup({
      actors: { invoked },
      actions: {
        fail: () => {
          throw new Error('no');
        },
      },
    }).createMachine({ invoke: { src: 'invoked' }, on: { fail: { actions: 'fail' } } });
    const supervisor = await createSupervisor({ intensity: 0, children: [{ id: 'a', logic: machine }] });
    expect(await supervisor.ended).toEqual({ at: 'shutdown' });
  });

  test('a graceful machine that cleans up by a promise has obeyed, however long it may take', async () => {
    const facts: string[] = [];
    const machine = setup({ actors: { cleanup: fromPromise(async () => {}) } }).createMachine({
      initial: 'up',
      states: {
        up: { on: { 'stop.requested': 'cleaning' } },
        cleaning: { invoke: { src: 'cleanup', onDone: 'down' } },
        down: { type: 'final' },
      },
    });
    const supervisor = await createSupervisor(
      { children: [{ id: 'a', logic: machine, graceful: true, shutdownMs: Infinity }] },
      { onFact: (_supervisor, { at }) => facts.push(at) },
    );
    expect(await supervisor.stop()).toEqual({ at: 'shutdown' });
    expect(facts).toEqual(['started', 'ended']);
  });
});

describe('a child that says when it is ready', () => {
  test('starts the next one then, by the birth that it was given', async () => {
    const order: string[] = [];
    const logic = fromPromise(async ({ input }: { readonly input: { readonly started: () => void } }) => {
      order.push('a begins');
      await Promise.resolve();
      order.push('a is ready');
      input.started();
      await new Promise(() => {});
    });
    const after = fromTransition(
      () => 0,
      () => {
        order.push('b begins');
        return 0;
      },
    );
    await using supervisor = await createSupervisor({
      children: [
        { id: 'a', ready: 'signalled', start: (birth) => ({ logic, input: birth }) },
        { id: 'b', logic: after },
      ],
    });
    expect(order).toEqual(['a begins', 'a is ready', 'b begins']);
    expect(await supervisor.countChildren()).toMatchObject({ active: 2 });
  });

  test('that says nothing in time has not started, and the error says so', async () => {
    const late = createSupervisor({ children: [{ id: 'a', ready: 'signalled', startMs: 5, logic: quiet }] });
    await expect(late).rejects.toMatchObject({
      code: 'DROVER_START_FAILED',
      message: 'root: child a did not start: it was not ready within 5 ms',
    });
  });
});

describe('wrong arguments', () => {
  test('of a call name nobody, and change nothing', async () => {
    await using supervisor = await createSupervisor({ children: [{ id: 'a', logic: quiet }] });
    for (const wrong of [undefined, null, 5, {}, [], { actor: 'root/a' }] as never[]) {
      expect(await supervisor.terminateChild(wrong)).toEqual({ error: 'not_found' });
      expect(await supervisor.restartChild(wrong)).toEqual({ error: 'not_found' });
      expect(await supervisor.deleteChild(wrong)).toEqual({ error: 'not_found' });
      expect(await supervisor.resumeChild(wrong, 'x')).toEqual({ error: 'not_found' });
      await expect(supervisor.suspendChild('a', wrong)).rejects.toMatchObject({ code: 'DROVER_SUPERVISOR_SPEC' });
      expect(() => supervisor.send('a', wrong)).toThrow('expected an event');
    }
    await expect(supervisor.nested('a').whichChildren()).rejects.toMatchObject({ code: 'DROVER_SUPERVISOR_SPEC' });
    expect(await supervisor.countChildren()).toMatchObject({ active: 1 });
  });

  test('of a start say what it must give', async () => {
    for (const given of [undefined, {}, Promise.resolve({ logic: quiet })] as never[]) {
      await expect(createSupervisor({ children: [{ id: 'a', start: () => given }] })).rejects.toThrow(
        /a.start: expected to return { logic }/,
      );
    }
  });
});
