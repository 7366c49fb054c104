import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CheckTrace, Step } from '../../src/testing/replay/index.ts';
import { Stepper } from '../../src/cli/replay-stepper.ts';
import { walkCheck, walkRecording } from '../../src/cli/replay-steps.ts';
import { folder, MAIN, NODE, runCli, RunningCli } from './harness.ts';

const LAB = join(import.meta.dirname, 'fixture-lab.ts');
const BROKEN = join(import.meta.dirname, 'fixture-lab-broken.ts');
const NESTED = join(import.meta.dirname, 'fixture-nested.ts');

/** `script` of util-linux gives a program a terminal of its own. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

test('in a pipe every step is a line with its virtual time, and the end says what became of the tasks', async () => {
  const { code, stdout, stderr } = await runCli(['replay', LAB, '--seed', '4', '--faults', 'none'], folder());
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^ {5}1 +\d+\.\d{3} ms {2}committed: a process owns the store, epoch 1$/);
  expect(lines.some((line) => line.endsWith('committed: task task-1 (triage) is accepted'))).toBe(true);
  expect(lines.some((line) => / {2}delivered: \S+ to lab\/work\/triage$/.test(line))).toBe(true);
  expect(lines.at(-1)).toMatch(/^the end, after \d+ ms: 6 tasks, 6 completed, 0 failed, 0 dead, 0 violations$/);
  expect(stderr).toBe('lab: simulating seed 4 ...\n');
  expect(code).toBe(0);
});

test('--from, --to and --waits show a stretch of it, each step with who waits; --json has the same as data', async () => {
  const args = ['replay', LAB, '--seed', '4', '--faults', 'none', '--from', '300', '--to', '900', '--waits'];
  const [text, json] = await Promise.all([runCli(args, folder()), runCli([...args, '--json'], folder())]);
  const steps = json.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { atMs: number; says: string; waits: string[]; end?: string[] });
  const times = steps.slice(0, -1).map(({ atMs }) => atMs);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(300);
  expect(Math.max(...times)).toBeLessThanOrEqual(900);
  expect(steps.some(({ waits }) => waits?.some((says) => says.includes('waits for model to answer, holding a permit')))).toBe(true);
  expect(steps.at(-1)!.end).toHaveLength(1);
  for (const { says } of steps.slice(0, -1)) expect(text.stdout).toContain(`ms  ${says}\n`);
  expect(text.stdout).toMatch(/\n {10}\| task-1 \(triage\) waits /);
});

describe('a trace file', () => {
  test('of a simulation is replayed as it was, and refused or told as diverged when it is not, never as a violation', async () => {
    const cwd = folder();
    await runCli(['simulate', BROKEN, '--seed', '7', '--seeds', '1', '--trace', 'found.json'], cwd);
    const recorded = JSON.parse(readFileSync(join(cwd, 'found.json'), 'utf8')) as Record<string, unknown>;
    writeFileSync(join(cwd, 'other.json'), JSON.stringify({ ...recorded, hash: 'x', blocks: [1] }));
    const replay = (topology: string, file: string) => runCli(['replay', topology, '--trace', file], cwd);
    const [same, other, wrong] = await Promise.all([
      replay(BROKEN, 'found.json'),
      replay(BROKEN, 'other.json'),
      replay(NESTED, 'found.json'),
    ]);
    expect(same.stdout).toMatch(/\nviolated: U1 at \d+ ms: /);
    expect(other.stderr).toContain('DROVER_TRACE_DIVERGED: seed 7: the replay is not what was recorded, from an event after the first 0');
    expect(wrong.stderr).toContain('DROVER_TRACE_TOPOLOGY');
    expect([same, other, wrong].map(({ code }) => code)).toEqual([1, 4, 2]);
    expect([other, wrong].map(({ stdout }) => stdout)).toEqual(['', '']);
  });

  test('of a check is stepped through in the same way', async () => {
    const cwd = folder();
    await runCli(['check', NESTED, '--without', 'parking', '--trace', 'stuck.json', '--quiet'], cwd);
    const [shown, frames] = await Promise.all([
      runCli(['replay', NESTED, '--trace', 'stuck.json', '--waits'], cwd),
      runCli(['replay', NESTED, '--trace', 'stuck.json', '--frames', 'f.jsonl'], cwd),
    ]);
    expect(shown.stdout).toMatch(/^ {5}1 {2}digger starts on worker of digger\n/);
    expect(shown.stdout).toMatch(
      /\n {5}3 {2}digger waits for a child on its worker\n {10}\| digger at depth 1 \(queued\) waits for worker of digger/,
    );
    expect(shown.stdout).toContain('\ndeadlock:\n  worker of digger: held by');
    expect(frames.stderr).toContain('DROVER_USAGE: --frames');
    expect([shown.code, frames.code]).toEqual([1, 2]);
  });
});

test('--frames writes the inspection events as JSON lines', async () => {
  const cwd = folder();
  await runCli(['replay', LAB, '--seed', '4', '--frames', 'frames.jsonl'], cwd);
  const frames = readFileSync(join(cwd, 'frames.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
  expect(new Set(frames.map(({ type }) => type))).toEqual(new Set(['@xstate.actor', '@xstate.event', '@xstate.snapshot']));
});

test.each<readonly [title: string, args: readonly string[], code: number, says: string]>([
  ['neither a seed nor a trace', [], 2, 'DROVER_USAGE: expected --seed S, or --trace FILE'],
  ['a missing trace', ['--trace', 'gone.json'], 2, 'DROVER_TRACE_FILE: gone.json: there is no such file'],
  [
    'a workload that throws',
    ['--seed', '1', '--workload', 'w.mjs'],
    4,
    'not replayed to the end: DROVER_SIMULATION_CALLBACK: workload threw at',
  ],
])('what keeps a replay from its end is told: %s', async (_title, args, code, says) => {
  const cwd = folder({ 'w.mjs': 'export function* workload() { throw new Error("no mails"); }\n' });
  const ended = await runCli(['replay', LAB, ...args], cwd);
  expect(ended.stderr).toContain(says);
  expect(ended).toMatchObject({ code, stdout: '' });
});

test.runIf(hasScript)('on a terminal it goes on at a word, and q ends it', async () => {
  const command = [...NODE, MAIN, 'replay', LAB, '--seed', '4', '--faults', 'none'].join(' ');
  const cli = new RunningCli(['script', '--quiet', '--return', '--flush', '--command', command, '/dev/null'], folder(), {
    env: { TERM: 'xterm', SHELL: '/bin/sh' },
  });
  const prompts = ({ stdout }: RunningCli): number => stdout.split('quit > ').length - 1;
  const say = async (text: string): Promise<void> => {
    const before = prompts(cli);
    cli.child.stdin!.write(`${text}\r`);
    await cli.until((now) => prompts(now) > before);
  };
  await cli.until((now) => prompts(now) === 1);
  await say('');
  await say('/began: a run of triage');
  await say('w');
  cli.child.stdin!.write('q\r');
  const { code, stdout } = await cli.ended;
  expect(stdout).toContain('committed: a process owns the store');
  expect(stdout).toMatch(/\(\d+ passed\)[^]*began: a run of triage for task task-1/);
  expect(stdout).toContain('| task-1 (triage) runs, holding lab/agents/triage/0');
  expect(code).toBe(0);
});

describe('stepping', () => {
  const steps = ['a is accepted', 'b is accepted', 'a is claimed'].map((says, at): Step => ({
    atMs: at * 100,
    says,
    seen: { at: 'fault', fault: says },
  }));
  const stepper = (showWaits = false) => new Stepper(walkRecording(steps, -Infinity, Infinity, ['the end']), showWaits);
  const said = (lines: Iterable<string> | undefined): string[] => [...lines!].map((line) => line.trim().replaceAll(/ +/g, ' '));

  test('Enter is the next step, a number so many, and after the last comes the end, once', () => {
    const by = stepper();
    expect(said(by.command(''))).toEqual(['1 0.000 ms a is accepted']);
    expect(said(by.command('5'))).toEqual(['2 100.000 ms b is accepted', '3 200.000 ms a is claimed', 'the end']);
    expect(by.isOver).toBe(true);
    expect(said(by.command(''))).toEqual([]);
  });

  test('a text is looked for from the next step on', () => {
    const by = stepper();
    expect(said(by.command('/a is'))).toEqual(['1 0.000 ms a is accepted']);
    expect(said(by.command('/a is'))).toEqual(['(1 passed)', '3 200.000 ms a is claimed']);
    expect(said(by.command('/a is'))).toEqual(['no further step contains "a is"', 'the end']);
  });

  test('w tells who waits, q ends, and anything else is told what there is', () => {
    const by = stepper();
    expect(said(by.command('w'))).toEqual(['| nobody waits']);
    expect(by.command('q')).toBeUndefined();
    expect(said(by.command('back'))).toEqual(['"back": expected Enter, a number, /text, w or q']);
  });

  test('with waits each step says who waits', () => {
    expect(said(stepper(true).rest())).toHaveLength(2 * steps.length + 1);
  });

  test('steps outside of the times are passed over', () => {
    expect(said(new Stepper(walkRecording(steps, 50, 150, []), false).rest())).toEqual(['1 100.000 ms b is accepted']);
  });

  test('what a task says does not steer the terminal', () => {
    const wipe: Step = { atMs: 0, says: 'task \u001B[2Jx', seen: { at: 'fault', fault: '' } };
    expect(said(new Stepper(walkRecording([wipe], 0, 1, []), false).rest())).toEqual(['1 0.000 ms task [2Jx']);
  });

  test('a check whose waits were not recorded before its end says so', () => {
    const trace = { kind: 'deadlock', steps: [{ says: 'one' }, { says: 'two', waits: ['x waits'] }], repeats: [], cycle: [], holdings: [] };
    const lines = said(new Stepper(walkCheck({ ...trace, noReturnAfter: 1 } as unknown as CheckTrace), true).rest());
    expect(lines).toEqual([
      '1 one <- from here on there is no way back',
      '| who waits here was not recorded',
      '2 two',
      '| x waits',
      'deadlock:',
    ]);
  });
});
