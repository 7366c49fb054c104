/** Monitor: watches a fleet at work, for the display and to know when nothing is left. */
import type { Fleet } from '../runtime/fleet.ts';
import type { Display } from './display.ts';
import type { Feed } from './feed.ts';
import { sumUnfinished } from './open-store.ts';
import type { Unfinished } from './open-store.ts';
import { addSample, linesToCome, perSecond } from './progress.ts';
import type { ProgressView, Sample } from './progress.ts';
import { count, plural } from './text.ts';

export interface MonitorOptions {
  readonly fleet: Fleet;
  readonly feed: Feed;
  /** Size of the input, where it has one. */
  readonly inputBytes: number | undefined;
  readonly nowMs: () => number;
}

const POLL_MS = 500;
/** How soon the end is seen once all lines are over. */
const END_POLL_MS = 100;

export class Monitor {
  readonly #options: MonitorOptions;
  #unfinished: Unfinished = { queued: 0, running: 0, waiting: 0, all: 0, others: 0 };
  #samples: readonly Sample[] = [];
  #endedAtLook = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** When a drain is over. */
  drainUntilMs: number | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#sample();
  }

  /** Looks at the store twice a second, until `stop`. */
  start(): void {
    this.#timer = setInterval(() => {
      if (this.#looking) return;
      // What the store cannot say now, it says next time; that it fails is told by the fleet.
      this.look().catch(() => {});
    }, POLL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What the store holds now. */
  async look(): Promise<Unfinished> {
    const { fleet } = this.#options;
    this.#looking = true;
    try {
      this.#unfinished = sumUnfinished(await fleet.counts(), fleet.topology.kinds);
    } finally {
      this.#looking = false;
    }
    this.#sample();
    return this.#unfinished;
  }

  /**
   * Resolves when the store holds nothing unfinished of this fleet. Parked and retrying tasks count.
   *
   * @throws what the store says when trying again cannot help
   */
  async untilNothingIsLeft(): Promise<void> {
    for (;;) {
      try {
        if ((await this.look()).all === 0) return;
      } catch (error) {
        if ((error as { retryable?: unknown } | null)?.retryable !== true) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, END_POLL_MS));
    }
  }

  view(): ProgressView {
    const { fleet, feed, inputBytes, nowMs } = this.#options;
    const { stats, load } = fleet;
    const { queued, waiting, all } = this.#unfinished;
    const toCome = linesToCome(feed.tally, inputBytes);
    // What has ended since the last look is no longer in the queue: each end lets another begin.
    const since = this.#ended() - this.#endedAtLook;
    return {
      fleet: fleet.topology.name,
      queue: Math.max(0, queued - since),
      running: load.running,
      waiting,
      done: stats.completed,
      before: feed.tally.endedBefore,
      retries: stats.retried,
      failed: stats.failed + stats.dead,
      restarts: stats.restarts,
      refusedLines: feed.tally.refused,
      inputTokens: stats.inputTokens,
      outputTokens: stats.outputTokens,
      perSecond: perSecond(this.#samples),
      left: toCome === undefined ? undefined : Math.max(load.running, all - since) + toCome,
      ...(this.drainUntilMs === undefined ? {} : { drainMs: Math.max(0, this.drainUntilMs - nowMs()) }),
    };
  }

  #sample(): void {
    const { feed, nowMs } = this.#options;
    this.#endedAtLook = this.#ended();
    this.#samples = addSample(this.#samples, { atMs: nowMs(), ended: this.#endedAtLook + feed.tally.endedBefore });
  }

  #ended(): number {
    const { completed, failed, dead } = this.#options.fleet.stats;
    return completed + failed + dead;
  }
}

/** Tells what is worth knowing as it happens. Retries of the store and crashes come through the log. */
export function noteEvents({ events }: Pick<Fleet, 'events'>, display: Pick<Display, 'note'>): void {
  events.on('task.failed', ({ id, kind, status, error }) => {
    const why = error === null ? 'no error was recorded' : `${error.code === undefined ? '' : `${error.code}: `}${error.message}`;
    display.note(
      status === 'dead' ? 'tasks are dead' : 'tasks have failed',
      `task ${id} (${kind}) ${status === 'dead' ? 'is dead' : 'has failed'}: ${why}`,
    );
  });
  events.on('worker.restarting', ({ worker, inMs }) => display.note('workers restart', `${worker} restarts in ${Math.round(inMs)} ms`));
  events.on('lease.lost', ({ id, kind }) => display.note('leases were lost', `task ${id} (${kind}): its lease was lost; it runs again`));
}

/** What a run begins with, in one line. */
export function startNote(fleet: string, store: string, { all, others }: Unfinished, source: string | undefined): string {
  const going = all > 0 ? ` with ${plural(all, 'unfinished task')}` : '';
  const waiting = others > 0 ? ` (and ${count(others)} of kinds that this fleet does not have: they wait)` : '';
  return `${fleet}: store ${store}${going}${waiting}, ${source === undefined ? 'no new tasks' : `tasks from ${source}`}`;
}
