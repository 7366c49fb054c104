/** Starts the real command line as a process of its own, in a folder of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

export const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
export const FLEET = join(import.meta.dirname, 'fixture-fleet.ts');
export const FRAGILE = join(import.meta.dirname, 'fixture-fragile.ts');
export const NODE = [process.execPath, '--conditions=drover-source', '--disable-warning=ExperimentalWarning'];

/** A folder that is gone after the test. */
export function folder(files: Readonly<Record<string, string | Uint8Array>> = {}): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'drover-cli-')));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

export const jsonLines = (values: readonly unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join('');

export interface EndedCli {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class RunningCli {
  readonly child: ChildProcess;
  readonly ended: Promise<EndedCli>;
  stdout = '';
  stderr = '';
  readonly #watchers = new Set<() => void>();

  constructor(
    args: readonly string[],
    cwd: string,
    { input, env = {} }: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
  ) {
    const child = spawn(args[0]!, args.slice(1), { cwd, env: { ...process.env, DROVER_LOG: 'warn', DROVER_DEBUG: '', ...env } });
    this.child = child;
    onTestFinished(() => void child.kill('SIGKILL'));
    child.stdin.on('error', () => {});
    if (input !== undefined) child.stdin.end(input);
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#came('stdout', text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#came('stderr', text));
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
        for (const watcher of this.#watchers) watcher();
      });
    });
  }

  /** Resolves when `found` says yes to what has been written; rejects when the process ends before. */
  until(found: (cli: this) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        const seen = found(this);
        if (!seen && this.child.exitCode === null && this.child.signalCode === null) return;
        this.#watchers.delete(watcher);
        if (seen) resolve();
        else reject(new Error(`ended before: ${this.stdout}\n${this.stderr}`));
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #came(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    for (const watcher of this.#watchers) watcher();
  }
}

/** Starts `drover` with these arguments. Its standard input is a pipe that stays open, unless `input` is given. */
export function startCli(
  args: readonly string[],
  cwd: string,
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): RunningCli {
  return new RunningCli([...NODE, MAIN, ...args], cwd, options);
}

/** Runs `drover` to its end. */
export function runCli(
  args: readonly string[],
  cwd: string,
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<EndedCli> {
  return startCli(args, cwd, { input: '', ...options }).ended;
}

/** Parses what `--json` wrote: the results, and the report at the end. */
export function readJson(stdout: string): {
  readonly results: readonly Record<string, unknown>[];
  readonly report: Record<string, unknown> | undefined;
} {
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    results: lines.filter((line) => 'id' in line),
    report: lines.find((line) => 'report' in line)?.['report'] as Record<string, unknown> | undefined,
  };
}
