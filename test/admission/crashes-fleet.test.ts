/** A fleet whose limiters, workers and queues crash at random under calls of every outcome, of several tenants and priorities, with a budget. */
import { expect, test } from 'vitest';
import { agent } from 'drover';
import { seededRandom } from '../../actors/kernel/random.ts';
import { Testbed } from '../runtime/harness.ts';
import type { Answer } from '../runtime/harness.ts';

const http = (status: number, headers: object = {}) => Object.assign(new Error(`status ${status}`), { status, headers });
const ROOM = 3;
const TOKENS = 100;
/** A second of it are three thousand tokens. */
const TOKENS_PER_MINUTE = 180_000;
const BUDGET = 9_000;
const TASKS = 40;

test('S5, S6, S7, L1, L3, L4: it keeps every promise, and every task ends', async () => {
  let crashes = 0;
  for (let seed = 0; seed < 25; seed += 1) {
    await using bed = new Testbed(seed);
    const chance = seededRandom(`fleet/${seed}`);
    let isWell = false;
    const answer = (): Answer => {
      const drawn = isWell ? 1 : chance.next();
      const afterMs = chance.next() * 200;
      if (drawn < 0.1) return { afterMs, error: http(500) };
      if (drawn < 0.15) return { afterMs, error: http(429, { 'retry-after': '2' }) };
      if (drawn < 0.2) return { afterMs, error: http(529) };
      if (drawn < 0.25) return { never: true };
      return { afterMs, reply: { tokens: 50 } };
    };
    const service = bed.service(
      {
        limits: { concurrency: ROOM, tokensPerMinute: TOKENS_PER_MINUTE },
        safetyMargin: 0,
        burstMs: 200,
        timeoutMs: 2_000,
        breaker: { failures: 3, resetAfterMs: 3_000 },
        estimate: () => TOKENS,
        usage: (reply) => ({ inputTokens: (reply as { tokens: number }).tokens, outputTokens: 0 }),
      },
      answer,
    );
    const work = agent({
      uses: { service: service.dependency },
      replicas: 6,
      attempts: 100,
      losses: 100,
      budget: { tokens: BUDGET },
      backoff: { baseMs: 50, capMs: 500 },
      tenant: (input: number) => `tenant ${input % 3}`,
      run: (input: number, ctx) => ctx.call('service', input),
    });
    const fleet = await bed.start({
      agents: { work },
      supervision: { intensity: 1_000, periodMs: 1_000, backoff: { baseMs: 10, capMs: 100 } },
    });
    const moved = bed.record(fleet, 'breaker.moved');
    await bed.drive(Promise.all(Array.from({ length: TASKS }, (_, at) => fleet.submit('work', at, { priority: at % 2 }))));
    for (let blow = 0; blow < 12; blow += 1) {
      await bed.advance(chance.next() * 600);
      const drawn = chance.int(4);
      if (drawn < 2) bed.crashLimiter('service');
      else if (drawn === 2) bed.crashWorker('work', chance.int(6));
      else bed.crashQueue('work');
      crashes += 1;
    }
    isWell = true;
    // What has been spent on failures may leave too little for all of them.
    await bed.advance(5 * 60_000);
    const [look] = fleet.budgets();
    expect(look, `seed ${seed}`).toMatchObject({ reserved: { tokens: 0 }, waiting: 0 });
    expect(look!.spent.tokens).toBeLessThanOrEqual(BUDGET);
    if (fleet.stats.completed < TASKS) {
      fleet.raiseBudget('kind:work', { tokens: 100 * BUDGET });
      await bed.until(() => fleet.stats.completed === TASKS);
    }
    expect(fleet.stats).toMatchObject({ completed: TASKS, dead: 0, failed: 0 });
    expect(service.peak).toBeLessThanOrEqual(ROOM);
    expect(await bed.drive(fleet.dependency('service'))).toMatchObject({ inFlight: 0, waiting: 0, breaker: { at: 'closed' } });
    if (moved.length > 0) expect(moved.at(-1)!.at).toBe('closed');
    // Half of an estimate comes home at most; what a refusal or a failure gives back is all of it at most.
    const perMs = TOKENS_PER_MINUTE / 60_000;
    for (const [from, first] of service.calls.entries()) {
      for (const [further, last] of service.calls.slice(from).entries()) {
        const windowMs = last.atMs - first.atMs;
        const back = service.calls.filter(({ endedAtMs = Infinity }) => endedAtMs >= first.atMs && endedAtMs <= last.atMs).length * TOKENS;
        expect((further + 1) * TOKENS - back).toBeLessThanOrEqual(perMs * windowMs + 200 * perMs + 0.01);
      }
    }
  }
  expect(crashes).toBe(300);
});
