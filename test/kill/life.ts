/** Life: one process of the fleet, from its start to its end, as whoever kills it holds it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FromFleet, ToFleet } from './messages.ts';
import type { OutsideUrls } from './outside.ts';

/** What a process is started with. */
export interface LifeOptions extends OutsideUrls {
  /** Of the store. */
  readonly path: string;
  /** Where compiled modules are kept: most of a short life would be spent compiling. */
  readonly cache: string;
  /** A file descriptor for what it logs. */
  readonly log: number;
  /** As `KILL_AT_COMMIT` of `commit-point.ts`. */
  readonly killAtCommit?: string;
  readonly heard: (message: FromFleet) => void;
}

const PROGRAM = fileURLToPath(new URL('./fleet-process.ts', import.meta.url));
const COMMIT_POINT = new URL('./commit-point.ts', import.meta.url).href;

/** Starts the process at once. It takes the store when it is told `go`. */
export class Life {
  /** Resolve when it says so, or has ended. */
  readonly loaded: Promise<unknown>;
  readonly open: Promise<unknown>;
  /** All that it has said has been heard by then. */
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  constructor({ path, effectsUrl, providerUrl, cache, log, killAtCommit, heard }: LifeOptions) {
    const flags = ['--conditions=drover-source', '--disable-warning=ExperimentalWarning', '--import', COMMIT_POINT];
    const point = killAtCommit === undefined ? {} : { KILL_AT_COMMIT: killAtCommit };
    const child = spawn(process.execPath, [...flags, PROGRAM, path, effectsUrl, providerUrl], {
      stdio: ['ignore', 'ignore', log, 'ipc'],
      env: { ...process.env, ...point, NODE_COMPILE_CACHE: cache },
    });
    this.#child = child;
    this.ended = once(child, 'close').then(([status, signal]) => ({
      status: status as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
    const said = { loaded: Promise.withResolvers<void>(), open: Promise.withResolvers<void>() };
    child.on('message', (message: FromFleet) => {
      if (message.at === 'loaded' || message.at === 'open') said[message.at].resolve();
      heard(message);
    });
    this.loaded = Promise.race([said.loaded.promise, this.ended]);
    this.open = Promise.race([said.open.promise, this.ended]);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What is sent to a process that is gone is lost. */
  send(message: ToFleet): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }
}
