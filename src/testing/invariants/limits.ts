/** Invariants of limits: how much is in flight, how fast it is issued, and that nobody is passed for ever. */
import { HIGHEST_PRIORITY, PLACES_PER_PRIORITY } from '../../../actors/admission/wait-line.ts';
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
      // Another process starts with a full bucket: a known limit, not a breach. A limiter that crashes does not.
      'store.opened': () => levels.forEach((_, name) => empty(name)),
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
  readonly ticket: number;
  /** Grows with each who joins. */
  readonly order: number;
  readonly tenant: string;
  readonly flow: string;
  /** As it asked. */
  readonly priority: number;
  /** As it is by now. */
  urgency: number;
  readonly cost: number;
  /** Cost of what its own flow has before it: grows by whoever of its flow passes it. */
  ahead: number;
  /** Of its own flow: who joined later, and went earlier because of a higher priority. */
  overtaken: number;
  /** By flow of the same tenant: the cost of those who went earlier. */
  readonly passed: Map<string, number>;
}

export const L5: Invariant = {
  name: 'L5',
  promise:
    'no waiter is passed by another flow for more than its own flow has before it, and one request; nor within its flow without a higher priority',
  check({ dependencies }, broken) {
    const lines = new Map<string, { waiting: Waiting[]; readonly latest: Map<string, number> }>();
    let order = 0;
    const lineOf = (name: string) => {
      let line = lines.get(name);
      if (line === undefined) lines.set(name, (line = { waiting: [], latest: new Map() }));
      return line;
    };
    const forget = (name: string): void => void lines.delete(name);
    const withinFlow = (dependency: string, waiter: Waiting, gone: Waiting): void => {
      waiter.ahead += gone.cost;
      waiter.overtaken += 1;
      const { flow, priority, urgency, overtaken } = waiter;
      const most = gone.urgency > urgency ? (HIGHEST_PRIORITY - Math.max(priority, -HIGHEST_PRIORITY)) * PLACES_PER_PRIORITY : 0;
      if (overtaken > most)
        broken(
          `${dependency}: ${flow} waits with 0 before it, and ${flow} passed it with ${gone.cost} (priority ${gone.urgency} over ${urgency}, ${overtaken} times)`,
        );
    };
    return {
      'limiter.asked': ({ dependency, ask, ticket, tenant, flow, priority, tokens }) => {
        const line = lineOf(dependency);
        const spec = dependencies[dependency]?.spec;
        // Weights change what a turn costs: the properties of the line are there for that.
        if (line.waiting.length >= MOST_WATCHED || spec?.weights !== undefined) return;
        const cost = countsTokens(spec) ? Math.max(1, tokens) : 1;
        let ahead = line.latest.get(flow) ?? 0;
        for (const other of line.waiting) if (other.flow === flow && other.tenant === tenant) ahead += other.cost;
        line.waiting.push({
          ask,
          ticket,
          order: (order += 1),
          tenant,
          flow,
          priority,
          urgency: priority,
          cost,
          ahead,
          overtaken: 0,
          passed: new Map(),
        });
      },
      'limiter.raised': ({ dependency, ticket, priority }) => {
        const waiter = lineOf(dependency).waiting.find((other) => other.ticket === ticket);
        if (waiter !== undefined) waiter.urgency = Math.max(waiter.urgency, priority);
      },
      'limiter.answered': ({ dependency, ask, reply }) => {
        const line = lineOf(dependency);
        const at = line.waiting.findIndex((other) => other.ask === ask);
        if (at < 0) return;
        const gone = line.waiting.splice(at, 1)[0]!;
        if (reply.at !== 'granted') return;
        line.latest.set(gone.flow, gone.cost);
        for (const waiter of line.waiting) {
          // Between tenants it is their turns that are fair, whatever flows they have.
          if (waiter.tenant !== gone.tenant) continue;
          if (waiter.flow === gone.flow) {
            if (waiter.order > gone.order) continue;
            withinFlow(dependency, waiter, gone);
            continue;
          }
          const before = waiter.passed.get(gone.flow) ?? 0;
          // Whoever of that flow it was: one of them may have been there before, and have given its turn to a more urgent one.
          if (before > waiter.ahead)
            broken(
              `${dependency}: ${waiter.flow} waits with ${waiter.ahead} before it, and ${gone.flow} passed it with ${before + gone.cost}`,
            );
          waiter.passed.set(gone.flow, before + gone.cost);
        }
      },
      // Who waited asks again, in whatever order.
      'actor.spawned': ({ id }) => forget(id.slice(id.lastIndexOf('/') + 1)),
      'process.killed': () => lines.clear(),
    };
  },
};

function countsTokens(spec: Topology['dependencies'][string]['spec'] | undefined): boolean {
  const { tokensPerMinute, inputTokensPerMinute, outputTokensPerMinute } = spec?.limits ?? {};
  return tokensPerMinute !== undefined || inputTokensPerMinute !== undefined || outputTokensPerMinute !== undefined;
}
