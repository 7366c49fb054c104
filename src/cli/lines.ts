/**
 * Lines: bytes in chunks become numbered lines, without holding more than the chunk and the line
 * that it broke off in.
 */

/** One line that is not blank; `number` counts from 1 and counts blank lines too. */
export type Line =
  | { readonly number: number; readonly text: string }
  /** A line that is no text: `problem` says why. */
  | { readonly number: number; readonly problem: string };

const NEWLINE = 10;

export class LineSplitter {
  readonly #longest: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #number = 0;
  /** What has come of the line that has no end yet. */
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** A line of more than `longestBytes` is dropped and named. */
  constructor(longestBytes: number) {
    this.#longest = longestBytes;
  }

  /** The lines that end in this chunk. */
  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, to));
      this.#finish(lines);
      from = to + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
    return lines;
  }

  /** The last line, when the input does not end with a newline. */
  end(): Line[] {
    const lines: Line[] = [];
    if (this.#bytes > 0) this.#finish(lines);
    return lines;
  }

  #keep(piece: Uint8Array): void {
    this.#bytes += piece.length;
    if (this.#bytes <= this.#longest) this.#pieces.push(piece);
    else this.#pieces = [];
  }

  #finish(lines: Line[]): void {
    this.#number += 1;
    const line = this.#read();
    this.#pieces = [];
    this.#bytes = 0;
    if (line !== undefined) lines.push(line);
  }

  #read(): Line | undefined {
    const number = this.#number;
    if (this.#bytes > this.#longest) return { number, problem: `${this.#bytes} bytes in one line` };
    try {
      const text = this.#decoder.decode(this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces));
      return text.trim() === '' ? undefined : { number, text };
    } catch {
      return { number, problem: 'bytes that are no UTF-8' };
    }
  }
}
