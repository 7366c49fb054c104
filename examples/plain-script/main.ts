/**
 * A plain script without a fleet: one limiter, one breaker and one budget for whatever it asks a model.
 *
 *     npm exec -- node --conditions=drover-source examples/plain-script/main.ts
 *
 * It asks 200 questions at once of the address in OPENAI_BASE_URL; without one it starts a provider of its own,
 * with the same limits, which refuses whoever does not keep to them.
 */
import OpenAI from 'openai';
import { admission } from 'drover';
import { startFakeProvider } from 'drover/fake-provider';
import { openaiFetch } from 'drover/openai';

const limits = { requestsPerMinute: 6_000, tokensPerMinute: 600_000 };
const provider =
  process.env['OPENAI_BASE_URL'] === undefined ? await startFakeProvider({ limits, burstMs: 5_000, latency: { baseMs: 20 } }) : undefined;
const apiKey = process.env['OPENAI_API_KEY'] ?? 'local';
const baseURL = process.env['OPENAI_BASE_URL'] ?? `${provider?.url}/v1`;

const gate = admission({ limits, breaker: {}, budget: { usd: 5 } });
const openai = new OpenAI({ apiKey, baseURL, fetch: openaiFetch(gate) });

const answers = await Promise.all(
  Array.from({ length: 200 }, (_, at) =>
    openai.chat.completions.create({
      model: 'gpt-4.1-mini',
      messages: [{ role: 'user', content: `What is ${at} + 1?` }],
      max_completion_tokens: 50,
    }),
  ),
);

const { budget } = await gate.look();
console.log(`${answers.length} answers for $${budget?.spent.usd.toFixed(6)} of $${budget?.limit.usd}`);
if (provider !== undefined) console.log(`refused by the provider: ${provider.stats().rejected429}`);
await gate.close();
await provider?.close();
