import { describe, expect, test, vi } from 'vitest';
import { clientBehind, EVERY_CLIENT, gateOf, loggedUsage } from './drop-in-harness.ts';
import { failureOf, startProvider } from './fake-harness.ts';

/** A question of 2 tokens with an answer of up to 32. */
const ESTIMATE = 34;
const budget = { tokens: 1_000 };
const longAnswer = () => 'x'.repeat(100);

const home = async (gate: ReturnType<typeof gateOf>['gate']) => {
  await vi.waitFor(async () => expect(await gate.look()).toMatchObject({ inFlight: 0, waiting: 0, budget: { reserved: { tokens: 0 } } }), {
    interval: 2,
  });
  return (await gate.look()).budget!.spent.tokens;
};

describe.each(EVERY_CLIENT)('$client, stream $stream', ({ client, stream }) => {
  test('given up in the line gives its place back, and costs nothing', async () => {
    const provider = await startProvider();
    const { gate } = gateOf({ limits: { concurrency: 1 }, budget });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const holding = gate.run(() => over);
    const abort = new AbortController();
    const asking = clientBehind(client, stream, provider, gate);
    const failing = failureOf(asking.ask({ signal: abort.signal }));
    await vi.waitFor(async () => expect(await gate.look()).toMatchObject({ waiting: 1 }));
    abort.abort();
    const error = await failing;
    expect(error.name === 'AbortError' || error.constructor.name === 'APIUserAbortError').toBe(true);
    expect(await gate.look()).toMatchObject({ waiting: 0, inFlight: 1 });
    end();
    await holding;
    expect(await home(gate)).toBe(0);
    expect({ accepted: provider.stats().accepted, attempts: asking.attempts }).toEqual({ accepted: 0, attempts: 1 });
  });

  test('given up on its way brings its permit home at once, and is charged by its estimate', async () => {
    const provider = await startProvider({ latency: { baseMs: 0, perOutputTokenMs: 200 }, answer: longAnswer });
    const { gate, events } = gateOf({ budget });
    const abort = new AbortController();
    const asking = clientBehind(client, stream, provider, gate);
    // Streams that are given up end quietly in some clients.
    const over = asking.ask({ signal: abort.signal }).catch(() => {});
    await vi.waitFor(() => expect(provider.calls[0]).toMatchObject(stream ? { state: 'in-flight' } : {}), { interval: 2 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    abort.abort();
    await over;
    expect(await home(gate)).toBe(ESTIMATE);
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    expect({ events, attempts: asking.attempts }).toEqual({ events: [], attempts: 1 });
  });

  test('stalled half-way ends with the timeout of the gate, and is charged by its estimate', async () => {
    const provider = await startProvider({ faults: { stall: 1 } });
    const { gate, events } = gateOf({ budget, timeoutMs: 120, attempts: 1 });
    const asking = clientBehind(client, stream, provider, gate);
    await failureOf(asking.ask());
    expect(await home(gate)).toBe(ESTIMATE);
    expect(events).toMatchObject([{ at: 'failed', failure: 'transient', error: { code: 'DROVER_CALL_TIMEOUT' } }]);
    expect(asking.attempts).toBe(1);
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
  });

  test('reset half-way is charged by its estimate, each time', async () => {
    const provider = await startProvider({ faults: { resetMidStream: 1 } });
    const { gate, events } = gateOf({ budget, attempts: 2 });
    const asking = clientBehind(client, stream, provider, gate);
    await failureOf(asking.ask());
    // A plain answer is tried again by the gate; of a stream, the caller has a part in hand.
    const tries = stream ? 1 : 2;
    expect(await home(gate)).toBe(tries * ESTIMATE);
    expect(events).toHaveLength(tries);
    expect(events).toMatchObject([{ at: 'failed', failure: 'transient', again: !stream }, ...(stream ? [] : [{ again: false }])]);
    expect({ accepted: provider.stats().accepted, attempts: asking.attempts }).toEqual({ accepted: tries, attempts: 1 });
  });

  test('without a usage is charged by its estimate', async () => {
    const provider = await startProvider({ faults: { missingUsage: 1 } });
    const { gate } = gateOf({ budget, attempts: 1 });
    const asking = clientBehind(client, stream, provider, gate);
    // Some clients insist on a usage.
    await asking.ask().catch(() => {});
    expect(await home(gate)).toBe(ESTIMATE);
    expect(asking.attempts).toBe(1);
  });

  test.each(['garbage', 'emptyText', 'emptyChoices', 'refusal', 'repeated'] as const)(
    '%s is passed on, and its usage counts',
    async (fault) => {
      const provider = await startProvider({ faults: { [fault]: 1 } });
      const { gate, used } = gateOf({ budget });
      const asking = clientBehind(client, stream, provider, gate);
      await asking.ask().catch(() => {});
      const spent = await home(gate);
      // The AI SDK throws away what it makes no sense of, and the usage with it.
      const isLost = client === 'ai-sdk-openai' && fault === 'emptyChoices' && !stream;
      if (isLost) expect(spent).toBe(ESTIMATE);
      else expect(used()).toEqual(loggedUsage(provider));
      expect(asking.attempts).toBe(1);
    },
  );

  test.each(['html', 'truncatedJson', 'quietEnd', 'missingDone', 'errorMidStream'] as const)(
    '%s leaves nothing out, and the client does not try again',
    async (fault) => {
      const provider = await startProvider({ faults: { [fault]: 1 } });
      const { gate } = gateOf({ budget, attempts: 1 });
      const asking = clientBehind(client, stream, provider, gate);
      await asking.ask().catch(() => {});
      expect(await home(gate)).toBeLessThanOrEqual(ESTIMATE);
      expect({ accepted: provider.stats().accepted, attempts: asking.attempts }).toEqual({ accepted: 1, attempts: 1 });
    },
  );

  test.each(['retryAfterYear', 'retryAfterPast', 'retryAfterNegative', 'retryAfterText'] as const)(
    '%s holds nobody back for long',
    async (fault) => {
      const provider = await startProvider({ faults: { [fault]: 1 } });
      const { gate, events } = gateOf({ attempts: 1 });
      const asking = clientBehind(client, stream, provider, gate);
      await failureOf(asking.ask());
      expect(events).toMatchObject([{ at: 'failed', failure: 'rate-limited' }]);
      const { heldUntilMs } = await gate.look();
      expect((heldUntilMs ?? 0) - Date.now()).toBeLessThan(5_000);
      expect(asking.attempts).toBe(1);
    },
  );

  test.each(['limitHeadersText', 'limitHeadersNegative'] as const)('%s hold nobody back', async (fault) => {
    const limits = { requestsPerMinute: 60_000 };
    const provider = await startProvider({ limits, faults: { [fault]: 1 } });
    const { gate } = gateOf();
    const asking = clientBehind(client, stream, provider, gate);
    await Promise.all(Array.from({ length: 20 }, () => asking.ask()));
    expect(await gate.look()).toMatchObject({ granted: 20, heldUntilMs: null });
  });
});

test.each(EVERY_CLIENT.filter((each) => each.stream))(
  '$client: a stream that ends before the answer did is a failure of the provider',
  async ({ client, stream }) => {
    const provider = await startProvider({ faults: { quietEnd: 1 } });
    const { gate, events } = gateOf({ budget, breaker: { failures: 2 } });
    const asking = clientBehind(client, stream, provider, gate);
    for (let call = 0; call < 2; call += 1) await asking.ask().catch(() => {});
    await vi.waitFor(async () => expect(await gate.look()).toMatchObject({ inFlight: 0, breaker: { at: 'open' } }));
    expect(events.filter(({ at }) => at === 'failed')).toHaveLength(2);
    expect(await home(gate)).toBe(2 * ESTIMATE);
  },
);
