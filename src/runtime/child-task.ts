/** Child task: what a run gives to `ask` and `send`, checked, as text. */
import type { AskOptions } from '../topology/context.ts';
import type { AnyContract, Schema } from '../topology/contract.ts';
import type { KindPlan, Topology } from '../topology/fleet.ts';
import { BoundReachedError, UndeclaredError } from './errors.ts';
import { encode, parse } from './payload.ts';
import { checkPriority } from './task-id.ts';

/** Who asks or sends. */
export interface Asking {
  readonly plan: KindPlan;
  readonly id: string;
  readonly depth: number;
  readonly priority: number;
  /** How many children it has named before. */
  readonly offspring: number;
  /** Of one that sends: how many it has sent before. */
  readonly sends?: number;
  readonly bounds: Topology['bounds'];
}

export interface CheckedChild {
  readonly input: string;
  /** What `schema`, that of whoever declares the child, makes of the input. */
  readonly parsed: unknown;
  readonly schema: Schema | undefined;
  readonly priority: number;
  readonly depth: number;
}

/** @throws UndeclaredError, BoundReachedError, SubmitOptionError, PayloadInvalidError and its like */
export function childTask(
  { plan, id, depth, priority, offspring, sends = 0, bounds }: Asking,
  kind: string,
  input: unknown,
  options: AskOptions,
): CheckedChild {
  const { asks, agent } = plan;
  if (!asks.includes(kind)) throw new UndeclaredError({ kind: plan.kind, field: 'asks', name: kind }, asks);
  if (offspring >= bounds.fanOut) throw new BoundReachedError({ id, bound: 'fanOut', limit: bounds.fanOut });
  // They would be committed together: these can never be, whoever else of the family ends.
  if (sends >= bounds.family) throw new BoundReachedError({ id, bound: 'family', limit: bounds.family }, false);
  if (depth >= bounds.depth) throw new BoundReachedError({ id, bound: 'depth', limit: bounds.depth });
  const declared = (agent.spec.asks as Record<string, AnyContract>)[kind]!;
  const parsed = parse(declared.input, input, `input of ${kind}`);
  return {
    parsed,
    schema: declared.input,
    input: encode(input, `input of ${kind}`, bounds.payloadBytes),
    priority: options.priority === undefined ? priority : checkPriority(options.priority),
    depth: depth + 1,
  };
}
