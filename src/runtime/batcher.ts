/**
 * Batcher: many small requests to the store become few commands. A request waits for the end of the
 * current burst of work (one microtask) and no longer, so a quiet fleet pays no delay.
 *
 * A command that fails retryably is sent again, with backoff, until the batcher closes: every
 * command of the store may be. One that fails for good is given to `onFatal` and not sent again.
 *
 * Who throws at his reply is told that as his error; who takes none, or throws at that too, leaves something half done: the
 * fleet cannot go on. The others of his batch are told all the same, so that nobody is left hanging.
 */
import type { Host } from '../../actors/host/host.ts';
import type { Random } from '../../actors/kernel/random.ts';

export interface BatcherOptions {
  readonly host: Host;
  readonly random: Random;
  /** Told of each failed try. */
  readonly onRetry: (error: unknown) => void;
  /** Told when a command has failed for good: the fleet cannot go on. */
  readonly onFatal: (error: unknown) => void;
}

/** Whoever gave an item. It may be the item itself. */
export interface Requester<Reply> {
  replied(reply: Reply): void;
  /** Takes the error instead of a retry. */
  failed?(error: unknown): void;
}

/** Requests that go together, one array a column: no object per request on the hot path. */
interface Batch<Item, Reply> {
  readonly items: Item[];
  readonly from: Requester<Reply>[];
}

const LARGEST_BATCH = 512;
const RETRY_BASE_MS = 50;
const RETRY_CAP_MS = 5_000;

export class Batcher<Item, Reply> {
  readonly #command: (items: readonly Item[]) => Promise<readonly Reply[]>;
  readonly #options: BatcherOptions;
  #next: Batch<Item, Reply> = emptyBatch();
  #closed = false;
  #underWay = 0;
  #idle: (() => void)[] = [];

  constructor(command: (items: readonly Item[]) => Promise<readonly Reply[]>, options: BatcherOptions) {
    this.#command = command;
    this.#options = options;
  }

  add(item: Item, from: Requester<Reply>): void {
    const { items } = this.#next;
    items.push(item);
    this.#next.from.push(from);
    if (items.length === 1) queueMicrotask(this.#flush);
    else if (items.length === LARGEST_BATCH) this.#flush();
  }

  /** Resolves when nothing waits and nothing is under way. */
  idle(): Promise<void> {
    if (this.#next.items.length === 0 && this.#underWay === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Sends nothing again from now on. */
  close(): void {
    this.#closed = true;
  }

  readonly #flush = (): void => {
    const batch = this.#next;
    if (batch.items.length === 0) return;
    this.#next = emptyBatch();
    this.#send(batch, 0);
  };

  #send(batch: Batch<Item, Reply>, tries: number): void {
    this.#underWay += 1;
    this.#command(batch.items).then(
      (replies) => {
        for (let at = 0; at < replies.length; at += 1) this.#reply(batch.from[at]!, replies[at]!);
        this.#arrived();
      },
      (error: unknown) => {
        this.#failed(batch, tries, error);
        this.#arrived();
      },
    );
  }

  #reply(from: Requester<Reply>, reply: Reply): void {
    try {
      from.replied(reply);
    } catch (error) {
      if (from.failed === undefined) this.#options.onFatal(error);
      else this.#refuse(from, error);
    }
  }

  #refuse(from: Requester<Reply>, error: unknown): void {
    try {
      from.failed!(error);
    } catch (thrown) {
      this.#options.onFatal(thrown);
    }
  }

  #failed(batch: Batch<Item, Reply>, tries: number, error: unknown): void {
    const again = emptyBatch<Item, Reply>();
    for (let at = 0; at < batch.items.length; at += 1) {
      const from = batch.from[at]!;
      if (from.failed !== undefined) {
        this.#refuse(from, error);
        continue;
      }
      again.items.push(batch.items[at]!);
      again.from.push(from);
    }
    if (again.items.length === 0 || this.#closed) return;
    const { host, random, onRetry, onFatal } = this.#options;
    if ((error as { retryable?: unknown } | null)?.retryable !== true) return onFatal(error);
    onRetry(error);
    const delayMs = random.next() * Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** tries);
    this.#underWay += 1;
    host.alarm(host.clock.nowMs() + delayMs, () => {
      if (!this.#closed) this.#send(again, tries + 1);
      this.#arrived();
    });
  }

  #arrived(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0 || this.#next.items.length > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}

function emptyBatch<Item, Reply>(): Batch<Item, Reply> {
  return { items: [], from: [] };
}
