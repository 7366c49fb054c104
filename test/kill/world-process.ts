/** The world outside, as a process that ends with this one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { OutsideUrls } from './outside.ts';

const PROGRAM = fileURLToPath(new URL('./world.ts', import.meta.url));

/** Ends when it is disposed of. */
export interface World extends AsyncDisposable {
  readonly urls: OutsideUrls;
}

/** Its logs are in `folder`. */
export async function startWorld(folder: string): Promise<World> {
  const child = spawn(process.execPath, ['--conditions=drover-source', PROGRAM, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const line = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (typeof line[0] !== 'string') throw new Error('the world ended before it was ready');
  return {
    urls: JSON.parse(line[0]) as OutsideUrls,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
