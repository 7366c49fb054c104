/** Bulkhead: a few places of something that is scarce, such as writes to a database, a tool, a sandbox. */
import { checkShape } from '../../actors/kernel/shape.ts';
import { bulkheadShape } from './admission-shapes.ts';
import { dependency } from './dependency.ts';
import type { Dependency, PerformContext } from './dependency.ts';
import { TopologyError } from './topology-error.ts';

export interface BulkheadSpec {
  /** Places. At least 1. */
  readonly concurrency: number;
  /**
   * Who holds a place may take one of another bulkhead only if that has a higher rank: so nobody waits in a ring. A whole
   * number. Default 0.
   */
  readonly rank?: number;
  /** Who holds a place for longer is aborted, and it is free. Default 120,000. */
  readonly holdMs?: number;
  /** Runs that may wait for it. Default 100,000. */
  readonly waiting?: number;
  /** A full line refuses newcomers, or sheds the least important one who waits. Default `refuse`. */
  readonly whenFull?: 'refuse' | 'shed';
}

/** What is done with a place. */
export interface Holding {
  readonly fn: (call: PerformContext) => Promise<unknown>;
  readonly slots: number;
}

/** A dependency that does nothing by itself: who is admitted does. */
export type Bulkhead = Dependency<Holding> & { readonly spec: { readonly rank: number } };

/**
 * Declares a bulkhead, for `uses`; `ctx.hold` takes a place of it.
 *
 * @throws TopologyError naming the field, the value and what is allowed.
 * @example
 * const sandbox = bulkhead({ concurrency: 4, rank: 1 });
 * const coder = agent({ uses: { sandbox }, run: async (job: string, ctx) => ctx.hold('sandbox', ({ signal }) => execute(job, signal)) });
 */
export function bulkhead(spec: BulkheadSpec): Bulkhead {
  const problem = checkShape(bulkheadShape, spec);
  if (problem !== undefined) throw new TopologyError({ ...problem, path: ['bulkhead', ...problem.path] });
  const { concurrency, rank = 0, holdMs, waiting, whenFull } = spec;
  return dependency<Holding, unknown>({
    limits: { concurrency },
    rank,
    attempts: 1,
    slots: ({ slots }) => slots,
    perform: ({ fn }, call) => fn(call),
    ...(holdMs === undefined ? {} : { timeoutMs: holdMs }),
    ...(waiting === undefined ? {} : { waiting }),
    ...(whenFull === undefined ? {} : { whenFull }),
  }) as Bulkhead;
}
