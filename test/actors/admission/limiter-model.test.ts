/**
 * The limiter beside a model of it that is made of whole numbers, arrays and steps of a millisecond,
 * and knows neither TAT nor trees: a debt that is paid off a little in each millisecond.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, initial } from '../../../actors/admission/limiter.ts';
import type {
  Homecoming,
  LimiterLimits,
  LimiterLook,
  LimiterMessage,
  LimiterReply,
  LimiterState,
  Permit,
} from '../../../actors/admission/limiter.ts';

/** Rates whose time per unit is a power of two: no rounding hides a difference. */
const RATES = [60_000 / 64, 15_000, 60_000, 240_000] as const;

const limitsArbitrary: fc.Arbitrary<LimiterLimits> = fc
  .record({
    requestsPerMinute: fc.option(fc.constantFrom(...RATES), { nil: undefined }),
    tokensPerMinute: fc.option(fc.constantFrom(...RATES), { nil: undefined }),
    concurrency: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    burstMs: fc.constantFrom(0, 8, 100),
  })
  .map((limits) => ({ ...(JSON.parse(JSON.stringify(limits)) as LimiterLimits), safetyMargin: 0 }));

type Step =
  | { at: 'acquire'; flow: string; tokens: number; patienceMs: number | undefined; priority: number }
  | { at: 'raise'; which: number; priority: number }
  | { at: 'cancel'; which: number }
  | { at: 'settle'; which: number; used: number | null }
  | { at: 'hold'; forMs: number }
  | { at: 'configure'; limits: LimiterLimits }
  | { at: 'run'; forMs: number }
  /** The process stands still, and so do its timers. */
  | { at: 'stall'; forMs: number }
  /** The clock is set back. */
  | { at: 'back'; byMs: number };

const tokensArbitrary = fc.oneof({ weight: 8, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.constantFrom(937, 938, 1_000) });

const acquireArbitrary: fc.Arbitrary<Step> = fc.record({
  at: fc.constant('acquire' as const),
  flow: fc.constantFrom('a', 'b', 'c'),
  tokens: tokensArbitrary,
  patienceMs: fc.option(fc.nat(400), { nil: undefined, freq: 3 }),
  priority: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1, 2) }),
});

const settleArbitrary: fc.Arbitrary<Step> = fc.record({
  at: fc.constant('settle' as const),
  which: fc.nat(),
  used: fc.option(fc.nat(60), { nil: null }),
});

const timeArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ at: fc.constant('run' as const), forMs: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('stall' as const), forMs: fc.nat(500) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('back' as const), byMs: fc.nat(2_000) }) },
);

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: acquireArbitrary },
  { weight: 5, arbitrary: settleArbitrary },
  { weight: 6, arbitrary: timeArbitrary },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ at: fc.constant('raise' as const), which: fc.nat(), priority: fc.integer({ min: -1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('hold' as const), forMs: fc.nat(300) }) },
  { weight: 1, arbitrary: fc.record({ at: fc.constant('configure' as const), limits: limitsArbitrary }) },
);

interface Outcome {
  readonly ticket: number;
  readonly at: string;
  /** Time that has passed, whatever the clock says. */
  readonly atMs: number;
}

/** Sixty thousandths of a unit: what a rate of n a minute pays off in a millisecond is n of them. */
const UNIT = 60_000;

class Model {
  limits: LimiterLimits;
  passedMs = 0;
  holdLeftMs = 0;
  inFlight = 0;
  readonly debts = { requests: 0, tokens: 0 };
  readonly outcomes: Outcome[] = [];
  waiters: { ticket: number; flow: string; tokens: number; leftMs: number; priority: number; nth: number }[] = [];
  /** How many have joined each flow. */
  readonly came = new Map<string, number>();
  /** Where each flow's turns have got to, and where the head's have: start-time fair queueing. */
  readonly tags = new Map<string, number>();
  /** By flow: for whom its turn was at first. Among equals the older goes. */
  readonly turns = new Map<string, number>();
  virtualTime = 0;

  constructor(limits: LimiterLimits) {
    this.limits = limits;
  }

  /** A millisecond passes. */
  tick(): void {
    this.passedMs += 1;
    this.holdLeftMs = Math.max(0, this.holdLeftMs - 1);
    this.debts.requests = Math.max(0, this.debts.requests - (this.limits.requestsPerMinute ?? Infinity));
    this.debts.tokens = Math.max(0, this.debts.tokens - (this.limits.tokensPerMinute ?? Infinity));
    for (const waiter of this.waiters) waiter.leftMs -= 1;
  }

  acquire(ticket: number, flow: string, tokens: number, leftMs: number, priority: number): void {
    if (tokens > this.largest()) return this.end(ticket, 'too-large');
    const own = this.waiters.filter((waiter) => waiter.flow === flow);
    const before = own.filter((waiter) => waiter.priority >= priority);
    const tokensBefore = before.reduce((sum, waiter) => sum + waiter.tokens, 0);
    if (!this.mayGoIn(leftMs, tokens, before.length, tokensBefore)) return this.end(ticket, 'deadline');
    if (own.length === 0) {
      this.tags.set(flow, Math.max(this.virtualTime, this.tags.get(flow) ?? 0));
      this.turns.set(flow, ticket);
    }
    const nth = (this.came.get(flow) ?? 0) + 1;
    this.came.set(flow, nth);
    this.waiters.push({ ticket, flow, tokens, leftMs, priority, nth });
    this.look();
  }

  raise(ticket: number, priority: number): void {
    const waiter = this.waiters.find((one) => one.ticket === ticket)!;
    if (waiter.priority >= priority) return;
    waiter.priority = priority;
    this.look();
  }

  cancel(ticket: number): void {
    this.leave(ticket, 0);
    this.end(ticket, 'cancelled');
    this.look();
  }

  /** `charged` undefined: there was no token rate then, so there is nothing to put right. */
  settle(charged: number | undefined, used: number | null): void {
    this.inFlight -= 1;
    if (used !== null && charged !== undefined && this.limits.tokensPerMinute !== undefined)
      this.debts.tokens = Math.max(0, this.debts.tokens + (used - charged) * UNIT);
    this.look();
  }

  hold(forMs: number): void {
    this.holdLeftMs = Math.max(this.holdLeftMs, forMs);
    this.look();
  }

  configure(limits: LimiterLimits): void {
    const otherTurns = (limits.tokensPerMinute === undefined) !== (this.limits.tokensPerMinute === undefined);
    if (limits.requestsPerMinute === undefined) this.debts.requests = 0;
    if (limits.tokensPerMinute === undefined) this.debts.tokens = 0;
    this.limits = limits;
    if (otherTurns) {
      this.virtualTime = 0;
      this.tags.clear();
      for (const { flow } of this.waiters) {
        this.tags.set(flow, 0);
        this.turns.set(flow, this.firstOf(flow)!.ticket);
      }
    }
    this.look();
  }

  /** Whatever has happened: who may go goes, who cannot any more is refused, until nothing moves. */
  look(): void {
    const before = this.outcomes.length;
    this.refuse((waiter) => waiter.leftMs < 0 || !this.mayGoIn(waiter.leftMs, waiter.tokens));
    for (let head = this.head(); head !== undefined; head = this.head()) {
      if (head.tokens > this.largest()) {
        this.leave(head.ticket, 0);
        this.end(head.ticket, 'too-large');
        continue;
      }
      if (!this.mayGoIn(head.leftMs, head.tokens)) {
        this.leave(head.ticket, 0);
        this.end(head.ticket, 'deadline');
        continue;
      }
      if (!this.hasRoom() || !this.mayGoIn(0, head.tokens)) break;
      this.leave(head.ticket, this.limits.tokensPerMinute === undefined ? 1 : Math.max(1, head.tokens));
      this.inFlight += 1;
      if (this.limits.requestsPerMinute !== undefined) this.debts.requests += UNIT;
      if (this.limits.tokensPerMinute !== undefined) this.debts.tokens += head.tokens * UNIT;
      this.end(head.ticket, 'granted');
    }
    this.refuse((waiter) => waiter.leftMs <= 0 || !this.mayGoIn(waiter.leftMs, waiter.tokens));
    if (this.outcomes.length > before) this.look();
  }

  head(): (typeof this.waiters)[number] | undefined {
    const flows = [...new Set(this.waiters.map(({ flow }) => flow))];
    const [next] = flows.toSorted((a, b) => this.tags.get(a)! - this.tags.get(b)! || this.turns.get(a)! - this.turns.get(b)!);
    return next === undefined ? undefined : this.firstOf(next);
  }

  firstOf(flow: string): (typeof this.waiters)[number] | undefined {
    // Each step of priority is worth ten who came before.
    const place = ({ nth, priority }: (typeof this.waiters)[number]): number => nth - 10 * priority;
    return this.waiters.filter((waiter) => waiter.flow === flow).toSorted((a, b) => place(a) - place(b) || a.nth - b.nth)[0];
  }

  /** Whether rates and hold allow one more when `ms` have passed and others have gone before it. */
  mayGoIn(ms: number, own: number, requests = 0, tokens = 0): boolean {
    const { requestsPerMinute = Infinity, tokensPerMinute = Infinity, burstMs = 0 } = this.limits;
    if (ms === Infinity) return true;
    if (ms < this.holdLeftMs || ms < 0) return false;
    // What it costs must be there, up to the whole burst; a debt is paid off first.
    const requestsAllow =
      requestsPerMinute === Infinity ||
      Math.max(0, this.debts.requests + requests * UNIT - requestsPerMinute * ms) <= Math.max(0, requestsPerMinute * burstMs - UNIT);
    const tokensAllow =
      tokensPerMinute === Infinity ||
      Math.max(0, this.debts.tokens + tokens * UNIT - tokensPerMinute * ms) <= Math.max(0, tokensPerMinute * burstMs - own * UNIT);
    return requestsAllow && tokensAllow;
  }

  hasRoom(): boolean {
    return this.inFlight < (this.limits.concurrency ?? Infinity);
  }

  largest(): number {
    return this.limits.tokensPerMinute ?? Infinity;
  }

  /** The most urgent first, until one of them may still hope. */
  refuse(hopeless: (waiter: { tokens: number; leftMs: number }) => boolean): void {
    for (;;) {
      const leastMs = Math.min(...this.waiters.map((waiter) => waiter.leftMs));
      const urgent = this.waiters.find((waiter) => waiter.leftMs === leastMs);
      if (urgent === undefined || !hopeless(urgent)) return;
      this.leave(urgent.ticket, 0);
      this.end(urgent.ticket, 'deadline');
    }
  }

  leave(ticket: number, cost: number): void {
    const gone = this.waiters.find((waiter) => waiter.ticket === ticket)!;
    const wasFirst = this.firstOf(gone.flow) === gone;
    this.waiters = this.waiters.filter((waiter) => waiter !== gone);
    this.tags.set(gone.flow, this.tags.get(gone.flow)! + cost);
    const next = this.firstOf(gone.flow);
    // Who leaves gives nobody an earlier turn.
    if (wasFirst && next !== undefined)
      this.turns.set(gone.flow, cost > 0 ? next.ticket : Math.max(this.turns.get(gone.flow)!, next.ticket));
    if (this.waiters.length === 0) {
      this.tags.clear();
      this.virtualTime = 0;
    } else this.virtualTime = Math.max(this.virtualTime, this.tags.get(this.head()!.flow)!);
  }

  end(ticket: number, at: string): void {
    this.outcomes.push({ ticket, at, atMs: this.passedMs });
  }
}

/** The limiter itself, under a clock that may go back. Its timer fires at whole milliseconds. */
class Subject {
  passedMs = 0;
  nowMs = 1_763_754_218_000;
  timerAtMs: number | undefined;
  state: LimiterState;
  readonly outcomes: Outcome[] = [];
  /** What came back for each ticket that holds a permit. */
  readonly permits = new Map<number, Permit>();
  readonly waiting = new Map<number, { readonly flow: string; readonly tokens: number; priority: number }>();
  readonly sideways: string[] = [];
  concurrency: number;

  constructor(limits: LimiterLimits) {
    this.state = deepFreeze(initial({ limits }, this.nowMs)[0]);
    this.concurrency = limits.concurrency ?? Infinity;
  }

  tell(message: LimiterMessage): void {
    const [state, effects] = decide(this.state, deepFreeze(message), this.nowMs);
    this.state = deepFreeze(state);
    for (const effect of effects) {
      if (effect.type === 'timer.set') this.timerAtMs = effect.atMs;
      if (effect.type === 'timer.cancel') this.timerAtMs = undefined;
      if (effect.type === 'reply') this.answered(effect.to, effect.value as LimiterReply);
    }
    expect(this.look()).toMatchObject({ waiting: this.waiting.size, inFlight: this.permits.size });
  }

  answered(ticket: number, value: LimiterReply): void {
    const asked = this.waiting.get(ticket);
    expect(asked, `ticket ${ticket} is answered once`).toBeDefined();
    const own = [...this.waiting].find(([, { flow, priority }]) => flow === asked!.flow && priority >= asked!.priority)!;
    this.waiting.delete(ticket);
    this.outcomes.push({ ticket, at: value.at === 'refused' ? value.reason : value.at, atMs: this.passedMs });
    if (value.at !== 'granted') return;
    if (own[0] !== ticket) this.sideways.push(`ticket ${ticket} went before ${own[0]} of its flow, which is as urgent`);
    if (this.permits.size >= this.concurrency) this.sideways.push(`${this.permits.size + 1} in flight at ${this.passedMs}`);
    this.permits.set(ticket, value);
  }

  acquire(ticket: number, flow: string, tokens: number, patienceMs: number | undefined, priority = 0): void {
    this.waiting.set(ticket, { flow, tokens, priority });
    const deadline = patienceMs === undefined ? {} : { deadlineMs: this.nowMs + patienceMs };
    this.tell({ type: 'limiter.acquire', replyTo: ticket, ticket, flow, priority, input: tokens, output: 0, ...deadline });
  }

  raise(ticket: number, priority: number): void {
    const waiter = this.waiting.get(ticket);
    if (waiter !== undefined) waiter.priority = Math.max(waiter.priority, priority);
    this.tell({ type: 'limiter.raise', ticket, priority });
  }

  settle(ticket: number, used: number | null): void {
    this.tell({ type: 'limiter.settle', items: [this.#home(ticket, used)] });
  }

  /** Everything that is out now comes home, together; what that sets going stays out. */
  settleAll(): void {
    const items = [...this.permits.keys()].map((ticket) => this.#home(ticket, null));
    if (items.length > 0) this.tell({ type: 'limiter.settle', items });
  }

  #home(ticket: number, used: number | null): Homecoming {
    const permit = this.permits.get(ticket)!;
    this.permits.delete(ticket);
    return { permit, report: { end: 'ok', usedInput: used, usedOutput: used === null ? null : 0, latencyMs: 0 }, result: 'success' };
  }

  configure(limits: LimiterLimits): void {
    this.concurrency = limits.concurrency ?? Infinity;
    this.tell({ type: 'limiter.configure', limits });
  }

  fire(): void {
    if (this.timerAtMs === undefined || this.timerAtMs > this.nowMs) return;
    this.timerAtMs = undefined;
    this.tell({ type: 'limiter.due' });
  }

  pass(ms: number): void {
    this.passedMs += ms;
    this.nowMs += ms;
  }

  look(): LimiterLook {
    const [, [effect]] = decide(this.state, { type: 'limiter.look', replyTo: -1 }, this.nowMs);
    return (effect as { value: unknown }).value as LimiterLook;
  }
}

/** Takes both through a history. `each` sees the subject after every step. */
function play(
  limits: LimiterLimits,
  steps: readonly Step[],
  each: (subject: Subject, model: Model) => void,
): { subject: Subject; model: Model } {
  const subject = new Subject(limits);
  const model = new Model(limits);
  const rated = (permit: Permit): boolean => permit.book.regulator.plan.tokens !== undefined;
  for (const [ticket, step] of steps.entries()) {
    switch (step.at) {
      case 'acquire': {
        subject.acquire(ticket, step.flow, step.tokens, step.patienceMs, step.priority);
        model.acquire(ticket, step.flow, step.tokens, step.patienceMs ?? Infinity, step.priority);
        break;
      }
      case 'raise': {
        const waiting = [...subject.waiting.keys()];
        const urgent = waiting[step.which % waiting.length];
        // For nobody who waits: it is not there yet, or gone.
        if (urgent === undefined) subject.raise(step.which, step.priority);
        else {
          subject.raise(urgent, step.priority);
          model.raise(urgent, step.priority);
        }
        break;
      }
      case 'cancel': {
        const waiting = [...subject.waiting.keys()];
        const leaver = waiting[step.which % waiting.length];
        if (leaver === undefined) break;
        subject.tell({ type: 'limiter.cancel', ticket: leaver });
        model.cancel(leaver);
        break;
      }
      case 'settle': {
        const out = [...subject.permits.keys()];
        const home = out[step.which % out.length];
        if (home === undefined) break;
        const permit = subject.permits.get(home)!;
        subject.settle(home, step.used);
        model.settle(rated(permit) ? permit.input : undefined, step.used);
        break;
      }
      case 'hold':
        subject.tell({ type: 'limiter.hold', untilMs: subject.nowMs + step.forMs });
        model.hold(step.forMs);
        break;
      case 'configure':
        subject.configure(step.limits);
        model.configure(step.limits);
        break;
      case 'run':
        for (let ms = 0; ms < step.forMs; ms += 1) {
          subject.pass(1);
          model.tick();
          subject.fire();
          model.look();
        }
        break;
      case 'stall':
        subject.pass(step.forMs);
        for (let ms = 0; ms < step.forMs; ms += 1) model.tick();
        subject.fire();
        model.look();
        break;
      case 'back':
        // Only what it has seen can it remember; and the timer would come late by the step, until the next event.
        subject.tell({ type: 'limiter.due' });
        subject.nowMs -= step.byMs;
        subject.tell({ type: 'limiter.due' });
        break;
    }
    each(subject, model);
  }
  return { subject, model };
}

const byTicket = (a: Outcome, b: Outcome): number => a.ticket - b.ticket;

describe('the limiter, beside its model', () => {
  test('everybody is answered the same, at the same millisecond, in the same order of grants; the state is never changed', () => {
    fc.assert(
      fc.property(limitsArbitrary, fc.array(stepArbitrary, { maxLength: 80, size: 'max' }), (limits, steps) => {
        const { subject, model } = play(limits, steps, (limiter, reference) => {
          const { owedRequests, owedTokens } = limiter.look();
          expect(owedRequests).toBe(reference.debts.requests / UNIT);
          expect(owedTokens).toBe(reference.debts.tokens / UNIT);
        });
        expect(subject.outcomes.toSorted(byTicket)).toEqual(model.outcomes.toSorted(byTicket));
        const grants = (outcomes: Outcome[]): number[] => outcomes.filter(({ at }) => at === 'granted').map(({ ticket }) => ticket);
        expect(grants(subject.outcomes)).toEqual(grants(model.outcomes));
      }),
      { numRuns: 400 },
    );
  });

  test('S6, and first in first out within a flow: in flight never passes the limit, nobody passes those of his own flow who are as urgent', () => {
    fc.assert(
      fc.property(limitsArbitrary, fc.array(stepArbitrary, { maxLength: 80, size: 'max' }), (limits, steps) => {
        play(limits, steps, ({ sideways }) => expect(sideways).toEqual([]));
      }),
      { numRuns: 200 },
    );
  });

  test('L1, L3: whatever has happened, once permits come home everybody is answered and nothing is left over', () => {
    fc.assert(
      fc.property(limitsArbitrary, fc.array(stepArbitrary, { maxLength: 80, size: 'max' }), (limits, steps) => {
        const { subject } = play(limits, steps, () => {});
        for (let rounds = 0; subject.waiting.size > 0 || subject.permits.size > 0; rounds += 1) {
          expect(rounds).toBeLessThan(1_000);
          subject.settleAll();
          if (subject.timerAtMs !== undefined) subject.pass(Math.max(0, Math.ceil(subject.timerAtMs - subject.nowMs)));
          subject.fire();
        }
        expect(subject.timerAtMs).toBeUndefined();
        expect(subject.look()).toMatchObject({ waiting: 0, waitingTokens: 0, inFlight: 0 });
        expect(subject.outcomes).toHaveLength(steps.filter(({ at }) => at === 'acquire').length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('S7: what is issued in any window', () => {
  const awkwardLimits = fc.record({
    requestsPerMinute: fc.integer({ min: 100, max: 100_000 }),
    tokensPerMinute: fc.integer({ min: 1_000, max: 1_000_000 }),
    safetyMargin: fc.constantFrom(0, 0.1, 0.37),
    burstMs: fc.constantFrom(0, 13, 250),
  });

  test('is at most rate * window and the burst, or one largest request, also when the clock goes back', () => {
    const steps = fc.array(fc.oneof({ weight: 6, arbitrary: acquireArbitrary }, { weight: 4, arbitrary: timeArbitrary }), {
      maxLength: 60,
      size: 'max',
    });
    fc.assert(
      fc.property(awkwardLimits, steps, (limits, history) => {
        const subject = new Subject(limits);
        const issued: { atMs: number; tokens: number }[] = [];
        let seen = 0;
        for (const [ticket, step] of history.entries()) {
          if (step.at === 'acquire') subject.acquire(ticket, step.flow, step.tokens, step.patienceMs);
          if (step.at === 'back') subject.nowMs -= step.byMs;
          if (step.at === 'stall') subject.pass(step.forMs);
          for (let ms = 0; step.at === 'run' && ms < step.forMs; ms += 1) {
            subject.pass(1);
            subject.fire();
          }
          for (; seen < subject.outcomes.length; seen += 1) {
            const { at, atMs, ticket: granted } = subject.outcomes[seen]!;
            if (at === 'granted') issued.push({ atMs, tokens: subject.permits.get(granted)!.input });
          }
        }
        const share = (1 - limits.safetyMargin) / 60_000;
        const largest = Math.max(0, ...issued.map(({ tokens }) => tokens));
        for (const [from, { atMs: startMs }] of issued.entries()) {
          let tokens = 0;
          for (const [further, last] of issued.slice(from).entries()) {
            tokens += last.tokens;
            const bound = (perMs: number, most: number): number =>
              perMs * (last.atMs - startMs) + Math.max(perMs * limits.burstMs, most) + 1e-6;
            expect(further + 1).toBeLessThanOrEqual(bound(limits.requestsPerMinute * share, 1));
            expect(tokens).toBeLessThanOrEqual(bound(limits.tokensPerMinute * share, largest));
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('keeps its promise net of what comes back: charges and usage above them, less refunds', () => {
    const steps = fc.array(fc.oneof(acquireArbitrary, settleArbitrary, timeArbitrary), { maxLength: 80, size: 'max' });
    fc.assert(
      fc.property(awkwardLimits, steps, (limits, history) => {
        const ledger: { atMs: number; amount: number; admission: boolean }[] = [];
        const subject = new Subject(limits);
        let seen = 0;
        for (const [ticket, step] of history.entries()) {
          const out = [...subject.permits.keys()];
          if (step.at === 'acquire') subject.acquire(ticket, step.flow, step.tokens, undefined);
          if (step.at === 'stall') subject.pass(step.forMs);
          if (step.at === 'settle' && out.length > 0) {
            const home = out[step.which % out.length]!;
            const { input: charged } = subject.permits.get(home)!;
            ledger.push({ atMs: subject.passedMs, amount: (step.used ?? charged) - charged, admission: false });
            subject.settle(home, step.used);
          }
          for (let ms = 0; step.at === 'run' && ms < step.forMs; ms += 1) {
            subject.pass(1);
            subject.fire();
          }
          for (; seen < subject.outcomes.length; seen += 1) {
            const { at, atMs, ticket: granted } = subject.outcomes[seen]!;
            if (at === 'granted') ledger.push({ atMs, amount: subject.permits.get(granted)!.input, admission: true });
          }
        }
        const perMs = (limits.tokensPerMinute * (1 - limits.safetyMargin)) / 60_000;
        for (const [from, start] of ledger.entries()) {
          if (!start.admission) continue;
          let net = 0;
          for (const { atMs, amount, admission } of ledger.slice(from)) {
            net += amount;
            if (admission) expect(net).toBeLessThanOrEqual(perMs * (atMs - start.atMs) + Math.max(perMs * limits.burstMs, amount) + 1e-6);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test('and nothing is wasted: a line that never empties is served at the full rate', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 60_000, max: 1_000_000 }),
        fc.array(fc.nat(40), { minLength: 50, maxLength: 50 }),
        (tokensPerMinute, sizes) => {
          // A burst above the largest request makes up for a timer that comes up to a millisecond late.
          const subject = new Subject({ tokensPerMinute, safetyMargin: 0, burstMs: 100 });
          for (const [ticket, tokens] of sizes.entries()) subject.acquire(ticket, `flow ${ticket % 3}`, tokens, undefined);
          while (subject.waiting.size > 0) {
            subject.pass(1);
            subject.fire();
          }
          const neededMs = (sizes.reduce((sum, tokens) => sum + tokens, 0) * 60_000) / tokensPerMinute - 100;
          expect(subject.passedMs).toBeGreaterThanOrEqual(neededMs);
          expect(subject.passedMs).toBeLessThanOrEqual(Math.max(0, neededMs) + 1 + 1e-6);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('L5, at the door', () => {
  test('a flow that asks once is passed by nobody, however many others crowd the line', () => {
    const crowd = fc.array(fc.record({ flow: fc.constantFrom('x', 'y', 'z'), tokens: fc.integer({ min: 1, max: 30 }) }), {
      minLength: 5,
      maxLength: 60,
      size: 'max',
    });
    fc.assert(
      fc.property(crowd, crowd, fc.integer({ min: 1, max: 30 }), (before, after, tokens) => {
        const subject = new Subject({ tokensPerMinute: 60_000, concurrency: 2, safetyMargin: 0, burstMs: 0 });
        let ticket = 0;
        const join = ({ flow, tokens: size }: { flow: string; tokens: number }): void =>
          subject.acquire((ticket += 1), flow, size, undefined);
        for (const asked of before) join(asked);
        const single = (ticket += 1);
        subject.acquire(single, 'single', tokens, undefined);
        for (const asked of after) join(asked);
        for (let ms = 0; subject.waiting.size > 0; ms += 1) {
          subject.pass(1);
          subject.fire();
          subject.settleAll();
        }
        const grants = subject.outcomes.map((outcome) => outcome.ticket);
        const first = grants.slice(0, grants.indexOf(single));
        expect(first.every((earlier) => earlier < single)).toBe(true);
        // Those granted before it came, and one turn of each of the three flows.
        expect(first.length).toBeLessThanOrEqual(1 + 3);
      }),
      { numRuns: 100 },
    );
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
