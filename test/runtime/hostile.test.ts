import { agent, defineFleet, startFleet } from 'drover';
import { expect, onTestFinished, test } from 'vitest';
import { checkNode } from '../../src/runtime/options.ts';

/** Rejections that nobody looked at while the test ran. */
function unhandled(): unknown[] {
  const seen: unknown[] = [];
  const note = (reason: unknown): void => void seen.push(reason);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  return seen;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a thrown value that throws when it is looked at ends its task, not the fleet', async () => {
  const trap = new Proxy({}, { get: () => { throw new Error('trap'); } }); // prettier-ignore
  const poison = Object.defineProperty(new Error('x'), 'message', { get: () => { throw new Error('getter'); } }); // prettier-ignore
  const kinds = {
    proxy: agent({ attempts: 1, run: async () => { throw trap; } }), // prettier-ignore
    getter: agent({ attempts: 1, run: async () => { throw poison; } }), // prettier-ignore
  };
  await using fleet = await startFleet(defineFleet({ name: 'hostile', agents: kinds, staggerMs: 0 }));
  for (const kind of ['proxy', 'getter'] as const) {
    const handle = await fleet.submit(kind, undefined);
    await expect(handle.result()).rejects.toMatchObject({ code: 'DROVER_TASK_FAILED', detail: { status: 'dead' } });
  }
});

test('an operation that fails before the run looks at it is no unhandled rejection', async () => {
  const seen = unhandled();
  const late = agent({
    async run(_input: null, ctx) {
      const failing = ctx.step('fails', () => { throw new Error('late'); }); // prettier-ignore
      await turn();
      await turn();
      return failing.catch((error: Error) => error.message);
    },
  });
  const never = agent({
    async run(_input: null, ctx) {
      // As a program without types might.
      void (ctx as { call(name: string, request: null): Promise<unknown> }).call('nothing', null);
      await turn();
      return 'done';
    },
  });
  await using fleet = await startFleet(defineFleet({ name: 'hostile', agents: { late, never }, staggerMs: 0 }));
  expect(await (await fleet.submit('late', null)).result()).toBe('late');
  const failing = (await fleet.submit('never', null)).result();
  await expect(failing).rejects.toMatchObject({ detail: { error: { code: 'DROVER_UNDECLARED' } } });
  await turn();
  expect(seen).toEqual([]);
});

test('a result that nobody awaits is no unhandled rejection when the fleet closes', async () => {
  const seen = unhandled();
  const hang = agent({ run: () => new Promise<never>(() => {}) });
  const fleet = await startFleet(defineFleet({ name: 'hostile', agents: { hang }, staggerMs: 0 }));
  const result = (await fleet.submit('hang', undefined)).result();
  await fleet.close({ deadlineMs: 0 });
  await turn();
  expect(seen).toEqual([]);
  await expect(result).rejects.toMatchObject({ code: 'DROVER_FLEET_CLOSED' });
});

test('a wrong argument at the door has a code, says what was expected, and stores nothing', async () => {
  // @ts-expect-error -- no topology
  await expect(startFleet({})).rejects.toMatchObject({ code: 'DROVER_TOPOLOGY' });
  const topology = defineFleet({ name: 'hostile', agents: { echo: agent({ run: async (input: number) => input }) } });
  // @ts-expect-error -- no store
  await expect(startFleet(topology, { store: 5 })).rejects.toMatchObject({ code: 'DROVER_TOPOLOGY' });
  // @ts-expect-error -- misspelt: all would run in memory
  await expect(startFleet(topology, { stor: {} })).rejects.toMatchObject({
    code: 'DROVER_TOPOLOGY',
    message: expect.stringMatching(/startFleet.*stor: expected one of the options store, logger, /) as unknown,
  });
  // @ts-expect-error -- no logger of pino
  await expect(startFleet(topology, { logger: false })).rejects.toMatchObject({
    code: 'DROVER_TOPOLOGY',
    message: expect.stringContaining("pino({ level: 'silent' })") as unknown,
  });
  await using fleet = await startFleet(topology);
  // @ts-expect-error -- no options
  await expect(fleet.submit('echo', 1, null)).rejects.toMatchObject({ code: 'DROVER_SUBMIT_OPTION' });
  // @ts-expect-error -- no such option
  await expect(fleet.submit('echo', 1, { delayMs: 5 })).rejects.toMatchObject({
    code: 'DROVER_SUBMIT_OPTION',
    detail: { option: 'delayMs' },
  });
  expect(fleet.stats.submitted).toBe(0);
});

test('a Node that is too old is named, with the oldest that will do', () => {
  expect(() => checkNode('20.20.2')).toThrow('expected Node 24 or newer, this is 20.20.2; install a newer one');
  checkNode('24.0.0');
  checkNode(process.versions.node);
});
