/** The parent that starts the fleet's process again: what it decides, and the real command line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { crashesInRow, judge, restDelayMs } from '../../src/cli/supervision.ts';
import type { ProcessEnd } from '../../src/cli/supervision.ts';
import { folder, jsonLines, runCli, startCli } from '../cli/harness.ts';
import type { RunningCli } from '../cli/harness.ts';
import { isRunning } from './processes.ts';

const FLEET = join(import.meta.dirname, 'fixture-inline.ts');
const GOOD = Array.from({ length: 12 }, (_, at) => ({ kind: 'good', input: { at }, id: `good-${at}` }));

describe('what follows from an end', () => {
  const end = (given: Partial<ProcessEnd>): ProcessEnd => ({
    code: 0,
    signal: null,
    started: true,
    concluded: true,
    asked: false,
    ...given,
  });

  test.for<readonly [string, Partial<ProcessEnd>, string]>([
    ['all completed', {}, 'completed'],
    ['some tasks failed', { code: 1 }, 'incomplete'],
    ['a topology that is refused', { code: 2, started: false }, 'refused'],
    ['a topology that ends its process when it is loaded', { code: 9, started: false, concluded: false }, 'failed'],
    ['a topology that crashes when it is loaded', { code: null, signal: 'SIGSEGV', started: false, concluded: false }, 'failed'],
    ['interrupted, drained', { code: 130, asked: true }, 'interrupted'],
    ['interrupted twice', { code: 131, asked: true, concluded: false }, 'stopped'],
    ['killed by the signal that was passed on', { code: null, signal: 'SIGTERM', asked: true, concluded: false }, 'interrupted'],
    ['its reader has left', { code: 141 }, 'unread'],
  ])('%s: over', ([, given, exit]) => {
    expect(judge(end(given))).toEqual({ at: 'over', exit });
  });

  test.for<readonly [string, Partial<ProcessEnd>]>([
    ['ended by the watchdog', { code: 75, concluded: false }],
    ['killed', { code: null, signal: 'SIGKILL', concluded: false }],
    ['out of memory', { code: null, signal: 'SIGABRT', concluded: false }],
    ['an exception that nobody caught', { code: 3, concluded: false }],
    ['a fleet that could not go on', { code: 3, concluded: true }],
    ['a run that calls process.exit(0)', { code: 0, concluded: false }],
    ['a run that calls process.exit(7)', { code: 7, concluded: false }],
  ])('%s: again', ([, given]) => {
    expect(judge(end(given))).toMatchObject({ at: 'restart' });
  });

  test('the rest between restarts doubles, with jitter, up to a cap, and begins anew after a healthy stretch', () => {
    expect([1, 2, 3, 4].map((crashes) => restDelayMs(crashes, 1))).toEqual([200, 400, 800, 1_600]);
    expect(restDelayMs(1, 0)).toBe(100);
    expect(restDelayMs(1_000, 1)).toBe(10_000);
    expect([crashesInRow(4, 59_999), crashesInRow(4, 60_000)]).toEqual([5, 1]);
  });
});

/** The process that runs the fleet. */
function fleetProcess({ child }: RunningCli): number {
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]);
}

const ran = (path: string): string[] => readFileSync(join(path, 'ran.log'), 'utf8').split('\n').filter(Boolean).toSorted();

test.for(['loops', 'exits'] as const)(
  'a run that %s takes its process down until its losses are used up; everything else is finished, once',
  async (how) => {
    const path = folder({ 'tasks.jsonl': jsonLines([{ kind: 'bad', input: { how }, id: 'culprit' }, ...GOOD]) });
    const { code, stderr } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--supervised'], path);
    expect(stderr.match(/restart \d in/g)).toEqual(['restart 1 in', 'restart 2 in']);
    if (how === 'loops') expect(stderr).toContain('"worker":"inline/agents/bad/0","kind":"bad","task":"culprit"');
    expect(code).toBe(1);
    expect(ran(path)).toEqual(GOOD.map(({ input: { at } }) => String(at)).toSorted());
  },
);

test('without --supervised a run that blocks the event loop for a while is named in a note, and goes on', async () => {
  const path = folder({ 'tasks.jsonl': jsonLines([{ kind: 'bad', input: { how: 'spins' }, id: 'culprit' }]) });
  const { code, stderr } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl'], path);
  expect(code).toBe(0);
  expect(stderr).toContain('warn: the event loop was blocked (bad culprit) {');
});

test('a clean end is passed on, and nothing is started again', async () => {
  const path = folder({ 'tasks.jsonl': jsonLines(GOOD) });
  const { code, stdout, stderr } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--supervised', '--json', '--quiet'], path);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').filter((line) => line.includes('"completed"'))).toHaveLength(GOOD.length + 1);
});

test('a topology that is refused is not tried again', async () => {
  const { code, stderr } = await runCli(['run', 'missing.ts', '--supervised', '--tasks', 'tasks.jsonl'], folder({ 'tasks.jsonl': '' }));
  expect(code).toBe(2);
  expect(stderr.match(/DROVER_TOPOLOGY_FILE/g)).toHaveLength(1);
});

test.for([
  [['--store', 'memory', '--tasks', 'tasks.jsonl'], 'a store that outlives a process'],
  [['--tasks', '-'], 'tasks from a file'],
  [[], 'tasks from a file'],
] as const)('%j with --supervised is refused: it could not go on', async ([args, expected]) => {
  const { code, stderr } = await runCli(['run', FLEET, '--supervised', ...args], folder({ 'tasks.jsonl': '' }), { input: '{}' });
  expect(code).toBe(2);
  expect(stderr).toContain(`DROVER_USAGE: --supervised: expected ${expected}`);
});

test('a signal is passed on: the fleet drains, and its exit code comes back', async () => {
  const slow = Array.from({ length: 2_000 }, (_, at) => ({ kind: 'good', input: { at } }));
  const path = folder({ 'tasks.jsonl': jsonLines(slow) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--supervised'], path, { input: '' });
  await cli.until(({ stderr }) => stderr.includes('inline: store'));
  cli.child.kill('SIGTERM');
  const { code, stderr } = await cli.ended;
  expect(code).toBe(130);
  expect(stderr).toContain('interrupted: nothing new starts');
});

test.runIf(process.platform === 'linux')('a parent that is killed takes its fleet along, which drains', async () => {
  const slow = Array.from({ length: 2_000 }, (_, at) => ({ kind: 'good', input: { at } }));
  const path = folder({ 'tasks.jsonl': jsonLines(slow) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--supervised'], path, { input: '' });
  await cli.until(({ stderr }) => stderr.includes('inline: store'));
  const fleet = fleetProcess(cli);
  onTestFinished(() => {
    if (isRunning(fleet)) process.kill(fleet, 'SIGKILL');
  });
  cli.child.kill('SIGKILL');
  // Its streams are the parent's: they close when it is gone too.
  await cli.ended;
  await expect.poll(() => isRunning(fleet)).toBe(false);
  expect(cli.stderr).toContain('interrupted: nothing new starts');
});
