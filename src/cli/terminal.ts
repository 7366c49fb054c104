/**
 * Terminal: draws a few lines again and again in the same place. Pure: what was drawn and what is to
 * be drawn go in, the text to write comes out.
 */

const HIDE_CURSOR = '\u001B[?25l';
const SHOW_CURSOR = '\u001B[?25h';
const ERASE_BELOW = '\u001B[J';

/** What is on the screen: the lines drawn last. The cursor stands at the end of the last one. */
export type Frame = readonly string[];

/** Replaces `before` by `next`. `columns` is the width now, which may be less than `before` was drawn for. */
export function redraw(before: Frame, next: Frame, columns: number): string {
  return `${before.length === 0 ? HIDE_CURSOR : toTop(before, columns)}${next.join('\n')}`;
}

/** Writes lines for good above what is drawn live. */
export function writeAbove(live: Frame, text: string, columns: number): string {
  return live.length === 0 ? `${text}\n` : `${toTop(live, columns)}${text}\n${live.join('\n')}`;
}

/** Leaves no trace of what was drawn live, and gives the cursor back. */
export function erase(live: Frame, columns: number): string {
  return live.length === 0 ? '' : `${toTop(live, columns)}${SHOW_CURSOR}`;
}

function toTop(live: Frame, columns: number): string {
  // A terminal that has become narrower has wrapped what was on it.
  const rows = live.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / Math.max(1, columns))), 0);
  return `${rows > 1 ? `\u001B[${rows - 1}A` : ''}\r${ERASE_BELOW}`;
}
