/**
 * Display: what a run shows while it runs, on standard error only. On a terminal it draws in place,
 * in a pipe it writes plain lines, quiet it shows errors alone.
 */
import type { Output } from './output.ts';
import { progressLine, progressLines } from './progress.ts';
import type { ProgressView } from './progress.ts';
import { printable } from './text.ts';
import { erase, redraw, writeAbove } from './terminal.ts';
import type { Frame } from './terminal.ts';
import { Throttle } from './throttle.ts';

export interface Display {
  /** Something worth knowing. Of many of one `sort` at once only the first few are shown. */
  note(sort: string, text: string): void;
  /** Something that must be known: never held back. */
  alert(text: string): void;
  /** Takes the live part away and gives the cursor back, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the live part for good, and the notes. Alerts are still written. */
  close(): void;
}

export interface DisplayOptions {
  readonly stderr: Output;
  readonly mode: 'terminal' | 'pipe' | 'quiet';
  /** Undefined while there is nothing to show. */
  readonly view: () => ProgressView | undefined;
  readonly nowMs: () => number;
  /** Size of the terminal now. */
  readonly size: () => { readonly columns: number; readonly rows: number };
}

/** At most ten times a second. */
const REDRAW_MS = 100;
const PLAIN_MS = 5_000;
const NOTES_A_PERIOD = 5;
const NOTES_PERIOD_MS = 5_000;

/** Starts a display; it keeps no process alive. */
export function startDisplay(options: DisplayOptions): Display {
  if (options.mode === 'quiet') return quietDisplay(options);
  const { stderr, nowMs, mode } = options;
  const notes = new Throttle(NOTES_A_PERIOD, NOTES_PERIOD_MS);
  const screen = mode === 'terminal' ? liveScreen(options) : plainScreen(options);
  const tellHeld = (atMs: number): void => {
    for (const { sort, held } of notes.due(atMs)) screen.write(`... and ${held} more: ${sort}`);
  };
  let paused = false;
  let closed = false;
  const timer = setInterval(
    () => {
      if (paused || stderr.closed || stderr.backlog() !== undefined) return;
      tellHeld(nowMs());
      screen.tick();
    },
    mode === 'terminal' ? REDRAW_MS : PLAIN_MS,
  ).unref();
  return {
    note(sort, text) {
      if (!closed && notes.pass(sort, nowMs())) screen.write(printable(text));
    },
    alert: (text) => screen.write(text),
    pause() {
      paused = true;
      screen.clear();
    },
    resume() {
      paused = false;
    },
    close() {
      closed = true;
      clearInterval(timer);
      tellHeld(Infinity);
      screen.clear();
    },
  };
}

interface Screen {
  write(text: string): void;
  tick(): void;
  clear(): void;
}

function liveScreen({ stderr, view, size }: DisplayOptions): Screen {
  let live: Frame = [];
  let drawnFor = 0;
  return {
    write: (text) => stderr.write(writeAbove(live, text, size().columns)),
    tick() {
      const shown = view();
      if (shown === undefined) return;
      const { columns, rows } = size();
      const next = progressLines(shown, columns, rows);
      if (columns === drawnFor && next.join('\n') === live.join('\n')) return;
      stderr.write(redraw(live, next, columns));
      live = next;
      drawnFor = columns;
    },
    clear() {
      stderr.write(erase(live, size().columns));
      live = [];
    },
  };
}

function plainScreen({ stderr, view }: DisplayOptions): Screen {
  let last = '';
  return {
    write: (text) => stderr.write(`${text}\n`),
    tick() {
      const shown = view();
      const line = shown === undefined ? last : progressLine(shown);
      // A fleet that only waits for input says nothing new.
      if (line !== last) stderr.write(`${line}\n`);
      last = line;
    },
    clear() {},
  };
}

function quietDisplay({ stderr }: DisplayOptions): Display {
  return { note() {}, alert: (text) => stderr.write(`${text}\n`), pause() {}, resume() {}, close() {} };
}

/** How a run is shown, from where its streams lead. */
export function displayMode({ quiet, json }: { readonly quiet: boolean; readonly json: boolean }): DisplayOptions['mode'] {
  if (quiet) return 'quiet';
  // Results on the same screen would be written into what is drawn there.
  const shared = json && process.stdout.isTTY;
  return process.stderr.isTTY && !shared && process.env['TERM'] !== 'dumb' ? 'terminal' : 'pipe';
}

/** Size of the terminal that standard error is, with the usual one where it does not say. */
export function terminalSize(): { readonly columns: number; readonly rows: number } {
  return { columns: process.stderr.columns || 80, rows: process.stderr.rows || 24 };
}
