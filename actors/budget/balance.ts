/**
 * Balance: one dimension (money, or tokens) of one budget in one period, as one process sees it.
 *
 *     limit ─┬─ taken by all processes ─┬─ by others: spent, as far as this one knows
 *            │                          └─ granted to this one ─┬─ spent
 *            │                                                  ├─ reserved for calls in flight
 *            │                                                  └─ room
 *            └─ left for whoever comes
 *
 * A process reserves within what it was granted, so nothing is ever promised twice. Without a store
 * everything is granted from the start, and nothing is left outside.
 *
 * Invariant (S5): spent + reserved <= granted, except by what calls in flight cost above their
 * estimate; and taken <= limit, except by the same.
 */

/** Whole numbers. A dimension that is not limited has an endless `limit` and `granted`. */
export interface Balance {
  readonly limit: number;
  /** Out of the limit, by everybody, `granted` included, as last heard. */
  readonly taken: number;
  readonly granted: number;
  /**
   * Booked above the limit: calls have cost more than was reserved for them, and there was no more.
   * Nothing is reserved from it: when other calls turn out cheaper, it is paid back first.
   */
  readonly beyond: number;
  readonly spent: number;
  readonly reserved: number;
}

/** What may be reserved at once. Below 0 after a call that cost more than was reserved for it. */
export function roomOf({ granted, spent, reserved }: Balance): number {
  return granted - spent - reserved;
}

/** What nobody has taken, as far as is known. */
export function leftOf({ limit, taken }: Balance): number {
  return limit === Infinity ? Infinity : Math.max(0, limit - taken);
}

/** What is not spent, as far as is known: calls in flight may still give back what is reserved for them. */
export function unspentOf(balance: Balance): number {
  return balance.granted - balance.spent + leftOf(balance);
}

/** What is spent, as far as is known: what others have taken counts, whether they have spent it or not. */
export function usedOf({ limit, taken, granted, beyond, spent }: Balance): number {
  return limit === Infinity ? spent : taken - granted - beyond + spent;
}

/** From the best to the worst. */
export const VERDICTS = ['go', 'take', 'wait', 'exhausted', 'too-large'] as const;

/**
 * What becomes of a call that asks for an upper bound. Who names none (0) goes as long as anything is left:
 *   - `go`: there is room.
 *   - `take`: there is not, but with what nobody has taken there is.
 *   - `wait`: there would be, if calls in flight turn out cheaper than their upper bounds.
 *   - `exhausted`: not in this period, whatever comes home.
 *   - `too-large`: not in any.
 */
export type Verdict = (typeof VERDICTS)[number];

/** Of one dimension; see `worse` for both. */
export function verdictOf(balance: Balance, asked: number): Verdict {
  if (asked > balance.limit) return 'too-large';
  if (!mayPay(balance, asked)) return 'exhausted';
  const room = roomOf(balance);
  if (asked <= room || asked === 0) return 'go';
  return asked <= room + leftOf(balance) ? 'take' : 'wait';
}

/** Whether this much is left, in hand or outside. Of nothing everything may be spent, and is not used up. */
export function mayPay(balance: Balance, asked: number): boolean {
  return asked > 0 ? asked <= unspentOf(balance) : unspentOf(balance) > 0 || usedOf(balance) <= 0;
}

/** The verdict over two dimensions, or two budgets: each must allow the call. */
export function worse(a: Verdict, b: Verdict): Verdict {
  return VERDICTS.indexOf(a) > VERDICTS.indexOf(b) ? a : b;
}

/** What is missing in hand. */
export function missingFor(balance: Balance, asked: number): number {
  return balance.granted === Infinity ? 0 : Math.max(0, asked - Math.max(0, roomOf(balance)));
}

/** By how much more is spent and reserved than was granted and booked: it has to be booked, whatever is left. */
export function overOf(balance: Balance): number {
  return balance.granted === Infinity ? 0 : Math.max(0, -roomOf(balance) - balance.beyond);
}

/** What can be given back. */
export function freeOf(balance: Balance): number {
  return balance.granted === Infinity ? 0 : Math.max(0, roomOf(balance) + balance.beyond);
}

/** How much of what was booked above a grant is still above the limit: less, when that was raised, or others gave back. */
export function stillBeyond({ limit, taken, beyond }: Balance): number {
  return Math.min(beyond, Math.max(0, taken - limit));
}

/** Of what is left, how much a process takes at a time at most, unless one call needs more. */
export const SLICE_SHARE = 0.1;

/**
 * How much to take when `missing` is needed: as much again as it has been granted so far, so that
 * slices grow with what is spent and a crash loses no more than that, nor more than a share of what
 * was left. With `sparing`, no more than what is missing.
 */
export function sliceOf(balance: Balance, missing: number, sparing: boolean): number {
  if (balance.limit === Infinity) return 0;
  return sparing ? missing : Math.max(missing, Math.min(balance.granted, Math.floor(leftOf(balance) * SLICE_SHARE)));
}

/** How much this process may have spent when a share of the budget is used up; Infinity when there is no such moment. */
export function spentAtShare({ limit, taken, granted, beyond }: Balance, share: number): number {
  return limit === Infinity || limit === 0 ? Infinity : share * limit - (taken - granted - beyond);
}
