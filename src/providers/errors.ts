/** What goes wrong with providers beyond what their own clients say. */
import { describe, DroverError } from '../../actors/kernel/errors.ts';

/** A provider answered with success, and the answer is not what its API promises. Another try may do better. */
export class ProviderReplyError extends DroverError {
  readonly code = 'DROVER_PROVIDER_REPLY';
  readonly retryable = true;
  override readonly detail: { readonly model: string; readonly expected: string; readonly came: string };
  constructor(
    { model, expected, came }: { readonly model: string; readonly expected: string; readonly came: unknown },
    options?: ErrorOptions,
  ) {
    const said = typeof came === 'string' && came === '' ? 'nothing' : describe(came);
    super(
      `reply of ${model}: expected ${expected}, got ${said}; if it stays so, check that the client's address is the API and not a web page`,
      options,
    );
    this.detail = { model, expected, came: said };
  }
}

/** The account has no money left: no rate limit that passes by waiting, although it comes as a 429. */
export class ProviderQuotaError extends DroverError {
  readonly code = 'DROVER_PROVIDER_QUOTA';
  readonly retryable = false;
  override readonly detail: { readonly model: string };
  constructor(detail: ProviderQuotaError['detail'], options?: ErrorOptions) {
    super(`call of ${detail.model}: the provider says that the account's quota is used up; raise it there, then submit again`, options);
    this.detail = detail;
  }
}
