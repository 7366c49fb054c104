/** Forgetting: what has ended long enough ago, by the topology's `retention`, is deleted from the store, some at a time. */
import type { EndedStatus } from '../../../actors/ports/store.ts';
import type { EngineCore } from './core.ts';

/** Tasks that are looked at by one command: others wait some milliseconds for it at most. */
const LOOKED_AT = 500;
/** After a command that found nothing, among many: looking costs about a hundredth of a core then. */
const REST_MS = 50;
/** From when all have been looked at until they are again, and after a failure. */
const PASS_MS = 10_000;

export class Forgetting {
  readonly #core: EngineCore;
  readonly #retention: readonly (readonly [status: EndedStatus, ms: number])[];
  #isPlanned = false;
  #cancel: (() => void) | undefined;

  constructor(core: EngineCore) {
    this.#core = core;
    this.#retention = Object.entries(core.options.topology.retention) as [EndedStatus, number][];
  }

  /** All whose end somebody here waits for have been heard of. */
  begin(): void {
    if (this.#isPlanned || this.#retention.length === 0 || this.#core.isClosing) return;
    this.#isPlanned = true;
    this.#forget();
  }

  close(): void {
    this.#cancel?.();
  }

  #forget(): void {
    const nowMs = this.#core.nowMs();
    const endedByMs = Object.fromEntries(this.#retention.map(([status, ms]) => [status, nowMs - ms]));
    this.#core.store.forget({ endedByMs, limit: LOOKED_AT }).then(
      ({ forgotten, more }) => {
        this.#core.stats.forgotten += forgotten;
        this.#again(more ? (forgotten > 0 ? 0 : REST_MS) : PASS_MS);
      },
      (error: unknown) => this.#core.isPassing(error) && this.#again(PASS_MS),
    );
  }

  /** Where a pass is over, it is begun anew by the first sweep after that which leaves nothing in doubt. */
  #again(inMs: number): void {
    if (this.#core.isClosing) return;
    if (inMs < PASS_MS) {
      if (inMs === 0) this.#forget();
      else this.#cancel = this.#core.alarm(inMs, () => this.#forget());
      return;
    }
    this.#cancel = this.#core.alarm(inMs, () => (this.#isPlanned = false));
  }
}
