import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LockTable, PROMISE_MS } from '../../../actors/conflicts/lock-table.ts';
import type { LockChange, LockHolder, LockWaiter } from '../../../actors/conflicts/lock-table.ts';
import { grown } from '../../../actors/conflicts/lock-wants.ts';
import { isLastToPass } from '../../../actors/conflicts/passing.ts';
import type { LockWant } from '../../../actors/ports/store.ts';
import { clash, LineModel } from './line-model.ts';

function read(...resources: readonly string[]): LockWant[] {
  return resources.map((resource) => ({ resource, mode: 'read' }));
}

function write(...resources: readonly string[]): LockWant[] {
  return resources.map((resource) => ({ resource, mode: 'write' }));
}

function newTable(mostPassed = 4): LockTable {
  let last = 0;
  return new LockTable({ mostPassed, nextToken: () => (last += 1), keepsChanges: true });
}

/** The table, with a line for each thing that is done to it. */
function bench(mostPassed = 4) {
  const table = newTable(mostPassed);
  const state = { nowMs: 0 };
  return {
    state,
    table,
    take: (seq: number, wants: readonly LockWant[]) => table.take({ seq, wants, nowMs: state.nowMs }).at,
    release: (seq: number) => table.release(seq, state.nowMs),
    forget: (seq: number) => table.forget(seq, state.nowMs),
    lapse: () => table.lapse(state.nowMs),
  };
}

describe('taking', () => {
  test('is of everything or of nothing', () => {
    const { take, table } = bench();
    expect([take(0, write('b')), take(1, write('a', 'b'))]).toEqual(['granted', 'blocked']);
    expect(take(2, write('a'))).toBe('granted');
    expect(table.holders().map(({ seq }) => seq)).toEqual([0, 2]);
  });

  test('is shared among readers, and a writer has it alone', () => {
    const { take } = bench();
    expect([take(0, read('a')), take(1, read('a')), take(2, write('a')), take(3, read('a'))]).toEqual([
      'granted',
      'granted',
      'blocked',
      'granted',
    ]);
  });

  test('names what is in the way: a holder before a reservation', () => {
    const { take, table, release } = bench(0);
    take(0, write('a'));
    expect(table.take({ seq: 1, wants: write('a', 'b'), nowMs: 1 })).toEqual({ at: 'blocked', resource: 'a', holder: 0, wake: [] });
    expect(table.take({ seq: 2, wants: write('b'), nowMs: 2 })).toMatchObject({ resource: 'b', holder: 1 });
    release(0);
    expect(table.take({ seq: 3, wants: read('a'), nowMs: 3 })).toMatchObject({ resource: 'a', holder: 1 });
  });

  test('of one that does not wait leaves no trace of it', () => {
    const { take, table, release } = bench();
    take(0, write('a'));
    expect(table.take({ seq: 1, wants: write('a'), nowMs: 0, waits: false }).at).toBe('blocked');
    expect(table.waiters()).toEqual([]);
    expect(release(0)).toEqual([]);
  });

  test('of one that holds already breaks an assumption', () => {
    const { take, table } = bench();
    take(0, write('a'));
    expect(() => take(0, write('b'))).toThrow('holds its locks already');
    expect(() => table.stand({ seq: 0, wants: write('b'), nowMs: 0 })).toThrow('holds its locks or waits for them already');
    expect(take(1, write('a'))).toBe('blocked');
    expect(() => table.stand({ seq: 1, wants: write('a'), nowMs: 0 })).toThrow('holds its locks or waits for them already');
  });
});

test('another run over what is held has a newer token; nobody is passed by that, and nobody comes in between', () => {
  const { take, release, table } = bench(0);
  take(0, [...write('a'), ...read('b')]);
  take(1, write('a'));
  take(2, read('b'));
  table.takeChanges();
  expect(table.renew(0)).toBe(3);
  expect(table.holders()).toEqual([
    { seq: 2, wants: read('b'), token: 2 },
    { seq: 0, wants: [...write('a'), ...read('b')], token: 3 },
  ]);
  expect(table.waiterOf(1)).toMatchObject({ passed: 0, wokenAtMs: null });
  expect(table.takeChanges()).toMatchObject([{ seq: 0, holder: { token: 3 } }]);
  expect(take(3, write('b'))).toBe('blocked');
  release(2);
  expect(take(3, write('b'))).toBe('blocked');
  expect(release(0)).toEqual([1, 3]);
  expect(() => table.renew(0)).toThrow('holds no locks');
});

describe('waking', () => {
  test('is of as many as can run together, the oldest first', () => {
    const { take, release } = bench();
    take(0, write('a', 'b'));
    take(1, write('a'));
    take(2, write('a', 'b'));
    take(3, write('b'));
    expect(release(0)).toEqual([1, 3]);
  });

  test('leaves out those for whom there is no room beside one that was woken before', () => {
    const { take, release } = bench();
    take(0, write('a'));
    take(1, write('a'));
    take(2, write('a'));
    expect(release(0)).toEqual([1]);
    expect(take(3, write('a'))).toBe('granted');
    expect(release(3)).toEqual([]);
    expect(take(1, write('a'))).toBe('granted');
    expect(release(1)).toEqual([2]);
  });

  test('puts who comes by a clock that was set back behind those who stand there, also if it was submitted before them', () => {
    const { state, take, release } = bench();
    state.nowMs = 1_750_000_005_000;
    take(8, write('a'));
    take(7, write('a'));
    state.nowMs -= 4_000;
    take(3, write('a'));
    take(1, write('a'));
    expect(release(8)).toEqual([7]);
    take(7, write('a'));
    // It comes again before the clock has caught up.
    expect(release(7)).toEqual([3]);
    take(3, write('a'));
    take(2, write('a'));
    expect(release(3)).toEqual([1]);
  });

  test('passes over a reader with a reservation to the readers behind it', () => {
    const { take, release } = bench(0);
    take(0, write('a'));
    take(1, write('b'));
    take(2, [...read('a'), ...write('b')]);
    take(3, read('a'));
    expect(release(0)).toEqual([3]);
  });

  test('follows when one that was woken is blocked again: others may go instead', () => {
    const { take, release, table } = bench();
    take(0, write('a'));
    take(1, write('a', 'b'));
    take(2, write('a'));
    expect(release(0)).toEqual([1]);
    take(3, write('b'));
    expect(table.take({ seq: 1, wants: write('a', 'b'), nowMs: 0 })).toMatchObject({ at: 'blocked', wake: [2] });
  });

  test('follows when one with a reservation leaves the line', () => {
    const { take, forget } = bench(0);
    take(0, write('b'));
    take(1, write('a', 'b'));
    expect(take(2, write('a'))).toBe('blocked');
    expect(forget(1)).toEqual([2]);
  });
});

describe('a reservation', () => {
  test('keeps younger ones out after most-passed of them, and older ones not', () => {
    const { take, release, state } = bench(2);
    take(0, write('a'));
    state.nowMs = 1;
    take(1, write('a', 'b'));
    for (const seq of [2, 3]) {
      expect(take(seq, write('b'))).toBe('granted');
      release(seq);
    }
    expect(take(4, write('b'))).toBe('blocked');
    expect(take(5, write('c'))).toBe('granted');
    expect(release(0)).toEqual([1]);
    expect(take(1, write('a', 'b'))).toBe('granted');
    expect(release(1)).toEqual([4]);
  });

  test('is void when its kind does not come in time after it was woken, and the others go on', () => {
    const { take, release, lapse, state } = bench(0);
    take(0, write('a'));
    take(1, write('a'));
    take(2, write('a'));
    expect(release(0)).toEqual([1]);
    state.nowMs = PROMISE_MS - 1;
    expect([take(3, write('a')), lapse()]).toEqual(['blocked', []]);
    state.nowMs = PROMISE_MS;
    expect(lapse()).toEqual([2]);
    expect(take(2, write('a'))).toBe('granted');
    // It has kept its place: the next release is for it to use, and it has a reservation once it has tried.
    expect(take(1, write('a'))).toBe('blocked');
    expect(release(2)).toEqual([1]);
    expect(take(3, write('a'))).toBe('blocked');
  });

  test('of readers keeps a writer out, and other readers not', () => {
    const { take } = bench(0);
    take(0, write('b'));
    take(1, read('a', 'b'));
    expect([take(2, read('a')), take(3, write('a'))]).toEqual(['granted', 'blocked']);
  });

  test('gives a wide set its turn against endless streams of narrow ones', () => {
    const { take, release } = bench(4);
    const wide = write('a', 'b', 'c', 'd');
    const running = ['a', 'b', 'c', 'd'].map((resource, seq) => {
      take(seq, write(resource));
      return { seq, resource };
    });
    expect(take(4, wide)).toBe('blocked');
    let passed = 0;
    for (let seq = 5; running.length > 0; seq += 1) {
      const { seq: done, resource } = running.shift()!;
      const woken = release(done);
      // The newcomer is always quicker than those who are woken.
      if (take(seq, write(resource)) === 'granted') {
        running.push({ seq, resource });
        passed += 1;
      }
      if (woken.includes(4)) expect(take(4, wide)).toBe('granted');
      expect(seq).toBeLessThan(100);
    }
    expect(passed).toBeLessThanOrEqual(4);
  });

  test('ends early when one who is drawn to be the last has passed', () => {
    const { take, release, table } = bench(9);
    take(0, write('a'));
    take(1, write('a', 'b'));
    const passed: number[] = [];
    for (let seq = 2; take(seq, write('b')) === 'granted'; seq += 1) {
      passed.push(table.waiterOf(1)!.passed);
      release(seq);
    }
    // Under the tokens 2, 3, 4 and 5.
    expect([3, 4, 5].map((token) => isLastToPass(token))).toEqual([false, false, true]);
    expect(passed).toEqual([1, 2, 3, 9]);
  });
});

test('a clock that is put back makes nobody older than those who stand there', () => {
  const { take, release, state } = bench();
  state.nowMs = 1_000;
  take(5, write('a'));
  take(6, write('a'));
  state.nowMs = 10;
  take(7, write('a'));
  expect(release(5)).toEqual([6]);
});

test('a table that nobody asks what has changed keeps no changes', () => {
  const table = new LockTable({ mostPassed: 4, nextToken: () => 1 });
  table.take({ seq: 0, wants: write('a'), nowMs: 0 });
  table.take({ seq: 1, wants: write('a'), nowMs: 0 });
  expect(table.release(0, 0)).toEqual([1]);
  expect(table.takeChanges()).toEqual([]);
});

test('a set grows without a resource twice, and a writer stays one', () => {
  const wants = [...read('a'), ...write('b')];
  expect(grown(wants, [...read('b'), ...write('a'), ...read('c')])).toEqual([...write('a', 'b'), ...read('c')]);
  expect(grown(wants, read('a', 'b'))).toBe(wants);
});

describe('any history', () => {
  const resources = ['a', 'b', 'c'];
  const wantsOf = fc
    .array(fc.record({ resource: fc.constantFrom(...resources), mode: fc.constantFrom('read' as const, 'write' as const) }), {
      minLength: 1,
      maxLength: 3,
    })
    .map((wants) => grown([], wants));
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ at: fc.constant('take' as const), seq: fc.nat(9), waits: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ at: fc.constant('release' as const), seq: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('forget' as const), seq: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('stand' as const), seq: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('renew' as const), seq: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ at: fc.constant('pass' as const), ms: fc.constantFrom(1, PROMISE_MS / 2, PROMISE_MS) }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('reload' as const) }) },
  );
  const history = fc.record({
    mostPassed: fc.integer({ min: 0, max: 3 }),
    wants: fc.array(wantsOf, { minLength: 10, maxLength: 10 }),
    steps: fc.array(step, { maxLength: 60, size: 'max' }),
  });

  test('the table does as the model does; holders never exclude each other, tokens grow, and its changes tell all', () => {
    fc.assert(
      fc.property(history, ({ mostPassed, wants, steps }) => {
        const table = newTable(mostPassed);
        const model = new LineModel(mostPassed);
        const rows = new Map<number, LockChange>();
        let lastToken = 0;
        for (const one of steps) {
          const { nowMs } = model;
          if (one.at === 'pass') {
            model.nowMs += one.ms;
            expect(table.lapse(model.nowMs)).toEqual(model.wake());
          } else if (one.at === 'release') expect(table.release(one.seq, nowMs)).toEqual(model.release(one.seq));
          else if (one.at === 'forget') expect(table.forget(one.seq, nowMs)).toEqual(model.forget(one.seq));
          else if (one.at === 'reload') table.load(...kept(rows));
          else if (one.at === 'stand') {
            const isThere = [...model.holders, ...model.line].some(({ seq }) => seq === one.seq);
            if (!isThere) expect(table.stand({ seq: one.seq, wants: wants[one.seq]!, nowMs })).toBe(model.stand(one.seq, wants[one.seq]!));
          } else if (one.at === 'renew') {
            if (!model.holders.some(({ seq }) => seq === one.seq)) continue;
            const token = table.renew(one.seq);
            expect(token).toBeGreaterThan(lastToken);
            lastToken = token;
            model.renew();
          } else if (!model.holders.some(({ seq }) => seq === one.seq)) {
            const outcome = table.take({ seq: one.seq, wants: wants[one.seq]!, nowMs, waits: one.waits });
            const others = [...model.holders, ...model.line];
            expect(outcome.at === 'granted' ? null : outcome.wake).toEqual(model.take(one.seq, wants[one.seq]!, one.waits));
            if (outcome.at === 'blocked') {
              const { resource, holder } = outcome;
              const its = (all: readonly LockWant[]): readonly LockWant[] => all.filter((want) => want.resource === resource);
              const blocker = others.find(({ seq }) => seq === holder);
              expect(clash(its(wants[one.seq]!), its(blocker!.wants)), 'who is in the way is, where it is said').toBe(true);
            }
            if (outcome.at === 'granted') {
              expect(outcome.token).toBeGreaterThan(lastToken);
              lastToken = outcome.token;
            }
          }
          for (const change of table.takeChanges()) rows.set(change.seq, change);
          expect(table.waiters()).toEqual(model.line);
          const holders = table.holders();
          expect(holders.map(({ seq }) => seq).toSorted()).toEqual(model.holders.map(({ seq }) => seq).toSorted());
          for (const a of holders) for (const b of holders) expect(a !== b && clash(a.wants, b.wants)).toBe(false);
          for (const all of wants) {
            const against = model.holders.filter((holder) => clash(holder.wants, all)).map(({ seq }) => seq);
            expect([...table.holdersAgainst(all)].toSorted()).toEqual(against.toSorted());
          }
          for (const resource of resources) {
            const writer = model.holders.find((holder) => clash(holder.wants, read(resource)));
            expect(table.writerOf(resource)).toBe(writer?.seq);
          }
          const [keptHolders, keptWaiters] = kept(rows);
          expect([keptHolders.length, keptWaiters]).toEqual([holders.length, table.waiters()]);
        }
      }),
      { numRuns: 500, seed: 20261122 },
    );
  });

  test('nobody who is there is passed by more than most-passed younger ones', () => {
    fc.assert(
      fc.property(history, ({ mostPassed, wants, steps }) => {
        const table = newTable(mostPassed);
        const passedBy = new Map<number, number>();
        // Times stand still, so no promise lapses: everybody is there all the time.
        for (const one of steps) {
          if (one.at === 'release') table.release(one.seq, 0);
          if (one.at === 'forget') {
            table.forget(one.seq, 0);
            passedBy.delete(one.seq);
          }
          if (one.at !== 'take' || table.holderOf(one.seq) !== undefined) continue;
          const olderOnes = table.waiters().filter(({ seq }) => seq < one.seq);
          if (table.take({ seq: one.seq, wants: wants[one.seq]!, nowMs: 0 }).at === 'blocked') continue;
          passedBy.delete(one.seq);
          for (const older of olderOnes) {
            if (clash(older.wants, wants[one.seq]!)) passedBy.set(older.seq, (passedBy.get(older.seq) ?? 0) + 1);
          }
          for (const { seq } of table.waiters()) expect(passedBy.get(seq) ?? 0).toBeLessThanOrEqual(mostPassed);
        }
      }),
      { numRuns: 500, seed: 20261122 },
    );
  });

  test('everybody runs in the end when those who hold end and those who are woken come, in whatever order', () => {
    const order = fc.infiniteStream(fc.nat(1_000));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.array(wantsOf, { minLength: 1, maxLength: 30, size: 'max' }),
        order,
        (mostPassed, wants, draws) => {
          const table = newTable(mostPassed);
          const draw = (below: number): number => draws.next().value! % below;
          const coming = wants.map((_, seq) => seq);
          const running: number[] = [];
          let ended = 0;
          for (let nowMs = 0; coming.length > 0 || running.length > 0; nowMs += 1) {
            expect(nowMs).toBeLessThan(10_000);
            const at = draw(coming.length + running.length);
            if (at < coming.length) {
              const [seq] = coming.splice(at, 1);
              const outcome = table.take({ seq: seq!, wants: wants[seq!]!, nowMs });
              if (outcome.at === 'granted') running.push(seq!);
              else coming.push(...outcome.wake);
            } else {
              const [seq] = running.splice(at - coming.length, 1);
              ended += 1;
              coming.push(...table.release(seq!, nowMs));
            }
          }
          expect(ended).toBe(wants.length);
          expect([table.holders(), table.waiters()]).toEqual([[], []]);
        },
      ),
      { numRuns: 500, seed: 20261122 },
    );
  });

  test('everybody else runs although some that were woken never come', () => {
    fc.assert(
      fc.property(
        fc.array(wantsOf, { minLength: 2, maxLength: 20, size: 'max' }),
        fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
        (wants, dead) => {
          const table = newTable(1);
          const coming = wants.map((_, seq) => seq);
          const ended: number[] = [];
          let nowMs = 0;
          for (let tries = 0; tries < 1_000; tries += 1) {
            const seq = coming.shift();
            if (seq === undefined) {
              nowMs += PROMISE_MS;
              coming.push(...table.lapse(nowMs));
              if (coming.length === 0) break;
              continue;
            }
            const isDead = dead[seq] === true && table.waiterOf(seq) !== undefined;
            if (isDead) continue;
            const outcome = table.take({ seq, wants: wants[seq]!, nowMs });
            if (outcome.at === 'blocked') coming.push(...outcome.wake);
            else {
              ended.push(seq);
              // It runs for a while: those who come meanwhile are in its way or pass.
              const meanwhile = coming.shift();
              if (meanwhile !== undefined && !(dead[meanwhile] === true && table.waiterOf(meanwhile) !== undefined)) {
                const other = table.take({ seq: meanwhile, wants: wants[meanwhile]!, nowMs });
                if (other.at === 'granted') {
                  ended.push(meanwhile);
                  coming.push(...table.release(meanwhile, nowMs));
                } else coming.push(...other.wake);
              }
              coming.push(...table.release(seq, nowMs));
            }
          }
          const left = table.waiters().map(({ seq }) => seq);
          expect([...ended, ...left].toSorted((a, b) => a - b)).toEqual(wants.map((_, seq) => seq));
          expect(left.filter((seq) => dead[seq] !== true)).toEqual([]);
        },
      ),
      { numRuns: 500, seed: 20261122 },
    );
  });
});

/** What a store would have written. */
function kept(rows: ReadonlyMap<number, LockChange>): [LockHolder[], LockWaiter[]] {
  const changes = [...rows.values()];
  const waiters = changes.flatMap(({ waiter }) => (waiter === undefined ? [] : [waiter]));
  return [
    changes.flatMap(({ holder }) => (holder === undefined ? [] : [holder])),
    waiters.toSorted((a, b) => a.sinceMs - b.sinceMs || a.seq - b.seq),
  ];
}
