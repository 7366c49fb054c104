import { describe, expect, test } from 'vitest';
import { erase, redraw, writeAbove } from '../../src/cli/terminal.ts';

/** As much of a terminal as a live display uses. */
class FakeTerminal {
  readonly rows: string[] = [''];
  cursorShown = true;
  #row = 0;
  #column = 0;
  readonly #columns: number;

  constructor(columns: number) {
    this.#columns = columns;
  }

  write(text: string): this {
    // oxlint-disable-next-line no-control-regex -- the sequences that a display may use
    for (const [token] of text.matchAll(/\u001B\[\?25[hl]|\u001B\[\d*[AJ]|[^]/g)) this.#take(token);
    return this;
  }

  #take(token: string): void {
    if (token === '\u001B[?25l' || token === '\u001B[?25h') this.cursorShown = token.endsWith('h');
    else if (token === '\u001B[J') this.#erase();
    else if (token.startsWith('\u001B[')) this.#row = Math.max(0, this.#row - Number(token.slice(2, -1)));
    else if (token === '\r') this.#column = 0;
    else if (token === '\n') this.#feed();
    else {
      if (this.#column === this.#columns) this.#feed();
      this.rows[this.#row] = `${this.rows[this.#row]!.padEnd(this.#column).slice(0, this.#column)}${token}`;
      this.#column += 1;
    }
  }

  #erase(): void {
    this.rows.length = this.#row + 1;
    this.rows[this.#row] = this.rows[this.#row]!.slice(0, this.#column);
  }

  #feed(): void {
    this.#row += 1;
    this.#column = 0;
    this.rows[this.#row] ??= '';
  }
}

describe('a live display', () => {
  test('is replaced in place, whether it grows or shrinks', () => {
    const terminal = new FakeTerminal(20).write('$ drover run\n');
    terminal.write(redraw([], ['a 1', 'b 1'], 20));
    expect(terminal.rows).toEqual(['$ drover run', 'a 1', 'b 1']);
    terminal.write(redraw(['a 1', 'b 1'], ['a 2', 'b 2', 'c 2'], 20));
    expect(terminal.rows).toEqual(['$ drover run', 'a 2', 'b 2', 'c 2']);
    terminal.write(redraw(['a 2', 'b 2', 'c 2'], ['a 3'], 20));
    expect(terminal.rows).toEqual(['$ drover run', 'a 3']);
  });

  test('stays below what is written for good', () => {
    const terminal = new FakeTerminal(20).write(redraw([], ['a', 'b'], 20));
    terminal.write(writeAbove(['a', 'b'], 'task 7 is dead', 20)).write(redraw(['a', 'b'], ['c', 'd'], 20));
    expect(terminal.rows).toEqual(['task 7 is dead', 'c', 'd']);
    expect(new FakeTerminal(20).write(writeAbove([], 'first', 20)).rows).toEqual(['first', '']);
  });

  test('hides the cursor while it is there, and leaves the screen as if it had not been', () => {
    const terminal = new FakeTerminal(20).write(redraw([], ['a', 'b'], 20));
    expect(terminal.cursorShown).toBe(false);
    terminal.write(erase(['a', 'b'], 20));
    expect(terminal).toMatchObject({ rows: [''], cursorShown: true });
    expect(erase([], 20)).toBe('');
  });

  test('leaves nothing behind when the terminal has become narrower and has wrapped it', () => {
    const wide = ['0123456789', 'abc'];
    const narrow = new FakeTerminal(6).write(redraw([], wide, 20));
    expect(narrow.rows).toEqual(['012345', '6789', 'abc']);
    narrow.write(redraw(wide, ['new'], 6));
    expect(narrow.rows).toEqual(['new']);
  });
});
