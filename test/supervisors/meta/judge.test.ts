import { test as propertyTest, fc } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { judge, mostSuspended } from '../../../supervisors/meta-agent/judge.ts';
import { answer, NOTHING_KNOWN } from '../../../supervisors/meta-agent/watch.ts';
import type { Decision, Watch } from '../../../supervisors/meta-agent/watch.ts';
import { absorb, NO_MEASURES } from '../../../supervisors/meta-agent/measures.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';
import { targetOf } from '../../../supervisors/meta-agent/operator.ts';
import type { OperatorCommand } from '../../../supervisors/meta-agent/operator.ts';
import { defineMetaAgent } from '../../../supervisors/meta-agent/plan.ts';
import type { MetaAgentPlan, MetaAgentSpec } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import type { RuleSpec } from '../../../supervisors/meta-agent/rules.ts';

const FAILING: RuleSpec = {
  name: 'failing',
  scope: 'worker',
  measure: 'error-rate',
  enter: { vs: 'absolute', above: 0.5 },
  leave: { below: 0.2 },
  forMs: 0,
  minSamples: 1,
  stepAfterMs: 0,
  steps: ['suspend'],
};
const POOR: RuleSpec = {
  ...FAILING,
  name: 'poor',
  measure: 'score',
  enter: { vs: 'absolute', below: 0.5 },
  leave: { above: 0.6 },
  steps: ['restart'],
};

const ONLY = { without: DEFAULT_RULES.map(({ name }) => name), kindShare: 1, restMs: 0, actionsPerMinute: 1_000, suspendedShare: 1 };
const plan = (...rules: readonly RuleSpec[]): MetaAgentPlan => defineMetaAgent({ ...ONLY, rules });
const limited = (spec: MetaAgentSpec, ...rules: readonly RuleSpec[]): MetaAgentPlan => defineMetaAgent({ ...ONLY, rules, ...spec });

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `w${at}`);
const run = (worker: string, bad: boolean, more: Partial<Extract<Observation, { readonly type: 'run.ended' }>> = {}): Observation => ({
  type: 'run.ended',
  atMs: 0,
  worker,
  kind: 'k',
  task: 't',
  ms: 100,
  outcome: bad ? 'rejected' : 'completed',
  score: bad ? 0 : 1,
  usd: 0,
  tokens: 0,
  ...more,
});

/** A kind of `count` workers with one run each, of which the first `bad` were bad. */
function fleet(count: number, bad: number, more: readonly Observation[] = []): Watch {
  const runs = names(count).map((worker, at) => run(worker, at < bad));
  return { ...NOTHING_KNOWN, measures: absorb(NO_MEASURES, [...runs, ...more]) };
}

const hearing = (watch: Watch, observations: readonly Observation[]): Watch => ({
  ...watch,
  measures: absorb(watch.measures, observations),
});

const orders = (commands: readonly OperatorCommand[]): readonly string[] =>
  commands.map((command) => `${command.type.slice('operator.'.length)} ${targetOf(command)}`);
const told = (decisions: readonly Decision[]): readonly string[] =>
  decisions.map(({ rule, worker, kind, decided }) => `${rule} ${worker ?? kind} ${decided.at}`);

describe('a judgement', () => {
  test('a bad worker is found, told with all the evidence, and commanded about', () => {
    const { commands, decisions } = judge(fleet(5, 1), plan(FAILING), 7_000);
    expect(commands).toEqual([{ type: 'operator.suspend', worker: 'w0', reason: 'health', id: 1, why: 'failing: error-rate of w0 is 1' }]);
    const evidence = {
      measure: 'error-rate',
      value: 1,
      vs: 'absolute',
      compared: 1,
      threshold: { above: 0.5 },
      samples: 1,
      workers: 1,
      sinceMs: 7_000,
    };
    const about = { atMs: 7_000, rule: 'failing', kind: 'k', worker: 'w0', evidence };
    const order = { type: 'operator.suspend', worker: 'w0', reason: 'health' };
    expect(decisions).toEqual([
      { ...about, decided: { at: 'entered' } },
      { ...about, decided: { at: 'stepped', step: 'suspend', order, id: 1 } },
    ]);
  });

  test('against peers the evidence says how many, and what they are like', () => {
    const slow: RuleSpec = { ...FAILING, name: 'slow', measure: 'latency', enter: { vs: 'peers', above: 3 }, leave: { below: 2 } };
    const { commands, decisions } = judge(fleet(5, 0, [run('w0', false, { ms: 9_000_000 })]), plan(slow), 0);
    expect(decisions[0]!.evidence).toMatchObject({ vs: 'peers', workers: 4, samples: 2, threshold: { above: 3 } });
    expect(decisions[0]!.evidence!.reference).toBeCloseTo(100, 6);
    expect(commands[0]!.why).toMatch(/^slow: latency of w0 is 30000, 300 times that of its peers, 100$/);
  });

  test.each([1, 2, 3])('a kind of %d has no peers to be compared with', (count) => {
    const rule: RuleSpec = { ...FAILING, enter: { vs: 'peers', above: 2, floor: 0.1 } };
    expect(judge(fleet(count, 1), plan(rule), 0).decisions).toEqual([]);
    expect(judge(fleet(4, 1), plan(rule), 0).commands).toHaveLength(1);
  });

  test('too few samples say nothing', () => {
    expect(judge(fleet(5, 1), plan({ ...FAILING, minSamples: 2 }), 0).decisions).toEqual([]);
  });

  test('a rule for some kinds leaves the others alone', () => {
    expect(judge(fleet(5, 1), plan({ ...FAILING, kinds: ['other'] }), 0).decisions).toEqual([]);
    expect(judge(fleet(5, 1), plan({ ...FAILING, kinds: ['k'] }), 0).commands).toHaveLength(1);
  });

  test('recovery is told, once, with what it is like now', () => {
    const rules = plan({ ...FAILING, steps: ['note'], leave: { below: 0.2, forMs: 1_000 } });
    const bad = judge(fleet(5, 1), rules, 0);
    const good = {
      ...bad.watch,
      measures: absorb(
        bad.watch.measures,
        Array.from({ length: 60 }, () => run('w0', false)),
      ),
    };
    const recovering = judge(good, rules, 10);
    expect(recovering.decisions).toEqual([]);
    const recovered = judge(recovering.watch, rules, 1_010);
    expect(told(recovered.decisions)).toEqual(['failing w0 recovered']);
    expect(judge(recovered.watch, rules, 2_000).decisions).toEqual([]);
    expect(recovered.watch.anomalies.size).toBe(0);
  });

  test('a worker that was removed is forgotten with all that was going on about it', () => {
    const { watch } = judge(fleet(5, 1), plan({ ...FAILING, steps: ['note', 'restart'] }), 0);
    expect(watch.anomalies.size).toBe(1);
    const removed = { ...watch, measures: absorb(watch.measures, [{ type: 'worker.removed', atMs: 1, worker: 'w0', kind: 'k' }]) };
    expect(judge(removed, plan(FAILING), 1).watch.anomalies.size).toBe(0);
  });

  test('quality is the reason when what it makes is poor, health otherwise', () => {
    const { commands } = judge(fleet(5, 1), plan({ ...POOR, steps: ['suspend'] }), 0);
    expect(commands).toMatchObject([{ type: 'operator.suspend', reason: 'quality' }]);
  });

  test('it leaves what it was given as it was', () => {
    const watch = fleet(5, 2);
    const before = structuredClone(watch);
    judge(watch, plan(FAILING, POOR), 0);
    expect(watch).toEqual(before);
  });
});

describe('what bounds it', () => {
  test('two rules about one worker: one command, and the other has its turn after a rest', () => {
    const rules = limited({ restMs: 10_000 }, POOR, FAILING);
    const first = judge(fleet(5, 1), rules, 0);
    expect(orders(first.commands)).toEqual(['restart worker w0']);
    expect(told(first.decisions)).toContain('failing w0 waiting');
    const second = judge(first.watch, rules, 9_999);
    expect(second.commands).toEqual([]);
    expect(second.decisions).toEqual([]);
    expect(orders(judge(second.watch, rules, 10_000).commands)).toEqual(['suspend worker w0']);
  });

  test('so many commands a minute over the fleet, the others wait for room', () => {
    const rules = limited({ actionsPerMinute: 3 }, { ...FAILING, steps: ['restart'] });
    const first = judge(fleet(10, 5), rules, 0);
    expect(orders(first.commands)).toEqual(['restart worker w0', 'restart worker w1', 'restart worker w2']);
    expect(told(first.decisions).filter((line) => line.endsWith('waiting'))).toHaveLength(2);
    const full = judge(first.watch, rules, 59_999);
    expect(full).toMatchObject({ commands: [], decisions: [] });
    expect(orders(judge(full.watch, rules, 60_000).commands)).toEqual(['restart worker w3', 'restart worker w4']);
  });

  test('at most a share of a kind is suspended; for the others a person is called', () => {
    const rules = limited({ suspendedShare: 0.25 }, { ...FAILING, steps: ['suspend', 'call-person'] });
    const { commands, decisions } = judge(fleet(20, 8), rules, 0);
    expect(orders(commands).filter((order) => order.startsWith('suspend'))).toHaveLength(5);
    expect(orders(commands).filter((order) => order.startsWith('call-person'))).toHaveLength(3);
    expect(decisions.find(({ decided }) => decided.at === 'passed-over')?.decided).toMatchObject({
      why: '5 of 20 are suspended, and 5 may be',
    });
  });

  test('the only worker that has anything to do does not spend more than its idle peers', () => {
    const rules = defineMetaAgent({ restMs: 0 });
    const minute = (worker: string, at: number): readonly Observation[] => {
      const about = { worker, kind: 'k', task: `${at}` };
      const call = {
        type: 'call.ended',
        ...about,
        dependency: 'model',
        ms: 1_000,
        failed: false,
        usd: 0.01,
        tokens: 1_000,
        request: `${at}`,
      } as const;
      return [
        { type: 'run.started', atMs: at, ...about },
        { ...call, atMs: at + 1_500 },
        { type: 'run.ended', atMs: at + 2_000, ...about, ms: 2_000, outcome: 'completed', score: 1, usd: 0, tokens: 0 },
      ];
    };
    // All had something to do once; then w0 alone, for ten minutes without a break.
    const once = names(6).flatMap((worker) => Array.from({ length: 15 }, (_, at) => minute(worker, at * 2_000)).flat());
    let watch: Watch = hearing({ ...NOTHING_KNOWN, measures: NO_MEASURES }, once);
    for (let at = 30_000; at < 630_000; at += 2_000) {
      const judgement = judge(hearing(watch, minute('w0', at)), rules, at + 2_000);
      expect(judgement.decisions).toEqual([]);
      watch = judgement.watch;
    }
  });

  test('those who were suspended by somebody else count too', () => {
    const others: Observation[] = names(5).map((worker) => ({ type: 'worker.suspended', atMs: 0, worker, kind: 'k' }));
    const rules = limited({ suspendedShare: 0.25 }, FAILING);
    expect(judge(fleet(20, 8, others), rules, 0).commands).toEqual([]);
  });

  test.each([
    [1, 0.25, 0],
    [2, 0.25, 1],
    [3, 0.25, 1],
    [20, 0.25, 5],
    [20, 0.999, 19],
    [2, 1, 2],
    [1, 1, 1],
    [20, 0, 0],
  ])('of %d workers with a share of %d at most %d are suspended', (workers, share, most) => {
    expect(mostSuspended(workers, share)).toBe(most);
  });

  test('when most of a kind is bad it is not the workers: nothing is done to them, and that is told once', () => {
    const rules = limited({ kindShare: 0.3 }, FAILING);
    const first = judge(fleet(20, 7), rules, 0);
    expect(first.commands).toEqual([]);
    expect(first.decisions).toEqual([
      { atMs: 0, rule: 'failing', kind: 'k', decided: { at: 'excused', why: '7 of 20 workers are as bad: it is the kind' } },
    ]);
    expect(judge(first.watch, rules, 1_000)).toMatchObject({ commands: [], decisions: [] });
    expect(judge(fleet(20, 6), rules, 0).commands).toHaveLength(6);
  });

  test('a lone bad worker of three is no kind', () => {
    expect(judge(fleet(3, 1), limited({ kindShare: 0.3 }, FAILING), 0).commands).toHaveLength(1);
  });

  const step = fc.record({
    bad: fc.subarray([...names(12)]),
    good: fc.subarray([...names(12)]),
    waitMs: fc.integer({ min: 0, max: 30_000 }),
    refuse: fc.boolean(),
  });
  propertyTest.prop([fc.array(step, { maxLength: 40 })], { numRuns: 500 })('whatever happens, its bounds hold', (steps) => {
    const rules = limited(
      { suspendedShare: 0.25, actionsPerMinute: 4, restMs: 5_000, kindShare: 1 },
      { ...FAILING, steps: ['note', 'restart', 'suspend', 'call-person'] },
      { ...POOR, steps: ['restart', 'suspend', 'scale'] },
    );
    let watch = fleet(12, 0);
    let nowMs = 0;
    const given: { readonly atMs: number; readonly target: string }[] = [];
    const suspended = new Set<string>();
    for (const { bad, good, waitMs, refuse } of steps) {
      nowMs += waitMs;
      const ran = [...good.map((worker) => run(worker, false)), ...bad.flatMap((worker) => [run(worker, true), run(worker, true)])];
      const heard = ran.filter(({ worker }) => !suspended.has(worker));
      const judgement = judge(hearing(watch, heard), rules, nowMs);
      watch = judgement.watch;
      expect(new Set(judgement.commands.map(targetOf)).size).toBe(judgement.commands.length);
      for (const command of judgement.commands) {
        expect(given.some(({ atMs, target }) => target === targetOf(command) && nowMs - atMs < 5_000)).toBe(false);
        given.push({ atMs: nowMs, target: targetOf(command) });
        watch = answer(watch, command, !refuse, nowMs);
        if (command.type === 'operator.suspend' && !refuse) suspended.add(command.worker);
      }
      expect(given.filter(({ atMs }) => nowMs - atMs < 60_000).length).toBeLessThanOrEqual(4);
      expect(suspended.size).toBeLessThanOrEqual(3);
    }
  });
});

describe('steps', () => {
  const kindRule: RuleSpec = { ...FAILING, name: 'kind-failing', scope: 'kind', steps: ['open-breaker', 'call-person'] };
  const calls = (kind: string, dependency: string, ms: number, atMs: number, count = 400): readonly Observation[] =>
    Array.from({ length: count }, (_, at) => ({
      type: 'call.ended',
      atMs: atMs + at,
      worker: 'w0',
      kind,
      task: 't',
      dependency,
      ms,
      failed: false,
      usd: 0,
      tokens: 0,
      request: `${at}`,
    }));
  const changed = [
    ...calls('k', 'model', 100, 0),
    ...calls('k', 'search', 100, 0),
    ...calls('k', 'model', 1_000, 1_000, 60),
    ...calls('k', 'search', 120, 1_000, 60),
  ];

  test('the breaker that is opened is that of the dependency that has changed most', () => {
    const { commands } = judge(fleet(5, 5, changed), plan(kindRule), 0);
    expect(commands).toMatchObject([{ type: 'operator.open-breaker', dependency: 'model', kind: 'k' }]);
  });

  test('when no dependency has changed there is none to open, and a person is called at once', () => {
    const { commands, decisions } = judge(fleet(5, 5, calls('k', 'model', 100, 0)), plan(kindRule), 0);
    expect(orders(commands)).toEqual(['call-person person for k']);
    expect(told(decisions)).toEqual(['kind-failing k entered', 'kind-failing k passed-over', 'kind-failing k stepped']);
  });

  test('two kinds that suffer from one dependency open its breaker once', () => {
    const other = names(5).map((worker) => run(`o${worker}`, true, { kind: 'other' }));
    const same = changed.map((call) => ({ ...call, worker: 'ow0', kind: 'other' }));
    const { commands } = judge(fleet(5, 5, [...changed, ...other, ...same]), plan({ ...kindRule, steps: ['open-breaker'] }), 0);
    expect(orders(commands)).toEqual(['open-breaker dependency model']);
  });

  test('scaling goes from the workers there are, suspended ones included, and never below one', () => {
    const scale = (scaleBy: number, count: number) =>
      judge(fleet(count, count), plan({ ...kindRule, steps: ['scale'], scaleBy }), 0).commands;
    expect(scale(2, 5)).toMatchObject([{ type: 'operator.scale', kind: 'k', replicas: 7 }]);
    expect(scale(-2, 5)).toMatchObject([{ replicas: 3 }]);
    expect(scale(-9, 5)).toMatchObject([{ replicas: 1 }]);
  });

  test('a refused command has had its turn: the next step follows', () => {
    const rules = plan({ ...FAILING, steps: ['restart', 'suspend'] });
    const first = judge(fleet(5, 1), rules, 0);
    const refused = answer(first.watch, first.commands[0]!, false, 1);
    expect(orders(judge(refused, rules, 1).commands)).toEqual(['suspend worker w0']);
  });

  test('after a restart it is judged by what it does from then on', () => {
    const rules = plan({ ...FAILING, steps: ['restart', 'suspend'] });
    const first = judge(fleet(5, 1), rules, 0);
    const restarted = answer(first.watch, first.commands[0]!, true, 1);
    expect(judge(restarted, rules, 1_000).commands).toEqual([]);
    const again = { ...restarted, measures: absorb(restarted.measures, [run('w0', true)]) };
    expect(orders(judge(again, rules, 1_001).commands)).toEqual(['suspend worker w0']);
  });

  test('a suspended worker is left alone, and goes on with the next step when it comes back as bad', () => {
    const rules = plan({ ...FAILING, steps: ['suspend', 'call-person'] });
    const first = judge(fleet(5, 1), rules, 0);
    const suspended = answer(first.watch, first.commands[0]!, true, 1);
    const late = { ...suspended, measures: absorb(suspended.measures, [run('w0', true)]) };
    expect(judge(late, rules, 1_000)).toMatchObject({ commands: [], decisions: [] });
    const back = absorb(late.measures, [{ type: 'worker.started', atMs: 2_000, worker: 'w0', kind: 'k' }, run('w0', true)]);
    expect(orders(judge({ ...late, measures: back }, rules, 2_000).commands)).toEqual(['call-person person for w0']);
  });

  test('one that comes back as bad after the last step is suspended again, and nobody is called twice', () => {
    const rules = plan({ ...FAILING, steps: ['suspend', 'call-person'] });
    let { watch, commands } = judge(fleet(5, 1), rules, 0);
    const given: string[] = [];
    for (let nowMs = 1_000; nowMs < 300_000; nowMs += 1_000) {
      given.push(...orders(commands));
      for (const command of commands) watch = answer(watch, command, true, nowMs);
      // A minute later it is resumed, and is as bad as ever.
      const started = nowMs % 60_000 === 0 ? [{ type: 'worker.started', atMs: nowMs, worker: 'w0', kind: 'k' } as const] : [];
      const working = watch.measures.workers.get('w0')!.suspended && started.length === 0 ? [] : [...started, run('w0', true)];
      ({ watch, commands } = judge({ ...watch, measures: absorb(watch.measures, working) }, rules, nowMs));
    }
    expect(given).toEqual(['suspend worker w0', 'call-person person for w0', ...Array.from({ length: 4 }, () => 'suspend worker w0')]);
  });

  test('a task that stands still on two workers is to blame itself: the second is not restarted for it', () => {
    const stuck: RuleSpec = {
      ...FAILING,
      measure: 'operations-without-progress',
      enter: { vs: 'absolute', above: 2 },
      leave: { below: 1 },
      steps: ['restart', 'call-person'],
    };
    const loop = (worker: string, task: string): readonly Observation[] =>
      Array.from({ length: 5 }, () => ({ type: 'operation', atMs: 0, worker, kind: 'k', task, progressed: false }) as const);
    const first = judge(fleet(9, 0, loop('w0', 'poison')), plan(stuck), 0);
    expect(orders(first.commands)).toEqual(['restart worker w0']);
    const after = answer(first.watch, first.commands[0]!, true, 1);
    const second = judge({ ...after, measures: absorb(after.measures, [...loop('w1', 'poison'), ...loop('w2', 'other')]) }, plan(stuck), 2);
    expect(orders(second.commands)).toEqual(['call-person person for w1', 'restart worker w2']);
    expect(second.decisions.find(({ decided }) => decided.at === 'passed-over')?.decided).toMatchObject({
      why: expect.stringContaining('it is the task'),
    });
  });

  test('when what a worker was suspended for turns out to be the whole kind, it comes back', () => {
    const rules = plan(FAILING, { ...kindRule, steps: ['note'] });
    const first = judge(fleet(5, 1), plan(FAILING), 0);
    const suspended = answer(first.watch, first.commands[0]!, true, 1);
    const outage = {
      ...suspended,
      measures: absorb(
        suspended.measures,
        names(5)
          .slice(1)
          .flatMap((worker) => [run(worker, true), run(worker, true), run(worker, true)]),
      ),
    };
    const { commands, decisions } = judge(outage, rules, 10_000);
    expect(commands).toMatchObject([{ type: 'operator.resume', worker: 'w0', reason: 'health' }]);
    expect(told(decisions)).toContain('kind-failing w0 taken-back');
    // While there is no room for it, it waits.
    const full = { ...outage, actions: Array.from({ length: 1_000 }, () => 10_000) };
    const waiting = judge(full, rules, 10_000);
    expect(waiting.commands).toEqual([]);
    expect(judge({ ...waiting.watch, actions: [] }, rules, 11_000).commands).toMatchObject([{ type: 'operator.resume' }]);
    // Much later it is another story.
    expect(judge(outage, rules, 400_000).commands).toEqual([]);
  });
});
