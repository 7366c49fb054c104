/**
 * Drop-in: what stands between a client that somebody else calls and a gate. It knows what a request will
 * cost at most, asks the gate for it, and tells it what the request really used.
 *
 * Inside a `ctx.call`, or inside the work of a gate, it asks nobody: that call is admitted and paid already.
 * It then only tells what it sees (a call that makes several requests used the sum of them). Work that such a
 * call leaves behind, and that asks a model when the call is over, is no part of it any more: it is admitted by itself.
 */
import { z } from 'zod';
import { checkShape, unknownOr } from '../../actors/kernel/shape.ts';
import type { Admission, AdmittedCall } from '../admission/gate.ts';
import { joining } from '../admission/joining.ts';
import type { ScoredReply } from '../admission/quality.ts';
import type { PerformContext, Usage } from '../topology/dependency.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { UnknownPriceError } from './errors.ts';
import { ownPrice, priceOf, priceShape } from './prices.ts';
import type { OwnPrices } from './prices.ts';
import { inputTokensOf, learnInput, TokenEstimates } from './token-estimate.ts';
import type { Weight } from './weight.ts';
import { addUsage } from './usage.ts';

/** What is needed of a gate: `admission()` makes one. */
export type Gate = Pick<Admission, 'name' | 'run' | 'needsPrices' | 'joined'>;

/** What may be said of all the calls of one drop-in. */
export interface DropInOptions extends Pick<AdmittedCall<never>, 'tenant' | 'flow' | 'priority' | 'withinMs' | 'whenShut'> {
  /**
   * US dollars: own prices for every model, or a function. Default: the listed price of the request's model; one that is not
   * listed costs what the gate's `price` says, and is refused where the gate has a budget in dollars and no `price`. So is a
   * request that names no model (a stored prompt of OpenAI's may have its own); a function is given '' for it.
   */
  readonly price?: OwnPrices | ((usage: Usage, model: string) => number);
  /** Whose price list counts. Default: that of the drop-in's own provider. */
  readonly provider?: string;
  /** Charged for the answer of a request that names no maximum, until its usage is known. Default 1,000. */
  readonly maxOutputTokens?: number;
}

const TOKENS = 'a whole number of tokens, at least 1';
const text = (what: string) => z.string(what).optional();

/** Fields of `DropInOptions`, for the shapes of those who have more. */
export const dropInFields = {
  price: priceShape.optional(),
  provider: text('the name of a provider'),
  maxOutputTokens: z.int(TOKENS).min(1, TOKENS).optional(),
  tenant: text('the name of a tenant'),
  flow: text('the name of a flow'),
  priority: z.int('a whole number').optional(),
  withinMs: z.number('milliseconds, at least 0').min(0, 'milliseconds, at least 0').optional(),
  whenShut: z.enum(['wait', 'refuse'], "'wait' or 'refuse'").optional(),
};

const optionsShape = (more: z.ZodRawShape) => z.strictObject({ ...dropInFields, ...more }, unknownOr('an object of options'));

/** Before anybody looks into them. @throws TopologyError when they are none. */
export function optionsOf<T extends object>(name: string, options: T): T {
  if (typeof options === 'object' && (options as unknown) !== null) return options;
  throw new TopologyError({ path: [name], value: options, expected: 'an object of options' });
}

const UNKNOWN_OUTPUT_TOKENS = 1_000;

/** What a request asks for, before it is sent. */
export interface Asked {
  /** Undefined: it names none that can be read here (a stored prompt may have its own). */
  readonly model: string | undefined;
  readonly weight: Weight;
  /** The most that may come back; undefined: the request does not say. */
  readonly outputTokens: number | undefined;
  /** Answers to one request. Default 1. */
  readonly answers?: number;
  /** What comes back says nothing, so there is nothing to score: embeddings. Default false. */
  readonly isMute?: boolean;
}

/** One request, ready for the gate. */
export interface Admissible {
  readonly call: AdmittedCall<never>;
  /** What it really used. */
  used(call: PerformContext, usage: Usage | undefined): void;
}

export class DropIn {
  readonly gate: Gate;
  readonly #options: DropInOptions;
  readonly #provider: string | undefined;
  readonly #estimates = new TokenEstimates();

  /**
   * `name` is that of the function somebody called; `more` are the fields that its options have beside the common ones.
   *
   * @throws TopologyError naming the field, the value and what is allowed.
   */
  constructor(name: string, gate: Gate, options: DropInOptions, provider: string | undefined, more: z.ZodRawShape = {}) {
    if (typeof (gate as Partial<Gate> | undefined)?.run !== 'function')
      throw new TopologyError({ path: [name, 'gate'], value: gate, expected: 'a gate, as `admission()` makes it' });
    const problem = checkShape(optionsShape(more), options);
    if (problem !== undefined) throw new TopologyError({ ...problem, path: [name, ...problem.path] });
    this.gate = gate;
    this.#options = options;
    this.#provider = provider;
    joining.use();
  }

  /** The call around the code that asks: it has paid already. */
  get joined(): PerformContext | undefined {
    return this.gate.joined;
  }

  /** What is asked of the gate. @throws UnknownPriceError */
  admissible(asked: Asked, signal: AbortSignal | undefined, provider = this.#provider): Admissible {
    const { tenant, flow, priority, withinMs, whenShut, maxOutputTokens = UNKNOWN_OUTPUT_TOKENS } = this.#options;
    const estimate = this.#estimates.of(asked.model ?? '');
    const price = this.#price(asked.model, provider);
    const call: AdmittedCall<never> = {
      input: inputTokensOf(estimate, asked.weight),
      output: (asked.outputTokens ?? maxOutputTokens) * (asked.answers ?? 1),
      ...(price === undefined ? {} : { price }),
      ...(signal === undefined ? {} : { signal }),
      ...(tenant === undefined ? {} : { tenant }),
      ...(flow === undefined ? {} : { flow }),
      ...(priority === undefined ? {} : { priority }),
      ...(withinMs === undefined ? {} : { withinMs }),
      ...(whenShut === undefined ? {} : { whenShut }),
    };
    return {
      call,
      used: (tried, usage) => {
        tellUsage(tried, usage);
        learnInput(estimate, asked.weight, usage);
      },
    };
  }

  #price(model: string | undefined, provider: string | undefined): ((usage: Usage) => number) | undefined {
    const { price: given, provider: chosen } = this.#options;
    if (typeof given === 'function') return (usage) => given(usage, model ?? '');
    const listed = () => (model === undefined ? undefined : priceOf(model, chosen ?? provider));
    const price = given === undefined ? listed() : ownPrice(given);
    if (price === undefined && this.gate.needsPrices)
      throw new UnknownPriceError({ model: model ?? 'a model that the request does not name', gate: this.gate.name });
    return price;
  }
}

/** What scorers are to see of an answer: a client gets it in a form in which they could not. Null: nothing is to be scored. */
export function tellReply(tried: PerformContext, reply: ScoredReply | null | undefined): void {
  if (reply !== undefined) tried.report({ reply });
}

const told = new WeakMap<PerformContext, Usage>();

/** Adds to what a try has used: it may be made of several requests. */
export function tellUsage(tried: PerformContext, usage: Usage | undefined): void {
  if (usage === undefined) return;
  const before = told.get(tried);
  const sum = before === undefined ? usage : addUsage(before, usage);
  told.set(tried, sum);
  tried.report({ usage: sum });
}
