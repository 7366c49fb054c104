/** State store: every state seen, packed one behind the other, found again through one open hash table. */

const FIRST_ROOM = 1_024;

export class StateStore {
  /** Bytes from one state to the next: whole words, so that states compare word by word. */
  readonly stride: number;
  /** The states, in order of arrival. Another array after `add` has grown it. */
  bytes: Uint8Array;
  count = 0;
  /** Where the next state is written before `add`. Bytes beyond the size of a state stay zero. */
  readonly scratch: Uint8Array;
  readonly #scratchWords: Uint32Array;
  readonly #wordsEach: number;
  #words: Uint32Array;
  /**
   * Two numbers a slot: the index of a state plus one, or 0 where it is free, and the state's hash. The
   * hash stands there so that another state in the slot is told apart without a look at it, which lies
   * anywhere in memory. At most half full.
   */
  #table: Int32Array;

  constructor(bytes: number) {
    this.#wordsEach = Math.ceil(bytes / 4);
    this.stride = this.#wordsEach * 4;
    this.scratch = new Uint8Array(this.stride);
    this.#scratchWords = new Uint32Array(this.scratch.buffer);
    this.bytes = new Uint8Array(this.stride * FIRST_ROOM);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#table = new Int32Array(FIRST_ROOM * 2 * 2);
  }

  /** Index of the state in `scratch`; it is a new one when `count` has grown. */
  add(): number {
    const wordsEach = this.#wordsEach;
    const scratch = this.#scratchWords;
    const words = this.#words;
    const table = this.#table;
    const mask = table.length - 1;
    const own = hash(scratch, wordsEach);
    let slot = (own << 1) & mask;
    for (let entry = table[slot]!; entry !== 0; entry = table[slot]!) {
      if (table[slot + 1] === own) {
        const at = (entry - 1) * wordsEach;
        let word = 0;
        while (word < wordsEach && words[at + word] === scratch[word]) word += 1;
        if (word === wordsEach) return entry - 1;
      }
      slot = (slot + 2) & mask;
    }
    if (this.count * 4 >= table.length) {
      this.#grow();
      return this.add();
    }
    words.set(scratch, this.count * wordsEach);
    table[slot] = this.count + 1;
    table[slot + 1] = own;
    this.count += 1;
    return this.count - 1;
  }

  /** A copy of one state, `bytes` long. */
  read(index: number, bytes: number): Uint8Array {
    return this.bytes.slice(index * this.stride, index * this.stride + bytes);
  }

  #grow(): void {
    const bytes = new Uint8Array(this.bytes.length * 2);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer);
    const before = this.#table;
    const table = new Int32Array(before.length * 2);
    const mask = table.length - 1;
    for (let from = 0; from < before.length; from += 2) {
      if (before[from] === 0) continue;
      let slot = (before[from + 1]! << 1) & mask;
      while (table[slot] !== 0) slot = (slot + 2) & mask;
      table[slot] = before[from]!;
      table[slot + 1] = before[from + 1]!;
    }
    this.#table = table;
  }
}

/** Multiply and rotate, word by word, finished as in murmur3. A whole number of 32 bits, with a sign. */
function hash(words: Uint32Array, length: number): number {
  let mixed = 0x9e3779b9 | 0;
  for (let word = 0; word < length; word += 1) {
    mixed = Math.imul(mixed ^ words[word]!, 0xcc9e2d51);
    mixed = (mixed << 13) | (mixed >>> 19);
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
