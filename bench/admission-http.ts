/**
 * HTTP: the same trace through Drover and through what people use instead, each against a fake provider
 * of its own, all at the same time.
 *
 * Drover is told nothing. The others get what they are made for: a declared limit, too high by half.
 */
import { Agent, request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import Bottleneck from 'bottleneck';
import { startFakeProvider } from 'drover/fake-provider';
import type { ChatRequest, FakeProviderOptions } from 'drover/fake-provider';
import OpenAI from 'openai';
import PQueue from 'p-queue';
import { admission } from '../src/admission/gate.ts';
import { outcomeOf, providerOf } from './admission-scenes.ts';
import type { Outcome, Scene, Tried } from './admission-scenes.ts';
import { AGENTS } from './admission-traces.ts';
import type { Job } from './admission-traces.ts';

export const SUBJECTS = ['drover', 'bottleneck', 'p-queue with retries', "openai's retries", 'no control'] as const;
export type Subject = (typeof SUBJECTS)[number];

const DECLARED = 1.5;
const ATTEMPTS = 5;
const LATENCY = { baseMs: 100, perOutputTokenMs: 2, jitter: 0.3 };
const CHARACTERS = 4;

/** A reply that is no answer, as clients throw it. */
class StatusError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, headers: IncomingHttpHeaders) {
    super(`status ${status}`);
    this.status = status;
    this.headers = headers as Record<string, string>;
  }
}

/** One provider and one who calls it. */
interface Wire {
  readonly url: string;
  readonly tried: Tried[];
  /** One try. @throws StatusError */
  send(job: Job): Promise<void>;
  /** A `fetch` that counts the tries of a job. */
  fetchFor(job: Job): typeof fetch;
}

interface Client {
  call(job: Job): Promise<unknown>;
  close(): void;
}

export async function overHttp(subject: Subject, scene: Scene): Promise<Outcome> {
  const tried: Tried[] = [];
  await withWire({ ...providerOf(scene), latency: LATENCY }, tried, async (wire, beganMs) => {
    const requestsPerSecond = (DECLARED * scene.hidden * scene.trace.jobs.length) / tokensOf(scene) / 60;
    const client = clientOf(subject, wire, requestsPerSecond);
    const calls: Promise<unknown>[] = [];
    for (const job of scene.trace.jobs) {
      const waitMs = beganMs + job.atMs - performance.now();
      if (waitMs > 1) await sleep(waitMs);
      calls.push(client.call(job).catch(() => undefined));
    }
    await sleep(Math.max(0, beganMs + scene.trace.forMs - performance.now()));
    client.close();
  });
  return outcomeOf(scene, tried);
}

/** Eleven agents start at once, each with one call, on a limit of one a second. How many come through. */
export async function elevenAtOnce(subject: Subject): Promise<number> {
  let finished = 0;
  const hidden = { requestsPerMinute: 60 };
  await withWire({ hidden, burstMs: 1_000, rejectedCostQuota: true, latency: LATENCY }, [], async (wire) => {
    const client = clientOf(subject, wire, DECLARED);
    const jobs = Array.from({ length: AGENTS }, (_, agent): Job => ({ atMs: 0, agent, input: 20, output: 20, mostOutput: 20 }));
    const all = Promise.all(
      jobs.map((job) =>
        client.call(job).then(
          () => (finished += 1),
          () => undefined,
        ),
      ),
    );
    await Promise.race([all, sleep(60_000, undefined, { ref: false })]);
    client.close();
  });
  return finished;
}

async function withWire(options: FakeProviderOptions, tried: Tried[], act: (wire: Wire, beganMs: number) => Promise<void>): Promise<void> {
  const provider = await startFakeProvider({ ...options, answer: answerOf, maxCalls: 1 });
  const agent = new Agent({ keepAlive: true });
  const beganMs = performance.now();
  const url = `${provider.url}/v1`;
  const wire: Wire = {
    url,
    tried,
    send: async (job) => {
      const atMs = performance.now() - beganMs;
      const { status, headers } = await post(`${url}/chat/completions`, agent, JSON.stringify(bodyOf(job)));
      tried.push({ job, atMs, accepted: status === 200 });
      if (status !== 200) throw new StatusError(status, headers);
    },
    fetchFor: (job) => async (input, init) => {
      const atMs = performance.now() - beganMs;
      const response = await fetch(input, init);
      tried.push({ job, atMs, accepted: response.status === 200 });
      return response;
    },
  };
  try {
    await act(wire, beganMs);
  } finally {
    agent.destroy();
    await provider.close();
  }
}

function clientOf(subject: Subject, wire: Wire, requestsPerSecond: number): Client {
  switch (subject) {
    case 'drover': {
      const gate = admission({ adapt: 'aimd', safetyMargin: 0, attempts: ATTEMPTS });
      return {
        call: (job) =>
          gate.run(() => wire.send(job), {
            input: job.input,
            output: job.mostOutput,
            usage: () => ({ inputTokens: job.input, outputTokens: job.output }),
            flow: `agent ${job.agent}`,
          }),
        close: () => void gate.close({ drain: false }),
      };
    }
    case 'bottleneck': {
      const limiter = new Bottleneck({ minTime: 1_000 / requestsPerSecond, maxConcurrent: 50 });
      limiter.on('failed', (error: unknown, { retryCount }) => (retryCount < ATTEMPTS - 1 ? backoffMs(error, retryCount) : undefined));
      return { call: (job) => limiter.schedule(() => wire.send(job)), close: () => void limiter.stop({ dropWaitingJobs: true }) };
    }
    case 'p-queue with retries': {
      const queue = new PQueue({ concurrency: 50, interval: 1_000, intervalCap: Math.ceil(requestsPerSecond) });
      const call = async (job: Job): Promise<void> => {
        for (let attempt = 0; ; attempt += 1) {
          try {
            return await queue.add(() => wire.send(job));
          } catch (error) {
            if (attempt === ATTEMPTS - 1) throw error;
            await sleep(backoffMs(error, attempt));
          }
        }
      };
      return { call, close: () => queue.clear() };
    }
    case "openai's retries":
      return {
        call: (job) => new OpenAI({ baseURL: wire.url, apiKey: 'none', fetch: wire.fetchFor(job) }).chat.completions.create(bodyOf(job)),
        close: () => {},
      };
    case 'no control':
      return { call: (job) => wire.send(job), close: () => {} };
  }
}

/** Full jitter, never below Retry-After. */
function backoffMs(error: unknown, attempt: number): number {
  const headers = error instanceof StatusError ? error.headers : {};
  return Number(headers['retry-after-ms'] ?? 0) + Math.random() * Math.min(60_000, 500 * 2 ** attempt);
}

function bodyOf({ input, output, mostOutput }: Job) {
  return {
    model: 'any',
    // The prompt says how long the answer is to be.
    messages: [{ role: 'user' as const, content: `${output} `.padEnd(CHARACTERS * input, '.') }],
    max_tokens: mostOutput,
  };
}

function answerOf({ messages }: ChatRequest): string {
  const content = messages[0]?.content;
  return 'word'.repeat(typeof content === 'string' ? Number.parseInt(content, 10) || 1 : 1);
}

function post(url: string, agent: Agent, body: string): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function tokensOf({ trace }: Scene): number {
  return trace.jobs.reduce((sum, { input, output }) => sum + input + output, 0);
}
