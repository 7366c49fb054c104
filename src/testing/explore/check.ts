/** Check: one question to a skeleton, one verdict. */
import { compile } from './compile.ts';
import { explore } from './explore.ts';
import type { Exploration, ExploreOptions } from './explore.ts';
import { netSpace } from './net.ts';
import type { Net } from './net.ts';
import { neverAdmitted } from './never-admitted.ts';
import { ranksOf } from './ranks.ts';
import type { Ranked } from './ranks.ts';
import type { Finding } from './recurring.ts';
import { shrink } from './shrink.ts';
import type { Skeleton } from './skeleton.ts';
import { circleOf, waitsOf } from './waits.ts';
import type { Wait } from './waits.ts';
import { drawWaits, tellCircle, tellHoldings, tellWait } from './words.ts';

export interface CheckOptions extends Omit<ExploreOptions, 'untilDead'> {
  /** Look for a smaller skeleton with the same kind of violation. Default true. */
  readonly shrink?: boolean;
}

/** A number that was searched, and what it is in the system that was declared, where that is more. */
export interface Bound {
  readonly searched: number;
  readonly declared: number | 'unbounded';
}

export type Bounds = Readonly<Record<string, Bound>>;

export type ViolationKind = 'deadlock' | 'doomed' | 'livelock' | 'starvation';

interface Searched {
  readonly states: number;
  readonly transitions: number;
  /** 0 without a clock. */
  readonly ms: number;
  /** Which numbers the verdict speaks of. */
  readonly bounds: Bounds;
  /** The argument that holds for every number, where it applies. */
  readonly ranked: Ranked;
}

/** Something goes wrong, and how. */
export interface Violation extends Searched {
  readonly at: 'violated';
  readonly kind: ViolationKind;
  /** Who starves, or is stuck while others go on. */
  readonly victim: string | undefined;
  /** The circle of waits in words; empty when nobody waits in a circle. */
  readonly cycle: readonly string[];
  readonly waits: readonly string[];
  readonly holdings: readonly string[];
  /** A shortest way there that was found, one sentence a move. */
  readonly trace: readonly string[];
  /** Who waits for what after each move of the trace. */
  readonly waitsAt: readonly (readonly string[])[];
  /** What happens again and again after the trace; empty when nothing does. */
  readonly repeats: readonly string[];
  /** After so many moves of the trace, at the latest, there is no way home any more. */
  readonly noReturnAfter: number | undefined;
  /** The wait-for graph, as a mermaid flowchart. */
  readonly mermaid: string;
  /** What was made smaller, one sentence each, so that the same still happens; the rest is about the smaller one. */
  readonly shrunk: readonly string[];
}

export type Verdict =
  /** Every state was searched and nothing goes wrong, within the bounds. */
  | (Searched & { readonly at: 'proved' })
  /** A bound was hit before every state was searched. Nothing was found so far. */
  | (Searched & { readonly at: 'not-finished'; readonly why: 'states' | 'time' })
  | Violation;

/**
 * Searches a skeleton for deadlock, doomed states, livelock and starvation (see `explore.ts` for what
 * these are), nearest first. When nothing else is found, a request that can be come to and is for more
 * than there will ever be starves whoever makes it, also where it would rest otherwise.
 *
 * @throws SkeletonError when the skeleton is wrong; UnboundedNetError when it has no bounds.
 */
export function checkSkeleton(skeleton: Skeleton, options: CheckOptions = {}): Verdict {
  const found = judge(skeleton, options);
  if (found.at !== 'violated' || options.shrink === false) return found;
  // Each try may see as many states as were needed to find the violation, and some.
  const bounds = { ...options, maxStates: Math.min(options.maxStates ?? Infinity, found.states * 2 + 10_000) };
  const smaller = shrink(skeleton, (candidate) => {
    const verdict = judge(candidate, bounds);
    return verdict.at === 'violated' && verdict.kind === found.kind ? verdict : undefined;
  });
  return smaller === undefined ? found : { ...smaller.verdict, bounds: found.bounds, shrunk: smaller.steps };
}

function judge(skeleton: Skeleton, options: CheckOptions): Verdict {
  const net = compile(skeleton);
  // Which moves are possible side by side matters to weak fairness, and the reduction does not keep it.
  const space = netSpace(net, { releaseFirst: options.fairness !== 'weak' });
  const exploration = explore(space, { ...options, untilDead: true });
  const { states, transitions, ms, end } = exploration;
  const searched = { states, transitions, ms, bounds: boundsOf(skeleton), ranked: ranksOf(net) };
  const worst = worstOf(exploration);
  if (worst !== undefined) {
    const { kind, victim, finding } = worst;
    return { ...searched, at: 'violated', kind, victim, ...tell(net, exploration, finding) };
  }
  const refused = neverAdmitted(net, exploration.graph);
  if (refused !== undefined) {
    const { victim, finding, wait } = refused;
    return { ...searched, at: 'violated', kind: 'starvation', victim, ...tell(net, exploration, finding, [wait]) };
  }
  if (end === 'states' || end === 'time') return { ...searched, at: 'not-finished', why: end };
  return { ...searched, at: 'proved' };
}

interface Worst {
  readonly kind: ViolationKind;
  readonly victim: string | undefined;
  readonly finding: Finding;
}

function worstOf({ dead, doomed, livelock, starvation }: Exploration): Worst | undefined {
  if (dead !== undefined) return { kind: 'deadlock', victim: undefined, finding: dead };
  if (livelock !== undefined) return { kind: 'livelock', victim: undefined, finding: livelock };
  const starving = starvation.find(({ stuck }) => !stuck);
  if (starving !== undefined) return { kind: 'starvation', victim: starving.actor, finding: starving };
  const stuck = starvation[0];
  // Others go on for ever beside one that can't move: what it waits for is clearer there than where it began.
  if (stuck !== undefined) return { kind: 'doomed', victim: stuck.actor, finding: stuck };
  return doomed === undefined ? undefined : { kind: 'doomed', victim: undefined, finding: doomed };
}

function tell(net: Net, { graph, hopeful }: Exploration, { state, trace, cycle }: Finding, also: readonly Wait[] = []) {
  const marking = graph.store.read(state, graph.space.bytes);
  const waits = [...waitsOf(net, marking), ...also];
  const circle = circleOf(waits);
  const lost = trace.findIndex((step) => hopeful[step.state] === 0);
  const sentence = ({ move }: { readonly move: number }) => graph.space.moves[move]!.says;
  return {
    cycle: tellCircle(net, marking, circle),
    waits: waits.map((wait) => tellWait(net, marking, wait)),
    holdings: tellHoldings(net, marking),
    trace: trace.map(sentence),
    waitsAt: trace.map((step) => {
      const then = graph.store.read(step.state, graph.space.bytes);
      return waitsOf(net, then).map((wait) => tellWait(net, then, wait));
    }),
    repeats: cycle.map(sentence),
    noReturnAfter: lost === -1 ? undefined : lost + 1,
    mermaid: drawWaits(net, marking, waits, circle),
    shrunk: [],
  };
}

function boundsOf({ processes, resources = {}, mailboxes = {}, budgets = {}, faults = 0 }: Skeleton): Bounds {
  const same = (count: number): Bound => ({ searched: count, declared: count });
  return Object.fromEntries([
    ...processes.map(({ name, count = 1 }) => [`processes ${name}`, same(count)] as const),
    ...Object.entries(resources).map(([name, capacity]) => [`resource ${name}`, same(capacity)] as const),
    ...Object.entries(mailboxes).map(([name, capacity]) => [`mailbox ${name}`, same(capacity)] as const),
    ...Object.entries(budgets).map(([name, count]) => [`budget ${name}`, same(count)] as const),
    ['faults', same(faults)] as const,
  ]);
}
