/**
 * Watched stream: passes a stream on, chunk by chunk as its reader asks for them, and says how it ended.
 *
 *     source ─▶ watch.pass ─▶ reader
 *                  └─▶ whole · left · broken, once
 *
 * Nothing is read ahead: a reader that is slow holds the provider back, and one that never comes leaves
 * the stream open until `signal` aborts.
 */
import type { ScoredReply } from '../admission/quality.ts';
import type { Usage } from '../topology/dependency.ts';

/** How a stream ended. */
export type StreamEnd =
  /** With all that was to come. `usage` undefined: it did not say. `reply` undefined: what it said is not known. */
  | { readonly at: 'whole'; readonly usage: Usage | undefined; readonly reply?: ScoredReply | undefined }
  /** Its reader went away. */
  | { readonly at: 'left' }
  | { readonly at: 'broken'; readonly error: unknown };

export interface Watch<T> {
  /** Sees a chunk; what it returns is passed on, undefined: nothing. */
  pass(chunk: T): T | undefined;
  /** The answer was whole or broken with the last chunk that was seen, whatever may still come. */
  readonly end: StreamEnd | undefined;
  /** The source has ended in order. What is still held back. */
  rest?(): T | undefined;
  /** What it means that the source has ended and `end` has said nothing. */
  atSourceEnd(): StreamEnd;
}

/** `ended` is told once. When `signal` aborts, the reader sees its reason and the source is cancelled. */
export function watchedStream<T>(
  source: ReadableStream<T>,
  watch: Watch<T>,
  signal: AbortSignal,
  ended: (end: StreamEnd) => void,
): ReadableStream<T> {
  const reader = source.getReader();
  let isOver = false;
  let isClosed = false;
  let into: ReadableStreamDefaultController<T> | undefined;
  const over = (end: StreamEnd): void => {
    if (isOver) return;
    isOver = true;
    ended(end);
  };
  const close = (): void => {
    isClosed = true;
    signal.removeEventListener('abort', aborted);
  };
  const aborted = (): void => {
    if (isClosed) return;
    close();
    over({ at: 'left' });
    into?.error(signal.reason);
    reader.cancel(signal.reason).catch(() => {});
  };
  const finish = (controller: ReadableStreamDefaultController<T>): void => {
    close();
    const rest = watch.rest?.();
    if (rest !== undefined) controller.enqueue(rest);
    over(watch.end ?? watch.atSourceEnd());
    controller.close();
  };
  /** Until there is something to pass on. */
  const pull = async (controller: ReadableStreamDefaultController<T>): Promise<void> => {
    try {
      for (;;) {
        const read = await reader.read();
        if (isClosed) return;
        if (read.done) return finish(controller);
        const passed = watch.pass(read.value);
        if (watch.end !== undefined) over(watch.end);
        if (passed !== undefined) return controller.enqueue(passed);
      }
    } catch (error) {
      if (isClosed) return;
      close();
      over({ at: 'broken', error });
      controller.error(error);
    }
  };
  return new ReadableStream<T>(
    {
      start(controller) {
        into = controller;
        if (signal.aborted) aborted();
        else signal.addEventListener('abort', aborted, { once: true });
      },
      pull,
      async cancel(reason) {
        close();
        over({ at: 'left' });
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}
