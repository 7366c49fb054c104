/**
 * Rehearsal: the topology with runs that do whatever is declared, in any order. Kinds, replicas,
 * mailboxes, limits, asks and uses are the user's; what a run does is its input, a program. So the real
 * actors can be sampled before any agent has been written, and without a sample of its payloads.
 */
import type { Random } from '../../../actors/kernel/random.ts';
import type { Context } from '../../topology/context.ts';
import { contract } from '../../topology/contract.ts';
import { dependency } from '../../topology/dependency.ts';
import type { AnyDependency } from '../../topology/dependency.ts';
import type { AnyAgent } from '../../topology/agent.ts';
import type { KindPlan, Topology } from '../../topology/fleet.ts';

/** What one run does, operation by operation. */
export interface Program {
  readonly steps: readonly ProgramStep[];
  /** What it writes, where its kind finds that out by a function. */
  readonly writes?: readonly string[];
  /** What it reads, likewise. */
  readonly reads?: readonly string[];
  /** Its order key, likewise. */
  readonly key?: string;
  /** It is rejected so many times before it comes to its end. */
  readonly rejects: number;
}

export type ProgramStep =
  | { readonly at: 'call'; readonly dependency: string }
  /** All at once, as `Promise.all` does. */
  | { readonly at: 'ask'; readonly asked: readonly { readonly kind: string; readonly program: Program }[] };

export interface ProgramOptions {
  /** Asks inside asks at most. */
  readonly depth: number;
  /** Calls and asks of one run at most. */
  readonly operations: number;
  /** Asks at once at most. */
  readonly asks: number;
}

/** A task of a rehearsal. */
export interface RehearsedTask {
  readonly kind: string;
  readonly id: string;
  readonly input: Program;
}

/** Names beside those that are listed. */
const UNNAMED = ['lock 1', 'lock 2'];

/** The same topology, to be run on programs. The user's own is not touched. */
export function rehearsalOf(topology: Topology): Topology {
  const agents = mapped(topology.kinds, (plan) => performer(plan));
  return {
    ...topology,
    // They come one by one anyway: a rehearsal is about what happens later.
    staggerMs: 0,
    agents,
    kinds: mapped(topology.kinds, (plan) => ({ ...plan, agent: agents[plan.kind]! })),
    dependencies: mapped(topology.dependencies, ({ spec }) => standIn(spec)),
    // Their inputs are no programs.
    schedules: {},
  };
}

/** Tasks for the kinds that nobody else asks, or for all of them when each is asked. */
export function drawTasks({ kinds, bounds }: Topology, count: number, random: Random, options: ProgramOptions): readonly RehearsedTask[] {
  const asked = new Set(Object.values(kinds).flatMap((plan) => plan.asks.filter((kind) => kind !== plan.kind)));
  const entries = Object.keys(kinds).filter((kind) => !asked.has(kind));
  const drawn = entries.length === 0 ? Object.keys(kinds) : entries;
  const depth = Math.min(options.depth, bounds.depth);
  return Array.from({ length: count }, (_, at) => {
    // One that is asked may be submitted as well, though that is rarer.
    const from = random.int(5) === 0 ? Object.keys(kinds) : drawn;
    const kind = from[random.int(from.length)]!;
    return { kind, id: `t${at + 1}`, input: drawProgram(kinds, kind, depth, random, options) };
  });
}

function drawProgram(kinds: Topology['kinds'], kind: string, depth: number, random: Random, options: ProgramOptions): Program {
  const { uses, asks } = kinds[kind]!;
  const dependencies = Object.keys(uses);
  const mayAsk = depth > 0 && asks.length > 0;
  const steps: ProgramStep[] = [];
  for (let left = random.int(options.operations + 1); left > 0; left -= 1) {
    if (mayAsk && (dependencies.length === 0 || random.int(2) === 0)) {
      const asked = Array.from({ length: 1 + random.int(options.asks) }, () => {
        const child = asks[random.int(asks.length)]!;
        return { kind: child, program: drawProgram(kinds, child, depth - 1, random, options) };
      });
      steps.push({ at: 'ask', asked });
    } else if (dependencies.length > 0) steps.push({ at: 'call', dependency: dependencies[random.int(dependencies.length)]! });
  }
  return { steps, rejects: random.int(8) === 0 ? 1 : 0, ...drawNames(kinds, kind, random.fork('names')) };
}

/** What the functions of its kind would have said about the input. */
function drawNames(kinds: Topology['kinds'], kind: string, random: Random): Pick<Program, 'writes' | 'reads' | 'key'> {
  const { writes, reads, orderKey } = kinds[kind]!.agent.spec;
  const listed = Object.values(kinds).flatMap(({ agent: { spec } }) => [spec.writes, spec.reads].flatMap((names) => namesOf(names)));
  const names = [...new Set([...listed, ...UNNAMED])];
  const some = (): string[] => names.filter(() => random.int(names.length) === 0);
  return {
    ...(typeof writes === 'function' ? { writes: some() } : {}),
    ...(typeof reads === 'function' ? { reads: some() } : {}),
    ...(orderKey === undefined || random.int(3) === 0 ? {} : { key: `key ${random.int(2)}` }),
  };
}

function namesOf(names: AnyAgent['spec']['writes']): readonly string[] {
  return names === undefined || typeof names === 'function' ? [] : names;
}

function performer({ agent, asks }: KindPlan): AnyAgent {
  const { spec } = agent;
  const { affinity: _affinity, tenant: _tenant, orderKey, writes, reads, ...rest } = spec;
  return {
    is: 'agent',
    input: undefined,
    output: undefined,
    spec: {
      ...rest,
      input: undefined,
      output: undefined,
      asks: Object.fromEntries(asks.map((kind) => [kind, contract()])),
      // Functions of the input would be given a program.
      writes: typeof writes === 'function' ? (program: Program) => program.writes ?? [] : writes,
      reads: typeof reads === 'function' ? (program: Program) => program.reads ?? [] : reads,
      orderKey: orderKey === undefined ? undefined : (program: Program) => program.key,
      run: perform,
    },
  } as unknown as AnyAgent;
}

/** Rejections are the first attempts': a later one goes on. */
async function perform(program: Program, ctx: Context<never, never>): Promise<void> {
  for (const step of program.steps) {
    if (step.at === 'call') await ctx.call(step.dependency as never, null as never).catch(ignoreUnlessBug);
    else await Promise.all(step.asked.map(({ kind, program: asked }) => ctx.ask(kind as never, asked as never).catch(ignoreUnlessBug)));
  }
  if (ctx.task.attempt <= program.rejects) throw new Error('rejected, as its program says');
}

/** A call or a child may fail for good: whoever rehearses goes on to what comes next. */
function ignoreUnlessBug(error: unknown): void {
  const { code } = error as { readonly code?: string };
  if (code !== 'DROVER_CALL_FAILED' && code !== 'DROVER_CHILD_FAILED') throw error;
}

/** What a limiter, a timeout and retries make of a call stays; what is the user's code goes. */
function standIn({ limits, safetyMargin, burstMs, attempts, timeoutMs }: AnyDependency['spec']): AnyDependency {
  return dependency<unknown, null>({
    perform: async () => null,
    ...(limits === undefined ? {} : { limits }),
    ...(safetyMargin === undefined ? {} : { safetyMargin }),
    ...(burstMs === undefined ? {} : { burstMs }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

function mapped<T, U>(map: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]));
}

/** Tasks that do less: whom a task asks in its place, or a rejection, an operation, an ask less. */
export function* smallerTasks(task: RehearsedTask): Generator<RehearsedTask> {
  for (const step of task.input.steps) {
    if (step.at === 'ask') for (const { kind, program } of step.asked) yield { ...task, kind, input: program };
  }
  for (const input of smallerPrograms(task.input)) yield { ...task, input };
}

function* smallerPrograms(whole: Program): Generator<Program> {
  const { key, ...keyless } = whole;
  const { steps, rejects, writes, reads } = whole;
  if (rejects > 0) yield { ...whole, rejects: 0 };
  if (key !== undefined) yield keyless;
  for (const at of writes?.keys() ?? []) yield { ...whole, writes: writes!.toSpliced(at, 1) };
  for (const at of reads?.keys() ?? []) yield { ...whole, reads: reads!.toSpliced(at, 1) };
  for (const [at, step] of steps.entries()) {
    yield { ...whole, steps: steps.toSpliced(at, 1) };
    if (step.at === 'call') continue;
    const { asked } = step;
    if (asked.length > 1)
      for (const fewer of asked.keys()) yield { ...whole, steps: steps.with(at, { at: 'ask', asked: asked.toSpliced(fewer, 1) }) };
    for (const [which, { kind, program }] of asked.entries()) {
      for (const smaller of smallerPrograms(program)) {
        yield { ...whole, steps: steps.with(at, { at: 'ask', asked: asked.with(which, { kind, program: smaller }) }) };
      }
    }
  }
}

/** What a program does, in words. */
export function tellProgram({ steps, rejects, writes = [], reads = [], key }: Program): string {
  const names = [
    ...writes.map((name) => `writes ${name}`),
    ...reads.map((name) => `reads ${name}`),
    ...(key === undefined ? [] : [`has order key ${key}`]),
  ];
  const said = steps.map((step) =>
    step.at === 'call'
      ? `calls ${step.dependency}`
      : `asks ${step.asked.map(({ kind, program }) => `${kind} (which ${tellProgram(program)})`).join(' and ')}`,
  );
  return [...names, ...said, rejects === 0 ? 'ends' : `is rejected ${rejects} times, then ends`].join(', ');
}
