/**
 * Trace: what happened in a simulation, as 64 bits that grow with each event. It covers what was
 * delivered, committed, called and ended, each with its virtual time, and nothing of wall time, of the
 * identity of objects, or of the locale: the same seed has the same trace, in another process too.
 */

export class Trace {
  #a = 0x9e3779b9 | 0;
  #b = 0x41c6ce57;
  #count = 0;
  readonly #float = new Float64Array(1);
  readonly #halves = new Int32Array(this.#float.buffer);

  /** Events so far. */
  get count(): number {
    return this.#count;
  }

  /** One event: where it belongs, when it happened, and what it says. */
  event(code: number, atMs: number, text: string, number = 0): void {
    this.#count += 1;
    this.#mix(code);
    this.#float[0] = atMs;
    this.#mix(this.#halves[0]!);
    this.#mix(this.#halves[1]!);
    this.#mix(hashOf(text));
    this.#mix(number);
  }

  /** As 16 hexadecimal digits. */
  get hash(): string {
    return hex(finish(this.#a)) + hex(finish(this.#b ^ this.#a));
  }

  #mix(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x85ebca6b);
    this.#a ^= this.#a >>> 15;
    this.#b = Math.imul(this.#b ^ word, 0xc2b2ae35);
    this.#b = (this.#b ^ (this.#b >>> 13) ^ this.#a) | 0;
  }
}

/** FNV-1a over UTF-16 code units. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

function finish(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}
