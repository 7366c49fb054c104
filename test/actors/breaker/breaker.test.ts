import { describe, expect, test } from 'vitest';
import { issued, nextAtMs } from '../../../actors/breaker/breaker.ts';
import { halfOpen, opened, Subject } from './subject.ts';

describe('probes', () => {
  test('with several of them, all have to succeed', () => {
    const subject = halfOpen({ probes: 3 });
    subject.calls(2, 'success');
    expect(subject.at).toBe('half-open');
    subject.call('success');
    expect(subject.at).toBe('closed');
  });

  test('a ticket counts once', () => {
    const subject = halfOpen({ probes: 2 });
    const probe = subject.ask()!;
    subject.end(probe, 'success');
    subject.end(probe, 'success');
    expect(subject.at).toBe('half-open');
    subject.end(probe, 'failure');
    expect(subject.at).toBe('half-open');
  });

  test('a probe of an older half-open neither opens nor closes a later one', () => {
    for (const result of ['success', 'failure', 'ignored', 'unused'] as const) {
      const subject = halfOpen({ probeMs: 100 });
      const late = subject.ask()!;
      subject.pass(100);
      subject.pass(1_000);
      const probe = subject.ask()!;
      subject.end(late, result);
      expect(subject.at).toBe('half-open');
      expect(subject.ask()).toBeUndefined();
      subject.end(probe, 'success');
      subject.end(late, 'failure');
      expect(subject.conditions).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
    }
  });

  test('one that comes home when its lease has just ended is too late, also when nobody looked in between', () => {
    const subject = halfOpen({ probeMs: 100 });
    const probe = subject.ask()!;
    subject.nowMs += 100;
    subject.end(probe, 'success');
    expect(subject.at).toBe('open');
  });

  test('a lost one is lost as of the end of its lease: whoever looks late does not make the rest longer', () => {
    const subject = halfOpen({ probeMs: 100 });
    subject.ask();
    subject.pass(1_100);
    expect(subject.at).toBe('half-open');
    expect(subject.look.openings).toBe(2);
  });

  test('a call is not issued against the breaker', () => {
    const subject = opened();
    expect(() => issued(subject.breaker, 0)).toThrow(/broken invariant/);
    subject.pass(1_000);
    subject.ask();
    expect(() => issued(subject.breaker, 1_000)).toThrow(/broken invariant/);
  });
});

describe('calls that were issued before it opened', () => {
  test('change nothing while it is open or half-open', () => {
    const subject = new Subject({ failures: 2, resetAfterMs: 1_000 });
    const early = Array.from({ length: 8 }, () => subject.ask()!);
    for (const ticket of early.slice(0, 4)) subject.end(ticket, 'failure');
    expect(subject.look).toMatchObject({ at: 'open', openings: 1, untilMs: 1_000 });
    subject.end(early[4]!, 'success');
    expect(subject.at).toBe('open');
    subject.pass(1_000);
    subject.end(early[5]!, 'success');
    subject.end(early[6]!, 'failure');
    expect(subject.at).toBe('half-open');
    expect(subject.ask()).toBeGreaterThan(0);
  });

  test('do not open it again when they fail after it has closed', () => {
    const subject = new Subject({ failures: 2, resetAfterMs: 1_000 });
    const early = Array.from({ length: 20 }, () => subject.ask()!);
    for (const ticket of early.slice(0, 2)) subject.end(ticket, 'failure');
    subject.pass(1_000);
    subject.call('success');
    for (const ticket of early.slice(2)) subject.end(ticket, 'failure');
    expect(subject.at).toBe('closed');
  });

  test('do so when their ticket is not kept: 0 is a call of unknown age', () => {
    const subject = halfOpen();
    subject.call('success');
    subject.end(0, 'failure');
    subject.end(0, 'failure');
    expect(subject.at).toBe('open');
  });
});

describe('the rest', () => {
  test('is ten seconds at first, doubles, and stays at five minutes', () => {
    const subject = new Subject();
    subject.calls(5, 'failure');
    const rests: number[] = [];
    for (let opening = 0; opening < 7; opening += 1) {
      rests.push(subject.look.untilMs! - subject.nowMs);
      subject.pass(rests.at(-1)!);
      subject.call('failure');
    }
    expect(rests).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  });

  test('stays as it is when it is a number', () => {
    const subject = opened({ resetAfterMs: 700 });
    for (let opening = 0; opening < 5; opening += 1) {
      expect(subject.look.untilMs).toBe(subject.nowMs + 700);
      subject.pass(700);
      subject.call('failure');
    }
  });

  test('is never below its base, whatever the cap would be otherwise', () => {
    expect(opened({ resetAfterMs: { baseMs: 600_000 } }).look.untilMs).toBe(600_000);
  });

  test('is back at its base when the breaker stayed closed for as long as it last rested', () => {
    const subject = halfOpen({ resetAfterMs: { baseMs: 1_000 } });
    subject.call('failure');
    subject.pass(2_000);
    subject.call('success');
    subject.pass(2_000);
    subject.calls(2, 'failure');
    expect(subject.look).toMatchObject({ openings: 1, untilMs: subject.nowMs + 1_000 });
  });

  test('goes on growing for a dependency that answers a probe and falls at once', () => {
    const subject = halfOpen({ resetAfterMs: { baseMs: 1_000 } });
    subject.call('failure');
    subject.pass(2_000);
    subject.call('success');
    subject.pass(1_999);
    subject.calls(2, 'failure');
    expect(subject.look).toMatchObject({ openings: 3, untilMs: subject.nowMs + 4_000 });
  });

  test('says when it is over, and a lease when it ends; nothing else is due', () => {
    const subject = new Subject({ failures: 1, resetAfterMs: 1_000, probeMs: 300, probes: 2 });
    expect(nextAtMs(subject.breaker)).toBeUndefined();
    subject.call('failure');
    expect(nextAtMs(subject.breaker)).toBe(1_000);
    subject.pass(1_000);
    expect(nextAtMs(subject.breaker)).toBeUndefined();
    subject.ask();
    subject.pass(100);
    subject.ask();
    expect(nextAtMs(subject.breaker)).toBe(1_300);
    subject.isolate();
    expect(nextAtMs(subject.breaker)).toBeUndefined();
  });

  test('is never longer than its length after a clock that went back', () => {
    const subject = opened();
    subject.pass(-3_600_000);
    subject.pass(1_000);
    expect(subject.at).toBe('half-open');
  });

  test('nor is a lease', () => {
    const subject = halfOpen({ probeMs: 500 });
    subject.ask();
    subject.pass(-3_600_000);
    subject.pass(499);
    expect(subject.at).toBe('half-open');
    subject.pass(1);
    expect(subject.at).toBe('open');
  });
});

describe('by hand', () => {
  test('isolation stops a half-open one, and its probe comes home to nothing', () => {
    const subject = halfOpen();
    const probe = subject.ask()!;
    subject.isolate();
    subject.end(probe, 'success');
    expect(subject.look).toMatchObject({ at: 'isolated', why: 'isolated' });
    subject.pass(1_000_000);
    expect(subject.at).toBe('isolated');
    subject.release();
    subject.end(probe, 'failure');
    subject.end(probe, 'failure');
    expect(subject.at).toBe('closed');
  });

  test('one that is told to open does, and its own probes close it again', () => {
    const subject = new Subject({ resetAfterMs: { baseMs: 1_000 } });
    subject.trip();
    expect(subject.look).toMatchObject({ at: 'open', why: 'tripped', untilMs: 1_000 });
    subject.pass(1_000);
    subject.call('success');
    expect(subject.at).toBe('closed');
    subject.trip();
    expect(subject.look).toMatchObject({ openings: 2, untilMs: subject.nowMs + 2_000 });
    subject.pass(2_000);
    subject.call('success');
    subject.pass(2_000);
    subject.trip();
    expect(subject.look).toMatchObject({ openings: 1, untilMs: subject.nowMs + 1_000 });
  });

  test('one that is not closed is not told to open', () => {
    for (const subject of [opened(), halfOpen()]) {
      const before = subject.breaker;
      subject.trip();
      expect(subject.breaker).toBe(before);
    }
    const apart = new Subject();
    apart.isolate();
    apart.trip();
    expect(apart.at).toBe('isolated');
  });

  test('a reset closes at once and takes all handles; what is released later does nothing', () => {
    const subject = new Subject();
    subject.isolate();
    subject.isolate();
    subject.reset();
    expect(subject.at).toBe('closed');
    subject.release();
    expect(subject.conditions).toEqual(['isolated', 'closed']);
    subject.isolate();
    expect(subject.ask()).toBeUndefined();
  });

  test('a reset of an open one forgets how often it opened', () => {
    const subject = halfOpen({ resetAfterMs: { baseMs: 1_000 } });
    subject.call('failure');
    subject.reset();
    subject.calls(2, 'failure');
    expect(subject.look).toMatchObject({ openings: 1, untilMs: subject.nowMs + 1_000 });
  });

  test('a reset forgets the failures so far, and the calls that are out', () => {
    const subject = new Subject({ failures: 2 });
    const out = [subject.ask()!, subject.ask()!];
    subject.call('failure');
    subject.reset();
    subject.call('failure');
    for (const ticket of out) subject.end(ticket, 'failure');
    expect(subject.at).toBe('closed');
  });
});

describe('after a crash', () => {
  test('a probe that was out is lost: open for as long as before, and until its lease has ended', () => {
    const subject = halfOpen({ probeMs: 5_000 });
    const probe = subject.ask()!;
    subject.crash(10);
    expect(subject.look).toMatchObject({ at: 'open', openings: 1, untilMs: 6_000 });
    subject.end(probe, 'success');
    expect(subject.at).toBe('open');
    subject.pass(4_990);
    const next = subject.ask()!;
    expect(next).toBeGreaterThan(probe);
    subject.end(probe, 'failure');
    subject.end(next, 'success');
    expect(subject.at).toBe('closed');
  });

  test('without a probe out it is half-open as before, also under a plan with fewer probes', () => {
    const subject = halfOpen({ probes: 3 });
    subject.calls(2, 'success');
    subject.crash(0, { ...subject.spec, probes: 1 });
    subject.call('success');
    expect(subject.at).toBe('closed');
  });

  test('failures in a row, windows and scores go on', () => {
    const row = new Subject({ failures: 3 });
    row.calls(2, 'failure');
    row.crash();
    row.call('failure');
    expect(row.at).toBe('open');

    const sampling = new Subject({ sampling: { least: 10 } });
    sampling.calls(9, 'failure');
    sampling.crash();
    sampling.call('failure');
    expect(sampling.at).toBe('open');

    const quality = new Subject({ quality: { below: 0.5, outOf: 3 } });
    quality.calls(2, 'success', 0);
    quality.crash();
    quality.call('success', 0);
    expect(quality.at).toBe('open');
  });

  test('what another plan does not count in the same way begins anew', () => {
    const subject = new Subject({ sampling: { least: 10 }, quality: { below: 0.5, outOf: 3 } });
    subject.calls(2, 'success', 0);
    subject.calls(7, 'failure');
    subject.crash(0, { sampling: { least: 10, windowMs: 5_000 }, quality: { below: 0.5, outOf: 4 } });
    subject.calls(3, 'success', 0);
    expect(subject.at).toBe('closed');
    subject.call('success', 0);
    expect(subject.look).toMatchObject({ at: 'open', why: 'quality' });
  });

  test('a strategy that the new plan does not have is gone', () => {
    const subject = new Subject({ sampling: { least: 2 }, soft: {}, quality: { below: 0.5, outOf: 2 } });
    subject.call('failure');
    subject.call('success', 0);
    subject.crash(0, { failures: 10 });
    subject.calls(5, 'failure');
    subject.calls(5, 'success', 0);
    expect(subject.at).toBe('closed');
    expect(subject.ask(0)).toBeDefined();
  });

  test('isolation stays, with its handles', () => {
    const subject = new Subject();
    subject.isolate();
    subject.isolate();
    subject.crash();
    subject.release();
    expect(subject.at).toBe('isolated');
    subject.release();
    expect(subject.at).toBe('closed');
  });
});
