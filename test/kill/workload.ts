/**
 * Workload: what clients want of the shop, drawn by seed, and what must have become of it at the end. A client sees a thing
 * through: it asks again until it is answered, whatever is killed meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../actors/kernel/random.ts';
import type { Client } from './client.ts';
import type { Command } from './messages.ts';

/** How a client has an order end. */
export type Fate = 'completes' | 'fails' | 'cancelled' | 'paused';

interface Accepted {
  readonly id: string;
  /** When the client knew that it was accepted; Infinity before. */
  acceptedMs: number;
}

/** An order, and how it must end. */
export interface WantedOrder extends Accepted {
  readonly kind: 'order';
  readonly n: number;
  readonly account: number;
  readonly amount: number;
  readonly fate: Fate;
  /** What the client that cancelled it was told. */
  steered: unknown;
}

/** A transfer between two accounts. */
export interface WantedTransfer extends Accepted {
  readonly kind: 'transfer';
  readonly from: number;
  readonly to: number;
  readonly amount: number;
}

/** A line of a ledger, whose lines come in order. */
export interface WantedLine extends Accepted {
  readonly kind: 'ledger';
  readonly key: string;
  readonly n: number;
  readonly fails: boolean;
}

/** An errand, which waits for a time, two events and a person. */
export interface WantedErrand extends Accepted {
  readonly kind: 'errand';
  readonly n: number;
  readonly sleepMs: number;
  readonly notBeforeMs: number | undefined;
  readonly approved: boolean;
}

/** One task from outside. */
export type Wanted = WantedOrder | WantedTransfer | WantedLine | WantedErrand;

const ACCOUNTS = 5;
const LEDGERS = 4;
const MOST_UNFINISHED = 40;
/** Recurring tasks, by name. */
export const SCHEDULES = {
  every: { kind: 'tick', everyMs: 1_000, overlap: 'allow' },
  cron: { kind: 'tick', cron: '* * * * * *', overlap: 'allow' },
} as const;
const DECIDE_EVERY_MS = 100;

/** What a client may be told when it asks again for what has been done, or comes too late. */
const FINE: Readonly<Partial<Record<Command['do'], readonly string[]>>> = {
  cancel: ['DROVER_TASK_ENDED'],
  pause: ['DROVER_TASK_ENDED'],
  unpause: ['DROVER_TASK_ENDED', 'DROVER_TASK_NOT_PAUSED'],
  signal: ['DROVER_TASK_ENDED'],
  decide: ['DROVER_APPROVAL_NOT_ASKED', 'DROVER_TASK_ENDED'],
  unschedule: ['DROVER_UNKNOWN_SCHEDULE'],
};

/** Begins nothing by itself. */
export class Workload {
  readonly wanted: Wanted[] = [];
  /** Answers that nobody should have had. */
  readonly problems: string[] = [];
  readonly #client: Client;
  readonly #random: Random;
  readonly #unfinished = new Set<string>();
  readonly #seenThrough: Promise<void>[] = [];
  /** Of each ledger, the acceptance of its latest line: lines are submitted one after the other. */
  readonly #lines = new Map<string, Promise<unknown>>();
  #deciding: Promise<void> | undefined;

  constructor(client: Client, random: Random) {
    this.#client = client;
    this.#random = random;
  }

  async schedule(): Promise<void> {
    for (const [name, spec] of Object.entries(SCHEDULES)) await this.#ask({ do: 'schedule', name, spec });
  }

  async unschedule(): Promise<void> {
    for (const name of Object.keys(SCHEDULES)) await this.#ask({ do: 'unschedule', name });
  }

  /** One more task, unless there are many that have not ended. */
  begin(): void {
    if (this.#unfinished.size >= MOST_UNFINISHED) return;
    const drawn = this.#random.int(10);
    const n = this.wanted.length;
    if (drawn < 4) this.#see(this.#order(n));
    else if (drawn < 5) this.#see(this.#transfer(n));
    else if (drawn < 8) this.#see(this.#ledger(n));
    else this.#see(this.#errand(n));
  }

  /** Ids of what clients know to be accepted. */
  accepted(): readonly string[] {
    return this.wanted.filter(({ acceptedMs }) => acceptedMs !== Infinity).map(({ id }) => id);
  }

  /** A task has ended; what else ends is none of its. */
  ended(id: string): void {
    this.#unfinished.delete(id);
  }

  /** Decides what waits for a person, one after the other. */
  decide(): void {
    if (this.#client.isConnected) this.#deciding ??= this.#decideAll();
  }

  /** Every client has been told what it wanted to know. */
  async seenThrough(): Promise<void> {
    await Promise.all(this.#seenThrough);
    await this.#deciding;
  }

  async #decideAll(): Promise<void> {
    const asked = (await this.#ask({ do: 'approvals' })) as readonly { readonly id: string; readonly name: string }[] | undefined;
    for (const { id, name } of asked ?? []) {
      const task = this.wanted.find((wanted) => wanted.id === id);
      const approved = task?.kind === 'errand' && task.approved;
      await this.#ask({ do: 'decide', id, name, approved, by: 'ann' });
    }
    await sleep(DECIDE_EVERY_MS);
    this.#deciding = undefined;
  }

  async #order(n: number): Promise<void> {
    const fate = (['completes', 'completes', 'completes', 'fails', 'cancelled', 'paused'] as const)[this.#random.int(6)]!;
    const [account, amount] = [this.#account(), this.#amount()];
    const task: WantedOrder = { id: `order-${n}`, kind: 'order', n, account, amount, fate, steered: undefined, acceptedMs: Infinity };
    this.#want(task);
    const { id } = task;
    const laterMs = this.#random.int(400);
    await this.#submit(task, { n, account, amount, fails: fate === 'fails' });
    await sleep(laterMs);
    if (fate === 'cancelled') task.steered = (await this.#ask({ do: 'cancel', id })) ?? 'too late';
    if (fate !== 'paused') return;
    await this.#ask({ do: 'pause', id });
    await sleep(laterMs);
    await this.#ask({ do: 'unpause', id });
  }

  async #transfer(n: number): Promise<void> {
    const [from, by] = [this.#account(), 1 + this.#random.int(ACCOUNTS - 1)];
    const to = (from + by) % ACCOUNTS;
    const task: WantedTransfer = { id: `transfer-${n}`, kind: 'transfer', from, to, amount: this.#amount(), acceptedMs: Infinity };
    this.#want(task);
    await this.#submit(task, { from, to, amount: task.amount });
  }

  async #ledger(n: number): Promise<void> {
    const key = `ledger-${this.#random.int(LEDGERS)}`;
    const [fails, sleepMs] = [this.#random.int(8) === 0, this.#random.int(3) === 0 ? this.#random.int(60) : 0];
    const task: WantedLine = { id: `line-${n}`, kind: 'ledger', key, n, fails, acceptedMs: Infinity };
    this.#want(task);
    const before = this.#lines.get(key);
    const accepted = Promise.resolve(before).then(() => this.#submit(task, { key, n, fails, sleepMs }));
    this.#lines.set(key, accepted);
    await accepted;
  }

  async #errand(n: number): Promise<void> {
    const notBeforeMs = this.#random.int(3) === 0 ? Date.now() + this.#random.int(800) : undefined;
    const [sleepMs, approved] = [this.#random.int(500), this.#random.int(4) !== 0];
    const task: WantedErrand = { id: `errand-${n}`, kind: 'errand', n, sleepMs, notBeforeMs, approved, acceptedMs: Infinity };
    this.#want(task);
    await this.#submit(task, { n, sleepMs }, notBeforeMs);
    for (const turn of [1, 2]) {
      await sleep(this.#random.int(400));
      await this.#ask({ do: 'signal', id: task.id, name: 'go', payload: { turn }, key: `turn-${turn}` });
    }
  }

  #want(task: Wanted): void {
    this.wanted.push(task);
    this.#unfinished.add(task.id);
  }

  async #submit(task: Wanted, input: object, notBeforeMs?: number): Promise<void> {
    const { kind, id } = task;
    await this.#ask({ do: 'submit', kind, id, input, ...(notBeforeMs === undefined ? {} : { notBeforeMs }) });
    task.acceptedMs = Date.now();
  }

  async #ask(command: Command): Promise<unknown> {
    const outcome = await this.#client.ask(command);
    if (outcome.at === 'done') return outcome.value;
    if (FINE[command.do]?.includes(outcome.code) !== true) this.problems.push(`${JSON.stringify(command)} was refused: ${outcome.code}`);
    return undefined;
  }

  #see(through: Promise<void>): void {
    this.#seenThrough.push(through);
  }

  #account(): number {
    return this.#random.int(ACCOUNTS);
  }

  #amount(): number {
    return 1 + this.#random.int(100);
  }
}
