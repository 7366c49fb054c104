import { describe, DroverError } from '../../actors/kernel/errors.ts';

/** A topology is wrong: which field, what it holds, and what is allowed there. */
export class TopologyError extends DroverError {
  readonly code = 'DROVER_TOPOLOGY';
  readonly retryable = false;
  override readonly detail: { readonly path: readonly string[]; readonly value: unknown; readonly expected: string };
  constructor(detail: TopologyError['detail'], options?: ErrorOptions) {
    super(`${detail.path.join('.')}: expected ${detail.expected}, got ${describe(detail.value)}`, options);
    this.detail = detail;
  }
}
