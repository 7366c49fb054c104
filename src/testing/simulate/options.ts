/** Options of `simulate`: what they are, and that they make sense. */
import type { Random } from '../../../actors/kernel/random.ts';
import { checkShape } from '../../../actors/kernel/shape.ts';
import { isTtl, TTL } from '../../coordination/tools.ts';
import { TopologyError } from '../../topology/topology-error.ts';
import type { InputOf } from '../../topology/contract.ts';
import type { Usage } from '../../topology/dependency.ts';
import type { AgentMap, Topology } from '../../topology/fleet.ts';
import { planSchedule } from '../../topology/schedule.ts';
import type { ScheduleSpec } from '../../topology/schedule.ts';
import { mailboxShape } from '../../topology/shapes.ts';
import { SeedError, SimulationOptionError } from '../errors.ts';
import type { Invariant } from '../invariants/invariant.ts';
import type { Sampler } from '../transports.ts';
import type { CallFaults, FaultPlan } from './fault-plan.ts';
import { USUAL_PERSON } from './outside.ts';
import type { OutsideAct, Person } from './outside.ts';

/** One task to submit. */
export type WorkItem<K extends AgentMap = AgentMap> = {
  readonly [N in keyof K & string]: {
    readonly kind: N;
    readonly input: InputOf<K[N]>;
    /** Default: `task-1`, `task-2`, ... */
    readonly id?: string;
    readonly priority?: number;
    /** When it comes, from the start. Default: as soon as fewer than `backlog` tasks are unfinished. */
    readonly atMs?: number;
    /** It is kept in the store until so long after the start. */
    readonly notBeforeMs?: number;
    /** It is to have ended by so long after the start. */
    readonly deadlineMs?: number;
  };
}[keyof K & string];

/** What is submitted: in order, taken one by one, so it may have no end. */
export type Workload<K extends AgentMap = AgentMap> = Iterable<WorkItem<K>> | ((random: Random) => Iterable<WorkItem<K>>);

/** What a stand-in's `reply` gets beside the request. */
export interface StandInCall {
  /** Of this call alone: the same for the same seed. */
  readonly random: Random;
  readonly idempotencyKey: string;
  readonly attempt: number;
  /** Makes the call fail with this error: return what it gives. */
  fail(error: unknown): never;
}

/** What answers in the place of one dependency. */
export interface StandIn<Req = never, Rep = unknown> {
  /** Virtual milliseconds: exact, from-to, or drawn. Default 50 to 1,000. */
  readonly latencyMs?: number | readonly [fromMs: number, toMs: number] | ((request: Req, random: Random) => number);
  /** What a call used. Default: what the dependency reads from the reply, or its estimate and some output where there is no `reply`. */
  readonly usage?: Usage | ((reply: Rep, request: Req) => Usage | undefined);
  /** Default: a text that names the call. Give it wherever your runs read the reply. */
  reply?(request: Req, call: StandInCall): Rep;
  /** In place of the plan's `calls`. */
  readonly faults?: CallFaults | 'none';
}

export interface SimulateOptions<K extends AgentMap = AgentMap> {
  /** A whole number from 0, or a text. The same seed does the same, in any process. Default 1. */
  readonly seed?: number | string;
  /** Virtual time in which work comes and faults strike. Default 60,000. It ends earlier when nothing is left to do. */
  readonly durationMs?: number;
  readonly workload: Workload<K>;
  /** Stand-ins by the name of a dependency in the topology. */
  // oxlint-disable-next-line typescript/no-explicit-any -- each dependency has its own requests and replies
  readonly provider?: Readonly<Record<string, StandIn<any, any>>>;
  /** What happens from outside meanwhile: tasks are told of events, cancelled, paused and put back, rows are written. Default: nothing. */
  readonly outside?: readonly OutsideAct[] | ((random: Random) => readonly OutsideAct[]);
  /** Who decides what runs ask people. Default: two of three are approved within five seconds. */
  readonly person?: Person;
  /** Default `drawn`: a mix by seed. */
  readonly faults?: 'none' | 'drawn' | FaultPlan;
  /** Who chooses the next delivery. Default: drawn by seed. */
  readonly sampler?: Sampler;
  /** Choices of deliveries, each modulo what could go, then first in, first out: in place of `sampler`. For fast-check. */
  readonly schedule?: readonly number[];
  /** How long everything may take to end once faults have stopped. Default 7,200,000. */
  readonly healMs?: number;
  /** Tasks without `atMs` that may be unfinished at once. Default: twice as many as there are workers. */
  readonly backlog?: number;
  /** Whether clocks, chance and I/O in a user's own code are looked for. Default `report`. */
  readonly nondeterminism?: 'report' | 'allow';
  /** `full` keeps every choice and event: as much memory as there are. Default `hash`. */
  readonly trace?: 'hash' | 'full';
  /** Default: all of them. */
  readonly invariants?: readonly Invariant[];
  /** Words of the line that replays this, for the result. Default: a call of `simulate`. */
  readonly replay?: (seed: number | string) => string;
}

/** Options with every default filled in. */
export interface SimulationPlan extends Required<Omit<SimulateOptions, 'sampler' | 'schedule' | 'backlog' | 'invariants' | 'replay'>> {
  readonly sampler: Sampler | undefined;
  readonly schedule: readonly number[] | undefined;
  readonly backlog: number;
  readonly replay: string;
}

const SAMPLERS = ['random', 'pos', 'pct', 'fair'];
const LONGEST_SEED = 200;
const CHANCES = ['calls', 'store', 'messages'];
const NO_CHANCE = ['delayMs', 'ordered'];

/**
 * @throws SeedError, SimulationOptionError naming the option, its value and what is allowed
 * @throws TopologyError when there is no topology
 */
export function checkOptions(topology: Topology, options: SimulateOptions): SimulationPlan {
  if ((topology as { is?: unknown } | null | undefined)?.is !== 'topology') {
    throw new TopologyError({ path: ['simulate', 'topology'], value: topology, expected: 'a topology, made by defineFleet(...)' });
  }
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null) {
    throw new SimulationOptionError('options', 'an object, such as { seed, workload }', options);
  }
  const known = [
    'seed',
    'durationMs',
    'workload',
    'provider',
    'outside',
    'person',
    'faults',
    'sampler',
    'schedule',
    'healMs',
    'backlog',
    'nondeterminism',
    'trace',
    'invariants',
    'replay',
  ];
  onlyKnown('', options, known);
  const {
    seed = 1,
    durationMs = 60_000,
    workload,
    outside = [],
    person = USUAL_PERSON,
    faults = 'drawn',
    sampler,
    schedule,
    healMs = 7_200_000,
    provider = {},
    trace = 'hash',
  } = options;
  const { nondeterminism = 'report', backlog = 2 * workersOf(topology), replay } = options;
  checkSeed(seed);
  demand('durationMs', durationMs, Number.isFinite(durationMs) && durationMs >= 0, 'milliseconds from 0');
  demand('healMs', healMs, Number.isFinite(healMs) && healMs >= 0, 'milliseconds from 0');
  demand('backlog', backlog, Number.isInteger(backlog) && backlog >= 1, 'a whole number of tasks, at least 1');
  demand('workload', workload, isWorkload(workload), 'tasks to submit: an array, a generator, or a function of (random) that gives one');
  demand('sampler', sampler, sampler === undefined || SAMPLERS.includes(sampler), SAMPLERS.join(', '));
  demand('schedule', schedule, schedule === undefined || isSchedule(schedule), 'an array of whole numbers from 0');
  demand('nondeterminism', nondeterminism, ['report', 'allow'].includes(nondeterminism), "'report' or 'allow'");
  demand('trace', trace, ['hash', 'full'].includes(trace), "'hash' or 'full'");
  demand('person', person, typeof person === 'function', 'a function of (request, random)');
  demand(
    'outside',
    outside,
    typeof outside === 'function' || Array.isArray(outside),
    'an array of acts, or a function of (random) that gives one',
  );
  if (typeof outside !== 'function') checkActs(outside, topology);
  checkProvider(provider, topology);
  checkFaults(faults);
  const text = replay?.(seed) ?? `simulate(topology, { ...options, seed: ${JSON.stringify(seed)} })`;
  return {
    seed,
    durationMs,
    workload,
    outside,
    person,
    provider,
    faults,
    sampler,
    schedule,
    healMs,
    backlog,
    nondeterminism,
    trace,
    replay: text,
  };
}

/** @throws SeedError */
export function checkSeed(seed: unknown): asserts seed is number | string {
  if (
    typeof seed === 'number'
      ? Number.isSafeInteger(seed) && seed >= 0
      : typeof seed === 'string' && seed !== '' && seed.length <= LONGEST_SEED
  )
    return;
  throw new SeedError(seed);
}

const TASK_ACTS = ['signal', 'cancel', 'pause', 'unpause', 'requeue'];
const KIND_ACTS = ['pause-kind', 'unpause-kind', 'mailboxes'];
const SCHEDULE_ACTS: readonly string[] = ['schedule', 'unschedule'];
/** Of holders: their times. */
const HOLDER_ACTS: Readonly<Record<string, readonly string[]>> = { lock: ['holdMs'], stand: ['forMs', 'termMs'] };

/** @throws SimulationOptionError */
export function checkActs(acts: unknown, { kinds, agents }: Topology): asserts acts is readonly OutsideAct[] {
  demand('outside', acts, Array.isArray(acts), 'an array of acts');
  for (const [index, act] of (acts as (Record<string, unknown> | null)[]).entries()) {
    const path = `outside.${index}`;
    const { at, atMs, task, kind, name, key, change, spec, mailboxes } = act ?? {};
    const known = [...TASK_ACTS, ...KIND_ACTS, ...SCHEDULE_ACTS, 'set-row', ...Object.keys(HOLDER_ACTS)];
    demand(`${path}.at`, at, known.includes(at as string), known.join(', '));
    demand(`${path}.atMs`, atMs, isMs(atMs), 'milliseconds from the start');
    if (TASK_ACTS.includes(at as string)) demand(`${path}.task`, task, typeof task === 'string', 'the id of a task');
    if (KIND_ACTS.includes(at as string))
      demand(`${path}.kind`, kind, Object.hasOwn(kinds, kind as string), `the name of a kind: ${Object.keys(kinds).join(', ')}`);
    if (at === 'signal') demand(`${path}.name`, name, typeof name === 'string', 'the name of an event');
    if (at === 'mailboxes') {
      const problem = checkShape(mailboxShape, mailboxes);
      demand(`${path}.mailboxes`, mailboxes, problem === undefined, `{ mode, capacity, stealAbove }: ${problem?.expected}`);
    }
    if (SCHEDULE_ACTS.includes(at as string)) demand(`${path}.name`, name, typeof name === 'string', 'the name of a schedule');
    if (at === 'schedule') checkSpec(`${path}.spec`, name as string, spec as ScheduleSpec, agents);
    if (Object.hasOwn(HOLDER_ACTS, at as string)) checkHolder(path, act!, HOLDER_ACTS[at as string]!);
    if (at === 'set-row') {
      demand(`${path}.key`, key, typeof key === 'string', 'the key of a row');
      demand(`${path}.change`, change, typeof change === 'function', 'a function of the value');
    }
  }
}

/** @throws SimulationOptionError */
function checkHolder(path: string, act: Record<string, unknown>, times: readonly string[]): void {
  demand(`${path}.name`, act['name'], typeof act['name'] === 'string' && act['name'] !== '', 'the name of what is held');
  for (const time of times) demand(`${path}.${time}`, act[time], isMs(act[time]), 'milliseconds from 0');
  const { ttlMs } = act;
  demand(`${path}.ttlMs`, ttlMs, ttlMs === undefined || isTtl(ttlMs), TTL);
}

/** @throws SimulationOptionError */
function checkSpec(path: string, name: string, spec: ScheduleSpec, agents: AgentMap): void {
  let wrong: unknown;
  try {
    planSchedule(name, spec, agents);
  } catch (error) {
    wrong = error;
  }
  demand(path, spec, wrong === undefined, `a schedule, as fleet.schedule takes it: ${(wrong as Error | undefined)?.message}`);
}

function checkProvider(provider: object, { dependencies }: Topology): void {
  demand('provider', provider, typeof provider === 'object' && provider !== null, 'stand-ins by the name of a dependency');
  const names = Object.keys(dependencies);
  for (const [name, standIn] of Object.entries(provider) as [string, unknown][]) {
    demand(`provider.${name}`, standIn, names.includes(name), `the name of a dependency: ${names.join(', ') || 'there is none'}`);
    demand(`provider.${name}`, standIn, typeof standIn === 'object' && standIn !== null, '{ latencyMs, usage, reply, faults }');
    onlyKnown(`provider.${name}.`, standIn as object, ['latencyMs', 'usage', 'reply', 'faults']);
    const { latencyMs, usage, reply, faults } = standIn as Partial<Record<keyof StandIn, unknown>>;
    demand(`provider.${name}.latencyMs`, latencyMs, isLatency(latencyMs), 'milliseconds from 0, [from, to], or a function');
    demand(`provider.${name}.reply`, reply, reply === undefined || typeof reply === 'function', 'a function of (request, call)');
    demand(
      `provider.${name}.usage`,
      usage,
      ['undefined', 'object', 'function'].includes(typeof usage),
      '{ inputTokens, outputTokens }, or a function',
    );
    if (faults !== undefined && faults !== 'none') checkChances(`provider.${name}.faults`, faults);
  }
}

function checkFaults(faults: unknown): void {
  if (faults === 'none' || faults === 'drawn') return;
  demand('faults', faults, typeof faults === 'object' && faults !== null, "'none', 'drawn', or a plan of faults");
  const counts = [
    'workerCrashes',
    'suspensions',
    'scalings',
    'queueCrashes',
    'limiterCrashes',
    'kills',
    'commitPoints',
    'restarts',
    'stalls',
    'clockSteps',
    'storeOutages',
  ];
  onlyKnown('faults.', faults as object, [...counts, 'strikes', ...CHANCES]);
  for (const [part, value] of Object.entries(faults as object) as [string, unknown][]) {
    if (counts.includes(part))
      demand(`faults.${part}`, value, Number.isInteger(value) && (value as number) >= 0, 'a whole number of times, from 0');
    if (part === 'strikes') demand('faults.strikes', value, isStrikes(value), 'an array of { at, atMs }');
    if (CHANCES.includes(part) && value !== undefined) checkChances(`faults.${part}`, value);
  }
}

function checkChances(path: string, chances: unknown): void {
  demand(path, chances, typeof chances === 'object' && chances !== null, 'chances from 0 to 1, by name');
  for (const [name, chance] of Object.entries(chances as object) as [string, unknown][]) {
    if (NO_CHANCE.includes(name)) continue;
    demand(`${path}.${name}`, chance, typeof chance === 'number' && chance >= 0 && chance <= 1, 'a chance from 0 to 1');
  }
}

function isStrikes(value: unknown): boolean {
  return Array.isArray(value) && value.every((strike: { atMs?: unknown } | null) => isMs(strike?.atMs));
}

function isLatency(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 2 && value.every(isMs) && value[0] <= value[1];
  return value === undefined || typeof value === 'function' || isMs(value);
}

export function isMs(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

export function onlyKnown(path: string, value: object, known: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name))
      throw new SimulationOptionError(
        path + name,
        `no such option; there are ${known.join(', ')}`,
        (value as Record<string, unknown>)[name],
      );
  }
}

function demand(option: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds) throw new SimulationOptionError(option, expected, value);
}

function isWorkload(workload: unknown): boolean {
  return typeof workload === 'function' || (typeof workload === 'object' && workload !== null && Symbol.iterator in workload);
}

function isSchedule(schedule: unknown): boolean {
  return Array.isArray(schedule) && schedule.every((choice) => Number.isSafeInteger(choice) && choice >= 0);
}

function workersOf({ kinds }: Topology): number {
  return Object.values(kinds).reduce((sum, { replicas }) => sum + replicas, 0);
}
