/**
 * A middleware of the AI SDK that carries the calls of a language model through a gate, generated or streamed.
 * Inside a `ctx.call` it only tells what it sees.
 */
import type { LanguageModelMiddleware } from 'ai';
import { scoredReply } from '../admission/quality.ts';
import type { ScoredReply } from '../admission/quality.ts';
import type { PerformContext, Usage } from '../topology/dependency.ts';
import { DropIn, tellReply, tellUsage } from './drop-in.ts';
import type { Asked, DropInOptions, Gate } from './drop-in.ts';
import { ModelCallError, StreamBrokenError } from './errors.ts';
import { tellQuota } from './quota.ts';
import type { HeadersLike } from './quota.ts';
import { Said } from './said.ts';
import { modelUsage } from './usage.ts';
import { watchedStream } from './watched-stream.ts';
import type { StreamEnd, Watch } from './watched-stream.ts';
import { weightOf } from './weight.ts';

type Generate = NonNullable<LanguageModelMiddleware['wrapGenerate']>;
type Stream = NonNullable<LanguageModelMiddleware['wrapStream']>;
type Params = Parameters<Generate>[0]['params'];
type Model = Parameters<Generate>[0]['model'];
type Streamed = Awaited<ReturnType<Stream>>;
type Part = Streamed['stream'] extends ReadableStream<infer P> ? P : never;

/**
 * For `wrapLanguageModel({ model, middleware: admissionMiddleware(gate) })`, with any model of the AI SDK. Each call of the
 * model (one a step) is admitted by itself; what fails for what passes by itself is tried again by the gate.
 *
 * What a caller gets: the model's answer; its last error, marked so that `generateText` and `streamText` do not try again;
 * or the gate's refusal as Drover's own error, which they do not try again either. Time in the line counts for `timeout`
 * where one is given.
 *
 * @throws TopologyError naming the argument that is wrong, and what is allowed.
 * @example
 * const gate = admission({ limits: { requestsPerMinute: 500 }, budget: { usd: 5 } });
 * const model = wrapLanguageModel({ model: openai('gpt-4.1-mini'), middleware: admissionMiddleware(gate) });
 */
export function admissionMiddleware(gate: Gate, options: DropInOptions = {}): LanguageModelMiddleware {
  const dropIn = new DropIn('admissionMiddleware', gate, options, undefined);
  return {
    specificationVersion: 'v4',
    wrapGenerate: async ({ params, model }) => {
      const { joined } = dropIn;
      if (joined !== undefined)
        return forOnce(
          async () => tellGenerated(joined, await model.doGenerate(abortable(params, joined)), (usage) => tellUsage(joined, usage)),
          joined,
        );
      return forOnce(async () => {
        const { call, used } = dropIn.admissible(askedOf(model, params), params.abortSignal, model.provider);
        return gate.run(async (tried) => {
          const generated = await telling(tried, () => model.doGenerate(abortable(params, tried)));
          tellReply(tried, scoredReply(generated));
          return tellGenerated(tried, generated, (usage) => used(tried, usage));
        }, call);
      });
    },
    wrapStream: async ({ params, model }) => {
      const { joined } = dropIn;
      if (joined !== undefined)
        return forOnce(async () => {
          const { abortSignal } = abortable(params, joined);
          const { result, ended } = watched(await model.doStream({ ...params, abortSignal }), abortSignal);
          tellQuota(joined, headersOf(result));
          void ended.then((end) => end.at === 'whole' && tellUsage(joined, end.usage));
          return result;
        }, joined);
      return forOnce(() => {
        const { promise, resolve, reject } = Promise.withResolvers<Streamed>();
        const { call, used } = dropIn.admissible(askedOf(model, params), params.abortSignal, model.provider);
        const work = async (tried: PerformContext): Promise<Streamed> => {
          const { abortSignal } = abortable(params, tried);
          const { result, ended } = watched(await telling(tried, () => model.doStream({ ...params, abortSignal })), abortSignal);
          tellQuota(tried, headersOf(result));
          tried.report({ isLast: true });
          resolve(result);
          const end = await ended;
          if (end.at === 'broken') throw end.error;
          if (end.at === 'whole') {
            used(tried, end.usage);
            tellReply(tried, end.reply);
          }
          return result;
        };
        gate.run(work, call).then(resolve, reject);
        return promise;
      });
    },
  };
}

/** The model itself is called, as `doGenerate` and `doStream` would: those know nothing of the gate's signal. */
function abortable(params: Params, { signal }: PerformContext): Params & { readonly abortSignal: AbortSignal } {
  return { ...params, abortSignal: params.abortSignal === undefined ? signal : AbortSignal.any([params.abortSignal, signal]) };
}

function askedOf({ modelId }: Model, { prompt, maxOutputTokens, tools, responseFormat }: Params): Asked {
  return {
    model: modelId,
    weight: weightOf(prompt, JSON.stringify(tools), JSON.stringify(responseFormat)),
    outputTokens: Number.isSafeInteger(maxOutputTokens) && maxOutputTokens! >= 1 ? maxOutputTokens : undefined,
  };
}

type Generated = Awaited<ReturnType<Generate>>;

function tellGenerated(tried: PerformContext, generated: Generated, used: (usage: Usage | undefined) => void): Generated {
  tellQuota(tried, headersOf(generated));
  used(modelUsage(generated.usage));
  return generated;
}

function headersOf({ response }: { readonly response?: { readonly headers?: HeadersLike } }): HeadersLike | undefined {
  return response?.headers;
}

/** What the headers of a failure say is told before anybody decides about another try. */
async function telling<T>(tried: PerformContext, call: () => PromiseLike<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    tellQuota(tried, (error as { readonly responseHeaders?: HeadersLike } | undefined)?.responseHeaders, true);
    throw isFinal(error) ? new ModelCallError(error as Error) : error;
  }
}

const AI_SDK_ERROR = Symbol.for('vercel.ai.error');

/** An error of the AI SDK's own that is none of the provider's or the network's: no key, an answer without sense. */
function isFinal(error: unknown): boolean {
  if (!isOfAiSdk(error)) return false;
  const {
    isRetryable,
    statusCode = 0,
    cause,
  } = error as { readonly isRetryable?: unknown; readonly statusCode?: number; readonly cause?: unknown };
  // A cause from elsewhere: the connection broke while the answer was read.
  return isRetryable !== true && statusCode < 400 && (cause === undefined || isOfAiSdk(cause));
}

function isOfAiSdk(error: unknown): boolean {
  return typeof error === 'object' && error !== null && AI_SDK_ERROR in error;
}

/** Errors of models say whether they are to be tried again: here they have been. */
async function forOnce<T>(call: () => PromiseLike<T>, joined?: PerformContext): Promise<T> {
  try {
    return await (joined === undefined ? call() : telling(joined, call));
  } catch (thrown) {
    const error = thrown instanceof ModelCallError ? thrown.cause : thrown;
    if ((error as { readonly isRetryable?: unknown } | undefined)?.isRetryable === true)
      Object.defineProperty(error, 'isRetryable', { value: false, configurable: true, enumerable: true, writable: true });
    throw error;
  }
}

function watched(streamed: Streamed, signal: AbortSignal): { readonly result: Streamed; readonly ended: Promise<StreamEnd> } {
  const { promise: ended, resolve } = Promise.withResolvers<StreamEnd>();
  return { result: { ...streamed, stream: watchedStream<Part>(streamed.stream, new PartWatch(), signal, resolve) }, ended };
}

const CUT_OFF: ReadonlySet<string> = new Set(['interrupted', 'other']);

function endOf({ finishReason: { unified, raw }, usage: said }: Extract<Part, { readonly type: 'finish' }>, reply: ScoredReply): StreamEnd {
  const usage = modelUsage(said);
  // So models speak of an answer that ended before they were done.
  if (raw === undefined && usage === undefined && CUT_OFF.has(unified))
    return { at: 'broken', error: new StreamBrokenError('it ended before the answer did') };
  return { at: 'whole', usage, reply };
}

/** Reads how a stream of parts ends. */
class PartWatch implements Watch<Part> {
  end: StreamEnd | undefined;
  readonly #said = new Said();

  pass(part: Part): Part {
    if (part.type === 'text-delta') this.#said.add(part.delta);
    if (part.type === 'tool-call') this.#said.calls(part);
    if (part.type === 'finish' && this.end === undefined) {
      this.#said.ended(part.finishReason.unified);
      this.end = endOf(part, this.#said.reply);
    }
    if (part.type === 'error') this.end = { at: 'broken', error: new StreamBrokenError('it brought an error', { cause: part.error }) };
    return part;
  }

  atSourceEnd(): StreamEnd {
    return { at: 'broken', error: new StreamBrokenError('it ended before the answer did') };
  }
}
