import { describe, expect, test } from 'vitest';
import { absorb, cleanSlate, NO_MEASURES } from '../../../supervisors/meta-agent/measures.ts';
import type { Measure, Measures } from '../../../supervisors/meta-agent/measures.ts';
import { read } from '../../../supervisors/meta-agent/reading.ts';
import type { Reading } from '../../../supervisors/meta-agent/reading.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';

const W = { worker: 'w', kind: 'k' };
type Run = Extract<Observation, { readonly type: 'run.ended' }>;
type Call = Extract<Observation, { readonly type: 'call.ended' }>;

const run = (atMs: number, more: Partial<Run> = {}): Run => ({
  type: 'run.ended',
  ...W,
  atMs,
  task: 't',
  ms: 100,
  outcome: 'completed',
  usd: 0,
  tokens: 0,
  ...more,
});
const call = (atMs: number, more: Partial<Call> = {}): Call => ({
  type: 'call.ended',
  ...W,
  atMs,
  task: 't',
  dependency: 'model',
  ms: 50,
  failed: false,
  usd: 0,
  tokens: 0,
  ...more,
});
const operation = (atMs: number, progressed: boolean, task = 't'): Observation => ({ type: 'operation', ...W, atMs, task, progressed });
const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const say = (measures: Measures, measure: Measure, nowMs = 0): Reading => read(measures.workers.get('w')!, measure, nowMs);
const after = (...observations: readonly Observation[]): Measures => absorb(NO_MEASURES, observations);

describe('measures', () => {
  test('latency is a geometric mean: one run of an hour among ten of 100 ms does not make a worker slow', () => {
    const { value, samples } = say(after(...many(10, run), run(11, { ms: 3_600_000 })), 'latency');
    expect(samples).toBe(11);
    expect(value).toBeLessThan(300);
    expect(say(after(...many(20, (at) => run(at, { ms: 500 }))), 'latency').value).toBeCloseTo(500, 6);
  });

  test('the p99 sees what happens to one run in fifty', () => {
    const rare = many(400, (at) => run(at, { ms: at % 50 === 0 ? 10_000 : 100 }));
    expect(say(after(...rare), 'latency').value).toBeLessThan(200);
    expect(Math.abs(say(after(...rare), 'latency-p99').value / 10_000 - 1)).toBeLessThan(0.051);
    expect(say(after(...rare), 'latency-p99').samples).toBeGreaterThan(300);
  });

  test('a rejected run and a lost one are errors, a parked one says nothing', () => {
    const mixed = after(run(1), run(2, { outcome: 'rejected' }), run(3, { outcome: 'lost' }), run(4, { outcome: 'parked', ms: 9e9 }));
    expect(say(mixed, 'error-rate')).toMatchObject({ samples: 3, value: 2 / 3 });
    expect(say(mixed, 'latency')).toMatchObject({ samples: 1 });
  });

  test('a run that failed at once, or went on over what was remembered, makes nobody look fast', () => {
    const short = [run(2, { ms: 1, outcome: 'rejected' }), run(3, { ms: 1, replayed: true })];
    const runs = after(run(1, { ms: 1_000 }), ...short);
    expect(say(runs, 'latency').value).toBeCloseTo(1_000, 6);
    expect(say(runs, 'error-rate')).toMatchObject({ samples: 3 });
  });

  test('runs that nobody scored do not count as scored', () => {
    expect(say(after(run(1), run(2, { score: 0.5 }), run(3, { score: 1 })), 'score')).toMatchObject({ samples: 2, value: 0.75 });
  });

  /** A worker that is busy for `busyMs` of each 20 seconds, with a call of a cent each second of it. */
  const spending = (busyMs: number, more: readonly Observation[] = []): Measures => {
    const rounds = many(30, (round): readonly Observation[] => {
      const fromMs = round * 20_000;
      const calls = many(busyMs / 1_000, (at) => call(fromMs + at * 1_000, { usd: 0.01, tokens: 10 }));
      return [{ type: 'run.started', ...W, atMs: fromMs, task: 't' }, ...calls, run(fromMs + busyMs, { ms: busyMs })];
    });
    return after(...rounds.flat(), ...more);
  };

  test.each([2_000, 10_000, 20_000])('what a busy minute costs is the same for who is busy for %d of 20,000 ms', (busyMs) => {
    expect(Math.abs(say(spending(busyMs), 'usd-per-busy-minute', 600_000).value - 0.6)).toBeLessThan(0.05);
    expect(Math.abs(say(spending(busyMs), 'tokens-per-busy-minute', 600_000).value - 600)).toBeLessThan(50);
    expect(Math.abs(say(spending(busyMs), 'usd-per-busy-minute', 600_000).usual - 0.6)).toBeLessThan(0.05);
  });

  test('a run that does not end is a busy time too', () => {
    const going = many(600, (at) => call(600_000 + at * 1_000, { usd: 0.01 }));
    const endless = spending(2_000, [{ type: 'run.started', ...W, atMs: 600_000, task: 'u' }, ...going]);
    expect(Math.abs(say(endless, 'usd-per-busy-minute', 1_200_000).value - 0.6)).toBeLessThan(0.05);
  });

  test('a run tells what no call has told', () => {
    const told = after({ type: 'run.started', ...W, atMs: 0, task: 't' }, run(60_000, { usd: 1, tokens: 500 }));
    expect(say(told, 'usd-per-busy-minute', 60_000)).toMatchObject({ samples: 1 });
    // It came all at once, at the end, when the beginning of the minute had faded.
    expect(say(told, 'usd-per-busy-minute', 60_000).value).toBeLessThan(1.4);
    expect(say(told, 'tokens-per-busy-minute', 60_000).value).toBeGreaterThan(500);
  });

  test('a worker that held the event loop is known by how long, a minute', () => {
    const blocked = after({ type: 'loop.blocked', ...W, atMs: 1_000, ms: 1_500 });
    expect(say(blocked, 'blocked-ms-per-minute', 60_000)).toMatchObject({ samples: 1 });
    expect(say(blocked, 'blocked-ms-per-minute', 60_000).value).toBeGreaterThan(1_000);
    expect(say(blocked, 'blocked-ms-per-minute', 600_000).value).toBeLessThan(20);
  });

  test('operations count until something progresses, or the task is another', () => {
    const going = [operation(1, false), operation(2, false), operation(3, false)];
    expect(say(after(...going), 'operations-without-progress')).toMatchObject({ value: 3, task: 't' });
    expect(say(after(...going, operation(4, true)), 'operations-without-progress').value).toBe(0);
    expect(say(after(...going, operation(4, false, 'u')), 'operations-without-progress')).toMatchObject({ value: 1, task: 'u' });
    expect(say(after(...going, run(4)), 'operations-without-progress').value).toBe(0);
  });

  test('a call with a new request is progress, one whose request was among the last eight is not', () => {
    const cycle = many(24, (at) => call(at, { request: `r${at % 8}` }));
    expect(say(after(...cycle), 'repeated-requests')).toMatchObject({ value: 16, samples: 24 });
    expect(say(after(...cycle), 'operations-without-progress').value).toBe(16);
    const longer = many(27, (at) => call(at, { request: `r${at % 9}` }));
    expect(say(after(...longer), 'repeated-requests').value).toBe(0);
    expect(say(after(...cycle, call(25, { request: 'new' })), 'repeated-requests').value).toBe(0);
    expect(say(after(...cycle, call(25, { request: 'r1', task: 'u' })), 'repeated-requests').value).toBe(0);
  });

  test('a call whose request is not told counts as an operation', () => {
    expect(say(after(call(1), call(2)), 'operations-without-progress').value).toBe(2);
  });

  test('a new incarnation starts with a clean slate, and with the history of its address', () => {
    const old = after(
      ...many(100, (at) => run(at, { ms: 1_000, outcome: at % 2 === 0 ? 'completed' : 'rejected', score: 1, usd: 1, tokens: 1 })),
      call(101, { request: 'a' }),
      call(102, { request: 'a' }),
      { type: 'loop.blocked', ...W, atMs: 103, ms: 100 },
    );
    const anew = absorb(old, [{ type: 'worker.started', ...W, atMs: 200 }]);
    for (const measure of [
      'latency',
      'latency-p99',
      'error-rate',
      'score',
      'usd-per-busy-minute',
      'tokens-per-busy-minute',
      'operations-without-progress',
      'repeated-requests',
      'blocked-ms-per-minute',
    ] as const)
      expect({ measure, samples: say(anew, measure, 200).samples }).toEqual({ measure, samples: 0 });
    expect(say(anew, 'latency')).toMatchObject({ usualSamples: 50 });
    expect(say(anew, 'latency').usual).toBeCloseTo(1_000, 6);
    expect(anew.workers.get('w')).toEqual(cleanSlate(old.workers.get('w')!, 200));
  });

  test('a suspended worker is known as such until it starts again, a removed one is forgotten', () => {
    const suspended = after({ type: 'worker.suspended', ...W, atMs: 1 });
    expect(suspended.workers.get('w')?.suspended).toBe(true);
    // Its last run ends late: that does not wake it.
    expect(absorb(suspended, [run(2)]).workers.get('w')?.suspended).toBe(true);
    expect(absorb(suspended, [{ type: 'worker.started', ...W, atMs: 3 }]).workers.get('w')?.suspended).toBe(false);
    expect(absorb(suspended, [{ type: 'worker.removed', ...W, atMs: 3 }]).workers.size).toBe(0);
  });

  test('a dependency is known for each kind by itself', () => {
    const measures = after(call(1, { ms: 100 }), call(2, { ms: 900, kind: 'other', worker: 'o' }), call(3, { failed: true, ms: 9_000 }));
    expect([...measures.dependencies.keys()]).toEqual(['k/model', 'other/model']);
    const record = measures.dependencies.get('k/model')!;
    expect(Math.exp(record.latency.recent.mean)).toBeCloseTo(100, 6);
    expect(record.failures.recent).toEqual({ samples: 2, mean: 0.5 });
  });

  test('absorbing leaves the measures before it as they were, and nothing changes nothing', () => {
    const before = after(run(1));
    const frozen = structuredClone(before);
    absorb(before, [run(2), call(3), { type: 'worker.removed', ...W, atMs: 4 }]);
    expect(before).toEqual(frozen);
    expect(absorb(before, [])).toBe(before);
  });

  test('a worker costs the same after ten thousand runs as after a hundred', () => {
    const runs = (count: number): Observation[] =>
      many(count, (at) => [
        call(at, { request: `r${at}`, task: `t${at}` }),
        run(at, { ms: 1 + (at % 997), task: `t${at}`, score: 1 }),
      ]).flat();
    const bytes = (measures: Measures): number => JSON.stringify(measures.workers.get('w')).length;
    expect(bytes(after(...runs(10_000))) / bytes(after(...runs(112)))).toBeLessThan(1.5);
  });
});
