/** Programs of this repository as child processes, and what they say. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly child: ChildProcess;
  /** Settles when it is gone. */
  readonly ended: Promise<Ended>;
  /** Resolves with the first line on either output that holds this text, or undefined when it ends without. */
  line(holding: string): Promise<string | undefined>;
}

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a program by its path in the repository. Its standard input is empty. */
export function start(path: string, args: readonly string[]): Program {
  const program = fileURLToPath(new URL(`../../../${path}`, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=drover-source', program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  const waiting = new Map<string, (line: string) => void>();
  const notice = (): void => {
    for (const [holding, found] of waiting) {
      const line = find(said.stdout, holding) ?? find(said.stderr, holding);
      if (line === undefined) continue;
      waiting.delete(holding);
      found(line);
    }
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
      notice();
    });
  }
  // `close` and not `exit`: by then all that it said has been read.
  const ended = once(child, 'close').then(([status, signal]): Ended => ({
    status: status as Ended['status'],
    signal: signal as Ended['signal'],
    ...said,
  }));
  return {
    child,
    ended,
    line(holding) {
      const { promise, resolve } = Promise.withResolvers<string>();
      waiting.set(holding, resolve);
      notice();
      return Promise.race([promise, ended.then(() => undefined)]);
    },
  };
}

/** Whole lines only. */
function find(text: string, holding: string): string | undefined {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .find((line) => line.includes(holding));
}

/** The local provider of the example, which survives whoever uses it. Kill `child` when done. */
export async function startProvider(args: readonly string[]): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const { child, line, ended } = start('examples/inbox/provider.ts', [...args, '--detach']);
  const ready = await line('"url"');
  if (ready === undefined) throw new Error(`the provider ended before it was ready: ${(await ended).stderr}`);
  return { child, url: (JSON.parse(ready) as { url: string }).url };
}
