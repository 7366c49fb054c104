/** Histories of calls, crashes, operators and clocks against a small model, and what holds in all of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayIssue, nextAtMs } from '../../../actors/breaker/breaker.ts';
import type { BreakerResult, BreakerSpec } from '../../../actors/breaker/breaker.ts';
import { Subject } from './subject.ts';

interface ModelSpec {
  readonly failures: number;
  readonly probes: number;
  readonly probeMs: number;
  readonly baseMs: number;
  readonly quality: { readonly below: number; readonly outOf: number };
}

/** Failures in a row and quality, as the words say it: lists, and no thought of cost. The clock never goes back. */
class Model {
  at = 'closed';
  nowMs = 0;
  /** Of whatever began last. */
  sinceMs = 0;
  row = 0;
  untilMs = 0;
  /** What each call of the present closed or half-open time was, and when it went out. */
  out = new Map<object, number>();
  goods = 0;
  failures: boolean[] = [];
  scores: number[] = [];
  handles = 0;
  readonly spec: ModelSpec;

  constructor(spec: ModelSpec) {
    this.spec = spec;
  }

  begin(at: string, atMs = this.nowMs): void {
    [this.at, this.sinceMs, this.goods, this.failures, this.scores] = [at, atMs, 0, [], []];
    this.out = new Map();
  }

  open(atMs = this.nowMs, grows = true): void {
    if (grows) this.row += 1;
    this.begin('open', atMs);
    this.untilMs = atMs + Math.min(300_000, this.spec.baseMs * 2 ** (this.row - 1));
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (;;) {
      const lost = this.at === 'half-open' ? [...this.out.values()].map((sinceMs) => sinceMs + this.spec.probeMs) : [];
      const lostAtMs = Math.min(...lost);
      if (this.at === 'open' && this.nowMs >= this.untilMs) this.begin('half-open');
      else if (this.nowMs >= lostAtMs) this.open(lostAtMs);
      else return;
    }
  }

  ask(): object | undefined {
    const mayGo = this.at === 'closed' || (this.at === 'half-open' && this.goods + this.out.size < this.spec.probes);
    if (!mayGo) return undefined;
    const call = {};
    this.out.set(call, this.nowMs);
    return call;
  }

  end(call: object, result: BreakerResult, score: number | undefined): void {
    if (!this.out.delete(call) || result === 'unused') return;
    const poor = (mean: number | undefined): boolean => mean !== undefined && mean < this.spec.quality.below - 1e-9;
    if (this.at === 'half-open') {
      if (result === 'failure' || (result === 'success' && poor(score))) return this.open();
      this.goods += 1;
      if (this.goods === this.spec.probes) this.begin('closed');
      return;
    }
    if (result === 'ignored') return;
    this.failures.push(result === 'failure');
    if (result === 'success' && score !== undefined) this.scores.push(score);
    const last = this.scores.slice(-this.spec.quality.outOf);
    const garbage = result === 'success' && last.length === this.spec.quality.outOf && poor(last.reduce((a, b) => a + b, 0) / last.length);
    const failing = this.failures.length >= this.spec.failures && this.failures.slice(-this.spec.failures).every(Boolean);
    if (failing || garbage) this.trip();
  }

  /** Opens, if it is closed: the first in a row when it was closed for as long as it last rested. */
  trip(): void {
    if (this.at !== 'closed') return;
    const restedMs = this.row === 0 ? 0 : Math.min(300_000, this.spec.baseMs * 2 ** (this.row - 1));
    if (this.nowMs - this.sinceMs >= restedMs) this.row = 0;
    this.open();
  }

  isolate(): void {
    this.handles += 1;
    if (this.handles === 1) this.begin('isolated');
  }

  release(): void {
    if (this.handles === 1) this.reset();
    else if (this.handles > 1) this.handles -= 1;
  }

  reset(): void {
    [this.row, this.handles] = [0, 0];
    this.begin('closed');
  }

  crash(afterMs: number): void {
    this.pass(afterMs);
    if (this.at !== 'half-open') return;
    const leasesEndMs = [...this.out.values()].map((sinceMs) => sinceMs + this.spec.probeMs);
    if (leasesEndMs.length === 0) return this.begin('half-open');
    this.open(this.nowMs, false);
    this.untilMs = Math.max(this.untilMs, ...leasesEndMs);
  }
}

type Step =
  | { readonly at: 'pass' | 'back' | 'crash'; readonly ms: number }
  | { readonly at: 'ask'; readonly chance: number }
  | { readonly at: 'end' | 'lose'; readonly which: number; readonly result: BreakerResult; readonly score: number | undefined }
  | { readonly at: 'isolate' | 'release' | 'reset' | 'trip' };

const someMs = fc.oneof(fc.nat(50), fc.nat(2_000), fc.nat(100_000));
const endArbitrary = (at: 'end' | 'lose'): fc.Arbitrary<Step> =>
  fc.record({
    at: fc.constant(at),
    which: fc.nat(1_000),
    result: fc.constantFrom<BreakerResult[]>('failure', 'failure', 'success', 'success', 'ignored', 'unused'),
    score: fc.constantFrom(undefined, 0, 0.25, 0.5, 1),
  });
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ at: fc.constant('ask' as const), chance: fc.double({ min: 0, max: 0.999, noNaN: true }) }) },
  { weight: 10, arbitrary: endArbitrary('end') },
  { weight: 1, arbitrary: endArbitrary('lose') },
  { weight: 6, arbitrary: fc.record({ at: fc.constant('pass' as const), ms: someMs }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('crash' as const), ms: someMs }) },
  {
    weight: 1,
    arbitrary: fc.record({
      at: fc.constantFrom('isolate' as const, 'release' as const, 'release' as const, 'reset' as const, 'trip' as const),
    }),
  },
);
const backArbitrary: fc.Arbitrary<Step> = fc.record({ at: fc.constant('back' as const), ms: someMs });
const history = (step: fc.Arbitrary<Step>) => fc.array(step, { maxLength: 150, size: 'max' });

const modelSpec: fc.Arbitrary<ModelSpec> = fc.record({
  failures: fc.integer({ min: 1, max: 4 }),
  probes: fc.integer({ min: 1, max: 3 }),
  probeMs: fc.integer({ min: 1, max: 3_000 }),
  baseMs: fc.integer({ min: 1, max: 3_000 }),
  quality: fc.record({ below: fc.constantFrom(0.25, 0.5, 1), outOf: fc.integer({ min: 1, max: 4 }) }),
});

const anySpec: fc.Arbitrary<BreakerSpec> = fc.record(
  {
    failures: fc.integer({ min: 1, max: 4 }),
    sampling: fc.record({
      share: fc.constantFrom(0, 0.3, 0.5),
      windowMs: fc.integer({ min: 10, max: 5_000 }),
      least: fc.integer({ min: 1, max: 6 }),
    }),
    soft: fc.record({ k: fc.constantFrom(1.5, 2), windowMs: fc.integer({ min: 10, max: 5_000 }) }),
    resetAfterMs: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.record({ baseMs: fc.integer({ min: 1, max: 3_000 }) })),
    probes: fc.integer({ min: 1, max: 4 }),
    probeMs: fc.integer({ min: 1, max: 3_000 }),
    quality: fc.record({ below: fc.constantFrom(0.25, 0.5, 1), outOf: fc.integer({ min: 1, max: 4 }) }),
  },
  { requiredKeys: [] },
);

/** Does one step to a breaker. Calls that are out are kept in `out`; one that has ended stays there, so that it ends again. */
function perform(subject: Subject, step: Step, out: number[]): void {
  switch (step.at) {
    case 'pass':
      return subject.pass(step.ms);
    case 'back':
      return subject.pass(-step.ms);
    case 'crash':
      return subject.crash(step.ms);
    case 'ask': {
      const ticket = subject.ask(step.chance);
      if (ticket !== undefined) out.push(ticket);
      return;
    }
    case 'end':
      if (out.length > 0) subject.end(out[step.which % out.length]!, step.result, step.score);
      return;
    case 'lose':
      if (out.length > 0) out.splice(step.which % out.length, 1);
      return;
    default:
      subject[step.at]();
  }
}

describe('a breaker of failures and quality', () => {
  test('goes where the model goes, through any history', () => {
    fc.assert(
      fc.property(modelSpec, history(stepArbitrary), (spec, steps) => {
        const { baseMs, ...rest } = spec;
        const subject = new Subject({ ...rest, resetAfterMs: { baseMs } });
        const model = new Model(spec);
        const out: { ticket: number; call: object }[] = [];
        for (const step of steps) {
          switch (step.at) {
            case 'pass':
              subject.pass(step.ms);
              model.pass(step.ms);
              break;
            case 'crash':
              subject.crash(step.ms);
              model.crash(step.ms);
              break;
            case 'ask': {
              const [ticket, call] = [subject.ask(step.chance), model.ask()];
              expect(ticket !== undefined).toBe(call !== undefined);
              if (ticket !== undefined) out.push({ ticket, call: call! });
              break;
            }
            case 'end': {
              if (out.length === 0) break;
              // A probe may come home twice, and counts once. Any other call is said to have ended once.
              const at = step.which % out.length;
              const { ticket, call } = out[at]!;
              if (ticket < 0) out.splice(at, 1);
              subject.end(ticket, step.result, step.score);
              model.end(call, step.result, step.score);
              break;
            }
            case 'lose':
            case 'back':
              break;
            default:
              subject[step.at]();
              model[step.at]();
          }
          expect(subject.at).toBe(model.at);
          expect(subject.look.openings).toBe(model.row);
          if (model.at === 'open') expect(subject.look.untilMs).toBe(model.untilMs);
          if (model.at === 'half-open') expect(subject.look.probesOut).toBe(model.out.size);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('S8', () => {
  test('open: no call is issued. Half-open: at most its probes are out', () => {
    fc.assert(
      fc.property(
        anySpec,
        history(fc.oneof({ weight: 30, arbitrary: stepArbitrary }, { weight: 1, arbitrary: backArbitrary })),
        (spec, steps) => {
          const subject = new Subject(spec);
          const out: number[] = [];
          let probes = new Set<number>();
          let time = '';
          for (const step of steps) {
            const before = out.length;
            perform(subject, step, out);
            // By its number of openings too: a pause can be long enough for a lost probe, a rest and half-open again.
            const now = `${subject.conditions.length} ${subject.look.openings}`;
            if (now !== time) probes = new Set();
            time = now;
            if (step.at === 'end' && before > 0) probes.delete(out[step.which % before]!);
            if (out.length > before) {
              expect(['closed', 'half-open']).toContain(subject.at);
              if (subject.at === 'half-open') probes.add(out.at(-1)!);
            }
            expect(probes.size).toBeLessThanOrEqual(spec.probes ?? 1);
            if (subject.at === 'open' || subject.at === 'isolated')
              for (const chance of [0, 0.5, 1 - 2 ** -53]) expect(mayIssue(subject.breaker, chance)).toBe('no');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('L4', () => {
  const anyStep = fc.oneof({ weight: 20, arbitrary: stepArbitrary }, { weight: 1, arbitrary: backArbitrary });

  test('once faults stop and handles are released, it closes, whatever happened before', () => {
    fc.assert(
      fc.property(anySpec, history(anyStep), (spec, steps) => {
        const subject = new Subject(spec);
        const out: number[] = [];
        for (const step of steps) perform(subject, step, out);
        for (let handle = 0; handle < steps.length; handle += 1) subject.release();
        // What is out stays lost. A lease, a rest, and the probes; the first may be under way when faults stop.
        for (let round = 0; subject.at !== 'closed' && round < 4; round += 1) {
          const dueAtMs = nextAtMs(subject.breaker);
          if (dueAtMs !== undefined) {
            expect(dueAtMs - subject.nowMs).toBeLessThanOrEqual(300_000);
            subject.pass(dueAtMs - subject.nowMs);
          }
          subject.calls(spec.probes ?? 1, 'success', 1);
        }
        expect(subject.at).toBe('closed');
      }),
      { numRuns: 500 },
    );
  });

  test('and stays closed: calls that were out before do not open it again', () => {
    fc.assert(
      fc.property(anySpec, history(anyStep), (spec, steps) => {
        const subject = new Subject(spec);
        const out: number[] = [];
        for (const step of steps) perform(subject, step, out);
        subject.isolate();
        subject.reset();
        for (const ticket of out) subject.end(ticket, 'failure');
        for (const ticket of out) subject.end(ticket, 'success', 0);
        expect(subject.at).toBe('closed');
      }),
      { numRuns: 200 },
    );
  });
});
