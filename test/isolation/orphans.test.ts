/** No isolated process outlives the one that started it, however that ends. */
import { join } from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { NODE, RunningCli } from '../cli/harness.ts';
import { isRunning } from './processes.ts';

const PARENT = join(import.meta.dirname, 'fixture-parent.ts');

test.runIf(process.platform === 'linux').for(['tells its process', 'tells its process and loops'])(
  'a child that %s ends when its parent is killed',
  async (deed) => {
    const parent = new RunningCli([...NODE, PARENT, deed], import.meta.dirname);
    await parent.until(({ stdout }) => stdout.includes('\n'));
    const pid = Number(parent.stdout);
    onTestFinished(() => {
      if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    });
    expect(isRunning(pid)).toBe(true);
    parent.child.kill('SIGKILL');
    await parent.ended;
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
  },
);
