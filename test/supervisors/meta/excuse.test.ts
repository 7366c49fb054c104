import { describe, expect, test } from 'vitest';
import type { Anomaly } from '../../../supervisors/meta-agent/anomaly.ts';
import { excuse } from '../../../supervisors/meta-agent/excuse.ts';
import { defineMetaAgent } from '../../../supervisors/meta-agent/plan.ts';
import type { Rule } from '../../../supervisors/meta-agent/rules.ts';

const PLAN = defineMetaAgent();
const rule = (name: string): Rule => PLAN.rules.find((one) => one.name === name)!;
const open = (name: string, sinceMs: number, kind = 'k'): Anomaly => ({
  at: 'open',
  rule: name,
  kind,
  sinceMs,
  taken: 0,
  steppedAtMs: 0,
  waiting: false,
});
const of = (name: string, bad: number, judged: number, anomalies: readonly Anomaly[] = [], nowMs = 0) =>
  excuse(rule(name), 'k', { found: [], bad, judged }, 20, anomalies, PLAN, nowMs);

describe('an excuse for workers', () => {
  test('more than the share of those that can be judged are bad', () => {
    expect(of('slow', 6, 20)).toBeUndefined();
    expect(of('slow', 7, 20)).toBe('7 of 20 workers are as bad: it is the kind');
    expect(of('slow', 4, 10)).toBeDefined();
  });

  test('by an absolute measure the share is of all: who is not busy is no worse for it', () => {
    expect(of('repeating-itself', 2, 3)).toBeUndefined();
    expect(of('repeating-itself', 7, 7)).toBeDefined();
  });

  test('one alone is no kind', () => {
    expect(of('slow', 1, 1)).toBeUndefined();
  });

  test('its kind is bad by the same measure', () => {
    expect(of('slower-than-before', 1, 20, [open('kind-slow', 0)], 1e9)).toBe('kind-slow holds for the whole kind');
    expect(of('failing-more', 1, 20, [open('kind-slow', 0)])).toBeUndefined();
    expect(of('slower-than-before', 1, 20, [open('kind-slow', 0, 'other')])).toBeUndefined();
  });

  test('against peers only while the change spreads: later the odd one is odd all the same', () => {
    expect(of('slow', 1, 20, [open('kind-slow', 0)], 60_000)).toBeDefined();
    expect(of('slow', 1, 20, [open('kind-slow', 0)], 60_001)).toBeUndefined();
  });

  test('a suspicion about the kind is enough, a kind that recovers is none', () => {
    expect(of('slower-than-before', 1, 20, [{ at: 'suspected', rule: 'kind-slow', kind: 'k', sinceMs: 0 }])).toBeDefined();
    const { at: _, ...rest } = open('kind-slow', 0) as Extract<Anomaly, { readonly at: 'open' }>;
    expect(of('slower-than-before', 1, 20, [{ ...rest, at: 'recovering', goodSinceMs: 0 }])).toBeUndefined();
  });

  test('what is bad about another worker excuses nobody', () => {
    expect(of('slow', 1, 20, [{ ...open('slow', 0), worker: 'w' }])).toBeUndefined();
  });
});
