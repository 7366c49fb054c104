import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { start, startProvider } from './kill/processes.ts';

const MAIN = 'examples/inbox/main.ts';
const folder = mkdtempSync(join(tmpdir(), 'drover-inbox-'));
const out = join(folder, 'digest.md');
let provider: Awaited<ReturnType<typeof startProvider>>;

beforeAll(async () => {
  provider = await startProvider(['--mails', '30']);
}, 60_000);

afterAll(() => {
  provider?.child.kill();
  rmSync(folder, { recursive: true, force: true });
});

const job = (...args: string[]) =>
  start(MAIN, ['--mails', '30', '--agents', '20', '--json', '--out', out, '--provider-url', provider.url, ...args]);

test(
  'an interrupted job drains, and the same command goes on with it; when it is done, once more costs nothing',
  { timeout: 120_000 },
  async () => {
    const store = join(folder, 'inbox.db');
    const first = job('--store', store);
    await first.line('agents, store');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    first.child.kill('SIGINT');
    const interrupted = await first.ended;
    const half = JSON.parse(interrupted.stdout) as Record<string, number>;
    expect(interrupted.status).toBe(130);
    expect(interrupted.stderr).toContain(`the same command with --store ${store}`);
    expect(half).toMatchObject({ submitted: 30, failed: 0, dead: 0, lost: 0, duplicates: 0, interrupted: true });
    expect(half['completed']! + half['unfinished']!).toBe(30);
    expect(half['unfinished']).toBeGreaterThan(0);
    expect(existsSync(out)).toBe(false);

    const second = await job('--store', store).ended;
    expect(second).toMatchObject({ status: 0 });
    const whole = JSON.parse(second.stdout) as Record<string, number>;
    expect(whole).toMatchObject({
      submitted: 30,
      completed: 30,
      resumed: half['completed'],
      unfinished: 0,
      lost: 0,
      duplicates: 0,
      rejected429: 0,
      restarts: 0,
    });
    // 30 triages, an extract for each ham, two digests; of calls that were in flight at the end of the drain, some twice.
    expect(whole['calls']! + half['calls']!).toBeGreaterThanOrEqual(30);
    expect(whole['accuracy']).toBeGreaterThan(whole['majorityShare']!);
    expect(readFileSync(out, 'utf8')).toMatch(/^# Inbox digest: 30 mails\n/);

    const third = await job('--store', store).ended;
    expect(third).toMatchObject({ status: 0 });
    expect(JSON.parse(third.stdout)).toMatchObject({ completed: 30, resumed: 30, calls: 0 });

    const other = await job('--store', store, '--seed', '1', '--mails', '30', '--agents', '3').ended;
    expect(other.status, 'another number of agents is the same job').toBe(0);
  },
);

test('what is wrong with the command line, the provider or the store ends it with its own message', { timeout: 120_000 }, async () => {
  const broken = join(folder, 'broken.db');
  writeFileSync(broken, 'not a database');
  const [option, seed, nobody, damaged] = await Promise.all([
    start(MAIN, ['--mails', 'many']).ended,
    job('--seed', '2').ended,
    start(MAIN, ['--provider-url', 'http://127.0.0.1:9']).ended,
    job('--store', broken).ended,
  ]);
  expect([option.status, seed.status, nobody.status, damaged.status]).toEqual([2, 2, 2, 1]);
  expect(option.stderr).toContain('--mails: expected a whole number');
  expect(seed.stderr).toContain(
    'expected a provider that has kept the mails of this run apart (local-mails30-seed2), found local-mails30-seed1',
  );
  expect(nobody.stderr).toContain('no local provider answers at http://127.0.0.1:9');
  expect(damaged.stderr).toContain('DROVER_STORE_NOT_A_DATABASE');
  expect([option, seed, nobody, damaged].map(({ stdout }) => stdout)).toEqual(['', '', '', '']);
});
