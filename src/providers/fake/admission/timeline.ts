/**
 * What happens to the capacity while nobody asks: planned changes of the hidden limits, and neighbours
 * that take from the same buckets.
 *
 * Nothing here has a timer. Each event has its moment, which depends on the options alone, and whoever
 * looks at a later moment lets all that lies between happen first, in order. So it is the same however
 * often somebody looks, in real time and in virtual time.
 */
import { seededRandom } from '../../../../actors/kernel/random.ts';
import type { ProviderLimits } from './limits.ts';
import { checkLimits } from './limits.ts';

/** From `atMs` after the start on, these limits are enforced where they differ from the declared ones. */
export interface ScheduledCapacity {
  readonly atMs: number;
  /** Replaces the hidden limits as a whole; `{}` makes the declared ones true again. */
  readonly hidden: ProviderLimits;
}

/**
 * Hidden limits over time: changes at stated moments, or a function of the milliseconds since the start.
 * A function is asked ten times a second, for the tenths themselves.
 */
export type CapacitySchedule = readonly ScheduledCapacity[] | ((sinceStartMs: number) => ProviderLimits);

/**
 * Somebody else who spends the same quota, evenly but for a jitter of one interval that the seed decides.
 *
 * A neighbour takes without asking, into a debt of up to ten seconds of the rate: what is left for others
 * is the rate less the neighbour's, whoever is quicker. It takes no place among the calls in flight.
 */
export interface Neighbour {
  readonly requestsPerMinute: number;
  /** Prompt and completion together. */
  readonly tokensPerRequest: number;
  /** Of these, the completion. Default 0. */
  readonly outputTokensPerRequest?: number;
  /** Since the start. Default 0. */
  readonly fromMs?: number;
  /** Since the start; not any more at this moment. Default: for ever. */
  readonly untilMs?: number;
}

/** What is going to happen. Constant. */
export interface Timeline {
  readonly schedule: CapacitySchedule;
  readonly neighbours: readonly Neighbour[];
  readonly seed: number | string;
}

/** How far it has happened. */
export interface Position {
  /** The next change of a schedule, or the next tenth of a second of a function. */
  readonly change: Coming;
  /** The next request of each neighbour. */
  readonly arrivals: readonly Coming[];
}

interface Coming {
  readonly index: number;
  /** Since the start; `Infinity`: there is no other. */
  readonly atMs: number;
}

/** The earliest thing to come. */
export type TimelineEvent =
  | { readonly at: 'change'; readonly sinceStartMs: number; readonly hidden: ProviderLimits; readonly next: Position }
  | { readonly at: 'arrival'; readonly sinceStartMs: number; readonly neighbour: Neighbour; readonly next: Position };

const SAMPLE_MS = 100;
const MS_PER_MINUTE = 60_000;

/** Sorted and checked. @throws RangeError when a moment, a rate or a number of tokens is out of its range. */
export function checkTimeline({ schedule, neighbours, seed }: Timeline): Timeline {
  for (const [
    index,
    { requestsPerMinute, tokensPerRequest, outputTokensPerRequest = 0, fromMs = 0, untilMs = Infinity },
  ] of neighbours.entries()) {
    const name = `neighbours[${index}]`;
    if (!(requestsPerMinute > 0 && requestsPerMinute < Infinity)) {
      throw new RangeError(`${name}.requestsPerMinute: expected a finite number above 0, got ${requestsPerMinute}`);
    }
    between(`${name}.tokensPerRequest`, tokensPerRequest, 0, Number.MAX_SAFE_INTEGER);
    between(`${name}.outputTokensPerRequest`, outputTokensPerRequest, 0, tokensPerRequest);
    between(`${name}.fromMs`, fromMs, 0, Number.MAX_SAFE_INTEGER);
    between(`${name}.untilMs`, untilMs, fromMs, Infinity);
  }
  if (typeof schedule === 'function') return { schedule, neighbours: [...neighbours], seed };
  const changes = schedule.map(({ atMs, hidden }, index) => {
    between(`schedule[${index}].atMs`, atMs, 0, Number.MAX_SAFE_INTEGER);
    return { atMs, hidden: checkLimits(`schedule[${index}].hidden`, hidden) };
  });
  return { schedule: changes.toSorted((a, b) => a.atMs - b.atMs), neighbours: [...neighbours], seed };
}

/** Nothing has happened yet. */
export function startOf(timeline: Timeline): Position {
  return {
    change: changeAt(timeline, 0),
    arrivals: timeline.neighbours.map((_, index) => arrivalAt(timeline, index, 0)),
  };
}

/** The earliest event up to and including this moment, or null. A change comes before an arrival. */
export function nextEvent(timeline: Timeline, position: Position, sinceStartMs: number): TimelineEvent | null {
  const { change, arrivals } = position;
  let first = -1;
  let firstMs = Infinity;
  for (const [index, { atMs }] of arrivals.entries()) if (atMs < firstMs) [first, firstMs] = [index, atMs];
  if (change.atMs <= Math.min(firstMs, sinceStartMs) && change.atMs !== Infinity) {
    const next = { ...position, change: changeAt(timeline, change.index + 1) };
    return { at: 'change', sinceStartMs: change.atMs, hidden: hiddenAt(timeline.schedule, change), next };
  }
  const neighbour = timeline.neighbours[first];
  if (firstMs > sinceStartMs || neighbour === undefined) return null;
  const next = { ...position, arrivals: arrivals.with(first, arrivalAt(timeline, first, arrivals[first]!.index + 1)) };
  return { at: 'arrival', sinceStartMs: firstMs, neighbour, next };
}

function changeAt({ schedule }: Timeline, index: number): Coming {
  const atMs = typeof schedule === 'function' ? index * SAMPLE_MS : (schedule[index]?.atMs ?? Infinity);
  return { index, atMs };
}

function hiddenAt(schedule: CapacitySchedule, { index, atMs }: Coming): ProviderLimits {
  return typeof schedule === 'function' ? checkLimits('schedule', schedule(atMs)) : schedule[index]!.hidden;
}

function arrivalAt({ neighbours, seed }: Timeline, neighbour: number, index: number): Coming {
  const { requestsPerMinute, fromMs = 0, untilMs = Infinity } = neighbours[neighbour]!;
  // A draw for each place, not a stream: the n-th request has its moment whatever was looked at before.
  const jitter = seededRandom(`${seed}/neighbour/${neighbour}/${index}`).next();
  const atMs = fromMs + ((index + jitter) * MS_PER_MINUTE) / requestsPerMinute;
  return { index, atMs: atMs < untilMs ? atMs : Infinity };
}

function between(name: string, value: number, least: number, most: number): void {
  if (!(value >= least && value <= most)) throw new RangeError(`${name}: expected ${least}..${most}, got ${value}`);
}
