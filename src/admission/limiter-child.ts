/** Limiter child: the limiter of a dependency under a supervisor. */
import type { limiterLogic, LimiterInput } from '../../actors/admission/limiter.ts';
import type { AdaptSpec } from '../../actors/admission/regulator.ts';
import { planBreaker } from '../../actors/breaker/breaker.ts';
import type { BreakerPlan } from '../../actors/breaker/breaker.ts';
import type { Host } from '../../actors/host/host.ts';
import type { Random } from '../../actors/kernel/random.ts';
import type { ChildSpec } from '../../supervisors/spec.ts';
import type { AnyDependency } from '../topology/dependency.ts';
import type { Calls } from './calls.ts';

/** A limiter that dies again so soon does not believe what the one before knew of rates: it may be what kills it. */
const SUSPECT_MS = 1_000;

/** Of the rest of a breaker, at most. */
const JITTER = 0.1;

/** Rebuilt from what its predecessor knew and what is out, before its next answer. */
export function limiterChild(
  name: string,
  spec: AnyDependency['spec'],
  calls: Calls,
  { host, limiter }: { readonly host: Host; readonly limiter: typeof limiterLogic },
): ChildSpec {
  const { limits = {}, safetyMargin, burstMs, adapt, breaker, weights, waiting, whenFull } = spec;
  const declared: LimiterInput['limits'] = {
    ...limits,
    ...(safetyMargin === undefined ? {} : { safetyMargin }),
    ...(burstMs === undefined ? {} : { burstMs }),
    ...(adapt === undefined ? {} : { adapt: adapt === 'aimd' ? startingHalfway(spec) : adapt }),
  };
  const line: LimiterInput['line'] = {
    ...(weights === undefined ? {} : { weights }),
    ...(waiting === undefined ? {} : { capacity: waiting }),
    ...(whenFull === undefined ? {} : { whenFull }),
  };
  // A probe that is lost is over by then, and not merely late.
  const defaults = { probeMs: calls.timeoutMs * 1.5 };
  // One that nobody asked for is opened by hand alone.
  const plan =
    breaker === undefined || breaker === false
      ? { ...planBreaker({}, defaults), failures: undefined }
      : jittered(planBreaker(breaker, defaults), calls.random);
  let startedMs = -Infinity;
  return {
    id: name,
    start() {
      const nowMs = host.clock.nowMs();
      const isSuspect = nowMs - startedMs < SUSPECT_MS;
      startedMs = nowMs;
      const input: LimiterInput = {
        limits: declared,
        line,
        breaker: plan,
        inFlight: calls.slotsOut,
        book: calls.book,
        // Before the first permit there is nothing to be cautious about.
        cautious: isSuspect && calls.book !== undefined,
        heldUntilMs: calls.heldUntilMs,
      };
      // The first one too: somebody may have asked before it was there.
      calls.revive();
      return { logic: limiter(host.clock), input, perform: (effect) => calls.perform(effect) };
    },
  };
}

/** Processes that lost the same provider do not come back to it in the same moment. A rest that was given as one number stays it. */
function jittered(plan: BreakerPlan, random: Random): BreakerPlan {
  const { rest } = plan;
  return rest.factor === 1 ? plan : { ...plan, rest: { ...rest, baseMs: rest.baseMs * (1 + JITTER * random.next()) } };
}

/** What somebody has declared is the best guess there is: learning begins with half of it. */
function startingHalfway({ limits = {}, estimate }: AnyDependency['spec']): AdaptSpec {
  const { requestsPerMinute, inputTokensPerMinute = 0, outputTokensPerMinute = 0 } = limits;
  if (estimate === undefined)
    return requestsPerMinute === undefined ? 'aimd' : { rate: { unit: 'requests', startPerMinute: requestsPerMinute / 2 } };
  const tokensPerMinute = limits.tokensPerMinute ?? inputTokensPerMinute + outputTokensPerMinute;
  return tokensPerMinute === 0 ? 'aimd' : { rate: { unit: 'tokens', startPerMinute: tokensPerMinute / 2 } };
}
