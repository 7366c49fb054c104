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

/** A provider answered with another status than success. Gates read it by `status` and `headers`, as they read errors of clients. */
export class ProviderStatusError extends DroverError {
  readonly code = 'DROVER_PROVIDER_STATUS';
  readonly retryable: boolean;
  override readonly detail: { readonly status: number };
  readonly status: number;
  readonly headers: Headers;
  constructor({ status, headers }: { readonly status: number; readonly headers: Headers }) {
    super(`the provider answered with status ${status}`);
    this.detail = { status };
    this.status = status;
    this.headers = headers;
    this.retryable = status === 408 || status === 409 || status === 425 || status === 429 || status >= 500;
  }
}

/** A stream of an answer ended before the answer did, or brought an error. Its reader has seen the same. */
export class StreamBrokenError extends DroverError {
  readonly code = 'DROVER_STREAM_BROKEN';
  readonly retryable = true;
  override readonly detail: { readonly why: string };
  constructor(why: string, options?: ErrorOptions) {
    super(`the stream of an answer broke off: ${why}`, options);
    this.detail = { why };
  }
}

/** Money is limited, and nobody knows what the model costs. Nothing was sent. */
export class UnknownPriceError extends DroverError {
  readonly code = 'DROVER_UNKNOWN_PRICE';
  readonly retryable = false;
  override readonly detail: { readonly model: string; readonly gate: string };
  constructor(detail: UnknownPriceError['detail']) {
    super(
      `call of ${detail.gate}: nobody knows the price of ${detail.model}, and its budget is in dollars; give \`price\` to the drop-in or the gate, or limit tokens`,
    );
    this.detail = detail;
  }
}

/** The AI SDK made no sense of an answer, or could not make the call at all. `cause` says why, and is what the caller gets. */
export class ModelCallError extends DroverError {
  readonly code = 'DROVER_MODEL_CALL';
  readonly retryable = false;
  constructor(cause: Error) {
    super(`call of a model: ${cause.message}`, { cause });
  }
}

/** What an error in a stream says of itself. */
export function messageOf(said: unknown): string {
  if (typeof said === 'string') return said;
  const { message } = (said ?? {}) as { readonly message?: unknown };
  return typeof message === 'string' ? message : 'an error';
}
