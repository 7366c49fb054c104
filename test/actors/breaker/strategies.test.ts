import { describe, expect, test } from 'vitest';
import { breakerOf, ended, issued, lookAt, mayIssue, passed, planBreaker, probeTicket, refused } from '../../../actors/breaker/breaker.ts';
import { halfOpen, opened, Subject } from './subject.ts';

describe('failures in a row', () => {
  test('open at the fifth by default, and a success begins the row anew', () => {
    const subject = new Subject();
    subject.calls(4, 'failure');
    subject.call('success');
    subject.calls(4, 'failure');
    expect(subject.at).toBe('closed');
    subject.call('failure');
    expect(subject.look).toMatchObject({ at: 'open', why: 'failures', openings: 1 });
  });

  test('do not open one that samples, unless both are asked for', () => {
    const subject = new Subject({ sampling: { least: 100 } });
    subject.calls(50, 'failure');
    expect(subject.at).toBe('closed');
    const both = new Subject({ sampling: { least: 100 }, failures: 7 });
    both.calls(7, 'failure');
    expect(both.look.why).toBe('failures');
  });

  test('count calls that were made only', () => {
    const subject = new Subject({ failures: 2 });
    subject.call('failure');
    subject.calls(5, 'unused');
    expect(subject.at).toBe('closed');
    subject.call('failure');
    expect(subject.at).toBe('open');
  });
});

describe('sampling', () => {
  test('opens above the share, not at it', () => {
    const subject = new Subject({ sampling: { share: 0.5, least: 4 } });
    subject.calls(10, 'success');
    subject.calls(10, 'failure');
    expect(subject.at).toBe('closed');
    subject.call('failure');
    expect(subject.look).toMatchObject({ at: 'open', why: 'sampling' });
  });

  test('forgets what is older than the window', () => {
    const subject = new Subject({ sampling: { share: 0.5, windowMs: 1_000, least: 10 } });
    subject.calls(9, 'failure');
    subject.pass(1_000);
    subject.calls(9, 'failure');
    expect(subject.at).toBe('closed');
    subject.pass(899);
    subject.call('failure');
    expect(subject.at).toBe('open');
  });

  test('begins anew when it closes', () => {
    const subject = new Subject({ sampling: { least: 4 }, resetAfterMs: 1 });
    subject.calls(4, 'failure');
    subject.pass(1);
    subject.call('success');
    subject.calls(2, 'failure');
    expect(subject.at).toBe('closed');
  });
});

describe('soft', () => {
  test('refuses nobody while calls are accepted, be it half of them', () => {
    const subject = new Subject({ soft: {} });
    for (let call = 0; call < 100; call += 1) subject.call(call % 2 === 0 ? 'success' : 'failure');
    expect(subject.look).toMatchObject({ at: 'closed', refusalShare: 0 });
    expect(subject.ask(0)).toBeDefined();
  });

  test('refuses with the probability of the book', () => {
    const subject = new Subject({ soft: { k: 2 } });
    subject.calls(10, 'success');
    for (let call = 0; call < 30; call += 1) subject.end(subject.ask(0.999)!, 'failure');
    expect(subject.look.refusalShare).toBeCloseTo((40 - 2 * 10) / 41, 12);
    expect(subject.ask(0.487)).toBeUndefined();
    expect(subject.ask(0.51)).toBeDefined();
  });

  test('never refuses all, however long it goes on', () => {
    const subject = new Subject({ soft: {} });
    for (let call = 0; call < 10_000; call += 1) subject.end(subject.ask(1 - 2 ** -53)!, 'failure');
    expect(subject.at).toBe('closed');
    expect(subject.look.refusalShare).toBeLessThan(1);
  });

  test('counts a call that hangs, and takes back one that was never made', () => {
    const subject = new Subject({ soft: {} });
    const first = subject.ask()!;
    expect(subject.look.refusalShare).toBe(0.5);
    subject.end(first, 'unused');
    expect(subject.look.refusalShare).toBe(0);
  });

  test('takes back nothing that it counted a while ago: that is forgotten in its own time', () => {
    const subject = new Subject({ soft: { windowMs: 1_000 } });
    const calls = [subject.ask()!, subject.ask(0.9)!];
    subject.pass(500);
    for (const ticket of calls) subject.end(ticket, 'unused');
    expect(subject.look.refusalShare).toBe(2 / 3);
    subject.pass(500);
    expect(subject.look.refusalShare).toBe(0);
  });

  test('counts those that were refused for good, and an answer that is no failure as accepted', () => {
    const subject = new Subject({ soft: { k: 2 } });
    subject.ask();
    expect(subject.ask(0)).toBeUndefined();
    expect(subject.look).toMatchObject({ refusals: 1, refusalShare: 2 / 3 });
    subject.end(-1, 'ignored');
    expect(subject.look.refusalShare).toBe(0);
  });

  test('forgets after two minutes', () => {
    const subject = new Subject({ soft: {} });
    for (let call = 0; call < 50; call += 1) subject.ask(0.999);
    subject.pass(107_999);
    expect(subject.look.refusalShare).toBeGreaterThan(0.9);
    subject.pass(12_001);
    expect(subject.look.refusalShare).toBe(0);
  });

  test('goes with failures in a row where both are asked for', () => {
    const subject = new Subject({ soft: {}, failures: 3 });
    for (let call = 0; call < 3; call += 1) subject.end(subject.ask(0.999)!, 'failure');
    expect(subject.at).toBe('open');
  });
});

describe('quality', () => {
  const spec = { quality: { below: 0.3, outOf: 20 }, resetAfterMs: 1_000 };

  test('opens while every call succeeds, when the mean of the last scores is too low', () => {
    const subject = new Subject(spec);
    subject.calls(20, 'success', 0.9);
    subject.calls(13, 'success', 0);
    expect(subject.look).toMatchObject({ at: 'closed' });
    expect(subject.look.score).toBeCloseTo((7 * 0.9) / 20, 12);
    subject.call('success', 0);
    expect(subject.look).toMatchObject({ at: 'open', why: 'quality' });
  });

  test('does not open at the threshold itself, whatever the sums round to', () => {
    const subject = new Subject(spec);
    for (let call = 0; call < 1_000; call += 1) subject.call('success', call % 2 === 0 ? 0.1 : 0.5);
    subject.calls(100, 'success', 0.3);
    expect(subject.at).toBe('closed');
  });

  test('waits for as many scores as it looks at, or for fewer when told', () => {
    const subject = new Subject(spec);
    subject.calls(19, 'success', 0);
    expect(subject.at).toBe('closed');
    const sooner = new Subject({ quality: { below: 0.3, outOf: 20, least: 5 } });
    sooner.calls(4, 'success', 0);
    expect(sooner.at).toBe('closed');
    sooner.call('success', 0);
    expect(sooner.at).toBe('open');
  });

  test('counts scores only: replies without one, failures, and scores that are none say nothing', () => {
    const subject = new Subject({ quality: { below: 0.3, outOf: 2 } });
    subject.calls(10, 'success');
    for (const none of [Number.NaN, 7, -1, Infinity]) subject.call('success', none);
    subject.calls(4, 'failure', 0);
    expect(subject.look.score).toBeUndefined();
    subject.calls(2, 'success', 0);
    expect(subject.look.why).toBe('quality');
  });

  test('a probe has to score well enough itself', () => {
    const subject = new Subject(spec);
    subject.calls(20, 'success', 0);
    subject.pass(1_000);
    subject.call('success', 0.29);
    expect(subject.look).toMatchObject({ at: 'open', why: 'quality', openings: 2 });
    subject.pass(1_000);
    subject.call('success', 0.3);
    expect(subject.at).toBe('closed');
  });

  test('a probe that nobody scores closes by its status', () => {
    const subject = new Subject(spec);
    subject.calls(20, 'success', 0);
    subject.pass(1_000);
    subject.call('success');
    expect(subject.at).toBe('closed');
  });

  test('a probe that fails otherwise says so', () => {
    const subject = new Subject(spec);
    subject.calls(20, 'success', 0);
    subject.pass(1_000);
    subject.call('failure');
    expect(subject.look.why).toBe('failures');
  });

  test('garbage opens one that failures had opened before', () => {
    const subject = halfOpen({ quality: { below: 0.3, outOf: 20 } });
    subject.call('success', 0);
    expect(subject.look.why).toBe('quality');
  });
});

describe('a plan', () => {
  test('is complete: what is left out has its default', () => {
    expect(planBreaker({})).toEqual({
      failures: 5,
      sampling: undefined,
      soft: undefined,
      rest: { baseMs: 10_000, capMs: 300_000, factor: 2 },
      probes: 1,
      probeMs: 120_000,
      quality: undefined,
    });
    expect(planBreaker({ sampling: {}, soft: {}, quality: { below: 0.3, outOf: 20 } })).toMatchObject({
      failures: undefined,
      sampling: { share: 0.5, windowMs: 30_000, least: 20 },
      soft: { k: 2, windowMs: 120_000 },
      quality: { below: 0.3, outOf: 20, least: 20 },
    });
  });

  test('takes the lease of a probe from the runtime, unless the user said it', () => {
    expect(planBreaker({}, { probeMs: 7_000 }).probeMs).toBe(7_000);
    expect(planBreaker({ probeMs: 5_000 }, { probeMs: 7_000 }).probeMs).toBe(5_000);
  });

  test('never waits for more scores than it looks at', () => {
    expect(planBreaker({ quality: { below: 0.3, outOf: 5, least: 9 } }).quality).toEqual({ below: 0.3, outOf: 5, least: 5 });
  });
});

describe('what costs nothing', () => {
  test('a success with nothing to make up for, and the time before it, change nothing: the same object', () => {
    const breaker = breakerOf(planBreaker({ quality: { below: 0.3, outOf: 20 } }), 0);
    expect(passed(breaker, 5)).toBe(breaker);
    expect(issued(breaker, 5)).toBe(breaker);
    expect(ended(breaker, 'success', 0, undefined, 5)).toBe(breaker);
    expect(ended(breaker, 'ignored', 0, 0.4, 5)).toBe(breaker);
    expect(ended(breaker, 'unused', 0, undefined, 5)).toBe(breaker);
    expect(mayIssue(breaker, 0)).toBe('yes');
    expect(probeTicket(breaker)).toBe(0);
  });

  test('time that changes nothing, in any condition', () => {
    for (const subject of [new Subject({ sampling: {}, soft: {} }), opened(), halfOpen()]) {
      subject.ask();
      expect(passed(subject.breaker, subject.nowMs + 1)).toBe(subject.breaker);
    }
    expect(lookAt(refused(opened().breaker, 0)).refusals).toBe(1);
  });
});
