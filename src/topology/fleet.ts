/** Fleet: agents under one supervision tree, checked as a whole before anything starts. */
import type { BudgetSpec } from '../../actors/budget/plan.ts';
import { defineAutoscale } from '../../supervisors/autoscale-policy.ts';
import type { AutoscalePolicy } from '../../supervisors/autoscale-policy.ts';
import { PolicyError } from '../../supervisors/meta-agent/check.ts';
import { defineMetaAgent } from '../../supervisors/meta-agent/plan.ts';
import type { MetaAgentPlan, MetaAgentSpec } from '../../supervisors/meta-agent/plan.ts';
import type { RuleSpec } from '../../supervisors/meta-agent/rules.ts';
import { AGING_MS } from '../../actors/ports/store.ts';
import type { EndedStatus } from '../../actors/ports/store.ts';
import type { AnyAgent, BackoffSpec, BudgetTree, Isolation, MailboxMode } from './agent.ts';
import type { AnyDependency } from './dependency.ts';
import { checkShape } from '../../actors/kernel/shape.ts';
import type { Problem } from '../../actors/kernel/shape.ts';
import type { Fitting, ScheduleOf } from './fitting.ts';
import { planSchedules } from './schedule.ts';
import type { SchedulePlan } from './schedule.ts';
import { fleetShape, NAME, NAMED } from './shapes.ts';
import { TopologyError } from './topology-error.ts';

export type AgentMap = Readonly<Record<string, AnyAgent>>;

export type KindStrategy = 'one_for_one' | 'one_for_all' | 'rest_for_one';

export interface SupervisionSpec {
  /**
   * What happens to the other kinds when one gives up: nothing (one_for_one), all start anew
   * (one_for_all), those after it do (rest_for_one). Default `one_for_one`.
   */
  readonly strategy?: KindStrategy;
  /** Every kind once, in the order in which they start; they stop in reverse. Default: as in `agents`. */
  readonly children?: readonly string[];
  /**
   * Restarts within `periodMs`: of one worker before it is suspended, of the parts of a branch before
   * their supervisor gives up. Default 3.
   */
  readonly intensity?: number;
  /** Default 5,000. */
  readonly periodMs?: number;
  /** Jittered delay before a restart, doubling, back to `baseMs` after a healthy period. Defaults 100 and 10,000. */
  readonly backoff?: { readonly baseMs?: number; readonly capMs?: number };
  /** A kind gives up when more than this share of its workers has used up its intensity. 0 to 1, default 0.5. */
  readonly suspendAboveShare?: number;
  /** How long a worker may take to stop before it is killed. Default 5,000. */
  readonly shutdownMs?: number;
}

export interface BoundsSpec {
  /** Unfinished tasks in the store; `submit` then refuses. Default 1,000,000. */
  readonly unfinished?: number;
  /** Size of an input, a result, a remembered value, as JSON. Default 1 MiB. */
  readonly payloadBytes?: number;
  /** Child tasks of one task. Default 10,000. */
  readonly fanOut?: number;
  /** How deep asks may nest. Default 16. */
  readonly depth?: number;
  /** Operations of one run. Default 100,000. */
  readonly operations?: number;
  /**
   * Unfinished tasks that descend from one task, through asks and sends. An ask beyond it fails; what a run sends is counted
   * when it completes, and tried again with it, but for sends that are more than this by themselves: the first too many throws.
   * Default 100,000.
   */
  readonly family?: number;
}

/**
 * So long after it has ended a task is forgotten, by how it ended, with all that is stored of it. Milliseconds, at least
 * 60,000; `Infinity`, the default of each: never. A task that others asked for or sent is forgotten together with whoever was
 * submitted at the beginning, when all of them may be. A forgotten id is free: submitted again it is a new task.
 */
export interface RetentionSpec {
  readonly completedMs?: number;
  readonly failedMs?: number;
  readonly cancelledMs?: number;
  readonly deadMs?: number;
}

export interface FleetSpec<K extends AgentMap> {
  /** Letters, digits, _ and -. */
  readonly name: string;
  /** `import.meta.url` of the module that exports the topology: what other processes load. */
  readonly module?: string;
  /** Whom one of them asks by a contract takes and gives what that says, also by its types. */
  readonly agents: K & Fitting<NoInfer<K>>;
  readonly supervision?: SupervisionSpec;
  /**
   * Watches every worker against its own history and its peers, and acts as an operator would: notes,
   * restarts, suspends, calls a person. `{}` takes the default rules. Default: none.
   */
  readonly metaAgent?: MetaAgentSpec;
  /** What all model calls of the fleet may cost. The ceiling suspends its workers. Default: no limit. */
  readonly budget?: BudgetSpec;
  /** Time between the starts of two workers, so that a fleet does not wake as a herd. Default 25. */
  readonly staggerMs?: number;
  /**
   * How many agents that wake together may go together: the first run of each incarnation (after a start, a restart, a
   * resumption) waits until fewer than `most` others are on their way to their first result. Over all processes of the
   * store. Default: no gate.
   */
  readonly wakeGate?: { readonly most: number };
  /** How long waiting makes up for one level of a task's priority. Default 60,000. */
  readonly agingMs?: number;
  /** Recurring tasks, by name. */
  readonly schedules?: Readonly<Record<string, ScheduleOf<NoInfer<K>>>>;
  readonly bounds?: BoundsSpec;
  /** How long what has ended is kept. Default: for ever. */
  readonly retention?: RetentionSpec;
}

/** One kind with every default filled in. */
export interface KindPlan {
  readonly kind: string;
  /** What errors call its payloads. */
  readonly names: { readonly input: string; readonly output: string };
  readonly agent: AnyAgent;
  /** Names of dependencies in the plan, by the name that the run calls them. */
  readonly uses: Readonly<Record<string, string>>;
  readonly asks: readonly string[];
  /** Outside events that its runs may wait for. */
  readonly events: readonly string[];
  /** Workers at the start, which are the fewest. */
  readonly replicas: number;
  readonly mostReplicas: number;
  /** How it is scaled between the two; undefined: only by hand. */
  readonly autoscale: AutoscalePolicy | undefined;
  readonly mailbox: { readonly mode: MailboxMode; readonly capacity: number; readonly stealAbove: number };
  readonly onConflict: 'queue' | 'reject';
  /** From the submission on; undefined: none. */
  readonly deadlineMs: number | undefined;
  /** Undefined: as many as the store accepts. */
  readonly backlog: number | undefined;
  readonly tenantBacklog: number | undefined;
  readonly tenantWeights: Readonly<Record<string, number>>;
  readonly onVersionChange: 'replay' | 'restart' | 'refuse';
  readonly attempts: number;
  readonly losses: number;
  readonly backoff: Required<BackoffSpec> | ((attempt: number) => number);
  readonly leaseMs: number;
  readonly runTimeoutMs: number;
  readonly stallMs: number;
  readonly lingerMs: number;
  readonly onRejection: 'retry' | 'restart';
  readonly isolation: Isolation;
  readonly heartbeatMs: number;
  readonly memoryMb: number;
  /** Undefined: no call of it is limited by money or tokens, but by the fleet's. */
  readonly budget: BudgetTree | undefined;
  readonly version: string;
}

/** A topology, checked and complete: what the runtime starts and the testing kit explores. */
export interface Topology<K extends AgentMap = AgentMap> {
  readonly is: 'topology';
  readonly name: string;
  readonly module: string | undefined;
  readonly agents: K;
  readonly kinds: Readonly<Record<string, KindPlan>>;
  /** Each dependency once, under the first name it is used by (with its kind in front when that name is taken). */
  readonly dependencies: Readonly<Record<string, AnyDependency>>;
  readonly supervision: {
    readonly strategy: KindStrategy;
    /** Kinds in order of starting. */
    readonly children: readonly string[];
    readonly intensity: number;
    readonly periodMs: number;
    readonly backoff: { readonly baseMs: number; readonly capMs: number };
    readonly suspendAboveShare: number;
    readonly shutdownMs: number;
  };
  readonly budget: BudgetSpec | undefined;
  readonly wakeGate: { readonly most: number } | undefined;
  readonly metaAgent: MetaAgentPlan | undefined;
  readonly staggerMs: number;
  readonly agingMs: number;
  readonly schedules: Readonly<Record<string, SchedulePlan>>;
  readonly bounds: Required<BoundsSpec>;
  /** Only those that are forgotten at some time. */
  readonly retention: Readonly<Partial<Record<EndedStatus, number>>>;
}

/**
 * Checks a topology as a whole and fills in every default. Pure: nothing is started.
 *
 * @throws TopologyError with the path to the field, its value, and what is allowed.
 */
export function defineFleet<const K extends AgentMap>(spec: FleetSpec<K>): Topology<K> {
  const problem =
    checkShape(fleetShape, spec) ??
    checkAgents(spec.agents) ??
    checkOrder(spec) ??
    checkRules(spec) ??
    checkIsolation(spec) ??
    checkPrices(spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['fleet', ...problem.path] });
  const names = nameDependencies(spec.agents);
  const metaAgent = spec.metaAgent === undefined ? undefined : policyOf(['fleet'], () => defineMetaAgent(spec.metaAgent));
  return {
    metaAgent,
    budget: spec.budget,
    wakeGate: spec.wakeGate,
    is: 'topology',
    name: spec.name,
    module: spec.module,
    agents: spec.agents,
    kinds: Object.fromEntries(Object.entries(spec.agents).map(([kind, agent]) => [kind, planKind(kind, agent, names)])),
    dependencies: Object.fromEntries([...names].map(([dependency, name]) => [name, dependency])),
    supervision: {
      strategy: spec.supervision?.strategy ?? 'one_for_one',
      children: spec.supervision?.children ?? Object.keys(spec.agents),
      intensity: spec.supervision?.intensity ?? 3,
      periodMs: spec.supervision?.periodMs ?? 5_000,
      backoff: { baseMs: spec.supervision?.backoff?.baseMs ?? 100, capMs: spec.supervision?.backoff?.capMs ?? 10_000 },
      suspendAboveShare: spec.supervision?.suspendAboveShare ?? 0.5,
      shutdownMs: spec.supervision?.shutdownMs ?? 5_000,
    },
    staggerMs: spec.staggerMs ?? 25,
    agingMs: spec.agingMs ?? AGING_MS,
    schedules: planSchedules(spec.schedules ?? {}, spec.agents),
    bounds: {
      unfinished: spec.bounds?.unfinished ?? 1_000_000,
      payloadBytes: spec.bounds?.payloadBytes ?? 1_048_576,
      fanOut: spec.bounds?.fanOut ?? 10_000,
      depth: spec.bounds?.depth ?? 16,
      operations: spec.bounds?.operations ?? 100_000,
      family: spec.bounds?.family ?? 100_000,
    },
    retention: planRetention(spec.retention ?? {}),
  };
}

function planRetention({ completedMs, failedMs, cancelledMs, deadMs }: RetentionSpec): Topology['retention'] {
  const all = { completed: completedMs, failed: failedMs, cancelled: cancelledMs, dead: deadMs };
  return Object.fromEntries(Object.entries(all).filter(([, ms]) => ms !== undefined && ms < Infinity));
}

function planKind(kind: string, agent: AnyAgent, names: ReadonlyMap<AnyDependency, string>): KindPlan {
  const { spec } = agent;
  const uses = Object.entries((spec.uses ?? {}) as Record<string, AnyDependency>);
  return {
    kind,
    names: { input: `input of ${kind}`, output: `output of ${kind}` },
    agent,
    uses: Object.fromEntries(uses.map(([name, dependency]) => [name, names.get(dependency)!])),
    asks: Object.keys(spec.asks ?? {}),
    replicas: typeof spec.replicas === 'object' ? spec.replicas.min : (spec.replicas ?? 1),
    mostReplicas: typeof spec.replicas === 'object' ? spec.replicas.max : (spec.replicas ?? 1),
    autoscale: autoscaleOf(kind, spec.replicas),
    events: Object.keys((spec.events ?? {}) as object),
    mailbox: { mode: spec.mailbox?.mode ?? 'steal', capacity: spec.mailbox?.capacity ?? 16, stealAbove: spec.mailbox?.stealAbove ?? 4 },
    onConflict: spec.onConflict ?? 'queue',
    deadlineMs: spec.deadlineMs,
    backlog: spec.backlog,
    tenantBacklog: spec.tenantBacklog,
    tenantWeights: spec.tenantWeights ?? {},
    onVersionChange: spec.onVersionChange ?? 'replay',
    attempts: spec.attempts ?? 5,
    losses: spec.losses ?? 10,
    backoff:
      typeof spec.backoff === 'function' ? spec.backoff : { baseMs: spec.backoff?.baseMs ?? 500, capMs: spec.backoff?.capMs ?? 60_000 },
    leaseMs: spec.leaseMs ?? 60_000,
    runTimeoutMs: spec.runTimeoutMs ?? 600_000,
    stallMs: spec.stallMs ?? 120_000,
    lingerMs: spec.lingerMs ?? 10,
    onRejection: spec.onRejection ?? 'retry',
    isolation: spec.isolation ?? 'inline',
    heartbeatMs: spec.heartbeatMs ?? 2_000,
    memoryMb: spec.memoryMb ?? 512,
    budget: budgetOf(spec.budget),
    version: spec.version ?? '1',
  };
}

/** What stands alone is the kind's. */
function budgetOf(budget: BudgetSpec | BudgetTree | undefined): BudgetTree | undefined {
  if (budget === undefined) return undefined;
  return 'kind' in budget || 'worker' in budget || 'task' in budget ? budget : { kind: budget as BudgetSpec };
}

/** Money is not counted with a price that nobody knows. */
function checkPrices({ agents, budget }: FleetSpec<AgentMap>): Problem | undefined {
  for (const [kind, { spec }] of Object.entries(agents)) {
    const own = Object.values(budgetOf(spec.budget) ?? {}) as (BudgetSpec | undefined)[];
    if ([budget, ...own].every((one) => one?.usd === undefined)) continue;
    for (const [name, used] of Object.entries((spec.uses ?? {}) as Record<string, AnyDependency>)) {
      const { unpriced } = used.spec;
      if (unpriced === undefined || used.spec.price !== undefined) continue;
      return {
        path: ['agents', kind, 'uses', name],
        value: unpriced,
        expected: 'a model with a known price, or `price`, under a budget in usd',
      };
    }
  }
  return undefined;
}

function checkOrder({ agents, supervision }: FleetSpec<AgentMap>): Problem | undefined {
  const children = supervision?.children;
  if (children === undefined) return undefined;
  const kinds = Object.keys(agents);
  const whole = children.length === kinds.length && kinds.every((kind) => children.includes(kind));
  return whole ? undefined : { path: ['supervision', 'children'], value: children, expected: `every kind once: ${kinds.join(', ')}` };
}

function checkRules({ agents, metaAgent }: FleetSpec<AgentMap>): Problem | undefined {
  // Their shape is checked later, by whoever judges by them.
  const rules: readonly Partial<RuleSpec>[] = Array.isArray(metaAgent?.rules) ? metaAgent.rules : [];
  for (const [at, rule] of rules.entries()) {
    const named: readonly string[] = Array.isArray(rule?.kinds) ? rule.kinds : [];
    const unknown = named.findIndex((kind) => !Object.hasOwn(agents, kind));
    if (unknown < 0) continue;
    const path = ['metaAgent', 'rules', String(at), 'kinds', String(unknown)];
    return { path, value: named[unknown], expected: `the name of a kind: ${Object.keys(agents).join(', ')}` };
  }
  return undefined;
}

function autoscaleOf(kind: string, replicas: AnyAgent['spec']['replicas']): AutoscalePolicy | undefined {
  if (typeof replicas !== 'object') return undefined;
  const policy = policyOf(['fleet', 'agents', kind], () => defineAutoscale(replicas, 'replicas'));
  return policy.min === policy.max ? undefined : policy;
}

/** What is wrong with a policy is wrong with the topology. */
function policyOf<T>(path: readonly string[], define: () => T): T {
  try {
    return define();
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new TopologyError({ ...error.detail, path: [...path, ...error.detail.path] }, { cause: error });
  }
}

function checkAgents(agents: AgentMap): Problem | undefined {
  if (Object.keys(agents).length === 0) return { path: ['agents'], value: agents, expected: 'at least one agent' };
  for (const [kind, agent] of Object.entries(agents)) {
    if (!NAME.test(kind)) return { path: ['agents', kind], value: kind, expected: NAMED };
    // Type-checked callers can't get here; a module loaded at run time can.
    if ((agent as { is?: unknown } | null | undefined)?.is !== 'agent') {
      return { path: ['agents', kind], value: agent, expected: 'an agent, made by agent(...)' };
    }
    for (const [name, asked] of Object.entries((agent.spec.asks ?? {}) as Record<string, { is: string }>)) {
      const answering = Object.hasOwn(agents, name) ? agents[name] : undefined;
      if (answering === undefined) {
        return {
          path: ['agents', kind, 'asks', name],
          value: name,
          expected: `the name of an agent of this fleet (${Object.keys(agents).join(', ')})`,
        };
      }
      if (asked.is === 'agent' && asked !== answering) {
        return {
          path: ['agents', kind, 'asks', name],
          value: name,
          expected: `the same agent that the fleet has as ${name}, or a contract`,
        };
      }
    }
  }
  return undefined;
}

/** Another thread or process has to find the topology by itself. */
function checkIsolation({ module, agents }: FleetSpec<AgentMap>): Problem | undefined {
  const isolated = Object.entries(agents).find(([, { spec }]) => (spec.isolation ?? 'inline') !== 'inline');
  if (isolated === undefined) return undefined;
  const [kind, { spec }] = isolated;
  if (module === undefined) {
    const expected = "'inline', or that the fleet names its module (`module: import.meta.url`) for 'thread' and 'process'";
    return { path: ['agents', kind, 'isolation'], value: spec.isolation, expected };
  }
  if (URL.canParse(module)) return undefined;
  return { path: ['module'], value: module, expected: `a module URL, such as import.meta.url: the ${spec.isolation} of ${kind} loads it` };
}

function nameDependencies(agents: AgentMap): Map<AnyDependency, string> {
  const names = new Map<AnyDependency, string>();
  const taken = new Set<string>();
  for (const [kind, agent] of Object.entries(agents)) {
    for (const [name, dependency] of Object.entries((agent.spec.uses ?? {}) as Record<string, AnyDependency>)) {
      if (names.has(dependency)) continue;
      const free = taken.has(name) ? `${kind}.${name}` : name;
      taken.add(free);
      names.set(dependency, free);
    }
  }
  return names;
}
