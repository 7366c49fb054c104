/**
 * RowsStatement: a statement over many rows costs half as much a row as one statement a row, so
 * whatever comes in batches is one of these.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** What a column holds. */
export type Cell = string | number | null;

/** Prepares a statement whose rows come as arrays. */
export type PrepareRows = (sql: string) => StatementSync;

/** Sizes that a statement over many rows is prepared for, largest first; each when it is needed first. */
const SIZES = [100, 30, 10, 3, 1] as const;

/** One statement over any number of rows, run in pieces of the sizes that it is prepared for. */
export class RowsStatement {
  readonly #prepare: (rows: number) => StatementSync;
  readonly #pieces: (StatementSync | undefined)[] = SIZES.map(() => undefined);
  readonly #width: number;

  /**
   * `sql` gets the placeholders of all rows, e.g. `(?,?),(?,?)`. A row may name what is bound ahead
   * of all rows by its number, `?1`, before it has a placeholder of its own.
   */
  constructor(db: DatabaseSync, row: string, sql: (rows: string) => string) {
    this.#width = row.match(/\?(?!\d)/g)!.length;
    this.#prepare = (rows) => db.prepare(sql(Array<string>(rows).fill(row).join(',')));
  }

  /** `cells` are the rows one after the other; `first` is bound ahead of each piece. Returns how many rows changed. */
  run(cells: readonly Cell[], ...first: readonly Cell[]): number {
    let changed = 0;
    for (const [statement, piece] of this.#piecesOf(cells)) changed += Number(statement.run(...first, ...piece).changes);
    return changed;
  }

  /** The rows that it returns, each as an array. */
  all(cells: readonly Cell[], ...first: readonly Cell[]): unknown[] {
    const rows: unknown[] = [];
    for (const [statement, piece] of this.#piecesOf(cells)) {
      statement.setReturnArrays(true);
      for (const row of statement.all(...first, ...piece)) rows.push(row);
    }
    return rows;
  }

  *#piecesOf(cells: readonly Cell[]): Generator<readonly [statement: StatementSync, cells: readonly Cell[]]> {
    let size = 0;
    for (let at = 0; at < cells.length;) {
      const length = SIZES[size]! * this.#width;
      if (cells.length - at < length) {
        size += 1;
        continue;
      }
      yield [this.#statement(size), length === cells.length ? cells : cells.slice(at, at + length)];
      at += length;
    }
  }

  #statement(size: number): StatementSync {
    return (this.#pieces[size] ??= this.#prepare(SIZES[size]!));
  }
}
