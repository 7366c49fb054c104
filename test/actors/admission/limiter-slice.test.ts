/** A node of several: it has a share of a dependency for a second or two, and keeps to it when nobody renews it. */
import { describe, expect, test } from 'vitest';
import { decide, initial } from '../../../actors/admission/limiter.ts';
import type { LimiterMessage, LimiterReply, LimiterState } from '../../../actors/admission/limiter.ts';
import { SLICE_GRACE_MS } from '../../../actors/admission/regulator.ts';

class Node {
  nowMs = 0;
  state: LimiterState;
  timerAtMs: number | undefined;
  readonly grantedAtMs: number[] = [];
  readonly refusals: string[] = [];
  #tickets = 0;

  constructor(limits: Parameters<typeof initial>[0]['limits']) {
    this.state = initial({ limits: { safetyMargin: 0, burstMs: 0, ...limits } }, 0)[0];
  }

  tell(message: LimiterMessage): void {
    const [state, effects] = decide(this.state, message, this.nowMs);
    this.state = state;
    for (const effect of effects) {
      if (effect.type === 'timer.set') this.timerAtMs = effect.atMs;
      if (effect.type === 'timer.cancel') this.timerAtMs = undefined;
      if (effect.type !== 'reply') continue;
      const answer = effect.value as LimiterReply;
      if (answer.at === 'granted') this.grantedAtMs.push(this.nowMs);
      else if (answer.at === 'refused') this.refusals.push(answer.reason);
    }
  }

  ask(count: number, deadlineMs?: number): void {
    for (let at = 0; at < count; at += 1) {
      const ticket = (this.#tickets += 1);
      const deadline = deadlineMs === undefined ? {} : { deadlineMs };
      this.tell({ type: 'limiter.acquire', replyTo: ticket, ticket, flow: 'work', input: 1, output: 0, ...deadline });
    }
  }

  runUntil(atMs: number): void {
    while (this.timerAtMs !== undefined && this.timerAtMs <= atMs) {
      this.nowMs = this.timerAtMs;
      this.timerAtMs = undefined;
      this.tell({ type: 'limiter.due' });
    }
    this.nowMs = atMs;
  }
}

/** Ten a second for all nodes together. */
const RATE = { requestsPerMinute: 600 };

describe('a slice of a rate', () => {
  test('admits its share of the rate while it is renewed', () => {
    const node = new Node(RATE);
    node.tell({ type: 'limiter.slice', share: 0.5, untilMs: 2_000 });
    node.ask(100);
    for (let atMs = 1_000; atMs <= 10_000; atMs += 1_000) {
      node.runUntil(atMs);
      node.tell({ type: 'limiter.slice', share: 0.5, untilMs: atMs + 2_000 });
    }
    expect(node.grantedAtMs.length).toBeGreaterThanOrEqual(50);
    expect(node.grantedAtMs.length).toBeLessThanOrEqual(51);
  });

  test('that stops being renewed admits nobody once its time and the grace are over, and goes on when it is renewed', () => {
    const node = new Node(RATE);
    node.tell({ type: 'limiter.slice', share: 0.5, untilMs: 2_000 });
    node.ask(100);
    node.runUntil(60_000);
    expect(Math.max(...node.grantedAtMs)).toBeLessThanOrEqual(2_000 + SLICE_GRACE_MS);
    const before = node.grantedAtMs.length;
    node.tell({ type: 'limiter.slice', share: 0.5, untilMs: 62_000 });
    node.runUntil(61_000);
    expect(node.grantedAtMs.length).toBeGreaterThan(before);
    // Nothing is saved up meanwhile beyond the burst, which is none.
    expect(node.grantedAtMs.length - before).toBeLessThanOrEqual(6);
  });

  test('of one node and of the others together never exceed the whole', () => {
    const nodes = [0.5, 0.3, 0.2].map((share) => {
      const node = new Node({ ...RATE, concurrency: 10 });
      node.tell({ type: 'limiter.slice', share, untilMs: 1e9 });
      node.ask(200);
      node.runUntil(10_000);
      return node;
    });
    expect(nodes.map(({ state }) => state.inFlight)).toEqual([5, 3, 2]);
  });

  test('that has ended refuses who cannot wait, and keeps who can', () => {
    const node = new Node(RATE);
    node.tell({ type: 'limiter.slice', share: 1, untilMs: 0 });
    node.nowMs = SLICE_GRACE_MS + 1;
    node.ask(1, node.nowMs + 1_000);
    node.ask(1);
    expect(node.refusals).toEqual(['deadline']);
    expect(node.state.line.size).toBe(1);
  });
});
