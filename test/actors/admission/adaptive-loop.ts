/**
 * A closed loop in virtual time: a regulator that always has somebody waiting, and a provider that is a
 * token bucket of a size and a rate that nobody has told it. Everything random comes from a seed.
 */
import { charged, earliestMs, regulatorOf, settled } from '../../../actors/admission/regulator.ts';
import type { LimiterLimits, Regulator } from '../../../actors/admission/regulator.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';

export interface Loop {
  readonly seed: number;
  readonly forMs: number;
  /** Units a second that there are at a time. */
  readonly capacity: (timeMs: number) => number;
  readonly bucketMs: number;
  /** When every call is turned away with 503. Default never. */
  readonly isDown?: (timeMs: number) => boolean;
  /** Whether a refused call costs what it asked for. */
  readonly refusedCosts?: boolean;
  /** How it says when to come again. Default 'exact'. */
  readonly retryAfter?: 'exact' | 'seconds' | 'none';
  readonly limits?: LimiterLimits;
  /** Mean units of a call. Default 100. */
  readonly mean?: number;
}

export interface LoopResult {
  readonly delivered: number;
  readonly calls: number;
  readonly refused: number;
  readonly regulator: Regulator;
  /** Cuts of the rate: when, and to what. */
  readonly cuts: readonly { readonly atMs: number; readonly before: number; readonly after: number }[];
  /** The rate in units a second, each second. */
  readonly rates: readonly number[];
}

interface Event {
  readonly atMs: number;
  readonly act: () => void;
}

export function closedLoop(loop: Loop): LoopResult {
  const { forMs, capacity, bucketMs, refusedCosts = false, retryAfter = 'exact', mean = 100 } = loop;
  const random = seededRandom(loop.seed);
  let regulator = regulatorOf(loop.limits ?? { adapt: 'aimd', safetyMargin: 0 });
  let [level, filledMs, nowMs, delivered, calls, refused] = [(capacity(0) * bucketMs) / 1_000, 0, 0, 0, 0, 0];
  const cuts: { atMs: number; before: number; after: number }[] = [];
  const rates: number[] = [];
  const events: Event[] = [];
  const at = (atMs: number, act: () => void): void => {
    let place = events.length;
    while (place > 0 && events[place - 1]!.atMs <= atMs) place -= 1;
    events.splice(place, 0, { atMs, act });
  };
  const cost = (): number => Math.ceil(mean * (0.2 - 0.8 * Math.log(1 - random.next())));
  let waiting = cost();
  const issue = (): void => {
    const units = waiting;
    const asked = { input: units, output: 0, slots: 1 };
    const dueMs = earliestMs(regulator, asked, nowMs);
    if (dueMs > nowMs) return at(dueMs, issue);
    regulator = charged(regulator, asked, nowMs);
    calls += 1;
    waiting = cost();
    const { plan } = regulator;
    const grantedMs = nowMs;
    const come = (end: 'ok' | 'rate-limited' | 'overloaded', afterMs: number, retryAfterMs?: number): void =>
      at(nowMs + afterMs, () => {
        const before = regulator.rate!.perMs;
        const used = end === 'ok' ? units : 0;
        const report = {
          end,
          usedInput: used,
          usedOutput: 0,
          latencyMs: nowMs - grantedMs,
          grantedMs,
          ...(retryAfterMs && { retryAfterMs }),
        };
        regulator = settled(regulator, plan, asked, report, true, nowMs);
        if (regulator.rate!.perMs < before) cuts.push({ atMs: nowMs, before, after: regulator.rate!.perMs });
      });
    at(nowMs + 10 + random.next(), () => {
      const size = Math.max(1, (capacity(nowMs) * bucketMs) / 1_000);
      level = Math.min(size, level + (capacity(nowMs) * (nowMs - filledMs)) / 1_000);
      filledMs = nowMs;
      if (loop.isDown?.(nowMs)) return come('overloaded', 10);
      const missing = Math.min(units, size) - level;
      if (missing <= 0) {
        level -= units;
        delivered += units;
        return come('ok', 200 + 800 * random.next());
      }
      refused += 1;
      if (refusedCosts) level = Math.min(level, Math.max(0, level - units));
      const waitMs = Math.ceil((1_000 * missing) / capacity(nowMs));
      come('rate-limited', 10, retryAfter === 'none' ? undefined : retryAfter === 'exact' ? waitMs : Math.ceil(waitMs / 1_000) * 1_000);
    });
    issue();
  };
  issue();
  for (let event = events.pop(); event !== undefined && event.atMs <= forMs; event = events.pop()) {
    while (rates.length * 1_000 <= event.atMs) rates.push(regulator.rate!.perMs * 1_000);
    nowMs = event.atMs;
    event.act();
  }
  return { delivered, calls, refused, regulator, cuts, rates };
}
