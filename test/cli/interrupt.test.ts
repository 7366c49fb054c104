import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { FLEET, FRAGILE, folder, jsonLines, readJson, runCli, startCli } from './harness.ts';

const slow = (count: number, ms: number): string =>
  jsonLines(Array.from({ length: count }, (_, at) => ({ kind: 'shout', input: { text: `t${at}`, ms } })));

const begun = ({ stderr }: { readonly stderr: string }): boolean => stderr.includes('begun');
const results =
  (least: number) =>
  ({ stdout }: { readonly stdout: string }): boolean =>
    stdout.split('\n').length > least;
const ranIn = (cwd: string): string[] => readFileSync(join(cwd, 'ran.log'), 'utf8').trimEnd().split('\n');

test('Ctrl-C drains: what runs ends, nothing new starts, and the command that it names goes on', async () => {
  const cwd = folder({ 'tasks.jsonl': slow(12, 300) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd);
  await cli.until(begun);
  cli.child.kill('SIGINT');
  const { code, stdout, stderr } = await cli.ended;
  const first = readJson(stdout);
  expect(code).toBe(130);
  expect(stderr).toContain('interrupted: nothing new starts');
  // Those that had begun were let end: one for each of four workers, or two on a busy machine.
  const done = first.results.length;
  expect([4, 8]).toContain(done);
  const resume = `drover run ${FLEET} --tasks tasks.jsonl`;
  expect(first.report).toMatchObject({ ended: 'interrupted', submitted: 12, completed: done, left: 12 - done, resume, exitCode: 130 });

  const again = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd);
  const second = readJson(again.stdout);
  expect(again.code).toBe(0);
  expect(second.report).toMatchObject({ resumed: 12 - done, submitted: 0, known: 12, endedBefore: done, completed: 12 - done, left: 0 });
  expect(second.results).toHaveLength(12);
  expect(ranIn(cwd).toSorted()).toEqual(second.results.map(({ id }) => id as string).toSorted());
});

test('SIGTERM drains like Ctrl-C; one Ctrl-C that comes twice, as under npm, counts once', async () => {
  const cli = startCli(['run', FLEET, '--store', 'memory'], folder(), { input: slow(12, 200) });
  await cli.until(begun);
  cli.child.kill('SIGTERM');
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(stdout).toMatch(/^small: interrupted\n[^]*tasks +(?:4|8) completed[^]*left +(?:8|4) tasks in memory\n$/);
});

test('after the drain deadline a run is given up, and its task begins again at the next start', async () => {
  const cwd = folder({ 'tasks.jsonl': slow(1, 60_000) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--drain-ms', '50'], cwd);
  await cli.until(begun);
  cli.child.kill('SIGINT');
  const { code, stdout } = await cli.ended;
  expect(code).toBe(130);
  expect(stdout).toContain('left      1 task in small.db');
});

test('a second Ctrl-C stops at once, and the store can be resumed', async () => {
  const cwd = folder({ 'tasks.jsonl': slow(1, 5_000) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl'], cwd);
  await cli.until(begun);
  cli.child.kill('SIGINT');
  await cli.until(({ stderr }) => stderr.includes('interrupted'));
  // Longer than one Ctrl-C may echo.
  await sleep(300);
  const fromMs = performance.now();
  cli.child.kill('SIGINT');
  const { code, stdout, stderr } = await cli.ended;
  expect(code).toBe(131);
  expect(performance.now() - fromMs).toBeLessThan(1_000);
  expect(stdout).toBe('');
  expect(stderr).toContain('stopped at once; what ran begins again when small.db is run again');

  const resumed = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--drain-ms', '0'], cwd);
  // What is resumed may begin before the command has said so.
  await resumed.until((seen) => begun(seen) && seen.stderr.includes('store small.db with 1 unfinished task'));
  resumed.child.kill('SIGINT');
  expect((await resumed.ended).code).toBe(130);
});

test('kill -9 at any moment: the next start finishes everything, and nothing that was reported runs again', async () => {
  const cwd = folder({ 'tasks.jsonl': slow(40, 20) });
  const killed = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd);
  await killed.until(results(9));
  killed.child.kill('SIGKILL');
  const before = (await killed.ended).stdout
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => (JSON.parse(line) as { id: string }).id);
  const { code, stdout } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd);
  const after = readJson(stdout);
  expect(code).toBe(0);
  expect(new Set(after.results.map(({ id }) => id)).size).toBe(40);
  expect(after.results).toHaveLength(40);
  const ran = ranIn(cwd);
  for (const id of before) expect(ran.filter((other) => other === id)).toHaveLength(1);
});

test('a reader that leaves, such as head, ends the run quietly', async () => {
  const cwd = folder({ 'tasks.jsonl': slow(200, 20) });
  const cli = startCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd, { env: { DROVER_LOG: 'silent' } });
  await cli.until(results(1));
  cli.child.stdout!.destroy();
  const { code, stderr } = await cli.ended;
  expect(code).toBe(141);
  expect(stderr).toBe('small: store small.db, tasks from tasks.jsonl\n');
});

test('a slow reader holds the run back, and loses nothing', async () => {
  const texts = Array.from({ length: 300 }, (_, at) => ({ kind: 'shout', input: { text: `${at}`.padEnd(1_000, '.') } }));
  const cli = startCli(['run', FLEET, '--store', 'memory', '--json'], folder(), { input: jsonLines(texts) });
  cli.child.stdout!.pause();
  await cli.until(({ stderr }) => stderr.includes('store memory'));
  await sleep(200);
  cli.child.stdout!.resume();
  const { code, stdout } = await cli.ended;
  expect(readJson(stdout).results).toHaveLength(300);
  expect(code).toBe(0);
});

test('a fleet that cannot go on ends with code 3, says why, and what goes on with the rest', async () => {
  const cwd = folder({ 'tasks.jsonl': jsonLines([{ kind: 'crash' }]) });
  const { code, stdout, stderr } = await runCli(['run', FRAGILE, '--tasks', 'tasks.jsonl', '--store', 'the store.db'], cwd);
  expect(code).toBe(3);
  expect(stderr).toContain('this worker is broken');
  expect(stderr).toContain(`the fleet could not go on: `);
  expect(stderr).toContain(`go on with: drover run ${FRAGILE} --tasks tasks.jsonl --store 'the store.db'`);
  expect(stdout).toMatch(/^fragile: failed\n[^]*left +1 task in the store\.db\n/);
});

test('an exception that nobody caught ends the process at once, without a stack', async () => {
  const { code, stderr } = await runCli(['run', FLEET], folder(), { input: jsonLines([{ kind: 'careless', input: 'throws' }]) });
  expect(code).toBe(3);
  expect(stderr).toContain('an exception that nobody caught; what ran begins again when small.db is run again: astray');
  expect(stderr).not.toContain('    at ');
});
