/**
 * Anomaly: how long one rule has found one subject bad, and how far it has gone about it.
 *
 *     (none) ── bad ──▶ suspected ── bad for forMs ──▶ open ── good ──▶ recovering ── good for leave.forMs ──▶ (none)
 *        ▲                  │                           ▲  │                │
 *        └── not bad ───────┘             not good ─────┴──┼────────────────┘
 *                                                          └── a step each stepAfterMs, while it is bad
 *
 * Nothing found (too few samples, suspended) leaves it open where it is: no news is not good news. A
 * suspicion is dropped. Who comes back and is bad again goes on with the next step, not with the first.
 */
import type { ActorId } from '../../actors/kernel/effects.ts';
import type { Verdict } from './compare.ts';
import type { Rule } from './rules.ts';

export interface Subject {
  readonly kind: string;
  /** Absent when it is about the kind. */
  readonly worker?: ActorId;
}

export type Anomaly = Subject & { readonly rule: string; readonly sinceMs: number } & (
    | { readonly at: 'suspected' }
    | ({ readonly at: 'open' } & Escalation)
    | ({ readonly at: 'recovering'; readonly goodSinceMs: number } & Escalation)
  );

interface Escalation {
  /** Steps that have been taken, or passed over. */
  readonly taken: number;
  readonly steppedAtMs: number;
  /** It was told that the next step has to wait. */
  readonly waiting: boolean;
}

export type OpenAnomaly = Extract<Anomaly, { readonly at: 'open' }>;

/** One more finding, or none. Undefined: all is well, or all is well again. */
export function follow(
  anomaly: Anomaly | undefined,
  subject: Subject,
  verdict: Verdict | undefined,
  rule: Rule,
  nowMs: number,
): Anomaly | undefined {
  if (anomaly === undefined) {
    return verdict === 'bad' ? ripen({ ...subject, rule: rule.name, at: 'suspected', sinceMs: nowMs }, rule, nowMs) : undefined;
  }
  switch (anomaly.at) {
    case 'suspected':
      return verdict === 'bad' ? ripen(anomaly, rule, nowMs) : undefined;
    case 'open':
      return verdict === 'good' ? follow({ ...anomaly, at: 'recovering', goodSinceMs: nowMs }, subject, verdict, rule, nowMs) : anomaly;
    case 'recovering': {
      if (verdict === 'good') return nowMs - anomaly.goodSinceMs >= rule.leave.forMs ? undefined : anomaly;
      if (verdict === undefined) return anomaly;
      const { goodSinceMs: _, ...rest } = anomaly;
      return { ...rest, at: 'open' };
    }
  }
}

function ripen(anomaly: Anomaly & { readonly at: 'suspected' }, rule: Rule, nowMs: number): Anomaly {
  if (nowMs - anomaly.sinceMs < rule.forMs) return anomaly;
  return { ...anomaly, at: 'open', taken: 0, steppedAtMs: nowMs - rule.stepAfterMs, waiting: false };
}

/** Whether the next step is due, given that it is found bad now. */
export function isDue(anomaly: Anomaly, rule: Rule, nowMs: number): anomaly is OpenAnomaly {
  return anomaly.at === 'open' && anomaly.taken < rule.steps.length && nowMs - anomaly.steppedAtMs >= rule.stepAfterMs;
}

/** After the last step: whoever was suspended came back, for a health check may pass by chance, and is as bad as before. */
export function isRelapse(anomaly: OpenAnomaly, rule: Rule, nowMs: number): boolean {
  return anomaly.taken >= rule.steps.length && rule.steps.includes('suspend') && nowMs - anomaly.steppedAtMs >= rule.stepAfterMs;
}

/** After a step. One that was passed over takes no time: the next is due at once. */
export function stepped(anomaly: OpenAnomaly, nowMs: number | undefined): OpenAnomaly {
  return { ...anomaly, taken: anomaly.taken + 1, steppedAtMs: nowMs ?? anomaly.steppedAtMs, waiting: false };
}
