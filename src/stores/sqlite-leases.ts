/** SqliteLeases: names that users hold for a while, and who stands in line for them. */
import type { LeaseHeld, LeaseOutcome, LeaseRecord, LeaseRequest, Store } from '../../actors/ports/store.ts';
import type { Known } from './sqlite-known.ts';

interface Lease {
  readonly holder: string;
  readonly fence: number;
  readonly untilMs: number;
}

/** Of one database. Everything is called within a transaction. */
export class SqliteLeases {
  readonly #known: Known;

  constructor(known: Known) {
    this.#known = known;
  }

  /** None lasts longer from now than it was given for: the clock of whoever gave it may have been ahead. */
  open(nowMs: number): void {
    this.#known.sql.cutLeases.run(nowMs);
    this.#known.sql.cutLine.run(nowMs);
  }

  take(items: readonly LeaseRequest[], nowMs: number): LeaseOutcome[] {
    this.#known.sql.forgetLeases.run(nowMs);
    this.#known.sql.forgetLine.run(nowMs);
    return items.map((item) => this.#take(item, nowMs));
  }

  renew(items: Parameters<Store['renewLeases']>[0], nowMs: number): boolean[] {
    return items.map((item) => {
      if (!this.#holds(item, nowMs)) return false;
      this.#known.sql.grantLease.run(item.name, item.holder, item.fence, nowMs + item.ttlMs, item.ttlMs);
      return true;
    });
  }

  release(items: readonly LeaseHeld[], nowMs: number): boolean[] {
    return items.map((item) => {
      this.#known.sql.quitLine.run(item.name, item.holder);
      if (!this.#holds(item, nowMs)) return false;
      this.#known.sql.endLease.run(item.name);
      return true;
    });
  }

  read(names: readonly string[], nowMs: number): (LeaseRecord | undefined)[] {
    return names.map((name) => {
      const lease = this.#leaseOf(name, nowMs);
      return lease && { name, ...lease, waiting: this.#ahead(name, Number.MAX_SAFE_INTEGER, nowMs) };
    });
  }

  #take({ name, holder, ttlMs, waitUntilMs }: LeaseRequest, nowMs: number): LeaseOutcome {
    const { sql } = this.#known;
    const lease = this.#leaseOf(name, nowMs);
    if (lease?.holder === holder) return { at: 'granted', fence: lease.fence, untilMs: lease.untilMs };
    const [place = Number.MAX_SAFE_INTEGER] = (sql.placeInLine.get(name, holder) ?? []) as unknown as [number | undefined];
    const ahead = this.#ahead(name, place, nowMs);
    if (lease === undefined && ahead === 0) {
      const granted = { fence: this.#known.nextToken(), untilMs: nowMs + ttlMs };
      sql.quitLine.run(name, holder);
      sql.grantLease.run(name, holder, granted.fence, granted.untilMs, ttlMs);
      return { at: 'granted', ...granted };
    }
    const heldUntilMs = lease?.untilMs ?? nowMs;
    if (waitUntilMs === null || waitUntilMs <= nowMs) {
      const inTheWay = lease?.holder ?? (sql.firstInLine.get(name) as unknown as [string])[0];
      sql.quitLine.run(name, holder);
      return { at: 'taken', holder: inTheWay, heldUntilMs };
    }
    sql.joinLine.get(name, holder, waitUntilMs, waitUntilMs - nowMs);
    return { at: 'waiting', ahead, heldUntilMs };
  }

  #holds({ name, holder, fence }: LeaseHeld, nowMs: number): boolean {
    const lease = this.#leaseOf(name, nowMs);
    return lease?.holder === holder && lease.fence === fence;
  }

  /** One that has run out is free. */
  #leaseOf(name: string, nowMs: number): Lease | undefined {
    const [holder, fence, untilMs] = (this.#known.sql.userLease.get(name) ?? []) as unknown as [string?, number?, number?];
    return holder === undefined || untilMs! <= nowMs ? undefined : { holder, fence: fence!, untilMs: untilMs! };
  }

  #ahead(name: string, place: number, nowMs: number): number {
    return (this.#known.sql.aheadInLine.get(name, place, nowMs) as unknown as [number])[0];
  }
}
