/**
 * Excuse: when it is not the worker. A dependency that is slow or fails makes every worker of a kind
 * look bad against its own history, one a little before the other. Restarting or suspending them
 * would take from the fleet what it has left.
 */
import type { Anomaly } from './anomaly.ts';
import type { Findings } from './compare.ts';
import type { MetaAgentPlan } from './plan.ts';
import type { Rule } from './rules.ts';

/** While a change spreads over a kind, its workers differ from each other too: peers say little that long. */
const SPREADING_MS = 60_000;

/** Why a rule about workers does not hold for this kind now, if so. */
export function excuse(
  rule: Rule,
  kind: string,
  { bad, judged }: Findings,
  /** Workers of the kind that are not suspended. */
  active: number,
  anomalies: Iterable<Anomaly>,
  plan: Pick<MetaAgentPlan, 'kindShare' | 'rules'>,
  nowMs: number,
): string | undefined {
  // Who is not busy says nothing, and by an absolute measure is no worse than anybody else.
  const workers = rule.enter.vs === 'absolute' ? active : judged;
  if (bad > 1 && bad > plan.kindShare * workers) return `${bad} of ${workers} workers are as bad: it is the kind`;
  for (const anomaly of anomalies) {
    if (anomaly.kind !== kind || anomaly.worker !== undefined || anomaly.at === 'recovering') continue;
    if (plan.rules.find(({ name }) => name === anomaly.rule)?.measure !== rule.measure) continue;
    if (rule.enter.vs === 'peers' && nowMs - anomaly.sinceMs > SPREADING_MS) continue;
    return `${anomaly.rule} holds for the whole kind`;
  }
  return undefined;
}
