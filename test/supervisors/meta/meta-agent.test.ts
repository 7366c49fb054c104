import { describe, expect, test } from 'vitest';
import { getShortestPaths } from 'xstate/graph';
import type { Exited, Message, OwnEffect } from '../../../actors/kernel/effects.ts';
import { metaAgentMachine } from '../../../supervisors/meta-agent/meta-agent.ts';
import type { MetaAgentContext, MetaAgentEffect, MetaAgentFact, MetaAgentMessage } from '../../../supervisors/meta-agent/meta-agent.ts';
import { ObservationBuffer } from '../../../supervisors/meta-agent/observation.ts';
import type { Observation } from '../../../supervisors/meta-agent/observation.ts';
import type { OperatorCommand } from '../../../supervisors/meta-agent/operator.ts';
import { defineMetaAgent } from '../../../supervisors/meta-agent/plan.ts';
import { DEFAULT_RULES } from '../../../supervisors/meta-agent/rules.ts';
import { SimulatedHost } from '../../host/simulated-host.ts';

const PLAN = defineMetaAgent({
  without: DEFAULT_RULES.map(({ name }) => name),
  rules: [
    {
      name: 'failing',
      scope: 'worker',
      measure: 'error-rate',
      enter: { vs: 'absolute', above: 0.5 },
      leave: { below: 0.2 },
      forMs: 0,
      minSamples: 1,
      stepAfterMs: 0,
      steps: ['restart', 'suspend'],
    },
  ],
  pulseMs: 1_000,
  answerMs: 5_000,
  coolMs: 2_000,
  restMs: 0,
  kindShare: 1,
  suspendedShare: 1,
});

const failed = (worker: string): Observation => ({
  type: 'run.ended',
  atMs: 0,
  worker,
  kind: 'k',
  task: 't',
  ms: 1,
  outcome: 'rejected',
  usd: 0,
  tokens: 0,
});

type State = 'watching' | 'deciding' | 'acting' | 'cooling';

/** A meta-agent whose world does nothing by itself. `collects` answers at once; `breaks` names effects that throw. */
function watching({ collects = true, breaks = [] as readonly string[], seed = 1, observations = [] as Observation[] } = {}) {
  const simulated = new SimulatedHost(seed);
  const ends = simulated.probe('m') as Exited[];
  const commands: OperatorCommand[] = [];
  const facts: MetaAgentFact[] = [];
  const told: string[] = [];
  let collected = 0;
  const perform = (effect: OwnEffect): void => {
    if (breaks.includes(effect.type)) throw new Error('broken');
    const known = effect as MetaAgentEffect;
    if (known.type === 'meta.collect') {
      collected += 1;
      if (collects)
        simulated.host.send('meta', { type: 'observed', observations: observations.splice(0), dropped: 0 } as Message, 'control');
    } else if (known.type === 'meta.decided') told.push(known.decision.decided.at);
    else if (known.type === 'meta.noted') facts.push(known.fact);
    else commands.push(known);
  };
  const logic = metaAgentMachine(simulated.host.clock);
  simulated.host.spawn({ id: 'meta', logic, input: { plan: PLAN }, perform, graceful: true, monitors: ['m'] });
  const snapshot = () => simulated.host.snapshotOf('meta') as { readonly value: State; readonly context: MetaAgentContext } | undefined;
  const tell = (message: MetaAgentMessage): void => {
    simulated.host.send('meta', message, 'control');
    simulated.settle();
  };
  return { simulated, ends, commands, facts, told, observations, snapshot, tell, collected: () => collected };
}

const answered = (id: number): MetaAgentMessage => ({ type: 'operator.answered', id, done: true });

describe('the meta-agent', () => {
  test('it looks once a pulse, and goes back to watching when there is nothing to do', () => {
    const { simulated, snapshot, collected } = watching();
    simulated.run(999);
    expect(collected()).toBe(0);
    simulated.run(1);
    expect(collected()).toBe(1);
    expect(snapshot()!.value).toBe('watching');
    simulated.run(10_000);
    expect(collected()).toBe(11);
  });

  test('it commands, waits for the answer, cools down, and looks again', () => {
    const { simulated, commands, snapshot, tell, told, facts, collected } = watching({ observations: [failed('w')] });
    simulated.run(1_000);
    expect(snapshot()!.value).toBe('acting');
    expect(told).toEqual(['entered', 'stepped']);
    expect(commands).toEqual([{ type: 'operator.restart', worker: 'w', id: 1, why: 'failing: error-rate of w is 1' }]);
    simulated.run(4_999);
    expect(snapshot()!.value).toBe('acting');
    tell(answered(1));
    expect(snapshot()!.value).toBe('cooling');
    expect(facts).toMatchObject([{ at: 'answered', done: true, command: { id: 1 } }]);
    simulated.run(1_999);
    expect(snapshot()!.value).toBe('cooling');
    simulated.run(1);
    expect(snapshot()!.value).toBe('watching');
    expect(collected()).toBe(1);
    simulated.run(1_000);
    expect(collected()).toBe(2);
  });

  test('with several commands it waits for all', () => {
    const { simulated, commands, snapshot, tell } = watching({ observations: [failed('v'), failed('w')] });
    simulated.run(1_000);
    expect(commands.map(({ id }) => id)).toEqual([1, 2]);
    tell(answered(2));
    expect(snapshot()!.value).toBe('acting');
    tell(answered(2));
    tell(answered(77));
    expect(snapshot()!.value).toBe('acting');
    tell(answered(1));
    expect(snapshot()!.value).toBe('cooling');
  });

  test('what is not answered in time counts as refused, and a late answer changes nothing', () => {
    const { simulated, facts, snapshot, tell, commands } = watching({ observations: [failed('w')] });
    simulated.run(6_000);
    expect(snapshot()!.value).toBe('cooling');
    expect(facts).toMatchObject([{ at: 'answered', done: false, why: 'not answered in time' }]);
    const before = snapshot()!.context;
    tell(answered(1));
    expect(snapshot()!.context).toEqual(before);
    expect(facts).toHaveLength(1);
    // It is not given once more: the next step has its turn.
    simulated.run(3_000);
    expect(commands.map(({ id, type }) => [id, type])).toEqual([
      [1, 'operator.restart'],
      [2, 'operator.suspend'],
    ]);
  });

  test('a refusal is told, and the next step has its turn', () => {
    const { simulated, facts, tell, commands } = watching({ observations: [failed('w')] });
    simulated.run(1_000);
    tell({ type: 'operator.answered', id: 1, done: false, why: 'it is gone' });
    expect(facts).toMatchObject([{ at: 'answered', done: false, why: 'it is gone', command: { type: 'operator.restart' } }]);
    simulated.run(3_000);
    expect(commands.map(({ type }) => type)).toEqual(['operator.restart', 'operator.suspend']);
  });

  test('a command that throws counts as refused: it does not end the meta-agent', () => {
    const { simulated, facts, snapshot, ends } = watching({ observations: [failed('w')], breaks: ['operator.restart'] });
    simulated.run(1_000);
    expect(facts).toMatchObject([{ at: 'answered', done: false, why: 'whoever performs it threw' }]);
    expect(snapshot()!.value).toBe('cooling');
    expect(ends).toEqual([]);
  });

  test.each(['meta.collect', 'meta.decided', 'meta.noted'])('an effect %s that throws hurts nobody', (type) => {
    const { simulated, snapshot, ends } = watching({ observations: [failed('w')], breaks: [type] });
    simulated.run(60_000);
    expect(ends).toEqual([]);
    expect(snapshot()).toBeDefined();
  });

  test('nobody collects for it: it tries again at the pulse after', () => {
    const { simulated, snapshot, collected } = watching({ collects: false });
    simulated.run(1_000);
    expect(snapshot()!.value).toBe('deciding');
    simulated.run(1_000);
    expect(snapshot()!.value).toBe('watching');
    simulated.run(1_000);
    expect(collected()).toBe(2);
  });

  test.each(['watching', 'acting', 'cooling'] as const)('%s, what is observed is taken in, and nothing is judged', (state) => {
    const { simulated, snapshot, tell, commands, facts } = watching({ observations: [failed('w')] });
    if (state !== 'watching') simulated.run(1_000);
    if (state === 'cooling') tell(answered(1));
    expect(snapshot()!.value).toBe(state);
    const before = commands.length;
    tell({ type: 'observed', observations: [failed('v')], dropped: 3 });
    expect(snapshot()!.value).toBe(state);
    expect(snapshot()!.context.watch.measures.workers.has('v')).toBe(true);
    expect(snapshot()!.context.dropped).toBe(3);
    expect(facts.at(-1)).toEqual({ at: 'dropped', observations: 3 });
    expect(commands).toHaveLength(before);
  });

  test('in a flood of which nine tenths are lost it lives, finds the bad worker, and says what it lost', () => {
    const simulated = new SimulatedHost();
    const buffer = new ObservationBuffer(1_000);
    const commands: MetaAgentEffect[] = [];
    let lost = 0;
    const perform = (effect: OwnEffect): void => {
      const known = effect as MetaAgentEffect;
      if (known.type === 'meta.collect') {
        for (let at = 0; at < 10_000; at += 1)
          buffer.add(at % 100 === 0 ? failed('bad') : ({ ...failed(`w${at % 97}`), outcome: 'completed' } as Observation));
        simulated.host.send('meta', buffer.drain(), 'control');
      } else if (known.type === 'meta.noted') lost += known.fact.at === 'dropped' ? known.fact.observations : 0;
      else if (known.type !== 'meta.decided') commands.push(known);
    };
    simulated.host.spawn({ id: 'meta', logic: metaAgentMachine(simulated.host.clock), input: { plan: PLAN }, perform });
    simulated.run(10_000);
    expect(commands[0]).toMatchObject({ type: 'operator.restart', worker: 'bad' });
    expect(lost % 9_000).toBe(0);
    expect(lost).toBeGreaterThan(0);
    expect((simulated.host.snapshotOf('meta') as { readonly context: MetaAgentContext }).context.dropped).toBe(lost);
  });

  test('started again it knows who works and who is suspended', () => {
    const simulated = new SimulatedHost();
    const workers = [
      { worker: 'v', kind: 'k', suspended: true },
      { worker: 'w', kind: 'k', suspended: false },
    ];
    simulated.host.spawn({ id: 'meta', logic: metaAgentMachine(simulated.host.clock), input: { plan: PLAN, workers } });
    const { context } = simulated.host.snapshotOf('meta') as { readonly context: MetaAgentContext };
    expect([...context.watch.measures.workers.values()].map(({ worker, suspended }) => [worker, suspended])).toEqual([
      ['v', true],
      ['w', false],
    ]);
  });

  const WAY: readonly (readonly [State, number, boolean])[] = [
    ['watching', 500, false],
    ['deciding', 1_000, false],
    ['acting', 1_000, true],
    ['cooling', 6_000, true],
  ];

  test.each(WAY)('%s, a stop ends it at once, and leaves no timer', (state, ms, collects) => {
    const { simulated, snapshot, ends } = watching({ collects, observations: [failed('w')] });
    simulated.run(ms);
    expect(snapshot()!.value).toBe(state);
    simulated.host.stop('meta', 5_000);
    simulated.settle();
    expect(ends).toMatchObject([{ id: 'meta', reason: { at: 'shutdown' } }]);
    simulated.run(60_000);
    expect(simulated.host.pending).toMatchObject({ messages: 0, timers: 0 });
  });

  test('under any order of deliveries no worker is commanded about twice at once', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const { simulated, commands, tell, observations } = watching({ seed });
      const open = new Map<string, number>();
      for (let at = 0; at < 60; at += 1) {
        observations.push(failed(`w${at % 3}`));
        const known = commands.length;
        simulated.run(700);
        for (const command of commands.slice(known)) {
          const { worker } = command as { readonly worker: string };
          expect(open.has(worker)).toBe(false);
          open.set(worker, command.id);
        }
        if (at % 2 === 0) {
          for (const [worker, id] of open) {
            open.delete(worker);
            tell(answered(id));
          }
        }
      }
      expect(commands.length).toBeGreaterThan(3);
    }
  });

  test('every state can be reached, and from each of them the end', () => {
    const simulated = new SimulatedHost();
    const machine = metaAgentMachine(simulated.clock);
    const events = [
      { type: 'observed', observations: [failed('w')], dropped: 0 },
      { type: 'observed', observations: [], dropped: 0 },
      answered(1),
      { type: 'stop.requested' },
      { type: 'xstate.after.pulse.meta-agent.watching' },
      { type: 'xstate.after.cooling.meta-agent.cooling' },
    ] as never[];
    const byState = { serializeState: (state: { readonly value: unknown }) => String(state.value) as never };
    // As pure transitions there is no turn to emit into: the machine is looked at without its actions.
    const quiet = machine.provide({
      actions: { collect: () => {}, tell: () => {}, act: () => {}, tellAnswered: () => {}, tellDropped: () => {}, giveUp: () => {} },
    });
    const paths = getShortestPaths(quiet, { input: { plan: PLAN }, events, ...byState });
    expect(paths.map(({ state }) => state.value).toSorted()).toEqual(['acting', 'cooling', 'deciding', 'stopped', 'watching']);
    for (const { state } of paths) {
      const onward = getShortestPaths(quiet, { fromState: state, events, ...byState });
      expect(onward.map((path) => path.state.value)).toContain('stopped');
    }
  });
});
