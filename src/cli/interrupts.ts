/**
 * Interrupts: the first SIGINT or SIGTERM asks for an orderly end, the second for the end at once.
 */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Under npm one Ctrl-C comes twice: from the terminal, and passed on by npm. Within this time it is one. */
const ECHO_MS = 250;

/** What one more signal means, from the times of those that count. Pure. */
export function meaningOf(firstMs: number | undefined, nowMs: number): 'first' | 'echo' | 'second' {
  if (firstMs === undefined) return 'first';
  return nowMs - firstMs < ECHO_MS ? 'echo' : 'second';
}

/** Listens until what it returns is called. `first` may be called once, `second` after it. */
export function onInterrupt(nowMs: () => number, first: () => void, second: () => void): () => void {
  let firstMs: number | undefined;
  const listener = (): void => {
    const atMs = nowMs();
    const meaning = meaningOf(firstMs, atMs);
    if (meaning === 'second') return second();
    if (meaning === 'echo') return;
    firstMs = atMs;
    first();
  };
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}

/** Ctrl-Z: gives the terminal back before the process stops, and takes it again when it goes on. */
export function onSuspend(suspend: () => void, resume: () => void): () => void {
  const stop = (): void => {
    suspend();
    process.kill(process.pid, 'SIGSTOP');
  };
  process.on('SIGTSTP', stop).on('SIGCONT', resume);
  return () => {
    process.off('SIGTSTP', stop).off('SIGCONT', resume);
  };
}

/** What nobody caught. After an exception the state of the process is unknown; a rejected promise that nobody looks at says nothing about the others. */
export function onUncaught(exception: (error: unknown) => void, rejection: (error: unknown) => void): () => void {
  process.on('uncaughtException', exception).on('unhandledRejection', rejection);
  return () => {
    process.off('uncaughtException', exception).off('unhandledRejection', rejection);
  };
}
