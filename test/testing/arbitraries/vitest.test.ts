/** Simulations as tests of vitest: one run of a file of them, some of which are to fail. */
import { beforeAll, describe, expect, test } from 'vitest';
import { startVitest } from 'vitest/node';
import { simulationTest } from '../../../src/testing/arbitraries/vitest.ts';
import { inbox } from './fleets.ts';

/** What became of each test of the fixture: undefined when it passed, else what its failure says. */
const said = new Map<string, string | undefined>();

beforeAll(async () => {
  // Not by the configuration of the repository, whose projects say themselves what they include.
  const options = {
    watch: false,
    config: false as const,
    include: ['test/testing/arbitraries/fixture-*.ts'],
    reporters: [{}],
    testTimeout: 20_000,
  };
  const resolve = { conditions: ['drover-source'] };
  const vitest = await startVitest('test', [], options, { resolve, ssr: { resolve } });
  for (const file of vitest.state.getTestModules()) {
    for (const { name, result } of [...file.children.allTests()].map((one) => ({ name: one.name, result: one.result() }))) {
      const messages = (result.errors ?? []).flatMap(({ message, cause }) => [message, (cause as Error | undefined)?.message ?? '']);
      said.set(name.replace(/ \(with seed=.*\)$/, ''), result.state === 'passed' ? undefined : messages.join('\n'));
    }
  }
  await vitest.close();
  // The run inside of this one sets it for its tests, and leaves it so.
  process.exitCode = 0;
}, 60_000);

describe('a test of many seeds', () => {
  test('passes when all are clean', () => {
    expect(said.has('seeds are clean')).toBe(true);
    expect(said.get('seeds are clean')).toBeUndefined();
  });

  test('says what was broken, the seed, and the line that replays it', () => {
    const text = said.get('seeds are not clean');
    expect(text).toContain('seed 1: ');
    expect(text).toContain('3 tasks were accepted');
    expect(text).toMatch(/replay: DROVER_SEED=1 npx vitest run \S*fixture-simulation-tests\.ts -t "seeds are not clean"/);
  });

  test('says the seed when a check of the user fails', () => {
    const text = said.get('a check fails');
    expect(text).toContain('seed 3: the third is not as it should be');
    expect(text).toContain('DROVER_SEED=3 ');
  });
});

describe('a property', () => {
  test.each(['drawn ones are clean', 'commands are clean'])('passes when %s', (name) => {
    expect(said.has(name)).toBe(true);
    expect(said.get(name)).toBeUndefined();
  });

  test('of simulations shrinks to the smallest workload, and says how to bring it back', () => {
    const text = said.get('drawn ones are not clean');
    // Two mails, and a child of one of them.
    expect(text).toContain(
      '"workload":[{"kind":"triage","input":0,"atMs":0},{"kind":"triage","input":0,"atMs":0}],"schedule":[],"faults":"none"',
    );
    expect(text).toMatch(/\{ seed: 1, path: "[\d:]+"/);
  });

  test('of commands shrinks to the fewest', () => {
    expect(said.get('commands are not clean')).toContain('Counterexample: [[submit(triage, 0),submit(triage, 0)]]');
  });
});

test.each([
  ['no topology', () => simulationTest('x', {} as never, { workload: [] }), 'DROVER_TOPOLOGY'],
  ['seeds that are not a number', () => simulationTest('x', inbox, { workload: [], seeds: 0 }), 'DROVER_ARBITRARY_OPTION'],
  ['a check that is no function', () => simulationTest('x', inbox, { workload: [], check: 3 as never }), 'DROVER_ARBITRARY_OPTION'],
])('a test of %s is refused where it is written', (_what, act, code) => {
  expect(act).toThrow(expect.objectContaining({ code }));
});
