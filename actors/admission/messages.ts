/** What a limiter is told, what it answers, and what it starts with. See `limiter.ts`. */
import type { Breaker, BreakerLook, BreakerPlan, BreakerResult } from '../breaker/breaker.ts';
import type { ReplyTo } from '../kernel/effects.ts';
import type { CallReport, LimiterLimits, Regulator } from './regulator.ts';
import type { Weights } from './wait-line.ts';

export type LimiterMessage =
  /** Asks for a permit. Answered by a `LimiterReply`, now or later. A ticket that waits is asked anew from the end of its flow. */
  | {
      readonly type: 'limiter.acquire';
      readonly replyTo: ReplyTo;
      /** The caller's name for this request, unique among those who wait. */
      readonly ticket: number;
      /** Whom to be fair to first. Default '': nobody in particular. */
      readonly tenant?: string;
      /** Whom to be fair to within the tenant: the kind. */
      readonly flow: string;
      /** Higher goes sooner within its flow. Default 0. */
      readonly priority?: number;
      /** The estimate: an upper bound of tokens, at least 0. */
      readonly input: number;
      readonly output: number;
      /** Room in flight that it takes. Default 1. */
      readonly slots?: number;
      /** Granted no later than this, or refused. */
      readonly deadlineMs?: number;
      /** What to do while the breaker is open. Default `wait`. */
      readonly whenOpen?: 'wait' | 'refuse';
      /** A draw from 0 to below 1, for a soft breaker. Default 1: never turned away by it. */
      readonly chance?: number;
    }
  /** Stops waiting: nothing is charged, the answer is `cancelled`. No effect on a ticket that does not wait. */
  | { readonly type: 'limiter.cancel'; readonly ticket: number }
  /** Somebody more urgent waits for whoever asked: as if it had asked with this priority. No effect on a ticket that does not wait, or has as much. */
  | { readonly type: 'limiter.raise'; readonly ticket: number; readonly priority: number }
  /** Permits come home, each once, whatever became of the calls. No effect of one when none is out. */
  | { readonly type: 'limiter.settle'; readonly items: readonly Homecoming[] }
  /** The provider said Retry-After: nothing is admitted before. An earlier time than before has no effect. */
  | { readonly type: 'limiter.hold'; readonly untilMs: number }
  /** Other limits from now on. Debts, holds and calls in flight stay. */
  | { readonly type: 'limiter.configure'; readonly limits: LimiterLimits }
  /** One of several nodes: it may use this share of every rate and of the room until then, and nothing when that is not renewed. */
  | { readonly type: 'limiter.slice'; readonly share: number; readonly untilMs: number }
  /** Manual isolation, counted: the breaker stays open until each has been released. */
  | { readonly type: 'limiter.isolate' }
  | { readonly type: 'limiter.release' }
  /** Opens the breaker; its own probes close it again. */
  | { readonly type: 'limiter.trip' }
  /** Closes the breaker, whatever it was. */
  | { readonly type: 'limiter.reset' }
  /** Asks for a `LimiterLook`; with a ticket also for its position. */
  | { readonly type: 'limiter.look'; readonly replyTo: ReplyTo; readonly ticket?: number }
  /** The limiter's own timer. */
  | { readonly type: 'limiter.due' };

/** A call is over. */
export interface Homecoming {
  readonly permit: Permit;
  readonly report: CallReport;
  readonly result: BreakerResult;
  /** Quality of the reply, from 0 to 1, when it was scored. */
  readonly score?: number | undefined;
}

/** A permit: room, tokens and the breaker's leave. It comes home by `limiter.settle`. */
export interface Permit {
  readonly at: 'granted';
  /** As charged. */
  readonly input: number;
  readonly output: number;
  readonly slots: number;
  /** The breaker's, for the end of the call; above 0: it is a probe. */
  readonly ticket: number;
  readonly waitedMs: number;
  /** In the limiter's time. */
  readonly grantedMs: number;
  /** What the limiter knew then, for its successor. */
  readonly book: Book;
}

/** What outlives a crash of the limiter. */
export interface Book {
  readonly regulator: Regulator;
  readonly breaker: Breaker | undefined;
  /** Own time less the host's. */
  readonly aheadMs: number;
}

/** The answer to `limiter.acquire`. */
export type LimiterReply =
  | Permit
  /** By `limiter.cancel`, or because the same ticket asked again. */
  | { readonly at: 'cancelled' }
  /** Asks for more tokens than a minute of the rate has, after the margin, or for more room than there is. It could never go. */
  | { readonly at: 'refused'; readonly reason: 'too-large'; readonly largestTokens: number }
  /** Cannot go by its deadline. Nothing was taken. */
  | {
      readonly at: 'refused';
      readonly reason: 'deadline';
      readonly waitedMs: number;
      /** The earliest that the rates and a hold would have allowed it. */
      readonly earliestMs: number;
    }
  /** The breaker is open, and the caller did not want to wait. `untilMs`: null when only a person closes it. */
  | { readonly at: 'refused'; readonly reason: 'open'; readonly untilMs: number | null }
  /** So many wait already, or somebody more important came while it waited. */
  | { readonly at: 'refused'; readonly reason: 'full'; readonly waiting: number };

/** The limiter's own effect: told to whoever runs it. */
export type LimiterEffect = { readonly type: 'limiter.noted'; readonly book: Book; readonly breaker: BreakerLook };

/** The answer to `limiter.look`. Times are of the host's clock. */
export interface LimiterLook {
  readonly limits: LimiterLimits;
  readonly waiting: number;
  /** Tokens that they ask for together. */
  readonly waitingTokens: number;
  readonly inFlight: number;
  /** Room in flight now: the declared one, or what has been learned. `Infinity`: not limited. */
  readonly concurrency: number;
  /** Since the start. */
  readonly granted: number;
  /** Since the start, for whatever reason. */
  readonly refused: number;
  /** Admitted and not yet paid off at the rate: the burst less this is what may go at once. */
  readonly owedRequests: number;
  readonly owedTokens: number;
  /** End of the provider's hold; null when there is none. */
  readonly heldUntilMs: number | null;
  /** When the rates and a hold allow the next admission; null: now, so only room in flight may be missing. */
  readonly nextAtMs: number | null;
  /**
   * How long a newcomer of their average size would wait if it went after all who wait: exact for rates and hold, a guess
   * from the recent mean time of a permit for room in flight. A flow of few waiters goes sooner.
   */
  readonly estimateMs: number;
  /** How many go before the ticket that was asked for; null when it does not wait. */
  readonly position: number | null;
  /** Null: it has none. */
  readonly breaker: BreakerLook | null;
}

/** How the line is kept. */
export interface LineSpec {
  /** Who is to have how much of it. Default: all alike. */
  readonly weights?: Weights;
  /** Waiters at most. Default 100,000. */
  readonly capacity?: number;
  /** A full line refuses whoever comes, or sheds the least important who waits when the newcomer is more so. Default `refuse`. */
  readonly whenFull?: 'refuse' | 'shed';
}

export interface LimiterInput {
  readonly limits: LimiterLimits;
  /** Undefined: none. */
  readonly breaker?: BreakerPlan | undefined;
  readonly line?: LineSpec | undefined;
  /** Room that permits take which are out already: a limiter that takes over from a crashed one. Default 0. */
  readonly inFlight?: number | undefined;
  /** What its predecessor knew at last; undefined: nobody has been before. */
  readonly book?: Book | undefined;
  /** It does not believe what the book says of rates, and begins as if a whole burst had just been used. Default false. */
  readonly cautious?: boolean | undefined;
  /** The provider has asked for quiet until then, in the host's time, whatever the book says. Default: it has not. */
  readonly heldUntilMs?: number | undefined;
}
