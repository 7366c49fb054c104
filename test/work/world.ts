/**
 * World: one day of a fleet in virtual time. Processes die at commit points and come back over the same ground; a client
 * submits, tells, approves and cancels until the store has said yes; in the end nothing fails any more.
 */
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { defineFleet } from 'drover';
import type { Fleet, MailboxMode } from 'drover';
import { countingIds } from '../../actors/kernel/ids.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { Host } from '../../actors/host/host.ts';
import type { Message } from '../../actors/kernel/effects.ts';
import { seededTransport } from '../../actors/host/transport.ts';
import { isTerminal } from '../../actors/ports/store.ts';
import type { Store, TaskRecord } from '../../actors/ports/store.ts';
import { startFleetWith } from '../../src/runtime/fleet.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { faultyStore } from '../runtime/harness.ts';
import type { Command } from '../runtime/harness.ts';
import type { StoreFault, StoreFaults } from '../../src/testing/simulate/faulty-store.ts';
import type { Place } from '../stores/conformance/place.ts';
import { makeAgents } from './agents.ts';
import { Books } from './books.ts';
import { Client, NOT_UNDONE } from './client.ts';
import type { Program } from './programs.ts';
import { ROWS } from './programs.ts';
import { judge } from './verdict.ts';
import { Witness } from './witness.ts';
import type { BrokenError } from './witness.ts';

const START_MS = 1_750_000_000_000;
const TICK_MS = 400;
/** Virtual time in which everything has to end once nothing fails any more. */
const PATIENCE_MS = 240_000;

/** What happens at a commit point, if anything. */
export type Strike = (command: Command, nth: number, random: Random) => StoreFault | undefined;

export interface WorldOptions {
  readonly seed: number;
  readonly ground: Place;
  readonly day: readonly Program[];
  readonly strike?: Strike;
  /** Windows in which no lease is renewed and what is settled hangs on the way. */
  readonly outages?: number;
  /** Commands take their time. */
  readonly slow?: boolean;
  /** Share of the tasks that are cancelled: one in so many. 0: none. */
  readonly cancelOneIn?: number;
  /** Default `steal`. */
  readonly mode?: MailboxMode;
  /** Workers that crash: one in so many looks. Default: none. */
  readonly crashOneIn?: number;
  /** A store with a fault of its own. */
  readonly spoil?: (store: Store) => Store;
  /** When faults stop. Default 20,000. */
  readonly healAtMs?: number;
}

export interface Day {
  readonly broken: readonly BrokenError[];
  readonly deaths: number;
  readonly tasks: number;
  /** Commits by command. */
  readonly commits: ReadonlyMap<Command, number>;
  readonly stolen: number;
}

interface Process {
  readonly host: () => Host | undefined;
  readonly faults: StoreFaults;
  /** As it was opened: for `ground.crash`. */
  readonly opened: Store;
  /** With its mistakes, and without faults. */
  readonly store: Store;
  fleet: Fleet | undefined;
  failed: unknown;
  gone: boolean;
}

/** Lives through one day, and says what was broken. */
export async function liveThrough(options: WorldOptions): Promise<Day> {
  const world = new World(options);
  try {
    return await world.live();
  } finally {
    await world.end();
  }
}

class World {
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #clock = new VirtualClock(START_MS);
  readonly #witness = new Witness();
  readonly #books: Books;
  readonly #client: Client;
  readonly #commits = new Map<Command, number>();
  readonly #asked = new Map<Command, number>();
  readonly #outages: readonly (readonly [fromMs: number, untilMs: number])[];
  readonly #healAtMs: number;
  #process: Process | undefined;
  #deaths = 0;
  #stolen = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seededRandom(`work/${options.seed}`);
    this.#books = new Books(this.#witness);
    this.#client = new Client(options.day, this.#books, this.#witness, this.#random.fork('client'), options.cancelOneIn ?? 0);
    this.#healAtMs = START_MS + (options.healAtMs ?? 20_000);
    const random = this.#random.fork('outages');
    this.#outages = Array.from({ length: options.outages ?? 0 }, () => {
      const fromMs = START_MS + random.int(12_000);
      return [fromMs, fromMs + 5_000 + random.int(4_000)] as const;
    });
  }

  async live(): Promise<Day> {
    await this.#begin();
    let nextTickMs = START_MS;
    const untilMs = this.#healAtMs + PATIENCE_MS;
    while (this.#witness.broken.length === 0) {
      await this.#settle();
      const process = this.#process!;
      if (process.gone || process.failed !== undefined) {
        await this.#bury();
        await this.#begin();
        continue;
      }
      const nowMs = this.#clock.nowMs();
      if (nowMs >= nextTickMs) {
        nextTickMs = nowMs + TICK_MS;
        if (process.fleet !== undefined) this.#client.tick(process.fleet, nowMs - START_MS);
        if (nowMs < this.#healAtMs) this.#crashSomebody(process);
        await this.#settle();
        if (process.gone) continue;
        if (await this.#isOver(process)) break;
        if (nowMs > untilMs) await this.#isStuck(process);
        continue;
      }
      this.#clock.advanceTo(Math.max(nowMs, Math.min(nextTickMs, this.#clock.nextDueMs ?? Infinity)));
    }
    if (this.#witness.broken.length === 0) await this.#judge();
    return {
      broken: this.#witness.broken,
      deaths: this.#deaths,
      tasks: this.#books.accepted.size,
      commits: this.#commits,
      stolen: this.#stolen,
    };
  }

  /** Leaves nothing behind. */
  async end(): Promise<void> {
    if (this.#process !== undefined) await this.#bury();
    await this.#options.ground.remove();
  }

  async #begin(): Promise<void> {
    const { ground, spoil = (store: Store) => store } = this.#options;
    const random = this.#random.fork(`process ${this.#deaths}`);
    const opened = ground.store();
    const store = spoil(opened);
    const process: Process = { host: () => host, faults: {}, opened, store, fleet: undefined, failed: undefined, gone: false };
    let host: Host | undefined;
    process.faults.isGone = () => process.gone;
    process.faults.die = () => void (process.gone = true);
    process.faults.fault = (command) => this.#faultOf(command);
    process.faults.delays = this.#options.slow === true ? (command) => this.#delaysOf(command) : undefined;
    process.faults.committed = (command, items, reply, nowMs) => {
      this.#commits.set(command, (this.#commits.get(command) ?? 0) + 1);
      this.#books.committed(command, items, reply, nowMs);
    };
    this.#process = process;
    this.#books.begins(this.#clock.nowMs());
    const topology = defineFleet({
      name: 'test',
      staggerMs: 0,
      agents: makeAgents(this.#witness, (ms) => this.#sleep(ms), this.#options.mode ?? 'steal'),
      supervision: { intensity: 1_000 },
    });
    startFleetWith(
      topology,
      {
        store: faultyStore(store, process.faults, (ms) => this.#sleep(ms)),
        clock: this.#clock,
        random,
        ids: countingIds(`p${this.#deaths}`),
        transport: seededTransport(random.fork('transport')),
        logger: pino({ level: 'silent' }),
      },
      { onHost: (made) => (host = made) },
    ).then(
      (fleet) => {
        process.fleet = fleet as never;
        this.#client.meets(fleet as never);
        fleet.events.on('fleet.failed', ({ error }) => (process.failed = error));
        fleet.events.on('mailbox.stolen', ({ count }) => (this.#stolen += count));
      },
      (error: unknown) => (process.failed = error),
    );
  }

  async #bury(): Promise<void> {
    const process = this.#process!;
    this.#process = undefined;
    process.gone = true;
    this.#deaths += 1;
    this.#client.loses();
    this.#witness.allGone();
    process.host()?.close();
    await this.#options.ground.crash(process.opened);
  }

  #faultOf(command: Command): StoreFault | undefined {
    const nth = (this.#asked.get(command) ?? 0) + 1;
    this.#asked.set(command, nth);
    const nowMs = this.#clock.nowMs();
    if (nowMs > this.#healAtMs) return undefined;
    if (command === 'renew' && this.#outage(nowMs) !== undefined) return 'before';
    return this.#options.strike?.(command, nth, this.#random);
  }

  #delaysOf(command: Command): readonly [number, number] {
    const nowMs = this.#clock.nowMs();
    if (nowMs > this.#healAtMs) return [0, 0];
    const untilMs = command === 'settle' ? this.#outage(nowMs) : undefined;
    return [untilMs === undefined ? this.#random.int(30) : untilMs - nowMs, this.#random.int(30)];
  }

  #outage(nowMs: number): number | undefined {
    return this.#outages.find(([fromMs, untilMs]) => fromMs <= nowMs && nowMs < untilMs)?.[1];
  }

  async #settle(): Promise<void> {
    do await setImmediate();
    while ((this.#process?.host()?.pending.messages ?? 0) > 0 && this.#process?.gone === false);
  }

  /** Lets a worker throw in its next turn. */
  #crashSomebody({ host, fleet }: Process): void {
    const { crashOneIn = 0 } = this.#options;
    if (fleet === undefined || crashOneIn === 0 || this.#random.int(crashOneIn) > 0) return;
    const workers = ['work/0', 'work/1', 'work/2', 'helper/0', 'helper/1'];
    const message: Message & { readonly error: Error } = { type: 'worker.fail', error: new Error('the worker breaks') };
    host()?.send(`test/agents/${workers[this.#random.int(workers.length)]!}`, message, 'control');
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.wakeAt(this.#clock.nowMs() + ms, resolve));
  }

  async #isOver({ store, fleet }: Process): Promise<boolean> {
    if (fleet === undefined) return false;
    const tasks = await this.#books.look(store, this.#clock.nowMs());
    const isOver = ({ status, error }: TaskRecord): boolean => isTerminal(status) && !(error ?? '').includes(NOT_UNDONE);
    return this.#client.isContent && tasks.length > 0 && tasks.every(isOver);
  }

  async #isStuck({ store }: Process): Promise<void> {
    const tasks = await store.list({ limit: 1_000 });
    const open = tasks.filter(({ status }) => !isTerminal(status)).map(({ id, status, parkedFor }) => `${id} ${status} ${parkedFor ?? ''}`);
    this.#witness.breaks(
      'L1',
      open.length > 0 ? `not ended: ${open.join(', ')}` : `ended, but the client waits for ${this.#client.lacking}`,
    );
  }

  async #judge(): Promise<void> {
    const { store } = this.#process!;
    const rows = await store.getState(ROWS);
    judge(this.#witness, {
      tasks: await store.list({ limit: 1_000 }),
      accepted: this.#books.accepted,
      rows: Object.fromEntries(rows.flatMap((row) => (row === undefined ? [] : [[row.key, JSON.parse(row.value) as number]]))),
      cancelled: this.#client.cancelled,
    });
  }
}
