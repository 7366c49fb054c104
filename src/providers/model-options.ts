/** What the ready-made dependencies of all providers have in common: their options, and how a declaration is checked. */
import { z } from 'zod';
import { checkShape } from '../../actors/kernel/shape.ts';
import type { DependencySpec, TokenCost } from '../topology/dependency.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { priceShape, pricing } from './prices.ts';
import type { PriceOption } from './prices.ts';
import type { ChatReply } from './reply.ts';
import { inputTokensOf, TokenEstimate } from './token-estimate.ts';
import type { Weight } from './weight.ts';

type Passed =
  | 'limits'
  | 'safetyMargin'
  | 'burstMs'
  | 'timeoutMs'
  | 'attempts'
  | 'adapt'
  | 'breaker'
  | 'retries'
  | 'weights'
  | 'waiting'
  | 'whenFull'
  | 'cachedInputIsFree';

/**
 * Limits, breaker and retries are those of `dependency`, with these defaults: `adapt` is `aimd`, so that no limit needs to be
 * declared; `breaker` opens after five failures in a row, `false` is none.
 */
export interface ModelOptions extends Pick<DependencySpec<unknown, ChatReply>, Passed> {
  /** Takes the answer in chunks; the reply is the same. Default false. */
  readonly stream?: boolean;
  /** The answer is cut there, for requests that say nothing else. */
  readonly maxOutputTokens?: number;
  /** More fields of each request, e.g. `tools`, `temperature`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Default: the listed price of the model. A model that is not listed is refused under a budget in dollars. */
  readonly price?: PriceOption;
  /** The reply holds the provider's own object, too. It is stored with what is remembered. Default false. */
  readonly raw?: boolean;
}

const TOKENS = 'a whole number of tokens, at least 1';

/** The fields of `ModelOptions` that are not those of `dependency`. */
export const modelFields = {
  stream: z.boolean('true or false').optional(),
  maxOutputTokens: z.int(TOKENS).min(1, TOKENS).optional(),
  parameters: z.record(z.string(), z.unknown(), 'an object of fields').optional(),
  price: priceShape.optional(),
  raw: z.boolean('true or false').optional(),
};

/** Says which field of a declaration is wrong. What is `dependency`'s own is checked there. @throws TopologyError */
export function checkModel(name: string, shape: z.ZodType, options: unknown): void {
  const problem = checkShape(shape, options);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: [name, ...problem.path] });
}

export const DEFAULT_TIMEOUT_MS = 120_000;

/** How requests of one dependency are estimated, from what its earlier ones really had. */
export class Estimating {
  readonly tokens = new TokenEstimate();

  cost(weight: Weight, outputTokens: number): TokenCost {
    return { input: inputTokensOf(this.tokens, weight), output: outputTokens };
  }
}

type Shared = Pick<DependencySpec<unknown, ChatReply>, Passed | 'price' | 'unpriced' | 'usage'>;

/** The part of a dependency that is the same for all providers. */
export function sharedSpec(
  options: ModelOptions,
  model: string,
  provider: string | undefined,
  defaults: Pick<ModelOptions, 'cachedInputIsFree'> = {},
): Shared {
  // Only what is a field of `dependency`; an unknown one is passed on, to be refused there by its name.
  const { stream: _stream, maxOutputTokens: _most, parameters: _parameters, price, raw: _raw, ...passed } = options;
  return {
    adapt: 'aimd',
    breaker: {},
    ...defaults,
    ...passed,
    ...pricing(model, provider, price),
    usage: ({ usage }) => usage ?? undefined,
  };
}

/** What a promise of a client brings, with the headers of the answer where the client has them. */
export async function withHeaders(asked: PromiseLike<unknown>): Promise<{ readonly data: unknown; readonly headers: Headers | undefined }> {
  const { withResponse } = asked as { readonly withResponse?: () => Promise<{ readonly data: unknown; readonly response: Response }> };
  if (typeof withResponse !== 'function') return { data: await asked, headers: undefined };
  const { data, response } = await withResponse.call(asked);
  return { data, headers: response.headers };
}
