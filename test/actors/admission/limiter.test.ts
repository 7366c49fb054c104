import { describe, expect, test } from 'vitest';
import { Host } from '../../../actors/host/host.ts';
import { fifoTransport } from '../../../actors/host/transport.ts';
import type { HostEffect } from '../../../actors/kernel/effects.ts';
import { seededRandom } from '../../../actors/kernel/random.ts';
import { decide, initial, limiterLogic } from '../../../actors/admission/limiter.ts';
import type { LimiterLimits, LimiterLook, LimiterMessage, LimiterReply, LimiterState, Permit } from '../../../actors/admission/limiter.ts';

/** Ten a second, exactly: no safety margin. */
const TEN_A_SECOND = { requestsPerMinute: 600, safetyMargin: 0, burstMs: 0 };
const TEN_TOKENS_A_SECOND = { tokensPerMinute: 600, safetyMargin: 0, burstMs: 0 };
const TOO_EARLY = 'wait';
/** One that this limiter has never granted. */
const STRAY = decide(
  initial({ limits: {} }, 0)[0],
  { type: 'limiter.acquire', replyTo: 0, ticket: 0, flow: 'other', input: 1, output: 0 },
  0,
)[1]
  .map((effect) => (effect as { readonly value?: unknown }).value)
  .at(0) as Permit;

/** A limiter, its timer and its callers, under a clock that the test moves. */
class Bench {
  nowMs: number;
  timerAtMs: number | undefined;
  state: LimiterState;
  readonly answers = new Map<number, { readonly atMs: number; readonly value: LimiterReply }>();
  readonly order: number[] = [];
  /** Out, the oldest first. */
  readonly permits: Permit[] = [];
  #looked: LimiterLook | undefined;
  #ticket = 0;

  constructor(limits: LimiterLimits, { nowMs = 0, inFlight = 0 } = {}) {
    this.nowMs = nowMs;
    this.state = initial({ limits, inFlight }, nowMs)[0];
  }

  tell(message: LimiterMessage): readonly HostEffect[] {
    const [state, effects] = decide(this.state, message, this.nowMs);
    this.state = state;
    for (const effect of effects) {
      if (effect.type === 'timer.set') this.timerAtMs = effect.atMs;
      if (effect.type === 'timer.cancel') this.timerAtMs = undefined;
      if (effect.type !== 'reply') continue;
      if (message.type === 'limiter.look') {
        this.#looked = effect.value as LimiterLook;
        continue;
      }
      expect(this.answers.has(effect.to), `ticket ${effect.to} is answered once`).toBe(false);
      this.answers.set(effect.to, { atMs: this.nowMs, value: effect.value as LimiterReply });
      this.order.push(effect.to);
      const value = effect.value as LimiterReply;
      if (value.at === 'granted') this.permits.push(value);
    }
    return effects;
  }

  /** Asks, and returns the ticket. */
  acquire(tokens = 1, { flow = 'worker', deadlineMs, slots = 1 }: { flow?: string; deadlineMs?: number; slots?: number } = {}): number {
    const ticket = (this.#ticket += 1);
    this.tell({
      type: 'limiter.acquire',
      replyTo: ticket,
      ticket,
      flow,
      input: tokens,
      output: 0,
      slots,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    });
    return ticket;
  }

  /** Asks without waiting: true when granted at once. */
  take(tokens = 1): boolean {
    return this.outcome(this.acquire(tokens, { deadlineMs: this.nowMs })) === 'granted';
  }

  /** The oldest permit that cost so much comes home; whatever it cost when nothing is said. */
  settle(cost?: number, used: number | null = null): void {
    const at = this.permits.findIndex(({ input }) => cost === undefined || input === cost);
    const [permit = STRAY] = this.permits.splice(Math.max(0, at), 1);
    const report = { end: 'ok', usedInput: used, usedOutput: used === null ? null : 0, latencyMs: 0 } as const;
    this.tell({ type: 'limiter.settle', items: [{ permit, report, result: 'success' }] });
  }

  outcome(ticket: number): string {
    const value = this.answers.get(ticket)?.value;
    return value === undefined ? TOO_EARLY : value.at === 'refused' ? value.reason : value.at;
  }

  /** When a ticket was answered. */
  answeredAt(ticket: number): number | undefined {
    return this.answers.get(ticket)?.atMs;
  }

  look(): LimiterLook {
    this.tell({ type: 'limiter.look', replyTo: 0 });
    return this.#looked!;
  }

  /** Moves the clock, and fires the timer on the way. */
  until(atMs: number): void {
    for (let fired = 0; this.timerAtMs !== undefined && this.timerAtMs <= atMs; fired += 1) {
      expect(fired, 'the timer makes progress').toBeLessThan(100_000);
      this.nowMs = Math.max(this.nowMs, this.timerAtMs);
      this.timerAtMs = undefined;
      this.tell({ type: 'limiter.due' });
    }
    this.nowMs = atMs;
  }
}

describe('a limiter', () => {
  describe('without limits', () => {
    test('everything is admitted at once, and nothing is charged', () => {
      const bench = new Bench({});
      for (let call = 0; call < 100; call += 1)
        expect(bench.answers.get(bench.acquire(1e9))!.value).toMatchObject({ at: 'granted', waitedMs: 0 });
      expect(bench.look()).toMatchObject({ waiting: 0, inFlight: 100, granted: 100, estimateMs: 0, nextAtMs: null, heldUntilMs: null });
      expect(bench.timerAtMs).toBeUndefined();
    });
  });

  describe('with a concurrency', () => {
    test('CL-08: of eleven asks ten are granted and the eleventh is not; in flight 10', () => {
      const bench = new Bench({ concurrency: 10 });
      const taken = Array.from({ length: 11 }, () => bench.take());
      expect(taken).toEqual([...Array.from({ length: 10 }, () => true), false]);
      expect(bench.look().inFlight).toBe(10);
    });

    test('CL-09: a released permit is there for the next one', () => {
      const bench = new Bench({ concurrency: 10 });
      for (let call = 0; call < 10; call += 1) bench.acquire();
      bench.settle();
      expect(bench.look().inFlight).toBe(9);
      expect(bench.take()).toBe(true);
      expect(bench.look().inFlight).toBe(10);
    });

    test('a waiter is granted by the permit that comes home, without a timer', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.acquire();
      const waiter = bench.acquire();
      expect(bench.timerAtMs).toBeUndefined();
      bench.until(700);
      bench.settle();
      expect(bench.answers.get(waiter)!.value).toMatchObject({ at: 'granted', waitedMs: 700 });
    });

    test('a burst of the rate above the room left sets no timer either', () => {
      const bench = new Bench({ ...TEN_A_SECOND, concurrency: 1 });
      bench.acquire();
      bench.acquire();
      expect(bench.timerAtMs).toBeUndefined();
      bench.until(30);
      bench.settle();
      expect(bench.timerAtMs).toBe(100);
    });

    test('LIM-36: lowered while running, nobody starts until below; raised, the waiters start at once', () => {
      const bench = new Bench({ concurrency: 4 });
      for (let call = 0; call < 8; call += 1) bench.acquire();
      bench.tell({ type: 'limiter.configure', limits: { concurrency: 2 } });
      bench.settle();
      bench.settle();
      expect(bench.look()).toMatchObject({ inFlight: 2, waiting: 4, granted: 4 });
      bench.settle();
      expect(bench.look()).toMatchObject({ inFlight: 2, waiting: 3, granted: 5 });
      bench.tell({ type: 'limiter.configure', limits: { concurrency: 4 } });
      expect(bench.look()).toMatchObject({ inFlight: 4, waiting: 1, granted: 7 });
    });

    test('it starts with the permits that are out already when it takes over', () => {
      const bench = new Bench({ concurrency: 3 }, { inFlight: 2 });
      expect([bench.take(), bench.take()]).toEqual([true, false]);
      bench.settle();
      expect(bench.take()).toBe(true);
    });

    test('a permit that nobody has out makes no room', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.settle();
      bench.settle(0, 0);
      expect([bench.take(), bench.take()]).toEqual([true, false]);
    });
  });

  describe('with a rate', () => {
    test('it paces what waits: one every 100 ms', () => {
      const bench = new Bench(TEN_A_SECOND);
      const tickets = Array.from({ length: 5 }, () => bench.acquire());
      bench.until(10_000);
      expect(tickets.map((ticket) => bench.answeredAt(ticket))).toEqual([0, 100, 200, 300, 400]);
      expect(bench.timerAtMs).toBeUndefined();
    });

    test.each([700, 1_100, 1_300])(
      'at %d a minute and a clock of fractions its timer fires once for each, neither too early nor late',
      (requestsPerMinute) => {
        const bench = new Bench({ requestsPerMinute, safetyMargin: 0, burstMs: 0 }, { nowMs: 1_763_754_218_123.456 });
        const start = bench.nowMs;
        for (let call = 0; call < 50; call += 1) bench.acquire();
        let fired = 0;
        for (; bench.timerAtMs !== undefined; fired += 1) {
          bench.nowMs = bench.timerAtMs;
          bench.timerAtMs = undefined;
          bench.tell({ type: 'limiter.due' });
          expect(bench.look().granted).toBe(fired + 2);
        }
        expect(fired).toBe(49);
        expect(bench.nowMs - start).toBeCloseTo((49 * 60_000) / requestsPerMinute, 1);
      },
    );

    test('a single token of a fast rate is not lost to rounding, whatever the year', () => {
      const bench = new Bench({ tokensPerMinute: 1e9, safetyMargin: 0 }, { nowMs: 1_763_754_218_123.456 });
      for (let call = 0; call < 1_000; call += 1) bench.acquire(1);
      expect(bench.look().owedTokens).toBeCloseTo(1_000, 6);
    });

    test('a tenth of the rate is left unused by default, and a second of it may be saved up', () => {
      const bench = new Bench({ requestsPerMinute: 600 });
      for (let call = 0; call < 2_000; call += 1) bench.acquire();
      // Nine saved up, then nine a second.
      expect(bench.look().granted).toBe(9);
      bench.until(60_000);
      expect(bench.look().granted).toBe(549);
    });

    test('LIM-02 with requests of one: refused asks cost nothing', () => {
      const bench = new Bench({ ...TEN_A_SECOND, burstMs: 300 });
      const asks = [0, 0, 0, 0, 0, 100, 200, 300, 400, 400, 900, 900, 900, 900];
      const granted = asks.map((atMs) => {
        bench.until(atMs);
        return bench.take();
      });
      expect(granted).toEqual([true, true, true, false, false, true, true, true, true, false, true, true, true, false]);
    });

    test('LIM-03: a clock that goes back grants nothing twice, and is not waited for', () => {
      const bench = new Bench({ ...TEN_A_SECOND, burstMs: 300 });
      const granted = [100, 0, 0, 0, 100, 100, 200].map((atMs) => {
        bench.nowMs = atMs;
        return bench.take();
      });
      expect(granted).toEqual([true, true, true, false, true, false, true]);
    });

    test('LIM-03: a clock set back by an hour delays a waiter by no more than it still had to wait', () => {
      const bench = new Bench(TEN_A_SECOND, { nowMs: 10_000_000 });
      bench.acquire();
      const waiter = bench.acquire();
      bench.until(10_000_040);
      bench.acquire();
      bench.nowMs -= 3_600_000;
      const start = bench.nowMs;
      // The timer of the host still stands an hour ahead: the next event puts it right.
      const other = bench.acquire();
      expect(bench.timerAtMs).toBe(start + 60);
      bench.until(start + 1_000);
      expect(bench.answeredAt(waiter)).toBe(start + 60);
      expect(bench.answers.get(waiter)!.value).toMatchObject({ waitedMs: 100 });
      expect(bench.answeredAt(other)).toBe(start + 260);
    });

    test('LIM-05: reservations queue up: t0, t2, t4', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 200 });
      const early = [bench.acquire(2), bench.acquire(2)];
      bench.until(300);
      const late = bench.acquire(2);
      bench.until(1_000);
      expect([...early, late].map((ticket) => bench.answeredAt(ticket))).toEqual([0, 200, 400]);
    });

    test('LIM-09: who would wait longer than he may is refused at once, and the refusal takes no tokens', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 200 });
      const first = bench.acquire(2, { deadlineMs: 100 });
      const second = bench.acquire(1, { deadlineMs: 100 });
      const third = bench.acquire(1, { deadlineMs: 100 });
      expect(bench.answers.get(third)!.value).toEqual({ at: 'refused', reason: 'deadline', waitedMs: 0, earliestMs: 200 });
      bench.until(100);
      expect([bench.answeredAt(first), bench.answeredAt(second), bench.answeredAt(third)]).toEqual([0, 100, 0]);
      expect(bench.look().owedTokens).toBe(2);
    });

    test('LIM-10: a cancelled waiter has taken nothing', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 300 });
      bench.acquire(2);
      const waiter = bench.acquire(3);
      bench.until(99);
      bench.tell({ type: 'limiter.cancel', ticket: waiter });
      expect(bench.outcome(waiter)).toBe('cancelled');
      expect(bench.timerAtMs).toBeUndefined();
      bench.until(100);
      expect(bench.take(2)).toBe(true);
    });

    test('LIM-11: a hopeless wait fails after 0 ms and takes nothing', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 300 });
      bench.acquire(2);
      const hopeless = bench.acquire(3, { deadlineMs: 100 });
      expect(bench.answers.get(hopeless)).toEqual({ atMs: 0, value: { at: 'refused', reason: 'deadline', waitedMs: 0, earliestMs: 200 } });
      expect(bench.look()).toMatchObject({ waiting: 0, owedTokens: 2, refused: 1 });
    });

    test('LIM-15, D7: what can never go is refused at once and blocks nobody', () => {
      const bench = new Bench({ tokensPerMinute: 1_000, concurrency: 2 });
      const tickets = [1, 2, 901, 900].map((tokens) => bench.acquire(tokens));
      expect(bench.answers.get(tickets[2]!)!.value).toEqual({ at: 'refused', reason: 'too-large', largestTokens: 900 });
      bench.settle(1, 1);
      bench.until(60_000);
      expect(tickets.map((ticket) => bench.outcome(ticket))).toEqual(['granted', 'granted', 'too-large', 'granted']);
    });

    test('D7: a large one among many small ones goes in its turn', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 1_000 });
      for (let call = 0; call < 50; call += 1) bench.acquire(5, { flow: 'small' });
      const large = bench.acquire(400, { flow: 'large' });
      for (let call = 0; call < 50; call += 1) bench.acquire(5, { flow: 'small' });
      bench.until(1_500);
      expect(bench.outcome(large)).toBe('granted');
      // And its debt is waited off by everybody.
      const before = bench.look().granted;
      bench.until(35_000);
      expect(bench.look().granted).toBe(before);
    });

    test('LIM-25: what was not used is there for the next: 100 a minute, 50 reserved, 20 used', () => {
      const bench = new Bench({ tokensPerMinute: 100, safetyMargin: 0, burstMs: 60_000 });
      expect(bench.take(50)).toBe(true);
      bench.settle(50, 20);
      expect(bench.look().owedTokens).toBeCloseTo(20, 9);
      expect([bench.take(50), bench.take(30)]).toEqual([true, true]);
      expect(bench.look().owedTokens).toBeCloseTo(100, 9);
    });

    test('usage above the estimate is charged when it is known, and waited off', () => {
      const bench = new Bench(TEN_TOKENS_A_SECOND);
      bench.acquire(1);
      bench.settle(1, 31);
      expect(bench.look().owedTokens).toBe(31);
      const next = bench.acquire(1);
      bench.until(5_000);
      expect(bench.answeredAt(next)).toBe(3_100);
    });

    test('unknown usage leaves the estimate charged', () => {
      const bench = new Bench(TEN_TOKENS_A_SECOND);
      bench.acquire(10);
      bench.settle(10, null);
      expect(bench.look().owedTokens).toBe(10);
    });

    test('a refund never holds more than the burst', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 500 });
      bench.acquire(100);
      bench.until(9_000);
      bench.settle(100, 0);
      expect(bench.look().owedTokens).toBe(0);
      // Five saved up.
      const taken = Array.from({ length: 8 }, () => bench.take());
      expect(taken.filter(Boolean)).toHaveLength(5);
    });

    test('a refund lets a waiter go as soon as it comes', () => {
      const bench = new Bench(TEN_TOKENS_A_SECOND);
      bench.acquire(100);
      const waiter = bench.acquire(1);
      expect(bench.timerAtMs).toBe(10_000);
      bench.until(2_000);
      bench.settle(100, 15);
      expect(bench.outcome(waiter)).toBe('granted');
      expect(bench.timerAtMs).toBeUndefined();
    });

    test('LIM-29: what was charged to no token rate is not given back to one', () => {
      const bench = new Bench({ concurrency: 9 });
      bench.acquire(50);
      bench.tell({ type: 'limiter.configure', limits: TEN_TOKENS_A_SECOND });
      bench.acquire(40);
      bench.settle(50, 0);
      expect(bench.look().owedTokens).toBe(40);
    });
  });

  describe('with several dimensions', () => {
    test('LIM-30: one request is one request and exactly its tokens', () => {
      const bench = new Bench({ requestsPerMinute: 100, tokensPerMinute: 10_000, safetyMargin: 0 });
      bench.acquire(123);
      expect(bench.look().owedRequests).toBeCloseTo(1, 9);
      expect(bench.look().owedTokens).toBeCloseTo(123, 9);
    });

    test('all of them, or nothing: who waits for one has taken none', () => {
      const bench = new Bench({ requestsPerMinute: 600, tokensPerMinute: 600, concurrency: 2, safetyMargin: 0, burstMs: 0 });
      bench.acquire(10);
      const waiter = bench.acquire(1);
      bench.until(500);
      expect(bench.look()).toMatchObject({ inFlight: 1, owedRequests: 0, owedTokens: 5, nextAtMs: 1_000 });
      bench.until(1_000);
      expect(bench.outcome(waiter)).toBe('granted');
      expect(bench.look()).toMatchObject({ inFlight: 2, owedRequests: 1, owedTokens: 1 });
    });

    test('the slowest dimension sets the pace', () => {
      const bench = new Bench({ requestsPerMinute: 600, tokensPerMinute: 600, safetyMargin: 0, burstMs: 0 });
      const tickets = [5, 0, 0, 5, 1].map((tokens) => bench.acquire(tokens));
      bench.until(5_000);
      expect(tickets.map((ticket) => bench.answeredAt(ticket))).toEqual([0, 500, 600, 700, 1_200]);
    });
  });

  describe('order', () => {
    test('a small one never overtakes the head that waits for the rate', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, concurrency: 9 });
      bench.acquire(300, { flow: 'a' });
      const large = bench.acquire(300, { flow: 'a' });
      const small = bench.acquire(1, { flow: 'b' });
      bench.until(120_000);
      expect(bench.order.indexOf(large)).toBeLessThan(bench.order.indexOf(small));
    });

    test('a newcomer does not go before the head whose timer is late', () => {
      const bench = new Bench({ ...TEN_A_SECOND, burstMs: 0 });
      bench.acquire();
      const head = bench.acquire();
      bench.nowMs = 150;
      const newcomer = bench.acquire();
      expect([bench.outcome(head), bench.outcome(newcomer)]).toEqual(['granted', TOO_EARLY]);
      expect(bench.timerAtMs).toBe(250);
    });

    test('without a token rate turns count, not tokens', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.acquire();
      const large = [bench.acquire(1e6, { flow: 'large' }), bench.acquire(1e6, { flow: 'large' })];
      const small = [bench.acquire(1, { flow: 'small' }), bench.acquire(1, { flow: 'small' })];
      for (let call = 0; call < 4; call += 1) bench.settle();
      expect(bench.order.slice(1)).toEqual([large[0], small[0], large[1], small[1]]);
    });

    test('a flow of a thousand waiters delays a single one of another flow by one turn', () => {
      const bench = new Bench({ concurrency: 1 });
      for (let call = 0; call < 1_001; call += 1) bench.acquire(1, { flow: 'crowd' });
      const single = bench.acquire(1, { flow: 'single' });
      bench.settle();
      bench.settle();
      expect(bench.outcome(single)).toBe('granted');
    });

    test('a token rate that comes or goes starts the turns afresh', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, concurrency: 1 });
      bench.acquire(1, { flow: 'other' });
      for (let call = 0; call < 4; call += 1) bench.acquire(500, { flow: 'large' });
      const other = Array.from({ length: 4 }, () => bench.acquire(1, { flow: 'other' }));
      bench.until(10_000);
      bench.settle(1, 1);
      bench.tell({ type: 'limiter.configure', limits: { concurrency: 1 } });
      for (let call = 0; call < 3; call += 1) bench.settle();
      // Turn by turn again, or the large flow would pay with five hundred turns for its first.
      expect(other.filter((ticket) => bench.outcome(ticket) === 'granted')).toHaveLength(1);
      expect(bench.look().granted).toBe(5);
    });
  });

  describe('a waiter that is raised', () => {
    test('goes before those of its flow that are less urgent, and is answered once', () => {
      const bench = new Bench({ concurrency: 1 });
      const [first, second, third] = [bench.acquire(), bench.acquire(), bench.acquire()];
      expect(bench.tell({ type: 'limiter.raise', ticket: third, priority: 2 })).toEqual([]);
      bench.settle();
      bench.settle();
      expect(bench.order).toEqual([first, third, second]);
    });

    test('has no effect when it does not wait, or is as urgent already: not even the time is looked at', () => {
      const bench = new Bench({ concurrency: 1 });
      const granted = bench.acquire();
      const waiting = bench.acquire();
      bench.nowMs += 50;
      const before = bench.state;
      for (const ticket of [granted, 999]) bench.tell({ type: 'limiter.raise', ticket, priority: 5 });
      bench.tell({ type: 'limiter.raise', ticket: waiting, priority: 0 });
      bench.tell({ type: 'limiter.raise', ticket: waiting, priority: -3 });
      expect(bench.state).toBe(before);
    });

    test('goes at once when there is room for it, though not for the one that was the head', () => {
      const bench = new Bench({ concurrency: 3 });
      bench.acquire(1, { slots: 2 });
      const large = bench.acquire(1, { slots: 3 });
      const small = bench.acquire();
      expect(bench.outcome(small)).toBe(TOO_EARLY);
      bench.tell({ type: 'limiter.raise', ticket: small, priority: 1 });
      expect([bench.outcome(small), bench.outcome(large)]).toEqual(['granted', TOO_EARLY]);
    });
  });

  describe('a deadline', () => {
    test('CL-20: a waiter is refused at its deadline, not earlier, and no permit is lost', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.acquire();
      const waiter = bench.acquire(1, { deadlineMs: 50 });
      expect(bench.timerAtMs).toBe(50);
      bench.until(49);
      expect(bench.outcome(waiter)).toBe(TOO_EARLY);
      bench.until(50);
      expect(bench.answers.get(waiter)).toEqual({ atMs: 50, value: { at: 'refused', reason: 'deadline', waitedMs: 50, earliestMs: 50 } });
      bench.settle();
      expect(bench.take()).toBe(true);
    });

    test('a waiter that can be served at its deadline exactly is served', () => {
      const bench = new Bench(TEN_A_SECOND);
      bench.acquire();
      const waiter = bench.acquire(1, { deadlineMs: 100 });
      bench.until(100);
      expect(bench.outcome(waiter)).toBe('granted');
    });

    test('nobody is served after his deadline, even when the timer comes late', () => {
      const bench = new Bench(TEN_A_SECOND);
      bench.acquire();
      const late = bench.acquire(1, { deadlineMs: 100 });
      const patient = bench.acquire();
      bench.nowMs = 101;
      bench.tell({ type: 'limiter.due' });
      expect([bench.outcome(late), bench.outcome(patient)]).toEqual(['deadline', 'granted']);
    });

    test('a deadline in the past is refused, though there is room', () => {
      const bench = new Bench({}, { nowMs: 100 });
      expect(bench.outcome(bench.acquire(1, { deadlineMs: 99 }))).toBe('deadline');
      expect(bench.look().inFlight).toBe(0);
    });

    test('a deadline is refused at once when the own flow alone leaves no time', () => {
      const bench = new Bench(TEN_A_SECOND);
      for (let call = 0; call < 5; call += 1) bench.acquire();
      expect(bench.outcome(bench.acquire(1, { deadlineMs: 499 }))).toBe('deadline');
      expect(bench.outcome(bench.acquire(1, { deadlineMs: 500 }))).toBe(TOO_EARLY);
    });

    test('who waits in vain behind another flow is refused when it is certain, and the others go on', () => {
      const bench = new Bench(TEN_A_SECOND);
      bench.acquire(1, { flow: 'a' });
      const ahead = bench.acquire(1, { flow: 'b' });
      const hasty = bench.acquire(1, { flow: 'c', deadlineMs: 150 });
      const patient = bench.acquire(1, { flow: 'd' });
      bench.until(100);
      expect([bench.outcome(ahead), bench.outcome(hasty)]).toEqual(['granted', 'deadline']);
      bench.until(200);
      expect(bench.outcome(patient)).toBe('granted');
    });
  });

  describe('a deadline among requests of several sizes', () => {
    test('a large head that cannot be in time makes way for a small one that can', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 1_000 });
      bench.acquire(5);
      const large = bench.acquire(9, { deadlineMs: 450 });
      expect(bench.outcome(large)).toBe(TOO_EARLY);
      const small = bench.acquire(2, { flow: 'other' });
      bench.until(100);
      bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, burstMs: 900 } });
      expect([bench.outcome(large), bench.outcome(small)]).toEqual(['deadline', 'granted']);
    });

    test('the timer minds the deadline of those behind the head', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, burstMs: 1_000 });
      bench.acquire(10);
      bench.acquire(10);
      const hasty = bench.acquire(1, { flow: 'other', deadlineMs: 400 });
      expect(bench.timerAtMs).toBe(400);
      bench.until(400);
      expect(bench.outcome(hasty)).toBe('deadline');
      expect(bench.timerAtMs).toBe(1_000);
    });
  });

  describe('a hold', () => {
    test('admits nothing before it ends, and everything after', () => {
      const bench = new Bench({ concurrency: 5 });
      bench.tell({ type: 'limiter.hold', untilMs: 2_000 });
      const waiter = bench.acquire();
      expect(bench.look()).toMatchObject({ waiting: 1, heldUntilMs: 2_000, nextAtMs: 2_000, estimateMs: 2_000 });
      bench.until(1_999);
      expect(bench.outcome(waiter)).toBe(TOO_EARLY);
      bench.until(2_000);
      expect(bench.outcome(waiter)).toBe('granted');
      expect(bench.look().heldUntilMs).toBeNull();
    });

    test('only ever moves forward', () => {
      const bench = new Bench({});
      bench.tell({ type: 'limiter.hold', untilMs: 2_000 });
      const waiter = bench.acquire();
      bench.tell({ type: 'limiter.hold', untilMs: 1_000 });
      expect(bench.timerAtMs).toBe(2_000);
      bench.tell({ type: 'limiter.hold', untilMs: 3_000 });
      expect(bench.timerAtMs).toBe(3_000);
      bench.until(3_000);
      expect(bench.answeredAt(waiter)).toBe(3_000);
    });

    test('refuses at once whose deadline lies inside it', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.acquire();
      const hasty = bench.acquire(1, { deadlineMs: 900 });
      const patient = bench.acquire(1, { deadlineMs: 5_000 });
      bench.tell({ type: 'limiter.hold', untilMs: 1_000 });
      expect(bench.answers.get(hasty)!.value).toEqual({ at: 'refused', reason: 'deadline', waitedMs: 0, earliestMs: 1_000 });
      expect(bench.outcome(patient)).toBe(TOO_EARLY);
    });

    test('LIM-03: a clock that goes back does not lengthen it', () => {
      const bench = new Bench({}, { nowMs: 50_000 });
      bench.tell({ type: 'limiter.hold', untilMs: 51_000 });
      bench.nowMs = 20_000;
      const waiter = bench.acquire();
      bench.until(30_000);
      expect(bench.answeredAt(waiter)).toBe(21_000);
    });
  });

  describe('configured anew', () => {
    test('a raised rate admits waiters at once and keeps what is owed', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND });
      bench.acquire(100);
      const waiter = bench.acquire(1);
      bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, tokensPerMinute: 6_000 } });
      expect(bench.look().owedTokens).toBe(100);
      expect(bench.timerAtMs).toBe(1_000);
      bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, burstMs: 10_000 } });
      expect(bench.timerAtMs).toBe(100);
      bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, burstMs: 11_000 } });
      expect(bench.outcome(waiter)).toBe('granted');
    });

    test('a rate that is taken away holds nobody', () => {
      const bench = new Bench(TEN_TOKENS_A_SECOND);
      bench.acquire(600);
      const waiter = bench.acquire(600);
      bench.tell({ type: 'limiter.configure', limits: {} });
      expect(bench.outcome(waiter)).toBe('granted');
      expect(bench.timerAtMs).toBeUndefined();
    });

    test('a waiter too large for lowered limits is refused in its turn and blocks nobody', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, concurrency: 1 });
      bench.acquire(1);
      const large = bench.acquire(600);
      const small = bench.acquire(1);
      bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, tokensPerMinute: 300, concurrency: 1 } });
      expect(bench.answers.get(large)!.value).toEqual({ at: 'refused', reason: 'too-large', largestTokens: 300 });
      bench.until(1_000);
      bench.settle(1, 1);
      expect(bench.outcome(small)).toBe('granted');
    });
  });

  test('a waiter too large for lowered limits is refused as soon as the one before it gives up', () => {
    const bench = new Bench({ ...TEN_TOKENS_A_SECOND, concurrency: 1 });
    bench.acquire(1);
    bench.acquire(1, { deadlineMs: 500 });
    const large = bench.acquire(600);
    bench.tell({ type: 'limiter.configure', limits: { ...TEN_TOKENS_A_SECOND, tokensPerMinute: 300, concurrency: 1 } });
    expect(bench.outcome(large)).toBe(TOO_EARLY);
    bench.until(500);
    expect([bench.outcome(large), bench.answeredAt(large)]).toEqual(['too-large', 500]);
  });

  describe('cancelling', () => {
    test('has no effect on a ticket that is unknown, granted, or cancelled before', () => {
      const bench = new Bench({ concurrency: 1 });
      const granted = bench.acquire();
      const waiter = bench.acquire();
      bench.tell({ type: 'limiter.cancel', ticket: waiter });
      for (const ticket of [granted, waiter, 999]) {
        const before = bench.state;
        expect(bench.tell({ type: 'limiter.cancel', ticket })).toEqual([]);
        expect(bench.state).toBe(before);
      }
      expect(bench.look()).toMatchObject({ waiting: 0, inFlight: 1 });
    });

    test('a ticket that asks again while it waits gives up its first question', () => {
      const bench = new Bench({ concurrency: 1 });
      bench.acquire();
      bench.tell({ type: 'limiter.acquire', replyTo: 101, ticket: 77, flow: 'worker', input: 1, output: 0 });
      bench.tell({ type: 'limiter.acquire', replyTo: 102, ticket: 77, flow: 'worker', input: 1, output: 0 });
      expect([bench.outcome(101), bench.outcome(102)]).toEqual(['cancelled', TOO_EARLY]);
      bench.settle();
      expect(bench.outcome(102)).toBe('granted');
      expect(bench.look()).toMatchObject({ waiting: 0, inFlight: 1 });
    });
  });

  describe('a look', () => {
    test('is plain data', () => {
      const bench = new Bench({ requestsPerMinute: 60, concurrency: 2 });
      bench.acquire();
      const look = bench.look();
      expect(JSON.parse(JSON.stringify(look))).toEqual(look);
    });

    test('changes nothing', () => {
      const bench = new Bench(TEN_A_SECOND);
      const before = bench.state;
      bench.nowMs = 5_000;
      bench.look();
      expect(bench.state).toBe(before);
    });

    test('estimates the wait of a newcomer behind all waiters by the rates', () => {
      const bench = new Bench({ ...TEN_TOKENS_A_SECOND, requestsPerMinute: 6_000 });
      for (const tokens of [10, 5, 5]) bench.acquire(tokens);
      const { estimateMs } = bench.look();
      const newcomer = bench.acquire(5);
      bench.until(60_000);
      expect(estimateMs).toBe(2_000);
      expect(bench.answeredAt(newcomer)).toBe(estimateMs);
    });

    test('estimates the wait for room by the recent mean time of a permit', () => {
      const bench = new Bench({ concurrency: 2 });
      for (let call = 0; call < 50; call += 1) {
        bench.acquire();
        bench.until(bench.nowMs + 300);
        bench.settle();
      }
      for (let call = 0; call < 7; call += 1) bench.acquire();
      expect(bench.look()).toMatchObject({ inFlight: 2, waiting: 5 });
      // Six permits have to come home, of two that take 300 ms each.
      expect(bench.look().estimateMs).toBeGreaterThan(850);
      expect(bench.look().estimateMs).toBeLessThan(950);
    });
  });

  describe('its timer', () => {
    test('is set once for the head, and not again by those behind it', () => {
      const bench = new Bench(TEN_A_SECOND);
      bench.acquire();
      expect(bench.tell({ type: 'limiter.acquire', replyTo: 50, ticket: 50, flow: 'a', input: 1, output: 0 })).toMatchObject([
        { type: 'timer.set', key: 'due', atMs: 100, message: { type: 'limiter.due' } },
      ]);
      expect(bench.tell({ type: 'limiter.acquire', replyTo: 51, ticket: 51, flow: 'b', input: 1, output: 0 })).toEqual([]);
    });

    test('that comes too early, or twice, is set again and grants nothing', () => {
      const bench = new Bench(TEN_A_SECOND);
      bench.acquire();
      const waiter = bench.acquire();
      bench.nowMs = 60;
      bench.timerAtMs = undefined;
      bench.tell({ type: 'limiter.due' });
      bench.tell({ type: 'limiter.due' });
      expect(bench.timerAtMs).toBe(100);
      expect(bench.outcome(waiter)).toBe(TOO_EARLY);
    });
  });

  test('a message that it does not know, such as the news of a failed effect, changes nothing', () => {
    const bench = new Bench(TEN_A_SECOND);
    const before = bench.state;
    expect(bench.tell({ type: 'effect.failed' } as unknown as LimiterMessage)).toEqual([]);
    expect(bench.state).toBe(before);
  });

  test('tokens that are no number are a bug of the caller', () => {
    expect(() => new Bench({}).acquire(Number.NaN)).toThrow(/broken invariant/);
    expect(() => new Bench({}).acquire(-1)).toThrow(/broken invariant/);
  });

  test('it runs in a host: answers come by reply, and the timer is the host’s', () => {
    let nowMs = 1_000;
    let wake: { atMs: number; fire: () => void } | undefined;
    const clock = {
      nowMs: () => nowMs,
      wakeAt: (atMs: number, fire: () => void) => {
        wake = { atMs, fire };
        return () => (wake = undefined);
      },
    };
    const host = new Host({ clock, random: seededRandom(1), transport: fifoTransport(), pump: 'manual' });
    const run = (): void => {
      while (host.step());
    };
    host.spawn({ id: 'limiter', logic: limiterLogic(clock), input: { limits: TEN_A_SECOND } });
    const answers: LimiterReply[] = [];
    for (const ticket of [1, 2]) {
      const replyTo = host.expect<LimiterReply>({ asked: 'limiter', answered: (answer) => void answers.push(answer) });
      const question: LimiterMessage = { type: 'limiter.acquire', replyTo, ticket, flow: 'worker', input: 1, output: 0 };
      host.send('limiter', question);
    }
    run();
    expect(answers).toMatchObject([{ at: 'granted', input: 1, output: 0, slots: 1, waitedMs: 0 }]);
    expect(wake!.atMs).toBe(1_100);
    nowMs = wake!.atMs;
    wake!.fire();
    run();
    expect(answers).toMatchObject([
      { at: 'granted', waitedMs: 0 },
      { at: 'granted', waitedMs: 100 },
    ]);
    expect(host.pending).toEqual({ messages: 0, timers: 0, asks: 0 });
    host.close();
  });
});
