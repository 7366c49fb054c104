/** Keeping: something on its way into the memory of a run, and who waits for it. */
import type { RememberItem } from '../../../actors/ports/store.ts';
import type { Requester } from '../batcher.ts';
import type { RunOperations } from './operations.ts';
import type { RunOperation } from './operation.ts';
import { numberIn } from './order.ts';
import type { Sent } from './order.ts';

/** What is remembered, and where. */
export type Kept = Pick<RememberItem, 'place' | 'hash' | 'value' | 'failed' | 'replace'>;

class Keeping implements Requester<boolean> {
  readonly #run: RunOperations;
  /** What has brought it, and ends with it; undefined: it goes on. */
  readonly #operation: RunOperation | undefined;
  readonly #kept: () => void;
  /** Undefined: it has no number. */
  readonly #sent: Sent | undefined;

  constructor(run: RunOperations, operation: RunOperation | undefined, sent: Sent | undefined, kept: () => void) {
    this.#sent = sent;
    this.#run = run;
    this.#operation = operation;
    this.#kept = kept;
  }

  replied(kept: boolean): void {
    if (!kept) this.#run.leaseLost();
    else if (this.#sent === undefined) this.#give();
    else this.#run.order.arrived(this.#sent, () => this.#give());
  }

  #give(): void {
    if (this.#operation === undefined ? this.#run.over === undefined : this.#run.done(this.#operation)) this.#kept();
  }
}

/** Remembers it; only then `kept` is called, unless the run is over by then. */
export function remember(run: RunOperations, operation: RunOperation | undefined, item: Kept, kept: () => void): void {
  const { id, fence } = run.task;
  const { version } = run.memory;
  const whole: RememberItem = version === undefined ? { id, fence, ...item } : { id, fence, ...item, version };
  const number = numberIn(item.hash);
  const sent = number === undefined ? undefined : run.order.sends(number);
  const leftAside = run.memory.leftAsideAt(item.place);
  if (leftAside !== undefined) run.engine.leftAside(run, leftAside, leftAside.atNew(item.place), item.place);
  run.engine.requests.remember(whole, new Keeping(run, operation, sent, kept));
}
