import { expect, test } from 'vitest';
import { start } from '../examples/kill/processes.ts';

test(
  'a fleet that is killed and stopped again and again loses nothing, commits nothing twice, and refuses late results',
  { timeout: 180_000 },
  async () => {
    const { status, stdout, stderr } = await start('test/kill/kill-fleet.ts', ['--kills', '6', '--stops', '1']).ended;
    // The table says why, should it fail.
    expect(`${stdout}${stderr}`).toMatch(/^violations +0$/m);
    expect(stdout).toMatch(/^lives begun +8$/m);
    expect(status).toBe(0);
  },
);
