import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseSeed, replayLine, seedsFrom } from '../../src/cli/simulate-plan.ts';
import { simulateReport, SimulateTally, simulateText } from '../../src/cli/simulate-report.ts';
import { loadSimulation } from '../../src/cli/simulate-workload.ts';
import type { SimulatePlan } from '../../src/cli/simulate-plan.ts';
import type { SeedResult } from '../../src/cli/simulate-worker.ts';
import { folder, jsonLines, runCli, startCli } from './harness.ts';

const LAB = join(import.meta.dirname, 'fixture-lab.ts');
const BROKEN = join(import.meta.dirname, 'fixture-lab-broken.ts');
const NESTED = join(import.meta.dirname, 'fixture-nested.ts');

interface Line {
  readonly seed?: number;
  readonly replay?: string;
  readonly violations?: readonly { readonly invariant: string; readonly message: string; readonly atMs: number }[];
  readonly report?: Record<string, unknown>;
}
const linesOf = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const ODD = (how: string): string => `export const workload = [{ kind: 'odd', input: '${how}' }];\n`;
const once = ['--seeds', '1', '--faults', 'none'];

test('a fleet that holds is clean over its seeds, with a summary and code 0', async () => {
  const { code, stdout, stderr } = await runCli(['simulate', LAB, '--seeds', '8', '--hours', '0.02'], folder());
  expect(stdout).toMatch(/^lab: clean\n {2}violations +none; if there is any, it shows in fewer than 38 % of seeds\n {2}seeds +8\n/);
  expect(stdout).toMatch(
    / {2}time +0\.\d\d fleet-hours in \d+:\d\d, [\d.]+ fleet-hours a second\n {2}tasks +48: 48 completed, 0 failed, 0 dead\n/,
  );
  expect(stdout).toMatch(/ {2}deliveries +[\d,]+, .*\/s\n {2}faults +\w/);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('a violation is told with invariant, message, seed and the line that replays it; the code is 1, however many threads', async () => {
  const cwd = folder();
  const args = ['simulate', BROKEN, '--seed', '6', '--seeds', '2', '--json'];
  const [one, two] = await Promise.all([runCli([...args, '--jobs', '1'], cwd), runCli([...args, '--jobs', '2'], cwd)]);
  const [found, last] = linesOf(one.stdout);
  expect(found).toMatchObject({
    seed: 7,
    violations: [{ invariant: 'U1', message: expect.stringContaining('was before the first mail') }],
    replay: `drover replay ${BROKEN} --seed 7`,
  });
  expect(last!.report).toMatchObject({
    fleet: 'lab',
    ended: 'finished',
    seeds: 2,
    violated: 1,
    broken: { U1: 1 },
    missedBelow: null,
    exitCode: 1,
  });
  expect(linesOf(two.stdout)[0]).toEqual(found);
  expect(linesOf(two.stdout)[1]!.report!['statistics']).toEqual(last!.report!['statistics']);
  expect([one.code, two.code]).toEqual([1, 1]);
});

test('the line that a violation prints does it again, at the same virtual time', async () => {
  const { stdout } = await runCli(['simulate', BROKEN, '--seed', '7', '--seeds', '1'], folder());
  const [, told, args] = /^seed 7: (U1 at \d+ ms: .*)\n {2}replay: drover (.*)$/m.exec(stdout)!;
  const replayed = await runCli(args!.split(' '), folder());
  expect(replayed.stdout).toContain(`violated: ${told}\n`);
  expect(replayed.code).toBe(1);
});

test('--tasks takes the lines of drover run, and each seed draws when they come', async () => {
  const tasks = jsonLines(['a', 'b', 'c'].map((mail) => ({ kind: 'triage', input: { mail }, id: mail })));
  const cwd = folder({ 'mails.jsonl': tasks });
  const args = ['simulate', LAB, '--tasks', 'mails.jsonl', '--seeds', '2', '--faults', 'none', '--sampler', 'fair', '--json'];
  const { code, stdout } = await runCli(args, cwd);
  expect(linesOf(stdout)[0]!.report).toMatchObject({ seeds: 2, exit: 'clean', statistics: { tasks: 12, completed: 12, faults: {} } });
  expect(code).toBe(0);
});

describe('what is wrong with what was given is refused before any seed is begun', () => {
  const FILES = {
    'once.mjs': 'export const workload = (function* () {})();\n',
    'none.mjs': 'export const other = 1;\n',
    'throws.mjs': '\nthrow new Error("no key given");\n',
    'field.mjs': 'export const simulation = { workload: [], faults: { kill: 1 } };\n',
    'text.mjs': 'export const simulation = "all of it";\n',
    'input.mjs': 'export const workload = [{ kind: "odd", input: "sings" }];\n',
    'bad.jsonl': '{"kind": oops}\n',
  };
  test.each<readonly [title: string, plan: Partial<SimulatePlan>, code: string, says: string]>([
    ['no tasks', { topology: NESTED }, 'NO_WORKLOAD', 'export const simulation = { workload: [{ kind: "digger", input: ... }] }'],
    ['a missing topology', { topology: 'gone.ts' }, 'TOPOLOGY_FILE', 'there is no such file'],
    ['a missing workload', { workload: 'gone.mjs' }, 'WORKLOAD_FILE', 'there is no such file'],
    ['a workload that throws while loading', { workload: 'throws.mjs' }, 'WORKLOAD_FILE', 'throws.mjs:2'],
    ['a workload that exports none', { workload: 'none.mjs' }, 'SIMULATION_EXPORT', 'other'],
    ['a generator that has begun', { workload: 'once.mjs' }, 'SIMULATION_EXPORT', 'generator function itself'],
    ['a simulation that is no object', { workload: 'text.mjs' }, 'SIMULATION_EXPORT', 'expected an object'],
    ['an unknown fault', { workload: 'field.mjs' }, 'SIMULATION_OPTION', 'faults.kill'],
    ['a missing tasks file', { tasks: 'gone.jsonl' }, 'TASKS_FILE', 'there is no such file'],
    ['a line that is no task', { tasks: 'bad.jsonl' }, 'TASKS_FILE', 'line 1 is no task'],
  ])('%s', async (_title, plan, code, says) => {
    await expect(loadSimulation({ topology: LAB, cwd: folder(FILES), ...plan })).rejects.toThrow(
      expect.objectContaining({ code: `DROVER_${code}`, message: expect.stringContaining(says) }),
    );
  });

  test.each<readonly [title: string, args: readonly string[], code: string, says: string]>([
    ['a negative seed', ['--seed=-1'], 'DROVER_USAGE', '--seed: expected a whole number from 0'],
    ['two sources of tasks', ['--tasks', 'bad.jsonl', '--workload', 'none.mjs'], 'DROVER_USAGE', 'cannot be used with'],
    ['an input that does not fit', ['--workload', 'input.mjs', ...once], 'DROVER_PAYLOAD_INVALID', 'odd'],
  ])('with code 2 on the command line: %s', async (_title, args, code, says) => {
    const ended = await runCli(['simulate', LAB, ...args], folder(FILES));
    expect(ended.stderr).toContain(`drover: ${code}: `);
    expect(ended.stderr).toContain(says);
    expect(ended.stdout).toBe('');
    expect(ended.code).toBe(2);
  });
});

describe("what a user's code does to a simulation is told apart from a violation, with code 4", () => {
  test.each<readonly [title: string, module: string, args: readonly string[], code: string, says: RegExp]>([
    [
      'a workload that throws',
      '\nexport function* workload() { throw new Error("no mails"); }\n',
      [],
      'CALLBACK',
      /w\.mjs:2:\d+: no mails/,
    ],
    ['a run that never yields', ODD('spins'), ['--stuck-ms', '700'], 'SILENT', /seed 1: .*after the run of odd for task task-1 began/],
    ['a run that ends the process', ODD('exits'), [], 'THREAD', /seed 1: its thread ended: exit code 7/],
  ])('%s', async (_title, module, args, code, says) => {
    const ended = await runCli(['simulate', LAB, '--workload', 'w.mjs', ...once, ...args, '--json'], folder({ 'w.mjs': module }));
    expect(ended.stderr).toContain(`drover: not simulated to the end: DROVER_SIMULATION_${code}: `);
    expect(ended.stderr).toMatch(says);
    expect(linesOf(ended.stdout)).toMatchObject([
      { report: { ended: 'failed', seeds: 0, violated: 0, error: { code: `DROVER_SIMULATION_${code}` }, exitCode: 4 } },
    ]);
    expect(ended.code).toBe(4);
  });

  test('chance in a run is told with its place, once, and the code is 1; allowed, it is not looked for', async () => {
    const cwd = folder({ 'w.mjs': ODD('dice') });
    const args = ['simulate', LAB, '--workload', 'w.mjs', '--seeds', '2', '--jobs', '1', '--faults', 'none'];
    const [told, allowed] = await Promise.all([runCli(args, cwd), runCli([...args, '--nondeterminism', 'allow'], cwd)]);
    expect(told.stdout.match(/nondeterminism: Math\.random was used at .*fixture-lab\.ts:\d+:\d+ \(odd, task-1\)/g)).toHaveLength(1);
    expect(told.stdout).toContain('1 place in your code');
    expect([told.code, allowed.code]).toEqual([1, 0]);
  });

  test('what a run prints does not come between the results', async () => {
    const { code, stdout, stderr } = await runCli(
      ['simulate', LAB, '--workload', 'w.mjs', ...once, '--json'],
      folder({ 'w.mjs': ODD('prints') }),
    );
    expect(linesOf(stdout)).toHaveLength(1);
    expect(stderr).toContain('{"this is":"no result"}');
    expect(code).toBe(0);
  });

  test('without any task nothing is tested, and that is said', async () => {
    const { code, stdout } = await runCli(['simulate', LAB, '--tasks', 'none.jsonl', '--seeds', '1'], folder({ 'none.jsonl': '' }));
    expect(stdout).toContain('none was submitted: nothing has been tested');
    expect(code).toBe(4);
  });
});

test('Ctrl-C ends with what was found so far', async () => {
  const cli = startCli(['simulate', BROKEN, '--seeds', '1000000', '--json'], folder());
  await cli.until(({ stdout }) => stdout.includes('"seed"'));
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  expect(linesOf(stdout).at(-1)!.report).toMatchObject({ ended: 'interrupted', wanted: 1_000_000, exit: 'violated' });
  expect(code).toBe(1);
});

test('--trace writes the first violation, once', async () => {
  const cwd = folder();
  const { stderr } = await runCli(['simulate', BROKEN, '--seed', '7', '--seeds', '1', '--hours', '0.1', '--trace', 'found.json'], cwd);
  expect(JSON.parse(readFileSync(join(cwd, 'found.json'), 'utf8'))).toMatchObject({
    format: 'drover-trace',
    version: 1,
    topology: { name: 'lab' },
    of: 'simulation',
    simulation: { seed: 7, durationMs: 360_000 },
  });
  expect(stderr).toContain(`trace: drover replay ${BROKEN} --trace found.json`);
  await runCli(['simulate', LAB, '--seeds', '1', '--trace', 'clean.json'], cwd);
  expect(existsSync(join(cwd, 'clean.json'))).toBe(false);
});

describe('parts', () => {
  test('digits are a number, other words a text', () => {
    expect(['0', '17', 'monday', '17a'].map(parseSeed)).toEqual([0, 17, 'monday', '17a']);
  });

  test.each(['', '-1', '1.5', '1e3', '0x10', ' 7', '9007199254740993', 'x'.repeat(201)])('%j is no seed', (text) => {
    expect(() => parseSeed(text)).toThrow(expect.objectContaining({ code: 'DROVER_USAGE' }));
  });

  test('seeds go on from the first one', () => {
    expect([...seedsFrom(7, 3)]).toEqual([7, 8, 9]);
    expect([...seedsFrom('a', 2)]).toEqual(['a/0', 'a/1']);
    expect([...seedsFrom('a', 1)]).toEqual(['a']);
  });

  test('a replay line has everything that decides what happens, as a shell takes it', () => {
    const plan = { topology: 'my fleet.ts', cwd: '/', tasks: 't.jsonl', durationMs: 36_000, faults: 'none', sampler: 'pos' } as const;
    expect(replayLine(plan, 'a b')).toBe(
      "drover replay 'my fleet.ts' --seed 'a b' --tasks t.jsonl --duration-ms 36000 --faults none --sampler pos",
    );
  });

  const result = (change: Partial<SeedResult> = {}): SeedResult => ({
    seed: 1,
    virtualMs: 3_600_000,
    statistics: { ...new SimulateTally().statistics, tasks: 2, completed: 1, dead: 1, faults: { kill: 2 }, ends: { E: 1 } },
    violations: [],
    nondeterminism: [],
    rejections: [],
    replay: '',
    hash: '',
    events: 0,
    ...change,
  });
  const reportOf = (results: readonly SeedResult[], ended: 'finished' | 'interrupted' | 'failed' = 'finished') => {
    const tally = new SimulateTally();
    for (const one of results) tally.add(one);
    return simulateReport({ fleet: 'one', tally, wanted: 4, ended, error: null, wallMs: 2_000 });
  };

  test('a report adds up, and says how many clean seeds are worth', () => {
    const report = reportOf([result(), result(), result()]);
    expect(report).toMatchObject({ seeds: 3, fleetHours: 3, hoursPerSecond: 1.5, missedBelow: 1, exit: 'clean' });
    expect(simulateText(report)).toContain('6: 3 completed, 0 failed, 3 dead');
    expect(simulateText(report)).toContain('faults      kill 6\n  ends        E 3\n');
  });

  test.each([
    ['clean', [result()], 'finished', 0],
    ['interrupted', [result()], 'interrupted', 130],
    ['a violation, whatever came after', [result({ violations: [{ invariant: 'S1', message: '', atMs: 0 }] })], 'interrupted', 1],
    ['something else kept it from going on', [result()], 'failed', 4],
    ['no seed at all', [], 'finished', 4],
  ] as const)('how it ends: %s', (_title, results, ended, code) => {
    expect(reportOf(results, ended).exitCode).toBe(code);
  });
});
