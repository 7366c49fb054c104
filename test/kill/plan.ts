/** Plan: how each process of the fleet ends, drawn by seed. */
import { seededRandom } from '../../actors/kernel/random.ts';
import { LEASE_MS } from './shop.ts';

/** How one process ends. */
export type Ending =
  /** Killed so long after it was told to take the store, or after it ran. */
  | { readonly at: 'moment'; readonly from: 'go' | 'open'; readonly ms: number }
  /** Killed right before or right after one of its commits. */
  | { readonly at: 'commit'; readonly where: 'before' | 'after'; readonly n: number }
  /** Stopped for longer than its leases last; then it goes on and finds out, or is killed. */
  | { readonly at: 'stop'; readonly afterMs: number; readonly stopMs: number; readonly liveMs: number | undefined };

const LONGEST_LIFE_MS = 1_200;
/** One early in a life is as likely as one ten times later. */
const MOST_COMMITS = 100;
/** More than a second: by then a lease that was given up has been claimed again. */
const LONGEST_AFTER_STOP_MS = 1_800;

/** `kills` of the first two kinds, with `stops` spread among them. */
export function planEndings({
  kills,
  stops,
  seed,
}: {
  readonly kills: number;
  readonly stops: number;
  readonly seed: number;
}): readonly Ending[] {
  const random = seededRandom(seed).fork('endings');
  const killed = Array.from({ length: kills }, (): Ending => {
    if (random.next() < 0.5) {
      return { at: 'commit', where: random.next() < 0.5 ? 'before' : 'after', n: Math.ceil(MOST_COMMITS ** random.next()) };
    }
    return { at: 'moment', from: random.next() < 0.3 ? 'go' : 'open', ms: random.int(LONGEST_LIFE_MS) };
  });
  const stopped = Array.from({ length: stops }, (_, at): Ending => {
    const liveMs = at % 2 === 0 ? 200 + random.int(LONGEST_AFTER_STOP_MS) : undefined;
    return { at: 'stop', afterMs: 100 + random.int(400), stopMs: Math.round(LEASE_MS * (1.1 + 0.9 * random.next())), liveMs };
  });
  const every = stops === 0 ? Infinity : kills / stops;
  return killed.flatMap((ending, at) => {
    const before = stopped.slice(Math.floor(at / every), Math.floor((at + 1) / every));
    return [ending, ...before];
  });
}
