/** Try: one of the tries of a call, as `perform` sees it. */
import type { Quota } from '../../actors/admission/regulator.ts';
import type { PerformContext, SeenOnTheWay, Usage } from '../topology/dependency.ts';

export function isAmount(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}

/** Above what any call uses: a rate would have to pay it off for years. */
const MOST_TOKENS = 100_000_000;

/** Negative, not finite and absurd numbers count as unknown. */
export function isUsage(usage: Usage | undefined): usage is Usage {
  return usage !== undefined && usage !== null && isTokens(usage.inputTokens) && isTokens(usage.outputTokens);
}

function isTokens(value: unknown): boolean {
  return isAmount(value) && value <= MOST_TOKENS;
}

/** What a try belongs to. */
interface Timed {
  timedOut(): void;
}

/** Who calls: the key is made when somebody looks. */
interface Keyed {
  readonly idempotencyKey: string;
}

/** One try of a call. The signal is made when somebody looks: most need none, and it costs more than they do. */
export class Try implements PerformContext {
  /** Whose permit it has. */
  readonly call: Timed;
  readonly #caller: Keyed;
  readonly attempt: number;
  readonly beganMs: number;
  /** Who carries it: what joins it must be a part of that. */
  readonly carrier: object;
  /** Its permit has come home: what still comes of it is ignored. */
  ended = false;
  /** Seen on the way. */
  usage: Usage | undefined;
  quota: Quota | undefined;
  retryAfterMs: number | undefined;
  isLast = false;
  /** What scorers are given; null: nothing is to be scored; undefined: what is performed gives back the reply itself. */
  reply: unknown;
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  constructor(call: Timed, caller: Keyed, attempt: number, beganMs: number, carrier: object) {
    this.call = call;
    this.#caller = caller;
    this.attempt = attempt;
    this.beganMs = beganMs;
    this.carrier = carrier;
  }

  get idempotencyKey(): string {
    return this.#caller.idempotencyKey;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  report({ usage, quota, retryAfterMs, isLast, reply }: SeenOnTheWay): void {
    if (reply !== undefined) this.reply = reply;
    if (isLast === true) this.isLast = true;
    if (isUsage(usage)) this.usage = usage;
    if (typeof quota === 'object' && (quota as unknown) !== null) this.quota = quota;
    if (isAmount(retryAfterMs)) this.retryAfterMs = retryAfterMs;
  }

  abort(reason: unknown): void {
    this.#aborted = { reason };
    this.#controller?.abort(reason);
  }
}
