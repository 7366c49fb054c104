import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { ClaimedTask } from '../../../actors/ports/store.ts';
import { Bench, of, task } from './bench.ts';

const MINUTE = 60_000;

const theirs = (tenant: string, count: number, affinity: string | null = null): ClaimedTask[] =>
  Array.from({ length: count }, (_, at) => ({ ...task(`${tenant}${at}`, 1, affinity), tenant, leaseUntilMs: MINUTE }));

function crew(workers: number, tenantWeights?: Readonly<Record<string, number>>, mode: 'steal' | 'shared' = 'steal'): Bench {
  const queue = new Bench({ mode, capacity: 100, stealAbove: 100, ...(tenantWeights === undefined ? {} : { tenantWeights }) });
  for (let at = 0; at < workers; at += 1) queue.join(`w${at}`);
  return queue;
}

/** Ends what runs, one after the other; what has started, in that order. */
function drained(queue: Bench): string[] {
  const started: string[] = [];
  const note = (): void => {
    for (const { starts } of of(queue.effects, 'queue.start')) started.push(...starts.map((start) => start.task.id));
  };
  note();
  for (let run = queue.state.slots[0]!.run; run !== null; run = queue.state.slots[0]!.run) {
    queue.end(run);
    note();
  }
  return started;
}

const tenantsOf = (ids: readonly string[]): string => ids.map((id) => id[1]).join('');

describe('of what has been claimed', () => {
  test.each([
    ['in the line', null],
    ['in a mailbox', 'home'],
  ])('tenants take turns, by their weights, whoever came first (%s)', (_where, affinity) => {
    const queue = crew(1, { b: 3 });
    queue.give([...theirs('a', 6, affinity), ...theirs('b', 6, affinity)]);
    expect(tenantsOf(drained(queue))).toBe('abbbabbbaaaa');
  });

  test('each tenant has its tasks in their order, the urgent ones first', () => {
    const queue = crew(1, {});
    const urgent = { ...task('b9'), tenant: 'b', priority: 1, rank: -MINUTE, leaseUntilMs: MINUTE };
    queue.give([...theirs('a', 3), ...theirs('b', 2), urgent]);
    expect(drained(queue)).toEqual(['tb9', 'ta0', 'ta1', 'tb0', 'ta2', 'tb1']);
  });

  test('who comes back has saved up nothing', () => {
    const queue = crew(1, {});
    queue.give(theirs('a', 8));
    for (let ended = 0; ended < 4; ended += 1) queue.end(queue.state.slots[0]!.run!);
    queue.give(theirs('b', 3));
    expect(tenantsOf(drained(queue))).toBe('bababa');
  });

  test('where there are no tenants who came first goes first', () => {
    const queue = crew(1);
    queue.give([...theirs('a', 3), ...theirs('b', 3)]);
    expect(tenantsOf(drained(queue))).toBe('aaabbb');
  });
});

const WEIGHTS = { a: 1, b: 2, c: 3.5 } as const;
type Tenant = keyof typeof WEIGHTS;

test.prop(
  [
    fc.noBias(
      fc.record({
        arrivals: fc.array(fc.constantFrom<Tenant>('a', 'b', 'c'), { minLength: 30, maxLength: 90, size: 'max' }),
        workers: fc.integer({ min: 1, max: 4 }),
        ends: fc.array(fc.nat({ max: 3 }), { minLength: 90, maxLength: 90, size: 'max' }),
        mode: fc.constantFrom('steal' as const, 'shared' as const),
      }),
    ),
  ],
  { numRuns: 300 },
)(
  'while two tenants have something that waits, neither is ahead of its share by more than a task of each (Goyal et al., theorem 1)',
  ({ arrivals, workers, ends, mode }) => {
    const queue = crew(workers, WEIGHTS, mode);
    const counts: Record<Tenant, number> = { a: 0, b: 0, c: 0 };
    const waiting: Record<Tenant, number> = { a: 0, b: 0, c: 0 };
    const given = arrivals.map((tenant) => ({ ...task(`${tenant}${(waiting[tenant] += 1)}`), tenant }));
    /** Tenants that have had something that waited all the time. */
    const busy = new Set<Tenant>(['a', 'b', 'c'].filter((tenant) => waiting[tenant as Tenant] > 0) as Tenant[]);
    const note = (): void => {
      for (const { starts } of of(queue.effects, 'queue.start')) {
        for (const { task: started } of starts) {
          const tenant = started.tenant as Tenant;
          counts[tenant] += 1;
          if ((waiting[tenant] -= 1) === 0) busy.delete(tenant);
          for (const one of busy)
            for (const other of busy)
              expect(counts[one] / WEIGHTS[one] - counts[other] / WEIGHTS[other]).toBeLessThanOrEqual(
                1 / WEIGHTS[one] + 1 / WEIGHTS[other] + 1e-9,
              );
        }
      }
    };
    queue.give(given);
    note();
    for (const end of ends) {
      const running = queue.state.slots.flatMap(({ run }) => (run === null ? [] : [run]));
      if (running.length === 0) break;
      queue.end(running[end % running.length]!);
      note();
    }
    expect(counts.a + counts.b + counts.c).toBe(given.length);
  },
);
