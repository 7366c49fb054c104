/**
 * The local provider, a program of its own: it learns from the mails that a run does not use, then
 * answers chat completions on 127.0.0.1 under the limits of `job.ts`. It is no language model.
 *
 *     node --conditions=drover-source examples/inbox/provider.ts [--mails 600] [--seed 1] [--port 0]
 *                                                                [--latency 600] [--log FILE] [--detach]
 *
 * When it is ready it prints one line of JSON: `{"url", "model", "pid", "trained"}`. It ends when its
 * standard input does, that is with its parent, unless `--detach` is given.
 */
import { parseArgs } from 'node:util';
import { startFakeProvider } from 'drover/fake-provider';
import type { ChatRequest } from 'drover/fake-provider';
import { DEFAULT_MAILS, DEFAULT_SEED, LOCAL_LATENCY, LOCAL_LIMITS, localModel } from './job.ts';
import { createLanguage } from './language.ts';
import { loadInbox } from './mails.ts';
import type { ChatMessage } from './prompts.ts';

const { values } = parseArgs({
  options: {
    mails: { type: 'string', default: String(DEFAULT_MAILS) },
    seed: { type: 'string', default: String(DEFAULT_SEED) },
    port: { type: 'string', default: '0' },
    latency: { type: 'string', default: String(LOCAL_LATENCY.baseMs) },
    log: { type: 'string' },
    detach: { type: 'boolean', default: false },
  },
});
const [mails, seed] = [Number(values.mails), Number(values.seed)];

if (!values.detach) {
  // Listening before the long training: a parent that dies meanwhile must not leave an orphan.
  process.stdin.once('close', stop).resume();
  // Ctrl-C reaches every process of a terminal. The fleet drains then, and needs answers for that.
  process.on('SIGINT', () => {});
}

const { training } = loadInbox({ mails, seed });
const language = createLanguage({ trainOn: training });
const model = localModel(mails, seed);
const provider = await startFakeProvider({
  port: Number(values.port),
  limits: LOCAL_LIMITS,
  // Refused calls cost a request, as they do at OpenAI.
  rejectedCostQuota: true,
  latency: { ...LOCAL_LATENCY, baseMs: Number(values.latency) },
  models: [model],
  maxCalls: 100_000,
  answer: (request) => language.answer(messagesOf(request)),
  ...(values.log === undefined ? {} : { logFile: values.log }),
});
process.once('SIGTERM', stop);
console.log(JSON.stringify({ url: provider.url, model, pid: process.pid, trained: training.length }));

function stop(): void {
  process.exit(0);
}

function messagesOf({ messages }: ChatRequest): ChatMessage[] {
  return messages.map(({ role, content }) => ({
    role: role === 'system' || role === 'assistant' ? role : 'user',
    content: typeof content === 'string' ? content : (content ?? []).map(({ text = '' }) => text).join('\n'),
  }));
}
