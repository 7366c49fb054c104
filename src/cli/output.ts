/** Output: a standard stream that may be slow, and whose reader may leave. */
import type { Writable } from 'node:stream';

export class Output {
  readonly #stream: Writable;
  readonly #onClosed: (error: NodeJS.ErrnoException) => void;
  #closed = false;
  #drained: Promise<void> | undefined;

  /** `onClosed` is told once that nothing can be written any more: `EPIPE` when the reader has left. */
  constructor(stream: Writable, onClosed: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream;
    this.#onClosed = onClosed;
    stream.on('error', (error) => this.#lost(error));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Writes, or does nothing when nobody reads any more. */
  write(text: string): void {
    if (!this.#closed) this.#stream.write(text);
  }

  /** Resolves when the reader has caught up; undefined when it has. */
  backlog(): Promise<void> | undefined {
    if (this.#closed || !this.#stream.writableNeedDrain) return undefined;
    this.#drained ??= new Promise((resolve) => {
      const done = (): void => {
        this.#drained = undefined;
        this.#stream.off('drain', done).off('error', done);
        resolve();
      };
      this.#stream.on('drain', done).on('error', done);
    });
    return this.#drained;
  }

  /** Resolves when everything that was written has left this process, or cannot. */
  async flush(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#stream.once('error', () => resolve());
      this.#stream.write('', () => resolve());
    });
  }

  #lost(error: NodeJS.ErrnoException): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClosed(error);
  }
}
