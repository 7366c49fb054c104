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
  /** Index of a state plus one; 0 is free. At most half full. */
  #table: Int32Array;

  constructor(bytes: number) {
    this.#wordsEach = Math.ceil(bytes / 4);
    this.stride = this.#wordsEach * 4;
    this.scratch = new Uint8Array(this.stride);
    this.#scratchWords = new Uint32Array(this.scratch.buffer);
    this.bytes = new Uint8Array(this.stride * FIRST_ROOM);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#table = new Int32Array(FIRST_ROOM * 2);
  }

  /** Index of the state in `scratch`; it is a new one when `count` has grown. */
  add(): number {
    const words = this.#wordsEach;
    const scratch = this.#scratchWords;
    const mask = this.#table.length - 1;
    let slot = hash(scratch, 0, words) & mask;
    for (let entry = this.#table[slot]!; entry !== 0; entry = this.#table[slot]!) {
      const at = (entry - 1) * words;
      let word = 0;
      while (word < words && this.#words[at + word] === scratch[word]) word += 1;
      if (word === words) return entry - 1;
      slot = (slot + 1) & mask;
    }
    if (this.count * 2 >= this.#table.length) {
      this.#grow();
      return this.add();
    }
    this.#words.set(scratch, this.count * words);
    this.#table[slot] = this.count + 1;
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
    const mask = this.#table.length * 2 - 1;
    this.#table = new Int32Array(mask + 1);
    for (let index = 0; index < this.count; index += 1) {
      let slot = hash(this.#words, index * this.#wordsEach, this.#wordsEach) & mask;
      while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
      this.#table[slot] = index + 1;
    }
  }
}

/** Multiply and rotate, word by word, finished as in murmur3. */
function hash(words: Uint32Array, at: number, length: number): number {
  let mixed = 0x9e3779b9;
  for (let word = 0; word < length; word += 1) {
    mixed = Math.imul(mixed ^ words[at + word]!, 0xcc9e2d51);
    mixed = (mixed << 13) | (mixed >>> 19);
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
