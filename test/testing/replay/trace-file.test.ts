/** Trace files: what is refused, each with its own code, and a replay that diverges. */
import { describe, expect, test } from 'vitest';
import { agent, defineFleet, dependency } from 'drover';
import { acquire, checkSkeleton, end } from '../../../src/testing/explore/index.ts';
import { simulate } from '../../../src/testing/index.ts';
import { checkTrace, demandSame, parseTrace, simulationTrace, stepsOf, topologyHash } from '../../../src/testing/replay/index.ts';

const fleetOf = (name: string, concurrency: number) => {
  const model = dependency({ limits: { concurrency }, perform: async (request: string): Promise<string> => request });
  const asking = agent({ uses: { model }, run: async (input: string, ctx) => ctx.call('model', input) });
  return defineFleet({ name, agents: { asking } });
};
const topology = fleetOf('one', 1);
const workload = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ kind: 'asking' as const, input: `${at}`, atMs: at * 1_000 }));
const simulated = (count: number) => simulate(topology, { seed: 3, workload: workload(count), trace: 'full' });
const recipe = { seed: 3, durationMs: 60_000 };

describe('a trace is refused when', () => {
  const written = async (): Promise<Record<string, unknown>> => ({ ...simulationTrace(topology, '1.0.0', recipe, await simulated(2)) });
  test.each<readonly [title: string, change: object | string, code: string, says: string]>([
    ['it is no JSON', '{', 'DROVER_TRACE_FILE', 'no JSON'],
    ['it is something else', { format: 'other' }, 'DROVER_TRACE_FILE', 'no drover-trace'],
    ['it is nothing', 'null', 'DROVER_TRACE_FILE', 'no drover-trace'],
    ['part of it is missing', { blocks: undefined }, 'DROVER_TRACE_FILE', 'something is missing'],
    ['its format has another version', { version: 2 }, 'DROVER_TRACE_VERSION', 'expected a trace of version 1, got 2'],
    ['another drover wrote it', { drover: '0.9.0' }, 'DROVER_TRACE_VERSION', 'expected a trace of drover 1.0.0, got 0.9.0'],
    ['it is of another topology', { topology: { name: 'two', hash: 'x' } }, 'DROVER_TRACE_TOPOLOGY', 'of the topology two, not of one'],
    ['the topology was changed', { topology: { name: 'one', hash: 'x' } }, 'DROVER_TRACE_TOPOLOGY', 'its plan was x'],
  ])('%s', async (_title, change, code, says) => {
    const text = typeof change === 'string' ? change : JSON.stringify({ ...(await written()), ...change });
    expect(() => parseTrace(text, 't.json', topology, '1.0.0')).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(says) }),
    );
  });
});

test('what was written is read', async () => {
  const trace = simulationTrace(topology, '1.0.0', recipe, await simulated(2));
  expect(parseTrace(JSON.stringify(trace), 't.json', topology, '1.0.0')).toEqual(JSON.parse(JSON.stringify(trace)));
});

test('the hash of a topology is that of its plan: the same for the same, another one for another limit', () => {
  expect(topologyHash(fleetOf('one', 1))).toBe(topologyHash(topology));
  expect(topologyHash(fleetOf('one', 2))).not.toBe(topologyHash(topology));
});

test('a replay of the same is accepted', async () => {
  const trace = simulationTrace(topology, '1.0.0', recipe, await simulated(3));
  const again = await simulated(3);
  expect(() => demandSame(trace, again)).not.toThrow();
});

test('a replay that does something else is told with where it began to differ', async () => {
  const [short, long] = [await simulated(20), await simulated(21)];
  const trace = simulationTrace(topology, '1.0.0', recipe, short);
  const differs = long.trace.lines.findIndex((line, at) => line !== short.trace.lines[at]);
  const thrown = ((): unknown => {
    try {
      return demandSame(trace, long);
    } catch (error) {
      return error;
    }
  })() as { readonly code: string; readonly detail: { readonly afterEvents: number } };
  expect(thrown).toMatchObject({ code: 'DROVER_TRACE_DIVERGED' });
  expect(thrown.detail.afterEvents).toBeGreaterThan(0);
  expect(thrown.detail.afterEvents).toBeLessThanOrEqual(differs);
  expect(differs - thrown.detail.afterEvents).toBeLessThan(64);
});

test('each step of a check tells who waits then: nobody after the first fork, each for the other at the end', () => {
  const verdict = checkSkeleton({
    name: 'two forks',
    resources: { left: 1, right: 1 },
    processes: [
      { name: 'a', start: 'idle', rests: [], states: { idle: [acquire('left', 'half')], half: [acquire('right', 'full')], full: [end()] } },
      { name: 'b', start: 'idle', rests: [], states: { idle: [acquire('right', 'half')], half: [acquire('left', 'full')], full: [end()] } },
    ],
  });
  if (verdict.at !== 'violated') throw new Error(verdict.at);
  const steps = stepsOf(verdict);
  expect(steps).toHaveLength(verdict.trace.length);
  expect(steps[0]!.waits).toEqual([]);
  expect(steps.at(-1)!.waits).toEqual(verdict.waits);
});

test('a trace of a check that was edited is refused: it would be told as it stands', () => {
  const violation = { kind: 'deadlock', trace: ['a', 'b'], cycle: ['a waits for b'], holdings: [] } as const;
  const written = checkTrace(topology, '1.0.0', violation);
  const text = JSON.stringify(written);
  expect(parseTrace(text, 't.json', topology, '1.0.0')).toEqual(written);
  for (const edited of [
    { ...written, steps: written.steps.slice(1) },
    { ...written, steps: [5] },
    { ...written, kind: 'livelock' },
    { ...written, seal: 0 },
  ]) {
    expect(() => parseTrace(JSON.stringify(edited), 't.json', topology, '1.0.0')).toThrow(
      expect.objectContaining({ code: 'DROVER_TRACE_FILE', message: expect.stringContaining('edited') }),
    );
  }
});
