import { DroverError } from '../../../actors/kernel/errors.ts';

/** A scorer threw, or gave something that is no score. It is told to the observer, once for each scorer; the call goes on. */
export class ScorerError extends DroverError {
  readonly code = 'DROVER_SCORER';
  readonly retryable = false;
  override readonly detail: { readonly scorer: string; readonly problem: string };
  constructor(detail: ScorerError['detail'], options?: ErrorOptions) {
    super(`scorer ${detail.scorer}: ${detail.problem}`, options);
    this.detail = detail;
  }
}
