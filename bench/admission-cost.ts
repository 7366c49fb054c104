/** Cost: what one admission takes in memory, through limiter, breaker and budget together, beside what else there is. */
import { bulkhead, circuitBreaker, ConsecutiveBreaker, handleAll, wrap } from 'cockatiel';
import { admission } from '../src/admission/gate.ts';
import type { Admission } from '../src/admission/gate.ts';

export interface Costs {
  /** Microseconds a call, a round each. */
  readonly drover: readonly number[];
  readonly learning: readonly number[];
  readonly cockatiel: readonly number[];
  readonly bucket: readonly number[];
}

const CALLS = 200_000;
const ROUNDS = 5;
const AT_ONCE = 20;
const ROOM = 100;
const LIMITS = { requestsPerMinute: 1e12, tokensPerMinute: 1e12, concurrency: ROOM };
const COST = { input: 10, output: 10, usage: () => ({ inputTokens: 10, outputTokens: 10 }) };

type Caller = () => Promise<unknown>;

export async function costs(): Promise<Costs> {
  const measured = { drover: [] as number[], learning: [] as number[], cockatiel: [] as number[], bucket: [] as number[] };
  const gate = admission({ limits: LIMITS, breaker: {}, budget: { tokens: 1e15 } });
  const learning = admission({ limits: LIMITS, breaker: {}, budget: { tokens: 1e15 }, adapt: { rate: { startPerMinute: 1e12 } } });
  for (let round = 0; round <= ROUNDS; round += 1) {
    const once = {
      drover: await usACall(through(gate)),
      learning: await usACall(through(learning)),
      cockatiel: await usACall(throughCockatiel()),
      bucket: await usACall(throughBucket()),
    };
    // The first warms up.
    if (round > 0) for (const name of ['drover', 'learning', 'cockatiel', 'bucket'] as const) measured[name].push(once[name]);
  }
  await gate.close();
  await learning.close({ drain: false });
  return measured;
}

async function usACall(call: Caller): Promise<number> {
  globalThis.gc?.();
  const beganMs = performance.now();
  const one = async (): Promise<void> => {
    for (let each = 0; each < CALLS / AT_ONCE; each += 1) await call();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  return ((performance.now() - beganMs) * 1_000) / CALLS;
}

const nothing = async (): Promise<null> => null;

function through(gate: Admission): Caller {
  return () => gate.run(nothing, COST);
}

function throughCockatiel(): Caller {
  const policy = wrap(bulkhead(ROOM, 1_000), circuitBreaker(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) }));
  return () => policy.execute(nothing);
}

/** A token bucket as one writes it, and nothing else. */
function throughBucket(): Caller {
  const perMs = 1e9;
  let [level, filledMs] = [1e9, performance.now()];
  return async () => {
    const nowMs = performance.now();
    level = Math.min(1e9, level + (nowMs - filledMs) * perMs);
    filledMs = nowMs;
    if (level < 20) throw new Error('empty');
    level -= 20;
    return nothing();
  };
}
