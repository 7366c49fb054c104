import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { Timers } from '../../actors/host/timers.ts';
import type { Timer } from '../../actors/host/timers.ts';
import { seededRandom } from '../../actors/kernel/random.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

type Step =
  | { readonly at: 'set'; readonly inMs: number }
  | { readonly at: 'cancel'; readonly which: number }
  | { readonly at: 'pass'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ at: fc.constant('set' as const), inMs: fc.integer({ min: -5, max: 50 }) }) },
    { weight: 3, arbitrary: fc.record({ at: fc.constant('cancel' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ at: fc.constant('pass' as const), ms: fc.nat({ max: 30 }) }) },
  ),
  { maxLength: 400, size: 'max' },
);

describe('timers', () => {
  test.prop([steps])('each fires once, in order of due time and then of setting, unless it was cancelled', (history) => {
    const clock = new VirtualClock(100);
    const timers = new Timers(clock);
    const set: { readonly timer: Timer; readonly atMs: number; state: 'waiting' | 'fired' | 'cancelled' }[] = [];
    const fired: number[] = [];
    const expected: number[] = [];
    for (const step of history) {
      if (step.at === 'set') {
        const name = set.length;
        const atMs = clock.nowMs() + step.inMs;
        const fire = (): void => {
          fired.push(name);
          expect(clock.nowMs()).toBeGreaterThanOrEqual(atMs);
        };
        set.push({ timer: timers.set(atMs, fire), atMs, state: 'waiting' });
      } else if (step.at === 'cancel') {
        const one = set[step.which % (set.length || 1)];
        if (one === undefined) continue;
        timers.cancel(one.timer);
        if (one.state === 'waiting') one.state = 'cancelled';
      } else {
        clock.advanceBy(step.ms);
        const due = set.map((one, name) => ({ ...one, name })).filter(({ atMs, state }) => state === 'waiting' && atMs <= clock.nowMs());
        for (const { name } of due.toSorted((a, b) => a.atMs - b.atMs || a.name - b.name)) {
          set[name]!.state = 'fired';
          expected.push(name);
        }
      }
      expect(timers.pending).toBe(set.filter(({ state }) => state === 'waiting').length);
      // One wake-up of the clock serves all, and none is left when nothing waits.
      expect(clock.pending).toBe(Math.min(1, timers.pending));
    }
    expect(fired).toEqual(expected);
  });

  test('what one that fires sets for at once has another turn: what it has resolved is taken further first', () => {
    const wakes: (() => void)[] = [];
    const clock = { nowMs: () => 10, wakeAt: (_atMs: number, wake: () => void) => (wakes.push(wake), () => {}) };
    const timers = new Timers(clock);
    const fired: string[] = [];
    timers.set(10, () => {
      fired.push('a');
      timers.set(0, () => fired.push('at once'));
    });
    timers.set(10, () => fired.push('b'));
    wakes.shift()!();
    const turns = [fired.join()];
    wakes.shift()!();
    expect([...turns, fired.join()]).toEqual(['a', 'a,at once,b']);
  });

  test('what is set while others fire joins them in its place', () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const fired: string[] = [];
    timers.set(10, () => {
      fired.push('a');
      timers.set(10, () => fired.push('now'));
      timers.set(30, () => fired.push('later'));
      timers.cancel(cancelled);
    });
    const cancelled = timers.set(10, () => fired.push('cancelled'));
    timers.set(20, () => fired.push('b'));
    clock.advanceTo(25);
    expect(fired).toEqual(['a', 'now', 'b']);
    clock.advanceTo(30);
    expect(fired).toEqual(['a', 'now', 'b', 'later']);
  });

  test('one that throws does not hold up the others', () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const fired: string[] = [];
    timers.set(10, () => {
      throw new Error('thrown by a timer');
    });
    timers.set(10, () => fired.push('same moment'));
    timers.set(20, () => fired.push('later'));
    expect(() => clock.advanceTo(10)).toThrow('thrown by a timer');
    clock.advanceTo(20);
    expect(fired).toEqual(['same moment', 'later']);
    expect(timers.pending).toBe(0);
  });

  test('a due time that is no number is refused, for it would hold up all others; an infinite one waits', () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const fired: string[] = [];
    expect(() => timers.set(Number.NaN, () => {})).toThrow(/broken invariant/);
    timers.set(Infinity, () => fired.push('never'));
    timers.set(Infinity, () => fired.push('never'));
    timers.set(1, () => fired.push('due'));
    clock.advanceTo(1e15);
    expect(fired).toEqual(['due']);
    expect(timers.pending).toBe(2);
  });

  test('once closed nothing fires, nothing waits, and nothing can be set', () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const fired: string[] = [];
    const before = timers.set(10, () => fired.push('before'));
    timers.close();
    const after = timers.set(10, () => fired.push('after'));
    timers.cancel(before);
    timers.cancel(after);
    expect(timers.pending).toBe(0);
    expect(clock.pending).toBe(0);
    clock.advanceTo(20);
    expect(fired).toEqual([]);
  });

  test.prop([fc.integer()])('when most have been cancelled the others still fire in order', (seed) => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const random = seededRandom(seed);
    const fired: number[] = [];
    const set = Array.from({ length: 400 }, (_, name) => {
      const atMs = random.int(100);
      return { atMs, name, timer: timers.set(atMs, () => fired.push(name)) };
    });
    const kept = set.filter(() => random.int(5) === 0);
    for (const one of set) if (!kept.includes(one)) timers.cancel(one.timer);
    expect(timers.pending).toBe(kept.length);
    clock.advanceTo(100);
    expect(fired).toEqual(kept.toSorted((a, b) => a.atMs - b.atMs || a.name - b.name).map(({ name }) => name));
  });

  test('a hundred thousand that were cancelled leave nothing behind', () => {
    const clock = new VirtualClock();
    const timers = new Timers(clock);
    const kept = timers.set(1, () => {});
    for (let at = 0; at < 100_000; at += 1) timers.cancel(timers.set(1_000 + at, () => {}));
    expect(timers.pending).toBe(1);
    timers.cancel(kept);
    expect(timers.pending).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
