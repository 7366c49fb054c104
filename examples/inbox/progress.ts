/** Progress: one line that is drawn over on a terminal, a plain line every few seconds in a pipe. Always on standard error. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WriteStream } from 'node:tty';
import type { TaskCounts } from 'drover';

/** What is looked at, a few times a second. */
export interface Look {
  /** Triage tasks in the store. */
  readonly triage: TaskCounts | undefined;
  /** Tasks of all kinds that are neither running nor over. */
  readonly queued: number;
  readonly running: number;
  /** Sums since this process began. */
  readonly tokens: number;
  readonly rejected429: number;
}

const REDRAW_MS = 250;
const LINE_MS = 5_000;
/** Rates are those of the last so many milliseconds. */
const WINDOW_MS = 15_000;

interface Sample {
  readonly atMs: number;
  readonly done: number;
  readonly tokens: number;
}

/** Shows `look` until it is stopped. */
export function showProgress(mails: number, look: () => Promise<Look>, to: WriteStream = process.stderr): { stop(): Promise<void> } {
  const live = to.isTTY;
  let samples: readonly Sample[] = [];
  const stopping = new AbortController();

  async function show(): Promise<void> {
    const seen = await look();
    const now: Sample = { atMs: performance.now(), done: seen.triage?.completed ?? 0, tokens: seen.tokens };
    samples = [...samples.filter(({ atMs }) => now.atMs - atMs <= WINDOW_MS), now];
    const line = lineOf(mails, seen, now, samples[0]!);
    if (live) to.write(`\r\u001b[2K${line.slice(0, to.columns - 1)}`);
    else to.write(`${line}\n`);
  }

  async function showOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      // A look may fail, while the store closes or the provider is busy. The next one may not.
      await show().catch(() => {});
      await sleep(live ? REDRAW_MS : LINE_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }
  const shown = showOn();

  return {
    async stop() {
      stopping.abort();
      await shown;
      if (live) to.write('\r\u001b[2K');
    },
  };
}

function lineOf(mails: number, { queued, running, rejected429 }: Look, now: Sample, before: Sample): string {
  const ms = now.atMs - before.atMs;
  const tokensPerMinute = ms > 0 ? ((now.tokens - before.tokens) * 60_000) / ms : 0;
  const donePerMs = ms > 0 ? (now.done - before.done) / ms : 0;
  const left = donePerMs > 0 ? `${Math.ceil((mails - now.done) / donePerMs / 1_000)} s left` : '';
  const parts = [
    `${now.done}/${mails} mails`,
    `${running} running`,
    `${queued} queued`,
    `${Math.round(tokensPerMinute / 1_000)}k tokens/min`,
    `${rejected429} x 429`,
    left,
  ];
  return parts.filter((part) => part !== '').join('  ');
}
