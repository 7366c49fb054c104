/**
 * Limiter handover: what a limiter that is started again is told of its predecessor: how much room is out,
 * what was known at the latest grant, and what the provider has asked for since.
 */
import type { Book, LimiterEffect, Permit } from '../../actors/admission/limiter.ts';
import type { CallReport } from '../../actors/admission/regulator.ts';
import type { BreakerLook } from '../../actors/breaker/breaker.ts';
import type { Clock } from '../../actors/kernel/clock.ts';

export class LimiterHandover {
  readonly #clock: Pick<Clock, 'nowMs'>;
  #slotsOut = 0;
  #book: Book | undefined;
  #breaker: BreakerLook | undefined;
  /** What the provider asked for last, and when: the book is of the latest grant, and may be older. */
  #hold = { sinceMs: -Infinity, untilMs: -Infinity };

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
  }

  /** Room in flight of permits that have been granted and have not come home. */
  get slotsOut(): number {
    return this.#slotsOut;
  }

  /** What the limiter knew at last. */
  get book(): Book | undefined {
    return this.#book;
  }

  /** How the breaker stood when it last moved; undefined: it never did. */
  get breaker(): BreakerLook | undefined {
    return this.#breaker;
  }

  /** The end of the latest Retry-After; in the past when there is none. A clock that went back does not make it longer. */
  get heldUntilMs(): number {
    const { sinceMs, untilMs } = this.#hold;
    return sinceMs === -Infinity ? untilMs : Math.min(untilMs, this.#clock.nowMs() + untilMs - sinceMs);
  }

  /** The limiter has said how it stands. */
  noted({ book, breaker }: LimiterEffect): void {
    this.#book = book;
    this.#breaker = breaker;
  }

  took({ slots, book }: Permit): void {
    this.#slotsOut += slots;
    this.#book = book;
  }

  home({ slots }: Permit, { end, retryAfterMs }: CallReport): void {
    this.#slotsOut -= slots;
    if (end === 'rate-limited' && retryAfterMs !== undefined) this.#heldFor(retryAfterMs);
  }

  #heldFor(ms: number): void {
    const sinceMs = this.#clock.nowMs();
    if (sinceMs + ms > this.#hold.untilMs) this.#hold = { sinceMs, untilMs: sinceMs + ms };
  }
}
