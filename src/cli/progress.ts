/** Progress: how far a run is, in words. Pure: the state and the width come in, lines go out. */
import { count, duration, fit, rate, short } from './text.ts';

/** What a progress display shows. */
export interface ProgressView {
  readonly fleet: string;
  /** Tasks in the store that wait for a worker. */
  readonly queue: number;
  readonly running: number;
  /** Parked or retrying. */
  readonly waiting: number;
  /** Completed by this process, children included. */
  readonly done: number;
  /** Tasks of lines that were over already. */
  readonly before: number;
  readonly retries: number;
  /** Failed and dead. */
  readonly failed: number;
  readonly restarts: number;
  readonly refusedLines: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Ends a second, recently; undefined before there is enough to tell. */
  readonly perSecond: number | undefined;
  /** Tasks that are left, with a guess for lines not read yet; undefined when nobody can tell. */
  readonly left: number | undefined;
  /** Set while the fleet drains: how long runs may still go on. */
  readonly drainMs?: number;
}

/** How many tasks had ended at some time. */
export interface Sample {
  readonly atMs: number;
  readonly ended: number;
}

/** The rate is that of so many of the last ms. */
const RATE_WINDOW_MS = 30_000;
const SHORTEST_RATE_MS = 1_000;

/** Adds a sample and forgets those that are too old, except the one that spans the window. */
export function addSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  const inside = samples.findIndex(({ atMs }) => atMs > sample.atMs - RATE_WINDOW_MS);
  return [...samples.slice(inside < 0 ? -1 : Math.max(0, inside - 1)), sample];
}

/** Ends a second over the samples, undefined when they span too little. */
export function perSecond(samples: readonly Sample[]): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.atMs - first.atMs < SHORTEST_RATE_MS) return undefined;
  return ((last.ended - first.ended) * 1_000) / (last.atMs - first.atMs);
}

/** Lines still to come, from how much of the file is read; undefined when nobody can tell. */
export function linesToCome(
  input: { readonly lines: number; readonly bytesRead: number; readonly readAll: boolean },
  bytes: number | undefined,
): number | undefined {
  if (input.readAll) return 0;
  if (bytes === undefined || input.bytesRead === 0) return undefined;
  return Math.max(0, Math.round(input.lines * (bytes / input.bytesRead - 1)));
}

/** One line, for a pipe or a log. */
export function progressLine(view: ProgressView): string {
  const { ended, share } = sums(view);
  return `${view.fleet}: ${share === undefined ? '' : `${percent(share)} of ${count(ended + view.left!)}, `}${parts(view).join(', ')}`;
}

const BAR_COLUMNS = 40;
const SHORTEST_BAR = 10;
const MOST_LINES = 6;

/**
 * The lines of a live display, none wider than `columns`, at most `rows`. A narrow terminal gets
 * more lines, not less to read, as long as there is room.
 */
export function progressLines(view: ProgressView, columns: number, rows: number): readonly string[] {
  // The last column stays empty: some terminals wrap as soon as it is written.
  const width = Math.max(1, columns - 1);
  const lines = [fit(head(view, width), width)];
  let line = '';
  for (const part of parts(view)) {
    if (line !== '' && `${line}  ${part}`.length <= width) line = `${line}  ${part}`;
    else {
      if (line !== '') lines.push(line);
      line = fit(`  ${part}`, width);
    }
  }
  lines.push(line);
  return lines.slice(0, Math.max(1, Math.min(MOST_LINES, rows - 1)));
}

function head(view: ProgressView, width: number): string {
  const { fleet, left, drainMs } = view;
  if (drainMs !== undefined) return `${fleet}  draining: runs may end within ${duration(drainMs)}, Ctrl-C again stops at once`;
  const { ended, share } = sums(view);
  if (share === undefined) return `${fleet}  ${count(ended)} over`;
  const said = `${percent(share)}  ${count(ended)} of ${count(ended + left!)}`;
  const room = Math.min(BAR_COLUMNS, width - fleet.length - said.length - 5);
  if (room < SHORTEST_BAR) return `${fleet}  ${said}`;
  const full = Math.floor(share * room);
  return `${fleet}  [${'#'.repeat(full)}${'.'.repeat(room - full)}] ${said}`;
}

/** What is over, and which share of all that is known to come. */
function sums({ done, failed, before, left }: ProgressView): { readonly ended: number; readonly share: number | undefined } {
  const ended = done + failed + before;
  if (left === undefined) return { ended, share: undefined };
  return { ended, share: ended + left === 0 ? 1 : ended / (ended + left) };
}

/** Rounded down: 100 % is said only when it is. */
function percent(share: number): string {
  return `${Math.floor(share * 100)}%`;
}

function parts(view: ProgressView): string[] {
  const { queue, running, waiting, done, before, retries, failed, restarts, refusedLines, inputTokens, outputTokens } = view;
  const timeLeft = view.drainMs === undefined ? leftMs(view) : undefined;
  return [
    `queue ${count(queue)}`,
    `running ${count(running)}`,
    ...(waiting > 0 ? [`waiting ${count(waiting)}`] : []),
    `done ${count(done)}`,
    ...(before > 0 ? [`done before ${count(before)}`] : []),
    `retries ${count(retries)}`,
    `failed ${count(failed)}`,
    ...(refusedLines > 0 ? [`refused lines ${count(refusedLines)}`] : []),
    ...(restarts > 0 ? [`restarts ${count(restarts)}`] : []),
    `tokens ${short(inputTokens)} in ${short(outputTokens)} out`,
    ...(view.perSecond === undefined ? [] : [rate(view.perSecond)]),
    ...(timeLeft === undefined ? [] : [`${duration(timeLeft)} left`]),
  ];
}

function leftMs({ left, perSecond: ends }: ProgressView): number | undefined {
  return left === undefined || ends === undefined || ends <= 0 ? undefined : (left * 1_000) / ends;
}
