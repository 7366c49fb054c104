/** Virtual: a trace through Drover's own limiter against the fake provider's own admission, in virtual time. */
import { admit, openAdmission, settle } from 'drover/fake-provider';
import { decide, initial } from '../actors/admission/limiter.ts';
import type { LimiterEffect, LimiterMessage, LimiterReply, LimiterState, Permit } from '../actors/admission/limiter.ts';
import type { CallReport, LimiterLimits } from '../actors/admission/limits.ts';
import type { HostEffect } from '../actors/kernel/effects.ts';
import { seededRandom } from '../actors/kernel/random.ts';
import { providerOf } from './admission-scenes.ts';
import type { Scene, Tried } from './admission-scenes.ts';
import type { Job } from './admission-traces.ts';

/** The way to the provider takes this, and up to that much longer. */
const WAY_MS = 15;
const JITTER_MS = 1;
const BASE_MS = 400;
const PER_TOKEN_MS = 15;
const BACKOFF_MS = 500;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly act: () => void;
}

/** Other limits from then on. */
interface Change {
  readonly atMs: number;
  readonly limits: LimiterLimits;
}

/** @param limits what the limiter is told; by default nothing at all but to learn */
export function inVirtualTime(
  scene: Scene,
  seed: number,
  limits: LimiterLimits = { adapt: 'aimd', safetyMargin: 0 },
  changes: readonly Change[] = [],
): Tried[] {
  const random = seededRandom(seed);
  const tried: Tried[] = [];
  const events: Event[] = [];
  let [nowMs, order, timer, provider] = [0, 0, 0, openAdmission({ ...providerOf(scene), seed }, 0)];
  const at = (atMs: number, act: () => void): void => push(events, { atMs: Math.max(nowMs, atMs), order: (order += 1), act });

  const waiting = new Map<number, { readonly job: Job; readonly attempt: number }>();
  let [limiter, effects] = initial({ limits }, 0);
  const run = (due: readonly (HostEffect | LimiterEffect)[]): void => {
    for (const effect of due) {
      if (effect.type === 'reply') {
        const answer = effect.value as LimiterReply;
        const asked = waiting.get(effect.to)!;
        waiting.delete(effect.to);
        if (answer.at === 'granted') perform(answer, asked.job, asked.attempt);
      } else if (effect.type === 'timer.set') {
        const mine = (timer += 1);
        at(effect.atMs, () => mine === timer && tell(effect.message as LimiterMessage));
      } else if (effect.type === 'timer.cancel') timer += 1;
    }
  };
  const tell = (message: LimiterMessage): void => {
    let due: LimiterState | readonly HostEffect[];
    [limiter, due] = decide(limiter, message, nowMs);
    run(due);
  };
  run(effects);

  const ask = (job: Job, attempt: number): void => {
    const replyTo = (order += 1);
    waiting.set(replyTo, { job, attempt });
    tell({ type: 'limiter.acquire', replyTo, ticket: replyTo, flow: `agent ${job.agent}`, input: job.input, output: job.mostOutput });
  };
  const perform = (permit: Permit, job: Job, attempt: number): void => {
    const grantedMs = nowMs;
    const estimate = { inputTokens: job.input, outputTokens: job.mostOutput };
    const used = { inputTokens: job.input, outputTokens: job.output };
    const home = (report: Omit<CallReport, 'latencyMs'>, result: 'success' | 'ignored'): void =>
      tell({ type: 'limiter.settle', items: [{ permit, report: { ...report, latencyMs: nowMs - grantedMs }, result }] });
    at(nowMs + WAY_MS + JITTER_MS * random.next(), () => {
      const [after, verdict] = admit(provider, estimate, Math.round(nowMs));
      provider = after;
      tried.push({ job, atMs: nowMs, accepted: verdict.at === 'accepted' });
      if (verdict.at === 'accepted') {
        const tookMs = BASE_MS * (0.5 + random.next()) + PER_TOKEN_MS * job.output * (0.7 + 0.6 * random.next());
        at(nowMs + tookMs, () => {
          provider = settle(provider, estimate, used, Math.round(nowMs));
          at(nowMs + WAY_MS, () => home({ end: 'ok', usedInput: job.input, usedOutput: job.output }, 'success'));
        });
      } else {
        const { retryAfterMs } = verdict;
        at(nowMs + WAY_MS, () => {
          home({ end: 'rate-limited', usedInput: 0, usedOutput: 0, retryAfterMs }, 'ignored');
          const restMs = retryAfterMs + random.next() * Math.min(60_000, BACKOFF_MS * 2 ** attempt);
          at(nowMs + restMs, () => ask(job, attempt + 1));
        });
      }
    });
  };
  for (const change of changes) at(change.atMs, () => tell({ type: 'limiter.configure', limits: change.limits }));
  for (const job of scene.trace.jobs) at(job.atMs, () => ask(job, 0));
  for (let event = pop(events); event !== undefined && event.atMs < scene.trace.forMs; event = pop(events)) {
    nowMs = event.atMs;
    event.act();
  }
  return tried;
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** A binary heap. */
function push(heap: Event[], event: Event): void {
  let at = heap.length;
  for (let up = (at - 1) >> 1; at > 0 && before(event, heap[up]!); up = (at - 1) >> 1) {
    heap[at] = heap[up]!;
    at = up;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
  return first;
}
