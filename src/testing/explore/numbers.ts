/** A list of whole numbers in one typed array that doubles: no object an entry. */
export class Numbers {
  #values: Int32Array;
  length = 0;

  constructor(room = 1_024) {
    this.#values = new Int32Array(room);
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  /** What is in it, without a copy; not to be used after another `push`. */
  values(): Int32Array {
    return this.#values.subarray(0, this.length);
  }
}
