/** Schedules: who goes next, as an array of whole numbers. */
import * as fc from 'fast-check';
import { demandCount, onlyKnown } from './check-options.ts';
import { list } from './list.ts';

export interface ScheduleOptions {
  /** Choices of deliveries at most; after them it is first in, first out. Default 200. */
  readonly maxLength?: number;
  /** The largest choice. Each counts modulo what could go, so a few more than there are actors are enough. Default 7. */
  readonly maxChoice?: number;
}

/**
 * Schedules for `simulate` and `virtualFleet`. They shrink: a shorter one leaves more to first in, first
 * out, and a smaller number is an earlier channel.
 *
 * @throws ArbitraryOptionError
 */
export function schedules(options: ScheduleOptions = {}): fc.Arbitrary<readonly number[]> {
  onlyKnown('schedules', options, ['maxLength', 'maxChoice']);
  const { maxLength = 200, maxChoice = 7 } = options;
  demandCount('schedules.maxLength', maxLength, 0, 1_000_000);
  demandCount('schedules.maxChoice', maxChoice, 1, 1_000_000);
  return list(fc.nat({ max: maxChoice }), { maxLength });
}
