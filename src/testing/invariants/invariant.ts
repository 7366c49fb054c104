/**
 * Invariant: what must hold whatever fails and whenever, checked over the facts of a simulation. A
 * checker is like a decision: no clock, no chance, no I/O; it keeps what it needs to remember, in
 * memory that does not grow with time, and says what is broken.
 *
 * To add one: a file here with an `Invariant`, its line in `index.ts`, and a mutant in the test that
 * plants one for each.
 */
import type { Topology } from '../../topology/fleet.ts';
import type { Fact } from './fact.ts';

/** Says that the invariant is broken: what was seen, in words. */
export type Break = (message: string) => void;

/** What a checker does with each kind of fact that it cares for. */
export type Checker = {
  readonly [At in Fact['at']]?: (fact: Extract<Fact, { readonly at: At }>, atMs: number) => void;
};

export interface Invariant {
  /** As in ARCHITECTURE.md, such as `S1`. */
  readonly name: string;
  /** What is promised, in one sentence. */
  readonly promise: string;
  /** A checker for one simulation. */
  check(topology: Topology, broken: Break): Checker;
}
