import { describe, expect, test, vi } from 'vitest';
import { startFakeProvider } from '../../src/providers/fake/index.ts';
import type { FaultName } from '../../src/providers/fake/index.ts';
import { clientOf, failureOf, hello, post, standingClock, startProvider } from './fake-harness.ts';

const startFaulty = (fault: FaultName) =>
  startProvider({ faults: { [fault]: 1 }, limits: { concurrency: 1 }, answer: () => 'It is a lease.' });

describe('a fault', () => {
  test('rate429 refuses a call that the limits would let in', async () => {
    const provider = await startFaulty('rate429');
    const error = await failureOf(clientOf(provider).chat.completions.create(hello));
    expect(error).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
    expect(error.headers.get('retry-after')).toBe('1');
    expect(provider.stats()).toMatchObject({ accepted: 0, rejected429: 1, rejectedBy: { fault: 1 } });
    expect(provider.stats().faults.rate429).toBe(1);
  });

  test('rate429 costs what a refused call costs', async () => {
    const leftAfter = async (rejectedCostQuota: boolean | 'request-and-tokens') => {
      const limits = { requestsPerMinute: 600, tokensPerMinute: 60_000 };
      const provider = await startProvider({ faults: { rate429: 1 }, limits, rejectedCostQuota, nowMs: standingClock().nowMs });
      const { headers } = await post(provider);
      return [headers.get('x-ratelimit-remaining-requests'), headers.get('x-ratelimit-remaining-tokens')];
    };
    expect(await leftAfter(false)).toEqual(['10', '1000']);
    expect(await leftAfter(true)).toEqual(['9', '1000']);
    expect(await leftAfter('request-and-tokens')).toEqual(['9', '990']);
  });

  test.for([
    ['rate500', 500, 'server_error'],
    ['rate529', 529, 'overloaded_error'],
  ] as const)('%s is an error after admission that uses no tokens', async ([fault, status, type]) => {
    const provider = await startFaulty(fault);
    const error = await failureOf(clientOf(provider).chat.completions.create(hello));
    expect(error).toMatchObject({ status, type });
    expect(provider.stats()).toMatchObject({ accepted: 1, inFlight: 0, inputTokens: 0, outputTokens: 0 });
    expect(provider.calls).toMatchObject([{ ended: `fault:${fault}`, status, sent: 'all' }]);
  });

  test('garbage is a well-formed answer without sense, the same for the same seed', async () => {
    const contentOf = async () => {
      const provider = await startFaulty('garbage');
      const completion = await clientOf(provider).chat.completions.create({ ...hello, max_tokens: 100 });
      expect(provider.calls).toMatchObject([{ ended: 'fault:garbage', sent: 'all', status: 200 }]);
      return completion.choices[0]?.message.content ?? '';
    };
    const content = await contentOf();
    expect(content).toBe(await contentOf());
    expect(content.length).toBeGreaterThan(20);
    expect(() => JSON.parse(content)).toThrow(SyntaxError);
  });

  test.for([{ stream: false }, { stream: true }])('reset breaks the connection before an answer: %j', async ({ stream }) => {
    const provider = await startFaulty('reset');
    const error = await failureOf(clientOf(provider).chat.completions.create({ ...hello, stream }));
    expect(error.constructor.name).toBe('APIConnectionError');
    expect(error.cause?.cause?.code ?? error.cause?.code).toBe('ECONNRESET');
    await vi.waitFor(() => expect(provider.calls).toMatchObject([{ ended: 'fault:reset', sent: 'nothing' }]));
  });

  test('resetMidStream breaks a stream after half of its text', async () => {
    const provider = await startFaulty('resetMidStream');
    const stream = await clientOf(provider).chat.completions.create({ ...hello, stream: true });
    let text = '';
    const error = await failureOf(
      (async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      })(),
    );
    expect(text).toBe('It is a ');
    expect(error).toBeInstanceOf(Error);
    await vi.waitFor(() => expect(provider.calls).toMatchObject([{ ended: 'fault:resetMidStream', sent: 'part', completionTokens: 2 }]));
  });

  test('resetMidStream breaks a plain answer too', async () => {
    const provider = await startFaulty('resetMidStream');
    expect(await failureOf(clientOf(provider).chat.completions.create(hello))).toBeInstanceOf(Error);
    await vi.waitFor(() => expect(provider.calls).toMatchObject([{ ended: 'fault:resetMidStream', sent: 'part' }]));
  });

  test('truncatedJson is a whole HTTP answer that does not parse', async () => {
    const provider = await startFaulty('truncatedJson');
    const request = { method: 'POST', body: JSON.stringify(hello) };
    const response = await fetch(`${provider.url}/v1/chat/completions`, request);
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toMatch(/^\{"id":"chatcmpl-/);
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(await failureOf(clientOf(provider).chat.completions.create(hello))).toBeInstanceOf(Error);
    expect(provider.calls[0]).toMatchObject({ ended: 'fault:truncatedJson', sent: 'part' });
  });

  test('truncatedJson in a stream is one chunk that does not parse', async () => {
    const provider = await startFaulty('truncatedJson');
    const stream = await clientOf(provider).chat.completions.create({ ...hello, stream: true });
    expect(await failureOf(Array.fromAsync(stream))).toBeInstanceOf(SyntaxError);
  });

  test('hang keeps the permit until the client gives up', async () => {
    const provider = await startFaulty('hang');
    const abort = new AbortController();
    const hung = failureOf(clientOf(provider).chat.completions.create(hello, { signal: abort.signal }));
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(1), { interval: 2 });
    expect((await post(provider)).body.error.type).toBe('concurrency');
    abort.abort();
    expect((await hung).constructor.name).toBe('APIUserAbortError');
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(0), { interval: 2 });
    expect(provider.calls).toMatchObject([{ ended: 'fault:hang', sent: 'nothing', status: null }]);
  });

  test('begins and stops while the provider runs', async () => {
    const provider = await startProvider();
    const statuses = [(await post(provider)).status];
    provider.setFaults({ rate500: 1 });
    statuses.push((await post(provider)).status);
    provider.setFaults({});
    statuses.push((await post(provider)).status);
    expect(statuses).toEqual([200, 500, 200]);
    expect(() => provider.setFaults({ hang: 2 })).toThrow(RangeError);
  });

  test('strikes the same calls for the same seed, and others for another', async () => {
    const statusesOf = async (seed: number) => {
      const provider = await startProvider({ seed, faults: { rate500: 0.3, rate429: 0.2 } });
      const statuses: number[] = [];
      for (let call = 0; call < 40; call += 1) statuses.push((await post(provider)).status);
      return statuses.join(' ');
    };
    const first = await statusesOf(7);
    expect(await statusesOf(7)).toBe(first);
    expect(await statusesOf(8)).not.toBe(first);
    expect(new Set(first.split(' '))).toEqual(new Set(['200', '429', '500']));
  });
});

describe('close', () => {
  test('ends hung calls, idle connections and slow answers, and may be called twice', async () => {
    const provider = await startFakeProvider({ faults: { hang: 1 } });
    const hung = failureOf(post(provider));
    await vi.waitFor(() => expect(provider.stats().inFlight).toBe(1), { interval: 2 });
    provider.setFaults({});
    await post(provider);
    await Promise.all([provider.close(), provider.close()]);
    expect(await hung).toBeInstanceOf(TypeError);
    expect(provider.stats().inFlight).toBe(0);
    expect(provider.calls).toMatchObject([{ ended: 'fault:hang' }, { ended: 'answered' }]);
    expect(await failureOf(fetch(`${provider.url}/healthz`))).toBeInstanceOf(TypeError);
  });

  test('comes by itself at the end of `await using`', async () => {
    let url: string;
    {
      await using provider = await startFakeProvider();
      url = provider.url;
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    }
    expect(await failureOf(fetch(`${url}/healthz`))).toBeInstanceOf(TypeError);
  });

  test('a port that is taken is an error, and nothing stays open', async () => {
    const { port } = await startProvider();
    expect(await failureOf(startFakeProvider({ port }))).toMatchObject({ code: 'EADDRINUSE' });
  });
});
