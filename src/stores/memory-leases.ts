/** MemoryLeases: names that somebody has to himself for a time, and the lines before them. */
import type { LeaseHeld, LeaseOutcome, LeaseRecord, LeaseRequest } from '../../actors/ports/store.ts';

interface Name {
  lease: { readonly holder: string; readonly fence: number; untilMs: number; ttlMs: number } | undefined;
  /** By holder, in order of arrival: until when it stands there, and how long that was when it came or asked again. */
  readonly line: Map<string, { untilMs: number; readonly ttlMs: number }>;
}

export class MemoryLeases {
  readonly #names = new Map<string, Name>();
  readonly #nextFence: () => number;

  constructor(nextFence: () => number) {
    this.#nextFence = nextFence;
  }

  /** None lasts longer from now than it was given for: the clock of whoever gave it may have been ahead. */
  open(nowMs: number): void {
    for (const { lease, line } of this.#names.values()) {
      if (lease !== undefined) lease.untilMs = Math.min(lease.untilMs, nowMs + lease.ttlMs);
      for (const place of line.values()) place.untilMs = Math.min(place.untilMs, nowMs + place.ttlMs);
    }
  }

  take(items: readonly LeaseRequest[], nowMs: number): readonly LeaseOutcome[] {
    return items.map((item) => this.#take(item, nowMs));
  }

  renew(items: readonly (LeaseHeld & { readonly ttlMs: number })[], nowMs: number): readonly boolean[] {
    return items.map((item) => {
      const lease = this.#leaseOf(item, nowMs);
      if (lease === undefined) return false;
      lease.untilMs = nowMs + item.ttlMs;
      lease.ttlMs = item.ttlMs;
      return true;
    });
  }

  release(items: readonly LeaseHeld[], nowMs: number): readonly boolean[] {
    return items.map((item) => {
      const entry = this.#names.get(item.name);
      if (entry === undefined) return false;
      entry.line.delete(item.holder);
      const held = this.#leaseOf(item, nowMs) !== undefined;
      if (held) entry.lease = undefined;
      this.#tidy(item.name, entry, nowMs);
      return held;
    });
  }

  read(names: readonly string[], nowMs: number): readonly (LeaseRecord | undefined)[] {
    return names.map((name) => {
      const entry = this.#names.get(name);
      if (entry === undefined) return undefined;
      this.#tidy(name, entry, nowMs);
      const { lease, line } = entry;
      if (lease === undefined) return undefined;
      const { holder, fence, untilMs } = lease;
      return { name, holder, fence, untilMs, waiting: line.size };
    });
  }

  #take({ name, holder, ttlMs, waitUntilMs }: LeaseRequest, nowMs: number): LeaseOutcome {
    let entry = this.#names.get(name);
    if (entry === undefined) this.#names.set(name, (entry = { lease: undefined, line: new Map() }));
    this.#forget(entry, nowMs);
    const { lease, line } = entry;
    if (lease?.holder === holder) return { at: 'granted', fence: lease.fence, untilMs: lease.untilMs };
    const [next] = line;
    if (lease === undefined && (next === undefined || next[0] === holder)) {
      line.delete(holder);
      entry.lease = { holder, fence: this.#nextFence(), untilMs: nowMs + ttlMs, ttlMs };
      return { at: 'granted', fence: entry.lease.fence, untilMs: entry.lease.untilMs };
    }
    const inTheWay = lease ?? { holder: next![0], untilMs: next![1].untilMs };
    if (waitUntilMs === null || waitUntilMs <= nowMs) {
      line.delete(holder);
      return { at: 'taken', holder: inTheWay.holder, heldUntilMs: inTheWay.untilMs };
    }
    // Setting a key again leaves it in its place.
    line.set(holder, { untilMs: waitUntilMs, ttlMs: waitUntilMs - nowMs });
    const ahead = [...line.keys()].indexOf(holder) + (lease === undefined ? 0 : 1);
    return { at: 'waiting', ahead, heldUntilMs: inTheWay.untilMs };
  }

  /** The lease that this token is for, if it has not run out. */
  #leaseOf({ name, holder, fence }: LeaseHeld, nowMs: number): Name['lease'] {
    const lease = this.#names.get(name)?.lease;
    return lease !== undefined && lease.holder === holder && lease.fence === fence && lease.untilMs > nowMs ? lease : undefined;
  }

  #forget(entry: Name, nowMs: number): void {
    if (entry.lease !== undefined && entry.lease.untilMs <= nowMs) entry.lease = undefined;
    for (const [holder, { untilMs }] of entry.line) if (untilMs <= nowMs) entry.line.delete(holder);
  }

  #tidy(name: string, entry: Name, nowMs: number): void {
    this.#forget(entry, nowMs);
    if (entry.lease === undefined && entry.line.size === 0) this.#names.delete(name);
  }
}
