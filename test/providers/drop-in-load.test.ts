import { describe, expect, test } from 'vitest';
import { clientBehind, EVERY_CLIENT, gateOf, loggedUsage } from './drop-in-harness.ts';
import { startProvider } from './fake-harness.ts';

const CALLS = 500;
/** The burst admits 180 calls at once; the others wait for requests, output tokens or room. */
const limits = { requestsPerMinute: 24_000, inputTokensPerMinute: 200_000, outputTokensPerMinute: 700_000, concurrency: 40 };

describe.each(EVERY_CLIENT)('500 calls at once of $client, stream $stream', ({ client, stream }) => {
  test('wait their turn: none is refused or tried again, and each token is accounted for', async () => {
    const provider = await startProvider({
      limits,
      latency: { baseMs: 5, jitter: 0.5 },
      cachedPrompt: 0.3,
      cacheWrites: 0.2,
      reasoningTokens: 2,
    });
    // Half of the provider's burst: what was sent in order may arrive bunched on a busy machine.
    const { gate, events, used } = gateOf({ limits, burstMs: 500, budget: { tokens: 1_000_000 }, breaker: {} });
    const asking = clientBehind(client, stream, provider, gate);

    const answers = await Promise.all(Array.from({ length: CALLS }, (_, at) => asking.ask({ text: `mail ${at}` })));

    expect(new Set(answers).size).toBe(CALLS);
    expect(answers[7]).toBe('Echo of 2 words: mail 7');
    const { accepted, rejected429, peakInFlight } = provider.stats();
    expect({ accepted, rejected429, attempts: asking.attempts }).toEqual({ accepted: CALLS, rejected429: 0, attempts: CALLS });
    expect(peakInFlight).toBeLessThanOrEqual(limits.concurrency);
    expect(events.filter(({ at }) => at !== 'called')).toEqual([]);
    expect(used()).toEqual(loggedUsage(provider));
    const { inFlight, waiting, budget } = await gate.look();
    expect({ inFlight, waiting }).toEqual({ inFlight: 0, waiting: 0 });
    expect(budget?.reserved).toEqual({ usd: 0, tokens: 0 });
    expect(budget?.spent.tokens).toBe(used().inputTokens + used().outputTokens);
  });
});

describe.each(EVERY_CLIENT)('100 calls of $client, stream $stream, to a provider whose limits nobody knows', ({ client, stream }) => {
  test('are refused, tried again by the gate alone, and accounted for', async () => {
    const provider = await startProvider({ limits: { concurrency: 30 }, latency: { baseMs: 20 } });
    const { gate, events, used } = gateOf({ attempts: 100, retries: { share: 1, most: 10_000, perSecond: 1_000 } });
    const asking = clientBehind(client, stream, provider, gate);
    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => asking.ask({ text: `mail ${at}` })));
    expect(new Set(answers).size).toBe(100);
    const { accepted, rejected429 } = provider.stats();
    expect(accepted).toBe(100);
    expect(rejected429).toBeGreaterThan(0);
    expect(events.filter((event) => event.at === 'failed' && event.failure === 'rate-limited')).toHaveLength(rejected429);
    expect(asking.attempts).toBe(100);
    expect(used()).toEqual(loggedUsage(provider));
    expect(await gate.look()).toMatchObject({ inFlight: 0, waiting: 0 });
  });
});
