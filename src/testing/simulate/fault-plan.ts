/** Fault plan: what goes wrong in a simulation. Given, part by part, or drawn by seed. */
import type { Random } from '../../../actors/kernel/random.ts';
import type { COMMIT_POINTS } from './faulty-store.ts';

/** How likely it is, from 0 to 1, that a call goes wrong in each way. Default 0 each. */
export interface CallFaults {
  /** Refused with 429, most of the time with a Retry-After. */
  readonly rateLimited?: number;
  /** Refused with 503 or 529. */
  readonly overloaded?: number;
  /** The connection breaks off while the answer comes. */
  readonly broken?: number;
  /** Never answers, whatever the signal says. */
  readonly hang?: number;
  /** Goes on and on, until it is aborted. */
  readonly endless?: number;
  /** Takes ten times as long. */
  readonly slow?: number;
  /** Answers what no dependency should: a page of HTML, nothing, a number. */
  readonly garbage?: number;
}

/** How likely a command of the store goes wrong in each way. Default 0 each. */
export interface StorePlan {
  /** Fails, and has not happened. */
  readonly failBefore?: number;
  /** Fails, though it has happened. */
  readonly failAfter?: number;
  /** Fails, and has happened or not: nobody can know. */
  readonly failUnknown?: number;
  /** A renewal of leases is dropped on its way. */
  readonly lostHeartbeats?: number;
  /** Virtual milliseconds on the way there at most, and as many on the way back. Default 0. */
  readonly delayMs?: number;
  /** One command after the other, as one connection has it. Default false: whichever comes first. */
  readonly ordered?: boolean;
}

export interface MessagePlan {
  /** How likely a message holds up what comes after it from its sender to its receiver. Default 0. */
  readonly delayed?: number;
  /** For how long at most. Default 1,000. */
  readonly delayMs?: number;
  /** How likely a queue is not told that the store has something for it. Default 0. */
  readonly lostNotifications?: number;
}

/** A command of the store that commits something. */
export type CommitPoint = (typeof COMMIT_POINTS)[number];

/** One blow, at a time of its own: `atMs` after the start. What it does not say is drawn by seed. */
export type Strike = { readonly atMs: number } & (
  | { readonly at: 'worker-crash'; readonly kind?: string; readonly replica?: number }
  /** An operator suspends a worker, and resumes it after so long. */
  | { readonly at: 'worker-suspend'; readonly kind?: string; readonly replica?: number; readonly ms?: number }
  /** An operator gives a kind another number of workers, within what its topology allows. */
  | { readonly at: 'scale'; readonly kind?: string; readonly replicas?: number }
  | { readonly at: 'queue-crash'; readonly kind?: string }
  | { readonly at: 'limiter-crash'; readonly dependency?: string }
  /** As `kill -9` would, between any two deliveries; another process takes the store over. */
  | { readonly at: 'kill' }
  /** As `kill`, but right before or after the next command of this name commits. */
  | { readonly at: 'commit-point'; readonly command?: CommitPoint; readonly side?: 'before' | 'after' }
  /** Closed in order, with so much time to drain, then started again. */
  | { readonly at: 'restart'; readonly deadlineMs?: number }
  /** The process stands still. */
  | { readonly at: 'stall'; readonly ms?: number }
  /** The clock of the process is set ahead. */
  | { readonly at: 'clock-step'; readonly ms?: number }
  /** Every command of the store fails for so long. */
  | { readonly at: 'store-outage'; readonly ms?: number }
);

/** What goes wrong. A part that is left out does not go wrong. */
export interface FaultPlan {
  /** How many times each happens, at moments drawn by seed. */
  readonly workerCrashes?: number;
  readonly suspensions?: number;
  readonly scalings?: number;
  readonly queueCrashes?: number;
  readonly limiterCrashes?: number;
  readonly kills?: number;
  readonly commitPoints?: number;
  readonly restarts?: number;
  readonly stalls?: number;
  readonly clockSteps?: number;
  readonly storeOutages?: number;
  /** Blows at exact times, beside those. */
  readonly strikes?: readonly Strike[];
  readonly calls?: CallFaults;
  readonly store?: StorePlan;
  readonly messages?: MessagePlan;
}

export const STRIKES = {
  workerCrashes: 'worker-crash',
  suspensions: 'worker-suspend',
  scalings: 'scale',
  queueCrashes: 'queue-crash',
  limiterCrashes: 'limiter-crash',
  kills: 'kill',
  commitPoints: 'commit-point',
  restarts: 'restart',
  stalls: 'stall',
  clockSteps: 'clock-step',
  storeOutages: 'store-outage',
} as const satisfies Partial<Record<keyof FaultPlan, Strike['at']>>;

/** Strikes are drawn for so much time, and as many for each further so much, up to a bound. */
const ROUND_MS = 60_000;
const MOST_ROUNDS = 20;

/**
 * A mix by seed: each part is switched off in about half of the runs, for what one fault hides
 * another run shows.
 */
export function drawFaults(random: Random, durationMs: number): FaultPlan {
  const rounds = Math.max(1, Math.min(MOST_ROUNDS, Math.floor(durationMs / ROUND_MS)));
  const isOn = (): boolean => random.int(2) === 0;
  const times = (most: number): number => (isOn() ? rounds * (1 + random.int(most)) : 0);
  const chance = (most: number): number => (isOn() ? random.next() * most : 0);
  return {
    workerCrashes: times(4),
    queueCrashes: times(2),
    limiterCrashes: times(2),
    kills: times(2),
    restarts: isOn() ? random.int(2) : 0,
    stalls: times(2),
    clockSteps: isOn() ? random.int(3) : 0,
    storeOutages: times(1),
    calls: {
      rateLimited: chance(0.1),
      overloaded: chance(0.15),
      broken: chance(0.1),
      hang: chance(0.05),
      endless: chance(0.03),
      slow: chance(0.1),
      garbage: chance(0.02),
    },
    store: {
      failBefore: chance(0.15),
      failAfter: chance(0.15),
      failUnknown: chance(0.1),
      lostHeartbeats: chance(0.5),
      delayMs: isOn() ? random.next() * 120 : 0,
      ordered: isOn(),
    },
    messages: { delayed: chance(0.01), delayMs: 1 + random.int(2_000), lostNotifications: chance(0.8) },
    suspensions: times(3),
    scalings: times(2),
    commitPoints: times(3),
  };
}

/** Every strike of a plan with its time, in order. */
export function strikesOf(plan: FaultPlan, random: Random, durationMs: number): readonly Strike[] {
  const strikes: Strike[] = [...(plan.strikes ?? [])];
  for (const [part, at] of Object.entries(STRIKES) as [keyof typeof STRIKES, Strike['at']][]) {
    for (let left = plan[part] ?? 0; left > 0; left -= 1) strikes.push({ at, atMs: random.next() * durationMs });
  }
  return strikes.toSorted((a, b) => a.atMs - b.atMs);
}
