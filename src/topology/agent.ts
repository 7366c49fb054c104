/** Agent: a kind of worker, as the topology declares it. */
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import type { AutoscaleSpec } from '../../supervisors/autoscale-policy.ts';
import type { Contract, ContractSpec } from './contract.ts';
import type { Context, ContractMap, DependencyMap, HealthContext } from './context.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { agentShape, NAME, NAMED } from './shapes.ts';
import { TopologyError } from './topology-error.ts';

/** Full jitter: the next run starts after `U(0, min(capMs, baseMs * 2^n))` ms, at least a tenth of it. */
export interface BackoffSpec {
  /** Default 500. */
  readonly baseMs?: number;
  /** Default 60,000. */
  readonly capMs?: number;
}

/**
 * `T` with its literals as wide as an async function returns them: `{ label: 'spam' }` is a
 * `{ label: string }` before anybody can ask for the literal. Which text it is, is checked when it runs.
 */
export type Widened<T, Depth extends readonly 0[] = []> = unknown extends T
  ? T
  : Depth['length'] extends 6
    ? // oxlint-disable-next-line typescript/no-explicit-any -- deeper than that, anything goes: the type of all JSON has no end
      any
    : T extends string
      ? string
      : T extends number
        ? number
        : T extends boolean
          ? boolean
          : T extends (...args: never[]) => unknown
            ? T
            : T extends object
              ? { [K in keyof T]: Widened<T[K], readonly [...Depth, 0]> }
              : T;

/** The budgets of a kind, each for itself. */
export interface BudgetTree {
  readonly kind?: BudgetSpec;
  /** Of each worker. */
  readonly worker?: BudgetSpec;
  /** Of each task, over all its runs. */
  readonly task?: BudgetSpec;
}

/** Where the runs of a kind execute. */
export type Isolation = 'inline' | 'thread' | 'process';

/** `R` is what `run` does return: what `output` takes, where there is one. */
export interface AgentSpec<
  I,
  P,
  RI,
  RO,
  U extends DependencyMap,
  A extends ContractMap,
  R extends Widened<RI> = Widened<RI>,
> extends ContractSpec<I, P, RI, RO> {
  /** The dependencies that a run may call, by the name it calls them. */
  readonly uses?: U;
  /** The kinds that a run may ask or send to, by their name in the fleet. */
  readonly asks?: A;
  run(input: P, ctx: Context<U, A>): Promise<R>;
  /** How many workers. `{ min, max }` starts `min`, and is scaled by what waits in the queue. Default 1. */
  readonly replicas?: number | AutoscaleSpec;
  readonly mailbox?: {
    /** Claimed tasks that may wait for one worker. Default 16. */
    readonly capacity?: number;
    /** An idle worker takes from a mailbox that is deeper than this. Default 4. */
    readonly stealAbove?: number;
  };
  /** Runs that may be rejected before the task is dead. Default 5. */
  readonly attempts?: number;
  /** Runs that may be lost with their worker or node before the task is dead. Default 10. */
  readonly losses?: number;
  /** Delay before the next run; a function gets the attempt, from 1, and gives ms (negative: give up). */
  readonly backoff?: BackoffSpec | ((attempt: number) => number);
  /** Default 60,000. */
  readonly leaseMs?: number;
  /** A run that takes longer is over, and its attempt is used. Default 600,000. */
  readonly runTimeoutMs?: number;
  /** A run that does nothing on `ctx` for so long, with no call in flight, is over. Default 120,000. */
  readonly stallMs?: number;
  /** How long a run that waits for a child stays in memory before it parks. Default 10. */
  readonly lingerMs?: number;
  /**
   * Whether a worker that was suspended for its health, its quality or its intensity may go on. It
   * sees no task. One that rejects, gives false, or takes longer than 30 s has not passed, and is
   * tried again later. Default: time alone heals.
   */
  readonly healthCheck?: (ctx: HealthContext<U>) => Promise<unknown>;
  /** `restart`: a rejected run also ends the worker's incarnation. Default `retry`. */
  readonly onRejection?: 'retry' | 'restart';
  /**
   * Where runs execute: on the fleet's own event loop, in a thread of their worker, or in a process of
   * their worker. A run in a thread or process that hangs, runs out of memory or ends its process
   * harms nobody else; it counts as a failure of its worker. What crosses the boundary is copied, so
   * a request must be plain data. Dependencies stay with the fleet. The fleet must then name its
   * `module`. Default `inline`.
   */
  readonly isolation?: Isolation;
  /** With `thread` or `process`: no sign of life for so long is a hang. At least 500. Default 2,000. */
  readonly heartbeatMs?: number;
  /** With `thread` or `process`: megabytes of JavaScript heap, and as many outside of it. Default 512. */
  readonly memoryMb?: number;
  /**
   * What its model calls may cost: the kind as a whole, each worker, each task. `{ usd, tokens, perMs }` alone is the kind's.
   * Reserved before a call, settled after it. The ceiling of a kind or of a worker suspends it until the next period or
   * until somebody raises it; a task beyond its own has its call refused. Default: no limit.
   */
  readonly budget?: BudgetSpec | BudgetTree;
  /** Whose task it is: tenants share a limited dependency fairly, whatever each of them submits. Default: nobody's in particular. */
  readonly tenant?: (input: P) => string;
  /** Version of the code, kept with each task. Default '1'. */
  readonly version?: string;
}

export interface Agent<In = unknown, Out = unknown> extends Contract<In, Out> {
  readonly is: 'agent';
  // oxlint-disable-next-line typescript/no-explicit-any -- the runtime runs every kind; types are held where it is defined
  readonly spec: AgentSpec<any, any, any, any, any, any>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- see AnyContract
export type AnyAgent = Agent<any, any>;

/**
 * Declares a kind of agent. Only `run` is needed: every other field has a default that is safe.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const shout = agent({
 *   input: z.object({ text: z.string() }),
 *   run: async ({ text }) => text.toUpperCase(),
 * });
 */
export function agent<
  P = unknown,
  I = P,
  RI = unknown,
  R extends Widened<RI> = Widened<RI>,
  RO = R,
  const U extends DependencyMap = {},
  const A extends ContractMap = {},
>(spec: AgentSpec<I, P, RI, RO, U, A, R>): Agent<I, RO> {
  const problem = checkShape(agentShape, spec) ?? checkNames(spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['agent', ...problem.path] });
  return { is: 'agent', input: spec.input, output: spec.output, spec };
}

function checkNames(spec: { readonly uses?: object; readonly asks?: object }) {
  for (const [name, value] of Object.entries(spec.uses ?? {}) as [string, { is?: unknown } | null | undefined][]) {
    if (!NAME.test(name)) return { path: ['uses', name], value: name, expected: NAMED };
    if (value?.is !== 'dependency') return { path: ['uses', name], value, expected: 'a dependency, made by dependency(...)' };
  }
  for (const [name, value] of Object.entries(spec.asks ?? {}) as [string, { is?: unknown } | null | undefined][]) {
    if (value?.is !== 'agent' && value?.is !== 'contract') {
      return { path: ['asks', name], value, expected: 'an agent or a contract, made by agent(...) or contract(...)' };
    }
  }
  return undefined;
}
