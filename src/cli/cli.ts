/** What commands share: the streams, where they are, and how they end. */
import type { Exit } from './exit-codes.ts';
import type { Output } from './output.ts';

export interface Cli {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly cwd: string;
  /** `DROVER_DEBUG`: errors with their stacks. */
  readonly debug: boolean;
  /** Told once that standard output cannot be written any more. */
  onUnread: ((error: NodeJS.ErrnoException) => void) | undefined;
  /** How the command has ended. */
  exit: Exit;
}
