import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const readme = readFileSync('README.md', 'utf8');
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);

test('the smallest fleet of the README runs as it stands', () => {
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', blocks[0]!];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('HELLO\n');
});

test('the second fleet of the README is a topology that can be made', () => {
  const definition = blocks[1]!.slice(0, blocks[1]!.indexOf('await using fleet')).replace('new OpenAI()', "new OpenAI({ apiKey: 'none' })");
  const code = `${definition}\nconsole.log(Object.keys(topology.kinds).join(' '));`;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('triage summarise\n');
});

test('the tests of a fleet that the README shows pass as they stand', { timeout: 60_000 }, () => {
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', blocks[2]!];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('proved\n');
});

test('the supervisor that the README shows restarts what it says', () => {
  const code = blocks.find((block) => block.includes('createSupervisor'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('connection 2, session 2\n');
});

test('the script that the README shows calls what it is let, and knows what it cost', () => {
  const code = blocks.find((block) => block.includes('await using gate'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('one! two! three! 0.003\n');
});

test('the order that the README shows is paid, approved and shipped', () => {
  const code = blocks.find((block) => block.includes('approval.asked'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8', timeout: 15_000 })).toBe('lamp for 4900, by Ada\n');
});

test('the lock and the leader that the README shows are had without a fleet', () => {
  const code = blocks.find((block) => block.includes('drover/coordination'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8', timeout: 15_000 })).toBe('written under token 1, false true true\n');
});

test('the deposit into a database of your own that the README shows is made once, over all runs of the program', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drover-readme-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(process.cwd(), join(folder, 'node_modules', 'drover'));
  const code = blocks.find((block) => block.includes('accounts.db'))!;
  const run = (text: string): readonly [string | null, string] => {
    writeFileSync(join(folder, 'bank.ts'), text);
    const flags = ['--conditions=drover-source', 'bank.ts'];
    const { signal, stdout } = spawnSync(process.execPath, flags, { cwd: folder, encoding: 'utf8' });
    // Behind what the fleet logs.
    return [signal, stdout.split('\n').at(-2) ?? ''];
  };
  expect(run(code.replace("db.exec('commit');", "db.exec('commit'); process.kill(process.pid, 'SIGKILL');"))[0]).toBe('SIGKILL');
  expect([run(code), run(code)]).toEqual([
    [null, '110'],
    [null, '110'],
  ]);
  // Another deposit, under tokens that have gone on.
  expect(run(code.replace("id: 'deposit-1'", "id: 'deposit-2'"))).toEqual([null, '120']);
});

test('the statechart that the README shows is run as an agent', () => {
  const code = blocks.find((block) => block.includes('agent({ ...declared, machine })'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toMatch(/hello! \(eve\)\n$/);
});

const ERRORS = [
  'actors/budget/errors.ts',
  'actors/host/asks.ts',
  'actors/ports/store-errors.ts',
  'src/admission/call-errors.ts',
  'src/admission/errors.ts',
  'src/admission/scorers/scorer-error.ts',
  'src/coordination/errors.ts',
  'src/isolation/errors.ts',
  'src/runtime/errors.ts',
  'src/runtime/machine/errors.ts',
  'src/runtime/run/errors.ts',
  'src/runtime/work-errors.ts',
  'src/stores/check-values.ts',
  'src/stores/sqlite-thread.ts',
  'src/stores/task-status.ts',
  'src/topology/operation.ts',
  'src/topology/topology-error.ts',
  'supervisors/meta-agent/check.ts',
  'supervisors/spec.ts',
  'supervisors/supervisor.ts',
];

test('the README names every error code that a user can meet, and no other', () => {
  const inSources = new Set(
    ERRORS.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/code(?: =|:) '(DROVER_\w+)'/g)].map(([, code]) => code!)),
  );
  // A continued name, such as `_NOT_JSON`, takes the stem of the code before it.
  const inReadme = new Set<string>();
  for (const line of readme.split('\n').filter((text) => text.startsWith('| `DROVER_'))) {
    let stem = '';
    for (const [, code] of line.matchAll(/`((?:DROVER)?_\w+)`/g)) {
      if (!code!.startsWith('_')) stem = code!.replace(/_(INVALID|FAILED|OPEN|CLOSED)$/, '');
      inReadme.add(code!.startsWith('_') ? stem + code! : code!);
    }
  }
  expect([...inSources].filter((code) => !inReadme.has(code))).toEqual([]);
  expect([...inReadme].filter((code) => !inSources.has(code))).toEqual([]);
});

test('every script that the README names is there', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = [...readme.matchAll(/npm (?:run )?(start|test|bench|drover|check|build)\b/g)].map(([, name]) => name!);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  expect(globSync('examples/inbox/main.ts')).toHaveLength(1);
});

test('the provider for tests that the README shows answers', () => {
  const code = blocks.find((block) => block.includes('startFakeProvider'))!;
  const flags = ['--conditions=drover-source', '--input-type=module-typescript', '--eval', code];
  expect(execFileSync(process.execPath, flags, { encoding: 'utf8', timeout: 15_000 })).toBe('1 1\n');
});
