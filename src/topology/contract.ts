/** Contract: what goes into a kind of agent and what comes out, without saying who does it. */
import type { StandardSchemaV1 } from '@standard-schema/spec';

/** Any Standard Schema: zod, valibot, arktype. Asynchronous ones are refused where they are used. */
export type Schema<I = unknown, P = I> = StandardSchemaV1<I, P>;

/**
 * `I` is what a caller gives, `P` what `run` gets after parsing; `RI` is what `run` returns, `RO`
 * what a caller gets after parsing.
 */
export interface ContractSpec<I, P, RI, RO> {
  readonly input?: Schema<I, P>;
  readonly output?: Schema<RI, RO>;
}

/** What a caller may rely on: give `In`, get `Out`. Agents are contracts too. */
export interface Contract<In = unknown, Out = unknown> {
  readonly is: 'contract' | 'agent';
  readonly input: Schema | undefined;
  readonly output: Schema | undefined;
  /** Never there: carries the types. */
  readonly types?: { readonly input: (input: In) => void; readonly output: Out };
}

// oxlint-disable-next-line typescript/no-explicit-any -- any input and any output; `unknown` would refuse contravariant ones
export type AnyContract = Contract<any, any>;

/** What a caller gives to a contract or an agent. */
export type InputOf<C> = C extends { readonly types?: { readonly input: (input: infer In) => void } } ? In : never;

/** What a caller gets from a contract or an agent. */
export type OutputOf<C> = C extends { readonly types?: { readonly output: infer Out } } ? Out : never;

/**
 * Names what a kind expects and answers, for kinds that ask each other: an agent cannot name an
 * agent that is defined after it.
 *
 * @example
 * const summary = contract({ input: z.object({ mailId: z.string() }), output: z.string() });
 * const triage = agent({ asks: { summary }, async run(input, ctx) { ... } });
 */
export function contract<P = unknown, I = P, RI = unknown, RO = RI>(spec: ContractSpec<I, P, RI, RO> = {}): Contract<I, RO> {
  return { is: 'contract', input: spec.input, output: spec.output };
}
