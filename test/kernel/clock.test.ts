import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../actors/kernel/clock.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const DAY_MS = 86_400_000;

/** The one place for fake timers: this clock is where the platform's own timers come in. */
describe('system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test('it starts at the wall time and follows the monotonic clock', () => {
    const clock = systemClock();
    const startMs = clock.nowMs();
    expect(startMs).toBe(performance.timeOrigin + performance.now());
    vi.advanceTimersByTime(1_500);
    expect(clock.nowMs()).toBe(startMs + 1_500);
  });

  test('it does not follow when somebody sets the date', () => {
    const clock = systemClock();
    const startMs = clock.nowMs();
    vi.setSystemTime(Date.now() - DAY_MS);
    expect(clock.nowMs()).toBe(startMs);
    vi.setSystemTime(Date.now() + 2 * DAY_MS);
    expect(clock.nowMs()).toBe(startMs);
  });

  test('a wake-up comes once, at its time', () => {
    const clock = systemClock();
    const atMs = clock.nowMs() + 100;
    const firedMs: number[] = [];
    clock.wakeAt(atMs, () => firedMs.push(clock.nowMs()));
    vi.advanceTimersByTime(99);
    expect(firedMs).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(firedMs).toEqual([atMs]);
  });

  test('a timer of Node that fires a fraction too early is armed again', () => {
    const clock = systemClock();
    const fire = vi.fn<() => void>();
    clock.wakeAt(clock.nowMs() + 100, fire);
    const tooEarly = performance.now() + 99.5;
    const early = vi.spyOn(performance, 'now').mockReturnValue(tooEarly);
    vi.advanceTimersByTime(100);
    expect(fire).not.toHaveBeenCalled();
    early.mockRestore();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledTimes(1);
  });

  test('a wake-up beyond the longest timer of Node comes at its time, not at once', () => {
    const clock = systemClock();
    const fire = vi.fn<() => void>();
    clock.wakeAt(clock.nowMs() + 60 * DAY_MS, fire);
    clock.wakeAt(Infinity, fire);
    vi.advanceTimersByTime(60 * DAY_MS - 1);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledTimes(1);
  });

  test('a cancelled wake-up never comes, and keeps no timer', () => {
    const clock = systemClock();
    const fire = vi.fn<() => void>();
    const cancel = clock.wakeAt(clock.nowMs() + 30 * DAY_MS, fire);
    vi.advanceTimersByTime(26 * DAY_MS);
    cancel();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(30 * DAY_MS);
    expect(fire).not.toHaveBeenCalled();
  });

  test('a wake-up in the past comes soon', () => {
    const clock = systemClock();
    const fire = vi.fn<() => void>();
    clock.wakeAt(clock.nowMs() - 1_000, fire);
    expect(fire).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fire).toHaveBeenCalledTimes(1);
  });
});

describe('virtual clock', () => {
  test('while something fires, now is its due time', () => {
    const clock = new VirtualClock(1_000);
    const firedMs: number[] = [];
    for (const atMs of [1_300, 1_100, 1_200]) clock.wakeAt(atMs, () => firedMs.push(clock.nowMs()));
    clock.advanceBy(250);
    expect(firedMs).toEqual([1_100, 1_200]);
    expect(clock.nowMs()).toBe(1_250);
    expect(clock.nextDueMs).toBe(1_300);
    clock.advanceTo(1_300);
    expect(firedMs).toEqual([1_100, 1_200, 1_300]);
    expect(clock.nextDueMs).toBeUndefined();
  });

  test('what is due at the same time fires in order of setting', () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    for (const name of ['a', 'b', 'c']) clock.wakeAt(10, () => fired.push(name));
    clock.wakeAt(5, () => clock.wakeAt(10, () => fired.push('d')));
    clock.advanceTo(10);
    expect(fired).toEqual(['a', 'b', 'c', 'd']);
  });

  test('what is set on the way fires on the way, and what is set for the past at once', () => {
    const clock = new VirtualClock(100);
    const firedMs: number[] = [];
    clock.wakeAt(110, () => {
      clock.wakeAt(50, () => firedMs.push(clock.nowMs()));
      clock.wakeAt(120, () => firedMs.push(clock.nowMs()));
      clock.wakeAt(131, () => firedMs.push(clock.nowMs()));
    });
    clock.advanceBy(30);
    expect(firedMs).toEqual([110, 120]);
  });

  test('a cancelled wake-up does not fire, also when it is due in the same moment', () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.wakeAt(10, () => {
      fired.push('first');
      cancel();
      cancel();
    });
    const cancel = clock.wakeAt(10, () => fired.push('cancelled'));
    clock.wakeAt(10, () => fired.push('last'));
    expect(clock.pending).toBe(3);
    clock.advanceTo(20);
    expect(fired).toEqual(['first', 'last']);
    expect(clock.pending).toBe(0);
  });

  test('time goes neither back, nor to its end, nor by the hand of what it fires', () => {
    const clock = new VirtualClock(10);
    expect(() => clock.advanceTo(9)).toThrow(/broken invariant/);
    expect(() => clock.advanceTo(Infinity)).toThrow(/broken invariant/);
    expect(() => clock.advanceBy(Number.NaN)).toThrow(/broken invariant/);
    expect(() => clock.wakeAt(Number.NaN, () => {})).toThrow(/broken invariant/);
    clock.wakeAt(11, () => clock.advanceBy(1));
    expect(() => clock.advanceTo(12)).toThrow(/broken invariant/);
    expect(clock.nowMs()).toBe(11);
    clock.advanceTo(12);
    expect(clock.nowMs()).toBe(12);
  });
});
