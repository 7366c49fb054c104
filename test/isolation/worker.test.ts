/** Runs in real threads and processes. Each test waits for what happens, never for a while. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { agent, defineFleet, startFleet, TopologyError } from 'drover';
import type { Fleet, FleetEvents, IsolatedWorkerError } from 'drover';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { simulate } from '../../src/testing/index.ts';
import { folder } from '../cli/harness.ts';
import { topology } from './fixture.ts';
import type { deeds } from './fixture.ts';
import { isRunning } from './processes.ts';

type Deed = (typeof deeds)[number];
type Kind = 'thread' | 'process';

async function start(): Promise<{ readonly fleet: Fleet<typeof topology.agents>; readonly logged: Record<string, unknown>[] }> {
  const logged: Record<string, unknown>[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void logged.push(JSON.parse(line) as Record<string, unknown>) });
  const fleet = await startFleet(topology, { logger });
  onTestFinished(() => fleet.close({ deadlineMs: 0 }));
  return { fleet, logged };
}

/** The next event of that name that fits. */
function heard<N extends keyof FleetEvents>(
  { events }: Pick<Fleet, 'events'>,
  name: N,
  fits: (event: Parameters<FleetEvents[N]>[0]) => boolean = () => true,
): Promise<Parameters<FleetEvents[N]>[0]> {
  return new Promise((resolve) => {
    const listener = (event: Parameters<FleetEvents[N]>[0]): void => {
      if (!fits(event)) return;
      events.off(name, listener);
      resolve(event);
    };
    events.on(name, listener);
  });
}

/** How the incarnations of the workers of `kind` died, in order. */
function deaths(fleet: Fleet<typeof topology.agents>, kind: string): IsolatedWorkerError[] {
  const died: IsolatedWorkerError[] = [];
  fleet.events.on('worker.ended', ({ worker, reason }) => {
    if (worker.startsWith(`cells/agents/${kind}/`) && reason.at === 'error') died.push(reason.error as IsolatedWorkerError);
  });
  return died;
}

describe.each<Kind>(['thread', 'process'])('in a %s', (kind) => {
  test('a run has the ctx that it has inline: calls are made by the fleet, steps where the run is', async () => {
    const { fleet } = await start();
    const id = `works-${kind}`;
    const result = await (await fleet.submit(kind, { deed: 'works' }, { id })).result();
    const { stepped, ...rest } = result as { stepped: { pid: number; idempotencyKey: string } };
    expect(rest).toEqual({ text: 'HELLO', performedBy: process.pid });
    expect(stepped.idempotencyKey).toBe(`${id}/step:pid`);
    expect(stepped.pid === process.pid).toBe(kind === 'thread');
    expect(fleet.stats.calls).toBe(1);
  });

  test('the same run gives the same result inline', async () => {
    const { fleet } = await start();
    for (const deed of ['steps', 'asks', 'holds', 'misuses', 'reports'] satisfies Deed[]) {
      const inline = await (await fleet.submit('inline', { deed })).result();
      const isolated = await (await fleet.submit(kind, { deed })).result();
      // Inline, a function is handed on.
      const adapted = deed === 'misuses' ? { ...(inline as object), uncopied: 'DROVER_NOT_TRANSFERABLE' } : inline;
      expect({ deed, isolated }).toEqual({ deed, isolated: adapted });
    }
  });

  test('what a run sends goes with its completion', async () => {
    const { fleet } = await start();
    const sent = heard(fleet, 'task.completed', ({ kind: of }) => of === 'child');
    await (await fleet.submit(kind, { deed: 'sends' })).result();
    await sent;
  });

  test('progress and log lines reach the fleet', async () => {
    const { fleet, logged } = await start();
    const progressed = heard(fleet, 'task.progressed');
    await (await fleet.submit(kind, { deed: 'reports' })).result();
    expect(await progressed).toMatchObject({ done: 1, total: 2 });
    const line = logged.find(({ msg }) => msg === 'said from afar');
    expect(line).toMatchObject({ kind, deed: 'reports', failure: { name: 'Error', message: 'in facts' } });
  });

  test('an error keeps its name, message, code and whether trying again can help', async () => {
    const { fleet } = await start();
    const handle = await fleet.submit(kind, { deed: 'fails' });
    await expect(handle.result()).rejects.toMatchObject({
      code: 'DROVER_TASK_FAILED',
      detail: { status: 'failed', error: { name: 'Error', message: 'as asked', code: 'E_ASKED', retryable: false } },
    });
  });

  test('an input that its schema refuses fails the task and no worker', async () => {
    const { fleet } = await start();
    await expect(fleet.submit(kind, { deed: 'no such deed' as never })).rejects.toMatchObject({ code: 'DROVER_PAYLOAD_INVALID' });
  });

  test('a run that parks is abandoned in the child, and begins again over what is remembered', async () => {
    const { fleet } = await start();
    const handle = await fleet.submit(`${kind}-parking`, { deed: 'parks' });
    expect(await handle.result()).toEqual({ answers: ['a!', 'b!'], attempt: 1, inside: true });
    expect(fleet.stats.parked).toBeGreaterThan(0);
    expect(fleet.stats.restarts).toBe(0);
  });

  test('an abort travels: the signal of a run that timed out aborts in the child, which goes on with the next', async () => {
    const { fleet } = await start();
    const file = join(folder(), 'aborted');
    // Loaded before the clock of that run begins to count.
    await (await fleet.submit(`${kind}-timed`, { deed: 'tells its process' })).result();
    await expect((await fleet.submit(`${kind}-timed`, { deed: 'sleeps', ms: 60_000, file })).result()).rejects.toMatchObject({
      detail: { error: { code: 'DROVER_RUN_TIMEOUT' } },
    });
    await (await fleet.submit(`${kind}-timed`, { deed: 'tells its process' })).result();
    expect(readFileSync(file, 'utf8')).toBe('DROVER_RUN_OVER timeout');
    expect(fleet.stats.restarts).toBe(0);
  });

  test.each<readonly [Deed, Partial<IsolatedWorkerError['detail']>]>([
    ['loops', { how: 'hung' }],
    ['exits', { how: 'exited', exitCode: 7 }],
    ['exits well', { how: 'exited', exitCode: 0 }],
    ['throws later', { how: 'exited', exitCode: 1 }],
    ['buffers', { how: 'out-of-memory' }],
  ])('one that %s is replaced, and its task is charged', async (deed, detail) => {
    const { fleet } = await start();
    const died = deaths(fleet, kind);
    const failed = heard(fleet, 'task.failed');
    const handle = await fleet.submit(kind, { deed });
    await expect(handle.result()).rejects.toMatchObject({ code: 'DROVER_TASK_FAILED', detail: { status: 'dead' } });
    expect(await failed).toMatchObject({ error: { cause: { code: 'DROVER_WORKER_DIED' } } });
    expect(died).toMatchObject([{ code: 'DROVER_WORKER_DIED', detail: { isolation: kind, ...detail } }]);
    // Its successor works.
    await (await fleet.submit(kind, { deed: 'tells its process' })).result();
    expect(fleet.stats.lost).toBe(1);
  });

  test('a task that was lost with its child runs again in the next, until its losses are used up', async () => {
    const { fleet } = await start();
    const died = deaths(fleet, `${kind}-twice`);
    await expect((await fleet.submit(`${kind}-twice`, { deed: 'exits' })).result()).rejects.toMatchObject({ detail: { status: 'dead' } });
    expect(died.map(({ detail: { how } }) => how)).toEqual(['exited', 'exited']);
    expect(fleet.stats.lost).toBe(2);
  });

  test('an allocation loop ends its child, by its limit or by its silence', async () => {
    const { fleet } = await start();
    const died = deaths(fleet, kind);
    await expect((await fleet.submit(kind, { deed: 'allocates' })).result()).rejects.toMatchObject({ detail: { status: 'dead' } });
    expect(died.map(({ detail: { how } }) => ['out-of-memory', 'hung'].includes(how))).toEqual([true]);
  });

  test('what a dying child wrote to standard error is in its error', async () => {
    const { fleet } = await start();
    const died = deaths(fleet, kind);
    await expect((await fleet.submit(kind, { deed: 'exits' })).result()).rejects.toThrow('ended dead');
    expect(died[0]!.detail.stderr).toBe('about to leave\n');
    expect(died[0]!.message).toContain('about to leave');
  });

  test('a rejection that nobody looks at is logged and harms nobody', async () => {
    const { fleet, logged } = await start();
    expect(await (await fleet.submit(kind, { deed: 'rejects later' })).result()).toBe('went on');
    expect(logged.some(({ err }) => (err as { message?: string } | undefined)?.message === 'stray')).toBe(true);
    expect(fleet.stats.restarts).toBe(0);
  });

  test('a timer that a run leaves behind keeps neither the child nor the fleet', async () => {
    const { fleet } = await start();
    await (await fleet.submit(kind, { deed: 'leaves a timer' })).result();
    await fleet.close();
  });

  test('closing asks a child first: what it does at its exit, it does', async () => {
    const { fleet } = await start();
    const file = join(folder(), 'ended');
    await (await fleet.submit(kind, { deed: 'writes when it ends', file })).result();
    await fleet.close();
    expect(readFileSync(file, 'utf8')).toBe('ended in order');
  });

  test.runIf(process.platform === 'linux')('closing ends a child in the midst of a loop', async () => {
    const { fleet } = await start();
    const { pid } = (await (await fleet.submit(kind, { deed: 'tells its process' })).result()) as { pid: number };
    const started = heard(fleet, 'task.started');
    await fleet.submit(kind, { deed: 'loops' });
    await started;
    await fleet.close({ deadlineMs: 50 });
    expect(isRunning(pid)).toBe(kind === 'thread');
  });
});

test('a process ended by a signal says which', async () => {
  const { fleet } = await start();
  const died = deaths(fleet, 'process');
  await expect((await fleet.submit('process', { deed: 'aborts' })).result()).rejects.toMatchObject({ detail: { status: 'dead' } });
  expect(died[0]!.detail).toMatchObject({ how: 'signal', signal: 'SIGKILL', exitCode: null });
});

test('a child serves all runs of its incarnation', async () => {
  const { fleet } = await start();
  const pids: number[] = [];
  for (let at = 0; at < 3; at += 1) {
    const { pid } = (await (await fleet.submit('process', { deed: 'tells its process' })).result()) as { pid: number };
    pids.push(pid);
  }
  expect(new Set(pids).size).toBe(1);
});

test('a module that starts its fleet when it is loaded is refused in the child, and starts none there', async () => {
  const { fleet } = (await import('./fixture-starts.ts')) as { fleet: Fleet };
  onTestFinished(() => fleet.close({ deadlineMs: 0 }));
  const ended = heard(fleet, 'worker.ended', ({ reason }) => reason.at === 'error');
  await fleet.submit('any', null);
  const { reason } = await ended;
  expect((reason as { error: unknown }).error).toMatchObject({
    code: 'DROVER_WORKER_DIED',
    detail: { how: 'not-started' },
    cause: { code: 'DROVER_ISOLATED_MODULE', cause: { code: 'DROVER_ISOLATED_MODULE' } },
  });
});

test('a fleet whose module does not export it says what is there', async () => {
  const misplaced = defineFleet({
    name: 'elsewhere',
    module: new URL('./fixture.ts', import.meta.url).href,
    staggerMs: 0,
    agents: { any: agent({ isolation: 'thread', losses: 1, run: async () => 'ran' }) },
  });
  const fleet = await startFleet(misplaced, { logger: pino({ level: 'silent' }) });
  onTestFinished(() => fleet.close({ deadlineMs: 0 }));
  const ended = heard(fleet, 'worker.ended', ({ reason }) => reason.at === 'error');
  await fleet.submit('any', null);
  const { reason } = await ended;
  const { cause } = (reason as { error: { cause: Error } }).error;
  expect(cause.message).toContain('expected that it exports the fleet elsewhere');
  expect(cause.message).toContain('the topologies cells');
});

describe('defineFleet', () => {
  const isolated = agent({ isolation: 'process', run: async () => 'ran' });

  test('refuses isolation where the fleet names no module', () => {
    const define = (): unknown => defineFleet({ name: 'test', agents: { isolated } });
    expect(define).toThrow(TopologyError);
    expect(define).toThrow(/^fleet\.agents\.isolated\.isolation: expected 'inline', or that the fleet names its module .*, got "process"$/);
  });

  test('refuses a module that no other process can load', () => {
    expect(() => defineFleet({ name: 'test', module: './fleet.ts', agents: { isolated } })).toThrow(
      /^fleet\.module: expected a module URL, such as import\.meta\.url/,
    );
  });

  test('takes kinds that run inline without one', () => {
    expect(defineFleet({ name: 'test', agents: { inline: agent({ isolation: 'inline', run: async () => 1 }) } }).module).toBeUndefined();
  });
});

test('in a simulation isolated kinds run inline', async () => {
  const task = { kind: 'process', input: { deed: 'tells its process' }, atMs: 0 } as const;
  const { violations, statistics } = await simulate(topology, { seed: 1, durationMs: 10_000, workload: [task] });
  expect(violations).toEqual([]);
  expect(statistics).toMatchObject({ completed: 1 });
});
