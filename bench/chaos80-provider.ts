/** Provider: the fake one's own admission in virtual time. A call that it refuses costs quota, and for a while it is down. */
import { admit, openAdmission, settle } from 'drover/fake-provider';
import type { TokenCost } from 'drover/fake-provider';
import type { Clock } from '../actors/kernel/clock.ts';
import { BAD, DOWN, LIMITS, LOWERED, MOST_OUTPUT, START_MS, USD_PER_TOKEN } from './chaos80-scene.ts';
import type { Item, Play } from './chaos80-scene.ts';

/** `item`: of a task; null: of the bad agent; `health`: of a health check. */
export interface Request {
  readonly item: number | null | 'health';
}

export interface Reply {
  readonly text: string;
  readonly usage: TokenCost;
}

/** As clients of providers throw it. */
export class ProviderError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, retryAfterMs?: number) {
    super(`status ${status}`);
    this.status = status;
    this.headers = retryAfterMs === undefined ? {} : { 'retry-after-ms': String(retryAfterMs) };
  }
}

const WAY_MS = 100;
/** Until a connection to a provider that is down is given up. */
const GIVE_UP_MS = 1_000;
const DOWN_STATUS = { broken: 502, overloaded: 503 } as const;
const HEALTH: TokenCost = { inputTokens: 50, outputTokens: 10 };
const HEALTH_MS = 500;

/** An upper bound, as a caller knows it. */
export function estimateOf(items: readonly Item[], { item }: Request): TokenCost {
  if (item === 'health') return HEALTH;
  return item === null
    ? { inputTokens: BAD.input, outputTokens: BAD.output }
    : { inputTokens: items[item]!.input, outputTokens: MOST_OUTPUT };
}

export function usdOf({ item }: Request, { inputTokens, outputTokens }: TokenCost): number {
  return (inputTokens + outputTokens) * (item === null ? BAD.usdPerToken : USD_PER_TOKEN);
}

export class Provider {
  /** Calls that reached it, or should have. */
  tries = 0;
  refused = 0;
  whileDown = 0;
  usd = 0;
  readonly #items: readonly Item[];
  readonly #clock: Clock;
  readonly #isTroubled: boolean;
  readonly #outage: Play['outage'];
  readonly #broken = new Set<number>();
  #admission;

  constructor(items: readonly Item[], clock: Clock, { seed, troubles, outage }: Play) {
    this.#items = items;
    this.#clock = clock;
    this.#outage = outage;
    this.#isTroubled = troubles !== 'healthy';
    const lowered = {
      requestsPerMinute: LIMITS.requestsPerMinute * LOWERED.share,
      tokensPerMinute: LIMITS.tokensPerMinute * LOWERED.share,
    };
    const schedule = [
      { atMs: LOWERED.fromMs, hidden: lowered },
      { atMs: LOWERED.untilMs, hidden: {} },
    ];
    const options = { limits: LIMITS, seed, rejectedCostQuota: 'request-and-tokens' as const };
    this.#admission = openAdmission({ ...options, schedule: this.#isTroubled ? schedule : [] }, START_MS);
  }

  async call(request: Request): Promise<Reply> {
    await this.#pass(WAY_MS);
    this.tries += 1;
    if (this.#isDown()) {
      this.whileDown += 1;
      await this.#pass(GIVE_UP_MS);
      throw new ProviderError(DOWN_STATUS[this.#outage]);
    }
    const estimate = estimateOf(this.#items, request);
    const [after, verdict] = admit(this.#admission, estimate, this.#clock.nowMs());
    this.#admission = after;
    if (verdict.at === 'rejected') {
      this.refused += 1;
      await this.#pass(WAY_MS);
      throw new ProviderError(429, verdict.retryAfterMs);
    }
    const { used, ms, breaks } = this.#work(request);
    await this.#pass(breaks ? ms / 2 : ms);
    // It has worked and is paid, whether or not anybody still listens.
    this.#admission = settle(this.#admission, estimate, used, this.#clock.nowMs());
    this.usd += usdOf(request, used);
    if (breaks) throw new ProviderError(500);
    return { text: request.item === null ? '' : 'an answer', usage: used };
  }

  #work({ item }: Request): { readonly used: TokenCost; readonly ms: number; readonly breaks: boolean } {
    if (item === 'health') return { used: HEALTH, ms: HEALTH_MS, breaks: false };
    if (item === null) return { used: { inputTokens: BAD.input, outputTokens: BAD.output }, ms: BAD.ms, breaks: false };
    const { input, output, ms, flaky } = this.#items[item]!;
    const breaks = flaky && !this.#broken.has(item);
    if (breaks) this.#broken.add(item);
    return { used: { inputTokens: input, outputTokens: breaks ? 0 : output }, ms, breaks };
  }

  #isDown(): boolean {
    const sinceMs = this.#clock.nowMs() - START_MS;
    return this.#isTroubled && sinceMs >= DOWN.fromMs && sinceMs < DOWN.untilMs;
  }

  #pass(ms: number): Promise<void> {
    // Whole milliseconds keep the arithmetic of its buckets exact.
    return new Promise((resolve) => this.#clock.wakeAt(Math.round(this.#clock.nowMs() + ms), resolve));
  }
}
