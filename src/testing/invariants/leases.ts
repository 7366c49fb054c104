/** Invariants of the leases that users have of names: one holder at a time, under tokens that only grow. */
import type { Invariant } from './invariant.ts';

export const LEASES: Invariant = {
  name: 'S12',
  promise: 'a name has one holder at a time, and nobody relies on a lease that somebody else has had since',
  check(_topology, broken) {
    /** By name: who had it last, and until when, by the times that commands said; `ttlMs` after it was given or renewed. */
    const names = new Map<string, { readonly holder: string; readonly fence: number; untilMs: number; ttlMs: number }>();
    const runOut = (atMs: number): void => {
      for (const last of names.values()) if (last.untilMs <= atMs) last.untilMs = -Infinity;
    };
    return {
      // The clock of the next process may be behind: what had run out by then stays so.
      'process.killed': (_fact, atMs) => runOut(atMs),
      // By a clock that is behind it lasts no longer than it was given for: whoever had it is dead.
      'store.opened': ({ nowMs }) => {
        for (const last of names.values()) last.untilMs = Math.min(last.untilMs, nowMs + last.ttlMs);
      },
      // So it does where a clock is set ahead: a command that was sent before may come after one that has said a later time.
      'store.leases-asked': ({ nowMs }) => runOut(nowMs),
      'store.leased': ({ lease: { name, holder, fence }, untilMs, nowMs }) => {
        const last = names.get(name);
        // Asked again, it is the same lease.
        if (last?.holder === holder && last.fence === fence) return;
        if (last !== undefined && nowMs < last.untilMs)
          broken(`${holder} is given ${name} under token ${fence} as of ${nowMs}, and ${last.holder} has it until ${last.untilMs}`);
        names.set(name, { holder, fence, untilMs, ttlMs: untilMs - nowMs });
      },
      'store.lease-renewed': ({ lease: { name, holder, fence }, untilMs, nowMs }) => {
        const last = names.get(name);
        if (last?.fence !== fence) broken(`${holder} renews ${name} under token ${fence}, and the newest is ${last?.fence ?? 'none'}`);
        else Object.assign(last, { untilMs, ttlMs: untilMs - nowMs });
      },
      'store.lease-released': ({ lease: { name, fence } }) => {
        const last = names.get(name);
        if (last?.fence === fence) last.untilMs = -Infinity;
      },
      'lease.relied-on': ({ name, fence }) => {
        const last = names.get(name);
        if (last?.fence !== fence) broken(`somebody relies on ${name} under token ${fence}, and the newest is ${last?.fence ?? 'none'}`);
      },
    };
  },
};

export const LEASE_TOKENS: Invariant = {
  name: 'S3',
  promise: "the token of a user's lease, and the epoch of a leader, is greater than every one before it, over restarts too",
  check(_topology, broken) {
    /** By name: its newest lease, which may be told again. */
    const tokens = new Map<string, { readonly holder: string; readonly fence: number }>();
    const epochs = new Map<string, number>();
    let greatest = 0;
    return {
      'store.leased': ({ lease: { name, holder, fence } }) => {
        const last = tokens.get(name);
        if (last?.holder === holder && last.fence === fence) return;
        if (fence <= greatest) broken(`${holder} is given ${name} under token ${fence} after ${greatest}`);
        greatest = Math.max(greatest, fence);
        tokens.set(name, { holder, fence });
      },
      'leader.elected': ({ office, epoch }) => {
        const last = epochs.get(office) ?? 0;
        if (epoch <= last) broken(`somebody is elected ${office} for epoch ${epoch} after ${last}`);
        epochs.set(office, epoch);
      },
    };
  },
};
