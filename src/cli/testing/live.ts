/**
 * Live: a display for commands that test, on standard error only. On a terminal it draws a few lines in
 * place, in a pipe it writes one line now and then, quiet it shows errors alone.
 */
import type { Display } from '../display.ts';
import type { Output } from '../output.ts';
import { erase, redraw, writeAbove } from '../terminal.ts';
import type { Frame } from '../terminal.ts';
import { fit, printable } from '../text.ts';
import { Throttle } from '../throttle.ts';

export interface LiveOptions {
  readonly stderr: Output;
  readonly mode: 'terminal' | 'pipe' | 'quiet';
  /** What to show now: parts that belong together, in order. Undefined while there is nothing. */
  readonly parts: () => readonly string[] | undefined;
  readonly nowMs: () => number;
  readonly columns: () => number;
}

/** At most ten times a second. */
const REDRAW_MS = 100;
const PLAIN_MS = 5_000;
const NOTES_A_PERIOD = 5;
const NOTES_PERIOD_MS = 5_000;

/** Starts a display; it keeps no process alive. */
export function startLive({ stderr, mode, parts, nowMs, columns }: LiveOptions): Display {
  const notes = new Throttle(NOTES_A_PERIOD, NOTES_PERIOD_MS);
  let frame: Frame = [];
  let said = '';
  let paused = false;
  let closed = mode === 'quiet';
  const write = (text: string): void => stderr.write(mode === 'terminal' ? writeAbove(frame, text, columns()) : `${text}\n`);
  const clear = (): void => {
    stderr.write(erase(frame, columns()));
    frame = [];
  };
  const tellHeld = (atMs: number): void => {
    for (const { sort, held } of notes.due(atMs)) write(`... and ${held} more: ${sort}`);
  };
  const draw = (shown: readonly string[]): void => {
    const next = wrapped(shown, columns());
    if (next.join('\n') === frame.join('\n')) return;
    stderr.write(redraw(frame, next, columns()));
    frame = next;
  };
  const tick = (): void => {
    if (paused || closed || stderr.closed || stderr.backlog() !== undefined) return;
    tellHeld(nowMs());
    const shown = parts();
    if (shown === undefined) return;
    if (mode === 'terminal') return draw(shown);
    const line = shown.join(', ');
    if (line !== said) stderr.write(`${line}\n`);
    said = line;
  };
  const timer = setInterval(tick, mode === 'terminal' ? REDRAW_MS : PLAIN_MS).unref();
  return {
    note(sort, text) {
      if (!closed && notes.pass(sort, nowMs())) write(printable(text));
    },
    alert: write,
    pause() {
      paused = true;
      clear();
    },
    resume() {
      paused = false;
    },
    close() {
      clearInterval(timer);
      if (!closed) tellHeld(Infinity);
      closed = true;
      clear();
    },
  };
}

/** As many parts a line as there is room for. The last column stays empty: some terminals wrap there. */
function wrapped(parts: readonly string[], columns: number): Frame {
  const width = Math.max(1, columns - 1);
  const lines: string[] = [];
  for (const part of parts) {
    const joined = `${lines.at(-1) ?? ''}  ${part}`;
    if (lines.length > 0 && joined.length <= width) lines[lines.length - 1] = joined;
    else lines.push(fit(lines.length === 0 ? part : `  ${part}`, width));
  }
  return lines;
}
