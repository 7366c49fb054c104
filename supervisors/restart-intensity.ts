/** Restart intensity: when restarting has stopped helping. */

export interface RestartIntensity {
  /** Restarts allowed within `periodMs`; one more and the supervisor gives up. */
  readonly intensity: number;
  readonly periodMs: number;
}

/**
 * Adds one restart. `restarts` are the times that still count, newest first. A restart exactly
 * `periodMs` old still counts, as in OTP.
 *
 * @see Erlang/OTP, `supervisor:add_restart/3`
 */
export function addRestart(
  restarts: readonly number[],
  nowMs: number,
  { intensity, periodMs }: RestartIntensity,
): { readonly restarts: readonly number[]; readonly exceeded: boolean } {
  const counted = [nowMs, ...restarts.filter((atMs) => nowMs - atMs <= periodMs)];
  return { restarts: counted, exceeded: counted.length > intensity };
}
