/**
 * Check deadlock free: may a topology come to a state from which not everything ends?
 *
 *   1. Lint: what shows without any search.
 *   2. Search: every order of the declared operations, within bounds on numbers (`explore/`).
 *   3. Sample: the real machines under rehearsed runs, drawn faults and four samplers (`deadlock/`).
 *
 * What is found is shrunk, and told in words.
 */
import type { Topology } from '../topology/fleet.ts';
import { TopologyError } from '../topology/topology-error.ts';
import { checkTopology } from './explore/check-topology.ts';
import type { TopologyCheckOptions, TopologyVerdict } from './explore/check-topology.ts';
import { CONSTRUCTIONS } from './explore/topology.ts';
import type { LintCode, LintFinding } from './explore/lint.ts';
import type { ViolationKind } from './explore/check.ts';
import { SimulationOptionError } from './errors.ts';
import { refute } from './deadlock/refute.ts';
import { sample } from './deadlock/sample.ts';
import type { Sampled } from './deadlock/sample.ts';
import { rehearsed } from './deadlock/subject.ts';
import { onlyKnown } from './simulate/options.ts';

export interface DeadlockOptions extends Omit<TopologyCheckOptions, 'shrink' | 'starvation' | 'fairness'> {
  /** Runs of the real machines. 0: none, only the search. Default 200, about two seconds. */
  readonly runs?: number;
  /** Of the first run. A whole number from 0. Default 1. */
  readonly seed?: number;
  /** Tasks of one run at most. Default 12. */
  readonly sampledTasks?: number;
  /** Whether the sampled runs have faults. Default `drawn`. */
  readonly sampledFaults?: 'drawn' | 'none';
  /** Words of the line that replays a run. Default: a call of this function. */
  readonly replay?: (seed: number) => string;
  /** Told of each sampled run: how many so far. */
  readonly onRun?: (runs: number) => void;
}

/** What sampling the real machines has seen. */
export interface SampledSummary {
  readonly runs: number;
  readonly deliveries: number;
  readonly virtualMs: number;
  /**
   * With which chance at most a fault that needs two orderings was missed by the `pct` quarter of the runs:
   * `(1 - 1 / (n k))^runs`, of n actors and at most k deliveries.
   * @see Burckhardt et al., ASPLOS 2010
   */
  readonly missedAtMost: number;
}

interface Said {
  readonly lint: readonly LintFinding[];
  readonly search: TopologyVerdict;
  /** None when the search has found something, or no runs were asked for. */
  readonly sampled: SampledSummary | undefined;
}

export type DeadlockVerdict =
  /** The search came to its end: free for any order of the declared operations, within `search.bounds`. Sampling found nothing either. */
  | (Said & { readonly at: 'proved' })
  /** Nothing was found, and the search did not come to its end. */
  | (Said & { readonly at: 'no-counterexample' })
  | (Said & {
      readonly at: 'violated';
      /** `invariant`: the real machines broke another promise. `lint`: something that is declared can never come about. */
      readonly kind: ViolationKind | 'invariant' | 'lint';
      /** `search`: an order of declared operations. `sample`: a run of the real machines. `lint`: no search was needed. */
      readonly by: 'search' | 'sample' | 'lint';
      /** The circle of waits, one sentence each; of a broken invariant, what was seen, and what each task waited for. */
      readonly cycle: readonly string[];
      readonly holdings: readonly string[];
      /** The shortest way there that was found, one sentence a step. */
      readonly trace: readonly string[];
      readonly mermaid: string | undefined;
      /** Of the sampled run; undefined for a search, which needs none. */
      readonly seed: number | undefined;
      readonly replay: string;
    });

const DEFAULT_RUNS = 200;
const DEFAULT_TASKS = 12;
const PROGRAMS = { depth: 3, operations: 3, asks: 2 };
const CERTAIN: readonly LintCode[] = ['asks-too-deep', 'never-admitted'];
const SIZES = ['workers', 'permits', 'tasks', 'depth', 'operations', 'asks', 'faults', 'rejections', 'locks'] as const;
/** A search of no tasks, or of runs that do nothing, would prove nothing. */
const LEAST: Partial<Record<(typeof SIZES)[number], number>> = {
  workers: 1,
  permits: 1,
  tasks: 1,
  operations: 1,
  asks: 1,
  depth: 1,
  locks: 1,
};
const OWN = ['runs', 'seed', 'sampledTasks', 'sampledFaults', 'replay', 'onRun'];
const OPTIONS = [...OWN, ...SIZES, 'without', 'requests', 'inputs', 'maxStates', 'withinMs', 'nowMs'];

/**
 * Checks a topology for deadlock: by search for any order of what it declares, then by sampling the
 * real machines. What it declares are its calls and asks, none of them begun inside a `ctx.step`: such
 * a run keeps its worker while it waits, and `simulate` names it.
 * Runs no code of the user's but `estimate`, `backoff`, and `writes` and `reads` for `inputs`: what a run really does is for
 * `simulate`, which also tells when it does what was not declared.
 *
 * @throws TopologyError when there is no topology
 * @throws SkeletonError, SimulationOptionError when an option is out of range
 * @example
 * const verdict = await checkDeadlockFree(topology);
 * expect(verdict.at).toBe('proved');
 */
export async function checkDeadlockFree(topology: Topology, options: DeadlockOptions = {}): Promise<DeadlockVerdict> {
  if ((topology as { is?: unknown } | null | undefined)?.is !== 'topology') {
    throw new TopologyError({ path: ['checkDeadlockFree', 'topology'], value: topology, expected: 'a topology, made by defineFleet(...)' });
  }
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null)
    throw new SimulationOptionError('options', 'an object', options);
  onlyKnown('', options, OPTIONS);
  const { runs = DEFAULT_RUNS, seed = 1, sampledTasks = DEFAULT_TASKS, sampledFaults = 'drawn', onRun, replay, ...searched } = options;
  demandCount('runs', runs, 0);
  demandCount('seed', seed, 0);
  demandCount('sampledTasks', sampledTasks, 1);
  if (sampledFaults !== 'drawn' && sampledFaults !== 'none')
    throw new SimulationOptionError('sampledFaults', "'drawn' or 'none'", sampledFaults);
  checkSearched(topology, searched);
  const search = checkTopology(topology, searched);
  const said = { lint: search.lint, search };
  if (search.at === 'violated') {
    const { kind, cycle, holdings, trace, mermaid } = search;
    const line = 'checkDeadlockFree(topology, options): the search has no seed, it finds the same again';
    return {
      ...said,
      at: 'violated',
      sampled: undefined,
      kind,
      by: 'search',
      cycle,
      holdings,
      trace,
      mermaid,
      seed: undefined,
      replay: line,
    };
  }
  // A circle may come about, and the runs will say; these can't but go wrong.
  const wrong = search.lint.filter(({ code, severity }) => severity === 'error' && CERTAIN.includes(code));
  if (wrong.length > 0) {
    const line = 'checkDeadlockFree(topology): the topology says so by itself';
    const nothing = { holdings: [], trace: [], mermaid: undefined, seed: undefined, sampled: undefined };
    return { ...said, ...nothing, at: 'violated', kind: 'lint', by: 'lint', cycle: wrong.map(({ says }) => says), replay: line };
  }
  const { withinMs, nowMs } = searched;
  const untilMs = withinMs === undefined || nowMs === undefined ? Infinity : nowMs() + withinMs;
  const isLate = (): boolean => nowMs !== undefined && nowMs() >= untilMs;
  const internals = { parking: searched.without?.includes('parking') !== true };
  const subject = rehearsed(topology, { ...PROGRAMS, tasks: sampledTasks, faults: sampledFaults, internals: () => internals });
  const sampling = { runs, seed, isLate };
  const sampled = await sample(subject, onRun === undefined ? sampling : { ...sampling, onRun });
  const summary = runs === 0 ? undefined : summaryOf(sampled);
  if (sampled.found.length === 0) return { ...said, at: search.at === 'proved' ? 'proved' : 'no-counterexample', sampled: summary };
  const { kind, cycle, trace, run } = await refute(subject, sampled.found);
  const line = replay?.(run.seed) ?? `checkDeadlockFree(topology, { ...options, runs: 1, seed: ${run.seed} })`;
  return {
    ...said,
    at: 'violated',
    sampled: summary,
    kind,
    by: 'sample',
    holdings: [],
    mermaid: undefined,
    cycle,
    trace,
    seed: run.seed,
    replay: line,
  };
}

function summaryOf({ runs, deliveries, virtualMs, actors, longestRun }: Sampled): SampledSummary {
  const pct = Math.floor(runs / 4);
  return { runs, deliveries, virtualMs, missedAtMost: longestRun === 0 ? 1 : (1 - 1 / (actors * longestRun)) ** pct };
}

/** What the search would take as it comes, and then search something else than was meant. */
function checkSearched({ dependencies, kinds }: Topology, searched: TopologyCheckOptions): void {
  const { without = [], withinMs, nowMs, requests = {}, inputs = {}, maxStates } = searched;
  const isKnown = Array.isArray(without) && without.every((name) => CONSTRUCTIONS.includes(name));
  if (!isKnown) throw new SimulationOptionError('without', `an array of ${CONSTRUCTIONS.map((name) => `'${name}'`).join(', ')}`, without);
  if (withinMs !== undefined && nowMs === undefined) throw new SimulationOptionError('nowMs', 'a clock, beside withinMs', nowMs);
  if (maxStates !== undefined) demandCount('maxStates', maxStates, 1);
  onlyKnown('requests.', requests, Object.keys(dependencies));
  onlyKnown('inputs.', inputs, Object.keys(kinds));
  for (const size of SIZES) if (searched[size] !== undefined) demandCount(size, searched[size], LEAST[size] ?? 0);
}

function demandCount(option: string, value: unknown, least: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < least)
    throw new SimulationOptionError(option, `a whole number, at least ${least}`, value);
}
