/** Try: one of the tries of a call, as `perform` sees it. */
import type { Quota } from '../../actors/admission/regulator.ts';
import type { PerformContext, SeenOnTheWay, Usage } from '../topology/dependency.ts';

export function isAmount(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) >= 0;
}

/** Negative or not finite numbers count as unknown. */
export function isUsage(usage: Usage | undefined): usage is Usage {
  return usage !== undefined && usage !== null && isAmount(usage.inputTokens) && isAmount(usage.outputTokens);
}

/** What a try belongs to. */
interface Timed {
  timedOut(): void;
}

/** One try of a call. The signal is made when somebody looks: most need none, and it costs more than they do. */
export class Try implements PerformContext {
  /** Whose permit it has. */
  readonly call: Timed;
  readonly idempotencyKey: string;
  readonly attempt: number;
  readonly beganMs: number;
  /** Its permit has come home: what still comes of it is ignored. */
  ended = false;
  /** Seen on the way. */
  usage: Usage | undefined;
  quota: Quota | undefined;
  retryAfterMs: number | undefined;
  isLast = false;
  #controller: AbortController | undefined;
  #aborted: { readonly reason: unknown } | undefined;

  constructor(call: Timed, idempotencyKey: string, attempt: number, beganMs: number) {
    this.call = call;
    this.idempotencyKey = idempotencyKey;
    this.attempt = attempt;
    this.beganMs = beganMs;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
    return this.#controller.signal;
  }

  report({ usage, quota, retryAfterMs, isLast }: SeenOnTheWay): void {
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
