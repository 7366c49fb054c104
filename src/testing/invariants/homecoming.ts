/** Invariants of coming home: leases, permits, timers. Demanded once faults have stopped. */
import type { Invariant } from './invariant.ts';

/** How long after its end a lease may wait for the sweep that takes it back. */
const SWEEP_MS = 5_000;
/** Leases are looked through no more often. */
const LOOK_MS = 1_000;

export const L2: Invariant = {
  name: 'L2',
  promise: 'a lease that nobody renews returns within its time and a sweep',
  check(_topology, broken) {
    const leases = new Map<string, { readonly fence: number; untilMs: number }>();
    let healedMs = Infinity;
    let lookedMs = -Infinity;
    const drop = ({ id, fence }: { readonly id: string; readonly fence: number }): void => {
      if (leases.get(id)?.fence === fence) leases.delete(id);
    };
    return {
      'store.opened': () => leases.clear(),
      'store.claimed': ({ task: { id, fence, leaseUntilMs } }) => void leases.set(id, { fence, untilMs: leaseUntilMs }),
      'store.renewed': ({ item: { id, fence, leaseUntilMs } }) => {
        const lease = leases.get(id);
        if (lease?.fence === fence) lease.untilMs = leaseUntilMs;
      },
      'store.settled': ({ settlement }) => drop(settlement),
      'store.expired': ({ held }) => drop(held),
      'store.blocked': ({ held, rejected }) => {
        if (!rejected) drop(held);
      },
      'store.ended': ({ id }) => void leases.delete(id),
      'scene.healed': (_fact, atMs) => {
        healedMs = atMs;
      },
      'scene.still': (_fact, atMs) => {
        if (atMs < healedMs + SWEEP_MS || atMs < lookedMs + LOOK_MS) return;
        lookedMs = atMs;
        for (const [id, { fence, untilMs }] of leases) {
          if (atMs <= untilMs + SWEEP_MS) continue;
          leases.delete(id);
          broken(`the lease of ${id} under fence ${fence} ran out ${Math.round(atMs - untilMs)} ms ago and has not returned`);
        }
      },
    };
  },
};

export const L3: Invariant = {
  name: 'L3',
  promise: 'permits and leases come home',
  check({ dependencies }, broken) {
    return {
      'scene.over': ({ look, callsInFlight }) => {
        // What has not ended may hold something; that is for L1 to say.
        if (look.unfinished.size > 0) return;
        for (const name in dependencies) {
          const limiter = look.limiter(name);
          if (limiter === undefined) broken(`the limiter of ${name} is gone`);
          else if (limiter.inFlight !== 0 || limiter.line.size !== 0)
            broken(`${name}: ${limiter.inFlight} permits are out and ${limiter.line.size} calls wait, though every task has ended`);
          const calls = callsInFlight[name] ?? 0;
          if (calls !== 0) broken(`${name}: ${calls} calls go on for nobody`);
        }
        const { load } = look;
        if (load !== undefined && (load.held !== 0 || load.running !== 0))
          broken(`${load.held} leases are held and ${load.running} runs go on, though every task has ended`);
      },
    };
  },
};

export const L7: Invariant = {
  name: 'L7',
  promise: 'closing meets its deadline and leaves no timer, message, question or actor',
  check(_topology, broken) {
    return {
      'scene.closed': ({ left, hung }) => {
        if (hung) broken('the fleet does not close');
        const found = Object.entries(left).filter(([, count]) => count !== 0);
        if (found.length > 0) broken(`closing left ${found.map(([what, count]) => `${count} ${what}`).join(', ')}`);
      },
    };
  },
};
