import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_REMEMBERED, TenantTurns } from '../../src/stores/tenant-turns.ts';
import type { Band } from '../../src/stores/tenant-turns.ts';

const TENANTS = ['a', 'b', 'c', 'd'] as const;
const WEIGHTS = new Map([
  ['b', 2],
  ['c', 4],
]);

/** Start-time fair queueing as the paper has it: every tag is kept for as long as anybody waits, and looked through each time. */
class Model {
  #tags = new Map<string, number>();
  #time = 0;
  readonly #in: Readonly<Record<Band, Set<string>>> = { resumed: new Set(), new: new Set() };

  #waits(tenant: string): boolean {
    return this.#in.resumed.has(tenant) || this.#in.new.has(tenant);
  }

  enter(tenant: string, band: Band): void {
    if (!this.#waits(tenant)) this.#tags.set(tenant, Math.max(this.#tags.get(tenant) ?? 0, this.#time));
    this.#in[band].add(tenant);
  }

  leave(tenant: string, band: Band): void {
    this.#in[band].delete(tenant);
    if (this.#in.resumed.size + this.#in.new.size > 0) return;
    this.#tags = new Map();
    this.#time = 0;
  }

  charge(tenant: string, tasks: number): void {
    const tag = this.#tags.get(tenant)!;
    this.#time = Math.max(this.#time, tag);
    this.#tags.set(tenant, tag + tasks / (WEIGHTS.get(tenant) ?? 1));
  }

  next(band: Band): string | undefined {
    return [...this.#in[band]].toSorted((a, b) => this.#tags.get(a)! - this.#tags.get(b)! || (a < b ? -1 : 1))[0];
  }
}

const steps = fc.array(
  fc.record({
    act: fc.constantFrom('enter', 'leave', 'charge', 'charge'),
    tenant: fc.constantFrom(...TENANTS),
    band: fc.constantFrom<Band>('resumed', 'new'),
    tasks: fc.integer({ min: 1, max: 3 }),
  }),
  { maxLength: 300, size: 'max' },
);

describe('the turns of tenants', () => {
  test('are those of start-time fair queueing, whoever comes, goes and is served', () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const turns = new TenantTurns(WEIGHTS);
        const model = new Model();
        for (const { act, tenant, band, tasks } of taken) {
          const served = turns.next(band);
          if (act === 'charge') {
            if (served === undefined) continue;
            turns.charge(served, tasks);
            model.charge(served, tasks);
          } else {
            turns[act](tenant, band);
            model[act](tenant, band);
          }
          expect([turns.next('resumed'), turns.next('new')]).toEqual([model.next('resumed'), model.next('new')]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('go by weight while everybody has something to claim', () => {
    const turns = new TenantTurns(WEIGHTS);
    for (const tenant of ['a', 'b', 'c']) turns.enter(tenant, 'new');
    const served = { a: 0, b: 0, c: 0 };
    for (let turn = 0; turn < 700; turn += 1) {
      const next = turns.next('new') as keyof typeof served;
      served[next] += 1;
      turns.charge(next);
    }
    expect(served).toEqual({ a: 100, b: 200, c: 400 });
  });

  test('whoever has gone pays for its turns when it comes back, as long as somebody waits', () => {
    const turns = new TenantTurns();
    for (const tenant of ['a', 'b', 'c']) turns.enter(tenant, 'new');
    turns.charge('a', 2);
    turns.leave('a', 'new');
    turns.enter('a', 'new');
    turns.charge('b');
    turns.charge('c');
    expect(turns.next('new')).toBe('b');
    for (const tenant of ['a', 'b', 'c']) turns.leave(tenant, 'new');
    for (const tenant of ['a', 'b', 'c']) turns.enter(tenant, 'new');
    expect(turns.next('new')).toBe('a');
  });

  test('of idle tenants only so many are remembered: those whose turn was nearest begin with who is new', () => {
    const turns = new TenantTurns();
    const idle = Array.from({ length: MOST_REMEMBERED + 1 }, (_, at) => `t${at + 1}`);
    for (const tenant of ['waits', ...idle]) turns.enter(tenant, 'new');
    for (const [at, tenant] of idle.entries()) {
      turns.charge(tenant, at + 1);
      turns.leave(tenant, 'new');
    }
    turns.charge('waits', 2 * idle.length);
    for (const tenant of ['a', 't1']) turns.enter(tenant, 'new');
    // Its own tag would be 1, and so behind whoever is charged once.
    turns.charge('a');
    expect(turns.next('new')).toBe('t1');
  });
});
