/** Leases for users, of the model: a holder and a line for each name. */
import type { LeaseHeld, LeaseOutcome, LeaseRecord, LeaseRequest } from '../../actors/ports/store.ts';

interface Name {
  held: (LeaseHeld & { untilMs: number; ttlMs: number }) | null;
  line: { readonly holder: string; waitUntilMs: number; patienceMs: number }[];
}

export class LeaseModel {
  readonly #names = new Map<string, Name>();
  readonly #nextToken: () => number;

  constructor(nextToken: () => number) {
    this.#nextToken = nextToken;
  }

  /** By the new owner's clock, nobody has anything for longer than he was given it for. */
  open(nowMs: number): void {
    for (const { held, line } of this.#names.values()) {
      if (held !== null && held.untilMs - nowMs > held.ttlMs) held.untilMs = nowMs + held.ttlMs;
      for (const waiting of line) if (waiting.waitUntilMs - nowMs > waiting.patienceMs) waiting.waitUntilMs = nowMs + waiting.patienceMs;
    }
  }

  take(items: readonly LeaseRequest[], nowMs: number): LeaseOutcome[] {
    return items.map(({ name, holder, ttlMs, waitUntilMs }) => {
      const of = this.#at(name, nowMs);
      if (of.held?.holder === holder) return { at: 'granted', fence: of.held.fence, untilMs: of.held.untilMs };
      const ahead = of.line.slice(0, of.line.findIndex((waiting) => waiting.holder === holder) >>> 0);
      if (of.held === null && ahead.length === 0) {
        of.line = of.line.filter((waiting) => waiting.holder !== holder);
        of.held = { name, holder, fence: this.#nextToken(), untilMs: nowMs + ttlMs, ttlMs };
        return { at: 'granted', fence: of.held.fence, untilMs: of.held.untilMs };
      }
      const heldUntilMs = of.held?.untilMs ?? nowMs;
      if (waitUntilMs === null || waitUntilMs <= nowMs) {
        of.line = of.line.filter((waiting) => waiting.holder !== holder);
        return { at: 'taken', holder: of.held?.holder ?? ahead[0]!.holder, heldUntilMs };
      }
      const own = of.line.find((waiting) => waiting.holder === holder);
      const place = { waitUntilMs, patienceMs: waitUntilMs - nowMs };
      if (own === undefined) of.line.push({ holder, ...place });
      else Object.assign(own, place);
      return { at: 'waiting', ahead: ahead.length, heldUntilMs };
    });
  }

  renew(items: readonly (LeaseHeld & { readonly ttlMs: number })[], nowMs: number): boolean[] {
    return items.map((item) => {
      const { held } = this.#at(item.name, nowMs);
      if (held === null || held.holder !== item.holder || held.fence !== item.fence) return false;
      held.untilMs = nowMs + item.ttlMs;
      held.ttlMs = item.ttlMs;
      return true;
    });
  }

  release(items: readonly LeaseHeld[], nowMs: number): boolean[] {
    return items.map((item) => {
      const of = this.#at(item.name, nowMs);
      of.line = of.line.filter(({ holder }) => holder !== item.holder);
      if (of.held === null || of.held.holder !== item.holder || of.held.fence !== item.fence) return false;
      of.held = null;
      return true;
    });
  }

  read(names: readonly string[], nowMs: number): (LeaseRecord | undefined)[] {
    return names.map((name) => {
      const { held, line } = this.#at(name, nowMs);
      if (held === null) return undefined;
      const { ttlMs: _, ...lease } = held;
      return { ...lease, waiting: line.length };
    });
  }

  /** As it is now: what has run out is free, who has not asked again in time is gone. */
  #at(name: string, nowMs: number): Name {
    const of = this.#names.get(name) ?? { held: null, line: [] };
    this.#names.set(name, of);
    if (of.held !== null && of.held.untilMs <= nowMs) of.held = null;
    of.line = of.line.filter(({ waitUntilMs }) => waitUntilMs > nowMs);
    return of;
  }
}
