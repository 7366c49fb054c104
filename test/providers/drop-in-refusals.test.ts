import { describe, expect, test } from 'vitest';
import { TopologyError } from 'drover';
import type { AdmissionSpec } from 'drover';
import { admissionMiddleware } from 'drover/ai-sdk';
import { anthropicFetch, anthropicMiddleware } from 'drover/anthropic';
import { openaiFetch } from 'drover/openai';
import type { DropInOptions } from 'drover/openai';
import { clientBehind, EVERY_CLIENT, gateOf } from './drop-in-harness.ts';
import type { ClientName, Question } from './drop-in-harness.ts';
import { failureOf, startProvider } from './fake-harness.ts';

/** How a refusal looks to the caller of a client: Drover's own error, or the client's with the code in its body. */
function codeOf(error: { code?: unknown; error?: { error?: { code?: unknown } } }): unknown {
  return error.code ?? error.error?.error?.code;
}

interface Refusal {
  readonly gate: AdmissionSpec;
  readonly options?: DropInOptions;
  readonly question?: Question;
  readonly isolated?: boolean;
  readonly busy?: boolean;
  readonly code: string;
  readonly status: number;
}

const REFUSALS: readonly (Refusal & { readonly name: string })[] = [
  { name: 'a budget of tokens that is used up', gate: { budget: { tokens: 10 } }, code: 'DROVER_BUDGET_EXCEEDED', status: 429 },
  {
    name: 'a budget of money that is used up',
    gate: { budget: { usd: 0.000_001 }, price: ({ outputTokens }) => outputTokens },
    code: 'DROVER_BUDGET_EXCEEDED',
    status: 429,
  },
  { name: 'an unknown price', gate: { budget: { usd: 1 } }, code: 'DROVER_UNKNOWN_PRICE', status: 400 },
  { name: 'an open breaker', gate: {}, isolated: true, code: 'DROVER_BREAKER_OPEN', status: 503 },
  { name: 'a call larger than a limit', gate: { limits: { outputTokensPerMinute: 20 } }, code: 'DROVER_CALL_TOO_LARGE', status: 429 },
  {
    name: 'a deadline that cannot be met',
    gate: { limits: { concurrency: 1 } },
    busy: true,
    options: { withinMs: 20 },
    code: 'DROVER_ADMISSION_LATE',
    status: 429,
  },
];

describe.each(EVERY_CLIENT)('$client, stream $stream', ({ client, stream }) => {
  test.each(REFUSALS)('$name is told once, and nothing is sent', async ({ gate: spec, options, isolated, busy, code, status }) => {
    const provider = await startProvider();
    const { gate } = gateOf(spec);
    if (isolated) gate.isolate();
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const holding = busy ? gate.run(() => over) : undefined;
    const asking = clientBehind(client, stream, provider, gate, options);
    const error = await failureOf(asking.ask());
    expect(codeOf(error)).toBe(code);
    if (error.status !== undefined) expect(error.status).toBe(status);
    expect(asking.attempts).toBe(1);
    expect(provider.stats().accepted).toBe(0);
    end();
    await holding;
    expect(await gate.look()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  test('a full line is told once', async () => {
    const provider = await startProvider();
    const { gate } = gateOf({ limits: { concurrency: 1 }, waiting: 1 });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const holding = [gate.run(() => over), gate.run(async () => {})];
    const asking = clientBehind(client, stream, provider, gate);
    expect(codeOf(await failureOf(asking.ask()))).toBe('DROVER_ADMISSION_FULL');
    expect(asking.attempts).toBe(1);
    end();
    await Promise.all(holding);
  });

  test('a gate that is closed is told once', async () => {
    const provider = await startProvider();
    const { gate } = gateOf();
    const asking = clientBehind(client, stream, provider, gate);
    await gate.close();
    expect(codeOf(await failureOf(asking.ask()))).toBe('DROVER_ADMISSION_CLOSED');
    expect(asking.attempts).toBe(1);
    expect(provider.stats().accepted).toBe(0);
  });

  test.each([
    ['a 400', 'gone', 400, { models: ['m'] }],
    ['a 500', 'm', 500, { faults: { rate500: 1 } }],
    ['a 529', 'm', 529, { faults: { rate529: 1 } }],
    ['a 429', 'm', 429, { faults: { rate429: 1 } }],
  ] as const)(
    '%s of the provider comes through as it was, after the tries of the gate, and the client makes none',
    async (_, model, status, options) => {
      const provider = await startProvider(options);
      // A second try after a 429 would have to wait for its Retry-After.
      const tries = status === 400 || status === 429 ? 1 : 2;
      const { gate, events } = gateOf({ attempts: tries });
      const asking = clientBehind(client, stream, provider, gate);
      const error = await failureOf(asking.ask({ model }));
      // Anthropic says 404 to a model that does not exist.
      const expected = model === 'gone' && client.includes('anthropic') ? 404 : status;
      expect(error.status ?? error.statusCode).toBe(expected);
      expect(asking.attempts).toBe(1);
      expect(events.filter(({ at }) => at === 'failed')).toHaveLength(tries);
      expect(await gate.look()).toMatchObject({ inFlight: 0, waiting: 0, granted: tries });
    },
  );

  test('a provider that cannot be reached is told once', async () => {
    const provider = await startProvider();
    await provider.close();
    const { gate, events } = gateOf({ attempts: 1 });
    const asking = clientBehind(client, stream, provider, gate);
    await failureOf(asking.ask());
    expect(asking.attempts).toBe(1);
    expect(events).toMatchObject([{ at: 'failed', failure: 'transient' }]);
  });
});

describe('the own error of Drover', () => {
  test.each<[ClientName]>([['anthropic'], ['ai-sdk-openai'], ['ai-sdk-anthropic']])('comes through %s as it is', async (client) => {
    const { gate } = gateOf({ budget: { tokens: 10 } });
    const error = await failureOf(clientBehind(client, false, await startProvider(), gate).ask());
    expect(error).toMatchObject({ name: 'BudgetExceededError', detail: { why: 'too-large', asked: { tokens: 34 } } });
  });

  test('is no error that the client takes for a timeout of its own, whatever the gate is called', async () => {
    const { gate } = gateOf({ name: 'timed out', budget: { tokens: 10 }, limits: { outputTokensPerMinute: 20 } });
    gate.raiseBudget({ tokens: 1_000 });
    const asking = clientBehind('anthropic', false, await startProvider(), gate);
    expect(await failureOf(asking.ask())).toMatchObject({ status: 429 });
    expect(asking.attempts).toBe(1);
  });
});

describe('a wrong declaration', () => {
  test.each([
    ['openaiFetch', openaiFetch],
    ['anthropicFetch', anthropicFetch],
    ['anthropicMiddleware', anthropicMiddleware],
    ['admissionMiddleware', admissionMiddleware],
  ] as const)('of %s is refused, with what is allowed', (name, dropIn) => {
    const { gate } = gateOf();
    const make = dropIn as (given: unknown, options?: object) => unknown;
    const wrong = (given: unknown, options?: object) => () => void make(given, options);
    expect(wrong(undefined)).toThrow(TopologyError);
    expect(wrong(undefined)).toThrow(`${name}.gate: expected a gate, as \`admission()\` makes it`);
    expect(wrong(gate, { maxOutputTokens: 0 })).toThrow(`${name}.maxOutputTokens: expected a whole number of tokens`);
    expect(wrong(gate, { price: { inputPerMillion: -1, outputPerMillion: 1 } })).toThrow(`${name}.price`);
    expect(wrong(gate, { colour: 'red' })).toThrow(`${name}.colour: expected no such field`);
  });
});
