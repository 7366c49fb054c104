import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FLEET, folder, runCli, startCli } from './harness.ts';

const FILES = {
  'throws.mjs': 'const wanted = 1;\nthrow new Error("no key given");\n',
  'none.mjs': 'export default 5;\nexport const other = 1;\n',
  'syntax.mjs': 'let = ;\n',
  'imports.mjs': 'import "./not-there.mjs";\n',
  'enum.ts': 'enum Colour { Red }\nexport default Colour;\n',
  'never.mjs': 'await new Promise(() => {});\n',
  'old.mjs': 'export const topology = { is: "topology", name: "old", agents: {}, kinds: {} };\n',
  'wrong.db': 'this is no database, it is a text of some length, longer than a header\n',
};

describe('what is wrong before anything runs ends with code 2, a code of its own, and what to do', () => {
  test.each<readonly [title: string, args: readonly string[], code: string, says: readonly string[]]>([
    ['no command', [], 'DROVER_USAGE', ['expected a command']],
    ['an unknown command', ['runn'], 'DROVER_USAGE', ["unknown command 'runn'", 'run']],
    ['no topology', ['run'], 'DROVER_USAGE', ["missing required argument 'TOPOLOGY'"]],
    ['an unknown option', ['run', FLEET, '--taks', 'x'], 'DROVER_USAGE', ["unknown option '--taks'", '--tasks']],
    ['a wrong number', ['run', FLEET, '--drain-ms', '1s'], 'DROVER_USAGE', ['--drain-ms', 'whole number of milliseconds', '"1s"']],
    ['an empty store', ['run', FLEET, '--store', ''], 'DROVER_USAGE', ["a path or 'memory'"]],
    ['a missing module', ['run', 'gone.ts'], 'DROVER_TOPOLOGY_FILE', ['gone.ts', 'there is no such file']],
    ['a folder for a module', ['run', '.'], 'DROVER_TOPOLOGY_FILE', ['this is a folder']],
    ['a module that throws', ['run', 'throws.mjs'], 'DROVER_TOPOLOGY_LOAD', ['throws.mjs:2', 'cause: no key given']],
    ['a module with a syntax error', ['run', 'syntax.mjs'], 'DROVER_TOPOLOGY_LOAD', ['syntax.mjs', 'cause: Unexpected']],
    ['a module that imports what is not there', ['run', 'imports.mjs'], 'DROVER_TOPOLOGY_LOAD', ['ERR_MODULE_NOT_FOUND', 'not-there.mjs']],
    ['TypeScript that Node cannot strip', ['run', 'enum.ts'], 'DROVER_TOPOLOGY_LOAD', ['enum.ts:1', 'enum is not supported']],
    ['a module that never finishes loading', ['run', 'never.mjs'], 'DROVER_STUCK', ['never settles']],
    ['a module without a topology', ['run', 'none.mjs'], 'DROVER_NO_TOPOLOGY', ['defineFleet', 'it exports default, other']],
    ['a topology of another version', ['run', 'old.mjs'], 'DROVER_TOPOLOGY_VERSION', ['no dependencies', 'another version']],
    ['a missing tasks file', ['run', FLEET, '--tasks', 'gone.jsonl'], 'DROVER_TASKS_FILE', ['gone.jsonl', 'there is no such file']],
    ['a folder for tasks', ['run', FLEET, '--tasks', '.'], 'DROVER_TASKS_FILE', ['got a folder']],
    ['a store in no folder', ['run', FLEET, '--store', 'gone/s.db'], 'DROVER_STORE_OPEN', ['gone']],
    ['a store that is no database', ['run', FLEET, '--store', 'wrong.db'], 'DROVER_STORE_NOT_A_DATABASE', ['wrong.db']],
  ])('%s', async (_title, args, code, says) => {
    const ended = await runCli(args, folder(FILES));
    expect(ended.stderr).toContain(`drover: ${code}: `);
    for (const words of says) expect(ended.stderr).toContain(words);
    expect(ended.stderr).not.toContain('    at ');
    expect(ended.stdout).toBe('');
    expect(ended.code).toBe(2);
  });
});

test('a store that another process runs is refused with its own code, and that process is not disturbed', async () => {
  const cwd = folder();
  const first = startCli(['run', FLEET, '--store', 's.db'], cwd);
  await first.until(({ stderr }) => stderr.includes('store s.db'));
  const second = await runCli(['run', FLEET, '--store', 's.db'], cwd);
  expect(second.stderr).toContain('DROVER_STORE_OWNED');
  expect(second.code).toBe(2);
  first.child.stdin!.end('{"kind":"shout","input":{"text":"a"}}\n');
  expect((await first.ended).code).toBe(0);
});

test('DROVER_DEBUG shows the stack of an error and of its cause', async () => {
  const cwd = folder();
  writeFileSync(join(cwd, 'throws.mjs'), FILES['throws.mjs']);
  const { stderr, code } = await runCli(['run', 'throws.mjs'], cwd, { env: { DROVER_DEBUG: '1' } });
  expect(stderr).toContain("code: 'DROVER_TOPOLOGY_LOAD'");
  expect(stderr).toMatch(/\[cause\]: Error: no key given\n\s+at /);
  expect(code).toBe(2);
});

test('--help says what a line may hold and which exit codes there are; --version says the version', async () => {
  const cwd = folder();
  const [help, runHelp, version] = await Promise.all([runCli(['--help'], cwd), runCli(['run', '--help'], cwd), runCli(['--version'], cwd)]);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(help.stdout).toMatch(/ {2}run .*TOPOLOGY/);
  expect(runHelp.code).toBe(0);
  expect(runHelp.stdout).toContain('"priority": 0');
  expect(runHelp.stdout).toMatch(/Exit codes:\n {4}0 {2}every task completed\n {4}1 /);
  expect(version).toMatchObject({ code: 0, stderr: '' });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+/);
});
