/** Lint: what a topology shows without any search. */
import { costOf } from '../../topology/dependency.ts';
import type { Topology } from '../../topology/fleet.ts';
import { compile } from './compile.ts';
import { locksByInput } from './locking.ts';
import { ranksOf } from './ranks.ts';
import { skeletonOf } from './topology.ts';
import type { SkeletonOptions } from './topology.ts';

/** What a lint found. The codes do not change. */
export type LintCode =
  /** Kinds that ask each other in a circle, or themselves. */
  | 'asks-in-a-circle'
  /** A chain of asks that is longer than the bound on depth: its end can never be asked. */
  | 'asks-too-deep'
  /** Something is waited for, in a circle, by those who hold it. */
  | 'holds-while-acquiring'
  /** What a kind locks depends on its input, and there is no sample of it. */
  | 'locks-by-input'
  /** A request that the limits of its dependency never admit. */
  | 'never-admitted'
  /** The estimate of a sample request could not be computed. */
  | 'estimate-fails';

export interface LintFinding {
  readonly code: LintCode;
  /** `error`: it will go wrong when it comes to it. `note`: it is bounded by something worth knowing. */
  readonly severity: 'error' | 'note';
  /** To the field: `['agents', 'triage', 'asks', 'extract']`. */
  readonly path: readonly string[];
  /** What was found, as a sentence that begins with the path. */
  readonly says: string;
}

export interface LintOptions extends Pick<SkeletonOptions, 'without' | 'inputs'> {
  /** Requests as runs make them, by dependency: are they ever admitted? An estimate without parameters is checked anyway. */
  readonly requests?: Readonly<Record<string, readonly unknown[]>>;
}

/** Looks at a topology. Pure, but for the user's own `estimate`. An empty list is no promise. */
export function lintTopology(topology: Topology, options: LintOptions = {}): readonly LintFinding[] {
  const parking = !(options.without ?? []).includes('parking');
  return [
    ...circlesOfAsks(topology, parking),
    ...chains(topology),
    ...holds(topology, options),
    ...unsampled(topology, options),
    ...admissions(topology, options.requests ?? {}),
  ];
}

function finding(code: LintCode, severity: LintFinding['severity'], path: readonly string[], says: string): LintFinding {
  return { code, severity, path, says: `${path.join('.')}: ${says}` };
}

/** Each ask that closes a circle, once, with the shortest circle that it closes. */
function circlesOfAsks({ kinds, bounds }: Topology, parking: boolean): readonly LintFinding[] {
  const known = new Set<string>();
  return Object.values(kinds).flatMap(({ kind, asks }) =>
    asks.flatMap((asked) => {
      const back = wayOf(kinds, asked, kind);
      if (back === undefined) return [];
      const circle = [kind, ...back];
      const members = [...new Set(circle)].toSorted().join(' ');
      if (known.has(members)) return [];
      known.add(members);
      const says = parking
        ? `${circle.join(' asks ')}; nothing is held across an ask, so this ends where the depth of asks does, at ${bounds.depth}`
        : `${circle.join(' asks ')}, each with a worker that is held until the answer; ${kind} waits for a worker of its own when all are taken`;
      return [finding('asks-in-a-circle', parking ? 'note' : 'error', ['agents', kind, 'asks', asked], says)];
    }),
  );
}

function wayOf(kinds: Topology['kinds'], from: string, to: string): readonly string[] | undefined {
  const ways: (readonly string[])[] = [[from]];
  const seen = new Set([from]);
  for (const way of ways) {
    const last = way.at(-1)!;
    if (last === to) return way;
    for (const next of kinds[last]!.asks) {
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** Chains without a circle whose end lies deeper than asks may nest. */
function chains({ kinds, bounds }: Topology): readonly LintFinding[] {
  const longest = (kind: string, path: readonly string[]): readonly string[] =>
    kinds[kind]!.asks.filter((asked) => !path.includes(asked))
      .map((asked) => longest(asked, [...path, asked]))
      .reduce((best, way) => (way.length > best.length ? way : best), path);
  return Object.keys(kinds).flatMap((kind) => {
    const way = longest(kind, [kind]);
    const isRoot = !Object.values(kinds).some(({ asks }) => asks.includes(kind));
    if (!isRoot || way.length - 1 <= bounds.depth) return [];
    const says = `${way.join(' asks ')} is ${way.length - 1} deep, and asks may nest ${bounds.depth} deep`;
    return [finding('asks-too-deep', 'error', ['agents', kind, 'asks', way[1]!], says)];
  });
}

/** Circles in what is held while something else is waited for, by the ranks of the skeleton. */
function holds(topology: Topology, { without = [], inputs = {} }: LintOptions): readonly LintFinding[] {
  const sizes = { workers: 1, permits: 1, operations: 1, asks: 1, depth: depthOf(topology) };
  const { skeleton } = skeletonOf(topology, { without, inputs, ...sizes });
  const ranked = ranksOf(compile(skeleton));
  if (ranked.at !== 'circular') return [];
  const says = `those who hold one of these may wait for the next, all the way round: ${ranked.circle.join(', ')}`;
  return [finding('holds-while-acquiring', 'error', ['agents'], says)];
}

function unsampled({ kinds }: Topology, { inputs = {} }: LintOptions): readonly LintFinding[] {
  return Object.values(kinds).flatMap((plan) => {
    const { kind } = plan;
    if (!locksByInput(plan) || (inputs[kind] ?? []).length > 0) return [];
    const says = `what ${kind} locks depends on its input: any set of names is searched; with \`inputs\` it is what they give`;
    return [finding('locks-by-input', 'note', ['agents', kind, 'writes'], says)];
  });
}

function admissions({ dependencies }: Topology, requests: Readonly<Record<string, readonly unknown[]>>): readonly LintFinding[] {
  return Object.entries(dependencies).flatMap(([name, { spec }]) => {
    const { estimate, limits = {}, safetyMargin = 0.1 } = spec;
    const { tokensPerMinute } = limits;
    if (estimate === undefined || tokensPerMinute === undefined) return [];
    const samples = [...(requests[name] ?? []), ...(estimate.length === 0 ? [undefined] : [])];
    const most = tokensPerMinute * (1 - safetyMargin);
    return samples.flatMap((request) => {
      const path = ['dependencies', name, 'estimate'];
      try {
        const { input, output } = costOf(estimate(request));
        const tokens = input + output;
        if (tokens <= most) return [];
        return [
          finding('never-admitted', 'error', path, `a request of ${tokens} tokens is more than the ${most} that are admitted in a minute`),
        ];
      } catch (thrown) {
        return [
          finding('estimate-fails', 'error', path, `throws on a sample request: ${thrown instanceof Error ? thrown.message : 'no error'}`),
        ];
      }
    });
  });
}

const DEPTH_OF_CIRCLES = 3;

/** How deep asks have to be searched: to the end of the longest chain, or some rounds of a circle. */
export function depthOf({ kinds, bounds }: Topology): number {
  let deepest = 0;
  const walk = (kind: string, path: readonly string[]): void => {
    if (path.includes(kind)) {
      deepest = Math.max(deepest, DEPTH_OF_CIRCLES);
      return;
    }
    deepest = Math.max(deepest, path.length);
    for (const asked of kinds[kind]!.asks) walk(asked, [...path, kind]);
  };
  for (const kind of Object.keys(kinds)) walk(kind, []);
  return Math.min(deepest, bounds.depth);
}
