/** Clocks of a simulated world: wake-ups in order, stalls, steps, and processes that are gone. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ProcessClock } from '../../../src/testing/process-clock.ts';
import { Trace } from '../../../src/testing/trace.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';

describe('a virtual clock', () => {
  test('fires what is not cancelled, by due time and then in order of setting, however much there is', () => {
    const wakes = fc.array(fc.record({ atMs: fc.nat(20), cancelled: fc.boolean() }), { maxLength: 300 });
    fc.assert(
      fc.property(wakes, (set) => {
        const clock = new VirtualClock();
        const fired: number[] = [];
        const cancels = set.map(({ atMs }, at) => clock.wakeAt(atMs, () => fired.push(at)));
        for (const [at, { cancelled }] of set.entries()) if (cancelled) cancels[at]!();
        expect(clock.pending).toBe(set.filter(({ cancelled }) => !cancelled).length);
        clock.advanceTo(20);
        const expected = set.map((wake, at) => ({ ...wake, at })).filter(({ cancelled }) => !cancelled);
        expect(fired).toEqual(expected.toSorted((a, b) => a.atMs - b.atMs || a.at - b.at).map(({ at }) => at));
      }),
    );
  });

  test('fires one wake-up at a time when it is asked for the next', () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    for (const atMs of [5, 3, 5]) clock.wakeAt(atMs, () => fired.push(clock.nowMs()));
    clock.fireNext();
    expect([fired, clock.nowMs()]).toEqual([[3], 3]);
    clock.fireNext();
    expect([fired, clock.pending]).toEqual([[3, 5], 1]);
  });

  test('fires nothing over a stall, and afterwards what came due, at the time that it is then', () => {
    const clock = new VirtualClock();
    const fired: number[] = [];
    clock.wakeAt(10, () => fired.push(clock.nowMs()));
    clock.stall(100);
    expect([fired, clock.nowMs(), clock.nextDueMs]).toEqual([[], 100, 10]);
    clock.fireNext();
    expect(fired).toEqual([100]);
  });
});

describe('a process clock', () => {
  test('wakes nobody before it shows that time itself, however its sums are rounded', () => {
    // Of such times a millisecond has 4,096 parts: half a part is rounded up or down.
    const halves = fc.integer({ min: -1e6, max: 1e6 });
    fc.assert(
      fc.property(halves, fc.nat(1e6), (ahead, delay) => {
        const world = new VirtualClock(1_750_000_000_000);
        const clock = new ProcessClock(world);
        clock.step(ahead / 8_192);
        const atMs = clock.nowMs() + delay / 4_096;
        let seenMs = 0;
        clock.wakeAt(atMs, () => (seenMs = clock.nowMs()));
        world.fireNext();
        expect(seenMs).toBeGreaterThanOrEqual(atMs);
        expect(seenMs - atMs).toBeLessThan(0.001);
      }),
    );
  });

  test('set ahead, is nearer to its deadlines, and the world is not', () => {
    const world = new VirtualClock();
    const clock = new ProcessClock(world);
    const fired: string[] = [];
    clock.wakeAt(100, () => fired.push(`process at ${world.nowMs()}`));
    world.wakeAt(100, () => fired.push(`world at ${world.nowMs()}`));
    clock.step(60);
    expect(clock.nowMs()).toBe(60);
    world.advanceTo(100);
    expect(fired).toEqual(['process at 40', 'world at 100']);
  });

  test('of a process that is gone has no wake-ups, and takes none', () => {
    const world = new VirtualClock();
    const clock = new ProcessClock(world);
    const fired: number[] = [];
    clock.wakeAt(1, () => fired.push(1));
    clock.stop();
    clock.wakeAt(2, () => fired.push(2));
    world.advanceTo(10);
    expect([fired, clock.pending, world.pending]).toEqual([[], 0, 0]);
  });
});

describe('a trace', () => {
  const hashOf = (...events: (readonly [number, number, string, number])[]): string => {
    const trace = new Trace();
    for (const event of events) trace.event(...event);
    return trace.hash;
  };

  test('is another one when an event has another kind, time, text or number, or comes in another order', () => {
    const a = [1, 0.5, 'a', 0] as const;
    const others = [
      hashOf(a),
      hashOf([2, 0.5, 'a', 0]),
      hashOf([1, 0.75, 'a', 0]),
      hashOf([1, 0.5, 'b', 0]),
      hashOf([1, 0.5, 'a', 1]),
      hashOf(),
    ];
    expect(new Set(others).size).toBe(others.length);
    expect(hashOf(a, [1, 1, 'b', 0])).not.toBe(hashOf([1, 1, 'b', 0], a));
  });

  test('is the same in every process', () => {
    expect(hashOf([1, 1_750_000_000_000.25, 'inbox/agents/triage/0 worker.busy', 3])).toMatchInlineSnapshot(`"267807b1bd4dfb33"`);
  });
});
