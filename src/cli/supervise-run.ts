/**
 * Supervise run: `drover run --supervised`, the parent of the process that runs the fleet.
 *
 *   1. It starts `drover run` as a process of its own, with a watchdog that ends it when its event loop
 *      is blocked.
 *   2. A process that crashes, or is ended so, is started again, after a rest that doubles; what it ran
 *      is charged with a loss, so a task that ends its process each time is dead after its `losses`.
 *   3. Signals are passed on, and so is the exit code of a run that has concluded.
 *   4. After too many restarts in too short a time the parent gives up.
 */
import { fork } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { addRestart } from '../../supervisors/restart-intensity.ts';
import type { Cli } from './cli.ts';
import type { RunOptions } from './commands/run.ts';
import { UsageError } from './errors.ts';
import type { Exit } from './exit-codes.ts';
import { SUPERVISED } from './supervised.ts';
import type { Told } from './supervised.ts';
import { crashesInRow, judge, RESTARTS, restDelayMs } from './supervision.ts';
import type { ProcessEnd } from './supervision.ts';

const MAIN = new URL(import.meta.url.endsWith('.ts') ? './main.ts' : './main.js', import.meta.url);
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs `drover run` in processes, until one of them has concluded.
 *
 * @throws UsageError where a restart could not go on: tasks from standard input, a store in memory
 */
export async function superviseRun(file: string, options: RunOptions, cli: Cli): Promise<Exit> {
  refuseWhatIsLost(options);
  let restarts: readonly number[] = [];
  let crashes = 0;
  for (;;) {
    const startedMs = performance.now();
    const end = await runOnce(argsOf(file, options));
    const judged = judge(end);
    if (judged.at === 'over') return judged.exit;
    const nowMs = performance.now();
    crashes = crashesInRow(crashes, nowMs - startedMs);
    const counted = addRestart(restarts, nowMs, RESTARTS);
    restarts = counted.restarts;
    if (counted.exceeded) {
      cli.stderr.write(
        `drover: the fleet's process ended (${judged.why}): more than ${RESTARTS.intensity} restarts within ${RESTARTS.periodMs / 60_000} minutes, given up\n`,
      );
      return 'failed';
    }
    const restMs = restDelayMs(crashes, Math.random());
    cli.stderr.write(`drover: the fleet's process ended (${judged.why}); restart ${restarts.length} in ${Math.round(restMs)} ms\n`);
    if (await isInterrupted(restMs)) return 'interrupted';
  }
}

function refuseWhatIsLost({ tasks, store }: RunOptions): void {
  if (store === 'memory') throw new UsageError('--supervised: expected a store that outlives a process, got --store memory');
  if (tasks === '-' || (tasks === undefined && isPiped(0))) {
    throw new UsageError('--supervised: expected tasks from a file (--tasks FILE): standard input cannot be read again after a restart');
  }
}

/** A terminal and /dev/null have no lines that could be lost. */
function isPiped(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket() || stat.isFile();
  } catch {
    // Closed.
    return false;
  }
}

function argsOf(file: string, { tasks, store, drainMs, json, quiet, onBlocked = 'exit' }: RunOptions): string[] {
  return [
    'run',
    ...(tasks === undefined ? [] : [`--tasks=${tasks}`]),
    ...(store === undefined ? [] : [`--store=${store}`]),
    `--drain-ms=${drainMs}`,
    `--on-blocked=${onBlocked}`,
    ...(json ? ['--json'] : []),
    ...(quiet ? ['--quiet'] : []),
    '--',
    file,
  ];
}

function runOnce(args: readonly string[]): Promise<ProcessEnd> {
  const child = fork(MAIN, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, [SUPERVISED]: '1' } });
  let started = false;
  let concluded = false;
  let asked = false;
  // A terminal tells both; the fleet takes two of one signal within a moment for one.
  const passOn = (signal: NodeJS.Signals): void => {
    asked = true;
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, passOn);
  child.on('message', ({ drover }: Told) => {
    if (drover === 'started') started = true;
    else concluded = true;
  });
  return new Promise((resolve, reject) => {
    const release = (): void => {
      for (const signal of SIGNALS) process.off(signal, passOn);
    };
    child.on('error', (error) => {
      if (child.pid !== undefined) return;
      release();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      release();
      resolve({ code, signal, started, concluded, asked });
    });
  });
}

/** Rests. Resolves early, with true, when a signal comes. */
function isInterrupted(restMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const over = (interrupted: boolean): void => {
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, interrupt);
      resolve(interrupted);
    };
    const interrupt = (): void => over(true);
    const timer = setTimeout(() => over(false), restMs);
    for (const signal of SIGNALS) process.on(signal, interrupt);
  });
}
