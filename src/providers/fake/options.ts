/** Options of the fake provider: what may be given, what it defaults to, what is refused at the door. */
import { systemClock } from '../../../actors/kernel/clock.ts';
import { describe } from '../../../actors/kernel/errors.ts';
import type { AdmissionOptions } from './admission/admission.ts';
import { checkLimits } from './admission/limits.ts';
import { checkTimeline } from './admission/timeline.ts';
import { checkFaults } from './faults/faults.ts';
import type { FaultRates } from './faults/faults.ts';
import type { ChatRequest } from './openai/request.ts';
import type { PerRequest } from './usage.ts';

/** How long an accepted call takes. */
export interface Latency {
  /** Until a plain answer's first token, or a stream's first chunk, in milliseconds. */
  readonly baseMs: number;
  /** More for each token of the answer; a stream sends its chunks this far apart. Default 0. */
  readonly perOutputTokenMs?: number;
  /** Each call is faster or slower by up to this share, 0..1, drawn from the seed. Default 0. */
  readonly jitter?: number;
  /** More still for each token of an answer that the fault `slow` strikes, in milliseconds. Default 1 000. */
  readonly slowTokenMs?: number;
}

/**
 * Options of {@link startFakeProvider}. All may be left out. Those of the admission are the same as in
 * virtual time; a schedule and neighbours begin when the provider is started.
 */
export interface FakeProviderOptions extends Omit<AdmissionOptions, 'concurrencyRetryMs' | 'seed'> {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default: none at all. */
  readonly latency?: Latency;
  /** Default: none. */
  readonly faults?: FaultRates;
  /** For faults, jitter, garbage and the moments of neighbours. Default 1. */
  readonly seed?: number;
  /**
   * The text of the answer; the request in OpenAI's form, whatever format it came in (a `system` of Anthropic's
   * is the first message). Default: a short summary of the last message, always the same.
   */
  readonly answer?: (request: ChatRequest) => string | Promise<string>;
  /** Share of a prompt that is read from the provider's cache, held to 0..1. Default 0. */
  readonly cachedPrompt?: PerRequest;
  /** Share of a prompt that is written to the cache, held to what is not read from it. Default 0. */
  readonly cacheWrites?: PerRequest;
  /** Tokens of reasoning before the text, which nobody sees and everybody pays; they come off the maximum. Default 0. */
  readonly reasoningTokens?: PerRequest;
  /** JSON-lines file that accepted calls are appended to. See `call-log.ts`. Default: none. */
  readonly logFile?: string;
  /** Models that exist. Default: any. */
  readonly models?: readonly string[];
  /** A larger body gets 413. Default 8 MiB. */
  readonly maxBodyBytes?: number;
  /** Calls kept in memory; the oldest are dropped. Default 10 000. */
  readonly maxCalls?: number;
  /**
   * The clock of buckets, log and durations, in milliseconds since 1970. Default: a monotonic one.
   * Latency waits in real time whatever it says.
   */
  readonly nowMs?: () => number;
}

/** The options with their defaults filled in. */
export interface ResolvedOptions extends Required<Omit<FakeProviderOptions, 'latency' | 'logFile' | 'models'>> {
  readonly latency: Required<Latency>;
  readonly logFile: string | null;
  readonly models: readonly string[] | null;
}

const FIELDS: readonly string[] = [
  'port',
  'limits',
  'hidden',
  'schedule',
  'neighbours',
  'burstMs',
  'rejectedCostQuota',
  'latency',
  'faults',
  'seed',
  'answer',
  'cachedPrompt',
  'cacheWrites',
  'reasoningTokens',
  'logFile',
  'models',
  'maxBodyBytes',
  'maxCalls',
  'nowMs',
] satisfies readonly (keyof FakeProviderOptions)[];

/** @throws RangeError when a number is out of its range, or there is no such option. */
export function resolveOptions(options: FakeProviderOptions): ResolvedOptions {
  for (const field of Object.keys(options))
    if (!FIELDS.includes(field)) throw new RangeError(`${field}: no such option; there are ${FIELDS.join(', ')}`);
  const { rejectedCostQuota = false } = options;
  if (typeof rejectedCostQuota !== 'boolean' && rejectedCostQuota !== 'request-and-tokens')
    throw new RangeError(`rejectedCostQuota: expected false, true or 'request-and-tokens', got ${describe(rejectedCostQuota)}`);
  const latency = { perOutputTokenMs: 0, jitter: 0, slowTokenMs: 1_000, ...(options.latency ?? { baseMs: 0 }) };
  const { seed = 1 } = options;
  const { schedule, neighbours } = checkTimeline({ schedule: options.schedule ?? [], neighbours: options.neighbours ?? [], seed });
  const resolved: ResolvedOptions = {
    port: options.port ?? 0,
    limits: checkLimits('limits', options.limits ?? {}),
    hidden: checkLimits('hidden', options.hidden ?? {}),
    schedule,
    neighbours,
    burstMs: options.burstMs ?? 1_000,
    rejectedCostQuota,
    latency,
    faults: checkFaults(options.faults ?? {}),
    seed,
    answer: options.answer ?? summarize,
    cachedPrompt: options.cachedPrompt ?? 0,
    cacheWrites: options.cacheWrites ?? 0,
    reasoningTokens: options.reasoningTokens ?? 0,
    logFile: options.logFile ?? null,
    models: options.models ?? null,
    maxBodyBytes: options.maxBodyBytes ?? 8 * 1024 * 1024,
    maxCalls: options.maxCalls ?? 10_000,
    nowMs: options.nowMs ?? wholeSystemMs(),
  };
  atLeast('burstMs', resolved.burstMs, 0);
  atLeast('latency.baseMs', latency.baseMs, 0);
  atLeast('latency.perOutputTokenMs', latency.perOutputTokenMs, 0);
  atLeast('latency.slowTokenMs', latency.slowTokenMs, 0);
  atLeast('latency.jitter', latency.jitter, 0);
  if (latency.jitter > 1) throw new RangeError(`latency.jitter: expected 0..1, got ${latency.jitter}`);
  atLeast('maxBodyBytes', resolved.maxBodyBytes, 1);
  atLeast('maxCalls', resolved.maxCalls, 1);
  return resolved;
}

function atLeast(name: string, value: number, least: number): void {
  if (!(value >= least)) throw new RangeError(`${name}: expected at least ${least}, got ${value}`);
}

/** Monotonic, so that a bucket never sees time go back; whole, so that its arithmetic stays exact. */
function wholeSystemMs(): () => number {
  const clock = systemClock();
  return () => Math.floor(clock.nowMs());
}

function summarize({ messages }: ChatRequest): string {
  const content = messages.at(-1)?.content ?? '';
  const text = typeof content === 'string' ? content : content.map((part) => part.text ?? '').join(' ');
  const words = text.split(/\s+/).filter((word) => word !== '');
  const start = words.slice(0, 8).join(' ');
  return `Echo of ${words.length} words: ${start}${words.length > 8 ? ' ...' : ''}`;
}
