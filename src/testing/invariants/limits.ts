/** Invariants of limits: how much is in flight, how fast it is issued, and that nobody is passed for ever. */
import type { Topology } from '../../topology/fleet.ts';
import type { Invariant } from './invariant.ts';

/** A rate with a burst of a second unless the dependency says otherwise; a tenth of it is left unused. */
const DEFAULT_BURST_MS = 1_000;
const DEFAULT_SAFETY_MARGIN = 0.1;
/** Rounding of sums, as a share. */
const GRAIN = 1e-6;
/** Beyond so many waiters the bookkeeping of who passed whom would cost more than the fleet. */
const MOST_WATCHED = 64;

export const S6: Invariant = {
  name: 'S6',
  promise: 'calls in flight stay within the concurrency of their dependency',
  check({ dependencies }, broken) {
    return {
      'call.began': ({ dependency, key, inFlight }) => {
        const limit = dependencies[dependency]?.spec.limits?.concurrency ?? Infinity;
        if (inFlight > limit) broken(`${inFlight} calls of ${dependency} are in flight, ${limit} may be: ${key} is one too many`);
      },
    };
  },
};

/** What has been issued and is not yet paid off at the rate. */
class Level {
  readonly #perMs: number;
  readonly #burst: number;
  #level = 0;
  #atMs = 0;

  constructor(perMinute: number, burstMs: number) {
    this.#perMs = perMinute / 60_000;
    this.#burst = this.#perMs * burstMs;
  }

  /** By how much the rate is exceeded when so much is issued now; 0: it is not. */
  issue(cost: number, atMs: number): number {
    // The clock of the next process may be behind the one of a process that was set ahead.
    const paid = this.#perMs * Math.max(0, atMs - this.#atMs);
    this.#level = Math.max(Math.min(this.#level, 0), this.#level - paid) + cost;
    this.#atMs = atMs;
    const most = Math.max(this.#burst, cost);
    return this.#level > most * (1 + GRAIN) + GRAIN ? this.#level - most : 0;
  }

  /** Given back. Below zero too: the limiter may hear of it later, and then still owes it. */
  refund(cost: number): void {
    this.#level -= cost;
  }

  empty(): void {
    this.#level = 0;
  }
}

export const S7: Invariant = {
  name: 'S7',
  promise: 'what is issued in any window stays within rate times window and the burst, for requests and for tokens',
  check(topology, broken) {
    const levels = levelsOf(topology);
    const empty = (name: string): void => levels.get(name)?.forEach(({ level }) => level.empty());
    return {
      'call.began': ({ dependency, key, tokens }, atMs) => {
        for (const { dimension, level } of levels.get(dependency) ?? []) {
          const excess = level.issue(dimension === 'requests' ? 1 : tokens, atMs);
          if (excess > 0) broken(`${key} exceeds the ${dimension} a minute of ${dependency} by ${excess.toFixed(3)}`);
        }
      },
      'call.ended': ({ dependency, tokens, used }) => {
        if (used === undefined || used >= tokens) return;
        for (const { dimension, level } of levels.get(dependency) ?? []) if (dimension === 'tokens') level.refund(tokens - used);
      },
      // A limiter that is started again starts with a full bucket: a known limit, not a breach.
      'actor.spawned': ({ id }) => empty(id.slice(id.lastIndexOf('/') + 1)),
    };
  },
};

function levelsOf({ dependencies }: Topology) {
  const levels = new Map<string, readonly { readonly dimension: 'requests' | 'tokens'; readonly level: Level }[]>();
  for (const [name, { spec }] of Object.entries(dependencies)) {
    const { requestsPerMinute, tokensPerMinute } = spec.limits ?? {};
    const share = 1 - (spec.safetyMargin ?? DEFAULT_SAFETY_MARGIN);
    const paced = ([dimension, rate]: readonly ['requests' | 'tokens', number | undefined]) =>
      rate === undefined ? [] : [{ dimension, level: new Level(rate * share, spec.burstMs ?? DEFAULT_BURST_MS) }];
    levels.set(
      name,
      (
        [
          ['requests', requestsPerMinute],
          ['tokens', tokensPerMinute],
        ] as const
      ).flatMap(paced),
    );
  }
  return levels;
}

interface Waiting {
  readonly ask: number;
  readonly flow: string;
  readonly cost: number;
  /** Cost of what its own flow has before it. */
  readonly ahead: number;
  /** By flow: the cost of those who joined later and went earlier. */
  readonly passed: Map<string, number>;
}

export const L5: Invariant = {
  name: 'L5',
  promise: 'no waiter is passed by another flow for more than its own flow has before it, and one request',
  check({ dependencies }, broken) {
    const lines = new Map<string, { waiting: Waiting[]; readonly latest: Map<string, number> }>();
    const lineOf = (name: string) => {
      let line = lines.get(name);
      if (line === undefined) lines.set(name, (line = { waiting: [], latest: new Map() }));
      return line;
    };
    const forget = (name: string): void => void lines.delete(name);
    return {
      'limiter.asked': ({ dependency, ask, flow, tokens }) => {
        const line = lineOf(dependency);
        if (line.waiting.length >= MOST_WATCHED) return;
        const cost = dependencies[dependency]?.spec.limits?.tokensPerMinute === undefined ? 1 : Math.max(1, tokens);
        let ahead = line.latest.get(flow) ?? 0;
        for (const other of line.waiting) if (other.flow === flow) ahead += other.cost;
        line.waiting.push({ ask, flow, cost, ahead, passed: new Map() });
      },
      'limiter.answered': ({ dependency, ask, reply }) => {
        const line = lineOf(dependency);
        const at = line.waiting.findIndex((other) => other.ask === ask);
        if (at < 0) return;
        const [gone] = line.waiting.splice(at, 1);
        if (reply.at !== 'granted') return;
        line.latest.set(gone!.flow, gone!.cost);
        for (const { flow, ahead, passed } of line.waiting.slice(0, at)) {
          if (flow === gone!.flow) continue;
          const before = passed.get(gone!.flow) ?? 0;
          if (before >= ahead)
            broken(`${dependency}: ${flow} waits with ${ahead} before it, and ${gone!.flow} passed it with ${before + gone!.cost}`);
          passed.set(gone!.flow, before + gone!.cost);
        }
      },
      // Who waited asks again, in whatever order.
      'actor.spawned': ({ id }) => forget(id.slice(id.lastIndexOf('/') + 1)),
      'process.killed': () => lines.clear(),
    };
  },
};
