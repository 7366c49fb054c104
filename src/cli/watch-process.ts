/** Watching the process: signals, a reader that leaves, and what nobody caught. */
import { writeSync } from 'node:fs';
import type { Cli } from './cli.ts';
import type { Display } from './display.ts';
import { formatError } from './errors.ts';
import { EXITS } from './exit-codes.ts';
import type { Exit } from './exit-codes.ts';
import { onOrphaned } from './supervised.ts';
import { onInterrupt, onSuspend, onUncaught } from './interrupts.ts';

/** What ends a run. `unread`: whoever read standard output has left. */
export type Ending = { readonly at: 'finished' | 'interrupted' | 'unread' } | { readonly at: 'failed'; readonly error: unknown };

export interface WatchOptions {
  readonly cli: Cli;
  readonly display: Display;
  readonly nowMs: () => number;
  /** Said when the process ends at once: how its work goes on. */
  readonly again: string;
  readonly end: (ending: Ending) => void;
}

/** Calls `end` for an orderly end, and ends the process itself where none is possible. Returns what stops watching. */
export function watchProcess({ cli, display, nowMs, again, end }: WatchOptions): () => void {
  cli.onUnread = (error) => end(error.code === 'EPIPE' ? { at: 'unread' } : { at: 'failed', error });
  const atOnce = (exit: Exit, text: string): void => {
    display.close();
    // Past whatever still waits in the stream.
    try {
      writeSync(2, `drover: ${text}\n`);
    } catch {
      // Nobody reads it.
    }
    process.exit(EXITS[exit].code);
  };
  const watches = [
    onInterrupt(
      nowMs,
      () => end({ at: 'interrupted' }),
      () => atOnce('stopped', `stopped at once${again}`),
    ),
    onSuspend(display.pause, display.resume),
    // A parent that supervises and is gone leaves nobody to hear how it ends.
    onOrphaned(() => end({ at: 'interrupted' })),
    onUncaught(
      (error) => atOnce('failed', `an exception that nobody caught${again}: ${formatError(error, cli.debug)}`),
      (error) =>
        display.note('promises were rejected', `warn: a promise was rejected and nobody looked at it: ${formatError(error, cli.debug)}`),
    ),
  ];
  process.on('exit', display.close);
  return () => {
    cli.onUnread = undefined;
    process.off('exit', display.close);
    for (const release of watches) release();
  };
}
