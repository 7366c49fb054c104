/** Shares: what processes have in common beside tasks: slices of budgets, intents at gates, and names that one has to himself. */

/** Of one budget: what a process wants of its current period. Amounts are whole numbers, at least 0. */
export interface BudgetTake {
  /** At most 512 characters, e.g. `kind:triage`. */
  readonly scope: string;
  /** Which period: a whole number. Periods of one scope do not share anything. */
  readonly periodStartMs: number;
  /** What all processes together may take in the period. null: not limited, and then nothing is granted of it. */
  readonly limitNanoUsd: number | null;
  readonly limitTokens: number | null;
  /** Granted in full, or as much of it as is left. */
  readonly wantNanoUsd: number;
  readonly wantTokens: number;
  /** With less than this, of either, nothing is granted. At most what is wanted. */
  readonly leastNanoUsd: number;
  readonly leastTokens: number;
  /** Spent already, above what was granted before: taken in any case, beyond the limit too, and not counted in the grant. */
  readonly overNanoUsd: number;
  readonly overTokens: number;
  /** Periods of this scope that began before are forgotten. */
  readonly keepFromMs: number;
}

/** How much has been taken out of a budget in a period, by everybody. */
export interface BudgetTaken {
  readonly takenNanoUsd: number;
  readonly takenTokens: number;
}

/** What was granted, and how much is taken then. */
export interface BudgetGrant extends BudgetTaken {
  readonly nanoUsd: number;
  readonly tokens: number;
}

/** Unspent, and not needed any more. */
export interface BudgetReturn {
  readonly scope: string;
  readonly periodStartMs: number;
  readonly nanoUsd: number;
  readonly tokens: number;
  /** The scope is over (a task that has ended): all that is known of it is forgotten. */
  readonly ended: boolean;
}

/** Somebody stands at a gate that lets `most` through at a time. */
export interface Intent {
  /** At most 512 characters, as is the holder. */
  readonly gate: string;
  readonly holder: string;
  /** Who may proceed at a time: a whole number, at least 1. */
  readonly most: number;
  /** Until when it counts, unless it is renewed by registering again. */
  readonly untilMs: number;
}

export type IntentOutcome =
  | { readonly at: 'proceed' }
  /** `ahead`: how many have registered before and are still there, those who may proceed included. */
  | { readonly at: 'waiting'; readonly ahead: number };

/** Somebody wants to have a name to himself: a lock, or a leader's office. */
export interface LeaseRequest {
  /** At most 512 characters, as is the holder, which is another one for each request. */
  readonly name: string;
  readonly holder: string;
  readonly ttlMs: number;
  /** It stands in line until then, unless it asks again. null: it does not wait. */
  readonly waitUntilMs: number | null;
}

export type LeaseOutcome =
  /** The token is greater than every token before it, but for those that a restored backup has forgotten. Asked again by the same holder it is the same lease. */
  | { readonly at: 'granted'; readonly fence: number; readonly untilMs: number }
  /** `heldUntilMs`: when it is worth asking again. */
  | { readonly at: 'waiting'; readonly ahead: number; readonly heldUntilMs: number }
  | { readonly at: 'taken'; readonly holder: string; readonly heldUntilMs: number };

/** Names one lease that was granted. */
export interface LeaseHeld {
  readonly name: string;
  readonly holder: string;
  readonly fence: number;
}

/** Who has a name now. */
export interface LeaseRecord extends LeaseHeld {
  readonly untilMs: number;
  readonly waiting: number;
}

/**
 * Budgets, gates and leases. Leases, places in line and intents outlive their store; when it is opened, each of them counts
 * for no longer from then on than it was given for, so that who has died under a clock that was ahead is soon in nobody's way.
 */
export interface ShareStore {
  /**
   * Takes slices of budgets. `taken` grows by what is granted, and then is at most the limit; and by
   * `over`. Sent again after a failure it may take twice: what nobody knows of counts as spent.
   */
  takeBudget(items: readonly BudgetTake[]): Promise<readonly BudgetGrant[]>;
  /** Gives slices back; `taken` does not fall below 0. Not to be sent again after a failure: it might give back twice. */
  returnBudget(items: readonly BudgetReturn[]): Promise<void>;
  /** Nothing is taken of a budget that is not known. */
  readBudgets(items: readonly { readonly scope: string; readonly periodStartMs: number }[]): Promise<readonly BudgetTaken[]>;
  /**
   * Registers, or renews: first come, first served, by gate. Whose time is over is forgotten first,
   * so a holder that died is in nobody's way for longer than that.
   */
  registerIntents(items: readonly Intent[], nowMs: number): Promise<readonly IntentOutcome[]>;
  /** Leaves the gate, also after having proceeded. Whoever is not there is left out. */
  withdrawIntents(items: readonly { readonly gate: string; readonly holder: string }[]): Promise<void>;
  /**
   * First come, first served, by name; whoever stands in line and has not asked again in time is
   * passed over. A lease that has run out is free, whether or not its holder knows.
   */
  takeLeases(items: readonly LeaseRequest[], nowMs: number): Promise<readonly LeaseOutcome[]>;
  /** `false` where it has run out, also when nobody has taken it since. */
  renewLeases(items: readonly (LeaseHeld & { readonly ttlMs: number })[], nowMs: number): Promise<readonly boolean[]>;
  /** Leaves the line, or gives the lease back; `false` where there was nothing to give back under this token. */
  releaseLeases(items: readonly LeaseHeld[], nowMs: number): Promise<readonly boolean[]>;
  readLeases(names: readonly string[], nowMs: number): Promise<readonly (LeaseRecord | undefined)[]>;
}
