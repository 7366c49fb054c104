/** What isolation refuses, and how isolated workers fail. */
import { DroverError } from '../../actors/kernel/errors.ts';

/** How the thread or process of a worker ended. */
export type ChildEnd = {
  /** `not-started`: its module could not be loaded, or does not hold the kind. */
  readonly how: 'hung' | 'exited' | 'out-of-memory' | 'signal' | 'not-started';
  /** Null where it ended by a signal, or never began. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last 4 kB of what it wrote to standard error. */
  readonly stderr: string;
};

/** How much of standard error a message quotes; `detail` has more. */
const QUOTED = 1_000;

/** The thread or process of a worker is gone: a failure of that worker, like any other. The task that it ran is lost and runs again. */
export class IsolatedWorkerError extends DroverError {
  readonly code = 'DROVER_WORKER_DIED';
  readonly retryable = true;
  override readonly detail: ChildEnd & {
    readonly worker: string;
    readonly isolation: 'thread' | 'process';
    readonly heartbeatMs: number;
    readonly memoryMb: number;
  };
  constructor(detail: IsolatedWorkerError['detail'], options?: ErrorOptions) {
    const said = detail.stderr.trim();
    super(
      `${detail.worker}: its ${detail.isolation} ${inWords(detail)}${said === '' ? '' : `; the end of its standard error:\n${said.slice(-QUOTED)}`}`,
      options,
    );
    this.detail = detail;
  }
}

function inWords({ how, exitCode, signal, heartbeatMs, memoryMb }: IsolatedWorkerError['detail']): string {
  switch (how) {
    case 'hung':
      return `gave no sign of life for ${heartbeatMs} ms, or when the time of its run was over, and was ended (heartbeatMs)`;
    case 'out-of-memory':
      return `needed more than ${memoryMb} MB (memoryMb)`;
    case 'signal':
      return `was ended by ${signal}`;
    case 'exited':
      return `ended by itself with exit code ${exitCode}`;
    case 'not-started':
      return 'could not start';
  }
}

/** The module of an isolated kind does not hold what the fleet says it does. */
export class IsolatedModuleError extends DroverError {
  readonly code = 'DROVER_ISOLATED_MODULE';
  readonly retryable = false;
  override readonly detail: { readonly module: string };
  constructor(module: string, why: string, options?: ErrorOptions) {
    super(`${module}: ${why}`, options);
    this.detail = { module };
  }
}

/** Something that cannot be copied to another thread or process: a function, a socket. */
export class NotTransferableError extends DroverError {
  readonly code = 'DROVER_NOT_TRANSFERABLE';
  readonly retryable = false;
  override readonly detail: { readonly what: string };
  constructor(what: string, options?: ErrorOptions) {
    super(`${what}: it cannot be copied between an isolated run and its fleet; give plain data, or run the kind inline`, options);
    this.detail = { what };
  }
}
