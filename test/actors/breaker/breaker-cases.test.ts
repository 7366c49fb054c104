/** What users of other breakers expect: the rows of CB that a decision can show. Time-outs (CB-21, CB-22) are the runtime's. */
import { describe, expect, test } from 'vitest';
import { halfOpen, opened, Subject } from './subject.ts';

describe('a circuit breaker', () => {
  test('CB-02 a success in half-open closes: half-open while the call runs, closed after it', () => {
    const subject = opened();
    subject.pass(999);
    expect(subject.ask()).toBeUndefined();
    subject.pass(1);
    const probe = subject.ask()!;
    expect(subject.at).toBe('half-open');
    subject.end(probe, 'success');
    expect(subject.conditions).toEqual(['open', 'half-open', 'closed']);
  });

  test('CB-03 a single failure in half-open opens again, however many it takes while closed', () => {
    const subject = halfOpen({ failures: 2 });
    subject.call('failure');
    expect(subject.conditions).toEqual(['open', 'half-open', 'open']);
    expect(subject.look).toMatchObject({ at: 'open', why: 'failures', openings: 2 });
  });

  test('CB-04 the open time grows with each opening in a row', () => {
    const subject = opened({ resetAfterMs: { baseMs: 1_000, factor: 2, capMs: 3_000 } });
    subject.pass(1_000);
    subject.call('failure');
    subject.pass(1_000);
    expect(subject.ask()).toBeUndefined();
    subject.pass(1_000);
    expect(subject.call('failure')).toBe(true);
    expect(subject.look.untilMs).toBe(subject.nowMs + 3_000);
  });

  test('CB-07 while the only probe is out another caller is refused, and still is when the probe fails', () => {
    const subject = halfOpen();
    const probe = subject.ask()!;
    expect(subject.ask()).toBeUndefined();
    subject.pass(10);
    subject.end(probe, 'failure');
    expect(subject.ask()).toBeUndefined();
    expect(subject.at).toBe('open');
  });

  test('CB-09 of ten probes, three tenths of which may fail, the fourth failure opens without waiting for the rest', () => {
    const subject = new Subject({ sampling: { share: 0.3, least: 2 }, probes: 10, resetAfterMs: 1_000 });
    subject.calls(2, 'failure');
    subject.pass(1_000);
    subject.calls(3, 'failure');
    expect(subject.at).toBe('half-open');
    subject.call('failure');
    expect(subject.at).toBe('open');
  });

  test('CB-09 with three failures of the ten it closes, when the last one is home', () => {
    const subject = new Subject({ sampling: { share: 0.3, least: 2 }, probes: 10, resetAfterMs: 1_000 });
    subject.calls(2, 'failure');
    subject.pass(1_000);
    subject.calls(3, 'failure');
    subject.calls(6, 'success');
    expect(subject.at).toBe('half-open');
    subject.call('success');
    expect(subject.at).toBe('closed');
  });

  test('CB-10 isolation is counted: it lasts until every handle is released', () => {
    const subject = new Subject();
    subject.isolate();
    subject.isolate();
    subject.release();
    expect(subject.at).toBe('isolated');
    expect(subject.ask()).toBeUndefined();
    subject.release();
    expect(subject.call('success')).toBe(true);
    expect(subject.conditions).toEqual(['isolated', 'closed']);
  });

  test('CB-16 traffic below the least never opens, even when all of it fails', () => {
    const subject = new Subject({ sampling: { share: 0.5, windowMs: 5_000, least: 15 } });
    for (let call = 0; call < 10; call += 1) {
      subject.call('failure');
      subject.pass(500);
    }
    expect(subject.conditions).toEqual([]);
  });

  test('CB-16 while the same failures at four a second do open', () => {
    const subject = new Subject({ sampling: { share: 0.5, windowMs: 5_000, least: 15 } });
    for (let call = 0; call < 15; call += 1) {
      subject.call('failure');
      subject.pass(250);
    }
    expect(subject.look).toMatchObject({ at: 'open', why: 'sampling' });
  });

  test('CB-17 for as long as the probe is out everybody else is refused, and its failure opens', () => {
    const subject = halfOpen();
    const probe = subject.ask()!;
    for (let ms = 0; ms < 500; ms += 100) {
      expect(subject.ask()).toBeUndefined();
      subject.pass(100);
    }
    subject.end(probe, 'failure');
    expect(subject.at).toBe('open');
  });

  test('CB-18 a probe that ends with an error that is no failure closes', () => {
    const subject = halfOpen();
    subject.call('ignored');
    expect(subject.at).toBe('closed');
  });

  test('CB-18 while closed such an error neither counts nor makes up for failures', () => {
    const subject = new Subject({ failures: 3 });
    subject.calls(10, 'ignored');
    expect(subject.at).toBe('closed');
    subject.calls(2, 'failure');
    subject.call('ignored');
    subject.call('failure');
    expect(subject.at).toBe('open');
  });

  test('CB-20 opens only at the least number of calls, which does not matter in half-open', () => {
    const subject = new Subject({ sampling: { least: 3 }, resetAfterMs: 1_000 });
    subject.calls(2, 'failure');
    expect(subject.at).toBe('closed');
    subject.call('failure');
    expect(subject.at).toBe('open');
    subject.pass(1_000);
    subject.call('failure');
    expect(subject.at).toBe('open');
  });

  test('CB-23 restored long after its rest was over it is half-open at once', () => {
    const subject = opened();
    subject.crash(1_250);
    expect(subject.at).toBe('half-open');
    expect(subject.call('success')).toBe(true);
    expect(subject.at).toBe('closed');
  });

  test('CB-23 restored before that it rests on, for what is left', () => {
    const subject = opened();
    subject.crash(400);
    expect(subject.look).toMatchObject({ at: 'open', untilMs: 1_000 });
    subject.pass(600);
    expect(subject.at).toBe('half-open');
  });

  test('CB-25 half-open gives as many permits as it has probes, and one that comes back unused again', () => {
    const subject = halfOpen({ probes: 4 });
    const asked = Array.from({ length: 6 }, () => subject.ask());
    expect(asked.map((ticket) => ticket !== undefined)).toEqual([true, true, true, true, false, false]);
    subject.end(asked[0]!, 'unused');
    expect(subject.ask()).toBeGreaterThan(0);
    expect(subject.ask()).toBeUndefined();
    expect(subject.look).toMatchObject({ refusals: 3, probesOut: 4 });
  });

  test('CB-26 each half-open has all its permits, whatever became of the last ones', () => {
    const subject = halfOpen({ probes: 4 });
    const first = Array.from({ length: 4 }, () => subject.ask());
    subject.end(first[2]!, 'failure');
    subject.pass(1_000);
    const second = Array.from({ length: 6 }, () => subject.ask());
    expect(second.filter((ticket) => ticket !== undefined)).toHaveLength(4);
  });

  test('CB-31 a probe that never comes home opens it again when its lease ends', () => {
    const subject = halfOpen({ probeMs: 1_000, resetAfterMs: 1_500 });
    expect(subject.ask()).toBeGreaterThan(0);
    subject.pass(999);
    expect(subject.at).toBe('half-open');
    subject.pass(1);
    expect(subject.look).toMatchObject({ at: 'open', untilMs: subject.nowMs + 1_500 });
    subject.pass(1_500);
    subject.call('success');
    expect(subject.at).toBe('closed');
  });
});
