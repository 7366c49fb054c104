/**
 * The topology of the inbox. `main.ts` makes one with its options; `drover run` takes the default:
 *
 *     node --conditions=drover-source examples/inbox/provider.ts --port 4010 --detach
 *     npm run drover -- run examples/inbox/topology.ts --tasks tasks.jsonl
 *
 * with a local provider at INBOX_PROVIDER_URL (default http://127.0.0.1:4010), or OpenAI's own with
 * INBOX_PROVIDER=openai and OPENAI_API_KEY.
 */
import { defineFleet, dependency } from 'drover';
import type { Dependency } from 'drover';
import { openaiChat } from 'drover/openai';
import type { ChatReply, ChatRequest } from 'drover/openai';
import OpenAI from 'openai';
import { inboxAgents } from './agents.ts';
import { DEFAULT_AGENTS, DEFAULT_MAILS, DEFAULT_SEED, LOCAL_LIMITS, localModel } from './job.ts';

export interface TopologyOptions {
  /** Workers of all kinds together. */
  readonly agents: number;
  /** Where the model is. Local: the address without a path, and the model's name there. */
  readonly provider: { readonly at: 'local'; readonly url: string; readonly model: string } | { readonly at: 'openai' };
  /** Each worker for itself: no limits, no pacing, no shared wait. Shows what the limiter is for. */
  readonly uncontrolled?: boolean;
}

/** OPENAI_MODEL says which; any that answers without reasoning tokens fits the bounds of the prompts. */
const OPENAI_MODEL = 'gpt-4.1-mini';

/** Saved up while idle, less than the provider saves up: a burst of ours must fit into its own, with a large call on top. */
const BURST_MS = 400;

const TIMEOUT_MS = 60_000;

/** A fleet of triage, extract and digest agents on one model. */
export function inboxTopology({ agents, provider, uncontrolled = false }: TopologyOptions) {
  const model = modelOf(provider);
  return defineFleet({
    name: 'inbox',
    module: import.meta.url,
    agents: inboxAgents(uncontrolled ? withoutControl(model) : model, agents),
  });
}

function modelOf(provider: TopologyOptions['provider']): Dependency<ChatRequest, ChatReply> {
  const client =
    provider.at === 'openai'
      ? new OpenAI()
      : // The local one asks for no key.
        new OpenAI({ baseURL: `${provider.url}/v1`, apiKey: 'local' });
  return openaiChat({
    client,
    model: provider.at === 'openai' ? (process.env['OPENAI_MODEL'] ?? OPENAI_MODEL) : provider.model,
    limits: LOCAL_LIMITS,
    burstMs: BURST_MS,
    timeoutMs: TIMEOUT_MS,
  });
}

/**
 * What a fleet is without a limiter: every agent is polite for itself, waits as long as the provider
 * says and a little more, and tries again. As `transient`, a 429 holds up nobody else.
 */
function withoutControl({ spec }: Dependency<ChatRequest, ChatReply>): Dependency<ChatRequest, ChatReply> {
  const { limits: _limits, adapt: _adapt, breaker: _breaker, ...rest } = spec;
  return dependency({
    ...rest,
    classify(error) {
      const { headers } = error as { headers?: Headers };
      return { at: 'transient', retryAfterMs: Number(headers?.get('retry-after-ms') ?? 0) };
    },
  });
}

export default inboxTopology({
  agents: DEFAULT_AGENTS,
  provider:
    process.env['INBOX_PROVIDER'] === 'openai'
      ? { at: 'openai' }
      : {
          at: 'local',
          url: process.env['INBOX_PROVIDER_URL'] ?? 'http://127.0.0.1:4010',
          model: localModel(DEFAULT_MAILS, DEFAULT_SEED),
        },
});
