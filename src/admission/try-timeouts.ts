/**
 * Try timeouts: ends the tries of a dependency that take too long. All have the same time, so the oldest
 * is due first and one alarm serves them all, however many there are.
 */
import type { Host } from '../../actors/host/host.ts';
import type { Try } from './try.ts';

/** How long an alarm outlasts the last try. */
const IDLE_MS = 100;
/** Ended tries that are kept besides as many as are under way. */
const MOST_ENDED = 1_024;

export class TryTimeouts {
  readonly #host: Pick<Host, 'clock' | 'alarm'>;
  readonly #timeoutMs: number;
  /** Tries in the order they began, the ended ones among them until they come to the front. */
  #tries: Try[] = [];
  #out = 0;
  #cancelAlarm: (() => void) | undefined;
  #alarmAtMs = Infinity;

  constructor(host: Pick<Host, 'clock' | 'alarm'>, timeoutMs: number) {
    this.#host = host;
    this.#timeoutMs = timeoutMs;
  }

  /** A try begins: its call is told when it has `timedOut`. */
  began(tried: Try): void {
    this.#out += 1;
    this.#tries.push(tried);
    if (this.#cancelAlarm === undefined) this.#watch(tried);
    else if (this.#tries.length > 2 * this.#out + MOST_ENDED) this.#tries = this.#tries.filter((other) => !other.ended);
  }

  /** One of them has ended, and says so itself. */
  ended(): void {
    this.#out -= 1;
    if (this.#out === 0 && this.#cancelAlarm !== undefined) this.#rest();
  }

  /** Nothing is out, so nothing need keep the process alive for long; and an alarm is not set anew for each of many calls. */
  #rest(): void {
    const restMs = this.#host.clock.nowMs() + IDLE_MS;
    if (this.#alarmAtMs <= restMs) return;
    this.#cancelAlarm!();
    this.#tries = [];
    this.#alarmAt(restMs);
  }

  #watch(oldest: Try): void {
    this.#alarmAt(oldest.beganMs + this.#timeoutMs);
  }

  #alarmAt(atMs: number): void {
    this.#alarmAtMs = atMs;
    this.#cancelAlarm = this.#host.alarm(atMs, () => {
      this.#cancelAlarm = undefined;
      const nowMs = this.#host.clock.nowMs();
      const due = this.#tries.findIndex((tried) => !tried.ended && nowMs < tried.beganMs + this.#timeoutMs);
      const over = this.#tries.splice(0, due < 0 ? this.#tries.length : due);
      for (const tried of over) if (!tried.ended) tried.call.timedOut();
      if (this.#tries[0] !== undefined) this.#watch(this.#tries[0]);
    });
  }
}
