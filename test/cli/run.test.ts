import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FLEET, folder, jsonLines, readJson, runCli } from './harness.ts';

/** Escape, or any other control code but the newline. */
// oxlint-disable-next-line no-control-regex -- control codes are what is looked for
const CONTROL_CODES = /[\u0000-\u0009\u000B-\u001F\u007F]/;

const shouts = (texts: readonly string[]): string => jsonLines(texts.map((text) => ({ kind: 'shout', input: { text } })));

test('a file of tasks runs to its end: report on standard output, store beside it, exit code 0', async () => {
  const cwd = folder({ 'tasks.jsonl': shouts(['a', 'bb', 'ccc']) });
  const { code, stdout, stderr } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl'], cwd);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^small: finished\n {2}lines +3: 3 submitted, 0 refused\n {2}tasks +3 completed, 0 failed, 0 dead, 0 retried\n {2}calls +3, 0 retried, 0 rate limited\n {2}tokens +6 in, 12 out\n {2}restarts +0\n {2}time /,
  );
  expect(stderr).toBe('small: store small.db, tasks from tasks.jsonl\n');
  expect(existsSync(join(cwd, 'small.db'))).toBe(true);
});

test('in a pipe nothing is written that steers a terminal, not even what a task says', async () => {
  const cwd = folder();
  const input = jsonLines([
    { kind: 'shout', input: { text: 'a' } },
    { kind: '\u001B[2Jwipe', input: 1 },
    { kind: 'shout', input: { text: 7, '\u001B[2J': 1 } },
  ]);
  const { stdout, stderr } = await runCli(['run', FLEET], cwd, { input });
  expect(stderr).toContain('standard input:2: DROVER_UNKNOWN_KIND');
  expect(stdout).not.toMatch(CONTROL_CODES);
  expect(stderr).not.toMatch(CONTROL_CODES);
});

test('--json writes one line for each task that ends, also for those that an agent asked for, and the report last', async () => {
  const input = jsonLines([
    { kind: 'shout', input: { text: 'one' }, id: 'first' },
    { kind: 'pair', input: { text: 'two' }, id: 'second', priority: 5 },
    { kind: 'shaky', input: { times: 1 }, id: 'third' },
    { kind: 'shaky', input: { times: 9 }, id: 'fourth' },
  ]);
  const { code, stdout } = await runCli(['run', FLEET, '--store', 'memory', '--json'], folder(), { input });
  const { results, report } = readJson(stdout);
  const byId = Object.fromEntries(results.map(({ id, ...rest }) => [id, rest]));
  expect(byId).toEqual({
    first: { kind: 'shout', status: 'completed', result: 'ONE' },
    second: { kind: 'pair', status: 'completed', result: ['TWO', 'TWO!'] },
    'second/shout#1': { kind: 'shout', status: 'completed', parentId: 'second', result: 'TWO' },
    'second/shout#2': { kind: 'shout', status: 'completed', parentId: 'second', result: 'TWO!' },
    third: { kind: 'shaky', status: 'completed', result: 2 },
    fourth: { kind: 'shaky', status: 'dead', error: { name: 'Error', message: 'not at attempt 3' } },
  });
  expect(results).toHaveLength(6);
  expect(report).toMatchObject({
    ended: 'finished',
    exit: 'incomplete',
    exitCode: 1,
    lines: 4,
    submitted: 4,
    completed: 5,
    dead: 1,
    retried: 3,
    calls: 3,
    inputTokens: 10,
    left: 0,
    resume: null,
  });
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\{"report":/);
  expect(code).toBe(1);
});

test('a line that is no task is reported with its number and the code of its error; the others run', async () => {
  const lines = [
    '{"kind":"shout","input":{"text":"good"}}',
    '',
    '{"kind": oops}',
    '[1]',
    '{"kind":"nobody"}',
    '{"kind":"shout","input":{"text":7}}',
    '{"kind":"shout","input":{"text":"x"},"prio":1}',
    '{"kind":"shout","input":{"text":"x"},"priority":1.5}',
    '{"kind":"shout","input":{"text":"one"},"id":"same"}',
    '{"kind":"shout","input":{"text":"other"},"id":"same"}',
    '{"kind":"shout","input":{"text":"last"}}',
  ];
  const cwd = folder({ 'tasks.jsonl': lines.join('\n') });
  const { code, stdout, stderr } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json', '--quiet'], cwd);
  const refused = [...stderr.matchAll(/^tasks\.jsonl:(\d+): (DROVER_\w+): /gm)].map(([, line, errorCode]) => `${line} ${errorCode}`);
  expect(refused.toSorted()).toEqual([
    '10 DROVER_TASK_CONFLICT',
    '3 DROVER_TASK_LINE',
    '4 DROVER_TASK_LINE',
    '5 DROVER_UNKNOWN_KIND',
    '6 DROVER_PAYLOAD_INVALID',
    '7 DROVER_TASK_LINE',
    '8 DROVER_TASK_LINE',
  ]);
  expect(stderr).toContain('there are shout, shaky, pair');
  const { results, report } = readJson(stdout);
  expect(new Set(results.map(({ result }) => result))).toEqual(new Set(['GOOD', 'LAST', 'ONE']));
  expect(report).toMatchObject({ lines: 10, submitted: 3, refused: 7, completed: 3, exitCode: 1 });
  expect(code).toBe(1);
});

test('the same file again does nothing twice and answers the same; lines added at its end are new', async () => {
  const cwd = folder({ 'tasks.jsonl': shouts(['a', 'b']) });
  const first = readJson((await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd)).stdout);
  writeFileSync(join(cwd, 'tasks.jsonl'), shouts(['a', 'b', 'c']));
  const second = readJson((await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd)).stdout);
  expect(second.results.slice(0, 2).map(({ id, result }) => [id, result])).toEqual(first.results.map(({ id, result }) => [id, result]));
  expect(second.report).toMatchObject({ lines: 3, submitted: 1, known: 2, endedBefore: 2, completed: 1, exitCode: 0 });
  expect(readFileSync(join(cwd, 'ran.log'), 'utf8').trimEnd().split('\n')).toHaveLength(3);
});

test('two lines with one id and the same input are one task', async () => {
  const line = { kind: 'shout', input: { text: 'a' }, id: 'x' };
  const { code, stdout } = await runCli(['run', FLEET, '--store', 'memory', '--json'], folder(), { input: jsonLines([line, line]) });
  const { results, report } = readJson(stdout);
  expect(results).toHaveLength(1);
  expect(report).toMatchObject({ lines: 2, submitted: 1, known: 1, completed: 1 });
  expect(code).toBe(0);
});

test('without anything to do a run ends at once, well', async () => {
  const { code, stdout } = await runCli(['run', FLEET, '--store', 'memory'], folder());
  expect(code).toBe(0);
  expect(stdout).toContain('lines     none');
});

test('a task that failed in a former run still counts when its line comes again', async () => {
  const cwd = folder({ 'tasks.jsonl': jsonLines([{ kind: 'shaky', input: { times: 9 }, id: 's' }]) });
  await runCli(['run', FLEET, '--tasks', 'tasks.jsonl'], cwd);
  const { code, stdout } = await runCli(['run', FLEET, '--tasks', 'tasks.jsonl', '--json'], cwd);
  expect(readJson(stdout)).toMatchObject({ results: [{ id: 's', status: 'dead' }], report: { dead: 0, endedBefore: 1 } });
  expect(code).toBe(1);
});

test('a promise that an agent forgot is told, and the fleet goes on', async () => {
  const input = jsonLines([{ kind: 'careless', input: 'rejects' }]);
  const { code, stderr } = await runCli(['run', FLEET, '--store', 'memory'], folder(), { input });
  expect(stderr).toContain('warn: a promise was rejected and nobody looked at it: stray');
  expect(code).toBe(0);
});

test('--quiet says nothing on standard error but errors', async () => {
  const input = jsonLines([
    { kind: 'shaky', input: { times: 9 } },
    { kind: 'shout', input: { text: 'a' } },
  ]);
  const { stdout, stderr } = await runCli(['run', FLEET, '--store', 'memory', '--quiet'], folder(), { input });
  expect(stderr).toBe('');
  expect(stdout).toContain('1 completed, 0 failed, 1 dead');
});
