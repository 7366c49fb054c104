/**
 * Hold: something that is held for a time, and renewed before the time is over.
 *
 *     held ── a third of the time has passed ──▶ renewal sent ── kept ──▶ held, for another time from when it was sent
 *      │                                              │
 *      └── released                                   └── refused, or no answer before the old time was over ──▶ lost
 *
 * Trust counts from when a request was sent, not from when it was answered: a slow answer does not stretch it. Whoever
 * asks whether it is held is answered by the clock, so a process that stood still finds out before its timers do.
 */
import { LeaseLostError } from './errors.ts';
import type { LeaseLostWhy } from './errors.ts';
import { isPassing, RETRY_SHARE } from './tools.ts';
import type { Tools } from './tools.ts';

export interface HoldOptions {
  readonly tools: Tools;
  /** For errors, e.g. `lock report`. */
  readonly name: string;
  readonly fence: number | null;
  readonly ttlMs: number;
  /** When the request that brought it was sent. */
  readonly sentMs: number;
  readonly untilMs: number;
  /** Asks once, as of `nowMs`; false when it is lost. */
  readonly renew: (nowMs: number) => Promise<boolean>;
  readonly giveBack: () => Promise<unknown>;
}

const RENEW_SHARE = 1 / 3;

export class Hold {
  readonly #options: HoldOptions;
  readonly #controller = new AbortController();
  #untilMs: number;
  #renewAtMs: number;
  #isRenewing = false;
  #cancel: (() => void) | undefined;

  constructor(options: HoldOptions) {
    this.#options = options;
    this.#untilMs = options.untilMs;
    this.#renewAtMs = options.sentMs + options.ttlMs * RENEW_SHARE;
    this.#arm();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get untilMs(): number {
    return this.#untilMs;
  }

  /** Looks at the clock. */
  get isHeld(): boolean {
    if (!this.signal.aborted && this.#options.tools.nowMs() >= this.#untilMs) this.#lose('expired');
    return !this.signal.aborted;
  }

  /** @throws LeaseLostError */
  ensure(): void {
    if (!this.isHeld) throw this.signal.reason as Error;
  }

  /** Gives it back. Never rejects: what cannot be given back ends with its time. */
  async release(): Promise<void> {
    if (!this.isHeld) return;
    const untilMs = this.#untilMs;
    this.#end('released');
    const { tools, ttlMs, giveBack } = this.#options;
    await tools.insist(giveBack, untilMs, ttlMs);
  }

  #wake(): void {
    this.#cancel = undefined;
    if (!this.isHeld) return;
    if (!this.#isRenewing && this.#options.tools.nowMs() >= this.#renewAtMs) void this.#renew();
    this.#arm();
  }

  #arm(): void {
    this.#cancel?.();
    const atMs = this.#isRenewing ? this.#untilMs : Math.min(this.#renewAtMs, this.#untilMs);
    this.#cancel = this.#options.tools.wakeAt(atMs, () => this.#wake());
  }

  async #renew(): Promise<void> {
    const { tools, ttlMs, renew } = this.#options;
    const sentMs = tools.nowMs();
    this.#isRenewing = true;
    try {
      const isKept = await renew(sentMs);
      // The old time was over before the answer came: somebody may have looked, and been told so.
      if (!this.isHeld) return;
      if (!isKept) return this.#lose('refused');
      this.#untilMs = sentMs + ttlMs;
      this.#renewAtMs = sentMs + ttlMs * RENEW_SHARE;
    } catch (error) {
      if (!this.isHeld) return;
      if (!isPassing(error)) return this.#lose('failed', error);
      this.#renewAtMs = tools.nowMs() + ttlMs * RETRY_SHARE;
    } finally {
      this.#isRenewing = false;
    }
    this.#arm();
  }

  #lose(why: LeaseLostWhy, cause?: unknown): void {
    this.#end(why, cause);
    // So that others need not wait for the time to be over. By its token it can harm nobody who has it by now.
    this.#options.giveBack().catch(() => {});
  }

  #end(why: LeaseLostWhy, cause?: unknown): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const { name, fence } = this.#options;
    this.#controller.abort(new LeaseLostError({ name, fence, why }, cause === undefined ? undefined : { cause }));
  }
}
