/**
 * Lives: the processes of the fleet, one after the other on one store, each ended as planned. While one lives, the
 * next one loads.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.ts';
import type { Stop } from './evidence-of-stops.ts';
import { Life } from './life.ts';
import type { LifeOptions } from './life.ts';
import type { FromFleet } from './messages.ts';
import type { Ending } from './plan.ts';

/** What the processes are started with, and how they end. */
export interface LivesOptions extends Omit<LifeOptions, 'killAtCommit' | 'heard'> {
  readonly endings: readonly Ending[];
  readonly client: Client;
  /** A task has ended, as a process says. */
  readonly ended: (id: string) => void;
}

/** A process that has not come to the commit that it is to be killed at is killed then: a busy machine takes its time. */
const LONGEST_LIFE_MS = 2_500;
/** A process that has not loaded, or does not own the store by then, is a finding. */
const LONGEST_OPENING_MS = 60_000;

/** Of fewer nothing in particular is expected. */
const MANY_LIVES = 20;

/** Starts the first process at once. */
export class Lives {
  readonly stops: Stop[] = [];
  /** What no process should have said or done. */
  readonly problems: string[] = [];
  /** How many there were, by how they ended. */
  readonly counts = {
    begun: 0,
    opened: 0,
    'killed by the clock': 0,
    'killed at a commit': 0,
    'stopped, went on, killed': 0,
    'stopped, killed': 0,
  };
  /** By a process that went on after a stop. */
  leasesGivenUp = 0;
  readonly #options: LivesOptions;
  #current: Life | undefined;
  #next: Life | undefined;

  constructor(options: LivesOptions) {
    this.#options = options;
    this.#next = this.#load(0);
  }

  /** Plays the next one, from when it takes the store to its end. */
  async play(): Promise<void> {
    const ending = this.#options.endings[this.counts.begun]!;
    const life = await this.#begin();
    switch (ending.at) {
      case 'moment':
        if (ending.from === 'open') await this.#within(life.open);
        await Promise.race([sleep(ending.ms), life.ended]);
        this.counts['killed by the clock'] += 1;
        break;
      case 'commit': {
        await this.#within(life.open);
        const killed = await Promise.race([life.ended.then(() => true), sleep(LONGEST_LIFE_MS, false)]);
        this.counts[killed ? 'killed at a commit' : 'killed by the clock'] += 1;
        break;
      }
      case 'stop':
        await this.#stop(life, ending);
        break;
    }
    life.signal('SIGKILL');
    const { signal, status } = await life.ended;
    if (signal !== 'SIGKILL') this.problems.push(`life ${this.counts.begun}: ended by itself, with status ${status}`);
    this.#options.client.disconnect();
    this.#current = undefined;
  }

  /** The last one, which nobody kills: to be asked to close. */
  async last(): Promise<Life> {
    const life = await this.#begin();
    await this.#within(life.open);
    return life;
  }

  /** What so many lives should have come by, and have not: then they show less than they say. */
  notShown(): readonly string[] {
    const enough = this.#options.endings.length >= MANY_LIVES;
    return [
      ...(enough && this.leasesGivenUp === 0 ? ['no process has given up a lease after a stop'] : []),
      ...(enough && this.counts['killed at a commit'] === 0 ? ['no process was killed at a commit'] : []),
    ];
  }

  /** Whoever is left is killed, a stopped one too. */
  async end(): Promise<void> {
    for (const life of [this.#current, this.#next]) {
      life?.signal('SIGKILL');
      await life?.ended;
    }
  }

  async #stop(life: Life, { afterMs, stopMs, liveMs }: Extract<Ending, { readonly at: 'stop' }>): Promise<void> {
    await this.#within(life.open);
    await sleep(afterMs);
    const stoppedAtMs = Date.now();
    life.signal('SIGSTOP');
    await sleep(stopMs);
    this.counts[liveMs === undefined ? 'stopped, killed' : 'stopped, went on, killed'] += 1;
    if (liveMs === undefined) return;
    this.stops.push({ pid: life.pid, stoppedAtMs, continuedAtMs: Date.now() });
    life.signal('SIGCONT');
    await sleep(liveMs);
  }

  /** It takes the store when it has loaded; the one after it loads meanwhile. */
  async #begin(): Promise<Life> {
    const life = this.#next!;
    await this.#within(life.loaded);
    this.counts.begun += 1;
    this.#current = life;
    life.send({ at: 'go' });
    const { begun } = this.counts;
    this.#next = begun <= this.#options.endings.length ? this.#load(begun) : undefined;
    return life;
  }

  #load(at: number): Life {
    const ending = this.#options.endings[at];
    const point = ending?.at === 'commit' ? { killAtCommit: `${ending.where} ${ending.n}` } : {};
    const life: Life = new Life({ ...this.#options, ...point, heard: (message) => this.#heard(life, message) });
    return life;
  }

  #heard(life: Life, message: FromFleet): void {
    const { client, ended } = this.#options;
    switch (message.at) {
      case 'open':
        this.counts.opened += 1;
        client.connect((asked) => life.send(asked));
        break;
      case 'answered':
        client.answered(message.ticket, message.outcome);
        break;
      case 'ended':
        ended(message.id);
        break;
      case 'lease-lost':
        if (this.stops.some(({ pid }) => pid === life.pid)) this.leasesGivenUp += 1;
        break;
      case 'failed':
        this.problems.push(`life ${this.counts.begun}: failed: ${message.error}`);
        break;
      case 'loaded':
    }
  }

  async #within(said: Promise<unknown>): Promise<void> {
    const inTime = await Promise.race([said.then(() => true), sleep(LONGEST_OPENING_MS, false, { ref: false })]);
    if (!inTime) this.problems.push(`life ${this.counts.begun}: was not there within ${LONGEST_OPENING_MS} ms`);
  }
}
