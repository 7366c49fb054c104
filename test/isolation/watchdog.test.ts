/** The watchdog over real event loops, each in a process of its own. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFleet, defineFleet, agent, TopologyError } from 'drover';
import type { LoopBlocked } from 'drover';
import { describe, expect, test } from 'vitest';
import { NODE, RunningCli } from '../cli/harness.ts';

const FIXTURE = join(import.meta.dirname, 'fixture-watchdog.ts');
const BLOCKED_MS = 300;

interface Options {
  readonly act?: 'report' | 'exit';
  readonly ms?: number;
  readonly flags?: readonly string[];
  readonly blockedMs?: number;
}

const holds = (how: string, { act = 'report', ms = 900, flags = [], blockedMs = BLOCKED_MS }: Options = {}): RunningCli =>
  new RunningCli([...NODE, ...flags, FIXTURE, how, act, String(ms), String(blockedMs)], import.meta.dirname);

const json = (text: string): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const CULPRIT = { worker: 'watched/agents/culprit/0', kind: 'culprit', task: 'the-culprit' };

test.for(['a loop', 'a regular expression', 'microtasks', 'a step', 'a call'])(
  '%s that holds the event loop is named, with its run and its place',
  async (how) => {
    const { stdout, code } = await holds(how).ended;
    const events = json(stdout) as unknown as LoopBlocked[];
    expect(events[0]).toMatchObject({ run: CULPRIT, known: 'on-stack', debugger: false });
    expect(events[0]!.blockedMs).toBeGreaterThanOrEqual(BLOCKED_MS);
    if (how !== 'microtasks') expect(events[0]!.stack.join('\n')).toContain('fixture-watchdog.ts');
    expect(stdout).toContain('closed');
    expect(code).toBe(0);
  },
);

test('native code cannot be asked: the run that was entered last is named, and the report says so', async () => {
  const { stdout } = await holds('native code', { ms: 1_500 }).ended;
  expect(json(stdout)[0]).toMatchObject({ run: CULPRIT, known: 'entered-last', stack: [] });
});

test('code of no run is not blamed on one', async () => {
  const { stdout } = await holds('nobody in particular').ended;
  const [event] = json(stdout) as unknown as LoopBlocked[];
  expect(event).toMatchObject({ run: null, known: 'on-stack' });
  expect(event!.stack.join('\n')).toContain('spin');
});

test('a loop that turns is not reported', async () => {
  const { stdout, stderr } = await holds('nothing', { blockedMs: 2_000 }).ended;
  expect(json(stdout)).toEqual([]);
  expect(stderr).toBe('');
});

test('with `exit` the process ends with code 75, and a line on standard error says who it was', async () => {
  const { code, stderr } = await holds('a loop', { act: 'exit', ms: 60_000 }).ended;
  expect(code).toBe(75);
  expect(json(stderr)[0]).toMatchObject({ level: 50, msg: 'the event loop is blocked', fleet: 'watched', ...CULPRIT, known: 'on-stack' });
});

test('where code cannot be interrupted, `exit` ends the process by SIGKILL', async () => {
  const { signal, stderr } = await holds('native code', { act: 'exit', ms: 60_000 }).ended;
  expect(signal).toBe('SIGKILL');
  expect(json(stderr)[0]).toMatchObject({ ...CULPRIT, known: 'entered-last' });
});

test('a loop that never turns again is told on standard error by the watchdog itself', async () => {
  const cli = holds('a loop', { ms: 60_000 });
  await cli.until(({ stderr }) => stderr.includes('\n'));
  const [line] = json(cli.stderr);
  expect(line).toMatchObject({ ...CULPRIT, known: 'on-stack' });
  expect(line!['blockedMs']).toBeGreaterThanOrEqual(5 * BLOCKED_MS);
  cli.child.kill('SIGKILL');
  await cli.ended;
});

test('a process that was stopped as a whole was not blocked', async () => {
  const cli = holds('nothing', { act: 'exit', blockedMs: 500 });
  await cli.until(({ stdout }) => stdout.includes('ready'));
  cli.child.kill('SIGSTOP');
  // The one real wait: that it stands still for longer than a loop may.
  await sleep(2_000);
  cli.child.kill('SIGCONT');
  const { code, stdout, stderr } = await cli.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(json(stdout)).toEqual([]);
});

test('with a debugger attached nothing is ended, and the report says so', async () => {
  const { code, stdout } = await holds('a loop', { act: 'exit', flags: ['--inspect=127.0.0.1:0'] }).ended;
  expect(code).toBe(0);
  expect(json(stdout)[0]).toMatchObject({ run: CULPRIT, debugger: true });
});

describe('the option', () => {
  const topology = defineFleet({ name: 'test', agents: { any: agent({ run: async () => 1 }) } });

  test.for([
    [{ blockedMs: 99 }, 'startFleet.watchdog.blockedMs', 'milliseconds, at least 100'],
    [{ onBlocked: 'kill' }, 'startFleet.watchdog.onBlocked', "'report' or 'exit'"],
    [{ blocked: 5 }, 'startFleet.watchdog.blocked', 'no such field; there are blockedMs, onBlocked'],
    [true, 'startFleet.watchdog', '{ blockedMs, onBlocked }'],
  ] as const)('%j is refused', async ([watchdog, path, expected]) => {
    const error: unknown = await startFleet(topology, { watchdog: watchdog as never }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TopologyError);
    expect((error as Error).message).toContain(`${path}: expected ${expected}`);
  });
});
