/** Child spec: how a supervisor starts a child, when it restarts it, and how it stops it. */
import { send } from './effects.ts';
import type { ActorId, HostEffect, Message } from './effects.ts';

/** permanent: always restarted. transient: after an error or a kill. temporary: never, and forgotten. */
export type RestartType = 'permanent' | 'transient' | 'temporary';

/** What a child may tell its supervisor when it is ready only later. */
export interface Birth {
  readonly supervisor: ActorId;
  readonly child: string;
  readonly life: number;
}

/** What becomes of a child that failed with an error: see `FailureRule`. */
export type FailureOutcome =
  /** As its restart type says. */
  | 'restart'
  /**
   * It goes on in place with the state it had before the message that failed; no restart is counted.
   * One that fails between its turns, by what it invoked, is restarted instead.
   */
  | 'resume'
  /** It is ended and kept, until somebody resumes it. */
  | 'suspend'
  /** It is ended, and not restarted. */
  | 'stop'
  /** Its supervisor stops the others and fails with the same error. */
  | 'escalate';

export interface FailureRule {
  /** Whether the rule is for this error; pure. Default: for every one. One that throws does not fit. */
  readonly when?: (error: unknown) => boolean;
  readonly outcome: FailureOutcome;
}

/** The part of a child spec that is data; decisions see no more. */
export interface ChildPolicy {
  /** Unique among its siblings, without `/`. */
  readonly id: string;
  /** Default `permanent`. */
  readonly restart: RestartType;
  /** Time to stop by itself; 0 kills at once, Infinity waits. Default 5,000, Infinity for a supervisor. */
  readonly shutdownMs: number;
  /** Default `worker`. */
  readonly type: 'worker' | 'supervisor';
  /** Its own ending may shut its supervisor down: see `autoShutdown`. Default false. */
  readonly significant: boolean;
  /**
   * When the next sibling may start: once the child is spawned, or once it says `child.started`
   * itself (a supervisor does, when all of its own children run). Default `spawned`.
   */
  readonly ready: 'spawned' | 'signalled';
  /** A `signalled` child that has not spoken by then is killed, and its start has failed. Default 30,000. */
  readonly startMs: number;
  /** Chooses by kind of failure; the first that fits decides. Default: restart. */
  readonly onFailure: readonly FailureRule[];
}

/** Sent by a `signalled` child to its supervisor: see `childStarted`. */
export interface ChildStarted extends Message {
  readonly type: 'child.started';
  readonly child: string;
  readonly life: number;
}

/** Says that a `signalled` child is ready. In one lane with the news of its end, which must not overtake it. */
export function childStarted({ supervisor, child, life }: Birth): HostEffect {
  const started: ChildStarted = { type: 'child.started', child, life };
  return send(supervisor, started, 'control');
}

const DEFAULTS: Omit<ChildPolicy, 'id'> = {
  restart: 'permanent',
  shutdownMs: 5_000,
  type: 'worker',
  significant: false,
  ready: 'spawned',
  startMs: 30_000,
  onFailure: [],
};

export function childPolicy(policy: Partial<ChildPolicy> & { readonly id: string }): ChildPolicy {
  return { ...DEFAULTS, ...policy };
}

/** What the rules of a child say about an error. */
export function outcomeOf({ onFailure }: ChildPolicy, error: unknown): FailureOutcome {
  for (const { when, outcome } of onFailure) if (when === undefined || fits(when, error)) return outcome;
  return 'restart';
}

function fits(when: (error: unknown) => boolean, error: unknown): boolean {
  try {
    // A promise is no answer.
    return (when(error) as unknown) === true;
  } catch {
    return false;
  }
}
