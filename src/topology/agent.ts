/** Agent: a kind of worker, as the topology declares it. */
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import type { AutoscaleSpec } from '../../supervisors/autoscale-policy.ts';
import type { Contract, ContractSpec } from './contract.ts';
import type { Context, ContractMap, DependencyMap, EventMap, HealthContext } from './context.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import { checkMachine, machines } from './machine.ts';
import type { MachineAgentSpec } from './machine.ts';
import { agentShape, isSchema, NAME, NAMED } from './shapes.ts';
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
  E extends EventMap = EventMap,
> extends ContractSpec<I, P, RI, RO> {
  /** The dependencies that a run may call, by the name it calls them. */
  readonly uses?: U;
  /** The kinds that a run may ask or send to, by their name in the fleet. */
  readonly asks?: A;
  /** Outside events that a run may wait for, by their name. */
  readonly events?: E;
  run(input: P, ctx: Context<U, A, E>): Promise<R>;
  /** In place of `run`: a statechart (`MachineAgentSpec`). */
  readonly machine?: never;
  /** How many workers. `{ min, max }` starts `min`, and is scaled by what waits in the queue. Default 1. */
  readonly replicas?: number | AutoscaleSpec;
  readonly mailbox?: {
    /**
     * Where claimed tasks wait: one line for all workers (`shared`), a mailbox of each worker (`dedicated`), or both
     * (`steal`): mailboxes for what has an affinity, with idle workers taking from deep ones, and the line for all else.
     * Default `steal`.
     */
    readonly mode?: MailboxMode;
    /** Claimed tasks that may wait for one worker. A line is shorter where that does. The store keeps the others. 1 to 10,000, default 16. */
    readonly capacity?: number;
    /** With `steal`: an idle worker takes from a mailbox that is deeper than this. Default 4. */
    readonly stealAbove?: number;
  };
  /**
   * Tasks of the same affinity go to the same worker while there is no reason against it: it is idle elsewhere and busy
   * here (`steal`), or that worker is gone. At most 512 characters; undefined: none. Default: none.
   */
  readonly affinity?: (input: P) => string | undefined;
  /**
   * Tasks of the same key run one after the other, in order of arrival, over restarts and steals. One that waits for a
   * child, an event or an approval lets the next one by. At most 512 characters; undefined: no key. Default: none.
   */
  readonly orderKey?: (input: P) => string | undefined;
  /**
   * What a run writes, by name: no two runs that write or read the same are on at a time, of whatever kind. Taken
   * together before it starts, or it waits, holding nothing. Default: nothing.
   */
  readonly writes?: readonly string[] | ((input: P) => readonly string[]);
  /**
   * What a run reads and no other run may write meanwhile. Readers do not exclude each other. Where another has written it
   * while this one was parked, or lost, a task that has read it before does not complete on that: it is tried again, and reads
   * anew. A row that is looked at again and again until it changes is not declared. Default: nothing.
   */
  readonly reads?: readonly string[] | ((input: P) => readonly string[]);
  /** When another run has what this one writes or reads: wait, or fail with `WriteConflictError`. Default `queue`. */
  readonly onConflict?: 'queue' | 'reject';
  /** A task that has not ended so long after it was submitted fails with `DeadlinePassedError`. Children inherit it. Default: none. */
  readonly deadlineMs?: number;
  /** Unfinished tasks of this kind that are accepted from outside. Default: as many as the fleet's. */
  readonly backlog?: number;
  /** The same of each tenant, so that none fills what there is for all; needs `tenant`. Default: as many as the kind's. */
  readonly tenantBacklog?: number;
  /** How many tasks a tenant has its turn for, beside the others. Above 0, default 1 each. */
  readonly tenantWeights?: Readonly<Record<string, number>>;
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
  /** Whose task it is: tenants share a limited dependency fairly, whatever each of them submits. At most 512 characters; undefined: nobody's in particular, as by default. */
  readonly tenant?: (input: P) => string | undefined;
  /** Version of the code, kept with each task and with what it remembers. Default '1'. */
  readonly version?: string;
  /**
   * What becomes of a task that was begun under another version: it goes on over what is remembered, as far as names and
   * requests still fit (`replay`; a request that does not is told as another way), begins again as if nothing had been
   * (`restart`), or fails with `VersionRefusedError` and is kept as it stands (`refuse`): nothing of it is undone and its
   * children go on, until it is put back (`fleet.requeue`; when the old version runs it goes on from what it remembers), or
   * cancelled, and so undone by the code that runs then. Default `replay`.
   */
  readonly onVersionChange?: 'replay' | 'restart' | 'refuse';
}

/** Where claimed tasks wait for workers. */
export type MailboxMode = 'shared' | 'dedicated' | 'steal';

/** `A`: the contracts that it asks by; `E`: the outside events that it waits for. */
export interface Agent<In = unknown, Out = unknown, A extends ContractMap = {}, E extends EventMap = {}> extends Contract<In, Out> {
  readonly is: 'agent';
  /** Never there: carries types, as `types` does. */
  readonly declared?: { readonly asks: A; readonly events: E };
  // oxlint-disable-next-line typescript/no-explicit-any -- the runtime runs every kind; types are held where it is defined
  readonly spec: AgentSpec<any, any, any, any, any, any, any, any>;
}

// oxlint-disable-next-line typescript/no-explicit-any -- see AnyContract
export type AnyAgent = Agent<any, any, any, any>;

/**
 * Declares a kind of agent. Only `run`, or a `machine` in its place, is needed: every other field has a default that is safe.
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
  const E extends EventMap = {},
>(spec: MachineAgentSpec<I, P, RI, RO, U, A, R, E>): Agent<NoInfer<I>, NoInfer<RO>, NoInfer<A>, NoInfer<E>>;
export function agent<
  P = unknown,
  I = P,
  RI = unknown,
  R extends Widened<RI> = Widened<RI>,
  RO = R,
  const U extends DependencyMap = {},
  const A extends ContractMap = {},
  const E extends EventMap = {},
>(spec: AgentSpec<I, P, RI, RO, U, A, R, E>): Agent<NoInfer<I>, NoInfer<RO>, NoInfer<A>, NoInfer<E>>;
export function agent(given: AnyAgent['spec'] | AnyMachineSpec): AnyAgent {
  const problem = checkShape(agentShape, given) ?? checkNames(given) ?? checkTenants(given) ?? checkRun(given);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['agent', ...problem.path] });
  const { machine } = given;
  const spec = machine === undefined ? given : { ...given, run: (input: unknown, ctx: Context) => machines.runner!(machine, input, ctx) };
  return { is: 'agent', input: given.input, output: given.output, spec: spec as AnyAgent['spec'] };
}

// oxlint-disable-next-line typescript/no-explicit-any -- types are held where it is defined
type AnyMachineSpec = MachineAgentSpec<any, any, any, any, any, any, any, any>;

function checkRun({ run, machine, isolation }: { readonly run?: unknown; readonly machine?: unknown; readonly isolation?: unknown }) {
  if (machine === undefined) return run === undefined ? { path: ['run'], value: run, expected: 'a function' } : undefined;
  if (run !== undefined) return { path: ['run'], value: run, expected: 'nothing beside a machine: one of the two' };
  if (isolation !== undefined && isolation !== 'inline') {
    return { path: ['isolation'], value: isolation, expected: "'inline': a machine runs on the fleet's own event loop" };
  }
  return checkMachine(machine);
}

function checkTenants({ tenant, tenantBacklog }: { readonly tenant?: unknown; readonly tenantBacklog?: unknown }) {
  if (tenantBacklog === undefined || tenant !== undefined) return undefined;
  return { path: ['tenantBacklog'], value: tenantBacklog, expected: '`tenant` beside it: the function that says whose a task is' };
}

function checkNames(spec: { readonly uses?: object; readonly asks?: object; readonly events?: object }) {
  for (const [name, value] of Object.entries(spec.uses ?? {}) as [string, { is?: unknown } | null | undefined][]) {
    if (!NAME.test(name)) return { path: ['uses', name], value: name, expected: NAMED };
    if (value?.is !== 'dependency') return { path: ['uses', name], value, expected: 'a dependency, made by dependency(...)' };
  }
  for (const [name, value] of Object.entries(spec.events ?? {})) {
    if (!NAME.test(name)) return { path: ['events', name], value: name, expected: NAMED };
    if (!isSchema(value)) return { path: ['events', name], value, expected: 'a Standard Schema (zod, valibot, arktype)' };
  }
  for (const [name, value] of Object.entries(spec.asks ?? {}) as [string, { is?: unknown } | null | undefined][]) {
    if (value?.is !== 'agent' && value?.is !== 'contract') {
      return { path: ['asks', name], value, expected: 'an agent or a contract, made by agent(...) or contract(...)' };
    }
  }
  return undefined;
}
