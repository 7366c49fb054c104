/** What the explorer refuses: a wrong skeleton, and a net that does not stay within its bounds. */
import { describe, DroverError } from '../../../actors/kernel/errors.ts';

/** A skeleton or an option is wrong: where, what is there, and what is allowed. Never a verdict on what was modelled. */
export class SkeletonError extends DroverError {
  readonly code = 'DROVER_SKELETON';
  readonly retryable = false;
  override readonly detail: { readonly path: readonly string[]; readonly value: unknown; readonly expected: string };
  constructor(detail: SkeletonError['detail'], options?: ErrorOptions) {
    super(`${detail.path.join('.')}: expected ${detail.expected}, got ${describe(detail.value)}`, options);
    this.detail = detail;
  }
}

/** A place of a net got more tokens than it may hold: the model has no finite search. Bound what fills the place. */
export class UnboundedNetError extends DroverError {
  readonly code = 'DROVER_NET_UNBOUNDED';
  readonly retryable = false;
  override readonly detail: { readonly place: string; readonly capacity: number; readonly transition: string };
  constructor(detail: UnboundedNetError['detail'], options?: ErrorOptions) {
    super(
      `place ${JSON.stringify(detail.place)} holds at most ${detail.capacity}, and ${JSON.stringify(detail.transition)} puts more there`,
      options,
    );
    this.detail = detail;
  }
}
