/** Scenes: what the provider really gives over time, what is the most that can be had of it, and how a client did. */
import type { AdmissionOptions } from 'drover/fake-provider';
import { AGENTS } from './admission-traces.ts';
import type { Job, Trace } from './admission-traces.ts';

export const WORLDS = ['constant', 'halved', 'restored', 'neighbour'] as const;
export type World = (typeof WORLDS)[number];

/** What a refused call costs of the quota: nothing, or all that it asked for. */
export type Accounting = 'free' | 'charged';

export interface Scene {
  readonly world: World;
  readonly burstMs: number;
  readonly accounting: Accounting;
  readonly trace: Trace;
  /** Hidden tokens a minute, before anything changes. */
  readonly hidden: number;
  /** When capacity goes, and when it comes back. */
  readonly fallsMs: number;
  readonly risesMs: number;
}

/** The trace asks for so much more than there is. */
const LOAD = 1.3;
/** A neighbour takes this share. */
const TAKEN = 0.4;
const NEIGHBOUR_CALLS_A_SECOND = 5;

export function sceneOf(world: World, burstMs: number, accounting: Accounting, trace: Trace): Scene {
  const tokens = trace.jobs.reduce((sum, { input, output }) => sum + input + output, 0);
  const hidden = (tokens / trace.forMs) * (60_000 / LOAD);
  return { world, burstMs, accounting, trace, hidden, fallsMs: 0.25 * trace.forMs, risesMs: 0.5 * trace.forMs };
}

/** Tokens a minute that are left for the client at a time. */
export function capacityAt({ world, hidden, fallsMs, risesMs }: Scene, timeMs: number): number {
  if (world === 'constant' || timeMs < fallsMs || (world !== 'halved' && timeMs >= risesMs)) return hidden;
  return world === 'neighbour' ? hidden * (1 - TAKEN) : hidden / 2;
}

type Provided = Required<Pick<AdmissionOptions, 'hidden' | 'schedule' | 'neighbours' | 'burstMs' | 'rejectedCostQuota'>>;

/** For the fake provider. */
export function providerOf({ world, burstMs, accounting, hidden, fallsMs, risesMs }: Scene): Provided {
  const lower = { atMs: fallsMs, hidden: { tokensPerMinute: hidden / 2 } };
  const again = { atMs: risesMs, hidden: { tokensPerMinute: hidden } };
  const requestsPerMinute = NEIGHBOUR_CALLS_A_SECOND * 60;
  const tokensPerRequest = Math.round((hidden * TAKEN) / requestsPerMinute);
  return {
    hidden: { tokensPerMinute: hidden },
    schedule: world === 'halved' ? [lower] : world === 'restored' ? [lower, again] : [],
    neighbours: world === 'neighbour' ? [{ requestsPerMinute, tokensPerRequest, fromMs: fallsMs, untilMs: risesMs }] : [],
    burstMs,
    rejectedCostQuota: accounting === 'charged' ? 'request-and-tokens' : false,
  };
}

/** A try of a call, as a subject made it. */
export interface Tried {
  readonly job: Job;
  /** When the provider decided about it. */
  readonly atMs: number;
  readonly accepted: boolean;
}

export interface Outcome {
  /** Share of what a clairvoyant client could have had. */
  readonly goodput: number;
  /** Share of the tries that were refused. */
  readonly refused: number;
  /** Jain's index over what each agent had of its fair share: of what there is in excess of what others want, nobody is deprived. */
  readonly jain: number;
  /** Seconds from the first refusal after capacity fell until no more than 1.15 of it was asked for; NaN: never, or it did not fall. */
  readonly followedSeconds: number;
  /** Seconds from the rise until 0.9 of it was had; NaN likewise. */
  readonly restoredSeconds: number;
  readonly tries: number;
}

/** Tokens are counted over so many seconds to tell a rate. */
const WINDOW = 5;

export function outcomeOf(scene: Scene, tries: readonly Tried[]): Outcome {
  const { forMs } = scene.trace;
  const served = new Map<number, number>();
  const had: number[] = [];
  const asked: number[] = [];
  let good = 0;
  for (const { job, atMs, accepted } of tries) {
    if (atMs >= forMs) continue;
    const tokens = job.input + job.output;
    const second = Math.floor(atMs / 1_000);
    asked[second] = (asked[second] ?? 0) + tokens;
    if (!accepted) continue;
    had[second] = (had[second] ?? 0) + tokens;
    good += tokens;
    served.set(job.agent, (served.get(job.agent) ?? 0) + tokens);
  }
  const best = bestOf(scene);
  const shares = best.fair.map((fair, agent) => (served.get(agent) ?? 0) / Math.max(1, fair));
  const squares = shares.reduce((sum, each) => sum + each * each, 0);
  return {
    goodput: good / best.tokens,
    refused: tries.filter(({ accepted }) => !accepted).length / Math.max(1, tries.length),
    jain: squares === 0 ? 0 : shares.reduce((sum, each) => sum + each, 0) ** 2 / (AGENTS * squares),
    ...followed(scene, tries, asked, had),
    tries: tries.length,
  };
}

/** What a clairvoyant client could have had, in all and for each agent. */
interface Best {
  readonly tokens: number;
  readonly fair: readonly number[];
}

const bests = new WeakMap<Scene, Best>();

/**
 * A client that knows capacity and bucket at every moment, and can cut requests into single tokens; it
 * serves all agents alike, and who wants less leaves the rest to the others. No real one reaches it, so
 * it is an upper bound of the optimum.
 */
function bestOf(scene: Scene): Best {
  const known = bests.get(scene);
  if (known !== undefined) return known;
  const { jobs, forMs } = scene.trace;
  const stepMs = 10;
  const backlog = Array.from({ length: AGENTS }, () => 0);
  const fair = Array.from({ length: AGENTS }, () => 0);
  let [level, next] = [(capacityAt(scene, 0) * scene.burstMs) / 60_000, 0];
  for (let timeMs = 0; timeMs < forMs; timeMs += stepMs) {
    for (let job = jobs[next]; job !== undefined && job.atMs <= timeMs; job = jobs[(next += 1)])
      backlog[job.agent]! += job.input + job.output;
    const perMs = capacityAt(scene, timeMs) / 60_000;
    level = Math.min(perMs * scene.burstMs, Math.max(0, level)) + perMs * stepMs;
    for (let waiting = backlog.filter((tokens) => tokens > 0).length; level > 1e-6 && waiting > 0;) {
      const each = level / waiting;
      waiting = 0;
      for (let agent = 0; agent < AGENTS; agent += 1) {
        const taken = Math.min(each, backlog[agent]!);
        if (taken <= 0) continue;
        backlog[agent]! -= taken;
        fair[agent]! += taken;
        level -= taken;
        if (backlog[agent]! > 0) waiting += 1;
      }
    }
  }
  const best = { tokens: fair.reduce((sum, each) => sum + each, 0), fair };
  bests.set(scene, best);
  return best;
}

function followed(
  scene: Scene,
  tries: readonly Tried[],
  asked: readonly number[],
  had: readonly number[],
): { readonly followedSeconds: number; readonly restoredSeconds: number } {
  const { world, fallsMs, risesMs, trace } = scene;
  if (world === 'constant') return { followedSeconds: NaN, restoredSeconds: NaN };
  const untilMs = world === 'halved' ? trace.forMs : risesMs;
  const firstRefused = tries.find(({ atMs, accepted }) => !accepted && atMs >= fallsMs && atMs < untilMs);
  const within = (of: readonly number[], fromMs: number, toMs: number, is: (perMinute: number) => boolean): number => {
    const from = Math.floor(fromMs / 1_000);
    for (let second = from; second + WINDOW <= toMs / 1_000; second += 1) {
      let sum = 0;
      for (let each = second; each < second + WINDOW; each += 1) sum += of[each] ?? 0;
      if (is((sum * 60) / WINDOW)) return second - from;
    }
    return NaN;
  };
  const low = capacityAt(scene, fallsMs);
  const high = capacityAt(scene, risesMs);
  return {
    // Never refused: there was no need to follow.
    followedSeconds: firstRefused === undefined ? 0 : within(asked, firstRefused.atMs, untilMs, (rate) => rate <= 1.15 * low),
    restoredSeconds: world === 'halved' ? NaN : within(had, risesMs, trace.forMs, (rate) => rate >= 0.9 * high),
  };
}
