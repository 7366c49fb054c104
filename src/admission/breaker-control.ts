/** Breaker control: a breaker opened and closed by hand, by several people, each of whom takes back his own isolation. */
import type { LimiterMessage } from '../../actors/admission/limiter.ts';

export class BreakerControl {
  readonly #tell: (message: LimiterMessage) => void;
  #resets = 0;

  constructor(tell: (message: LimiterMessage) => void) {
    this.#tell = tell;
  }

  /** Opens the breaker; what it returns takes that back, once. */
  isolate(): () => void {
    this.#tell({ type: 'limiter.isolate' });
    const resets = this.#resets;
    let isReleased = false;
    return () => {
      // A reset has ended it already: what is released now is somebody else's.
      if (!isReleased && resets === this.#resets) this.#tell({ type: 'limiter.release' });
      isReleased = true;
    };
  }

  /** Closes the breaker, and ends every isolation. */
  reset(): void {
    this.#resets += 1;
    this.#tell({ type: 'limiter.reset' });
  }

  /** Opens the breaker as if the dependency had failed: its own probes close it again. */
  trip(): void {
    this.#tell({ type: 'limiter.trip' });
  }
}
