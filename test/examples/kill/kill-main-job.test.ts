import { expect, test } from 'vitest';
import { start } from './processes.ts';

test(
  'a main job that is killed again and again loses nothing, doubles nothing, and pays for nothing twice',
  { timeout: 180_000 },
  async () => {
    const { status, stdout } = await start('test/examples/kill/kill-main-job.ts', ['--kills', '2', '--mails', '40', '--seed', '3']).ended;
    // The table says why, should it fail.
    expect(stdout).toMatch(/^kills +2$/m);
    expect(stdout).toMatch(/^violations +0$/m);
    expect(status).toBe(0);
  },
);
