import { describe, expect, test } from 'vitest';
import { agent, contract, defineFleet, dependency } from 'drover';
import { checkDeadlockFree } from 'drover/testing';
import type { DeadlockOptions } from 'drover/testing';
import { inboxAgents } from '../../examples/inbox/agents.ts';

const model = dependency({ limits: { concurrency: 2 }, perform: async (request: { readonly prompt: string }) => request.prompt });
const leaf = agent({ uses: { model }, replicas: 2, run: async () => 'done' });
/** Asks itself: without parking two of them can hold both workers and wait for a third. */
const tree = agent({ uses: { model }, asks: { leaf, tree: contract() }, replicas: 2, run: async () => 'done' });
const recursive = defineFleet({ name: 'recursive', agents: { tree, leaf } });

/** Only sampled: the search has room for one state. */
const SAMPLED: DeadlockOptions = { maxStates: 1, runs: 60 };

describe('a topology', () => {
  test('of kinds that ask themselves is proved, and no run of the real machines says otherwise', { timeout: 60_000 }, async () => {
    const verdict = await checkDeadlockFree(recursive, { runs: 40 });
    expect(verdict).toMatchObject({ at: 'proved', sampled: { runs: 40 } });
    expect(verdict.sampled!.deliveries).toBeGreaterThan(1_000);
    expect(verdict.lint.map(({ code }) => code)).toContain('asks-in-a-circle');
  });

  test('is not called proved when the search did not come to its end', async () => {
    const verdict = await checkDeadlockFree(recursive, { ...SAMPLED, runs: 5 });
    expect(verdict.at).toBe('no-counterexample');
    expect(verdict.sampled!.missedAtMost).toBeGreaterThan(0.9);
  });

  test('is refuted by the search when parking is switched off, in three steps', async () => {
    const verdict = await checkDeadlockFree(recursive, { without: ['parking'] });
    expect(verdict).toMatchObject({ at: 'violated', by: 'search', kind: 'deadlock', sampled: undefined });
    if (verdict.at !== 'violated') return;
    expect(verdict.trace.length).toBeLessThanOrEqual(4);
    expect(verdict.cycle.join(' ')).toContain('worker of tree');
    expect(verdict.mermaid).toContain('flowchart');
  });

  test('is refuted by the real machines too when parking is switched off, with a circle of tasks and a run that is small', async () => {
    const verdict = await checkDeadlockFree(recursive, { ...SAMPLED, without: ['parking'] });
    expect(verdict).toMatchObject({ at: 'violated', by: 'sample', kind: 'deadlock' });
    if (verdict.at !== 'violated') return;
    const submitted = verdict.trace.filter((line) => line.startsWith('submitted: '));
    expect(submitted.length).toBeLessThanOrEqual(2);
    expect(verdict.trace).toContain('faults: none');
    expect(verdict.cycle.length).toBeGreaterThanOrEqual(2);
    expect(verdict.cycle.join(' ')).toContain('waits for its child');
    const again = await checkDeadlockFree(recursive, { ...SAMPLED, without: ['parking'], runs: 1, seed: verdict.seed! });
    expect(again).toMatchObject({ at: 'violated', cycle: verdict.cycle, trace: verdict.trace });
  });

  test('needs no sample of its payloads: no schema, estimate or run of the user is asked', async () => {
    const never = (): never => {
      throw new Error('the code of a user has been called');
    };
    const picky = dependency({
      limits: { concurrency: 1, tokensPerMinute: 60_000 },
      estimate: (request: { readonly text: string }) => request.text.length,
      usage: never,
      perform: never,
    });
    const kind = agent({ uses: { picky }, run: never });
    const verdict = await checkDeadlockFree(defineFleet({ name: 'picky', agents: { kind } }), { runs: 5 });
    expect(verdict.at).toBe('proved');
  });
});

test('the inbox example is proved, and refuted when parking on ask is switched off', { timeout: 60_000 }, async () => {
  const local = dependency({
    limits: { requestsPerMinute: 1_500, tokensPerMinute: 600_000, concurrency: 16 },
    estimate: () => 500,
    perform: async () => null,
  });
  const inbox = defineFleet({ name: 'inbox', agents: inboxAgents(local as never, 80) });
  expect(await checkDeadlockFree(inbox, { runs: 5 })).toMatchObject({ at: 'proved' });
  expect(await checkDeadlockFree(inbox, { without: ['parking'] })).toMatchObject({ at: 'violated', kind: 'deadlock' });
});

test.each([
  ['runs', -1],
  ['runs', 1.5],
  ['seed', -1],
  ['sampledTasks', 0],
])('an option that makes no sense is refused by name: %s %s', async (option, value) => {
  await expect(checkDeadlockFree(recursive, { [option]: value })).rejects.toMatchObject({
    code: 'DROVER_SIMULATION_OPTION',
    message: expect.stringContaining(option) as string,
  });
});

test('what is no topology is refused', async () => {
  await expect(checkDeadlockFree({} as never)).rejects.toMatchObject({ code: 'DROVER_TOPOLOGY' });
});

test.each([
  ['without', { without: ['praking'] }],
  ['rnus', { rnus: 5 }],
  ['tasks', { without: ['parking'], tasks: 0 }],
  ['operations', { without: ['parking'], operations: 0 }],
  ['maxStates', { maxStates: Number.NaN }],
  ['sampledFaults', { sampledFaults: 'lots' }],
  ['requests.nope', { requests: { nope: [1] } }],
  ['nowMs', { withinMs: 1 }],
])('an option that would make the verdict say less than it seems is refused: %s', async (option, options) => {
  await expect(checkDeadlockFree(recursive, options as never)).rejects.toMatchObject({
    code: 'DROVER_SIMULATION_OPTION',
    message: expect.stringContaining(option) as string,
  });
});

test('a topology that declares what can never come about is not proved: a request that is larger than its limits', async () => {
  const narrow = dependency({ limits: { tokensPerMinute: 1_000 }, estimate: () => 5_000, perform: async () => null });
  const kind = agent({ uses: { narrow }, run: async (_: null, ctx) => ctx.call('narrow', null) });
  const verdict = await checkDeadlockFree(defineFleet({ name: 'narrow', agents: { kind } }), { runs: 0 });
  expect(verdict).toMatchObject({ at: 'violated', kind: 'lint', by: 'lint' });
  if (verdict.at === 'violated') expect(verdict.cycle.join(' ')).toContain('5000');
});
