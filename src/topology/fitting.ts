/** Fitting: what a topology is told while it is typed, about agents that are named by others of it. Types only. */
import type { AnyAgent, Widened } from './agent.ts';
import type { EventMap } from './context.ts';
import type { InputOf, OutputOf } from './contract.ts';
import type { ScheduleSpec } from './schedule.ts';

type Agents = Readonly<Record<string, AnyAgent>>;

/** The contracts that an agent asks by, by name. */
export type AsksOf<G> = G extends { readonly declared?: { readonly asks: infer A } } ? A : {};

/** The outside events that an agent waits for, by name. */
export type EventsOf<G> = G extends { readonly declared?: { readonly events: infer E extends EventMap } } ? E : EventMap;

/** An agent takes what a contract takes, and gives what it gives. What has no type is looked at when it runs. */
type Does<G, C> =
  unknown extends InputOf<C>
    ? Gives<G, C>
    : [InputOf<C>] extends [InputOf<G>]
      ? Gives<G, C>
      : 'takes another input than the contract that it is asked by';

type Gives<G, C> =
  unknown extends OutputOf<G>
    ? true
    : unknown extends OutputOf<C>
      ? true
      : // An agent without a schema of its own gives texts where the contract may have literals.
        [OutputOf<G>] extends [Widened<OutputOf<C>>]
        ? true
        : 'gives another output than the contract that it is asked by';

/** What is wrong with whom it asks, by name; nothing: never. */
type Wrong<K extends Agents, A> = {
  [M in keyof A & keyof K]: Does<K[M], A[M]> extends true ? never : { [N in M]: Does<K[M], A[M]> };
}[keyof A & keyof K];

/** Nothing to say, or what an agent cannot be, so that its line is marked with what is wrong. */
export type Fitting<K extends Agents> = {
  readonly [N in keyof K]: [Wrong<K, AsksOf<K[N]>>] extends [never] ? unknown : { readonly asks: Wrong<K, AsksOf<K[N]>> };
};

/** A schedule of one of these kinds, with an input that it takes. */
export type ScheduleOf<K extends Agents> = { [N in keyof K & string]: ScheduleSpec<N, InputOf<K[N]>> }[keyof K & string];
