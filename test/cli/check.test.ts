import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DeadlockVerdict } from '../../src/testing/index.ts';
import { checkExit, checkText } from '../../src/cli/check-report.ts';
import { testExitCode } from '../../src/cli/exit-codes.ts';
import { folder, runCli } from './harness.ts';

const NESTED = join(import.meta.dirname, 'fixture-nested.ts');

test('a fleet that cannot get stuck is proved, with the bounds of the search, and the code is 0', async () => {
  const { code, stdout, stderr } = await runCli(['check', NESTED, '--max-states', '20000', '--runs', '3'], folder());
  expect(stdout).toMatch(/^nested: proved: /);
  expect(stdout).toMatch(/ note: agents\.digger\.asks\.digger: digger asks digger/);
  expect(stdout).toMatch(/ {2}depth of asks +3 \(declared: 16\)\n/);
  expect(stdout).toMatch(/ {2}crashes +\d+ \(declared: unbounded\)\n/);
  expect(stdout).toMatch(/[\d,]+ states, [\d,]+ moves/);
  expect(stdout).toMatch(/\nsampled:\n {2}3 runs of the real machines, [\d,]+ deliveries/);
  expect(stderr).toBe('nested: searching ...\n');
  expect(code).toBe(0);
});

test('without parking the same fleet is refuted: circle, holdings, numbered trace, picture, replay, and the code is 1', async () => {
  const { code, stdout } = await runCli(['check', NESTED, '--without', 'parking', '--quiet'], folder());
  expect(stdout).toMatch(/^nested: violated: deadlock/);
  expect(stdout).toContain('worker of digger: held by digger (waits for a child, 1 open child), who waits for digger at depth 1');
  expect(stdout).toContain('  digger (waits for a child, 1 open child) holds worker of digger\n');
  expect(stdout).toMatch(/ 1\. digger starts on worker of digger\n {3}2\. digger asks digger .*no way back\n {3}3\. /);
  expect(stdout).toContain('  flowchart LR\n');
  expect(stdout).toContain(`  drover check ${NESTED} --without parking --trace trace.json; drover replay ${NESTED} --trace trace.json\n`);
  expect(code).toBe(1);
});

test('--json is one object, and the trace that was asked for is a file', async () => {
  const cwd = folder();
  const args = ['check', NESTED, '--without', 'parking', '--json', '--trace', 'stuck.json'];
  const { code, stdout } = await runCli(args, cwd);
  expect(JSON.parse(stdout)).toMatchObject({
    fleet: 'nested',
    lint: [{ code: 'asks-in-a-circle', severity: 'error' }, { code: 'holds-while-acquiring' }],
    verdict: { at: 'violated', kind: 'deadlock', trace: { length: 3 } },
    replay: `drover replay ${NESTED} --trace stuck.json`,
    exit: 'violated',
    exitCode: 1,
  });
  expect(JSON.parse(readFileSync(join(cwd, 'stuck.json'), 'utf8'))).toMatchObject({
    format: 'drover-trace',
    of: 'check',
    kind: 'deadlock',
  });
  expect(code).toBe(1);
});

test('a bound that is hit first is no verdict, with a code of its own, unless sampling says something', async () => {
  const check = (...more: readonly string[]) => runCli(['check', NESTED, '--max-states', '5', ...more], folder());
  const [alone, sampled] = await Promise.all([check('--runs', '0'), check('--runs', '2')]);
  expect(alone.stdout).toMatch(/^nested: nothing can be concluded: the bound on states was hit .*; raise --max-states\n/);
  expect(sampled.stdout).toMatch(/^nested: no counterexample: the bound on states was hit /);
  expect([alone.code, sampled.code]).toEqual([4, 0]);
});

test.each([
  ['--max-states', '0'],
  ['--trace', 'gone/stuck.json', '--without', 'parking'],
])('wrong usage ends with code 2: %s %s', async (...args) => {
  const { code, stdout, stderr } = await runCli(['check', NESTED, ...args], folder());
  expect(stderr).toMatch(/^(?:nested: searching \.\.\.\n)?drover: DROVER_USAGE: /);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

describe('verdicts in words', () => {
  const search = {
    at: 'not-finished',
    why: 'time',
    states: 500,
    transitions: 900,
    ms: 1_000,
    bounds: { crashes: { searched: 1, declared: 'unbounded' } },
    ranked: { at: 'circular', circle: [] },
    lint: [],
    finished: [],
  };

  test('time that is up says which bound to raise, and how fast it was', () => {
    const verdict = { at: 'no-counterexample', lint: [], search, sampled: undefined } as unknown as DeadlockVerdict;
    expect(checkText('one', verdict, '')).toContain('raise --time-ms');
    expect(checkText('one', verdict, '')).toContain('500 states, 900 moves, 500 states a second');
    expect(testExitCode(checkExit(verdict))).toBe(4);
  });

  test('what a run of the real machines broke is told with its steps and without a picture', () => {
    const found = {
      kind: 'invariant',
      by: 'sample',
      cycle: ['S2: two ends'],
      holdings: [],
      trace: ['submitted: a', 'S2: two ends'],
      mermaid: undefined,
    };
    const sampled = { runs: 7, deliveries: 70, virtualMs: 3_600_000, missedAtMost: 0.25 };
    const verdict = { at: 'violated', lint: [], search, sampled, seed: 7, replay: '', ...found } as unknown as DeadlockVerdict;
    const text = checkText('one', verdict, 'drover check one.ts --runs 1 --seed 7');
    expect(text).toMatch(/^one: violated: the real machines broke a promise of the runtime\n/);
    expect(text).toContain(
      '7 runs of the real machines, 70 deliveries, 1.00 fleet-hours; a fault of two orderings is missed with a chance of at most 0.25',
    );
    expect(text).toContain('   1. submitted: a\n   2. S2: two ends\n');
    expect(text).not.toContain('mermaid');
    expect(text).toMatch(/\nreplay:\n {2}drover check one\.ts --runs 1 --seed 7\n$/);
  });
});
