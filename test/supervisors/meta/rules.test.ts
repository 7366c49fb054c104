import { describe, expect, test } from 'vitest';
import { PolicyError } from '../../../supervisors/meta-agent/check.ts';
import { MEASURES } from '../../../supervisors/meta-agent/measures.ts';
import { defineMetaAgent } from '../../../supervisors/meta-agent/plan.ts';
import type { MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import type { RuleSpec } from '../../../supervisors/meta-agent/rules.ts';

const RULE: RuleSpec = {
  name: 'mine',
  scope: 'worker',
  measure: 'latency',
  enter: { vs: 'peers', above: 3 },
  leave: { below: 2 },
  steps: ['note', 'suspend'],
};

const refusal = (spec: unknown): PolicyError => {
  try {
    defineMetaAgent(spec as MetaAgentSpec);
  } catch (error) {
    return error as PolicyError;
  }
  throw new Error('it was not refused');
};

describe('rules', () => {
  test('what is left out is filled in', () => {
    const mine = defineMetaAgent({ rules: [RULE] }).rules.find(({ name }) => name === 'mine');
    expect(mine).toEqual({
      ...RULE,
      kinds: 'all',
      enter: { vs: 'peers', above: 3, floor: 0 },
      leave: { below: 2, forMs: 60_000 },
      forMs: 20_000,
      minSamples: 10,
      stepAfterMs: 15_000,
      scaleBy: 1,
    });
  });

  test('a rule with the name of a default rule replaces it, and one can do without others', () => {
    const { rules } = defineMetaAgent({ rules: [{ ...RULE, name: 'slow' }], without: ['failing'] });
    expect(rules.filter(({ name }) => name === 'slow')).toMatchObject([{ steps: ['note', 'suspend'] }]);
    expect(rules.map(({ name }) => name)).not.toContain('failing');
    expect(rules).toHaveLength(DEFAULT_RULES.length - 1);
  });

  test('every measure is watched by a default rule, for a worker', () => {
    const watched = new Set(DEFAULT_RULES.filter(({ scope }) => scope === 'worker').map(({ measure }) => measure));
    expect(MEASURES.filter((measure) => !watched.has(measure))).toEqual([]);
  });

  test('no two default rules have one name', () => {
    expect(new Set(DEFAULT_RULES.map(({ name }) => name)).size).toBe(DEFAULT_RULES.length);
  });

  const wrong: readonly (readonly [string, unknown, readonly string[], unknown, string])[] = [
    ['an unknown limit', { pulse: 5 }, ['pulse'], 5, 'pulseMs'],
    ['a pulse without pause', { pulseMs: 0 }, ['pulseMs'], 0, 'milliseconds, at least 10'],
    ['a share above 1', { suspendedShare: 2 }, ['suspendedShare'], 2, 'a share from 0 to 1'],
    ['half an action a minute', { actionsPerMinute: 0.5 }, ['actionsPerMinute'], 0.5, 'a whole number of commands'],
    ['an unknown default rule', { without: ['slwo'] }, ['without', '0'], 'slwo', 'slower-than-before'],
    ['rules that are no list', { rules: {} }, ['rules'], {}, 'a list of rules'],
    ['a rule that is none', { rules: [5] }, ['rules', '0'], 5, 'a rule'],
    ['an unknown field', { rules: [{ ...RULE, step: [] }] }, ['rules', '0', 'step'], [], 'stepAfterMs'],
    ['a name that is empty', { rules: [{ ...RULE, name: '' }] }, ['rules', '0', 'name'], '', '1 to 64'],
    ['a name twice', { rules: [RULE, RULE] }, ['rules', '1', 'name'], 'mine', 'no other rule'],
    ['an unknown scope', { rules: [{ ...RULE, scope: 'fleet' }] }, ['rules', '0', 'scope'], 'fleet', "'worker', 'kind'"],
    ['an unknown measure', { rules: [{ ...RULE, measure: 'latncy' }] }, ['rules', '0', 'measure'], 'latncy', "'latency-p99'"],
    ['no kinds', { rules: [{ ...RULE, kinds: [] }] }, ['rules', '0', 'kinds'], [], 'a list of names of kinds'],
    [
      'an unknown comparison',
      { rules: [{ ...RULE, enter: { vs: 'friends', above: 1 } }] },
      ['rules', '0', 'enter', 'vs'],
      'friends',
      "'peers'",
    ],
    ['no threshold', { rules: [{ ...RULE, enter: { vs: 'peers' } }] }, ['rules', '0', 'enter'], { vs: 'peers' }, 'above'],
    [
      'two thresholds',
      { rules: [{ ...RULE, enter: { vs: 'peers', above: 3, below: 1 } }] },
      ['rules', '0', 'enter'],
      expect.anything(),
      'above',
    ],
    [
      'a threshold below 0',
      { rules: [{ ...RULE, enter: { vs: 'peers', above: -3 } }] },
      ['rules', '0', 'enter', 'above'],
      -3,
      'at least 0',
    ],
    [
      'a threshold that is no number',
      { rules: [{ ...RULE, enter: { vs: 'peers', above: NaN } }] },
      ['rules', '0', 'enter', 'above'],
      NaN,
      'a number',
    ],
    [
      'leaving within what enters',
      { rules: [{ ...RULE, leave: { below: 4 } }] },
      ['rules', '0', 'leave'],
      { below: 4 },
      'not within what enters',
    ],
    ['leaving on the wrong side', { rules: [{ ...RULE, leave: { above: 2 } }] }, ['rules', '0', 'leave'], { above: 2 }, 'below'],
    ['no steps', { rules: [{ ...RULE, steps: [] }] }, ['rules', '0', 'steps'], [], "'open-breaker'"],
    ['a step twice', { rules: [{ ...RULE, steps: ['note', 'note'] }] }, ['rules', '0', 'steps'], ['note', 'note'], 'each once'],
    ['an unknown step', { rules: [{ ...RULE, steps: ['kill'] }] }, ['rules', '0', 'steps', '0'], 'kill', "'restart'"],
    ['no samples', { rules: [{ ...RULE, minSamples: 0 }] }, ['rules', '0', 'minSamples'], 0, 'at least 1'],
    ['time that runs back', { rules: [{ ...RULE, forMs: -1 }] }, ['rules', '0', 'forMs'], -1, 'milliseconds, at least 0'],
    ['scaling by nothing', { rules: [{ ...RULE, scaleBy: 0 }] }, ['rules', '0', 'scaleBy'], 0, 'other than 0'],
    [
      'a kind with peers',
      { rules: [{ ...RULE, scope: 'kind', steps: ['note'] }] },
      ['rules', '0', 'enter', 'vs'],
      'peers',
      'a kind has no peers',
    ],
    [
      'a kind that is suspended',
      { rules: [{ ...RULE, scope: 'kind', enter: { vs: 'own-history', above: 3 } }] },
      ['rules', '0', 'steps', '1'],
      'suspend',
      'those are for a worker',
    ],
  ];

  test.each(wrong)('%s is refused by path, value and what is allowed', (_, spec, path, value, allowed) => {
    const error = refusal(spec);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error.code).toBe('DROVER_POLICY');
    expect(error.detail.path).toEqual(['metaAgent', ...path]);
    expect(error.detail.value).toEqual(value);
    expect(error.detail.expected).toContain(allowed);
    expect(error.message.startsWith(`metaAgent.${path.join('.')}: expected `)).toBe(true);
  });

  test.each([null, 5, 'rules', []])('%j is no spec', (spec) => {
    expect(refusal(spec).detail.path).toEqual(['metaAgent']);
  });
});
