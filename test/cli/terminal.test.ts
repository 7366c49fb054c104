import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { FLEET, folder, jsonLines, MAIN, NODE, RunningCli } from './harness.ts';

/** `script` of util-linux gives a program a terminal of its own. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

const HIDE = '\u001B[?25l';
const SHOW = '\u001B[?25h';

function inTerminal(args: readonly string[], columns: number, cwd: string): RunningCli {
  const command = `stty cols ${columns} rows 24; exec ${[...NODE, MAIN, ...args].join(' ')}`;
  return new RunningCli(['script', '--quiet', '--return', '--flush', '--command', command, '/dev/null'], cwd, {
    env: { TERM: 'xterm', SHELL: '/bin/sh' },
  });
}

const slow = jsonLines([
  ...Array.from({ length: 8 }, (_, at) => ({ kind: 'shout', input: { text: `t${at}`, ms: 150 } })),
  { kind: 'shaky', input: { times: 9 } },
]);

test.runIf(hasScript)('on a terminal progress is drawn in place, no wider than the terminal, and the cursor comes back', async () => {
  const cwd = folder({ 'tasks.jsonl': slow });
  const { code, stdout } = await inTerminal(['run', FLEET, '--tasks', 'tasks.jsonl', '--store', 'memory'], 44, cwd).ended;
  const from = stdout.indexOf(HIDE);
  const to = stdout.lastIndexOf(SHOW);
  expect(from).toBeGreaterThanOrEqual(0);
  expect(to).toBeGreaterThan(from);
  const live = stdout.slice(from, to);
  expect(live).toContain('queue ');
  expect(live).toContain('% ');
  // oxlint-disable-next-line no-control-regex -- the sequences that move the cursor
  const frames = live.split(/\u001B\[(?:\d+A\r\u001B\[)?J|\u001B\[\?25l/).slice(1);
  expect(frames.length).toBeGreaterThan(2);
  const drawn = frames.flatMap((frame) => frame.split('\r\n')).filter((line) => /queue|running|tokens|small {2}/.test(line));
  // oxlint-disable-next-line no-control-regex -- what is left of the sequences has no width
  for (const line of drawn) expect(line.replaceAll(/\u001B\[[\d?]*[A-Za-z]|\r/g, '').length).toBeLessThanOrEqual(44);
  // Notes stay above, the report comes after.
  expect(stdout).toContain('(shaky) is dead: not at attempt 3\r\n');
  expect(stdout.slice(to)).toMatch(/small: finished\r\n/);
  expect(code).toBe(1);
});

test.runIf(hasScript)('Ctrl-C on a terminal drains and gives the cursor back', async () => {
  const cwd = folder({ 'tasks.jsonl': slow });
  const cli = inTerminal(['run', FLEET, '--tasks', 'tasks.jsonl', '--store', 'memory'], 80, cwd);
  await cli.until(({ stdout }) => stdout.includes('begun') && stdout.includes('queue '));
  cli.child.stdin!.write('\u0003');
  const { code, stdout } = await cli.ended;
  expect(stdout).toContain('interrupted: nothing new starts');
  expect(stdout.lastIndexOf(SHOW)).toBeGreaterThan(stdout.lastIndexOf(HIDE));
  expect(stdout).toContain('small: interrupted');
  expect(code).toBe(130);
});
