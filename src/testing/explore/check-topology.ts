/**
 * Check of a topology: lint, then the search of its skeleton in growing sizes. A violation shows in the
 * smallest size that has it; what is proved is proved for the largest size that was searched to the end.
 */
import type { Topology } from '../../topology/fleet.ts';
import { checkSkeleton } from './check.ts';
import type { Bounds, CheckOptions, Verdict } from './check.ts';
import { depthOf, lintTopology } from './lint.ts';
import type { LintFinding, LintOptions } from './lint.ts';
import { skeletonOf } from './topology.ts';
import type { Sizes, SkeletonOptions } from './topology.ts';

export interface TopologyCheckOptions extends Omit<CheckOptions, 'maxStates'>, SkeletonOptions, LintOptions {
  /** States of each search at most. Default 1,000,000, which takes a few seconds. */
  readonly maxStates?: number;
}

/** The bounds of a verdict are those of the last search that it speaks of. */
export type TopologyVerdict = Verdict & {
  readonly lint: readonly LintFinding[];
  /** What every search that came to its end without finding anything has searched, in order. */
  readonly finished: readonly Bounds[];
};

/**
 * From small to large, in states. Each is searched within the same bounds on states; the first that
 * does not finish is the last that is tried. The first is only there to find things soon: one worker
 * of each kind says nothing about what several do to each other.
 */
const LADDER: readonly Sizes[] = [
  { workers: 1, permits: 1, tasks: 2, operations: 1, asks: 1, faults: 0, rejections: 0 },
  { workers: 2, permits: 1, tasks: 3, operations: 1, asks: 1, faults: 1, rejections: 0 },
  { workers: 2, permits: 1, tasks: 2, operations: 2, asks: 1, faults: 0, rejections: 0 },
  { workers: 2, permits: 1, tasks: 3, operations: 1, asks: 1, faults: 2, rejections: 1 },
  { workers: 2, permits: 2, tasks: 3, operations: 2, asks: 1, faults: 1, rejections: 0 },
  { workers: 2, permits: 1, tasks: 2, operations: 2, asks: 2, faults: 0, rejections: 0 },
  { workers: 2, permits: 2, tasks: 3, operations: 2, asks: 2, faults: 2, rejections: 1 },
];

/** What has to be searched to the end before anything is called proved: index of the ladder. */
const LEAST = 1;

const DEFAULT_MAX_STATES = 1_000_000;

/**
 * Searches what any run of the topology's kinds may do: see `topology.ts` for what that is, and
 * `bounds` of the verdict for the numbers. With any size in the options, only that size is searched.
 *
 * @throws SkeletonError when an option is out of range.
 */
export function checkTopology(topology: Topology, options: TopologyCheckOptions = {}): TopologyVerdict {
  const lint = lintTopology(topology, options);
  const checked = { maxStates: DEFAULT_MAX_STATES, ...options };
  const sizes = namedSizes(options);
  const ladder = Object.keys(sizes).length > 0 ? [sizes] : LADDER;
  const least = ladder.length === 1 ? 0 : LEAST;
  const finished: Bounds[] = [];
  let proved: Verdict | undefined;
  for (const [rung, size] of ladder.entries()) {
    const verdict = checkOne(topology, { depth: depthOf(topology), ...size, ...checked });
    if (verdict.at === 'violated') return { ...verdict, lint, finished };
    if (verdict.at === 'not-finished') return { ...(rung > least && proved !== undefined ? proved : verdict), lint, finished };
    finished.push(verdict.bounds);
    proved = verdict;
  }
  return { ...proved!, lint, finished };
}

function checkOne(topology: Topology, options: TopologyCheckOptions): Verdict {
  const { skeleton, bounds } = skeletonOf(topology, options);
  // That all is idle again in the end says that every task has ended: nobody can be starved of that.
  return { ...checkSkeleton(skeleton, { starvation: 'none', ...options }), bounds };
}

function namedSizes({ workers, permits, tasks, depth, operations, asks, faults, rejections, locks }: Sizes): Sizes {
  const named = { workers, permits, tasks, depth, operations, asks, faults, rejections, locks };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}
